/*
 * The safekeeper's loop. One thread does all: reads what has arrived on every connection, writes,
 * syncs each timeline that was written once (group commit), answers, feeds readers. A second thread
 * (HTTP) looks at timelines under `lock`, which the loop lets go only while it waits.
 */
#include "base/system.h"
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include "base/log.h"
#include "base/metrics.h"
#include "io/file.h"
#include "io/http.h"
#include "io/net.h"
#include "io/stop.h"
#include "safekeeper/safekeeper.h"
#include "safekeeper/timeline.h"

#define MAX_CONNECTIONS 512
#define MAX_TIMELINES 1024
#define READ_BYTES ((size_t)256 << 10)
#define FEED_BYTES ((size_t)256 << 10)
#define OUT_LIMIT_BYTES ((size_t)1 << 20) /* a reader that is slower waits */
#define EVENTS 64
#define TRIM_INTERVAL_US (5u * 1000 * 1000)

struct connection {
	int fd;
	struct tarn_buf in, out;
	size_t out_sent;
	bool want_write;
	struct sk_timeline *timeline; /* of its last message, or NULL */
	bool proposer;		      /* has been granted a vote or appended */
	bool answer_append;	      /* owes an APPENDED after the sync */
	bool reading;
	uint32_t read_flags;
	tarn_lsn read_lsn;
	tarn_lsn told_commit_lsn;
	char reader[32];
	struct connection *next, *previous;
};

struct safekeeper {
	const struct safekeeper_config *config;
	pthread_mutex_t lock;
	int epoll_fd, listen_fd;
	struct connection *connections;
	unsigned connection_count;
	struct sk_timeline *timelines[MAX_TIMELINES];
	unsigned timeline_count;
	uint64_t trim_at_us;
	struct quorum_msg in, out; /* large */
	struct tarn_counter *appends, *append_bytes, *syncs, *refused;
	struct tarn_histogram *sync_us;
};

static struct sk_timeline *find(struct safekeeper *s, const struct tarn_id *id)
{
	for (unsigned i = 0; i < s->timeline_count; i++)
		if (tarn_id_equal(&s->timelines[i]->id, id))
			return s->timelines[i];
	return NULL;
}

static void close_connection(struct safekeeper *s, struct connection *c)
{
	close(c->fd);
	if (c->previous)
		c->previous->next = c->next;
	else
		s->connections = c->next;
	if (c->next)
		c->next->previous = c->previous;
	s->connection_count--;
	tarn_buf_release(&c->in);
	tarn_buf_release(&c->out);
	free(c);
}

static bool proposer_alive(const struct safekeeper *s, const struct sk_timeline *t)
{
	for (const struct connection *c = s->connections; c; c = c->next)
		if (c->proposer && c->timeline == t)
			return true;
	return false;
}

static struct quorum_msg *answer(struct safekeeper *s, uint16_t type, const struct sk_timeline *t)
{
	memset(&s->out, 0, sizeof s->out);
	s->out.type = type;
	if (t) {
		s->out.timeline = t->id;
		s->out.system_identifier = t->system_identifier;
		s->out.term = t->acceptor.hard.term;
		s->out.flush_lsn = t->acceptor.flush_lsn;
		s->out.commit_lsn = t->acceptor.hard.commit_lsn;
	}
	return &s->out;
}

static void send_error(struct connection *c, const struct tarn_id *tl, const struct tarn_error *e)
{
	struct quorum_msg *m = tarn_calloc(1, sizeof *m);
	m->type = Q_ERROR;
	m->timeline = *tl;
	m->term = (uint64_t)e->code;
	m->bytes = (const uint8_t *)e->message;
	m->bytes_len = strlen(e->message);
	quorum_put(&c->out, m);
	free(m);
}

static void greet(struct safekeeper *s, struct connection *c, uint16_t type, uint32_t flags)
{
	struct quorum_msg *m = answer(s, type, c->timeline);
	m->flags = flags;
	if (c->timeline) {
		acceptor_describe(&c->timeline->acceptor, m);
		if (proposer_alive(s, c->timeline))
			m->flags |= Q_FLAG_PROPOSER_ALIVE;
	}
	quorum_put(&c->out, m);
}

