/*
 * Ingest: WAL records of one timeline, in order, into versions in the store. Pure of sockets: the
 * receiver (wal_receiver.h) feeds it. One thread per timeline. See README.md for the list of pages that
 * records change without naming them.
 */
#ifndef TARN_PAGESERVER_INGEST_H
#define TARN_PAGESERVER_INGEST_H

#include "pageserver/store.h"
#include "pg/control_file.h"
#include "pg/wal_framer.h"

struct ps_ingest;
/* Loads its state (checkpoint counters, relation sizes as needed) from the timeline at its last record. */
int ps_ingest_new(struct ps_timeline *tl, struct ps_ingest **out, struct tarn_error *err);
void ps_ingest_free(struct ps_ingest *ing);
/* One record: puts its versions at LSN = rec->end_lsn, then advances the timeline. An error stops
 * the timeline: TARN_E_CORRUPT for a record that makes no sense. */
int ps_ingest_record(struct ps_ingest *ing, const struct wal_record_bytes *rec,
		     struct tarn_error *err);
/* Framer state for the next byte: where to resume and the record before it. */
void ps_ingest_position(const struct ps_ingest *ing, tarn_lsn *next_lsn, tarn_lsn *prev_lsn);

/*
 * Takes over a cleanly shut down data directory (as initdb leaves it): every relation file, relmaps, SLRUs and
 * pg_control become images at LSN X = end of its shutdown checkpoint record, of a new root timeline.
 * Refuses another major version, block size, checksums, tablespaces, a cluster not shut down.
 */
int ps_import_data_dir(struct ps_store *s, const char *data_dir, const char *name,
		       const struct tarn_id *id, struct ps_timeline **out, struct tarn_error *err);

/*
 * What a server that starts at lsn must know: PS_META_CHECKPOINT is a struct pg_control as of the last
 * checkpoint, OID or parameter change; PS_META_COUNTERS is put whenever one of these moved:
 *   u64 next xid (full) | u32 next oid | u32 next multixact | u32 next multixact offset
 * Their union is what a shutdown checkpoint at lsn would say (but for its own LSN and time).
 */
#define PS_COUNTERS_BYTES 20
int ps_control_at(struct ps_timeline *tl, tarn_lsn lsn, struct pg_control *out,
		  struct tarn_error *err);

/* Lets ingest read pages, for CREATE DATABASE … STRATEGY FILE_COPY; without it that is TARN_E_UNSUPPORTED. */
typedef int (*ps_reconstruct_fn)(void *arg, struct ps_timeline *tl, const struct ps_key *key,
				 tarn_lsn lsn, uint8_t out[8192], bool *absent,
				 struct tarn_error *err);
void ps_ingest_set_reconstruct(struct ps_ingest *ing, ps_reconstruct_fn fn, void *arg);

#endif
