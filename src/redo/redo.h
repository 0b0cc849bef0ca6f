/*
 * Redo: applies WAL records to one page with the server's own redo code. A redo host is a stock
 * `postgres --single` process that loads tarn_redo.so, which takes over in _PG_init, confines
 * itself with seccomp and then serves requests from shared memory. The pool starts hosts, hands
 * each batch to a free one, and replaces a host that dies: the request it died on is tried once
 * more on a fresh host, then reported with its LSN (TARN_E_CORRUPT).
 *
 * Method (spikes/page_walk): the target page is served as base; every other page that a record
 * touches is answered with an empty page whose LSN is from the future, so redo leaves it alone.
 * Any thread may call; calls beyond the number of hosts wait.
 */
#ifndef TARN_REDO_REDO_H
#define TARN_REDO_REDO_H

#include "base/error.h"
#include "base/lsn.h"
#include "base/metrics.h"

#define REDO_PAGE_BYTES 8192

struct redo_pool;
struct redo_config {
	const char *postgres_path; /* /usr/lib/postgresql/15/bin/postgres */
	const char *module_path;   /* …/tarn_redo.so */
	const char *work_dir;	   /* empty or missing; gets a minimal data directory per host */
	unsigned hosts;
	struct tarn_metrics *metrics;
};
int redo_pool_new(const struct redo_config *c, struct redo_pool **out, struct tarn_error *err);
void redo_pool_free(struct redo_pool *p);

struct redo_record {
	tarn_lsn end_lsn;     /* becomes the page's LSN */
	const uint8_t *bytes; /* the whole record: XLogRecord header and all, contiguous */
	size_t len;
};
struct redo_request {
	uint32_t spc, db, rel;
	uint8_t fork;
	uint32_t block;
	const uint8_t
		*base; /* REDO_PAGE_BYTES, or NULL when the first record needs none; may be out */
	const struct redo_record *records; /* in LSN order */
	size_t count;
	uint8_t *out; /* REDO_PAGE_BYTES: the page after the last record */
	/* NULL, or called after each record with the page as it then is (page walk). */
	void (*observe)(void *arg, size_t record_index, const uint8_t *page);
	void *observe_arg;
};
/* Serves all requests; fails as a whole with the first error. */
int redo_apply(struct redo_pool *p, struct redo_request *requests, size_t count,
	       struct tarn_error *err);
/* Blanks in page what is not determined by the log (hint bits, holes …), with the server's mask function
 * of resource manager rmgr; 0 masks what is common to all. Two pages are equal modulo that if they are
 * equal byte for byte after it. */
int redo_mask(struct redo_pool *p, uint8_t rmgr, uint32_t block, uint8_t *page,
	      struct tarn_error *err);

#endif
