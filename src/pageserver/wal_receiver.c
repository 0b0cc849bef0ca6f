/* Implementation of wal_receiver.h. */
#include "base/system.h"
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include "base/log.h"
#include "pageserver/ingest.h"
#include "pageserver/wal_receiver.h"
#include "quorum/sk_client.h"

#define OPEN_TIMEOUT_MS 5000
#define READ_TIMEOUT_MS 250
#define MIN_BACKOFF_MS 50
#define MAX_BACKOFF_MS 2000
#define SILENCE_US 2000000u /* of a safekeeper while somebody waits, before another is asked */
#define REPORT_INTERVAL_US 1000000u
#define WARN_INTERVAL_US 10000000u

struct wal_receiver {
	struct wal_receiver *next; /* under wal_receivers.lock */
	struct wal_receivers *all;
	struct ps_timeline *tl;
	struct tarn_id id;
	char id_text[TARN_ID_TEXT_BYTES];
	pthread_t thread;
	int wake_fd;
	bool stopping;		  /* atomic */
	bool wanted;		  /* atomic; somebody waits */
	bool failed;		  /* under wal_receivers.lock */
	struct tarn_error reason; /* of failed */

	/* the thread's own */
	struct ps_ingest *ingest;
	struct wal_framer framer;
	unsigned at;	     /* which safekeeper */
	unsigned unknown_to; /* safekeepers in a row that did not know the timeline */
	int backoff_ms;
	uint64_t heard_us, reported_us, warned_us;
	tarn_lsn reported_lsn;
};

struct wal_receivers {
	struct ps_store *store;
	char *addresses_text;
	const char *addresses[SK_MAX_MEMBERS];
	unsigned address_count;
	pthread_mutex_t lock;
	struct wal_receiver *list;
	struct tarn_counter *records, *bytes, *switches;
	ps_reconstruct_fn reconstruct; /* NULL: none */
	void *reconstruct_arg;
};

static bool is_stopping(const struct wal_receiver *r)
{
	return __atomic_load_n(&r->stopping, __ATOMIC_ACQUIRE);
}

/* ---- the stream ---- */

enum stream_end { STREAM_STOPPED, STREAM_LOST, STREAM_UNKNOWN, STREAM_BROKEN };

/* Feeds bytes to the framer and records to ingest. *broken: ingest failed, the timeline ends here. */
static int take_bytes(struct wal_receiver *r, const uint8_t *bytes, size_t len, bool *broken,
		      struct tarn_error *err)
{
	size_t done = 0, used;
	struct wal_record_bytes record;
	bool complete;
	tarn_counter_add(r->all->bytes, len);
	while (done < len && !is_stopping(r)) {
		TRY(wal_framer_feed(&r->framer, bytes + done, len - done, &used, &complete, &record,
				    err));
		done += used;
		if (!complete)
			continue;
		tarn_counter_add(r->all->records, 1);
		int rc = ps_ingest_record(r->ingest, &record, err);
		if (rc != 0) {
			*broken = true;
			return rc;
		}
	}
	return 0;
}

static int report_durable(struct wal_receiver *r, struct sk_reader *reader, struct tarn_error *err)
{
	struct ps_timeline_info info;
	uint64_t now_us = tarn_mono_us();
	if (now_us - r->reported_us < REPORT_INTERVAL_US)
		return 0;
	ps_timeline_info(r->tl, &info);
	r->reported_us = now_us;
	if (info.remote_lsn <= r->reported_lsn)
		return 0;
	r->reported_lsn = info.remote_lsn;
	return sk_reader_report_durable(reader, info.remote_lsn, err);
}

/* Until the connection fails, somebody waits in vain or the receiver stops. */
static int read_stream(struct wal_receiver *r, struct sk_reader *reader, bool *broken,
		       struct tarn_error *err)
{
	r->heard_us = tarn_mono_us();
	while (!is_stopping(r)) {
		const uint8_t *bytes;
		size_t len;
		tarn_lsn lsn, commit_lsn;
		TRY(sk_reader_next(reader, READ_TIMEOUT_MS, &bytes, &len, &lsn, &commit_lsn, err));
		if (len > 0) {
			if (lsn != r->framer.lsn)
				return tarn_fail(err, TARN_E_PROTOCOL,
						 "log from " TARN_LSN_FMT
						 " came, not from " TARN_LSN_FMT,
						 TARN_LSN_ARGS(lsn), TARN_LSN_ARGS(r->framer.lsn));
			TRY(take_bytes(r, bytes, len, broken, err));
			r->heard_us = tarn_mono_us();
			r->backoff_ms = MIN_BACKOFF_MS;
			r->unknown_to = 0;
			__atomic_store_n(&r->wanted, false, __ATOMIC_RELAXED);
		} else if (__atomic_load_n(&r->wanted, __ATOMIC_RELAXED) &&
			   r->all->address_count > 1 && tarn_mono_us() - r->heard_us > SILENCE_US) {
			__atomic_store_n(&r->wanted, false, __ATOMIC_RELAXED);
			return tarn_fail(err, TARN_E_TIMEOUT,
					 "it has nothing new while a page request waits");
		}
		TRY(report_durable(r, reader, err));
	}
	return 0;
}

