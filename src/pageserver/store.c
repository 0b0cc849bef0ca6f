/* The store's frame: opening and closing, timelines, their names. See store.h and README.md. */
#include "base/system.h"
#include "io/file.h"
#include "pageserver/store_internal.h"

void ps_cond_init(pthread_cond_t *c)
{
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(c, &attr);
	pthread_condattr_destroy(&attr);
}

bool ps_cond_wait_until(pthread_cond_t *c, pthread_mutex_t *m, uint64_t deadline_us)
{
	struct timespec ts = {.tv_sec = (time_t)(deadline_us / 1000000),
			      .tv_nsec = (long)(deadline_us % 1000000) * 1000};
	return pthread_cond_timedwait(c, m, &ts) == 0 || tarn_mono_us() < deadline_us;
}

static struct ps_timeline *timeline_new(struct ps_store *s, const struct tarn_id *id,
					const char *name, struct ps_timeline *parent,
					tarn_lsn start_lsn, tarn_lsn prev_lsn);

static void append_timeline(struct ps_store *s, struct ps_timeline *tl)
{
	s->timelines = tarn_realloc(s->timelines, (s->timeline_count + 1) * sizeof s->timelines[0]);
	s->timelines[s->timeline_count++] = tl;
}

struct loaded { /* parents are named by id until all are here */
	struct ps_store *s;
	struct tarn_id *parents;
	bool *has_parent;
};

static int load_timeline(void *arg, struct ps_index *x, struct tarn_error *err)
{
	struct loaded *l = arg;
	struct ps_store *s = l->s;
	(void)err;
	struct ps_timeline *tl =
		timeline_new(s, &x->id, x->name, NULL, x->start_lsn, x->start_prev_lsn);
	struct ps_layer **layers = tarn_calloc(x->layer_count + 1, sizeof *layers);
	tl->deleted = x->deleted;
	tl->last_record_lsn = tl->remote_lsn = x->last_record_lsn;
	tl->prev_record_lsn = tl->remote_prev_lsn = x->prev_record_lsn;
	tl->next_order = TARN_MAX(x->next_order, 1);
	for (size_t i = 0; i < x->layer_count; i++)
		layers[i] = ps_layer_new_file(ps_file_new(&s->files, &x->layers[i].info),
					      x->layers[i].level, x->layers[i].order);
	ps_timeline_swap_layers(tl, ps_layer_set_new(layers, x->layer_count));
	for (size_t i = 0; i < x->layer_count; i++)
		ps_layer_unref(layers[i]);
	free(layers);
	size_t n = s->timeline_count;
	l->parents = tarn_realloc(l->parents, (n + 1) * sizeof l->parents[0]);
	l->has_parent = tarn_realloc(l->has_parent, (n + 1) * sizeof l->has_parent[0]);
	l->parents[n] = x->parent;
	l->has_parent[n] = x->has_parent;
	append_timeline(s, tl);
	return 0;
}

static int link_parents(const struct loaded *l, struct tarn_error *err)
{
	struct ps_store *s = l->s;
	for (size_t i = 0; i < s->timeline_count; i++) {
		if (!l->has_parent[i])
			continue;
		for (size_t k = 0; k < s->timeline_count; k++)
			if (k != i && tarn_id_equal(&s->timelines[k]->id, &l->parents[i]))
				s->timelines[i]->parent = s->timelines[k];
		if (!s->timelines[i]->parent && !s->timelines[i]->deleted)
			return tarn_fail(err, TARN_E_CORRUPT,
					 "the parent of branch %s is not in the object store",
					 s->timelines[i]->name);
	}
	return 0;
}

static int load(struct ps_store *s, struct tarn_error *err)
{
	struct loaded l = {.s = s};
	TRY(ps_project_claim(s->config.objects, &s->system_identifier, err));
	TRY(ps_generation_claim(s->config.objects, &s->generation, err));
	int rc = ps_index_load_all(s->config.objects, s->system_identifier, load_timeline, &l, err);
	if (rc == 0)
		rc = link_parents(&l, err);
	free(l.parents);
	free(l.has_parent);
	return rc;
}

