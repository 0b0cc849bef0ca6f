/*
 * Pages: what a key's chain of versions amounts to. Images and our own operations are applied here,
 * log records by the redo hosts, those of many pages in one call. Relation sizes go through the
 * same cache as pages.
 */
#include "base/system.h"
#include "pageserver/page_op.h"
#include "pageserver/pageserver_internal.h"

/* A page being rebuilt. */
struct build {
	struct page_want *want;
	tarn_lsn lsn;
	struct ps_chain chain;
	size_t next;	 /* version to apply next */
	bool have_page;	 /* want->out holds the page before version next */
	bool to_rebuild; /* not served from the cache */
};

struct pageserver *pageserver_new(struct ps_store *store, struct redo_pool *redo,
				  size_t cache_bytes, struct tarn_metrics *m)
{
	struct pageserver *ps = tarn_calloc(1, sizeof *ps);
	ps->store = store;
	ps->redo = redo;
	ps->cache = page_cache_new(cache_bytes);
	ps->cache_hits = tarn_metrics_counter(m, "tarn_pageserver_cache_hits_total", NULL,
					      "Pages served from the page cache");
	ps->cache_misses = tarn_metrics_counter(m, "tarn_pageserver_cache_misses_total", NULL,
						"Pages not in the page cache, or changed since");
	ps->rebuilt_pages = tarn_metrics_counter(m, "tarn_pageserver_rebuilt_pages_total", NULL,
						 "Pages rebuilt from their versions");
	ps->rebuilt_versions = tarn_metrics_counter(m, "tarn_pageserver_rebuilt_versions_total",
						    NULL, "Versions applied to rebuild pages");
	return ps;
}

void pageserver_free(struct pageserver *ps)
{
	if (!ps)
		return;
	page_cache_free(ps->cache);
	free(ps);
}

/* In slices, so that a receiver that fell asleep is woken again. */
int ps_wait(struct pageserver *ps, struct ps_timeline *tl, tarn_lsn lsn, int timeout_ms,
	    struct tarn_error *err)
{
	uint64_t deadline_us = tarn_mono_us() + (uint64_t)timeout_ms * 1000;
	while (ps_timeline_last_record_lsn(tl) < lsn) {
		if (ps->want_wal)
			ps->want_wal(ps->want_wal_arg, tl);
		int rc = ps_timeline_wait(tl, lsn, TARN_MIN(timeout_ms, 200), err);
		if (rc != TARN_E_TIMEOUT || tarn_mono_us() >= deadline_us)
			return rc;
	}
	return 0;
}

struct ps_store *ps_store_of(struct pageserver *ps)
{
	return ps->store;
}

/* ---- the cache before the store ---- */

static int saw_change(void *arg, const struct ps_key *key, tarn_lsn newest, struct tarn_error *err)
{
	(void)key;
	(void)newest;
	(void)err;
	*(bool *)arg = true;
	return 0;
}

/* The smallest key above a page's. */
static struct ps_key next_key(const struct ps_key *key)
{
	struct ps_key k = *key;
	if (++k.block == 0 && ++k.fork == 0)
		k.rel++;
	return k;
}

/*
 * Looks for the value at lsn. *fresh: the entry found in *hit is that value; otherwise it is an older
 * one, to which later versions must be applied. No entry: hit->version_lsn = 0.
 */
static int ask_cache(struct pageserver *ps, struct ps_timeline *tl, const struct ps_key *key,
		     tarn_lsn lsn, uint8_t *out, struct page_cache_hit *hit, bool *fresh,
		     struct tarn_error *err)
{
	*fresh = false;
	memset(hit, 0, sizeof *hit);
	if (!page_cache_get(ps->cache, tl, key, lsn, out, hit))
		return 0;
	if (hit->known_lsn < lsn) {
		bool changed = false;
		struct ps_key to = next_key(key);
		TRY(ps_timeline_touched(tl, key, &to, hit->known_lsn, lsn, saw_change, &changed,
					err));
		if (changed)
			return 0;
		hit->known_lsn = lsn;
		page_cache_put(ps->cache, tl, key, hit, out);
	}
	*fresh = true;
	return 0;
}

/* ---- small values ---- */

