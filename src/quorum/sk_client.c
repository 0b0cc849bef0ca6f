/* Implementation of sk_client.h: blocking calls, one connection each. */
#include "base/system.h"
#include <poll.h>
#include "io/net.h"
#include "quorum/proposer_io.h"
#include "quorum/sk_client.h"

#define CONNECT_TIMEOUT_MS 1000
#define STEP_MS 20

static void message_init(struct quorum_msg *m, uint16_t type, const struct tarn_id *tl,
			 uint64_t system_identifier)
{
	memset(m, 0, sizeof *m);
	m->type = type;
	m->timeline = *tl;
	m->system_identifier = system_identifier;
}

static int send_message(int fd, const struct quorum_msg *m, struct tarn_error *err)
{
	struct tarn_buf b = TARN_BUF_INIT;
	quorum_put(&b, m);
	int rc = net_write_full(fd, b.data, b.len, err);
	tarn_buf_release(&b);
	return rc;
}

static int read_message(int fd, struct tarn_buf *storage, struct quorum_msg *out,
			struct tarn_error *err)
{
	struct frame f;
	TRY(frame_read(fd, FRAME_PROTO_QUORUM, QUORUM_WIRE_VERSION, QUORUM_MAX_PAYLOAD_BYTES,
		       storage, &f, false, err));
	TRY(quorum_parse(&f, out, err));
	return out->type == Q_ERROR ? quorum_error(out, err) : 0;
}

/* One question, one answer, in the same message. */
static int call(const char *addr, struct quorum_msg *m, uint16_t expected, int timeout_ms,
		struct tarn_error *err)
{
	struct tarn_buf storage = TARN_BUF_INIT;
	int fd = -1;
	int rc = net_connect(addr, TARN_MIN(timeout_ms, CONNECT_TIMEOUT_MS), &fd, err);
	if (rc == 0)
		rc = net_set_timeout(fd, timeout_ms, err);
	if (rc == 0)
		rc = send_message(fd, m, err);
	if (rc == 0)
		rc = read_message(fd, &storage, m, err);
	if (rc == 0 && m->type != expected)
		rc = tarn_fail(err, TARN_E_PROTOCOL, "safekeeper %s answered %u", addr, m->type);
	if (fd >= 0)
		close(fd);
	m->bytes = NULL;
	m->bytes_len = 0;
	tarn_buf_release(&storage);
	return rc;
}

int sk_timeline_create(const char *addr, const struct tarn_id *tl, uint64_t system_identifier,
		       tarn_lsn start_lsn, int timeout_ms, struct tarn_error *err)
{
	struct quorum_msg m;
	message_init(&m, Q_CREATE, tl, system_identifier);
	m.start_lsn = start_lsn;
	return call(addr, &m, Q_GREETING, timeout_ms, err);
}

int sk_timeline_exists(const char *addr, const struct tarn_id *tl, int timeout_ms, bool *exists,
		       struct tarn_error *err)
{
	struct quorum_msg m;
	message_init(&m, Q_STATUS, tl, 0);
	TRY(call(addr, &m, Q_GREETING, timeout_ms, err));
	*exists = (m.flags & Q_FLAG_EXISTS) != 0;
	return 0;
}

int sk_timeline_delete(const char *addr, const struct tarn_id *tl, int timeout_ms,
		       struct tarn_error *err)
{
	struct quorum_msg m;
	message_init(&m, Q_DELETE, tl, 0);
	return call(addr, &m, Q_OK, timeout_ms, err);
}

int quorum_sync(const char *const *addrs, unsigned count, const struct tarn_id *tl,
		uint64_t system_identifier, int timeout_ms, tarn_lsn *end_lsn,
		struct tarn_error *err)
{
	struct proposer_io_config c = {.addresses = addrs,
				       .count = count,
				       .timeline = *tl,
				       .system_identifier = system_identifier};
	struct proposer_io *p = proposer_io_new(&c);
	uint64_t deadline = tarn_mono_us() + (uint64_t)timeout_ms * 1000;
	tarn_lsn start;
	int rc = 0;
	while (rc == 0) {
		rc = proposer_io_step(p, 0, STEP_MS, -1, err);
		if (rc == 0 && proposer_io_elected(p, &start) &&
		    proposer_io_commit_lsn(p) >= start) {
			*end_lsn = start;
			break;
		}
		if (rc == 0 && tarn_mono_us() > deadline)
			rc = tarn_fail(err, TARN_E_UNAVAILABLE,
				       "no majority of the %u safekeepers agreed within %d s (%s); "
				       "are they running?",
				       count, timeout_ms / 1000, proposer_io_trouble(p));
	}
	proposer_io_free(p);
	return rc;
}