static int on_create(struct safekeeper *s, struct connection *c, struct tarn_error *err)
{
	const struct quorum_msg *m = &s->in;
	if (!c->timeline) {
		if (s->timeline_count == MAX_TIMELINES)
			return tarn_fail(err, TARN_E_LIMIT,
					 "a safekeeper holds at most %d timelines", MAX_TIMELINES);
		TRY(sk_timeline_make(s->config->dir, &m->timeline, m->system_identifier,
				     m->start_lsn, (m->flags & Q_FLAG_RECOVERING) != 0,
				     &c->timeline, err));
		s->timelines[s->timeline_count++] = c->timeline;
		char id[TARN_ID_TEXT_BYTES];
		tarn_id_format(&m->timeline, id);
		log_info("timeline made", "timeline=%s start=" TARN_LSN_FMT, id,
			 TARN_LSN_ARGS(m->start_lsn));
	}
	greet(s, c, Q_GREETING, 0);
	return 0;
}

static int on_delete(struct safekeeper *s, struct connection *c, struct tarn_error *err)
{
	struct sk_timeline *t = c->timeline;
	if (t) {
		for (struct connection *o = s->connections; o; o = o->next)
			if (o->timeline == t) {
				o->timeline = NULL;
				o->proposer = o->reading = o->answer_append = false;
			}
		char *dir = tarn_strdup(t->dir);
		for (unsigned i = 0; i < s->timeline_count; i++)
			if (s->timelines[i] == t)
				s->timelines[i] = s->timelines[--s->timeline_count];
		sk_timeline_free(t);
		int rc = file_remove_tree(dir, err);
		free(dir);
		TRY(rc);
	}
	quorum_put(&c->out, answer(s, Q_OK, NULL));
	return 0;
}

static int on_vote(struct safekeeper *s, struct connection *c, struct tarn_error *err)
{
	bool changed, granted = acceptor_vote(&c->timeline->acceptor, s->in.term, s->in.proposer,
					      &changed);
	if (changed)
		TRY(sk_timeline_save(c->timeline, err)); /* before the answer goes out */
	if (granted)
		c->proposer = true;
	greet(s, c, Q_VOTED, granted ? Q_FLAG_GRANTED : 0);
	return 0;
}

static int on_elected(struct safekeeper *s, struct connection *c, struct tarn_error *err)
{
	struct sk_timeline *t = c->timeline;
	tarn_lsn end;
	TRY(acceptor_elected(&t->acceptor, &s->in, &end, err));
	if (end < t->acceptor.write_lsn)
		TRY(sk_timeline_truncate(t, end, err));
	TRY(sk_timeline_save(t, err));
	char id[TARN_ID_TEXT_BYTES];
	tarn_id_format(&t->id, id);
	log_info("term begins", "timeline=%s term=%" PRIu64 " flush=" TARN_LSN_FMT, id, s->in.term,
		 TARN_LSN_ARGS(t->acceptor.flush_lsn));
	quorum_put(&c->out, answer(s, Q_ADOPTED, t));
	return 0;
}

static int on_append(struct safekeeper *s, struct connection *c, struct tarn_error *err)
{
	struct sk_timeline *t = c->timeline;
	size_t skip;
	TRY(acceptor_append(&t->acceptor, &s->in, &skip, err));
	if (s->in.bytes_len > skip) {
		int rc = sk_timeline_write(t, s->in.bytes + skip, s->in.bytes_len - skip, err);
		if (rc == TARN_E_CORRUPT) {
			TRY(sk_timeline_truncate(t, t->acceptor.flush_lsn, err));
			return tarn_fail(err, TARN_E_PROTOCOL, "what was sent is no log: closed");
		}
		TRY(rc);
	}
	tarn_counter_add(s->appends, 1);
	tarn_counter_add(s->append_bytes, s->in.bytes_len);
	acceptor_learn_commit(&t->acceptor, s->in.commit_lsn);
	if (s->in.bytes_len > 0)
		c->answer_append = true;
	return 0;
}

