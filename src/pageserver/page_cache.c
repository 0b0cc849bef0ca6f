/* Implementation of page_cache.h. */
#include "base/system.h"
#include <pthread.h>
#include "pageserver/page_cache.h"

#define SHARDS 64u
#define MAX_PER_KEY 2
#define TYPICAL_ENTRY_BYTES 4096u

struct entry {
	struct entry *next;	     /* in the bucket */
	struct entry *newer, *older; /* by use */
	const struct ps_timeline *tl;
	struct ps_key key;
	struct page_cache_hit what;
	uint8_t bytes[];
};

struct shard {
	pthread_mutex_t lock;
	struct entry **buckets;
	struct entry *newest, *oldest; /* by use */
	size_t used_bytes;
} __attribute__((aligned(64)));

struct page_cache {
	size_t bucket_mask;
	size_t shard_limit_bytes;
	struct shard shards[SHARDS];
};

struct page_cache *page_cache_new(size_t limit_bytes)
{
	struct page_cache *c = aligned_alloc(64, sizeof *c);
	TARN_CHECK(c != NULL);
	memset(c, 0, sizeof *c);
	size_t buckets = 16;
	c->shard_limit_bytes = limit_bytes / SHARDS;
	while (buckets * TYPICAL_ENTRY_BYTES < c->shard_limit_bytes)
		buckets *= 2;
	c->bucket_mask = buckets - 1;
	for (unsigned i = 0; i < SHARDS; i++) {
		pthread_mutex_init(&c->shards[i].lock, NULL);
		c->shards[i].buckets = tarn_calloc(buckets, sizeof(struct entry *));
	}
	return c;
}

void page_cache_free(struct page_cache *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < SHARDS; i++) {
		struct shard *s = &c->shards[i];
		for (struct entry *e = s->oldest, *newer; e; e = newer) {
			newer = e->newer;
			free(e);
		}
		free(s->buckets);
		pthread_mutex_destroy(&s->lock);
	}
	free(c);
}

static uint64_t hash(const struct ps_timeline *tl, const struct ps_key *k)
{
	uint64_t a = ((uint64_t)k->rel << 32 | k->block) ^ (uintptr_t)tl;
	uint64_t b = (uint64_t)k->db << 32 | (uint32_t)(k->spc ^ (uint32_t)k->kind << 8 ^ k->fork);
	uint64_t h = (a ^ b * 0x9e3779b97f4a7c15ULL) * 0xff51afd7ed558ccdULL;
	h ^= h >> 32;
	h *= 0xc4ceb9fe1a85ec53ULL;
	return h ^ h >> 29;
}

static struct shard *shard_of(struct page_cache *c, uint64_t h)
{
	return &c->shards[h % SHARDS];
}

static struct entry **bucket_of(struct page_cache *c, struct shard *s, uint64_t h)
{
	return &s->buckets[(h / SHARDS) & c->bucket_mask];
}

static bool same_key(const struct entry *e, const struct ps_timeline *tl, const struct ps_key *k)
{
	return e->key.block == k->block && e->tl == tl && ps_key_compare(&e->key, k) == 0;
}

static void unlink_by_use(struct shard *s, struct entry *e)
{
	*(e->newer ? &e->newer->older : &s->newest) = e->older;
	*(e->older ? &e->older->newer : &s->oldest) = e->newer;
}

static void link_newest(struct shard *s, struct entry *e)
{
	e->newer = NULL;
	e->older = s->newest;
	*(s->newest ? &s->newest->newer : &s->oldest) = e;
	s->newest = e;
}

static void remove_entry(struct page_cache *c, struct shard *s, struct entry *e)
{
	struct entry **at = bucket_of(c, s, hash(e->tl, &e->key));
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	unlink_by_use(s, e);
	s->used_bytes -= sizeof *e + e->what.len;
	free(e);
}

bool page_cache_get(struct page_cache *c, const struct ps_timeline *tl, const struct ps_key *key,
		    tarn_lsn lsn, uint8_t *out, struct page_cache_hit *hit)
{
	uint64_t h = hash(tl, key);
	struct shard *s = shard_of(c, h);
	struct entry *best = NULL;
	pthread_mutex_lock(&s->lock);
	for (struct entry *e = *bucket_of(c, s, h); e; e = e->next)
		if (same_key(e, tl, key) && e->what.version_lsn <= lsn &&
		    (!best || e->what.version_lsn > best->what.version_lsn))
			best = e;
	if (best) {
		*hit = best->what;
		memcpy(out, best->bytes, best->what.len);
		unlink_by_use(s, best);
		link_newest(s, best);
	}
	pthread_mutex_unlock(&s->lock);
	return best != NULL;
}

/* Under the shard's lock. Raises known_lsn of an entry of the same version: true. */
static bool refresh(struct page_cache *c, struct shard *s, const struct ps_timeline *tl,
		    const struct ps_key *key, const struct page_cache_hit *what)
{
	size_t others = 0;
	struct entry *least_used = NULL;
	for (struct entry *e = s->newest ? *bucket_of(c, s, hash(tl, key)) : NULL; e; e = e->next) {
		if (!same_key(e, tl, key))
			continue;
		if (e->what.version_lsn == what->version_lsn) {
			e->what.known_lsn = TARN_MAX(e->what.known_lsn, what->known_lsn);
			return true;
		}
		others++;
		if (!least_used || e->what.known_lsn < least_used->what.known_lsn)
			least_used = e;
	}
	if (others >= MAX_PER_KEY)
		remove_entry(c, s, least_used);
	return false;
}

void page_cache_put(struct page_cache *c, const struct ps_timeline *tl, const struct ps_key *key,
		    const struct page_cache_hit *what, const uint8_t *bytes)
{
	uint64_t h = hash(tl, key);
	struct shard *s = shard_of(c, h);
	TARN_CHECK(what->len <= PAGE_CACHE_MAX_VALUE_BYTES && what->known_lsn >= what->version_lsn);
	if (sizeof(struct entry) + what->len > c->shard_limit_bytes)
		return;
	pthread_mutex_lock(&s->lock);
	if (!refresh(c, s, tl, key, what)) {
		struct entry *e = tarn_malloc(sizeof *e + what->len);
		struct entry **bucket = bucket_of(c, s, h);
		e->tl = tl;
		e->key = *key;
		e->what = *what;
		if (what->len)
			memcpy(e->bytes, bytes, what->len);
		e->next = *bucket;
		*bucket = e;
		link_newest(s, e);
		s->used_bytes += sizeof *e + what->len;
		while (s->used_bytes > c->shard_limit_bytes)
			remove_entry(c, s, s->oldest);
	}
	pthread_mutex_unlock(&s->lock);
}

size_t page_cache_bytes(struct page_cache *c)
{
	size_t n = 0;
	for (unsigned i = 0; i < SHARDS; i++) {
		pthread_mutex_lock(&c->shards[i].lock);
		n += c->shards[i].used_bytes;
		pthread_mutex_unlock(&c->shards[i].lock);
	}
	return n;
}
