/* Threads of put_pool.h: batches in a queue, each handing out its jobs one by one. */
#include "base/system.h"
#include "lake/catalog/put_pool.h"
#include <pthread.h>

struct batch {
	const struct put_job *jobs;
	size_t count, next, done;
	int rc;
	struct tarn_error error;
	struct batch *next_batch;
};
struct put_pool {
	struct objstore *store;
	pthread_mutex_t lock;
	pthread_cond_t work, finished;
	struct batch *head; /* only batches with jobs not handed out */
	bool stopping;
	unsigned threads;
	pthread_t *ids;
};

/* Takes the next job of b, does it without the lock, notes the outcome. */
static void run_one(struct put_pool *p, struct batch *b)
{
	const struct put_job *j = &b->jobs[b->next++];
	struct tarn_error e = {0};
	if (b->next == b->count) {
		struct batch **at = &p->head;
		while (*at != b)
			at = &(*at)->next_batch;
		*at = b->next_batch;
	}
	pthread_mutex_unlock(&p->lock);
	int rc = objstore_put(p->store, j->key, j->bytes.data, j->bytes.len, &e);
	pthread_mutex_lock(&p->lock);
	if (rc != 0 && b->rc == 0) {
		b->rc = rc;
		b->error = e;
	}
	if (++b->done == b->count)
		pthread_cond_broadcast(&p->finished);
}

static void *worker(void *arg)
{
	struct put_pool *p = arg;
	pthread_mutex_lock(&p->lock);
	while (!p->stopping) {
		if (p->head)
			run_one(p, p->head);
		else
			pthread_cond_wait(&p->work, &p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct put_pool *put_pool_new(struct objstore *store, unsigned threads)
{
	struct put_pool *p = tarn_calloc(1, sizeof *p);
	p->store = store;
	p->threads = threads;
	p->ids = tarn_calloc(threads, sizeof *p->ids);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->finished, NULL);
	for (unsigned i = 0; i < threads; i++)
		TARN_CHECK(pthread_create(&p->ids[i], NULL, worker, p) == 0);
	return p;
}

void put_pool_free(struct put_pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stopping = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->threads; i++)
		pthread_join(p->ids[i], NULL);
	pthread_cond_destroy(&p->finished);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	free(p->ids);
	free(p);
}

int put_pool_all(struct put_pool *p, const struct put_job *jobs, size_t count,
		 struct tarn_error *err)
{
	struct batch b = {.jobs = jobs, .count = count};
	if (count == 0)
		return 0;
	pthread_mutex_lock(&p->lock);
	b.next_batch = p->head;
	p->head = &b;
	if (count > 1)
		pthread_cond_broadcast(&p->work);
	/* The caller works too: a single object needs no other thread. */
	while (b.next < b.count)
		run_one(p, &b);
	while (b.done < b.count)
		pthread_cond_wait(&p->finished, &p->lock);
	pthread_mutex_unlock(&p->lock);
	if (b.rc != 0 && err)
		*err = b.error;
	return b.rc;
}
