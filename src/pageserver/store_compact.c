/*
 * Compaction: when a level holds FAN_IN runs, they become one run of the next level. So a read walks at most
 * FAN_IN - 1 runs per level, and a byte is rewritten once per level: with runs FAN_IN times as large at each
 * level, log(size / layer target) / log(FAN_IN) times in all.
 *
 * A key with many records since its last whole value gets one: the page as it is at the newest of them, so
 * that a read applies at most about MAX_CHAIN records per run.
 */
#include "base/system.h"
#include "base/log.h"
#include "pageserver/layer_merge.h"
#include "pageserver/layer_writer.h"
#include "pageserver/store_internal.h"

#define FAN_IN 8
#define MAX_CHAIN 32
#define OUTPUT_BYTES ((uint64_t)128 << 20) /* files of a run are cut at keys after this */
#define MAX_LEVEL 8
#define MAX_OUTPUTS 4096

struct output {
	struct ps_timeline *tl;
	struct ps_layer_writer *writer;
	struct ps_layer *layers[MAX_OUTPUTS];
	size_t count;
	uint8_t level;
	uint64_t order;
};

static int finish_file(struct output *o, struct tarn_error *err)
{
	struct ps_file_info info;
	if (!o->writer)
		return 0;
	struct ps_layer_writer *w = o->writer;
	o->writer = NULL;
	TRY(ps_layer_writer_finish(w, &info, err));
	TRY(ps_layer_upload(o->tl->store, &info, err));
	TARN_CHECK(o->count < MAX_OUTPUTS);
	o->layers[o->count++] =
		ps_layer_new_file(ps_file_new(&o->tl->store->files, &info), o->level, o->order);
	return 0;
}

static int add(struct output *o, const struct ps_key *key, tarn_lsn lsn, enum ps_value_kind kind,
	       const uint8_t *bytes, size_t len, struct tarn_error *err)
{
	char name[80];
	if (!o->writer) {
		ps_layer_name(o->tl, name);
		TRY(ps_layer_writer_open(&o->tl->store->files, name, &o->writer, err));
	}
	return ps_layer_writer_add(o->writer, key, lsn, kind, bytes, len, err);
}

/* How many versions a read of the merge's current key would have to apply. */
static bool is_long_chain(const struct ps_merge *m)
{
	return (m->key.kind == PS_KIND_REL || m->key.kind == PS_KIND_SLRU) &&
	       (m->kind == PS_VALUE_RECORD || m->kind == PS_VALUE_OP);
}

/* Counts ahead with a merge of its own: the chain's length from the newest version down to a base. */
static int chain_length(struct ps_layer *const *in, size_t n, const struct ps_key *key,
			size_t *length, struct tarn_error *err)
{
	struct ps_merge m;
	struct ps_key to = *key;
	*length = 0;
	if (to.block < UINT32_MAX)
		to.block++;
	ps_merge_init(&m, key, &to);
	for (size_t i = 0; i < n; i++)
		ps_merge_add(&m, in[i], UINT64_MAX);
	int rc = ps_merge_start(&m, err);
	while (rc == 0 && m.valid && ps_key_compare(&m.key, key) == 0 && *length <= MAX_CHAIN) {
		++*length;
		if (m.kind != PS_VALUE_RECORD && m.kind != PS_VALUE_OP)
			break;
		rc = ps_merge_next(&m, err);
	}
	ps_merge_release(&m);
	return rc;
}

static int add_image(struct output *o, const struct ps_key *key, tarn_lsn lsn,
		     struct tarn_error *err)
{
	const struct ps_store_config *c = &o->tl->store->config;
	uint8_t page[8192];
	bool absent = false;
	struct tarn_error e = {0};
	/* A page that cannot be rebuilt now keeps its records; reading it will tell. */
	if (c->reconstruct(c->reconstruct_arg, o->tl, key, lsn, page, &absent, &e) != 0) {
		log_warn("no image made", "rel=%u block=%u reason=\"%s\"", key->rel, key->block,
			 e.message);
		return 0;
	}
	return absent ? 0 : add(o, key, lsn, PS_VALUE_IMAGE, page, sizeof page, err);
}

