/* Flights and remembered answers of loads.h. */
#include "base/system.h"
#include "lake/catalog/loads.h"
#include "base/log.h"
#include <pthread.h>
#include <uthash.h>

#define READ_INDEX_TIMEOUT_MS 20000
#define STATE_TIMEOUT_MS 600000
/* Without any new log a table cannot have changed; its files may have been arranged anew, so the
 * pageserver is asked again after this time. */
#define UNCHANGED_LSN_US 10000000
#define MAX_ENTRIES 4096
#define MAX_ANSWER_BYTES (24 * MIB)

struct flight {
	bool done;
	int rc;
	struct tarn_error error;
	struct table_answer *answer;
	unsigned refs; /* threads that look at it */
};
struct entry {
	char *key;
	struct flight *running, *waiting;
	pthread_cond_t changed;
	unsigned users; /* threads inside loads_get */
	uint64_t used_us;
	/* the last answer, known to be the table's at lsn on the timeline */
	struct table_answer *answer;
	struct tarn_id timeline;
	tarn_lsn lsn;
	uint64_t checked_us;
	UT_hash_handle hh;
};
struct loads {
	struct loads_config c;
	pthread_mutex_t lock;
	struct entry *entries;
	size_t answer_bytes;
	struct tarn_counter *loads, *shared, *unchanged, *writes, *objects;
	struct tarn_histogram *total, *index, *state, *write;
};
struct request {
	const struct warehouse *w;
	const struct namespace *ns;
	const char *table;
};

struct loads *loads_new(const struct loads_config *c)
{
	struct loads *l = tarn_calloc(1, sizeof *l);
	struct tarn_metrics *m = c->metrics;
	l->c = *c;
	pthread_mutex_init(&l->lock, NULL);
	l->loads = tarn_metrics_counter(m, "tarn_catalog_loads_total", NULL, "Tables loaded.");
	l->shared = tarn_metrics_counter(m, "tarn_catalog_loads_shared_total", NULL,
					 "Loads answered by another request's work.");
	l->unchanged = tarn_metrics_counter(m, "tarn_catalog_loads_unchanged_total", NULL,
					    "Loads that found the table as it was.");
	l->writes = tarn_metrics_counter(m, "tarn_catalog_metadata_writes_total", NULL,
					 "Table metadata written.");
	l->objects = tarn_metrics_counter(m, "tarn_catalog_objects_put_total", NULL,
					  "Objects put into the object store.");
	l->total = tarn_metrics_histogram(m, "tarn_catalog_load_seconds", NULL,
					  "Time to load a table.");
	l->index = tarn_metrics_histogram(m, "tarn_catalog_read_index_seconds", NULL,
					  "Time to take a read index and see it committed.");
	l->state = tarn_metrics_histogram(m, "tarn_catalog_table_state_seconds", NULL,
					  "Time of the pageserver to give a table's state.");
	l->write = tarn_metrics_histogram(m, "tarn_catalog_metadata_write_seconds", NULL,
					  "Time to write a table's metadata.");
	return l;
}

static void entry_free(struct loads *l, struct entry *e)
{
	HASH_DEL(l->entries, e);
	l->answer_bytes -= e->answer ? e->answer->body_len : 0;
	table_answer_unref(e->answer);
	pthread_cond_destroy(&e->changed);
	free(e->key);
	free(e);
}

