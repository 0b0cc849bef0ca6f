/* Implementation of layer_merge.h: a binary heap of cursors by (key, age). */
#include "base/system.h"
#include "pageserver/layer_merge.h"

struct ps_merge_source {
	struct ps_cursor cursor;
	tarn_lsn lsn;
	bool opened;
	struct ps_key bound; /* of a source not opened: no key of it is below */
};

void ps_merge_init(struct ps_merge *m, const struct ps_key *from, const struct ps_key *to)
{
	memset(m, 0, sizeof *m);
	m->from = *from;
	m->unbounded = to == NULL;
	if (to)
		m->to = *to;
}

void ps_merge_release(struct ps_merge *m)
{
	for (size_t i = 0; i < m->source_count; i++)
		if (m->sources[i].opened)
			ps_cursor_release(&m->sources[i].cursor);
	free(m->sources);
	free(m->heap);
	m->sources = NULL;
	m->heap = NULL;
	m->source_count = m->heap_count = 0;
}

void ps_merge_add(struct ps_merge *m, struct ps_layer *layer, tarn_lsn lsn)
{
	if (layer->lo > lsn || ps_key_compare(&layer->last, &m->from) < 0 ||
	    (!m->unbounded && ps_key_compare(&layer->first, &m->to) >= 0))
		return;
	if (m->source_count == m->source_cap) {
		m->source_cap = m->source_cap ? m->source_cap * 2 : 16;
		m->sources = tarn_realloc(m->sources, m->source_cap * sizeof m->sources[0]);
	}
	struct ps_merge_source *s = &m->sources[m->source_count++];
	memset(s, 0, sizeof *s);
	s->cursor.layer = layer;
	s->lsn = lsn;
	s->bound = ps_key_compare(&layer->first, &m->from) > 0 ? layer->first : m->from;
}

static const struct ps_key *position(const struct ps_merge *m, size_t source)
{
	const struct ps_merge_source *s = &m->sources[source];
	return s->opened ? &s->cursor.key : &s->bound;
}

static bool before(const struct ps_merge *m, size_t a, size_t b)
{
	int c = ps_key_compare(position(m, a), position(m, b));
	return c ? c < 0 : a < b;
}

static void sift_down(struct ps_merge *m, size_t i)
{
	for (;;) {
		size_t least = i;
		for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < m->heap_count; child++)
			if (before(m, m->heap[child], m->heap[least]))
				least = child;
		if (least == i)
			return;
		size_t t = m->heap[i];
		m->heap[i] = m->heap[least];
		m->heap[least] = t;
		i = least;
	}
}

/* The top source has moved: restores the heap, dropping the source if it is at its end. */
static void settle_top(struct ps_merge *m)
{
	const struct ps_cursor *c = &m->sources[m->heap[0]].cursor;
	if (!c->valid || (!m->unbounded && ps_key_compare(&c->key, &m->to) >= 0))
		m->heap[0] = m->heap[--m->heap_count];
	if (m->heap_count)
		sift_down(m, 0);
}

static bool hidden(const struct ps_merge *m, size_t source, const struct ps_key *key)
{
	for (size_t i = 0; i < source; i++) {
		const struct ps_layer *l = m->sources[i].cursor.layer;
		if (l->type == PS_LAYER_IMAGE && ps_key_compare(&l->first, key) <= 0 &&
		    ps_key_compare(&l->last, key) >= 0)
			return true;
	}
	return false;
}

/* Brings the next entry that counts to the top. */
static int settle(struct ps_merge *m, struct tarn_error *err)
{
	while (m->heap_count) {
		size_t top = m->heap[0];
		struct ps_merge_source *s = &m->sources[top];
		if (!s->opened) {
			ps_cursor_init(&s->cursor, s->cursor.layer);
			s->opened = true;
			TRY(ps_cursor_seek(&s->cursor, &s->bound, UINT64_MAX, err));
			settle_top(m);
		} else if (s->cursor.lsn > s->lsn) {
			TRY(ps_cursor_next(&s->cursor, err));
			settle_top(m);
		} else if (hidden(m, top, &s->cursor.key)) {
			TRY(ps_cursor_next_key(&s->cursor, err));
			settle_top(m);
		} else {
			m->valid = true;
			m->key = s->cursor.key;
			m->lsn = s->cursor.lsn;
			m->kind = s->cursor.kind;
			m->bytes = s->cursor.bytes;
			m->len = s->cursor.len;
			return 0;
		}
	}
	m->valid = false;
	return 0;
}

int ps_merge_start(struct ps_merge *m, struct tarn_error *err)
{
	m->heap = tarn_calloc(m->source_count, sizeof m->heap[0]);
	m->heap_count = m->source_count;
	for (size_t i = 0; i < m->heap_count; i++)
		m->heap[i] = i;
	for (size_t i = m->heap_count / 2; i-- > 0;)
		sift_down(m, i);
	return settle(m, err);
}

int ps_merge_next(struct ps_merge *m, struct tarn_error *err)
{
	TRY(ps_cursor_next(&m->sources[m->heap[0]].cursor, err));
	settle_top(m);
	return settle(m, err);
}

int ps_merge_next_key(struct ps_merge *m, struct tarn_error *err)
{
	struct ps_key key = m->key;
	while (m->heap_count && ps_key_compare(position(m, m->heap[0]), &key) == 0) {
		struct ps_merge_source *s = &m->sources[m->heap[0]];
		if (!s->opened)
			break;
		TRY(ps_cursor_next_key(&s->cursor, err));
		settle_top(m);
	}
	TRY(settle(m, err));
	/* A source not opened before may begin with the key that was left. */
	if (m->valid && ps_key_compare(&m->key, &key) == 0)
		return ps_merge_next_key(m, err);
	return 0;
}