int ps_store_open(const struct ps_store_config *c, struct ps_store **out, struct tarn_error *err)
{
	struct ps_store *s = tarn_calloc(1, sizeof *s);
	int rc = 0;
	s->config = *c;
	s->system_identifier = c->system_identifier;
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->work_lock, NULL);
	ps_cond_init(&s->work);
	ps_cond_init(&s->worked);
	s->own_metrics = c->metrics ? NULL : tarn_metrics_new();
	struct tarn_metrics *m = c->metrics ? c->metrics : s->own_metrics;
	s->flushed_layers = tarn_metrics_counter(m, "tarn_pageserver_layers_flushed_total", NULL,
						 "in-memory layers written as files");
	s->compactions = tarn_metrics_counter(m, "tarn_pageserver_compactions_total", NULL,
					      "merges of runs");
	s->uploaded_bytes = tarn_metrics_counter(m, "tarn_pageserver_uploaded_bytes_total", NULL,
						 "bytes of layer files put into the object store");
	s->evictions = tarn_metrics_counter(m, "tarn_pageserver_evictions_total", NULL,
					    "local layer files removed");
	s->layer_dir = tarn_asprintf("%s/layers", c->dir ? c->dir : "");
	s->files.objects = c->objects;
	s->files.dir = s->layer_dir;
	s->files.blocks =
		ps_block_cache_new(c->mem_limit_bytes ? c->mem_limit_bytes / 4 : 16 * MIB);
	/* Without an object store everything stays in memory: for tests. */
	if (c->objects) {
		rc = file_mkdir_p(s->layer_dir, 0700, err);
		if (rc == 0)
			rc = load(s, err);
		if (rc == 0)
			rc = ps_worker_start(s, err);
	}
	if (rc != 0) {
		ps_store_close(s, NULL);
		return rc;
	}
	*out = s;
	return 0;
}

static void timeline_free(struct ps_timeline *tl)
{
	ps_layer_set_unref(tl->set);
	pthread_mutex_destroy(&tl->writer);
	pthread_mutex_destroy(&tl->lock);
	pthread_mutex_destroy(&tl->index_lock);
	pthread_cond_destroy(&tl->advanced);
	free(tl);
}

int ps_store_close(struct ps_store *s, struct tarn_error *err)
{
	if (!s)
		return 0;
	int rc = ps_worker_stop(s, err);
	for (size_t i = 0; i < s->timeline_count; i++)
		timeline_free(s->timelines[i]);
	free(s->timelines);
	ps_block_cache_free(s->files.blocks);
	free(s->layer_dir);
	tarn_metrics_free(s->own_metrics);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->work_lock);
	pthread_cond_destroy(&s->work);
	pthread_cond_destroy(&s->worked);
	free(s);
	return rc;
}

const char *ps_store_dir(const struct ps_store *s)
{
	return s->config.dir;
}

struct objstore *ps_store_objects(const struct ps_store *s)
{
	return s->config.objects;
}

uint64_t ps_store_system_identifier(const struct ps_store *s)
{
	return s->system_identifier;
}

static int check_name(const char *name, struct tarn_error *err)
{
	size_t len = strnlen(name, 64);
	if (len == 0 || len > 63)
		return tarn_fail(err, TARN_E_USAGE,
				 "a branch name must have 1 to 63 bytes: \"%.70s\"", name);
	for (size_t i = 0; i < len; i++)
		if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z') ||
		      (name[i] >= '0' && name[i] <= '9') || strchr("_.-", name[i])))
			return tarn_fail(
				err, TARN_E_USAGE,
				"branch name \"%s\": allowed are letters, digits, _ . and -", name);
	return 0;
}

static struct ps_timeline *find_locked(struct ps_store *s, const struct tarn_id *id,
				       const char *name)
{
	for (size_t i = 0; i < s->timeline_count; i++) {
		struct ps_timeline *tl = s->timelines[i];
		if (!tl->deleted &&
		    ((id && tarn_id_equal(&tl->id, id)) || (name && strcmp(tl->name, name) == 0)))
			return tl;
	}
	return NULL;
}

static struct ps_timeline *timeline_new(struct ps_store *s, const struct tarn_id *id,
					const char *name, struct ps_timeline *parent,
					tarn_lsn start_lsn, tarn_lsn prev_lsn)
{
	struct ps_timeline *tl = tarn_calloc(1, sizeof *tl);
	tl->store = s;
	tl->id = *id;
	tarn_strlcpy(tl->name, name, sizeof tl->name);
	tl->parent = parent;
	tl->start_lsn = start_lsn;
	tl->start_prev_lsn = prev_lsn;
	tl->last_record_lsn = tl->remote_lsn = start_lsn;
	tl->prev_record_lsn = tl->remote_prev_lsn = prev_lsn;
	tl->next_order = 1;
	pthread_mutex_init(&tl->writer, NULL);
	pthread_mutex_init(&tl->lock, NULL);
	pthread_mutex_init(&tl->index_lock, NULL);
	ps_cond_init(&tl->advanced);
	tl->set = ps_layer_set_new(NULL, 0);
	return tl;
}

