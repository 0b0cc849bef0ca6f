/* Implementation of table.h. */
#include "base/system.h"
#include <pthread.h>
#include "base/log.h"
#include "lake/transcode/persist.h"
#include "lake/transcode/table.h"

struct transcode_table {
	struct transcode_env env;
	char *location;
	struct transcode_work *work;
	pthread_mutex_t lock; /* of what follows, held while files are written */
	struct transcode_state *states[TRANSCODE_MAX_STATES]; /* NULL: free */
	struct transcode_schema *outline; /* of the database below, as read at that LSN */
	uint32_t outline_db;
	tarn_lsn outline_lsn;
	uint64_t clock;
	bool recalled; /* what the object store has was looked for */
	/* A base being made in the background. */
	bool rebasing; /* atomic; written under lock */
	bool joinable;
	pthread_t thread;
	struct transcode_schema *rebase_schema;
	tarn_lsn rebase_lsn;
	bool stopping; /* atomic */
};

struct ask {
	const struct lake_database *db;
	const struct lake_table *table;
	tarn_lsn lsn;
	const struct transcode_schema *outline;
	struct transcode_schema *full; /* NULL until rows are to be read: see full_schema */
};

struct transcode_table *transcode_table_new(const struct transcode_env *env,
					    struct transcode_work *work)
{
	struct transcode_table *t = tarn_calloc(1, sizeof *t);
	t->env = *env;
	t->location = tarn_strdup(env->place.location);
	t->env.place.location = t->location;
	t->env.cancelled = &t->stopping;
	if (t->env.background_rows == 0)
		t->env.background_rows = TRANSCODE_BACKGROUND_ROWS;
	if (t->env.max_tails == 0)
		t->env.max_tails = TRANSCODE_MAX_TAILS;
	t->work = work;
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

void transcode_table_free(struct transcode_table *t)
{
	if (t == NULL)
		return;
	__atomic_store_n(&t->stopping, true, __ATOMIC_RELAXED);
	transcode_table_settle(t);
	for (size_t i = 0; i < TRANSCODE_MAX_STATES; i++)
		transcode_state_release(t->states[i]);
	transcode_schema_release(t->outline);
	pthread_mutex_destroy(&t->lock);
	free(t->location);
	free(t);
}

bool transcode_table_busy(const struct transcode_table *t)
{
	return __atomic_load_n(&t->rebasing, __ATOMIC_RELAXED);
}

void transcode_table_settle(struct transcode_table *t)
{
	pthread_mutex_lock(&t->lock);
	bool joinable = t->joinable;
	t->joinable = false;
	pthread_mutex_unlock(&t->lock);
	if (joinable)
		pthread_join(t->thread, NULL);
}

/* ---- the states kept ---- */

static bool same_rel(const struct lake_rel *a, const struct lake_rel *b)
{
	return a->spc == b->spc && a->db == b->db && a->rel == b->rel;
}

static bool same_schema(const struct transcode_schema *a, const struct transcode_schema *b)
{
	return a == b ||
	       (a->id == b->id && transcode_schema_reads(a, b) && transcode_schema_reads(b, a));
}

static tarn_lsn base_lsn(const struct transcode_state *s)
{
	return s->base ? s->base->made : s->made;
}

/* What to derive from: of the newest base, and of that the newest. A state that is already exact
 * comes first. */
static struct transcode_state *best_before(const struct transcode_table *t,
					   const struct transcode_schema *schema, tarn_lsn lsn)
{
	struct transcode_state *best = NULL;
	for (size_t i = 0; i < TRANSCODE_MAX_STATES; i++) {
		struct transcode_state *s = t->states[i];
		if (s == NULL || s->made > lsn || !same_rel(&s->rel, &schema->rel) ||
		    !transcode_schema_reads(schema, s->schema))
			continue;
		if (lsn <= s->upto && same_schema(schema, s->schema))
			return s;
		if (best == NULL || base_lsn(s) > base_lsn(best) ||
		    (base_lsn(s) == base_lsn(best) && s->made > best->made))
			best = s;
	}
	return best;
}

/* Replaces the one not asked for longest. Takes over the reference. */
static void keep(struct transcode_table *t, struct transcode_state *s)
{
	size_t victim = 0;
	for (size_t i = 0; i < TRANSCODE_MAX_STATES; i++) {
		if (t->states[i] == NULL) {
			victim = i;
			break;
		}
		if (t->states[i]->used < t->states[victim]->used)
			victim = i;
	}
	transcode_state_release(t->states[victim]);
	t->states[victim] = s;
}

/* A new base ends the use of states before it for all LSNs after it. */
static void forget_older(struct transcode_table *t, const struct transcode_state *base)
{
	size_t kept = 0;
	for (size_t i = 0; i < TRANSCODE_MAX_STATES; i++) {
		struct transcode_state *s = t->states[i];
		if (s == NULL || s == base)
			continue;
		if (s->made < base->made && ++kept > 1) {
			transcode_state_release(s);
			t->states[i] = NULL;
		}
	}
}

/* ---- bases ---- */

static void count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static bool above_percent(uint64_t part, uint64_t whole)
{
	return part * 100 > whole * TRANSCODE_MAX_DIRTY_PERCENT;
}

static bool wants_base(const struct transcode_state *from, size_t dirty_blocks, uint32_t nblocks)
{
	return above_percent(from->tail_blocks + dirty_blocks, nblocks) ||
	       (from->tail_rows > TRANSCODE_MIN_TAIL_ROWS &&
		above_percent(from->tail_rows, from->rows));
}

static int new_base(struct transcode_table *t, struct lake_snapshot *snapshot,
		    struct transcode_schema *schema, struct transcode_state **out,
		    struct tarn_error *err)
{
	uint64_t began_us = tarn_mono_us();
	struct tarn_error why;
	TRY(transcode_state_base(&t->env, snapshot, schema, out, err));
	const struct transcode_state *s = *out;
	count(&t->work->bases);
	/* Only a restart would miss it. */
	if (transcode_base_save(&t->env, s, &why) != 0)
		log_warn("lake base not remembered", "table=%s.%s error=\"%s\"",
			 schema->table->schema, schema->table->name, why.message);
	log_info("lake base", "table=%s.%s lsn=" TARN_LSN_FMT " rows=%" PRIu64 " files=%u ms=%.0f",
		 schema->table->schema, schema->table->name, TARN_LSN_ARGS(s->made), s->rows,
		 s->file_count, (double)(tarn_mono_us() - began_us) / 1000);
	return 0;
}

/* ---- a new base in the background ---- */

static void *rebase(void *arg)
{
	struct transcode_table *t = arg;
	struct transcode_state *s;
	struct tarn_error why;
	struct lake_snapshot *snapshot = lake_snapshot_new(t->env.source, t->rebase_lsn);
	int rc = new_base(t, snapshot, t->rebase_schema, &s, &why);
	lake_snapshot_free(snapshot);
	if (rc != 0 && rc != TARN_E_CANCELLED)
		log_warn("lake base failed", "table=%s.%s error=\"%s\"",
			 t->rebase_schema->table->schema, t->rebase_schema->table->name,
			 why.message);
	pthread_mutex_lock(&t->lock);
	if (rc == 0) {
		s->used = t->clock;
		keep(t, s);
		forget_older(t, s);
	}
	transcode_schema_release(t->rebase_schema);
	__atomic_store_n(&t->rebasing, false, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&t->lock);
	__atomic_fetch_sub(&t->work->background, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* Under lock. Without a thread or a free place it is tried again at the next state. */
static void start_rebase(struct transcode_table *t, struct transcode_schema *schema, tarn_lsn lsn)
{
	if (t->rebasing)
		return;
	if (__atomic_fetch_add(&t->work->background, 1, __ATOMIC_RELAXED) <
	    TRANSCODE_MAX_BACKGROUND) {
		if (t->joinable) /* it has done its work */
			pthread_join(t->thread, NULL);
		t->rebase_schema = transcode_schema_ref(schema);
		t->rebase_lsn = lsn;
		t->joinable = pthread_create(&t->thread, NULL, rebase, t) == 0;
		__atomic_store_n(&t->rebasing, t->joinable, __ATOMIC_RELAXED);
		if (t->joinable)
			return;
		transcode_schema_release(t->rebase_schema);
	}
	__atomic_fetch_sub(&t->work->background, 1, __ATOMIC_RELAXED);
}

/* Is a derived state still cheap enough to answer with while a new base is made? */
static bool can_wait(const struct transcode_table *t, const struct transcode_state *from,
		     size_t dirty_blocks, uint32_t nblocks)
{
	return from->rows >= t->env.background_rows &&
	       (from->tail_blocks + dirty_blocks) * 100 <=
		       (uint64_t)nblocks * TRANSCODE_MAX_DERIVED_PERCENT;
}

/* ---- a new state ---- */

/* From the base again when there are many tails: the blocks that differ from it go into one. */
static int dirty_since(struct transcode_table *t, struct transcode_state **from,
		       struct lake_snapshot *snapshot, struct tarn_buf *dirty, uint32_t *nblocks,
		       bool *same, struct tarn_error *err)
{
	TRY(transcode_state_dirty(&t->env, *from, snapshot, dirty, nblocks, same, err));
	if (*same || (*from)->tail_count < t->env.max_tails || (*from)->base == NULL)
		return 0;
	bool same_as_base;
	*from = (*from)->base;
	tarn_buf_clear(dirty);
	return transcode_state_dirty(&t->env, *from, snapshot, dirty, nblocks, &same_as_base, err);
}

static struct transcode_schema *full_schema(struct ask *a)
{
	if (a->full == NULL)
		a->full = transcode_schema_new(a->db, a->table);
	return a->full;
}

/* *out gets a reference; it is from itself when nothing changed. */
static int follow(struct transcode_table *t, struct transcode_state *from,
		  struct lake_snapshot *snapshot, struct ask *a, struct transcode_state **out,
		  struct tarn_error *err)
{
	struct tarn_buf dirty = TARN_BUF_INIT;
	struct transcode_state *newest = from;
	uint32_t nblocks;
	bool same;
	int rc = dirty_since(t, &from, snapshot, &dirty, &nblocks, &same, err);
	if (rc != 0) {
		tarn_buf_release(&dirty);
		if (rc != TARN_E_NOT_FOUND)
			return rc;
		/* The history between is gone. */
		return new_base(t, snapshot, full_schema(a), out, err);
	}
	if (same && same_schema(a->outline, newest->schema)) {
		newest->upto = TARN_MAX(newest->upto, a->lsn);
		*out = transcode_state_ref(newest);
		count(&t->work->repeated);
	} else if (!same && wants_base(from, dirty.len / 4, nblocks) &&
		   !can_wait(t, from, dirty.len / 4, nblocks)) {
		rc = new_base(t, snapshot, full_schema(a), out, err);
	} else {
		if (!same && wants_base(from, dirty.len / 4, nblocks))
			start_rebase(t, full_schema(a), a->lsn);
		rc = transcode_state_derive(&t->env, from, snapshot, full_schema(a), &dirty,
					    nblocks, out, err);
		count(&t->work->derived);
	}
	tarn_buf_release(&dirty);
	return rc;
}

/* The same database read at the same LSN has the same tables. Under lock. */
static void find_outline(struct transcode_table *t, struct ask *a)
{
	if (t->outline == NULL || t->outline_db != a->db->oid || t->outline_lsn != a->db->lsn) {
		transcode_schema_release(t->outline);
		t->outline = transcode_schema_outline(full_schema(a));
		t->outline_db = a->db->oid;
		t->outline_lsn = a->db->lsn;
	}
	a->outline = t->outline;
}

/* Under lock: the base of an earlier life of this process, if it can be used. */
static struct transcode_state *recall(struct transcode_table *t, const struct ask *a)
{
	struct transcode_state *s = NULL;
	struct tarn_error why;
	if (t->recalled)
		return NULL;
	t->recalled = true;
	if (transcode_base_load(&t->env, a->outline, a->lsn, &s, &why) != 0) {
		log_warn("lake base not recalled", "table=%s.%s error=\"%s\"", a->table->schema,
			 a->table->name, why.message);
		return NULL;
	}
	if (s != NULL) {
		count(&t->work->recalled);
		keep(t, s);
	}
	return s;
}

/* Under lock. *out belongs to t->states. */
static int state_at(struct transcode_table *t, struct ask *a, struct transcode_state **out,
		    struct tarn_error *err)
{
	struct transcode_state *from = best_before(t, a->outline, a->lsn);
	if (from == NULL)
		from = recall(t, a);
	*out = from;
	if (from && a->lsn <= from->upto && same_schema(a->outline, from->schema)) {
		count(&t->work->repeated);
		return 0;
	}
	struct lake_snapshot *snapshot = lake_snapshot_new(t->env.source, a->lsn);
	int rc = from ? follow(t, from, snapshot, a, out, err)
		      : new_base(t, snapshot, full_schema(a), out, err);
	lake_snapshot_free(snapshot);
	if (rc != 0)
		return rc;
	if (*out == from) {
		transcode_state_release(*out);
		return 0;
	}
	(*out)->used = t->clock;
	keep(t, *out);
	if ((*out)->base == NULL)
		forget_older(t, *out);
	return 0;
}

int transcode_table_at(struct transcode_table *t, const struct lake_database *db,
		       const struct lake_table *table, tarn_lsn lsn, struct tarn_buf *out,
		       struct tarn_error *err)
{
	struct transcode_state *s;
	struct tarn_error own;
	struct ask a = {.db = db, .table = table, .lsn = lsn};
	pthread_mutex_lock(&t->lock);
	t->clock++;
	find_outline(t, &a);
	int rc = state_at(t, &a, &s, err ? err : &own);
	if (rc == 0) {
		s->used = t->clock;
		transcode_state_text(s, out);
	}
	pthread_mutex_unlock(&t->lock);
	transcode_schema_release(a.full);
	return rc;
}
