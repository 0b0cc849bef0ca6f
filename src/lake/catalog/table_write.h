/*
 * Turns a table state into what engines read: manifests, a manifest list and a metadata.json in the
 * object store, under names never used before, all put side by side. The result, an answer to
 * loadTable, is immutable and counted; the next write of the same table takes from it the manifests
 * that did not change.
 *
 * Metadata is temporary: everything in it can be made again from the state. Objects older than
 * TABLE_METADATA_KEEP_MS may be deleted (sweep.h), so an answer is served no longer than
 * TABLE_METADATA_FRESH_MS, and a manifest is shared no longer than that.
 */
#ifndef TARN_LAKE_CATALOG_TABLE_WRITE_H
#define TARN_LAKE_CATALOG_TABLE_WRITE_H

#include "lake/catalog/put_pool.h"
#include "lake/catalog/table_state.h"

#define TABLE_METADATA_FRESH_MS ((int64_t)3600 * 1000)
#define TABLE_METADATA_KEEP_MS ((int64_t)3 * 3600 * 1000)

struct table_answer {
	unsigned refs; /* atomic */
	uint64_t state_hash;
	tarn_lsn lsn;	    /* the state's, when it was written */
	int64_t written_ms; /* wall clock */
	int64_t stamp_ms;   /* of the newest snapshot */
	char etag[80];
	char *metadata_uri;
	char *body; /* LoadTableResult */
	size_t body_len;
	struct manifest_chunk *chunks;
	size_t chunk_count;
	char *base_list; /* URI of the empty snapshot's manifest list */
	int64_t base_written_ms;
};
void table_answer_ref(struct table_answer *a);
void table_answer_unref(struct table_answer *a); /* NULL is fine */

/* prev: the answer before for this table, or NULL. *objects: how many were put. */
int table_write(struct objstore *store, struct put_pool *pool, const struct table_state *s,
		const struct table_answer *prev, struct table_answer **out, unsigned *objects,
		struct tarn_error *err);

#endif
