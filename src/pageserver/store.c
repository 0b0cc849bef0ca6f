/* The store's frame: opening and closing, timelines, their names. See store.h and README.md. */
#include "base/system.h"
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

int ps_store_open(const struct ps_store_config *c, struct ps_store **out, struct tarn_error *err)
{
	(void)err;
	struct ps_store *s = tarn_calloc(1, sizeof *s);
	s->config = *c;
	s->system_identifier = c->system_identifier;
	pthread_mutex_init(&s->lock, NULL);
	*out = s;
	return 0;
}

static void timeline_free(struct ps_timeline *tl)
{
	ps_layer_set_unref(tl->set);
	pthread_mutex_destroy(&tl->writer);
	pthread_mutex_destroy(&tl->lock);
	pthread_cond_destroy(&tl->advanced);
	free(tl);
}

int ps_store_close(struct ps_store *s, struct tarn_error *err)
{
	(void)err;
	if (!s)
		return 0;
	for (size_t i = 0; i < s->timeline_count; i++)
		timeline_free(s->timelines[i]);
	free(s->timelines);
	pthread_mutex_destroy(&s->lock);
	free(s);
	return 0;
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
	tl->last_record_lsn = tl->remote_lsn = start_lsn;
	tl->prev_record_lsn = prev_lsn;
	tl->next_order = 1;
	pthread_mutex_init(&tl->writer, NULL);
	pthread_mutex_init(&tl->lock, NULL);
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
	if (rc == 0) {
		*out = timeline_new(s, id, name, parent, lsn, prev_lsn);
		s->timelines = tarn_realloc(s->timelines,
					    (s->timeline_count + 1) * sizeof s->timelines[0]);
		s->timelines[s->timeline_count++] = *out;
	}
	pthread_mutex_unlock(&s->lock);
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
	if (rc == 0)
		tl->deleted = true;
	pthread_mutex_unlock(&s->lock);
	return rc;
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
	pthread_mutex_unlock(&tl->lock);
	out->history_lsn = tl->start_lsn;
}