int ps_timeline_create(struct ps_store *s, const struct tarn_id *id, const char *name,
		       struct ps_timeline *parent, tarn_lsn lsn, tarn_lsn prev_lsn,
		       struct ps_timeline **out, struct tarn_error *err)
{
	int rc = 0;
	*out = NULL;
	TRY(check_name(name, err));
	if (parent && lsn > ps_timeline_last_record_lsn(parent))
		return tarn_fail(err, TARN_E_USAGE,
				 "branch %s cannot start at " TARN_LSN_FMT
				 ": its parent %s has WAL up to " TARN_LSN_FMT,
				 name, TARN_LSN_ARGS(lsn), parent->name,
				 TARN_LSN_ARGS(ps_timeline_last_record_lsn(parent)));
	/* A point before the parent's own start lies in the parent's history: branch from there. */
	while (parent && parent->parent && lsn < parent->start_lsn)
		parent = parent->parent;
	if (parent && lsn < parent->start_lsn)
		return tarn_fail(err, TARN_E_USAGE,
				 "branch %s cannot start at " TARN_LSN_FMT
				 ": history begins at " TARN_LSN_FMT,
				 name, TARN_LSN_ARGS(lsn), TARN_LSN_ARGS(parent->start_lsn));
	pthread_mutex_lock(&s->lock);
	if (find_locked(s, NULL, name))
		rc = tarn_fail(err, TARN_E_EXISTS, "a branch named %s exists already", name);
	else if (find_locked(s, id, NULL))
		rc = tarn_fail(err, TARN_E_EXISTS, "a timeline with this id exists already (%s)",
			       find_locked(s, id, NULL)->name);
	else if (parent && parent->deleted)
		rc = tarn_fail(err, TARN_E_NOT_FOUND, "branch %s has been deleted", parent->name);
	struct ps_timeline *tl = NULL;
	if (rc == 0) {
		tl = timeline_new(s, id, name, parent, lsn, prev_lsn);
		/* A branch exists once its index object does. */
		rc = ps_timeline_write_index(tl, err);
		if (rc != 0)
			timeline_free(tl);
	}
	if (rc == 0) {
		append_timeline(s, tl);
		*out = tl;
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

/* The index says by now that nobody needs them. */
static int delete_layers(struct ps_timeline *tl, struct tarn_error *err)
{
	int rc = 0;
	struct ps_layer_set *set = ps_timeline_layers(tl);
	for (size_t i = 0; rc == 0 && i < set->count; i++)
		if (set->layers[i]->file) {
			ps_file_forget(set->layers[i]->file);
			rc = objstore_delete(tl->store->config.objects,
					     ps_file_info(set->layers[i]->file)->name, err);
		}
	ps_layer_set_unref(set);
	return rc;
}

int ps_timeline_delete(struct ps_store *s, struct ps_timeline *tl, struct tarn_error *err)
{
	int rc = 0;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; rc == 0 && i < s->timeline_count; i++)
		if (s->timelines[i]->parent == tl && !s->timelines[i]->deleted)
			rc = tarn_fail(err, TARN_E_CONFLICT,
				       "branch %s has a child, %s; delete that first", tl->name,
				       s->timelines[i]->name);
	if (rc == 0) {
		tl->deleted = true;
		rc = ps_timeline_write_index(tl, err);
		tl->deleted = rc == 0;
	}
	pthread_mutex_unlock(&s->lock);
	return rc == 0 ? delete_layers(tl, err) : rc;
}

struct ps_timeline *ps_timeline_find(struct ps_store *s, const struct tarn_id *id)
{
	pthread_mutex_lock(&s->lock);
	struct ps_timeline *tl = find_locked(s, id, NULL);
	pthread_mutex_unlock(&s->lock);
	return tl;
}

struct ps_timeline *ps_timeline_find_name(struct ps_store *s, const char *name)
{
	pthread_mutex_lock(&s->lock);
	struct ps_timeline *tl = find_locked(s, NULL, name);
	pthread_mutex_unlock(&s->lock);
	return tl;
}

size_t ps_timeline_list(struct ps_store *s, struct ps_timeline **out, size_t max)
{
	size_t n = 0;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->timeline_count; i++) {
		if (s->timelines[i]->deleted)
			continue;
		if (n < max)
			out[n] = s->timelines[i];
		n++;
	}
	pthread_mutex_unlock(&s->lock);
	return n;
}

void ps_timeline_info(struct ps_timeline *tl, struct ps_timeline_info *out)
{
	memset(out, 0, sizeof *out);
	out->id = tl->id;
	out->has_parent = tl->parent != NULL;
	if (tl->parent)
		out->parent = tl->parent->id;
	out->start_lsn = tl->start_lsn;
	pthread_mutex_lock(&tl->writer);
	out->last_record_lsn = tl->last_record_lsn;
	out->prev_record_lsn = tl->prev_record_lsn;
	pthread_mutex_unlock(&tl->writer);
	pthread_mutex_lock(&tl->store->lock);
	memcpy(out->name, tl->name, sizeof out->name);
	pthread_mutex_unlock(&tl->store->lock);
	pthread_mutex_lock(&tl->lock);
	out->remote_lsn = tl->remote_lsn;
	out->layers = (uint32_t)tl->set->count;
	for (size_t i = 0; i < tl->set->count; i++) {
		const struct ps_layer *l = tl->set->layers[i];
		if (!l->file)
			continue;
		out->layer_bytes += ps_file_info(l->file)->bytes;
		out->l0_layers += l->level == 0;
		if (ps_file_is_local(l->file))
			out->local_bytes += ps_file_info(l->file)->bytes;
	}
	pthread_mutex_unlock(&tl->lock);
	out->history_lsn = tl->start_lsn;
}
