/*
 * What the files of the daemon share. Private: others include pageserver.h.
 *
 * struct pageserver is complete before the first thread that uses it starts and does not change
 * afterwards; what it points to has its own locks.
 */
#ifndef TARN_PAGESERVER_PAGESERVER_INTERNAL_H
#define TARN_PAGESERVER_PAGESERVER_INTERNAL_H

#include "pageserver/page_cache.h"
#include "pageserver/pageserver.h"
#include "redo/redo.h"

struct pageserver {
	struct ps_store *store;
	struct redo_pool *redo;
	struct page_cache *cache;
	/* Called when a request waits for log of tl; may be NULL. Any thread. */
	void (*want_wal)(void *arg, struct ps_timeline *tl);
	void *want_wal_arg;
	struct tarn_counter *cache_hits, *cache_misses;
	struct tarn_counter *rebuilt_pages, *rebuilt_versions;
};

/* store and redo are the caller's and may be set later, before the first page is asked for. */
struct pageserver *pageserver_new(struct ps_store *store, struct redo_pool *redo,
				  size_t cache_bytes, struct tarn_metrics *metrics);
void pageserver_free(struct pageserver *ps);

/* A page wanted by ps_get_pages. */
struct page_want {
	struct ps_key key; /* REL or SLRU */
	tarn_lsn lsn;
	bool check_size; /* REL: absent beyond the size at lsn, a hole inside reads as zeros */
	bool absent;	 /* result */
	uint8_t *out;	 /* PAGE_BYTES; untouched if absent */
};
#define PS_MAX_PAGES_PER_CALL 64
/* Rebuilds up to PS_MAX_PAGES_PER_CALL pages with few calls of the redo hosts. Fails as a whole. */
int ps_get_pages(struct pageserver *ps, struct ps_timeline *tl, struct page_want *wants,
		 size_t count, struct tarn_error *err);
/* For ps_store_config: rebuilds a page without filling the cache. arg is the pageserver. */
int ps_reconstruct(void *arg, struct ps_timeline *tl, const struct ps_key *key, tarn_lsn lsn,
		   uint8_t out[PAGE_BYTES], bool *absent, struct tarn_error *err);
/* Bytes of all forks of all relations of a database. */
int ps_database_bytes(struct pageserver *ps, struct ps_timeline *tl, uint32_t spc, uint32_t db,
		      tarn_lsn lsn, uint64_t *bytes, struct tarn_error *err);
/* Pages [segment * 32, …) of an SLRU as its file holds them, appended to out. */
int ps_slru_segment(struct pageserver *ps, struct ps_timeline *tl, enum page_slru slru,
		    uint32_t segment, tarn_lsn lsn, struct tarn_buf *out, bool *absent,
		    struct tarn_error *err);
/* First and last page of an SLRU; the last may be below the first, when the numbers wrapped. */
int ps_slru_range(struct pageserver *ps, struct ps_timeline *tl, enum page_slru slru, tarn_lsn lsn,
		  uint32_t *first, uint32_t *last, bool *absent, struct tarn_error *err);
#define SLRU_SEGMENT_PAGES 32u

#endif
