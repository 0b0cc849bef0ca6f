/*
 * One table of one timeline, brought to any LSN asked for, at the least cost: an earlier answer
 * again, a state derived from an earlier one, or a new base.
 *
 * Any thread; one works on a table at a time, so that askers of the same LSN share the work.
 */
#ifndef TARN_LAKE_TRANSCODE_TABLE_H
#define TARN_LAKE_TRANSCODE_TABLE_H

#include "lake/transcode/state.h"

/* More dirty than this part of the table, and a new base is cheaper for everybody. */
#define TRANSCODE_MAX_DIRTY_PERCENT 20u
/* … but tails of up to this many rows are never a reason. */
#define TRANSCODE_MIN_TAIL_ROWS 1000u
/* Tables of at least this many rows get a new base in the background, and derived states meanwhile … */
#define TRANSCODE_BACKGROUND_ROWS 100000u
/* … unless more than this part is dirty: then a derived state costs as much. */
#define TRANSCODE_MAX_DERIVED_PERCENT 50u
/* Bases made in the background at once, of all tables together. */
#define TRANSCODE_MAX_BACKGROUND 1u
/* Tails are merged into one beyond this many. */
#define TRANSCODE_MAX_TAILS 8u
/* States kept per table, for askers of different LSNs. */
#define TRANSCODE_MAX_STATES 8u

struct transcode_table;

/* Counters, updated with relaxed atomics; may be shared by tables. */
struct transcode_work {
	uint64_t bases, derived, repeated, recalled;
	unsigned background; /* bases being made */
};

/* env is copied, with its place.location; the rest of what it points to must outlive the table. */
struct transcode_table *transcode_table_new(const struct transcode_env *env,
					    struct transcode_work *work);
/* Ends what it does in the background. */
void transcode_table_free(struct transcode_table *t);
/* Is a base being made in the background? Freeing it would wait a little. */
bool transcode_table_busy(const struct transcode_table *t);
/* Until none is. For tests. */
void transcode_table_settle(struct transcode_table *t);
/* Appends transcode_state_text of the table at lsn: all files that it names are durable. table is
 * of db, which was read at lsn; everything up to lsn can be read. */
int transcode_table_at(struct transcode_table *t, const struct lake_database *db,
		       const struct lake_table *table, tarn_lsn lsn, struct tarn_buf *out,
		       struct tarn_error *err);

#endif
