/*
 * The store's worker: frozen in-memory layers become files, files are uploaded, an index object says so,
 * memory is let go; then compaction and eviction. One round looks at every timeline once.
 */
#include "base/system.h"
#include "base/log.h"
#include "io/file.h"
#include "pageserver/layer_writer.h"
#include "pageserver/store_internal.h"

#define ROUND_MS 500
#define RETRY_MS 2000
#define IDLE_FLUSH_US (30u * 1000 * 1000) /* an idle timeline's tail becomes durable after this */
#define THROTTLE_WAIT_US 20000

void ps_worker_kick(struct ps_store *s)
{
	pthread_mutex_lock(&s->work_lock);
	s->kicked = true;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->work_lock);
}

void ps_timeline_freeze(struct ps_timeline *tl)
{
	struct ps_layer *l = tl->active;
	if (!l)
		return;
	l->hi = ps_memlayer_last_lsn(l->mem);
	l->advance_lsn = tl->last_record_lsn;
	l->advance_prev_lsn = tl->prev_record_lsn;
	__atomic_store_n(&l->frozen_us, tarn_mono_us(), __ATOMIC_RELEASE);
	tl->active = NULL;
	ps_worker_kick(tl->store);
}

void ps_store_throttle(struct ps_store *s)
{
	size_t limit = s->config.mem_limit_bytes;
	if (!limit || !s->worker_started ||
	    __atomic_load_n(&s->mem_used_bytes, __ATOMIC_RELAXED) <= limit)
		return;
	/* One pause of bounded length per put: the writer slows down, it does not stop for good. */
	pthread_mutex_lock(&s->work_lock);
	s->kicked = true;
	pthread_cond_signal(&s->work);
	ps_cond_wait_until(&s->worked, &s->work_lock, tarn_mono_us() + THROTTLE_WAIT_US);
	pthread_mutex_unlock(&s->work_lock);
}

void ps_layer_name(struct ps_timeline *tl, char out[80])
{
	char id[TARN_ID_TEXT_BYTES];
	tarn_id_format(&tl->id, id);
	tarn_snprintf(out, 80, "timelines/%s/layers/%08" PRIx64 "-%010" PRIx64, id,
		      tl->store->generation, ++tl->next_layer);
}

int ps_layer_upload(struct ps_store *s, const struct ps_file_info *info, struct tarn_error *err)
{
	char *path = ps_file_local_path(&s->files, info->name);
	int rc = objstore_put_file(s->config.objects, info->name, path, err);
	if (rc == 0)
		tarn_counter_add(s->uploaded_bytes, info->bytes);
	free(path);
	return rc;
}

/* All versions of the layer, keys up, LSNs down. */
static int write_mem(struct ps_layer_writer *w, const struct ps_layer *l, struct tarn_error *err)
{
	struct ps_mem_walk walk;
	struct ps_key key;
	const struct ps_mem_entry *e;
	ps_mem_walk_init(&walk, l->mem, &ps_key_min);
	while ((e = ps_mem_walk_next(&walk, &key)))
		for (; e; e = e->prev)
			TRY(ps_layer_writer_add(w, &key, e->lsn, (enum ps_value_kind)e->kind,
						e->bytes, e->len, err));
	return 0;
}

static int make_file(struct ps_timeline *tl, const struct ps_layer *l, struct ps_file_info *info,
		     struct tarn_error *err)
{
	struct ps_layer_writer *w;
	char name[80];
	ps_layer_name(tl, name);
	TRY(ps_layer_writer_open(&tl->store->files, name, &w, err));
	int rc = write_mem(w, l, err);
	if (rc != 0) {
		ps_layer_writer_abort(w);
		return rc;
	}
	TRY(ps_layer_writer_finish(w, info, err));
	return ps_layer_upload(tl->store, info, err);
}

/* fresh takes old's place in the set. */
static void replace_layer(struct ps_timeline *tl, const struct ps_layer *old,
			  struct ps_layer *fresh)
{
	pthread_mutex_lock(&tl->lock);
	size_t n = tl->set->count;
	struct ps_layer **all = tarn_calloc(n, sizeof *all);
	for (size_t i = 0; i < n; i++)
		all[i] = tl->set->layers[i] == old ? fresh : tl->set->layers[i];
	ps_timeline_swap_layers(tl, ps_layer_set_new(all, n));
	tl->remote_lsn = old->advance_lsn;
	tl->remote_prev_lsn = old->advance_prev_lsn;
	pthread_mutex_unlock(&tl->lock);
	free(all);
}

