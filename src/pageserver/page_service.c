/* Implementation of page_service.h: listening, connections, their threads. */
#include "base/system.h"
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include "base/log.h"
#include "io/net.h"
#include "pageserver/page_service_internal.h"

#define LISTEN_BACKLOG 128
#define READ_BYTES (64 * KIB)
#define WRITE_TIMEOUT_S 60
#define THREAD_STACK_BYTES (1 * MIB)

struct slot {
	bool used;     /* under lock */
	bool finished; /* under lock: its thread is about to end and can be joined */
	pthread_t thread;
	struct page_conn conn;
};

struct page_service {
	struct pageserver *ps;
	int listen_fd, wake_fd;
	char address[NET_ADDRESS_BYTES];
	pthread_t acceptor;
	bool stopping; /* atomic */
	pthread_mutex_t lock;
	struct slot slots[PAGE_SERVICE_MAX_CONNECTIONS];
	struct tarn_gauge *connections;
	struct page_conn prototype;
};

bool page_service_stopping(const struct page_service *s)
{
	return __atomic_load_n(&s->stopping, __ATOMIC_ACQUIRE);
}

const char *page_service_address(const struct page_service *s)
{
	return s->address;
}

int page_conn_flush(struct page_conn *c, struct tarn_error *err)
{
	if (c->out.len == 0)
		return 0;
	int rc = net_write_full(c->fd, c->out.data, c->out.len, err);
	tarn_buf_clear(&c->out);
	return rc;
}

static int read_more(struct page_conn *c, bool *closed, struct tarn_error *err)
{
	size_t got;
	uint8_t *to = tarn_buf_reserve(&c->in, READ_BYTES);
	TRY(net_read_some(c->fd, to, READ_BYTES, &got, err));
	c->in.len += got;
	*closed = got == 0;
	return 0;
}

/* Until the peer closes, the service stops or something is wrong. */
static int serve(struct page_conn *c, struct tarn_error *err)
{
	bool closed = false;
	while (!closed && !page_service_stopping(c->service)) {
		size_t done = 0, used;
		do {
			TRY(page_conn_handle(c, c->in.data + done, c->in.len - done, &used, err));
			done += used;
		} while (used > 0 && !page_service_stopping(c->service));
		TRY(page_conn_flush(c, err));
		tarn_buf_consume(&c->in, done);
		TRY(read_more(c, &closed, err));
	}
	return 0;
}

static void *connection_main(void *arg)
{
	struct slot *slot = arg;
	struct page_conn *c = &slot->conn;
	struct page_service *s = c->service;
	struct tarn_error err = {0};
	int rc = serve(c, &err);
	bool quiet = page_service_stopping(s) || rc == TARN_E_UNAVAILABLE;
	if (rc != 0 && !quiet) {
		char id[TARN_ID_TEXT_BYTES];
		tarn_id_format(&c->timeline, id);
		log_warn("page connection closed", "timeline=%s code=%s reason=\"%s\"", id,
			 tarn_error_name(err.code), err.message);
	}
	pthread_mutex_lock(&s->lock);
	close(c->fd);
	c->fd = -1;
	tarn_buf_release(&c->in);
	tarn_buf_release(&c->out);
	tarn_buf_release(&c->pages);
	slot->finished = true;
	pthread_mutex_unlock(&s->lock);
	tarn_gauge_add(s->connections, -1);
	return NULL;
}

/* Under lock. Frees slots whose threads have ended; returns an empty one or NULL. */
static struct slot *find_slot(struct page_service *s)
{
	struct slot *empty = NULL;
	for (size_t i = 0; i < ARRAY_LEN(s->slots); i++) {
		struct slot *slot = &s->slots[i];
		if (slot->used && slot->finished) {
			pthread_join(slot->thread, NULL);
			slot->used = slot->finished = false;
		}
		if (!slot->used && !empty)
			empty = slot;
	}
	return empty;
}

static bool start_thread(struct slot *slot)
{
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
	int rc = pthread_create(&slot->thread, &attr, connection_main, slot);
	pthread_attr_destroy(&attr);
	return rc == 0;
}

static void limit_writes(int fd)
{
	struct timeval tv = {.tv_sec = WRITE_TIMEOUT_S};
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
}