static int on_read(struct safekeeper *s, struct connection *c, struct tarn_error *err)
{
	const struct acceptor *a = &c->timeline->acceptor;
	size_t n = TARN_MIN(s->in.bytes_len, sizeof c->reader - 1);
	if (s->in.begin_lsn < a->hard.start_lsn || s->in.begin_lsn < c->timeline->oldest_lsn)
		return tarn_fail(
			err, TARN_E_LIMIT, "the log begins at " TARN_LSN_FMT " here",
			TARN_LSN_ARGS(TARN_MAX(a->hard.start_lsn, c->timeline->oldest_lsn)));
	for (size_t i = 0; i < n; i++)
		c->reader[i] =
			s->in.bytes[i] > ' ' && s->in.bytes[i] < 127 ? (char)s->in.bytes[i] : '?';
	c->reader[n] = '\0';
	c->reading = true;
	c->read_flags = s->in.flags;
	c->read_lsn = s->in.begin_lsn;
	c->told_commit_lsn = 0;
	return 0;
}

/* Errors of this kind end the process (invariant 7); others end the connection. */
static bool is_fatal(int rc)
{
	return rc == TARN_E_IO || rc == TARN_E_CORRUPT;
}

static int dispatch(struct safekeeper *s, struct connection *c, struct tarn_error *err)
{
	const struct quorum_msg *m = &s->in;
	c->timeline = find(s, &m->timeline);
	if (c->timeline && m->system_identifier &&
	    m->system_identifier != c->timeline->system_identifier)
		return tarn_fail(err, TARN_E_CONFLICT,
				 "the timeline belongs to system %" PRIu64 ", not %" PRIu64,
				 c->timeline->system_identifier, m->system_identifier);
	if (m->type == Q_HELLO || m->type == Q_STATUS) {
		greet(s, c, Q_GREETING, 0);
		return 0;
	}
	if (m->type == Q_CREATE)
		return on_create(s, c, err);
	if (m->type == Q_DELETE)
		return on_delete(s, c, err);
	if (!c->timeline)
		return tarn_fail(err, TARN_E_NOT_FOUND, "there is no such timeline here");
	switch (m->type) {
	case Q_VOTE:
		return on_vote(s, c, err);
	case Q_ELECTED:
		return on_elected(s, c, err);
	case Q_APPEND:
		return on_append(s, c, err);
	case Q_READ:
		return on_read(s, c, err);
	case Q_DURABLE:
		c->timeline->durable_lsn = TARN_MAX(c->timeline->durable_lsn, m->flush_lsn);
		return 0;
	default:
		return tarn_fail(err, TARN_E_PROTOCOL, "message type %u is not for a safekeeper",
				 m->type);
	}
}

/* All whole frames that have arrived. Returns an error only if the process must end; *closed otherwise. */
static int handle_frames(struct safekeeper *s, struct connection *c, bool *closed,
			 struct tarn_error *err)
{
	size_t done = 0;
	for (;;) {
		struct frame f;
		size_t used;
		int rc = frame_parse(c->in.data + done, c->in.len - done, FRAME_PROTO_QUORUM,
				     QUORUM_WIRE_VERSION, QUORUM_MAX_PAYLOAD_BYTES, &f, &used, err);
		bool framed = rc == 0;
		if (rc == 0 && used == 0)
			break;
		if (rc == 0)
			rc = quorum_parse(&f, &s->in, err);
		if (rc == 0)
			rc = dispatch(s, c, err);
		if (rc != 0 && framed && is_fatal(rc))
			return rc;
		if (rc != 0) {
			tarn_counter_add(s->refused, 1);
			log_warn("connection refused", "reason=\"%s\"", err->message);
			if (framed)
				send_error(c, &s->in.timeline, err);
			*closed = true;
			return 0;
		}
		done += used;
	}
	tarn_buf_consume(&c->in, done);
	return 0;
}

static int receive(struct safekeeper *s, struct connection *c, bool *closed, struct tarn_error *err)
{
	/* Bounded, so that one busy peer does not starve the others. */
	for (int round = 0; round < 8; round++) {
		uint8_t *room = tarn_buf_reserve(&c->in, READ_BYTES);
		ssize_t n = recv(c->fd, room, READ_BYTES, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			*closed = true;
			return 0;
		}
		c->in.len += (size_t)n;
		TRY(handle_frames(s, c, closed, err));
		if (*closed || (size_t)n < READ_BYTES)
			return 0;
	}
	return 0;
}

