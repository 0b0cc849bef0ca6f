/* Implementation of toast.h. Layouts: Postgres 15, access/heaptoast.h and toast_internals.c. */
#include "base/system.h"
#include "lake/toast.h"
#include "lake/visibility.h"
#include "pg/btree.h"

#define FORK_MAIN 0
/* TOAST_MAX_CHUNK_SIZE of 8 KiB pages: four chunks to a page. */
#define CHUNK_BYTES 1996u
#define CHUNKS_PER_PAGE 4u
#define CHUNK_COLUMNS 3
/* Direct-mapped. Values of neighbouring rows are neighbours in the TOAST relation. */
#define CACHE_SLOTS 16u
/* What the best-compressing input can expand to, per byte. */
#define MAX_EXPANSION 256u
/* Of the buffer for compressed values, from one to the next. */
#define MAX_KEPT_BYTES (4 * MIB)

struct page_slot {
	uint8_t *bytes; /* NULL: never used */
	uint32_t block;
};
struct page_cache {
	struct lake_rel rel;
	struct page_slot slots[CACHE_SLOTS];
};
struct lake_toast_cache {
	/* What the pages are of. */
	const struct lake_source *source;
	tarn_lsn lsn;
	uint32_t nblocks; /* of heap */
	struct page_cache heap, index;
	struct tarn_buf scratch; /* a value as stored, still compressed */
};
struct fetch {
	struct lake_snapshot *snapshot;
	struct lake_toast_cache *cache;
	uint32_t value_id;
	uint8_t *out;
	uint32_t size, got;
	int32_t next_seq;
};

/* ---- pages ---- */

static void page_cache_clear(struct page_cache *p)
{
	for (uint32_t i = 0; i < CACHE_SLOTS; i++)
		free(p->slots[i].bytes);
	memset(p, 0, sizeof *p);
}

static int cached_page(const struct lake_toast_cache *c, struct page_cache *p, uint32_t block,
		       const uint8_t **bytes, struct tarn_error *err)
{
	struct page_slot *slot = &p->slots[block % CACHE_SLOTS];
	if (slot->bytes == NULL || slot->block != block) {
		uint8_t *fresh = slot->bytes != NULL ? slot->bytes : tarn_malloc(PG_PAGE_BYTES);
		slot->bytes = NULL; /* not to be found if the read fails half-way */
		bool absent = false;
		int rc = c->source->get_page(c->source->arg, &p->rel, FORK_MAIN, block, c->lsn,
					     fresh, &absent, err);
		if (rc == 0 && absent)
			rc = tarn_fail(err, TARN_E_CORRUPT, "block %u of %u/%u/%u does not exist",
				       block, p->rel.spc, p->rel.db, p->rel.rel);
		if (rc != 0) {
			free(fresh);
			return rc;
		}
		slot->bytes = fresh;
		slot->block = block;
	}
	*bytes = slot->bytes;
	return 0;
}

static int index_page(void *arg, uint32_t block, uint8_t out[PG_PAGE_BYTES], struct tarn_error *err)
{
	struct lake_toast_cache *c = arg;
	const uint8_t *bytes;
	TRY(cached_page(c, &c->index, block, &bytes, err));
	memcpy(out, bytes, PG_PAGE_BYTES);
	return 0;
}

/* ---- chunks ---- */

static int chunk_of(const struct heap_tuple *t, const struct fetch *f, const struct btree_hit *hit,
		    struct varlena *data, struct tarn_error *err)
{
	static const struct pg_attr attrs[CHUNK_COLUMNS] = {
		{.len = 4, .align = 4}, {.len = 4, .align = 4}, {.len = -1, .align = 4}};
	struct pg_datum d[CHUNK_COLUMNS];
	TRY(tuple_deform(t, attrs, CHUNK_COLUMNS, d, err));
	for (int i = 0; i < CHUNK_COLUMNS; i++)
		if (d[i].bytes == NULL)
			return tarn_fail(err, TARN_E_CORRUPT, "a chunk has a NULL");
	if (get_le32(d[0].bytes) != f->value_id || (int32_t)get_le32(d[1].bytes) != hit->seq)
		return tarn_fail(err, TARN_E_CORRUPT, "the index points to chunk %d of value %u",
				 (int32_t)get_le32(d[1].bytes), get_le32(d[0].bytes));
	TRY(varlena_parse(d[2], data, err));
	if (data->form != VARLENA_INLINE)
		return tarn_fail(err, TARN_E_CORRUPT, "chunk %d is not stored plainly", hit->seq);
	return 0;
}