static void take_connection(struct page_service *s, int fd)
{
	limit_writes(fd);
	pthread_mutex_lock(&s->lock);
	struct slot *slot = find_slot(s);
	if (slot) {
		slot->conn = s->prototype;
		slot->conn.fd = fd;
		tarn_gauge_add(s->connections, 1);
		slot->used = start_thread(slot);
		if (!slot->used)
			tarn_gauge_add(s->connections, -1);
	}
	bool taken = slot && slot->used;
	pthread_mutex_unlock(&s->lock);
	if (taken)
		return;
	log_warn("page connection refused", "limit=%d", PAGE_SERVICE_MAX_CONNECTIONS);
	close(fd);
}

static void *acceptor_main(void *arg)
{
	struct page_service *s = arg;
	struct tarn_error err;
	while (!page_service_stopping(s)) {
		struct pollfd p[] = {{.fd = s->listen_fd, .events = POLLIN},
				     {.fd = s->wake_fd, .events = POLLIN}};
		int fd;
		if (poll(p, ARRAY_LEN(p), -1) < 0 || !(p[0].revents & POLLIN))
			continue;
		if (net_accept(s->listen_fd, &fd, &err) == 0) {
			take_connection(s, fd);
		} else {
			log_warn("cannot accept page connections", "reason=\"%s\"", err.message);
			usleep(100 * 1000); /* out of descriptors, most likely */
		}
	}
	return NULL;
}

static void register_metrics(struct page_service *s, struct tarn_metrics *m)
{
	static const struct {
		uint16_t type;
		const char *label;
	} kinds[] = {{PAGE_MSG_ATTACH, "kind=\"attach\""},
		     {PAGE_MSG_GETPAGE, "kind=\"getpage\""},
		     {PAGE_MSG_NBLOCKS, "kind=\"nblocks\""},
		     {PAGE_MSG_DBSIZE, "kind=\"dbsize\""},
		     {PAGE_MSG_SLRU, "kind=\"slru\""},
		     {PAGE_MSG_BASEBACKUP, "kind=\"basebackup\""}};
	struct page_conn *c = &s->prototype;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		c->requests[kinds[i].type] =
			tarn_metrics_counter(m, "tarn_pageserver_requests_total", kinds[i].label,
					     "Requests of the page protocol");
	c->errors = tarn_metrics_counter(m, "tarn_pageserver_request_errors_total", NULL,
					 "Requests of the page protocol answered with an error");
	c->getpage_us = tarn_metrics_histogram(m, "tarn_pageserver_getpage_seconds", NULL,
					       "Time to rebuild pages asked for together, without "
					       "waiting for their LSN");
	s->connections = tarn_metrics_gauge(m, "tarn_pageserver_connections", NULL,
					    "Open connections of the page protocol");
}

int page_service_start(struct pageserver *ps, const char *listen_address, struct tarn_metrics *m,
		       struct page_service **out, struct tarn_error *err)
{
	struct page_service *s = tarn_calloc(1, sizeof *s);
	int rc;
	s->ps = ps;
	s->prototype = (struct page_conn){.ps = ps, .service = s, .fd = -1};
	pthread_mutex_init(&s->lock, NULL);
	register_metrics(s, m);
	s->listen_fd = s->wake_fd = -1;
	TRY_GOTO(rc, net_listen(listen_address, LISTEN_BACKLOG, &s->listen_fd, err), failed);
	TRY_GOTO(rc, net_local_address(s->listen_fd, s->address, err), failed);
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake_fd < 0 || pthread_create(&s->acceptor, NULL, acceptor_main, s) != 0) {
		rc = tarn_fail(err, TARN_E_IO, "cannot start the page service's thread");
		goto failed;
	}
	*out = s;
	return 0;
failed:
	if (s->listen_fd >= 0)
		close(s->listen_fd);
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	pthread_mutex_destroy(&s->lock);
	free(s);
	return rc;
}

void page_service_stop(struct page_service *s)
{
	uint64_t one = 1;
	if (!s)
		return;
	__atomic_store_n(&s->stopping, true, __ATOMIC_RELEASE);
	TARN_CHECK(write(s->wake_fd, &one, sizeof one) == (ssize_t)sizeof one);
	pthread_join(s->acceptor, NULL);
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < ARRAY_LEN(s->slots); i++)
		if (s->slots[i].used && s->slots[i].conn.fd >= 0)
			shutdown(s->slots[i].conn.fd, SHUT_RDWR);
	pthread_mutex_unlock(&s->lock);
	for (size_t i = 0; i < ARRAY_LEN(s->slots); i++)
		if (s->slots[i].used)
			pthread_join(s->slots[i].thread, NULL);
	close(s->listen_fd);
	close(s->wake_fd);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