/* False: the connection is broken. */
static bool flush_out(struct safekeeper *s, struct connection *c)
{
	while (c->out_sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.data + c->out_sent, c->out.len - c->out_sent,
				 MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return false;
		c->out_sent += (size_t)n;
	}
	bool pending = c->out_sent < c->out.len;
	if (!pending) {
		tarn_buf_clear(&c->out);
		c->out_sent = 0;
	}
	if (pending != c->want_write) {
		struct epoll_event ev = {.events = EPOLLIN | (pending ? EPOLLOUT : 0u),
					 .data.ptr = c};
		epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
		c->want_write = pending;
	}
	return true;
}

static int sync_all(struct safekeeper *s, struct tarn_error *err)
{
	for (unsigned i = 0; i < s->timeline_count; i++) {
		struct sk_timeline *t = s->timelines[i];
		if (!t->dirty)
			continue;
		uint64_t began = tarn_mono_us();
		TRY(sk_timeline_sync(t, err));
		tarn_histogram_observe_us(s->sync_us, tarn_mono_us() - began);
		tarn_counter_add(s->syncs, 1);
	}
	for (struct connection *c = s->connections; c; c = c->next)
		if (c->answer_append) {
			c->answer_append = false;
			quorum_put(&c->out, answer(s, Q_APPENDED, c->timeline));
		}
	return 0;
}

/* More log for one reader, as long as it takes it. */
static int feed(struct safekeeper *s, struct connection *c, uint8_t *chunk, struct tarn_error *err)
{
	const struct acceptor *a = &c->timeline->acceptor;
	tarn_lsn end = c->read_flags & Q_FLAG_BEYOND_COMMIT ? a->flush_lsn : a->hard.commit_lsn;
	while (c->out.len - c->out_sent < OUT_LIMIT_BYTES &&
	       (c->read_lsn < end || c->told_commit_lsn != a->hard.commit_lsn)) {
		size_t n = c->read_lsn < end
				   ? (size_t)TARN_MIN((tarn_lsn)FEED_BYTES, end - c->read_lsn)
				   : 0;
		if (n > 0)
			TRY(sk_timeline_read(c->timeline, c->read_lsn, n, chunk, err));
		struct quorum_msg *m = answer(s, Q_WAL, c->timeline);
		m->begin_lsn = c->read_lsn;
		m->bytes = chunk;
		m->bytes_len = n;
		quorum_put(&c->out, m);
		c->read_lsn += n;
		c->told_commit_lsn = a->hard.commit_lsn;
	}
	return 0;
}

/* A reader that took all it was given, and for whom there is more: nothing but the loop's next turn
 * would wake it. */
static bool can_feed_more(const struct safekeeper *s)
{
	for (const struct connection *c = s->connections; c; c = c->next) {
		if (!c->reading || !c->timeline || c->want_write)
			continue;
		const struct acceptor *a = &c->timeline->acceptor;
		if (c->read_lsn <
		    (c->read_flags & Q_FLAG_BEYOND_COMMIT ? a->flush_lsn : a->hard.commit_lsn))
			return true;
	}
	return false;
}

static int feed_all(struct safekeeper *s, struct tarn_error *err)
{
	static uint8_t chunk[FEED_BYTES]; /* one loop, one thread */
	for (struct connection *c = s->connections; c; c = c->next)
		if (c->reading && c->timeline)
			TRY(feed(s, c, chunk, err));
	return 0;
}

static void flush_all(struct safekeeper *s)
{
	for (struct connection *c = s->connections, *next; c; c = next) {
		next = c->next;
		if (c->out.len > c->out_sent && !flush_out(s, c))
			close_connection(s, c);
	}
}

static int trim_all(struct safekeeper *s, struct tarn_error *err)
{
	if (tarn_mono_us() < s->trim_at_us)
		return 0;
	s->trim_at_us = tarn_mono_us() + TRIM_INTERVAL_US;
	for (unsigned i = 0; i < s->timeline_count; i++) {
		tarn_lsn keep = UINT64_MAX;
		for (struct connection *c = s->connections; c; c = c->next)
			if (c->reading && c->timeline == s->timelines[i])
				keep = TARN_MIN(keep, c->read_lsn);
		TRY(sk_timeline_trim(s->timelines[i], keep, err));
	}
	return 0;
}

