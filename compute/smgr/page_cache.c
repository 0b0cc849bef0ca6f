/* Implementation of page_cache.h. */
#include "postgres.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/fd.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/guc.h"
#include <fcntl.h>
#include <unistd.h>
#include "page_cache.h"

#define WAYS 8
#define PARTITIONS 128
#define TRANCHE "tarn_page_cache"
#define CACHE_FILE "tarn_page_cache"
#define PAGES_PER_MIB (1024 * 1024 / BLCKSZ)

struct tag {
	RelFileNode rel;
	BlockNumber block;
	int8 fork;  /* InvalidForkNumber: empty */
	uint8 used; /* how often lately; the least used place of a set goes first */
};
struct set {
	struct tag tags[WAYS];
};
struct page_cache {
	pg_atomic_uint64 hits, misses, writes;
	struct set sets[FLEXIBLE_ARRAY_MEMBER];
};

static int cache_mib;
static uint32 set_count;
static struct page_cache *cache;
static LWLockPadded *locks;
static int cache_fd = -1; /* this process's */

void tarn_page_cache_settings(void)
{
	DefineCustomIntVariable("tarn.cache_size", "Local page cache on this compute's disk.",
				"0 is none.", &cache_mib, 256, 0, 64 * 1024 * 1024, PGC_POSTMASTER,
				GUC_UNIT_MB, NULL, NULL, NULL);
}

static uint32 sets_wanted(void)
{
	return (uint32)((uint64)cache_mib * PAGES_PER_MIB / WAYS);
}

Size tarn_page_cache_bytes(void)
{
	return add_size(offsetof(struct page_cache, sets),
			mul_size(sizeof(struct set), sets_wanted()));
}

void tarn_page_cache_request(void)
{
	RequestNamedLWLockTranche(TRANCHE, PARTITIONS);
}

void tarn_page_cache_init(void)
{
	bool found;
	set_count = sets_wanted();
	cache = ShmemInitStruct("tarn page cache", tarn_page_cache_bytes(), &found);
	locks = GetNamedLWLockTranche(TRANCHE);
	if (found)
		return;
	pg_atomic_init_u64(&cache->hits, 0);
	pg_atomic_init_u64(&cache->misses, 0);
	pg_atomic_init_u64(&cache->writes, 0);
	for (uint32 s = 0; s < set_count; s++)
		for (int w = 0; w < WAYS; w++)
			cache->sets[s].tags[w].fork = InvalidForkNumber;
}

static int open_cache(void)
{
	if (cache_fd < 0)
		cache_fd = BasicOpenFile(CACHE_FILE, O_RDWR | O_CREAT);
	return cache_fd;
}

static uint32 set_of(const RelFileNode *rel, ForkNumber fork, BlockNumber block)
{
	uint32 h = hash_combine(hash_bytes((const unsigned char *)rel, sizeof *rel),
				murmurhash32((uint32)fork * 0x9e3779b9u ^ block));
	return h % set_count;
}

static LWLock *lock_of(uint32 set)
{
	return &locks[set % PARTITIONS].lock;
}

static int find(const struct set *s, const RelFileNode *rel, ForkNumber fork, BlockNumber block)
{
	for (int w = 0; w < WAYS; w++)
		if (s->tags[w].block == block && s->tags[w].fork == (int8)fork &&
		    RelFileNodeEquals(s->tags[w].rel, *rel))
			return w;
	return -1;
}

static off_t offset_of(uint32 set, int way)
{
	return ((off_t)set * WAYS + way) * BLCKSZ;
}

bool tarn_page_cache_read(const RelFileNode *rel, ForkNumber fork, BlockNumber block, char *page)
{
	bool got = false;
	if (set_count == 0)
		return false;
	uint32 set = set_of(rel, fork, block);
	struct set *s = &cache->sets[set];
	LWLockAcquire(lock_of(set), LW_SHARED);
	int w = find(s, rel, fork, block);
	if (w >= 0) {
		got = open_cache() >= 0 &&
		      pread(cache_fd, page, BLCKSZ, offset_of(set, w)) == BLCKSZ;
		/* A lost update of this counter does no harm. */
		if (s->tags[w].used < 8)
			s->tags[w].used++;
	}
	LWLockRelease(lock_of(set));
	pg_atomic_fetch_add_u64(got ? &cache->hits : &cache->misses, 1);
	return got;
}

bool tarn_page_cache_has(const RelFileNode *rel, ForkNumber fork, BlockNumber block)
{
	if (set_count == 0)
		return false;
	uint32 set = set_of(rel, fork, block);
	LWLockAcquire(lock_of(set), LW_SHARED);
	bool has = find(&cache->sets[set], rel, fork, block) >= 0;
	LWLockRelease(lock_of(set));
	return has;
}

/* Under the lock: the page's own place, an empty one, or the least used, whose neighbours age. */
static int choose_place(struct set *s, const RelFileNode *rel, ForkNumber fork, BlockNumber block)
{
	int best = find(s, rel, fork, block);
	if (best >= 0)
		return best;
	best = 0;
	for (int w = 0; w < WAYS; w++) {
		if (s->tags[w].fork == InvalidForkNumber)
			return w;
		if (s->tags[w].used < s->tags[best].used)
			best = w;
	}
	for (int w = 0; w < WAYS; w++)
		if (s->tags[w].used > 0)
			s->tags[w].used--;
	return best;
}

void tarn_page_cache_write(const RelFileNode *rel, ForkNumber fork, BlockNumber block,
			   const char *page)
{
	if (set_count == 0)
		return;
	uint32 set = set_of(rel, fork, block);
	struct set *s = &cache->sets[set];
	LWLockAcquire(lock_of(set), LW_EXCLUSIVE);
	int w = choose_place(s, rel, fork, block);
	bool known = s->tags[w].fork == (int8)fork && s->tags[w].block == block &&
		     RelFileNodeEquals(s->tags[w].rel, *rel);
	/* A write that fails, as on a full disk, leaves the place empty. */
	s->tags[w].fork = InvalidForkNumber;
	if (open_cache() >= 0 && pwrite(cache_fd, page, BLCKSZ, offset_of(set, w)) == BLCKSZ) {
		s->tags[w].rel = *rel;
		s->tags[w].block = block;
		s->tags[w].fork = (int8)fork;
		s->tags[w].used = known ? s->tags[w].used : 1;
	}
	LWLockRelease(lock_of(set));
	pg_atomic_fetch_add_u64(&cache->writes, 1);
}

void tarn_page_cache_drop(const RelFileNode *rel, ForkNumber fork, BlockNumber block)
{
	if (set_count == 0)
		return;
	uint32 set = set_of(rel, fork, block);
	LWLockAcquire(lock_of(set), LW_EXCLUSIVE);
	int w = find(&cache->sets[set], rel, fork, block);
	if (w >= 0)
		cache->sets[set].tags[w].fork = InvalidForkNumber;
	LWLockRelease(lock_of(set));
}

void tarn_page_cache_counts(struct page_cache_counts *out)
{
	out->hits = pg_atomic_read_u64(&cache->hits);
	out->misses = pg_atomic_read_u64(&cache->misses);
	out->writes = pg_atomic_read_u64(&cache->writes);
}
