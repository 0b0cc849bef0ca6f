/* Read index of read_index.h, from the safekeepers. */
#include "base/system.h"
#include "lake/catalog/read_index.h"
#include "base/log.h"
#include "quorum/sk_client.h"
#include <pthread.h>

#define ASK_TIMEOUT_MS 5000
#define SYNC_TIMEOUT_MS 10000
/* A compute that restarts has no proposer for a moment; one that is gone has none for longer. Settling
 * the tail fences the proposer, so it waits. */
#define PROPOSER_GRACE_US 300000
#define MIN_PAUSE_US 1000
#define MAX_PAUSE_US 20000

struct read_index {
	char *text;
	const char *addrs[SK_MAX_MEMBERS];
	unsigned count;
	uint64_t system_identifier;
	pthread_mutex_t sync_lock; /* one settles at a time: two would fence each other */
};

int read_index_new(const char *safekeepers, uint64_t system_identifier, struct read_index **out,
		   struct tarn_error *err)
{
	struct read_index *r = tarn_calloc(1, sizeof *r);
	*out = NULL;
	r->text = tarn_strdup(safekeepers);
	r->system_identifier = system_identifier;
	r->count = sk_split_addresses(r->text, r->addrs, SK_MAX_MEMBERS);
	if (r->count == 0) {
		free(r->text);
		free(r);
		return tarn_fail(err, TARN_E_USAGE,
				 "\"%s\" is no list of safekeepers: write HOST:PORT,HOST:PORT,…",
				 safekeepers);
	}
	pthread_mutex_init(&r->sync_lock, NULL);
	*out = r;
	return 0;
}

void read_index_free(struct read_index *r)
{
	if (!r)
		return;
	pthread_mutex_destroy(&r->sync_lock);
	free(r->text);
	free(r);
}

/* "Nobody knows it" is believed only from a majority that says so; silence proves nothing. */
static int confirm_unknown(const struct read_index *r, const struct tarn_id *tl,
			   struct tarn_error *err)
{
	unsigned without = 0;
	struct tarn_error e = {0};
	for (unsigned i = 0; i < r->count; i++) {
		bool exists;
		if (sk_timeline_exists(r->addrs[i], tl, ASK_TIMEOUT_MS, &exists, &e) == 0 &&
		    !exists)
			without++;
	}
	if (without > r->count / 2)
		return tarn_fail(err, TARN_E_NOT_FOUND, "no safekeeper has the timeline");
	return tarn_fail(err, TARN_E_UNAVAILABLE,
			 "no majority of the %u safekeepers answers%s%s; are they running?",
			 r->count, e.code ? ": " : "", e.message);
}

/* Nobody will commit the tail: do it here. Gives the end of the settled log. */
static int settle(struct read_index *r, const struct tarn_id *tl, tarn_lsn index, tarn_lsn *lsn,
		  struct tarn_error *err)
{
	tarn_lsn again, commit;
	bool alive;
	pthread_mutex_lock(&r->sync_lock);
	/* Another thread may have settled it, or a compute may have come, in the meantime. */
	int rc = quorum_read_index(r->addrs, r->count, tl, ASK_TIMEOUT_MS, &again, &commit, &alive,
				   err);
	if (rc == 0 && commit >= index) {
		*lsn = index;
	} else if (rc == 0 && !alive) {
		rc = quorum_sync(r->addrs, r->count, tl, r->system_identifier, SYNC_TIMEOUT_MS, lsn,
				 err);
		if (rc == 0)
			log_info("settled the log's tail of a branch without a compute",
				 "end=" TARN_LSN_FMT, TARN_LSN_ARGS(*lsn));
	} else if (rc == 0) {
		*lsn = 0;
	}
	pthread_mutex_unlock(&r->sync_lock);
	return rc;
}

static int take(void *arg, const struct tarn_id *tl, int timeout_ms, tarn_lsn *lsn,
		struct tarn_error *err)
{
	struct read_index *r = arg;
	uint64_t deadline = tarn_mono_us() + (uint64_t)timeout_ms * 1000;
	uint64_t seen_alive = tarn_mono_us();
	unsigned pause_us = MIN_PAUSE_US;
	tarn_lsn index, again, commit;
	bool alive;
	int rc = quorum_read_index(r->addrs, r->count, tl, ASK_TIMEOUT_MS, &index, &commit, &alive,
				   err);
	if (rc == TARN_E_NOT_FOUND)
		return confirm_unknown(r, tl, err);
	TRY(rc);
	while (commit < index) {
		uint64_t now = tarn_mono_us();
		if (alive)
			seen_alive = now;
		if (now > deadline)
			return tarn_fail(err, TARN_E_TIMEOUT,
					 "log up to " TARN_LSN_FMT
					 " was not committed within %d ms (committed: " TARN_LSN_FMT
					 "); are enough safekeepers running?",
					 TARN_LSN_ARGS(index), timeout_ms, TARN_LSN_ARGS(commit));
		if (now - seen_alive > PROPOSER_GRACE_US) {
			TRY(settle(r, tl, index, lsn, err));
			if (*lsn)
				return 0;
			seen_alive = now;
		}
		usleep(pause_us);
		pause_us = TARN_MIN(pause_us * 2, (unsigned)MAX_PAUSE_US);
		TRY(quorum_read_index(r->addrs, r->count, tl, ASK_TIMEOUT_MS, &again, &commit,
				      &alive, err));
	}
	*lsn = index;
	return 0;
}

struct read_index_source read_index_source(struct read_index *r)
{
	return (struct read_index_source){.arg = r, .take = take};
}
