/* Implementation of redo.h: hosts, who has which, batches. */
#include "base/system.h"
#include "base/log.h"
#include "io/file.h"
#include "redo/redo.h"
#include "redo/redo_host.h"
#include <pthread.h>
#include <sys/stat.h>

#define MAX_HOSTS 64
#define MAX_PLANS REDO_SHM_OUT_PAGES

/* One operation of a batch: records first … first + count of a request. */
struct plan {
	size_t request, first, count;
	uint32_t out_page;
};

struct slot {
	struct redo_host host;
	struct slot *next_free;
	bool alive;	 /* held by its user, or by the pool when free */
	bool want_start; /* under lock */
	int start_rc;
	struct tarn_error start_err;
	struct plan plans[MAX_PLANS]; /* of the batch in flight */
	size_t plan_count;
	size_t in_used;
	uint32_t out_used;
};

struct redo_pool {
	struct redo_config config;
	pthread_mutex_t lock; /* free list, want_start, stopping */
	pthread_cond_t changed;
	pthread_t starter; /* starts every host: they die with this thread */
	bool starter_runs;
	bool stopping;
	struct slot *slots;
	unsigned slot_count; /* whose host was initialised */
	struct slot *free_slots;
	struct tarn_metrics *own_metrics;
	struct tarn_counter *records, *applications, *restarts;
	struct tarn_histogram *batch_us;
};

/* ---- starting hosts ---- */

/* Under lock: starts what is wanted, all at once, outside the lock. */
static void start_wanted(struct redo_pool *p)
{
	struct slot *todo[MAX_HOSTS];
	unsigned n = 0;
	for (unsigned i = 0; i < p->slot_count; i++)
		if (p->slots[i].want_start)
			todo[n++] = &p->slots[i];
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < n; i++)
		todo[i]->start_rc =
			redo_host_start(&todo[i]->host, &p->config, &todo[i]->start_err);
	for (unsigned i = 0; i < n; i++)
		if (todo[i]->start_rc == 0)
			todo[i]->start_rc =
				redo_host_wait_ready(&todo[i]->host, &todo[i]->start_err);
	pthread_mutex_lock(&p->lock);
	for (unsigned i = 0; i < n; i++) {
		todo[i]->alive = todo[i]->start_rc == 0;
		todo[i]->want_start = false;
	}
	pthread_cond_broadcast(&p->changed);
}

static bool any_wanted(const struct redo_pool *p)
{
	for (unsigned i = 0; i < p->slot_count; i++)
		if (p->slots[i].want_start)
			return true;
	return false;
}