/* *found false: the entry is that of a row that is gone, or never came to be. */
static int open_chunk(struct fetch *f, const struct btree_hit *hit, struct varlena *data,
		      bool *found, struct tarn_error *err)
{
	const uint8_t *bytes;
	struct pg_page page;
	struct heap_tuple t;
	*found = false;
	TRY(cached_page(f->cache, &f->cache->heap, hit->heap_block, &bytes, err));
	TRY(heap_page_open(&page, bytes, err));
	if (hit->heap_item == 0 || hit->heap_item > page.nlines ||
	    pg_page_line(&page, hit->heap_item).state != PG_LINE_NORMAL)
		return 0;
	TRY(heap_page_tuple(&page, hit->heap_item, &t, err));
	TRY(lake_tuple_inserted(f->snapshot, &t, found, err));
	return *found ? chunk_of(&t, f, hit, data, err) : 0;
}

static int take_chunk(void *arg, const struct btree_hit *hit, struct tarn_error *err)
{
	struct fetch *f = arg;
	struct varlena data;
	bool found;
	TRY(open_chunk(f, hit, &data, &found, err));
	if (!found)
		return 0;
	if (hit->seq != f->next_seq)
		return tarn_fail(err, TARN_E_CORRUPT, "chunk %d comes where %d should", hit->seq,
				 f->next_seq);
	uint32_t want = TARN_MIN(f->size - f->got, CHUNK_BYTES);
	if (want == 0 || data.payload_len != want)
		return tarn_fail(err, TARN_E_CORRUPT, "chunk %d has %u bytes instead of %u",
				 hit->seq, data.payload_len, want);
	memcpy(f->out + f->got, data.payload, want);
	f->got += want;
	f->next_seq++;
	return 0;
}

/* ---- values ---- */

static void cache_clear(struct lake_toast_cache *c)
{
	page_cache_clear(&c->heap);
	page_cache_clear(&c->index);
	c->source = NULL;
}

void lake_reader_release(struct lake_reader *r)
{
	if (r->toast == NULL)
		return;
	cache_clear(r->toast);
	tarn_buf_release(&r->toast->scratch);
	free(r->toast);
	r->toast = NULL;
}

static bool same_rel(const struct lake_rel *a, const struct lake_rel *b)
{
	return a->spc == b->spc && a->db == b->db && a->rel == b->rel;
}

/* Makes the cache one of the table's TOAST at the reader's snapshot. */
static int open_cache(struct lake_reader *r, struct tarn_error *err)
{
	const struct lake_table *t = r->table;
	const struct lake_source *source = lake_snapshot_source(r->snapshot);
	tarn_lsn lsn = lake_snapshot_lsn(r->snapshot);
	bool absent;
	if (r->toast == NULL)
		r->toast = tarn_calloc(1, sizeof *r->toast);
	struct lake_toast_cache *c = r->toast;
	if (c->source == source && c->lsn == lsn && same_rel(&c->heap.rel, &t->toast) &&
	    same_rel(&c->index.rel, &t->toast_index))
		return 0;
	cache_clear(c);
	c->heap.rel = t->toast;
	c->index.rel = t->toast_index;
	c->lsn = lsn;
	TRY(source->nblocks(source->arg, &t->toast, FORK_MAIN, lsn, &c->nblocks, &absent, err));
	if (absent)
		return tarn_fail(err, TARN_E_CORRUPT, "the TOAST relation %u has no file",
				 t->toast_relid);
	c->source = source;
	return 0;
}