/* The newest IMAGE of a key that holds at most max bytes, through the cache. */
static int get_value(struct pageserver *ps, struct ps_timeline *tl, const struct ps_key *key,
		     tarn_lsn lsn, uint8_t out[PAGE_CACHE_MAX_VALUE_BYTES], size_t *len,
		     bool *absent, struct tarn_error *err)
{
	struct page_cache_hit hit;
	struct tarn_arena arena;
	struct ps_chain chain;
	bool fresh;
	lsn = TARN_MIN(lsn, ps_timeline_last_record_lsn(tl));
	TRY(ask_cache(ps, tl, key, lsn, out, &hit, &fresh, err));
	if (!fresh) {
		tarn_arena_init(&arena);
		int rc = ps_timeline_collect(tl, key, lsn, &arena, &chain, err);
		hit = (struct page_cache_hit){.version_lsn = lsn, .known_lsn = lsn, .absent = true};
		if (rc == 0 && chain.count > 0) {
			const struct ps_version *v = &chain.versions[chain.count - 1];
			if (v->kind != PS_VALUE_IMAGE || v->len > PAGE_CACHE_MAX_VALUE_BYTES)
				rc = tarn_fail(err, TARN_E_CORRUPT,
					       "a value of kind %u at " TARN_LSN_FMT
					       " is no small whole value",
					       key->kind, TARN_LSN_ARGS(v->lsn));
			else
				memcpy(out, v->bytes, v->len);
			hit.version_lsn = v->lsn;
			hit.len = v->len;
			hit.absent = false;
		}
		tarn_arena_release(&arena);
		if (rc != 0)
			return rc;
		page_cache_put(ps->cache, tl, key, &hit, out);
	}
	*absent = hit.absent;
	*len = hit.len;
	return 0;
}

int ps_rel_nblocks(struct pageserver *ps, struct ps_timeline *tl, const struct ps_relation *rel,
		   uint8_t fork, tarn_lsn lsn, uint32_t *nblocks, bool *absent,
		   struct tarn_error *err)
{
	struct ps_key key = {.kind = PS_KIND_RELSIZE,
			     .spc = rel->spc,
			     .db = rel->db,
			     .rel = rel->rel,
			     .fork = fork};
	uint8_t value[PAGE_CACHE_MAX_VALUE_BYTES];
	size_t len;
	*nblocks = 0;
	TRY(get_value(ps, tl, &key, lsn, value, &len, absent, err));
	if (*absent)
		return 0;
	if (len != 4)
		return tarn_fail(err, TARN_E_CORRUPT,
				 "the size of relation %u/%u/%u fork %u has %zu bytes", rel->spc,
				 rel->db, rel->rel, fork, len);
	*nblocks = get_le32(value);
	return 0;
}

int ps_relmap(struct pageserver *ps, struct ps_timeline *tl, uint32_t spc, uint32_t db,
	      tarn_lsn lsn, uint8_t out[512], bool *absent, struct tarn_error *err)
{
	struct ps_key key = {.kind = PS_KIND_DATABASE, .spc = spc, .db = db};
	uint8_t value[PAGE_CACHE_MAX_VALUE_BYTES];
	size_t len;
	TRY(get_value(ps, tl, &key, lsn, value, &len, absent, err));
	if (*absent)
		return 0;
	if (len != 512)
		return tarn_fail(err, TARN_E_CORRUPT,
				 "the relation map of database %u has %zu bytes, not 512", db, len);
	memcpy(out, value, 512);
	return 0;
}

int ps_slru_range(struct pageserver *ps, struct ps_timeline *tl, enum page_slru slru, tarn_lsn lsn,
		  uint32_t *first, uint32_t *last, bool *absent, struct tarn_error *err)
{
	struct ps_key key = {.kind = PS_KIND_SLRU_RANGE, .rel = slru};
	uint8_t value[PAGE_CACHE_MAX_VALUE_BYTES];
	size_t len;
	*first = *last = 0;
	TRY(get_value(ps, tl, &key, lsn, value, &len, absent, err));
	if (*absent)
		return 0;
	if (len != 8)
		return tarn_fail(err, TARN_E_CORRUPT, "the range of SLRU %d has %zu bytes, not 8",
				 (int)slru, len);
	*first = get_le32(value);
	*last = get_le32(value + 4);
	return 0;
}

/* ---- rebuilding ---- */

static int key_fail(const struct build *b, tarn_lsn lsn, struct tarn_error *err, const char *what)
{
	const struct ps_key *k = &b->want->key;
	if (k->kind == PS_KIND_SLRU)
		return tarn_fail(err, TARN_E_CORRUPT, "page %u of SLRU %u at " TARN_LSN_FMT ": %s",
				 k->block, k->rel, TARN_LSN_ARGS(lsn), what);
	return tarn_fail(err, TARN_E_CORRUPT,
			 "relation %u/%u/%u fork %u block %u at " TARN_LSN_FMT ": %s", k->spc,
			 k->db, k->rel, k->fork, k->block, TARN_LSN_ARGS(lsn), what);
}

static bool is_record(const struct ps_version *v)
{
	return v->kind == PS_VALUE_RECORD || v->kind == PS_VALUE_RECORD_INIT;
}