static void accept_all(struct safekeeper *s)
{
	for (;;) {
		int fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		if (s->connection_count == MAX_CONNECTIONS) {
			log_warn("too many connections", "limit=%d", MAX_CONNECTIONS);
			close(fd);
			continue;
		}
		int one = 1;
		setsockopt(fd, 6 /* IPPROTO_TCP */, 1 /* TCP_NODELAY */, &one, sizeof one);
		struct connection *c = tarn_calloc(1, sizeof *c);
		c->fd = fd;
		c->next = s->connections;
		if (c->next)
			c->next->previous = c;
		s->connections = c;
		s->connection_count++;
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
		epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev);
	}
}

static int handle_events(struct safekeeper *s, struct epoll_event *events, int n,
			 struct tarn_error *err)
{
	for (int i = 0; i < n; i++) {
		struct connection *c = events[i].data.ptr;
		bool closed = false;
		if (!c) {
			accept_all(s);
			continue;
		}
		if ((void *)c == (void *)s)
			continue; /* the stop event: the loop's condition sees it */
		if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			TRY(receive(s, c, &closed, err));
		if (closed) {
			flush_out(s, c);
			close_connection(s, c);
		}
	}
	TRY(sync_all(s, err));
	TRY(feed_all(s, err));
	flush_all(s);
	return trim_all(s, err);
}

static int loop(struct safekeeper *s, struct tarn_error *err)
{
	struct epoll_event events[EVENTS];
	while (!stop_requested()) {
		int n = epoll_wait(s->epoll_fd, events, EVENTS, can_feed_more(s) ? 0 : 1000);
		if (n < 0 && errno != EINTR)
			return tarn_fail_errno(err, errno, "epoll_wait");
		pthread_mutex_lock(&s->lock);
		int rc = handle_events(s, events, TARN_MAX(n, 0), err);
		pthread_mutex_unlock(&s->lock);
		TRY(rc);
	}
	return 0;
}

static void http_handle(void *arg, const struct http_request *q, struct http_response *r)
{
	struct safekeeper *s = arg;
	struct tarn_error err;
	if (strcmp(q->path, "/v1/timelines") != 0 || strcmp(q->method, "GET") != 0) {
		tarn_fail(&err, TARN_E_NOT_FOUND, "no such request: %s %s", q->method, q->path);
		http_response_error(r, &err);
		return;
	}
	tarn_buf_put_str(&r->body, "{\"timelines\":[");
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < s->timeline_count; i++) {
		const struct sk_timeline *t = s->timelines[i];
		const struct acceptor *a = &t->acceptor;
		char id[TARN_ID_TEXT_BYTES];
		tarn_id_format(&t->id, id);
		tarn_buf_printf(
			&r->body,
			"%s{\"id\":\"%s\",\"term\":%" PRIu64 ",\"flush_lsn\":\"" TARN_LSN_FMT
			"\",\"commit_lsn\":\"" TARN_LSN_FMT "\",\"start_lsn\":\"" TARN_LSN_FMT
			"\",\"durable_lsn\":\"" TARN_LSN_FMT
			"\",\"proposer\":%s,\"recovering\":%s}",
			i ? "," : "", id, a->hard.term, TARN_LSN_ARGS(a->flush_lsn),
			TARN_LSN_ARGS(a->hard.commit_lsn), TARN_LSN_ARGS(a->hard.start_lsn),
			TARN_LSN_ARGS(t->durable_lsn), proposer_alive(s, t) ? "true" : "false",
			a->hard.recovering ? "true" : "false");
	}
	pthread_mutex_unlock(&s->lock);
	tarn_buf_put_str(&r->body, "]}");
}

