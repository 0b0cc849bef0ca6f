/*
 * The LSN that an analytic read must see (lake.md, "Freshness"): every commit acknowledged before the
 * call is at or below it, and nothing at or below it can still be lost. Behind a function pointer so
 * that tests may name LSNs themselves. Any thread.
 */
#ifndef TARN_LAKE_CATALOG_READ_INDEX_H
#define TARN_LAKE_CATALOG_READ_INDEX_H

#include "base/error.h"
#include "base/id.h"
#include "base/lsn.h"

struct read_index_source {
	void *arg;
	/* TARN_E_NOT_FOUND: a majority of the safekeepers says that it has no such timeline, so nothing
	 * was ever committed on it after its start. */
	int (*take)(void *arg, const struct tarn_id *tl, int timeout_ms, tarn_lsn *lsn,
		    struct tarn_error *err);
};

struct read_index;
/* safekeepers: "h:p,h:p,h:p". */
int read_index_new(const char *safekeepers, uint64_t system_identifier, struct read_index **out,
		   struct tarn_error *err);
void read_index_free(struct read_index *r);
/* The real source; r outlives it. */
struct read_index_source read_index_source(struct read_index *r);

#endif