static int apply_one(struct build *b, const struct ps_version *v, struct tarn_error *err)
{
	uint8_t *page = b->want->out;
	switch (v->kind) {
	case PS_VALUE_IMAGE:
		if (v->len != PAGE_BYTES)
			return key_fail(b, v->lsn, err, "a page image that is no whole page");
		memcpy(page, v->bytes, PAGE_BYTES);
		break;
	case PS_VALUE_OP:
		if (!b->have_page)
			memset(page, 0, PAGE_BYTES);
		TRY(page_op_apply(page, v->bytes, v->len, v->lsn, err));
		break;
	case PS_VALUE_TOMBSTONE:
		return key_fail(b, v->lsn, err, "an end of the page inside its chain");
	case PS_VALUE_RECORD:
	case PS_VALUE_RECORD_INIT:
		return key_fail(b, v->lsn, err, "a log record where none can be applied");
	}
	b->have_page = true;
	return 0;
}

/* Applies what needs no redo host, up to the next record or the end. */
static int apply_until_record(struct build *b, struct tarn_error *err)
{
	while (b->next < b->chain.count) {
		const struct ps_version *v = &b->chain.versions[b->next];
		if (is_record(v) && b->want->key.kind == PS_KIND_REL)
			return 0;
		TRY(apply_one(b, v, err));
		b->next++;
	}
	return 0;
}

/* The run of records from next on. */
static void request_redo(struct build *b, struct tarn_arena *arena, struct redo_request *r)
{
	const struct ps_version *v = &b->chain.versions[b->next];
	const struct ps_key *k = &b->want->key;
	size_t n = 1;
	while (b->next + n < b->chain.count && is_record(&v[n]))
		n++;
	struct redo_record *records = tarn_arena_alloc(arena, n * sizeof *records);
	for (size_t i = 0; i < n; i++)
		records[i] = (struct redo_record){v[i].lsn, v[i].bytes, v[i].len};
	bool need_base = b->have_page && v[0].kind == PS_VALUE_RECORD;
	*r = (struct redo_request){.spc = k->spc,
				   .db = k->db,
				   .rel = k->rel,
				   .fork = k->fork,
				   .block = k->block,
				   .base = need_base ? b->want->out : NULL,
				   .records = records,
				   .count = n,
				   .out = b->want->out};
	b->next += n;
	b->have_page = true;
}

static int rebuild(struct pageserver *ps, struct build *builds, size_t count,
		   struct tarn_arena *arena, struct tarn_error *err)
{
	struct redo_request requests[PS_MAX_PAGES_PER_CALL];
	for (;;) {
		size_t n = 0;
		for (size_t i = 0; i < count; i++) {
			struct build *b = &builds[i];
			if (!b->to_rebuild)
				continue;
			TRY(apply_until_record(b, err));
			if (b->next < b->chain.count)
				request_redo(b, arena, &requests[n++]);
		}
		if (n == 0)
			return 0;
		TRY(redo_apply(ps->redo, requests, n, err));
	}
}

/* Drops what the cached page has in it already. */
static void start_from(struct build *b, const struct page_cache_hit *hit)
{
	if (hit->version_lsn == 0 || hit->absent || b->chain.count == 0 ||
	    b->chain.versions[0].lsn > hit->version_lsn)
		return;
	b->have_page = true;
	while (b->next < b->chain.count && b->chain.versions[b->next].lsn <= hit->version_lsn)
		b->next++;
}

/* From the cache, or what is needed to rebuild it. */
static int prepare(struct pageserver *ps, struct ps_timeline *tl, struct build *b,
		   struct tarn_arena *arena, struct tarn_error *err)
{
	struct page_want *w = b->want;
	struct page_cache_hit hit;
	bool fresh;
	b->lsn = TARN_MIN(w->lsn, ps_timeline_last_record_lsn(tl));
	w->absent = false;
	if (w->check_size) {
		struct ps_relation rel = {w->key.spc, w->key.db, w->key.rel};
		uint32_t nblocks;
		TRY(ps_rel_nblocks(ps, tl, &rel, w->key.fork, b->lsn, &nblocks, &w->absent, err));
		w->absent = w->absent || w->key.block >= nblocks;
		if (w->absent)
			return 0;
	}
	TRY(ask_cache(ps, tl, &w->key, b->lsn, w->out, &hit, &fresh, err));
	if (fresh) {
		tarn_counter_add(ps->cache_hits, 1);
		w->absent = hit.absent;
		if (hit.absent && w->check_size) {
			memset(w->out, 0, PAGE_BYTES);
			w->absent = false;
		}
		return 0;
	}
	tarn_counter_add(ps->cache_misses, 1);
	b->to_rebuild = true;
	TRY(ps_timeline_collect(tl, &w->key, b->lsn, arena, &b->chain, err));
	start_from(b, &hit);
	tarn_counter_add(ps->rebuilt_pages, 1);
	tarn_counter_add(ps->rebuilt_versions, b->chain.count - b->next);
	return 0;
}