static void *starter_main(void *arg)
{
	struct redo_pool *p = arg;
	pthread_mutex_lock(&p->lock);
	while (!p->stopping) {
		if (any_wanted(p))
			start_wanted(p);
		else
			pthread_cond_wait(&p->changed, &p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* The caller holds the slot. */
static int start_slot(struct redo_pool *p, struct slot *s, struct tarn_error *err)
{
	pthread_mutex_lock(&p->lock);
	s->want_start = true;
	s->alive = false;
	pthread_cond_broadcast(&p->changed);
	while (s->want_start)
		pthread_cond_wait(&p->changed, &p->lock);
	int rc = s->start_rc;
	if (rc != 0 && err)
		*err = s->start_err;
	pthread_mutex_unlock(&p->lock);
	return rc;
}

/* ---- the pool ---- */

static void init_metrics(struct redo_pool *p)
{
	struct tarn_metrics *m = p->config.metrics;
	if (!m)
		m = p->own_metrics = tarn_metrics_new();
	p->records = tarn_metrics_counter(m, "tarn_redo_records_total", NULL,
					  "WAL records applied by redo hosts");
	p->applications = tarn_metrics_counter(m, "tarn_redo_applications_total", NULL,
					       "Pages rebuilt by redo hosts");
	p->restarts = tarn_metrics_counter(m, "tarn_redo_host_restarts_total", NULL,
					   "Redo hosts replaced after an error");
	p->batch_us = tarn_metrics_histogram(m, "tarn_redo_batch_seconds", NULL,
					     "Time of one batch in a redo host");
}

static int make_work_dir(const char *dir, struct tarn_error *err)
{
	TRY(file_mkdir_p(dir, 0755, err));
	/* the hosts' user must be able to pass */
	if (geteuid() == 0 && chmod(dir, 0755) != 0)
		return tarn_fail_errno(err, errno, "cannot open %s to the redo hosts' user", dir);
	return 0;
}

static int absolute(const char *path, const char **out, struct tarn_error *err)
{
	*out = realpath(path, NULL);
	return *out ? 0 : tarn_fail_errno(err, errno, "cannot find %s", path);
}

static int start_all(struct redo_pool *p, struct tarn_error *err)
{
	int rc = 0;
	pthread_mutex_lock(&p->lock);
	for (unsigned i = 0; i < p->slot_count; i++)
		p->slots[i].want_start = true;
	pthread_cond_broadcast(&p->changed);
	while (any_wanted(p))
		pthread_cond_wait(&p->changed, &p->lock);
	for (unsigned i = 0; i < p->slot_count; i++) {
		struct slot *s = &p->slots[i];
		if (s->start_rc != 0 && rc == 0) {
			rc = s->start_rc;
			if (err)
				*err = s->start_err;
		}
		s->next_free = p->free_slots;
		p->free_slots = s;
	}
	pthread_mutex_unlock(&p->lock);
	return rc;
}

int redo_pool_new(const struct redo_config *c, struct redo_pool **out, struct tarn_error *err)
{
	int rc;
	*out = NULL;
	if (c->hosts < 1 || c->hosts > MAX_HOSTS)
		return tarn_fail(err, TARN_E_USAGE, "the number of redo hosts must be 1 to %d",
				 MAX_HOSTS);
	struct redo_pool *p = tarn_calloc(1, sizeof *p);
	p->config = *c;
	p->config.postgres_path = tarn_strdup(c->postgres_path);
	p->config.module_path = p->config.work_dir = NULL;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	init_metrics(p);
	p->slots = tarn_calloc(c->hosts, sizeof *p->slots);
	TRY_GOTO(rc, make_work_dir(c->work_dir, err), failed);
	/* a host changes into its own directory before it looks for either */
	TRY_GOTO(rc, absolute(c->module_path, &p->config.module_path, err), failed);
	TRY_GOTO(rc, absolute(c->work_dir, &p->config.work_dir, err), failed);
	for (; p->slot_count < c->hosts; p->slot_count++)
		TRY_GOTO(rc,
			 redo_host_init(&p->slots[p->slot_count].host, p->slot_count, &p->config,
					err),
			 failed_init);
	if (pthread_create(&p->starter, NULL, starter_main, p) != 0) {
		rc = tarn_fail(err, TARN_E_IO, "cannot start a thread for the redo hosts");
		goto failed;
	}
	p->starter_runs = true;
	TRY_GOTO(rc, start_all(p, err), failed);
	*out = p;
	return 0;
failed_init:
	p->slot_count++; /* it is to be released too */
failed:
	redo_pool_free(p);
	return rc;
}

void redo_pool_free(struct redo_pool *p)
{
	if (!p)
		return;
	if (p->starter_runs) {
		pthread_mutex_lock(&p->lock);
		p->stopping = true;
		pthread_cond_broadcast(&p->changed);
		pthread_mutex_unlock(&p->lock);
		pthread_join(p->starter, NULL);
	}
	for (unsigned i = 0; i < p->slot_count; i++) {
		char *dir = p->slots[i].host.dir ? tarn_strdup(p->slots[i].host.dir) : NULL;
		redo_host_release(&p->slots[i].host);
		if (dir && file_exists(dir))
			file_remove_tree(dir, NULL);
		free(dir);
	}
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	tarn_metrics_free(p->own_metrics);
	free((char *)p->config.postgres_path);
	free((char *)p->config.module_path);
	free((char *)p->config.work_dir);
	free(p->slots);
	free(p);
}

/* The one used last comes first: its memory is warm. */
static struct slot *acquire(struct redo_pool *p)
{
	pthread_mutex_lock(&p->lock);
	while (!p->free_slots)
		pthread_cond_wait(&p->changed, &p->lock);
	struct slot *s = p->free_slots;
	p->free_slots = s->next_free;
	pthread_mutex_unlock(&p->lock);
	return s;
}

static void release(struct redo_pool *p, struct slot *s)
{
	pthread_mutex_lock(&p->lock);
	s->next_free = p->free_slots;
	p->free_slots = s;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

/* ---- batches ---- */

static void begin_batch(struct slot *s)
{
	s->plan_count = 0;
	s->in_used = 0;
	s->out_used = 0;
	s->host.shm->op_count = 0;
}

static uint8_t *put_bytes(struct slot *s, const void *bytes, size_t len)
{
	uint8_t *at = s->host.shm->in + s->in_used;
	if (bytes)
		memcpy(at, bytes, len);
	s->in_used = (size_t)align_up_u64(s->in_used + len, 8);
	return at;
}

static struct redo_shm_op *put_op(struct slot *s, const struct redo_shm_op *op, const uint8_t *base)
{
	struct redo_shm_op *at = (struct redo_shm_op *)put_bytes(s, op, sizeof *op);
	at->out_page = s->out_used;
	if (base) {
		at->flags |= REDO_SHM_HAS_BASE;
		put_bytes(s, base, REDO_PAGE_BYTES);
	}
	s->host.shm->op_count++;
	return at;
}

/* Room for an operation, its page and one record of len bytes? */
static bool has_room(const struct slot *s, size_t len)
{
	return s->plan_count < MAX_PLANS && s->out_used < REDO_SHM_OUT_PAGES &&
	       s->in_used + sizeof(struct redo_shm_op) + REDO_PAGE_BYTES +
			       sizeof(struct redo_shm_record) + len + 64 <=
		       REDO_SHM_IN_BYTES;
}

static int check_record_size(const struct redo_request *r, size_t i, struct tarn_error *err)
{
	const struct redo_record *rec = &r->records[i];
	if (rec->len <= REDO_SHM_MAX_RECORD_BYTES)
		return 0;
	return tarn_fail(err, TARN_E_LIMIT,
			 "the log record that ends at " TARN_LSN_FMT
			 " has %zu bytes; a record that changes pages has at most %u",
			 TARN_LSN_ARGS(rec->end_lsn), rec->len, REDO_SHM_MAX_RECORD_BYTES);
}

/* Puts as many records of the request, from first on, as fit; at least one. */
static int put_request(struct slot *s, const struct redo_request *r, size_t request, size_t first,
		       struct tarn_error *err)
{
	struct redo_shm_op op = {.kind = REDO_SHM_APPLY,
				 .spc = r->spc,
				 .db = r->db,
				 .rel = r->rel,
				 .fork = r->fork,
				 .block = r->block};
	op.flags = r->observe ? REDO_SHM_OBSERVE : 0;
	struct redo_shm_op *at = put_op(s, &op, first ? r->out : r->base);
	struct plan *plan = &s->plans[s->plan_count++];
	*plan = (struct plan){.request = request, .first = first, .out_page = s->out_used};
	for (size_t i = first; i < r->count; i++) {
		const struct redo_record *rec = &r->records[i];
		TRY(check_record_size(r, i, err));
		if (i > first && (!has_room(s, rec->len) ||
				  (r->observe && s->out_used + 1 >= REDO_SHM_OUT_PAGES)))
			break;
		struct redo_shm_record head = {.end_lsn = rec->end_lsn, .len = (uint32_t)rec->len};
		put_bytes(s, &head, sizeof head);
		put_bytes(s, rec->bytes, rec->len);
		plan->count++;
		at->record_count++;
		s->out_used += r->observe || i == first;
	}
	return 0;
}

/* Where in the requests the host was when it failed. */
static int report_failure(struct slot *s, const struct redo_request *requests,
			  struct tarn_error *err)
{
	uint32_t op = s->host.shm->at_op, record = s->host.shm->at_record;
	char why[sizeof err->message];
	tarn_strlcpy(why, err->message, sizeof why);
	if (op >= s->plan_count || record >= s->plans[op].count)
		return tarn_fail(err, TARN_E_CORRUPT, "redo failed: %s", why);
	const struct plan *plan = &s->plans[op];
	const struct redo_request *r = &requests[plan->request];
	return tarn_fail(err, TARN_E_CORRUPT,
			 "redo of relation %u/%u/%u fork %u block %u failed at " TARN_LSN_FMT
			 ": %.300s; the log or the page before it is damaged",
			 r->spc, r->db, r->rel, r->fork, r->block,
			 TARN_LSN_ARGS(r->records[plan->first + record].end_lsn), why);
}

/* Runs the batch in the slot; a host that dies is replaced, and its successor tries once more. */
static int run_batch(struct redo_pool *p, struct slot *s, const struct redo_request *requests,
		     struct tarn_error *err)
{
	struct tarn_error why = {0};
	uint64_t began = tarn_mono_us();
	uint32_t ops = s->host.shm->op_count;
	for (int attempt = 0;; attempt++) {
		if (!s->alive)
			TRY(start_slot(p, s, err));
		s->host.shm->op_count = ops;
		if (redo_host_run(&s->host, &why) == 0)
			break;
		s->alive = false;
		tarn_counter_add(p->restarts, 1);
		log_warn("redo host failed", "host=%u attempt=%d reason=\"%s\"", s->host.index,
			 attempt, why.message);
		if (attempt == 1) {
			report_failure(s, requests, &why);
			if (err)
				*err = why;
			return (int)why.code;
		}
	}
	tarn_histogram_observe_us(p->batch_us, tarn_mono_us() - began);
	return 0;
}

static void collect(struct redo_pool *p, struct slot *s, struct redo_request *requests)
{
	for (size_t i = 0; i < s->plan_count; i++) {
		const struct plan *plan = &s->plans[i];
		struct redo_request *r = &requests[plan->request];
		const uint8_t(*pages)[REDO_PAGE_BYTES] = s->host.shm->out + plan->out_page;
		if (r->observe)
			for (size_t k = 0; k < plan->count; k++)
				r->observe(r->observe_arg, plan->first + k, pages[k]);
		memcpy(r->out, pages[r->observe ? plan->count - 1 : 0], REDO_PAGE_BYTES);
		tarn_counter_add(p->records, plan->count);
		tarn_counter_add(p->applications, 1);
	}
}

/* The answer is what was asked: nothing to apply. */
static void copy_base(struct redo_request *r)
{
	if (r->base)
		memmove(r->out, r->base, REDO_PAGE_BYTES);
	else
		memset(r->out, 0, REDO_PAGE_BYTES);
}

static int apply_all(struct redo_pool *p, struct slot *s, struct redo_request *requests,
		     size_t count, struct tarn_error *err)
{
	size_t request = 0, first = 0;
	while (request < count) {
		begin_batch(s);
		while (request < count) {
			struct redo_request *r = &requests[request];
			if (r->count == 0) {
				copy_base(r);
				request++;
				continue;
			}
			if (s->plan_count > 0 && !has_room(s, r->records[first].len))
				break;
			TRY(put_request(s, r, request, first, err));
			first += s->plans[s->plan_count - 1].count;
			if (first < r->count)
				break; /* the rest begins with this batch's answer */
			request++;
			first = 0;
		}
		if (s->plan_count == 0)
			continue;
		TRY(run_batch(p, s, requests, err));
		collect(p, s, requests);
	}
	return 0;
}

int redo_apply(struct redo_pool *p, struct redo_request *requests, size_t count,
	       struct tarn_error *err)
{
	struct slot *s = acquire(p);
	int rc = apply_all(p, s, requests, count, err);
	release(p, s);
	return rc;
}

int redo_mask(struct redo_pool *p, uint8_t rmgr, uint32_t block, uint8_t *page,
	      struct tarn_error *err)
{
	struct redo_shm_op op = {.kind = REDO_SHM_MASK, .rmgr = rmgr, .block = block};
	struct slot *s = acquire(p);
	begin_batch(s);
	put_op(s, &op, page);
	s->out_used++;
	int rc = run_batch(p, s, NULL, err);
	if (rc == 0)
		memcpy(page, s->host.shm->out[0], REDO_PAGE_BYTES);
	release(p, s);
	return rc;
}
