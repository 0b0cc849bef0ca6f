/*
 * The pages of a relation's blocks in order, read ahead: a page is rebuilt from log by another
 * process, so a reader that asked for one after the other would mostly wait.
 *
 * Windows of pages are read by a few threads while the caller works on an earlier one. The caller is
 * one thread. Memory: PAGE_FEED_WINDOWS windows.
 */
#ifndef TARN_LAKE_TRANSCODE_PAGE_FEED_H
#define TARN_LAKE_TRANSCODE_PAGE_FEED_H

#include <pthread.h>
#include "lake/source.h"

#define PAGE_FEED_WINDOWS 4u
#define PAGE_FEED_THREADS 2u

struct page_window {
	uint8_t *pages; /* LAKE_SOURCE_MAX_PAGES */
	bool absent[LAKE_SOURCE_MAX_PAGES];
	bool ready; /* under lock, as the next ones */
	int rc;
	struct tarn_error error;
};
struct page_feed {
	const struct lake_source *source;
	struct lake_rel rel;
	tarn_lsn lsn;
	const uint32_t *blocks; /* NULL: 0, 1, 2 … */
	uint32_t count;
	uint32_t next;				       /* the caller's next page */
	uint32_t window_count;			       /* that there will be */
	struct page_window windows[PAGE_FEED_WINDOWS]; /* window i in place i % PAGE_FEED_WINDOWS */
	pthread_t threads[PAGE_FEED_THREADS];
	unsigned thread_count; /* 0: few pages, read by the caller */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint32_t begun, used; /* windows taken by threads; done with by the caller */
	bool stopping;
};

/* blocks are ascending and must outlive the feed. */
void page_feed_init(struct page_feed *f, const struct lake_source *source,
		    const struct lake_rel *rel, tarn_lsn lsn, const uint32_t *blocks,
		    uint32_t count);
/* At most count times. *page is NULL for a block that is not there; valid until the next call. */
int page_feed_next(struct page_feed *f, uint32_t *block, const uint8_t **page,
		   struct tarn_error *err);
void page_feed_release(struct page_feed *f);

#endif