static int open_timeline(void *arg, const char *name, struct tarn_error *err)
{
	struct safekeeper *s = arg;
	struct tarn_id id;
	if (!tarn_id_parse(name, &id))
		return 0;
	char *control = tarn_asprintf("%s/%s/control", s->config->dir, name);
	bool complete = file_exists(control);
	free(control);
	if (!complete)
		return 0; /* its making did not get as far as a promise */
	if (s->timeline_count == MAX_TIMELINES)
		return tarn_fail(err, TARN_E_LIMIT, "%s holds more than %d timelines",
				 s->config->dir, MAX_TIMELINES);
	TRY(sk_timeline_open(s->config->dir, &id, &s->timelines[s->timeline_count], err));
	const struct acceptor *a = &s->timelines[s->timeline_count++]->acceptor;
	log_info("timeline opened",
		 "timeline=%s term=%" PRIu64 " flush=" TARN_LSN_FMT " commit=" TARN_LSN_FMT, name,
		 a->hard.term, TARN_LSN_ARGS(a->flush_lsn), TARN_LSN_ARGS(a->hard.commit_lsn));
	return 0;
}

static int lock_dir(const char *dir, int *fd, struct tarn_error *err)
{
	char *path = tarn_asprintf("%s/lock", dir);
	int rc = file_mkdir_p(dir, 0700, err);
	if (rc == 0)
		rc = file_open(path, O_RDWR | O_CREAT, 0600, fd, err);
	if (rc == 0 && flock(*fd, LOCK_EX | LOCK_NB) != 0)
		rc = tarn_fail(err, TARN_E_CONFLICT, "another safekeeper runs on %s", dir);
	free(path);
	return rc;
}

static int listen_all(struct safekeeper *s, struct tarn_error *err)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
	TRY(net_listen(s->config->listen, 128, &s->listen_fd, err));
	TRY(net_set_nonblocking(s->listen_fd, true, err));
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll_fd < 0)
		return tarn_fail_errno(err, errno, "epoll_create1");
	epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->listen_fd, &ev);
	ev.data.ptr = s;
	epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, stop_fd(), &ev);
	return 0;
}

static void register_metrics(struct safekeeper *s, struct tarn_metrics *m)
{
	s->appends = tarn_metrics_counter(m, "tarn_safekeeper_appends_total", NULL,
					  "APPEND messages taken");
	s->append_bytes = tarn_metrics_counter(m, "tarn_safekeeper_append_bytes_total", NULL,
					       "bytes of log taken");
	s->syncs = tarn_metrics_counter(m, "tarn_safekeeper_syncs_total", NULL, "fdatasync calls");
	s->refused = tarn_metrics_counter(m, "tarn_safekeeper_refused_total", NULL,
					  "messages refused and connections closed for them");
	s->sync_us =
		tarn_metrics_histogram(m, "tarn_safekeeper_sync_us", NULL, "time of one fdatasync");
}

static int serve(struct safekeeper *s, struct tarn_metrics *metrics, struct tarn_error *err)
{
	struct http_server *http = NULL;
	struct http_server_config hc = {.address = s->config->http,
					.threads = 2,
					.max_connections = 32,
					.metrics = metrics,
					.handler = http_handle,
					.arg = s};
	TRY(file_list_dir(s->config->dir, open_timeline, s, err));
	TRY(listen_all(s, err));
	TRY(http_server_start(&hc, &http, err));
	log_info("serving", "id=%" PRIu64 " listen=%s http=%s timelines=%u", s->config->node_id,
		 s->config->listen, s->config->http, s->timeline_count);
	int rc = loop(s, err);
	http_server_stop(http);
	return rc;
}

int safekeeper_run(const struct safekeeper_config *c, struct tarn_error *err)
{
	struct safekeeper *s = tarn_calloc(1, sizeof *s);
	struct tarn_metrics *metrics = tarn_metrics_new();
	int lock_fd = -1;
	s->config = c;
	s->listen_fd = s->epoll_fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	register_metrics(s, metrics);
	int rc = lock_dir(c->dir, &lock_fd, err);
	if (rc == 0)
		rc = serve(s, metrics, err);
	while (s->connections)
		close_connection(s, s->connections);
	for (unsigned i = 0; i < s->timeline_count; i++)
		sk_timeline_free(s->timelines[i]);
	file_close(s->listen_fd);
	file_close(s->epoll_fd);
	file_close(lock_fd);
	pthread_mutex_destroy(&s->lock);
	tarn_metrics_free(metrics);
	free(s);
	return rc;
}
