/*
 * Basebackup: the files with which a Postgres server starts on a timeline at a record boundary,
 * without relation files, which it asks for page by page. The server finds a clean shutdown at a
 * checkpoint that is made up here and becomes part of the timeline's log (pg/checkpoint.h).
 *
 * Sent are: PG_VERSION, the directories, each database's PG_VERSION and pg_filenode.map, pg_control,
 * SLRU segments, prepared transactions, the log from the beginning of the checkpoint's segment to
 * the record's end, and the init forks of unlogged relations, by which the server recognises them.
 */
#ifndef TARN_PAGESERVER_BASEBACKUP_H
#define TARN_PAGESERVER_BASEBACKUP_H

#include "pageserver/pageserver.h"

/* Calls send with frames of the page protocol, BASE_INFO to BASE_END, for request id. lsn must be a
 * record boundary at or below the timeline's last record: TARN_E_USAGE otherwise. frames belongs to
 * the caller of send. */
int basebackup_send(struct pageserver *ps, struct ps_timeline *tl, uint64_t id, tarn_lsn lsn,
		    int (*send)(void *arg, const struct tarn_buf *frames, struct tarn_error *e),
		    void *arg, struct tarn_error *err);

#endif