static enum stream_end stream(struct wal_receiver *r, struct tarn_error *err)
{
	struct sk_reader *reader = NULL;
	tarn_lsn next_lsn, prev_lsn;
	bool broken = false;
	ps_ingest_position(r->ingest, &next_lsn, &prev_lsn);
	wal_framer_reset(&r->framer, next_lsn, prev_lsn);
	int rc = sk_reader_open(r->all->addresses[r->at], &r->id,
				ps_store_system_identifier(r->all->store), next_lsn, "pageserver",
				OPEN_TIMEOUT_MS, &reader, err);
	r->reported_lsn = 0;
	if (rc == 0)
		rc = read_stream(r, reader, &broken, err);
	sk_reader_free(reader);
	if (broken)
		return STREAM_BROKEN;
	if (rc == 0)
		return STREAM_STOPPED;
	return rc == TARN_E_NOT_FOUND ? STREAM_UNKNOWN : STREAM_LOST;
}

/* ---- the thread ---- */

/* Cut short by a stop or by somebody who waits. */
static void sleep_ms(struct wal_receiver *r, int ms)
{
	struct pollfd p = {.fd = r->wake_fd, .events = POLLIN};
	uint64_t count;
	if (is_stopping(r))
		return;
	if (poll(&p, 1, ms) > 0 && read(r->wake_fd, &count, sizeof count) < 0)
		return; /* another took it: as good as awake */
}

static void set_failed(struct wal_receiver *r, const struct tarn_error *err)
{
	log_error("timeline stopped", "timeline=%s code=%s reason=\"%s\"", r->id_text,
		  tarn_error_name(err->code), err->message);
	pthread_mutex_lock(&r->all->lock);
	r->failed = true;
	r->reason = *err;
	pthread_mutex_unlock(&r->all->lock);
}

/* What the end of a stream means for the next attempt. */
static void prepare_next(struct wal_receiver *r, enum stream_end end, const struct tarn_error *err)
{
	uint64_t now_us = tarn_mono_us();
	bool wanted = __atomic_exchange_n(&r->wanted, false, __ATOMIC_RELAXED);
	if (end == STREAM_LOST) {
		r->unknown_to = 0;
		tarn_counter_add(r->all->switches, 1);
	} else {
		r->unknown_to++;
	}
	if ((end == STREAM_LOST || wanted) && now_us - r->warned_us > WARN_INTERVAL_US) {
		log_warn("no log from a safekeeper", "timeline=%s safekeeper=%s reason=\"%s\"",
			 r->id_text, r->all->addresses[r->at], err->message);
		r->warned_us = now_us;
	}
	r->at = (r->at + 1) % r->all->address_count;
	/* the next one is asked at once, unless all have been */
	if (end == STREAM_UNKNOWN && r->unknown_to % r->all->address_count != 0)
		return;
	sleep_ms(r, wanted ? MIN_BACKOFF_MS : r->backoff_ms);
	r->backoff_ms = TARN_MIN(r->backoff_ms * 2, MAX_BACKOFF_MS);
}

static void *receiver_main(void *arg)
{
	struct wal_receiver *r = arg;
	struct tarn_error err = {0};
	if (ps_ingest_new(r->tl, &r->ingest, &err) != 0) {
		set_failed(r, &err);
		return NULL;
	}
	ps_ingest_set_reconstruct(r->ingest, r->all->reconstruct, r->all->reconstruct_arg);
	wal_framer_init(&r->framer, 0, 0, ps_store_system_identifier(r->all->store));
	r->backoff_ms = MIN_BACKOFF_MS;
	while (!is_stopping(r)) {
		enum stream_end end = stream(r, &err);
		if (end == STREAM_BROKEN) {
			set_failed(r, &err);
			break;
		}
		if (end != STREAM_STOPPED)
			prepare_next(r, end, &err);
	}
	wal_framer_release(&r->framer);
	ps_ingest_free(r->ingest);
	return NULL;
}

/* ---- all of them ---- */

