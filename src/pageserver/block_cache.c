/* Implementation of block_cache.h: chained hash tables with an LRU list each. */
#include "base/system.h"
#include <pthread.h>
#include "pageserver/block_cache.h"

#define SHARDS 16
#define BUCKETS 1024

struct slot {
	uint64_t file;
	uint32_t block;
	struct ps_block *data;
	struct slot *chain;
	struct slot *newer, *older;
};
struct shard {
	pthread_mutex_t lock;
	struct slot *buckets[BUCKETS];
	struct slot *newest, *oldest;
	size_t used_bytes;
};
struct ps_block_cache {
	size_t shard_limit_bytes;
	struct shard shards[SHARDS];
};

static uint64_t mix(uint64_t file, uint32_t block)
{
	uint64_t h = file * 0x9e3779b97f4a7c15ull ^ (block + 1) * 0xc2b2ae3d27d4eb4full;
	return h ^ h >> 29;
}

struct ps_block_cache *ps_block_cache_new(size_t limit_bytes)
{
	struct ps_block_cache *c = tarn_calloc(1, sizeof *c);
	c->shard_limit_bytes = limit_bytes / SHARDS;
	for (int i = 0; i < SHARDS; i++)
		pthread_mutex_init(&c->shards[i].lock, NULL);
	return c;
}

static void unlink_used(struct shard *s, struct slot *x)
{
	*(x->newer ? &x->newer->older : &s->newest) = x->older;
	*(x->older ? &x->older->newer : &s->oldest) = x->newer;
	x->newer = x->older = NULL;
}

static void link_newest(struct shard *s, struct slot *x)
{
	x->older = s->newest;
	if (s->newest)
		s->newest->newer = x;
	else
		s->oldest = x;
	s->newest = x;
}

static void evict(struct shard *s, struct slot *x)
{
	struct slot **p = &s->buckets[mix(x->file, x->block) / SHARDS % BUCKETS];
	while (*p != x)
		p = &(*p)->chain;
	*p = x->chain;
	unlink_used(s, x);
	s->used_bytes -= x->data->len;
	ps_block_unref(x->data);
	free(x);
}

void ps_block_cache_free(struct ps_block_cache *c)
{
	if (!c)
		return;
	for (int i = 0; i < SHARDS; i++) {
		while (c->shards[i].oldest)
			evict(&c->shards[i], c->shards[i].oldest);
		pthread_mutex_destroy(&c->shards[i].lock);
	}
	free(c);
}

static struct slot *lookup(struct shard *s, uint64_t h, uint64_t file, uint32_t block)
{
	struct slot *x = s->buckets[h / SHARDS % BUCKETS];
	while (x && (x->file != file || x->block != block))
		x = x->chain;
	return x;
}

struct ps_block *ps_block_cache_get(struct ps_block_cache *c, uint64_t file, uint32_t block)
{
	uint64_t h = mix(file, block);
	struct shard *s = &c->shards[h % SHARDS];
	struct ps_block *b = NULL;
	pthread_mutex_lock(&s->lock);
	struct slot *x = lookup(s, h, file, block);
	if (x) {
		unlink_used(s, x);
		link_newest(s, x);
		b = x->data;
		__atomic_fetch_add(&b->refs, 1, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&s->lock);
	return b;
}

void ps_block_cache_put(struct ps_block_cache *c, uint64_t file, uint32_t block, struct ps_block *b)
{
	uint64_t h = mix(file, block);
	struct shard *s = &c->shards[h % SHARDS];
	if (b->len > c->shard_limit_bytes / 4)
		return;
	pthread_mutex_lock(&s->lock);
	if (!lookup(s, h, file, block)) {
		struct slot *x = tarn_calloc(1, sizeof *x);
		x->file = file;
		x->block = block;
		x->data = b;
		__atomic_fetch_add(&b->refs, 1, __ATOMIC_RELAXED);
		x->chain = s->buckets[h / SHARDS % BUCKETS];
		s->buckets[h / SHARDS % BUCKETS] = x;
		link_newest(s, x);
		s->used_bytes += b->len;
		while (s->used_bytes > c->shard_limit_bytes)
			evict(s, s->oldest);
	}
	pthread_mutex_unlock(&s->lock);
}

struct ps_block *ps_block_new(size_t len)
{
	struct ps_block *b = tarn_malloc(sizeof *b + len);
	b->refs = 1;
	b->len = (uint32_t)len;
	return b;
}

void ps_block_unref(struct ps_block *b)
{
	if (b && __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(b);
}
