/*
 * What the transcoder reads: a timeline's pages at an LSN, behind a small table of functions so that
 * it runs inside the pageserver (source_pageserver.c) and, in unit tests, over the files of a vanilla
 * data directory. All calls may come from several threads.
 */
#ifndef TARN_LAKE_SOURCE_H
#define TARN_LAKE_SOURCE_H

#include "base/error.h"
#include "base/id.h"
#include "base/lsn.h"

struct lake_rel {
	uint32_t spc, db, rel; /* rel is the relfilenode */
};
#define LAKE_SOURCE_MAX_PAGES 64u
struct lake_source {
	void *arg;
	/* Newest version at or below lsn; *absent as in pageserver.h. */
	int (*get_page)(void *arg, const struct lake_rel *rel, uint8_t fork, uint32_t block,
			tarn_lsn lsn, uint8_t out[8192], bool *absent, struct tarn_error *err);
	int (*nblocks)(void *arg, const struct lake_rel *rel, uint8_t fork, tarn_lsn lsn,
		       uint32_t *nblocks, bool *absent, struct tarn_error *err);
	/* slru: enum page_slru; page number, not segment. */
	int (*slru_page)(void *arg, int slru, uint32_t page, tarn_lsn lsn, uint8_t out[8192],
			 bool *absent, struct tarn_error *err);
	int (*relmap)(void *arg, uint32_t spc, uint32_t db, tarn_lsn lsn, uint8_t out[512],
		      bool *absent, struct tarn_error *err);
	/* Blocks of the fork with a change in (after, upto], ascending. */
	int (*touched)(void *arg, const struct lake_rel *rel, uint8_t fork, tarn_lsn after,
		       tarn_lsn upto,
		       int (*visit)(void *visit_arg, uint32_t block, struct tarn_error *e),
		       void *visit_arg, struct tarn_error *err);
	/* The same as get_page for up to LAKE_SOURCE_MAX_PAGES ascending blocks, one after the other
	 * in out. NULL: the source gains nothing by it. */
	int (*get_pages)(void *arg, const struct lake_rel *rel, uint8_t fork,
			 const uint32_t *blocks, uint32_t count, tarn_lsn lsn, uint8_t *out,
			 bool *absent, struct tarn_error *err);
	/* Waits until everything up to lsn can be read. */
	int (*wait)(void *arg, tarn_lsn lsn, int timeout_ms, struct tarn_error *err);
	tarn_lsn (*last_lsn)(void *arg);
};

#endif
