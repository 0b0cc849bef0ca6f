/* What the files of ingest share. One thread per timeline. */
#ifndef TARN_PAGESERVER_INGEST_INTERNAL_H
#define TARN_PAGESERVER_INGEST_INTERNAL_H

#include "pageserver/ingest.h"
#include "pageserver/page_op_format.h"
#include "pg/wal_record.h"

#define SIZE_ABSENT UINT32_MAX

struct relsize; /* a cached relation size */
struct counters {
	uint64_t next_xid;
	uint32_t next_oid, next_multi, next_multi_offset;
	uint32_t zero; /* compared as bytes: no padding */
};
struct ps_ingest {
	struct ps_timeline *tl;
	struct relsize *sizes; /* uthash */
	struct pg_control control;
	struct counters counters, counters_put;
	tarn_lsn next_lsn, prev_lsn;
	tarn_lsn boundary_lsn; /* of the last boundary put */
	int64_t time_us;       /* of the newest commit or abort */
	tarn_lsn lsn;	       /* of the record being ingested: its end */
	ps_reconstruct_fn reconstruct;
	void *reconstruct_arg;
	struct wal_record rec; /* large */
	struct tarn_buf op;
};

int ingest_put(struct ps_ingest *ing, const struct ps_key *key, enum ps_value_kind kind,
	       const void *bytes, size_t len, struct tarn_error *err);
/* ingest_size.c: relation sizes. SIZE_ABSENT: no such fork. */
int ingest_size(struct ps_ingest *ing, const struct ps_key *rel, uint32_t *blocks,
		struct tarn_error *err);
int ingest_set_size(struct ps_ingest *ing, const struct ps_key *rel, uint32_t blocks,
		    struct tarn_error *err);
void ingest_forget_database(struct ps_ingest *ing, uint32_t db);
void ingest_sizes_free(struct ps_ingest *ing);
/* ingest_xact.c: transaction ends, commit status, multixacts */
int ingest_xact(struct ps_ingest *ing, bool *is_boundary, struct tarn_error *err);
int ingest_clog(struct ps_ingest *ing, struct tarn_error *err);
int ingest_multixact(struct ps_ingest *ing, struct tarn_error *err);
void ingest_note_xid(struct ps_ingest *ing, uint32_t xid);
/* ingest_storage.c: relations and databases made, cut, dropped */
int ingest_smgr(struct ps_ingest *ing, struct tarn_error *err);
int ingest_dbase(struct ps_ingest *ing, struct tarn_error *err);
int ingest_relmap(struct ps_ingest *ing, struct tarn_error *err);
int ingest_drop_relation(struct ps_ingest *ing, uint32_t spc, uint32_t db, uint32_t rel,
			 struct tarn_error *err);
int ingest_corrupt(const struct ps_ingest *ing, const char *what, struct tarn_error *err);

#endif
