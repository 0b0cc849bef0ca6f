/*
 * Cache of decompressed layer blocks, by file and block number. Sharded; each shard has its lock and
 * evicts what was used longest ago. A block in use is referenced and outlives its eviction.
 */
#ifndef TARN_PAGESERVER_BLOCK_CACHE_H
#define TARN_PAGESERVER_BLOCK_CACHE_H

#include "base/util.h"

struct ps_block {
	uint32_t refs; /* atomic */
	uint32_t len;
	uint8_t bytes[];
};
struct ps_block_cache;

struct ps_block_cache *ps_block_cache_new(size_t limit_bytes);
void ps_block_cache_free(struct ps_block_cache *c);
/* A referenced block, or NULL. */
struct ps_block *ps_block_cache_get(struct ps_block_cache *c, uint64_t file, uint32_t block);
/* Shares b (a reference of the caller's stays the caller's). */
void ps_block_cache_put(struct ps_block_cache *c, uint64_t file, uint32_t block,
			struct ps_block *b);
struct ps_block *ps_block_new(size_t len);
void ps_block_unref(struct ps_block *b);

#endif
