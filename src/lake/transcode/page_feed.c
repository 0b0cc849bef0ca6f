/* Implementation of page_feed.h. */
#include "base/system.h"
#include "lake/transcode/page_feed.h"

#define FORK_MAIN 0
#define WINDOW LAKE_SOURCE_MAX_PAGES
#define PAGE_BYTES 8192u

static uint32_t block_at(const struct page_feed *f, uint32_t i)
{
	return f->blocks ? f->blocks[i] : i;
}

static void load(const struct page_feed *f, uint32_t window, struct page_window *w)
{
	const struct lake_source *s = f->source;
	uint32_t first = window * WINDOW, n = TARN_MIN(WINDOW, f->count - first);
	uint32_t blocks[WINDOW];
	w->rc = 0;
	w->error = (struct tarn_error){0};
	for (uint32_t i = 0; i < n; i++)
		blocks[i] = block_at(f, first + i);
	if (s->get_pages) {
		w->rc = s->get_pages(s->arg, &f->rel, FORK_MAIN, blocks, n, f->lsn, w->pages,
				     w->absent, &w->error);
		return;
	}
	for (uint32_t i = 0; w->rc == 0 && i < n; i++)
		w->rc = s->get_page(s->arg, &f->rel, FORK_MAIN, blocks[i], f->lsn,
				    w->pages + (size_t)i * PAGE_BYTES, &w->absent[i], &w->error);
}

static void *read_ahead(void *arg)
{
	struct page_feed *f = arg;
	pthread_mutex_lock(&f->lock);
	for (;;) {
		while (!f->stopping && f->begun < f->window_count &&
		       f->begun >= f->used + PAGE_FEED_WINDOWS)
			pthread_cond_wait(&f->changed, &f->lock);
		if (f->stopping || f->begun == f->window_count)
			break;
		uint32_t window = f->begun++;
		struct page_window *w = &f->windows[window % PAGE_FEED_WINDOWS];
		pthread_mutex_unlock(&f->lock);
		load(f, window, w);
		pthread_mutex_lock(&f->lock);
		w->ready = true;
		pthread_cond_broadcast(&f->changed);
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

void page_feed_init(struct page_feed *f, const struct lake_source *source,
		    const struct lake_rel *rel, tarn_lsn lsn, const uint32_t *blocks,
		    uint32_t count)
{
	*f = (struct page_feed){
		.source = source, .rel = *rel, .lsn = lsn, .blocks = blocks, .count = count};
	f->window_count = count / WINDOW + (count % WINDOW != 0);
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, NULL);
	for (uint32_t i = 0; i < TARN_MIN(f->window_count, PAGE_FEED_WINDOWS); i++)
		f->windows[i].pages = tarn_malloc((size_t)WINDOW * PAGE_BYTES);
	/* Without threads the work is only slower. */
	while (f->window_count > 1 && f->thread_count < PAGE_FEED_THREADS &&
	       pthread_create(&f->threads[f->thread_count], NULL, read_ahead, f) == 0)
		f->thread_count++;
}

static void wait_ready(struct page_feed *f, uint32_t window, struct page_window *w)
{
	if (f->thread_count == 0) {
		load(f, window, w);
		return;
	}
	pthread_mutex_lock(&f->lock);
	while (!w->ready)
		pthread_cond_wait(&f->changed, &f->lock);
	pthread_mutex_unlock(&f->lock);
}

static void give_back(struct page_feed *f, struct page_window *w)
{
	pthread_mutex_lock(&f->lock);
	w->ready = false;
	f->used++;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

int page_feed_next(struct page_feed *f, uint32_t *block, const uint8_t **page,
		   struct tarn_error *err)
{
	TARN_CHECK(f->next < f->count);
	uint32_t window = f->next / WINDOW, at = f->next % WINDOW;
	struct page_window *w = &f->windows[window % PAGE_FEED_WINDOWS];
	if (at == 0 && window > 0)
		give_back(f, &f->windows[(window - 1) % PAGE_FEED_WINDOWS]);
	if (at == 0)
		wait_ready(f, window, w);
	if (w->rc != 0) {
		if (err)
			*err = w->error;
		return w->rc;
	}
	*block = block_at(f, f->next);
	*page = w->absent[at] ? NULL : w->pages + (size_t)at * PAGE_BYTES;
	f->next++;
	return 0;
}

void page_feed_release(struct page_feed *f)
{
	pthread_mutex_lock(&f->lock);
	f->stopping = true;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
	for (unsigned i = 0; i < f->thread_count; i++)
		pthread_join(f->threads[i], NULL);
	for (unsigned i = 0; i < PAGE_FEED_WINDOWS; i++)
		free(f->windows[i].pages);
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
}