int wal_receivers_new(struct ps_store *store, const char *safekeepers, struct tarn_metrics *m,
		      struct wal_receivers **out, struct tarn_error *err)
{
	struct wal_receivers *w = tarn_calloc(1, sizeof *w);
	w->store = store;
	w->addresses_text = tarn_strdup(safekeepers ? safekeepers : "");
	if (*w->addresses_text) {
		w->address_count =
			sk_split_addresses(w->addresses_text, w->addresses, SK_MAX_MEMBERS);
		if (w->address_count == 0) {
			free(w->addresses_text);
			free(w);
			return tarn_fail(
				err, TARN_E_USAGE,
				"safekeepers \"%s\": write HOST:PORT,HOST:PORT,…, at most %d",
				safekeepers, SK_MAX_MEMBERS);
		}
	}
	pthread_mutex_init(&w->lock, NULL);
	w->records = tarn_metrics_counter(m, "tarn_pageserver_wal_records_total", NULL,
					  "Log records ingested");
	w->bytes = tarn_metrics_counter(m, "tarn_pageserver_wal_bytes_total", NULL,
					"Bytes of log received");
	w->switches = tarn_metrics_counter(m, "tarn_pageserver_safekeeper_switches_total", NULL,
					   "Times a receiver left a safekeeper for another");
	*out = w;
	return 0;
}

void wal_receivers_set_reconstruct(struct wal_receivers *w, ps_reconstruct_fn fn, void *arg)
{
	w->reconstruct = fn;
	w->reconstruct_arg = arg;
}

static void stop_one(struct wal_receiver *r)
{
	uint64_t one = 1;
	__atomic_store_n(&r->stopping, true, __ATOMIC_RELEASE);
	TARN_CHECK(write(r->wake_fd, &one, sizeof one) == (ssize_t)sizeof one);
	pthread_join(r->thread, NULL);
	close(r->wake_fd);
	free(r);
}

void wal_receivers_free(struct wal_receivers *w)
{
	if (!w)
		return;
	for (struct wal_receiver *r = w->list; r; r = r->next)
		__atomic_store_n(&r->stopping, true, __ATOMIC_RELEASE);
	while (w->list) {
		struct wal_receiver *r = w->list;
		w->list = r->next;
		stop_one(r);
	}
	pthread_mutex_destroy(&w->lock);
	free(w->addresses_text);
	free(w);
}

/* Under lock. */
static struct wal_receiver *find(struct wal_receivers *w, const struct ps_timeline *tl)
{
	struct wal_receiver *r = w->list;
	while (r && r->tl != tl)
		r = r->next;
	return r;
}

int wal_receivers_add(struct wal_receivers *w, struct ps_timeline *tl, struct tarn_error *err)
{
	struct ps_timeline_info info;
	int rc = 0;
	if (w->address_count == 0)
		return 0;
	ps_timeline_info(tl, &info);
	pthread_mutex_lock(&w->lock);
	if (!find(w, tl)) {
		struct wal_receiver *r = tarn_calloc(1, sizeof *r);
		r->all = w;
		r->tl = tl;
		r->id = info.id;
		r->at = r->id.bytes[15] % w->address_count; /* spreads the load */
		tarn_id_format(&r->id, r->id_text);
		r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (r->wake_fd < 0 || pthread_create(&r->thread, NULL, receiver_main, r) != 0) {
			rc = tarn_fail(err, TARN_E_IO, "cannot start a WAL receiver for %s",
				       info.name);
			if (r->wake_fd >= 0)
				close(r->wake_fd);
			free(r);
		} else {
			r->next = w->list;
			w->list = r;
		}
	}
	pthread_mutex_unlock(&w->lock);
	return rc;
}

void wal_receivers_remove(struct wal_receivers *w, struct ps_timeline *tl)
{
	pthread_mutex_lock(&w->lock);
	struct wal_receiver *r = find(w, tl);
	for (struct wal_receiver **at = &w->list; r && *at; at = &(*at)->next) {
		if (*at == r) {
			*at = r->next;
			break;
		}
	}
	pthread_mutex_unlock(&w->lock);
	if (r)
		stop_one(r);
}

void wal_receivers_want(struct wal_receivers *w, struct ps_timeline *tl)
{
	uint64_t one = 1;
	pthread_mutex_lock(&w->lock);
	struct wal_receiver *r = find(w, tl);
	if (r && !__atomic_exchange_n(&r->wanted, true, __ATOMIC_RELAXED))
		TARN_CHECK(write(r->wake_fd, &one, sizeof one) == (ssize_t)sizeof one);
	pthread_mutex_unlock(&w->lock);
}

int wal_receivers_status(struct wal_receivers *w, struct ps_timeline *tl, struct tarn_error *err)
{
	int rc = 0;
	pthread_mutex_lock(&w->lock);
	struct wal_receiver *r = find(w, tl);
	if (r && r->failed) {
		if (err)
			*err = r->reason;
		rc = (int)r->reason.code;
	}
	pthread_mutex_unlock(&w->lock);
	return rc;
}