struct question { /* STATUS to one member, all at once */
	int fd;
	struct tarn_buf in;
	bool answered;
	tarn_lsn flush_lsn;
};

/* Takes what has arrived; true when the question is over, answered or not. */
static bool question_read(struct question *q, struct quorum_msg *m)
{
	struct frame f;
	size_t used = 0, got = 0;
	uint8_t *room = tarn_buf_reserve(&q->in, 8192);
	if (net_read_some(q->fd, room, 8192, &got, NULL) != 0 || got == 0)
		return true;
	q->in.len += got;
	if (frame_parse(q->in.data, q->in.len, FRAME_PROTO_QUORUM, QUORUM_WIRE_VERSION,
			QUORUM_MAX_PAYLOAD_BYTES, &f, &used, NULL) != 0)
		return true;
	if (used == 0)
		return false;
	q->answered =
		quorum_parse(&f, m, NULL) == 0 && m->type == Q_GREETING && m->flags & Q_FLAG_EXISTS;
	return true;
}

static unsigned ask_all(const char *const *addrs, unsigned count, const struct tarn_id *tl,
			struct question *qs, int timeout_ms)
{
	struct quorum_msg m;
	unsigned open = 0;
	message_init(&m, Q_STATUS, tl, 0);
	for (unsigned i = 0; i < count; i++) {
		qs[i].fd = -1;
		if (net_connect(addrs[i], TARN_MIN(timeout_ms, CONNECT_TIMEOUT_MS), &qs[i].fd,
				NULL) != 0)
			continue;
		if (send_message(qs[i].fd, &m, NULL) == 0) {
			open++;
		} else {
			close(qs[i].fd);
			qs[i].fd = -1;
		}
	}
	return open;
}

static int compare_lsn(const void *a, const void *b)
{
	tarn_lsn x = *(const tarn_lsn *)a, y = *(const tarn_lsn *)b;
	return x < y ? -1 : x > y;
}

int quorum_read_index(const char *const *addrs, unsigned count, const struct tarn_id *tl,
		      int timeout_ms, tarn_lsn *read_index, tarn_lsn *commit_lsn,
		      bool *proposer_alive, struct tarn_error *err)
{
	struct question qs[SK_MAX_MEMBERS] = {0};
	struct pollfd fds[SK_MAX_MEMBERS];
	tarn_lsn flushes[SK_MAX_MEMBERS];
	uint64_t deadline = tarn_mono_us() + (uint64_t)timeout_ms * 1000;
	unsigned answers = 0, open = ask_all(addrs, count, tl, qs, timeout_ms);
	struct quorum_msg *m = tarn_calloc(1, sizeof *m);
	*commit_lsn = 0;
	*proposer_alive = false;
	/* A majority is enough: any acknowledged commit is on one of them. */
	while (open > 0 && answers <= count / 2 && tarn_mono_us() < deadline) {
		for (unsigned i = 0; i < count; i++)
			fds[i] = (struct pollfd){.fd = qs[i].fd, .events = POLLIN};
		if (poll(fds, count, 10) <= 0)
			continue;
		for (unsigned i = 0; i < count; i++) {
			if (qs[i].fd < 0 || !fds[i].revents || !question_read(&qs[i], m))
				continue;
			close(qs[i].fd);
			qs[i].fd = -1;
			open--;
			if (!qs[i].answered)
				continue;
			flushes[answers++] = m->flush_lsn;
			*commit_lsn = TARN_MAX(*commit_lsn, m->commit_lsn);
			*proposer_alive = *proposer_alive || m->flags & Q_FLAG_PROPOSER_ALIVE;
		}
	}
	for (unsigned i = 0; i < count; i++) {
		if (qs[i].fd >= 0)
			close(qs[i].fd);
		tarn_buf_release(&qs[i].in);
	}
	free(m);
	if (answers <= count / 2)
		return tarn_fail(err, answers ? TARN_E_UNAVAILABLE : TARN_E_NOT_FOUND,
				 "only %u of %u safekeepers know the timeline and answer", answers,
				 count);
	qsort(flushes, answers, sizeof flushes[0], compare_lsn);
	*read_index = flushes[answers - 1];
	return 0;
}

struct sk_reader {
	int fd;
	struct tarn_id timeline;
	tarn_lsn next_lsn;
	struct tarn_buf storage;
	struct quorum_msg msg;
};

