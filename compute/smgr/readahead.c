/* Implementation of readahead.h. */
#include "postgres.h"
#include "utils/guc.h"
#include "page_cache.h"
#include "page_client.h"
#include "readahead.h"
#include "relation_table.h"

#define SCANS 8
#define FIRST_DEPTH 4

/* A run of reads through one fork; the least recently used one is replaced. */
struct scan {
	RelFileNode rel;
	ForkNumber fork;
	BlockNumber last;     /* read last */
	BlockNumber asked_to; /* asked ahead up to here, exclusive */
	int depth;
	uint64 used;
};

static int max_depth;
static struct scan scans[SCANS];
static uint64 clock_now;

void tarn_readahead_settings(void)
{
	DefineCustomIntVariable("tarn.readahead", "Pages asked ahead by sequential reads.",
				"0 is none.", &max_depth, 64, 0, TARN_PREFETCH_MAX / 2, PGC_USERSET,
				0, NULL, NULL, NULL);
}

bool tarn_prefetch(const RelFileNode *rel, ForkNumber fork, BlockNumber block)
{
	struct fork_info info = tarn_fork_get(rel, fork);
	if (info.has_local || info.unlogged || info.state != FORK_PRESENT || block >= info.nblocks)
		return false;
	if (tarn_page_asked(rel, fork, block))
		return true;
	if (tarn_page_cache_has(rel, fork, block))
		return false;
	return tarn_page_prefetch(rel, fork, block);
}

/* The scan that read one of the few blocks before this one: pages in between may have been here. */
static struct scan *find_scan(const RelFileNode *rel, ForkNumber fork, BlockNumber block)
{
	struct scan *oldest = &scans[0];
	for (int i = 0; i < SCANS; i++) {
		struct scan *s = &scans[i];
		if (s->used && s->fork == fork && RelFileNodeEquals(s->rel, *rel) &&
		    block > s->last && block - s->last <= 16)
			return s;
		if (s->used < oldest->used)
			oldest = s;
	}
	*oldest = (struct scan){.rel = *rel, .fork = fork, .last = block};
	return oldest;
}

void tarn_read_ahead(const RelFileNode *rel, ForkNumber fork, BlockNumber block,
		     BlockNumber nblocks)
{
	if (fork != MAIN_FORKNUM || max_depth == 0)
		return;
	struct scan *s = find_scan(rel, fork, block);
	bool first = s->used == 0;
	s->used = ++clock_now;
	s->last = block;
	if (first)
		return;
	s->depth = Min(s->depth == 0 ? FIRST_DEPTH : s->depth * 2, max_depth);
	/* The page itself goes first, so that the others are on their way while it is waited for. */
	tarn_prefetch(rel, fork, block);
	BlockNumber from = Max(block + 1, s->asked_to);
	BlockNumber to = (BlockNumber)Min((uint64)block + 1 + (uint64)s->depth, (uint64)nblocks);
	/* In batches: half a window at a time. */
	if (to <= from || (to - from < (BlockNumber)s->depth / 2 && to != nblocks))
		return;
	for (BlockNumber b = from; b < to; b++)
		if (!tarn_prefetch(rel, fork, b) && !tarn_page_cache_has(rel, fork, b))
			break;
	s->asked_to = to;
}