static void finish(struct pageserver *ps, struct ps_timeline *tl, struct build *b, bool keep)
{
	struct page_want *w = b->want;
	struct page_cache_hit what = {
		.version_lsn = b->lsn, .known_lsn = b->lsn, .len = PAGE_BYTES};
	if (!b->to_rebuild)
		return;
	if (b->chain.count == 0) {
		what.absent = true;
		what.len = 0;
		w->absent = !w->check_size;
		if (w->check_size)
			memset(w->out, 0, PAGE_BYTES);
	} else {
		what.version_lsn = b->chain.versions[b->chain.count - 1].lsn;
	}
	if (keep)
		page_cache_put(ps->cache, tl, &w->key, &what, w->out);
}

static int get_pages(struct pageserver *ps, struct ps_timeline *tl, struct page_want *wants,
		     size_t count, bool keep, struct tarn_error *err)
{
	struct build builds[PS_MAX_PAGES_PER_CALL];
	struct tarn_arena arena;
	int rc = 0;
	TARN_CHECK(count <= PS_MAX_PAGES_PER_CALL);
	tarn_arena_init(&arena);
	memset(builds, 0, count * sizeof builds[0]);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		builds[i].want = &wants[i];
		rc = prepare(ps, tl, &builds[i], &arena, err);
	}
	if (rc == 0)
		rc = rebuild(ps, builds, count, &arena, err);
	for (size_t i = 0; rc == 0 && i < count; i++)
		finish(ps, tl, &builds[i], keep);
	tarn_arena_release(&arena);
	return rc;
}

int ps_get_pages(struct pageserver *ps, struct ps_timeline *tl, struct page_want *wants,
		 size_t count, struct tarn_error *err)
{
	return get_pages(ps, tl, wants, count, true, err);
}

/* out may be touched before a failure or an absence is known, so the work is done aside. */
static int get_one(struct pageserver *ps, struct ps_timeline *tl, const struct ps_key *key,
		   tarn_lsn lsn, bool check_size, bool keep, uint8_t out[PAGE_BYTES], bool *absent,
		   struct tarn_error *err)
{
	uint8_t page[PAGE_BYTES];
	struct page_want w = {.key = *key, .lsn = lsn, .check_size = check_size, .out = page};
	TRY(get_pages(ps, tl, &w, 1, keep, err));
	*absent = w.absent;
	if (!w.absent)
		memcpy(out, page, PAGE_BYTES);
	return 0;
}

int ps_get_page(struct pageserver *ps, struct ps_timeline *tl, const struct ps_relation *rel,
		uint8_t fork, uint32_t block, tarn_lsn lsn, uint8_t out[PAGE_BYTES], bool *absent,
		struct tarn_error *err)
{
	struct ps_key key = {.kind = PS_KIND_REL,
			     .spc = rel->spc,
			     .db = rel->db,
			     .rel = rel->rel,
			     .fork = fork,
			     .block = block};
	return get_one(ps, tl, &key, lsn, true, true, out, absent, err);
}

int ps_get_blocks(struct pageserver *ps, struct ps_timeline *tl, const struct ps_relation *rel,
		  uint8_t fork, const uint32_t *blocks, uint32_t count, tarn_lsn lsn, uint8_t *out,
		  bool *absent, struct tarn_error *err)
{
	struct page_want wants[PS_MAX_BLOCKS_PER_CALL];
	TARN_CHECK(count <= PS_MAX_BLOCKS_PER_CALL);
	_Static_assert(PS_MAX_BLOCKS_PER_CALL <= PS_MAX_PAGES_PER_CALL, "one call");
	for (uint32_t i = 0; i < count; i++)
		wants[i] = (struct page_want){.key = {.kind = PS_KIND_REL,
						      .spc = rel->spc,
						      .db = rel->db,
						      .rel = rel->rel,
						      .fork = fork,
						      .block = blocks[i]},
					      .lsn = lsn,
					      .check_size = true,
					      .out = out + (size_t)i * PAGE_BYTES};
	TRY(get_pages(ps, tl, wants, count, true, err));
	for (uint32_t i = 0; i < count; i++)
		absent[i] = wants[i].absent;
	return 0;
}

int ps_get_key_page(struct pageserver *ps, struct ps_timeline *tl, const struct ps_key *key,
		    tarn_lsn lsn, uint8_t out[PAGE_BYTES], bool *absent, struct tarn_error *err)
{
	return get_one(ps, tl, key, lsn, false, true, out, absent, err);
}

int ps_reconstruct(void *arg, struct ps_timeline *tl, const struct ps_key *key, tarn_lsn lsn,
		   uint8_t out[PAGE_BYTES], bool *absent, struct tarn_error *err)
{
	return get_one(arg, tl, key, lsn, false, false, out, absent, err);
}
