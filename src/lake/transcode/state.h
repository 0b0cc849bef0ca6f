/*
 * A table as files, exact for the LSNs from `made` to `upto`: data files, of each the blocks whose
 * rows are deleted, and the position-delete files that say so to engines.
 *
 * A base has all visible rows in columnar files and no deletes. A state is derived from an earlier
 * one by deleting all rows of the blocks that may have changed since and writing those of their rows
 * that are visible now into one tail file. So the cost of a state is that of what changed.
 *
 * Immutable but for `upto` (under the lock of the table) and counted. Deriving is one thread's work.
 */
#ifndef TARN_LAKE_TRANSCODE_STATE_H
#define TARN_LAKE_TRANSCODE_STATE_H

#include "lake/catalog_scan.h"
#include "lake/transcode/files.h"

struct state_file {
	struct transcode_file *file;
	uint32_t *dead; /* entries of its block map, ascending, whose rows are deleted */
	uint32_t dead_count;
	struct transcode_delete **deletes;
	uint32_t delete_count;
};
struct transcode_state {
	tarn_lsn made, upto;
	struct transcode_schema *schema; /* an outline */
	struct lake_rel rel;
	uint32_t nblocks;
	uint64_t rows;
	struct state_file *files;
	uint32_t file_count, tail_count;
	uint64_t tail_rows;
	uint64_t tail_blocks;
	/* Blocks with tuples of transactions in progress, and those transactions: when one commits,
	 * rows change though no page is touched. */
	uint32_t *undecided;
	uint32_t undecided_count;
	struct lake_pending pending;
	uint64_t *overflow; /* by attnum; overflow_size of them */
	uint16_t overflow_size;
	struct transcode_state *base; /* NULL: it is one */
	/* private */
	int refs;
	uint64_t used; /* by the table: when it was last asked for */
};
/* What is common to a table's states. */
struct transcode_env {
	const struct lake_source *source;
	struct transcode_place place;
	uint64_t *memory_used; /* or NULL */
	const bool *cancelled; /* atomic, or NULL */
	/* 0: the defaults, TRANSCODE_FILE_ROWS, _MAX_TAILS and _BACKGROUND_ROWS */
	uint32_t max_file_rows, max_tails, background_rows;
};

struct transcode_state *transcode_state_ref(struct transcode_state *s);
void transcode_state_release(struct transcode_state *s);

/* Sets rows and overflow of a base from its files. */
void transcode_state_sum(struct transcode_state *s);
/* A new base at the snapshot, one reference. */
int transcode_state_base(const struct transcode_env *env, struct lake_snapshot *snapshot,
			 struct transcode_schema *schema, struct transcode_state **out,
			 struct tarn_error *err);
/* The blocks that may have changed between from and the snapshot, ascending u32, appended to out;
 * those beyond the table's end (*nblocks) not. *same: nothing at all changed. */
int transcode_state_dirty(const struct transcode_env *env, const struct transcode_state *from,
			  struct lake_snapshot *snapshot, struct tarn_buf *out, uint32_t *nblocks,
			  bool *same, struct tarn_error *err);
/* The state at the snapshot from an earlier one of the same relation whose files the schema reads. */
int transcode_state_derive(const struct transcode_env *env, struct transcode_state *from,
			   struct lake_snapshot *snapshot, struct transcode_schema *schema,
			   const struct tarn_buf *dirty, uint32_t nblocks,
			   struct transcode_state **out, struct tarn_error *err);
/* The members of the answer that say what the table is, "changed_lsn" and on (README.md). */
void transcode_state_text(const struct transcode_state *s, struct tarn_buf *out);

#endif
