/* Implementation of layer.h. */
#include "base/system.h"
#include "pageserver/layer.h"

const struct ps_key ps_key_min = {0};
const struct ps_key ps_key_max = {UINT8_MAX,  UINT32_MAX, UINT32_MAX,
				  UINT32_MAX, UINT8_MAX,  UINT32_MAX};

int ps_key_compare(const struct ps_key *a, const struct ps_key *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->spc != b->spc)
		return a->spc < b->spc ? -1 : 1;
	if (a->db != b->db)
		return a->db < b->db ? -1 : 1;
	if (a->rel != b->rel)
		return a->rel < b->rel ? -1 : 1;
	if (a->fork != b->fork)
		return a->fork < b->fork ? -1 : 1;
	return a->block < b->block ? -1 : a->block > b->block;
}

struct ps_layer *ps_layer_new_mem(uint64_t order)
{
	struct ps_layer *l = tarn_calloc(1, sizeof *l);
	l->refs = 1;
	l->type = PS_LAYER_MEM;
	l->order = order;
	l->first = ps_key_min;
	l->last = ps_key_max;
	l->lo = 0;
	l->hi = UINT64_MAX;
	l->mem = ps_memlayer_new();
	return l;
}

struct ps_layer *ps_layer_new_file(struct ps_file *file, uint8_t level, uint64_t order)
{
	const struct ps_file_info *info = ps_file_info(file);
	struct ps_layer *l = tarn_calloc(1, sizeof *l);
	l->refs = 1;
	l->type = info->image ? PS_LAYER_IMAGE : PS_LAYER_DELTA;
	l->level = level;
	l->order = order;
	l->first = info->first;
	l->last = info->last;
	l->lo = info->lo;
	l->hi = info->hi;
	l->file = file;
	return l;
}

struct ps_layer *ps_layer_ref(struct ps_layer *l)
{
	__atomic_fetch_add(&l->refs, 1, __ATOMIC_RELAXED);
	return l;
}

void ps_layer_unref(struct ps_layer *l)
{
	if (!l || __atomic_sub_fetch(&l->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	ps_memlayer_free(l->mem);
	ps_file_free(l->file);
	free(l);
}

void ps_cursor_init(struct ps_cursor *c, struct ps_layer *layer)
{
	memset(c, 0, sizeof *c);
	c->layer = layer;
	if (layer->file)
		ps_file_cursor_init(&c->file, layer->file);
}

void ps_cursor_release(struct ps_cursor *c)
{
	if (c->layer->file)
		ps_file_cursor_release(&c->file);
}

static int take_mem(struct ps_cursor *c)
{
	c->valid = c->entry != NULL;
	if (c->valid) {
		c->lsn = c->entry->lsn;
		c->kind = (enum ps_value_kind)c->entry->kind;
		c->bytes = c->entry->bytes;
		c->len = c->entry->len;
	}
	return 0;
}

static int take_file(struct ps_cursor *c)
{
	c->valid = c->file.valid;
	if (c->valid) {
		c->key = c->file.key;
		c->lsn = c->file.lsn;
		c->kind = c->file.kind;
		c->bytes = c->file.bytes;
		c->len = c->file.len;
	}
	return 0;
}

int ps_cursor_seek(struct ps_cursor *c, const struct ps_key *key, tarn_lsn lsn,
		   struct tarn_error *err)
{
	if (c->layer->file) {
		TRY(ps_file_cursor_seek(&c->file, key, lsn, err));
		return take_file(c);
	}
	/* The common read asks for one key: find it by hash, order the rest only when moved on. */
	c->walk.m = NULL;
	c->key = *key;
	c->entry = ps_memlayer_find(c->layer->mem, key);
	while (c->entry && c->entry->lsn > lsn)
		c->entry = c->entry->prev;
	if (c->entry)
		return take_mem(c);
	return ps_cursor_next(c, err);
}

int ps_cursor_next(struct ps_cursor *c, struct tarn_error *err)
{
	if (c->layer->file) {
		TRY(ps_file_cursor_next(&c->file, err));
		return take_file(c);
	}
	if (c->entry)
		c->entry = c->entry->prev;
	if (!c->entry) {
		if (!c->walk.m) {
			struct ps_key seen;
			struct ps_mem_walk w;
			ps_mem_walk_init(&w, c->layer->mem, &c->key);
			c->walk = w;
			c->entry = ps_mem_walk_next(&c->walk, &seen);
			if (c->entry && ps_key_compare(&seen, &c->key) == 0)
				c->entry = ps_mem_walk_next(&c->walk, &seen);
			c->key = seen;
		} else {
			c->entry = ps_mem_walk_next(&c->walk, &c->key);
		}
	}
	return take_mem(c);
}

int ps_cursor_next_key(struct ps_cursor *c, struct tarn_error *err)
{
	if (!c->layer->file) {
		c->entry = NULL;
		return ps_cursor_next(c, err);
	}
	struct ps_key key = c->key;
	do
		TRY(ps_cursor_next(c, err));
	while (c->valid && ps_key_compare(&c->key, &key) == 0);
	return 0;
}

static int compare_layers(const void *a, const void *b)
{
	const struct ps_layer *x = *(struct ps_layer *const *)a, *y = *(struct ps_layer *const *)b;
	if (x->order != y->order)
		return x->order > y->order ? -1 : 1;
	return ps_key_compare(&x->first, &y->first);
}

struct ps_layer_set *ps_layer_set_new(struct ps_layer *const *layers, size_t count)
{
	struct ps_layer_set *s = tarn_calloc(1, sizeof *s);
	s->refs = 1;
	s->count = count;
	s->layers = tarn_calloc(count, sizeof s->layers[0]);
	s->runs = tarn_calloc(count, sizeof s->runs[0]);
	for (size_t i = 0; i < count; i++)
		s->layers[i] = ps_layer_ref(layers[i]);
	qsort(s->layers, count, sizeof s->layers[0], compare_layers);
	for (size_t i = 0; i < count; i++) {
		struct ps_layer *l = s->layers[i];
		struct ps_run *r = s->run_count ? &s->runs[s->run_count - 1] : NULL;
		if (!r || r->order != l->order) {
			r = &s->runs[s->run_count++];
			r->order = l->order;
			r->image = l->type == PS_LAYER_IMAGE;
			r->lo = l->lo;
			r->hi = l->hi;
			r->layers = &s->layers[i];
		} else {
			TARN_CHECK(ps_key_compare(&s->layers[i - 1]->last, &l->first) < 0);
			r->lo = TARN_MIN(r->lo, l->lo);
			r->hi = TARN_MAX(r->hi, l->hi);
		}
		r->count++;
	}
	return s;
}

struct ps_layer_set *ps_layer_set_ref(struct ps_layer_set *s)
{
	__atomic_fetch_add(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

void ps_layer_set_unref(struct ps_layer_set *s)
{
	if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	for (size_t i = 0; i < s->count; i++)
		ps_layer_unref(s->layers[i]);
	free(s->layers);
	free(s->runs);
	free(s);
}

struct ps_layer *ps_run_find(const struct ps_run *r, const struct ps_key *key)
{
	size_t lo = 0, hi = r->count; /* the last layer with first <= key is in [lo - 1, hi) */
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (ps_key_compare(&r->layers[mid]->first, key) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0 || ps_key_compare(&r->layers[lo - 1]->last, key) < 0)
		return NULL;
	return r->layers[lo - 1];
}
