/*
 * Is a tuple visible at an LSN: what a transaction that began right after the LSN would see.
 *
 * Only the commit log at the LSN decides; hint bits of a page are not believed (they may tell of
 * later commits), except "frozen" and "invalid", which hold at every LSN at which the page shows
 * them. A transaction without a status in the log is in progress: its inserts are not visible, its
 * deletes did not happen, and the verdict is `undecided`: the tuple may change visibility at a
 * later LSN without its page being touched. (A transaction cut off by a crash has no status for
 * ever, so its tuples stay undecided until vacuumed.)
 *
 * A snapshot caches commit-log and multixact pages: one thread at a time; different snapshots are
 * independent. The source must outlive it.
 */
#ifndef TARN_LAKE_VISIBILITY_H
#define TARN_LAKE_VISIBILITY_H

#include "base/error.h"
#include "base/lsn.h"
#include "lake/source.h"
#include "pg/heap_page.h"

struct lake_snapshot;

enum lake_xid_status { LAKE_XID_IN_PROGRESS, LAKE_XID_COMMITTED, LAKE_XID_ABORTED };
struct lake_verdict {
	bool visible;
	bool undecided; /* a transaction in progress can change `visible` later */
};

struct lake_snapshot *lake_snapshot_new(const struct lake_source *source, tarn_lsn lsn);
void lake_snapshot_free(struct lake_snapshot *s);
tarn_lsn lake_snapshot_lsn(const struct lake_snapshot *s);
const struct lake_source *lake_snapshot_source(const struct lake_snapshot *s);

int lake_tuple_visible(struct lake_snapshot *s, const struct heap_tuple *t,
		       struct lake_verdict *out, struct tarn_error *err);
int lake_xid_status(struct lake_snapshot *s, uint32_t xid, enum lake_xid_status *out,
		    struct tarn_error *err);
/* Was the tuple's inserter committed: the rule for TOAST rows, which are never updated. */
int lake_tuple_inserted(struct lake_snapshot *s, const struct heap_tuple *t, bool *out,
			struct tarn_error *err);

#endif