/* The stored bytes, v->ext_len of them, into out. */
static int fetch_chunks(struct lake_reader *r, const struct varlena *v, uint8_t *out,
			struct tarn_error *err)
{
	struct fetch f = {.snapshot = r->snapshot,
			  .cache = r->toast,
			  .value_id = v->value_id,
			  .out = out,
			  .size = v->ext_len};
	const struct btree_pages pages = {r->toast, index_page};
	int rc = btree_scan_oid(&pages, v->value_id, take_chunk, &f, err);
	if (rc == 0 && f.got != f.size)
		rc = tarn_fail(err, TARN_E_CORRUPT, "there are %u bytes instead of %u", f.got,
			       f.size);
	if (rc != 0)
		return tarn_error_prefix(err, "value %u of TOAST relation %u", v->value_id,
					 v->toast_relid);
	return 0;
}

/* Room for a compressed value, unless its length is a lie. */
static int reserve(struct lake_reader *r, uint32_t stored, uint32_t raw_len, struct tarn_buf *out,
		   struct tarn_error *err)
{
	if (raw_len > (uint64_t)stored * MAX_EXPANSION)
		return tarn_fail(err, TARN_E_CORRUPT,
				 "a compressed value of %u bytes cannot expand to %u", stored,
				 raw_len);
	/* A buffer over the arena: it is never grown, for it is as large as what is put. */
	*out = (struct tarn_buf){tarn_arena_alloc(r->arena, raw_len), 0, raw_len};
	return 0;
}

static int fetch_external(struct lake_reader *r, const struct varlena *v, const uint8_t **bytes,
			  struct tarn_error *err)
{
	const struct lake_table *t = r->table;
	if (t == NULL || r->snapshot == NULL || t->toast_relid == 0 ||
	    t->toast_relid != v->toast_relid)
		return tarn_fail(err, TARN_E_CORRUPT,
				 "a value is in TOAST relation %u, but the table's is %u",
				 v->toast_relid, t != NULL ? t->toast_relid : 0);
	TRY(open_cache(r, err));
	struct lake_toast_cache *c = r->toast;
	if (v->ext_len > (uint64_t)c->nblocks * CHUNKS_PER_PAGE * CHUNK_BYTES)
		return tarn_fail(err, TARN_E_CORRUPT,
				 "value %u of TOAST relation %u has %u bytes: more than its %u "
				 "blocks hold",
				 v->value_id, v->toast_relid, v->ext_len, c->nblocks);
	if (!v->ext_compressed) {
		uint8_t *out = tarn_arena_alloc(r->arena, v->ext_len);
		*bytes = out;
		return fetch_chunks(r, v, out, err);
	}
	struct tarn_buf out;
	if (c->scratch.cap > MAX_KEPT_BYTES)
		tarn_buf_release(&c->scratch);
	tarn_buf_clear(&c->scratch);
	TRY(fetch_chunks(r, v, tarn_buf_extend(&c->scratch, v->ext_len), err));
	TRY(reserve(r, v->ext_len, v->raw_len, &out, err));
	if (varlena_decompress_toasted(c->scratch.data, c->scratch.len, v->raw_len, &out, err) != 0)
		return tarn_error_prefix(err, "value %u of TOAST relation %u", v->value_id,
					 v->toast_relid);
	*bytes = out.data;
	return 0;
}

int lake_detoast(struct lake_reader *r, struct pg_datum d, const uint8_t **bytes, uint32_t *len,
		 struct tarn_error *err)
{
	struct varlena v;
	struct tarn_buf out;
	TRY(varlena_parse(d, &v, err));
	*len = v.raw_len;
	switch (v.form) {
	case VARLENA_INLINE:
		*bytes = v.payload;
		return 0;
	case VARLENA_COMPRESSED:
		TRY(reserve(r, v.payload_len, v.raw_len, &out, err));
		TRY(varlena_decompress(v.method, v.payload, v.payload_len, v.raw_len, &out, err));
		*bytes = out.data;
		return 0;
	case VARLENA_EXTERNAL:
		return fetch_external(r, &v, bytes, err);
	}
	return tarn_fail(err, TARN_E_INTERNAL, "a value of an unknown form");
}