static int merge_all(struct output *o, struct ps_layer *const *in, size_t n, struct tarn_error *err)
{
	struct ps_merge m;
	struct ps_key last = {0};
	bool first = true;
	int rc = 0;
	ps_merge_init(&m, &ps_key_min, NULL);
	for (size_t i = 0; i < n; i++)
		ps_merge_add(&m, in[i], UINT64_MAX);
	rc = ps_merge_start(&m, err);
	while (rc == 0 && m.valid) {
		bool new_key = first || ps_key_compare(&m.key, &last) != 0;
		if (new_key && o->writer && ps_layer_writer_bytes(o->writer) > OUTPUT_BYTES)
			rc = finish_file(o, err);
		if (rc == 0 && new_key && o->tl->store->config.reconstruct && is_long_chain(&m)) {
			size_t length;
			rc = chain_length(in, n, &m.key, &length, err);
			if (rc == 0 && length > MAX_CHAIN)
				rc = add_image(o, &m.key, m.lsn, err);
		}
		if (rc == 0)
			rc = add(o, &m.key, m.lsn, m.kind, m.bytes, m.len, err);
		last = m.key;
		first = false;
		if (rc == 0)
			rc = ps_merge_next(&m, err);
	}
	ps_merge_release(&m);
	return rc == 0 ? finish_file(o, err) : rc;
}

/* The outputs take the place of the inputs in the set. */
static void swap(struct ps_timeline *tl, struct ps_layer *const *in, size_t n,
		 const struct output *o)
{
	pthread_mutex_lock(&tl->lock);
	struct ps_layer **all = tarn_calloc(tl->set->count + o->count, sizeof *all);
	size_t kept = 0;
	for (size_t i = 0; i < tl->set->count; i++) {
		bool gone = false;
		for (size_t k = 0; k < n; k++)
			gone = gone || tl->set->layers[i] == in[k];
		if (!gone)
			all[kept++] = tl->set->layers[i];
	}
	memcpy(all + kept, o->layers, o->count * sizeof *all);
	ps_timeline_swap_layers(tl, ps_layer_set_new(all, kept + o->count));
	pthread_mutex_unlock(&tl->lock);
	free(all);
}

static int compact_runs(struct ps_timeline *tl, struct ps_layer *const *in, size_t n, uint8_t level,
			uint64_t order, struct tarn_error *err)
{
	struct output *o = tarn_calloc(1, sizeof *o);
	uint64_t began = tarn_mono_us();
	o->tl = tl;
	o->level = level;
	o->order = order;
	int rc = merge_all(o, in, n, err);
	if (rc == 0) {
		swap(tl, in, n, o);
		rc = ps_timeline_write_index(tl, err);
		log_info("compacted", "branch=%s level=%u layers=%zu into=%zu ms=%.0f", tl->name,
			 level, n, o->count, (double)(tarn_mono_us() - began) / 1000);
		tarn_counter_add(tl->store->compactions, 1);
	}
	/* Objects go after the index that no longer lists them is there. */
	for (size_t i = 0; rc == 0 && i < n; i++) {
		ps_file_forget(in[i]->file);
		(void)objstore_delete(tl->store->config.objects, ps_file_info(in[i]->file)->name,
				      NULL);
	}
	ps_layer_writer_abort(o->writer);
	for (size_t i = 0; i < o->count; i++)
		ps_layer_unref(o->layers[i]);
	free(o);
	return rc;
}

/* Layers of consecutive runs of one level, oldest FAN_IN runs; 0 if there are not that many. */
static size_t choose(const struct ps_layer_set *set, uint8_t level, struct ps_layer **out,
		     uint64_t *order)
{
	size_t runs = 0, n = 0;
	for (size_t i = set->run_count; i > 0 && runs < FAN_IN; i--) {
		const struct ps_run *r = &set->runs[i - 1];
		if (r->layers[0]->type == PS_LAYER_MEM || r->layers[0]->level != level) {
			if (runs > 0)
				break;
			continue;
		}
		runs++;
		*order = r->order; /* of the newest taken */
		for (size_t k = 0; k < r->count; k++)
			out[n++] = r->layers[k];
	}
	return runs == FAN_IN ? n : 0;
}

/* Merging wants the newest first. */
static void reverse_by_order(struct ps_layer **l, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct ps_layer *x = l[i];
		size_t k = i;
		for (; k > 0 && l[k - 1]->order < x->order; k--)
			l[k] = l[k - 1];
		l[k] = x;
	}
}

int ps_timeline_compact(struct ps_timeline *tl, bool *did, struct tarn_error *err)
{
	int rc = 0;
	*did = false;
	struct ps_layer_set *set = ps_timeline_layers(tl);
	struct ps_layer **in = tarn_calloc(set->count + 1, sizeof *in);
	for (uint8_t level = 0; level < MAX_LEVEL && !*did && rc == 0; level++) {
		uint64_t order = 0;
		size_t n = choose(set, level, in, &order);
		if (n == 0)
			continue;
		reverse_by_order(in, n);
		rc = compact_runs(tl, in, n, (uint8_t)(level + 1), order, err);
		*did = rc == 0;
	}
	free(in);
	ps_layer_set_unref(set);
	return rc;
}
