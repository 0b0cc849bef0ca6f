/*
 * The local page cache: pages on local disk between the server's buffers and the pageserver, in one
 * file of fixed places. Every place may be lost at any time; a page found is always the newest one.
 *
 * Places form sets of eight; a page may lie in any place of the set that its hash names. A partition
 * lock covers a range of sets and is held while the page is read or written, which is a copy from or
 * to the system's file cache most of the time.
 */
#ifndef TARN_COMPUTE_PAGE_CACHE_H
#define TARN_COMPUTE_PAGE_CACHE_H

#include "postgres.h"
#include "common/relpath.h"
#include "storage/block.h"
#include "storage/relfilenode.h"

struct page_cache_counts {
	uint64 hits, misses, writes;
};

void tarn_page_cache_settings(void);
Size tarn_page_cache_bytes(void);
void tarn_page_cache_request(void);
void tarn_page_cache_init(void);

bool tarn_page_cache_read(const RelFileNode *rel, ForkNumber fork, BlockNumber block, char *page);
/* Is it there? Without a promise for later. */
bool tarn_page_cache_has(const RelFileNode *rel, ForkNumber fork, BlockNumber block);
void tarn_page_cache_write(const RelFileNode *rel, ForkNumber fork, BlockNumber block,
			   const char *page);
void tarn_page_cache_drop(const RelFileNode *rel, ForkNumber fork, BlockNumber block);
void tarn_page_cache_counts(struct page_cache_counts *out);

#endif
