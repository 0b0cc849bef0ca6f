/*
 * Page cache: values of keys (pages, relation sizes) as they are after their newest version at or
 * below some LSN, so that a hot page is neither collected nor rebuilt again.
 *
 * An entry says: from version_lsn on the key had this value, and up to known_lsn it did not change.
 * Both only ever describe what the log says, so an entry never becomes wrong, merely old. At most
 * two entries per key are kept: the head moves on while an older LSN is still being read.
 *
 * Sharded; each shard has its lock, hash table and list by use. Any thread may call.
 */
#ifndef TARN_PAGESERVER_PAGE_CACHE_H
#define TARN_PAGESERVER_PAGE_CACHE_H

#include "pageserver/store.h"

#define PAGE_CACHE_MAX_VALUE_BYTES 8192

struct page_cache;
struct page_cache_hit {
	tarn_lsn version_lsn, known_lsn;
	size_t len;
	bool absent; /* the key did not exist; no bytes */
};

struct page_cache *page_cache_new(size_t limit_bytes);
void page_cache_free(struct page_cache *c);
/* The newest entry whose version_lsn is at or below lsn; false if there is none. out holds
 * PAGE_CACHE_MAX_VALUE_BYTES. */
bool page_cache_get(struct page_cache *c, const struct ps_timeline *tl, const struct ps_key *key,
		    tarn_lsn lsn, uint8_t *out, struct page_cache_hit *hit);
/* Adds an entry, or raises known_lsn of the one of that version. */
void page_cache_put(struct page_cache *c, const struct ps_timeline *tl, const struct ps_key *key,
		    const struct page_cache_hit *what, const uint8_t *bytes);
/* Memory held by entries. */
size_t page_cache_bytes(struct page_cache *c);

#endif