void loads_free(struct loads *l)
{
	struct entry *e, *next;
	if (!l)
		return;
	HASH_ITER (hh, l->entries, e, next)
		entry_free(l, e);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static void make_room(struct loads *l)
{
	while (HASH_COUNT(l->entries) >= MAX_ENTRIES || l->answer_bytes > MAX_ANSWER_BYTES) {
		struct entry *e, *next, *oldest = NULL;
		HASH_ITER (hh, l->entries, e, next) {
			if (e->users == 0 && (!oldest || e->used_us < oldest->used_us))
				oldest = e;
		}
		if (!oldest)
			return;
		entry_free(l, oldest);
	}
}

static struct entry *get_entry(struct loads *l, const struct request *q)
{
	struct entry *e;
	/* No name holds a NUL, and 0x1F in a name is as good as any other byte: lengths tell. */
	char *key = tarn_asprintf("%zu.%zu.%zu.%" PRIX64 ":%s%s%s%s", strlen(q->w->branch),
				  strlen(q->w->database), strlen(q->ns->schema), q->ns->pin,
				  q->w->branch, q->w->database, q->ns->schema, q->table);
	HASH_FIND_STR(l->entries, key, e);
	if (e) {
		free(key);
	} else {
		make_room(l);
		e = tarn_calloc(1, sizeof *e);
		e->key = key;
		pthread_cond_init(&e->changed, NULL);
		HASH_ADD_KEYPTR(hh, l->entries, e->key, strlen(e->key), e);
	}
	e->users++;
	e->used_us = tarn_mono_us();
	return e;
}

static int read_lsn(struct loads *l, const struct tarn_id *tl, tarn_lsn *lsn,
		    struct tarn_error *err)
{
	uint64_t began = tarn_mono_us();
	int rc = l->c.read_index.take(l->c.read_index.arg, tl, READ_INDEX_TIMEOUT_MS, lsn, err);
	if (rc == TARN_E_NOT_FOUND) /* a branch no compute ever ran on: it is as it began */
		rc = pageserver_head(l->c.pageserver, tl, lsn, err);
	tarn_histogram_observe_us(l->index, tarn_mono_us() - began);
	return rc;
}

static bool answer_is_young(const struct table_answer *a)
{
	return a && tarn_wall_us() / 1000 - a->written_ms < TABLE_METADATA_FRESH_MS;
}

static int read_state(struct loads *l, const struct request *q, const struct tarn_id *tl,
		      tarn_lsn lsn, struct table_state **out, struct tarn_error *err)
{
	struct tarn_buf b = TARN_BUF_INIT;
	uint64_t began = tarn_mono_us();
	*out = NULL;
	int rc = pageserver_table(l->c.pageserver, tl, q->w->database, q->ns->schema, q->table, lsn,
				  STATE_TIMEOUT_MS, &b, err);
	tarn_histogram_observe_us(l->state, tarn_mono_us() - began);
	if (rc == 0)
		rc = table_state_parse(b.data, b.len, l->c.store, out, err);
	tarn_buf_release(&b);
	if (rc == 0 && (*out)->lsn != lsn) {
		rc = tarn_fail(err, TARN_E_PROTOCOL,
			       "the pageserver gave the table at " TARN_LSN_FMT
			       " when asked for " TARN_LSN_FMT,
			       TARN_LSN_ARGS((*out)->lsn), TARN_LSN_ARGS(lsn));
		table_state_free(*out);
		*out = NULL;
	}
	return rc;
}

/* A reference to e's answer if it fits the state, else to a new one. */
static int answer_for(struct loads *l, struct entry *e, const struct table_state *s,
		      struct table_answer **out, struct tarn_error *err)
{
	unsigned objects;
	if (answer_is_young(e->answer) && e->answer->state_hash == s->hash) {
		*out = e->answer;
		table_answer_ref(*out);
		tarn_counter_add(l->unchanged, 1);
		return 0;
	}
	uint64_t began = tarn_mono_us();
	TRY(table_write(l->c.store, l->c.pool, s, e->answer, out, &objects, err));
	tarn_histogram_observe_us(l->write, tarn_mono_us() - began);
	tarn_counter_add(l->writes, 1);
	tarn_counter_add(l->objects, objects);
	return 0;
}

static void set_answer(struct loads *l, struct entry *e, struct table_answer *a,
		       const struct tarn_id *tl, tarn_lsn lsn)
{
	pthread_mutex_lock(&l->lock);
	if (a)
		table_answer_ref(a);
	l->answer_bytes -= e->answer ? e->answer->body_len : 0;
	l->answer_bytes += a ? a->body_len : 0;
	table_answer_unref(e->answer);
	e->answer = a;
	e->timeline = *tl;
	e->lsn = lsn;
	e->checked_us = tarn_mono_us();
	pthread_mutex_unlock(&l->lock);
}

static int fly_on(struct loads *l, struct entry *e, const struct request *q,
		  const struct tarn_id *tl, struct table_answer **out, struct tarn_error *err)
{
	tarn_lsn lsn = q->ns->pin;
	struct table_state *s;
	if (!lsn)
		TRY(read_lsn(l, tl, &lsn, err));
	if (answer_is_young(e->answer) && e->lsn == lsn && tarn_id_equal(&e->timeline, tl) &&
	    tarn_mono_us() - e->checked_us < UNCHANGED_LSN_US) {
		*out = e->answer;
		table_answer_ref(*out);
		tarn_counter_add(l->unchanged, 1);
		return 0;
	}
	int rc = read_state(l, q, tl, lsn, &s, err);
	if (rc == 0)
		rc = answer_for(l, e, s, out, err);
	table_state_free(s);
	if (rc == 0)
		set_answer(l, e, *out, tl, lsn);
	else if (rc == TARN_E_NOT_FOUND)
		set_answer(l, e, NULL, tl, lsn);
	return rc;
}

static int fly(struct loads *l, struct entry *e, const struct request *q, struct table_answer **out,
	       struct tarn_error *err)
{
	struct tarn_id tl, again;
	TRY(pageserver_find_branch(l->c.pageserver, q->w->branch, &tl, err));
	int rc = fly_on(l, e, q, &tl, out, err);
	/* The remembered timeline may be gone and the branch made anew. */
	if (rc == TARN_E_NOT_FOUND && pageserver_forget_branch(l->c.pageserver, q->w->branch)) {
		TRY(pageserver_find_branch(l->c.pageserver, q->w->branch, &again, err));
		if (!tarn_id_equal(&tl, &again))
			return fly_on(l, e, q, &again, out, err);
		tarn_fail(err, TARN_E_NOT_FOUND, "there is no table %s.%s in database %s",
			  q->ns->schema, q->table, q->w->database);
	}
	return rc;
}

/* This thread does the work of a new flight. Caller holds the lock. */
static struct flight *lead(struct loads *l, struct entry *e, const struct request *q)
{
	struct flight *f = tarn_calloc(1, sizeof *f);
	f->refs = 1;
	e->waiting = f;
	while (e->running)
		pthread_cond_wait(&e->changed, &l->lock);
	e->running = f;
	e->waiting = NULL; /* from here on nobody joins: the read index is taken next */
	pthread_mutex_unlock(&l->lock);
	f->rc = fly(l, e, q, &f->answer, &f->error);
	pthread_mutex_lock(&l->lock);
	f->done = true;
	e->running = NULL;
	pthread_cond_broadcast(&e->changed);
	return f;
}

static struct flight *join(struct loads *l, struct entry *e)
{
	struct flight *f = e->waiting;
	f->refs++;
	while (!f->done)
		pthread_cond_wait(&e->changed, &l->lock);
	tarn_counter_add(l->shared, 1);
	return f;
}

int loads_get(struct loads *l, const struct warehouse *w, const struct namespace *ns,
	      const char *table, struct table_answer **out, struct tarn_error *err)
{
	struct request q = {w, ns, table};
	uint64_t began = tarn_mono_us();
	pthread_mutex_lock(&l->lock);
	struct entry *e = get_entry(l, &q);
	struct flight *f = e->waiting ? join(l, e) : lead(l, e, &q);
	int rc = f->rc;
	*out = f->answer;
	if (*out)
		table_answer_ref(*out);
	if (rc != 0 && err)
		*err = f->error;
	if (--f->refs == 0) {
		table_answer_unref(f->answer);
		free(f);
	}
	e->users--;
	if (rc == TARN_E_NOT_FOUND && e->users == 0)
		entry_free(l, e);
	pthread_mutex_unlock(&l->lock);
	tarn_counter_add(l->loads, 1);
	tarn_histogram_observe_us(l->total, tarn_mono_us() - began);
	return rc;
}

int loads_list(struct loads *l, const char *branch, tarn_lsn pin, json_t **out,
	       struct tarn_error *err)
{
	struct tarn_id tl;
	tarn_lsn lsn = pin;
	*out = NULL;
	for (int attempt = 0;; attempt++) {
		TRY(pageserver_find_branch(l->c.pageserver, branch, &tl, err));
		int rc = pin ? 0 : read_lsn(l, &tl, &lsn, err);
		if (rc == 0)
			rc = pageserver_tables(l->c.pageserver, &tl, lsn, STATE_TIMEOUT_MS, out,
					       err);
		if (rc != TARN_E_NOT_FOUND || attempt > 0)
			return rc;
		pageserver_forget_branch(l->c.pageserver, branch);
	}
}