/* The oldest frozen layer, referenced, or NULL. */
static struct ps_layer *oldest_frozen(struct ps_timeline *tl)
{
	struct ps_layer *found = NULL;
	pthread_mutex_lock(&tl->lock);
	for (size_t i = 0; i < tl->set->count; i++)
		if (tl->set->layers[i]->type == PS_LAYER_MEM)
			found = tl->set->layers[i]; /* the set goes from new to old */
	/* advance_lsn is set when frozen, before the worker is told; a growing layer has none. */
	if (found && __atomic_load_n(&found->frozen_us, __ATOMIC_ACQUIRE) == 0)
		found = NULL;
	if (found)
		ps_layer_ref(found);
	pthread_mutex_unlock(&tl->lock);
	return found;
}

static int flush_one(struct ps_timeline *tl, struct ps_layer *l, struct tarn_error *err)
{
	struct ps_file_info info;
	size_t mem_bytes = ps_memlayer_bytes(l->mem);
	TRY(make_file(tl, l, &info, err));
	struct ps_layer *fresh =
		ps_layer_new_file(ps_file_new(&tl->store->files, &info), 0, l->order);
	replace_layer(tl, l, fresh);
	ps_layer_unref(fresh);
	__atomic_fetch_sub(&tl->store->mem_used_bytes, mem_bytes, __ATOMIC_RELAXED);
	tarn_counter_add(tl->store->flushed_layers, 1);
	return ps_timeline_write_index(tl, err);
}

static void fill_index(struct ps_timeline *tl, struct ps_index *x)
{
	memset(x, 0, sizeof *x);
	x->id = tl->id;
	memcpy(x->name, tl->name, sizeof x->name);
	x->deleted = tl->deleted;
	x->has_parent = tl->parent != NULL;
	if (tl->parent)
		x->parent = tl->parent->id;
	x->start_lsn = tl->start_lsn;
	x->start_prev_lsn = tl->start_prev_lsn;
	pthread_mutex_lock(&tl->lock);
	x->last_record_lsn = tl->remote_lsn;
	x->prev_record_lsn = tl->remote_prev_lsn;
	x->layers = tarn_calloc(tl->set->count, sizeof x->layers[0]);
	for (size_t i = 0; i < tl->set->count && !x->deleted; i++) {
		const struct ps_layer *l = tl->set->layers[i];
		if (l->type == PS_LAYER_MEM)
			continue;
		struct ps_index_layer *e = &x->layers[x->layer_count++];
		e->info = *ps_file_info(l->file);
		e->level = l->level;
		e->order = l->order;
		x->next_order = TARN_MAX(x->next_order, l->order / 2 + 1);
	}
	pthread_mutex_unlock(&tl->lock);
}

int ps_timeline_write_index(struct ps_timeline *tl, struct tarn_error *err)
{
	struct ps_store *s = tl->store;
	struct tarn_buf text = TARN_BUF_INIT;
	struct ps_index x;
	char name[96];
	if (!s->config.objects)
		return 0;
	pthread_mutex_lock(&tl->index_lock);
	fill_index(tl, &x);
	ps_index_encode(&x, s->system_identifier, s->generation, &text);
	ps_index_name(name, &tl->id, s->generation, tl->index_seq + 1);
	int rc = objstore_put(s->config.objects, name, text.data, text.len, err);
	if (rc == 0) {
		tl->index_seq++;
		/* Older ones of our own generation are ours to remove; one stays for the curious. */
		if (tl->index_seq > 2) {
			ps_index_name(name, &tl->id, s->generation, tl->index_seq - 2);
			(void)objstore_delete(s->config.objects, name, NULL);
		}
	}
	pthread_mutex_unlock(&tl->index_lock);
	ps_index_release(&x);
	tarn_buf_release(&text);
	return rc;
}

static void freeze_if_due(struct ps_timeline *tl, bool all)
{
	pthread_mutex_lock(&tl->writer);
	if (tl->active && ps_memlayer_last_lsn(tl->active->mem) <= tl->last_record_lsn &&
	    (all || tarn_mono_us() - tl->active_since_us > IDLE_FLUSH_US))
		ps_timeline_freeze(tl);
	pthread_mutex_unlock(&tl->writer);
}

static int round_of_timeline(struct ps_timeline *tl, bool all, struct tarn_error *err)
{
	struct ps_layer *l;
	bool did = true;
	freeze_if_due(tl, all);
	while ((l = oldest_frozen(tl))) {
		int rc = flush_one(tl, l, err);
		ps_layer_unref(l);
		TRY(rc);
	}
	while (did)
		TRY(ps_timeline_compact(tl, &did, err));
	return 0;
}