static int reader_open(const char *addr, const struct tarn_id *tl, uint64_t system_identifier,
		       tarn_lsn from, const char *name, uint32_t flags, int timeout_ms,
		       struct sk_reader **out, struct tarn_error *err)
{
	struct sk_reader *r = tarn_calloc(1, sizeof *r);
	int rc = net_connect(addr, TARN_MIN(timeout_ms, CONNECT_TIMEOUT_MS), &r->fd, err);
	*out = NULL;
	if (rc != 0) {
		free(r);
		return rc;
	}
	r->timeline = *tl;
	r->next_lsn = from;
	message_init(&r->msg, Q_READ, tl, system_identifier);
	r->msg.begin_lsn = from;
	r->msg.flags = flags;
	r->msg.bytes = (const uint8_t *)name;
	r->msg.bytes_len = strlen(name);
	rc = net_set_timeout(r->fd, timeout_ms, err);
	if (rc == 0)
		rc = send_message(r->fd, &r->msg, err);
	if (rc != 0) {
		sk_reader_free(r);
		return rc;
	}
	*out = r;
	return 0;
}

int sk_reader_open(const char *addr, const struct tarn_id *tl, uint64_t system_identifier,
		   tarn_lsn from, const char *name, int timeout_ms, struct sk_reader **out,
		   struct tarn_error *err)
{
	return reader_open(addr, tl, system_identifier, from, name, 0, timeout_ms, out, err);
}

int sk_reader_next(struct sk_reader *r, int timeout_ms, const uint8_t **bytes, size_t *len,
		   tarn_lsn *lsn, tarn_lsn *commit_lsn, struct tarn_error *err)
{
	struct pollfd p = {.fd = r->fd, .events = POLLIN};
	*len = 0;
	if (poll(&p, 1, timeout_ms) == 0)
		return 0;
	TRY(read_message(r->fd, &r->storage, &r->msg, err));
	if (r->msg.type != Q_WAL)
		return tarn_fail(err, TARN_E_PROTOCOL, "expected log, got message %u", r->msg.type);
	if (r->msg.bytes_len > 0 && r->msg.begin_lsn != r->next_lsn)
		return tarn_fail(err, TARN_E_PROTOCOL,
				 "expected log from " TARN_LSN_FMT ", got " TARN_LSN_FMT,
				 TARN_LSN_ARGS(r->next_lsn), TARN_LSN_ARGS(r->msg.begin_lsn));
	*bytes = r->msg.bytes;
	*len = r->msg.bytes_len;
	*lsn = r->msg.begin_lsn;
	*commit_lsn = r->msg.commit_lsn;
	r->next_lsn += r->msg.bytes_len;
	return 0;
}

int sk_reader_report_durable(struct sk_reader *r, tarn_lsn lsn, struct tarn_error *err)
{
	struct quorum_msg *m = tarn_calloc(1, sizeof *m);
	message_init(m, Q_DURABLE, &r->timeline, 0);
	m->flush_lsn = lsn;
	int rc = send_message(r->fd, m, err);
	free(m);
	return rc;
}

void sk_reader_free(struct sk_reader *r)
{
	if (!r)
		return;
	if (r->fd >= 0)
		close(r->fd);
	tarn_buf_release(&r->storage);
	free(r);
}

int sk_read_range(const char *addr, const struct tarn_id *tl, uint64_t system_identifier,
		  tarn_lsn from, size_t len, uint8_t *out, int timeout_ms, struct tarn_error *err)
{
	struct sk_reader *r;
	size_t have = 0;
	TRY(reader_open(addr, tl, system_identifier, from, "catch-up", Q_FLAG_BEYOND_COMMIT,
			timeout_ms, &r, err));
	int rc = 0;
	while (rc == 0 && have < len) {
		const uint8_t *bytes;
		size_t n;
		tarn_lsn lsn, commit;
		rc = sk_reader_next(r, timeout_ms, &bytes, &n, &lsn, &commit, err);
		if (rc == 0 && n == 0)
			rc = tarn_fail(err, TARN_E_TIMEOUT,
				       "safekeeper %s has no log at " TARN_LSN_FMT, addr,
				       TARN_LSN_ARGS(from + have));
		if (rc == 0) {
			n = TARN_MIN(n, len - have);
			memcpy(out + have, bytes, n);
			have += n;
		}
	}
	sk_reader_free(r);
	return rc;
}

unsigned sk_split_addresses(char *text, const char **out, unsigned max)
{
	unsigned n = 0;
	for (char *part = text, *end; part; part = end) {
		end = strchr(part, ',');
		if (end)
			*end++ = '\0';
		if (*part == '\0' || n == max)
			return 0;
		out[n++] = part;
	}
	return n;
}
