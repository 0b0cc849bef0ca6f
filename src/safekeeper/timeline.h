/*
 * One timeline on one safekeeper: its acceptor, control file and WAL segments.
 *
 *   DIR/<id>/control                       enum and struct below, CRC at the end; written atomically
 *   DIR/<id>/000000010000000000000001 …    16 MiB segments laid out as Postgres does
 *
 * The log on disk is valid up to flush_lsn and zero after it (up to the end of its segment; later segments
 * do not exist), so that recovery finds the end from the WAL itself. One thread.
 */
#ifndef TARN_SAFEKEEPER_TIMELINE_H
#define TARN_SAFEKEEPER_TIMELINE_H

#include "base/id.h"
#include "pg/wal_framer.h"
#include "quorum/acceptor.h"

struct sk_timeline {
	struct tarn_id id;
	uint64_t system_identifier;
	char *dir;
	struct acceptor acceptor;
	struct wal_framer framer; /* at acceptor.write_lsn */
	int segment_fd;		  /* of the segment being written, or -1 */
	tarn_lsn segment_start;
	bool dirty;		     /* written since the last fsync */
	tarn_lsn durable_lsn;	     /* reported by the pageserver: WAL below may go */
	tarn_lsn oldest_lsn;	     /* start of the oldest segment kept */
	tarn_lsn control_commit_lsn; /* commit LSN in the control file */
	tarn_lsn end_seen_lsn;	     /* commit LSN the readers were last woken for */
};

int sk_timeline_make(const char *root, const struct tarn_id *id, uint64_t system_identifier,
		     tarn_lsn start_lsn, bool recovering, struct sk_timeline **out,
		     struct tarn_error *err);
/* Opens DIR/<id>: reads the control file, finds the end of the log. */
int sk_timeline_open(const char *root, const struct tarn_id *id, struct sk_timeline **out,
		     struct tarn_error *err);
/* Writes the control file if the commit LSN moved; closes. */
void sk_timeline_free(struct sk_timeline *t);
/* Persists the acceptor's hard state. */
int sk_timeline_save(struct sk_timeline *t, struct tarn_error *err);
/* Writes at acceptor.write_lsn; on disk only after sync. TARN_E_CORRUPT: the bytes are no WAL. */
int sk_timeline_write(struct sk_timeline *t, const uint8_t *bytes, size_t len,
		      struct tarn_error *err);
/* One fdatasync; then flush_lsn is the end of the last whole record. */
int sk_timeline_sync(struct sk_timeline *t, struct tarn_error *err);
/* Physically removes what is at and after lsn (a record boundary), durably. */
int sk_timeline_truncate(struct sk_timeline *t, tarn_lsn lsn, struct tarn_error *err);
/* Reads [from, from + len) of the log, all of which must have been written. */
int sk_timeline_read(const struct sk_timeline *t, tarn_lsn from, size_t len, uint8_t *out,
		     struct tarn_error *err);
/* Deletes segments that nobody below keep_lsn needs. */
int sk_timeline_trim(struct sk_timeline *t, tarn_lsn keep_lsn, struct tarn_error *err);

#endif
