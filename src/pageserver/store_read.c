/*
 * The readers' side of a timeline. A read names an LSN and sees, on the timeline and its ancestors,
 * the versions at or below it: on each ancestor at or below the LSN at which the branch left it.
 */
#include "base/system.h"
#include "pageserver/store_internal.h"

static bool is_base(enum ps_value_kind kind)
{
	return kind == PS_VALUE_IMAGE || kind == PS_VALUE_RECORD_INIT || kind == PS_VALUE_TOMBSTONE;
}

/* What a point read has found so far, newest first. */
struct gather {
	const struct ps_key *key;
	bool newest_only;
	struct tarn_arena *arena;
	struct ps_version *versions;
	size_t count, cap;
	bool complete; /* nothing older is needed */
};

static void gather_add(struct gather *g, const struct ps_cursor *c)
{
	if (g->count == g->cap) {
		size_t cap = g->cap ? g->cap * 2 : 8;
		struct ps_version *bigger = tarn_arena_alloc(g->arena, cap * sizeof *bigger);
		if (g->count)
			memcpy(bigger, g->versions, g->count * sizeof *bigger);
		g->versions = bigger;
		g->cap = cap;
	}
	g->versions[g->count++] = (struct ps_version){
		.lsn = c->lsn,
		.kind = c->kind,
		.bytes = tarn_arena_memdup(g->arena, c->bytes, c->len),
		.len = c->len,
	};
	g->complete = is_base(c->kind) || g->newest_only;
}

static int gather_layer(struct gather *g, struct ps_layer *layer, tarn_lsn lsn,
			struct tarn_error *err)
{
	struct ps_cursor c;
	ps_cursor_init(&c, layer);
	int rc = ps_cursor_seek(&c, g->key, lsn, err);
	while (rc == 0 && c.valid && ps_key_compare(&c.key, g->key) == 0) {
		gather_add(g, &c);
		if (g->complete)
			break;
		rc = ps_cursor_next(&c, err);
	}
	ps_cursor_release(&c);
	if (rc == 0 && layer->type == PS_LAYER_IMAGE)
		g->complete = true; /* what is not in it did not exist then */
	return rc;
}

static int gather_timeline(struct gather *g, struct ps_timeline *tl, tarn_lsn lsn,
			   struct tarn_error *err)
{
	int rc = 0;
	struct ps_layer_set *set = ps_timeline_layers(tl);
	for (size_t i = 0; rc == 0 && !g->complete && i < set->run_count; i++) {
		const struct ps_run *run = &set->runs[i];
		if (run->lo > lsn)
			continue;
		struct ps_layer *layer = ps_run_find(run, g->key);
		if (layer && layer->lo <= lsn)
			rc = gather_layer(g, layer, lsn, err);
	}
	ps_layer_set_unref(set);
	return rc;
}

static int gather_run(struct gather *g, struct ps_timeline *tl, tarn_lsn lsn,
		      struct tarn_error *err)
{
	lsn = TARN_MIN(lsn, ps_timeline_last_record_lsn(tl));
	for (; tl && !g->complete; tl = tl->parent) {
		TRY(gather_timeline(g, tl, lsn, err));
		lsn = TARN_MIN(lsn, tl->start_lsn);
	}
	return 0;
}

int ps_timeline_collect(struct ps_timeline *tl, const struct ps_key *key, tarn_lsn lsn,
			struct tarn_arena *arena, struct ps_chain *out, struct tarn_error *err)
{
	struct gather g = {.key = key, .arena = arena};
	out->versions = NULL;
	out->count = 0;
	TRY(gather_run(&g, tl, lsn, err));
	if (g.count && g.versions[g.count - 1].kind == PS_VALUE_TOMBSTONE)
		g.count--; /* a page that came again after its end begins with nothing */
	for (size_t i = 0; i < g.count / 2; i++) {
		struct ps_version v = g.versions[i];
		g.versions[i] = g.versions[g.count - 1 - i];
		g.versions[g.count - 1 - i] = v;
	}
	out->versions = g.versions;
	out->count = g.count;
	return 0;
}

static int not_an_image(const struct ps_key *key, tarn_lsn lsn, struct tarn_error *err)
{
	return tarn_fail(err, TARN_E_INTERNAL,
			 "key kind %u spc %u db %u rel %u fork %u block %u has at " TARN_LSN_FMT
			 " a version that is no whole value",
			 key->kind, key->spc, key->db, key->rel, key->fork, key->block,
			 TARN_LSN_ARGS(lsn));
}

int ps_timeline_get(struct ps_timeline *tl, const struct ps_key *key, tarn_lsn lsn,
		    struct tarn_buf *out, bool *absent, struct tarn_error *err)
{
	struct tarn_arena arena;
	tarn_arena_init(&arena);
	struct gather g = {.key = key, .arena = &arena, .newest_only = true};
	int rc = gather_run(&g, tl, lsn, err);
	*absent = true;
	if (rc == 0 && g.count > 0 && g.versions[0].kind != PS_VALUE_TOMBSTONE) {
		if (g.versions[0].kind != PS_VALUE_IMAGE)
			rc = not_an_image(key, g.versions[0].lsn, err);
		else
			tarn_buf_put(out, g.versions[0].bytes, g.versions[0].len);
		*absent = false;
	}
	tarn_arena_release(&arena);
	return rc;
}