/* Local copies beyond the limit go, those used longest ago first. */
static void evict(struct ps_store *s, struct ps_timeline **tls, size_t n)
{
	while (s->config.disk_limit_bytes &&
	       __atomic_load_n(&s->files.local_bytes, __ATOMIC_RELAXED) >
		       s->config.disk_limit_bytes) {
		struct ps_layer *oldest = NULL;
		for (size_t i = 0; i < n; i++) {
			struct ps_layer_set *set = ps_timeline_layers(tls[i]);
			for (size_t k = 0; k < set->count; k++) {
				struct ps_layer *l = set->layers[k];
				if (!l->file || !ps_file_is_local(l->file))
					continue;
				if (!oldest || ps_file_last_use_us(l->file) <
						       ps_file_last_use_us(oldest->file)) {
					ps_layer_unref(oldest);
					oldest = ps_layer_ref(l);
				}
			}
			ps_layer_set_unref(set);
		}
		if (!oldest)
			return;
		ps_file_evict(oldest->file);
		ps_layer_unref(oldest);
		tarn_counter_add(s->evictions, 1);
	}
}

static int do_round(struct ps_store *s, bool all, struct tarn_error *err)
{
	int rc = 0;
	pthread_mutex_lock(&s->lock);
	size_t n = s->timeline_count;
	struct ps_timeline **tls = tarn_memdup(s->timelines, n * sizeof *tls);
	for (size_t i = 0, kept = 0; i < s->timeline_count; i++)
		if (tls[i]->deleted)
			n--;
		else
			tls[kept++] = tls[i];
	pthread_mutex_unlock(&s->lock);
	for (size_t i = 0; i < n; i++) {
		struct tarn_error e = {0};
		int r = round_of_timeline(tls[i], all, &e);
		if (r != 0 && rc == 0) {
			rc = r;
			*err = e;
		}
	}
	evict(s, tls, n);
	free(tls);
	return rc;
}

static void *worker_main(void *arg)
{
	struct ps_store *s = arg;
	bool stop = false;
	while (!stop) {
		struct tarn_error err = {0};
		pthread_mutex_lock(&s->work_lock);
		if (!s->kicked && !s->stopping)
			ps_cond_wait_until(&s->work, &s->work_lock,
					   tarn_mono_us() +
						   (s->failed ? RETRY_MS : ROUND_MS) * 1000u);
		stop = s->stopping;
		bool all = stop || s->rounds_begun > s->rounds_done;
		uint64_t round = s->rounds_begun;
		s->kicked = false;
		pthread_mutex_unlock(&s->work_lock);
		int rc = do_round(s, all, &err);
		pthread_mutex_lock(&s->work_lock);
		if (rc != 0 && (!s->failed || strcmp(err.message, s->error.message) != 0))
			log_error("layers could not be made durable, will try again",
				  "reason=\"%s\"", err.message);
		s->failed = rc != 0;
		s->error = err;
		s->rounds_done = TARN_MAX(s->rounds_done, round);
		pthread_cond_broadcast(&s->worked);
		pthread_mutex_unlock(&s->work_lock);
	}
	return NULL;
}

int ps_worker_start(struct ps_store *s, struct tarn_error *err)
{
	if (pthread_create(&s->worker, NULL, worker_main, s) != 0)
		return tarn_fail(err, TARN_E_LIMIT, "cannot start the store's worker thread");
	s->worker_started = true;
	return 0;
}

int ps_worker_stop(struct ps_store *s, struct tarn_error *err)
{
	if (!s->worker_started)
		return 0;
	pthread_mutex_lock(&s->work_lock);
	s->stopping = true;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->work_lock);
	pthread_join(s->worker, NULL);
	s->worker_started = false;
	return s->failed ? tarn_fail(err, s->error.code, "%s", s->error.message) : 0;
}

int ps_timeline_flush(struct ps_timeline *tl, struct tarn_error *err)
{
	struct ps_store *s = tl->store;
	int rc = 0;
	if (!s->worker_started)
		return 0;
	pthread_mutex_lock(&s->work_lock);
	uint64_t round = ++s->rounds_begun;
	s->kicked = true;
	pthread_cond_signal(&s->work);
	while (s->rounds_done < round)
		pthread_cond_wait(&s->worked, &s->work_lock);
	if (s->failed)
		rc = tarn_fail(err, s->error.code, "%s", s->error.message);
	pthread_mutex_unlock(&s->work_lock);
	return rc;
}
