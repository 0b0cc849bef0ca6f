/* Implementation of proposer_io.h. */
#include "base/system.h"
#include <poll.h>
#include <sys/socket.h>
#include "io/net.h"
#include "quorum/proposer_io.h"
#include "quorum/sk_client.h"

#define RETRY_US (300u * 1000)
#define TICK_US (1000u * 1000)
#define CONNECT_TIMEOUT_MS 300
#define READ_CHUNK_BYTES ((size_t)256 << 10)
#define DONOR_TIMEOUT_MS 5000

struct link { /* connection to one member */
	char address[NET_ADDRESS_BYTES];
	int fd;
	uint64_t retry_at_us;
	struct tarn_buf in, out;
	size_t out_sent;
};
struct proposer_io {
	struct proposer core;
	struct proposer_io_config config;
	struct link links[PROPOSER_MAX_MEMBERS];
	uint64_t tick_at_us;
	bool fenced;
	struct tarn_error fence;
	char trouble[512];
	struct quorum_msg msg; /* large: not on the stack */
};

static void note(struct proposer_io *p, const char *address, const char *what)
{
	char line[512];
	tarn_snprintf(line, sizeof line, "safekeeper %s: %s", address, what);
	if (strcmp(line, p->trouble) != 0 && p->config.on_log)
		p->config.on_log(p->config.arg, line);
	tarn_strlcpy(p->trouble, line, sizeof p->trouble);
}

struct proposer_io *proposer_io_new(const struct proposer_io_config *c)
{
	struct proposer_io *p = tarn_calloc(1, sizeof *p);
	uint64_t id;
	tarn_random_bytes(&id, sizeof id);
	p->config = *c;
	p->config.addresses = NULL;
	proposer_init(&p->core, &c->timeline, c->system_identifier, id | 1, c->count);
	for (unsigned i = 0; i < c->count; i++) {
		p->links[i].fd = -1;
		tarn_strlcpy(p->links[i].address, c->addresses[i], sizeof p->links[i].address);
	}
	return p;
}

static void drop(struct proposer_io *p, unsigned i, const char *why)
{
	struct link *l = &p->links[i];
	if (why)
		note(p, l->address, why);
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	l->retry_at_us = tarn_mono_us() + RETRY_US;
	tarn_buf_clear(&l->in);
	tarn_buf_clear(&l->out);
	l->out_sent = 0;
	proposer_disconnected(&p->core, i);
}

void proposer_io_free(struct proposer_io *p)
{
	if (!p)
		return;
	for (unsigned i = 0; i < p->core.count; i++) {
		drop(p, i, NULL);
		tarn_buf_release(&p->links[i].in);
		tarn_buf_release(&p->links[i].out);
	}
	free(p);
}

static void connect_members(struct proposer_io *p)
{
	for (unsigned i = 0; i < p->core.count; i++) {
		struct link *l = &p->links[i];
		struct tarn_error err = {0};
		if (l->fd >= 0 || tarn_mono_us() < l->retry_at_us)
			continue;
		if (net_connect(l->address, CONNECT_TIMEOUT_MS, &l->fd, &err) != 0 ||
		    net_set_nonblocking(l->fd, true, &err) != 0) {
			drop(p, i, err.message);
			continue;
		}
		proposer_connected(&p->core, i);
	}
}

/* The member that surely has the log up to lsn; its history is ours. */
static unsigned find_source(const struct proposer_io *p, tarn_lsn lsn)
{
	const struct proposer_member *m = p->core.members;
	for (unsigned i = 0; i < p->core.count; i++)
		if (m[i].state == PROPOSER_STREAMING && m[i].flush_lsn >= lsn)
			return i;
	return p->core.donor;
}

/* Older log than this compute has, or still has: from a member. */
static int read_from_member(struct proposer_io *p, tarn_lsn from, size_t len, uint8_t *out,
			    struct tarn_error *err)
{
	return sk_read_range(p->links[find_source(p, from + len)].address, &p->core.timeline,
			     p->core.system_identifier, from, len, out, DONOR_TIMEOUT_MS, err);
}

static int read_log(struct proposer_io *p, tarn_lsn from, size_t len, uint8_t *out,
		    struct tarn_error *err)
{
	size_t older = from < p->core.term_start_lsn
			       ? (size_t)TARN_MIN((tarn_lsn)len, p->core.term_start_lsn - from)
			       : 0;
	if (older > 0)
		TRY(read_from_member(p, from, older, out, err));
	if (older == len)
		return 0;
	from += older;
	out += older;
	len -= older;
	if (!p->config.read_wal)
		return tarn_fail(err, TARN_E_INTERNAL, "asked for log that was never written");
	int rc = p->config.read_wal(p->config.arg, from, len, out, err);
	return rc == TARN_E_NOT_FOUND ? read_from_member(p, from, len, out, err) : rc;
}

static int send_append(struct proposer_io *p, const struct proposer_output *o,
		       struct tarn_error *err)
{
	struct link *l = &p->links[o->member];
	size_t len = (size_t)(o->to - o->from);
	uint8_t *bytes = len ? tarn_malloc(len) : NULL;
	int rc = len ? read_log(p, o->from, len, bytes, err) : 0;
	if (rc == 0) {
		proposer_fill(&p->core, o, &p->msg);
		p->msg.bytes = bytes;
		p->msg.bytes_len = len;
		quorum_put(&l->out, &p->msg);
	}
	free(bytes);
	return rc;
}

static void take_outputs(struct proposer_io *p)
{
	struct proposer_output outputs[PROPOSER_MAX_OUTPUTS];
	unsigned n = p->core.output_count;
	memcpy(outputs, p->core.outputs, n * sizeof outputs[0]);
	p->core.output_count = 0;
	for (unsigned i = 0; i < n; i++) {
		const struct proposer_output *o = &outputs[i];
		struct tarn_error err = {0};
		if (o->type != PROPOSER_OUT_SEND && o->type != PROPOSER_OUT_APPEND)
			continue;
		if (p->links[o->member].fd < 0)
			continue;
		if (o->type == PROPOSER_OUT_APPEND) {
			if (send_append(p, o, &err) != 0)
				drop(p, o->member, err.message);
			continue;
		}
		proposer_fill(&p->core, o, &p->msg);
		quorum_put(&p->links[o->member].out, &p->msg);
	}
}

static void flush_out(struct proposer_io *p, unsigned i)
{
	struct link *l = &p->links[i];
	while (l->fd >= 0 && l->out_sent < l->out.len) {
		ssize_t n = send(l->fd, l->out.data + l->out_sent, l->out.len - l->out_sent,
				 MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			drop(p, i, strerror(errno));
			return;
		}
		l->out_sent += (size_t)n;
	}
	tarn_buf_clear(&l->out);
	l->out_sent = 0;
}

/* Whole frames that have arrived. */
static void parse(struct proposer_io *p, unsigned i)
{
	struct link *l = &p->links[i];
	size_t done = 0;
	while (l->fd >= 0) {
		struct frame f;
		size_t used;
		struct tarn_error err = {0};
		int rc =
			frame_parse(l->in.data + done, l->in.len - done, FRAME_PROTO_QUORUM,
				    QUORUM_WIRE_VERSION, QUORUM_MAX_PAYLOAD_BYTES, &f, &used, &err);
		if (rc == 0 && used == 0)
			break;
		if (rc == 0)
			rc = quorum_parse(&f, &p->msg, &err);
		if (rc == 0)
			rc = proposer_message(&p->core, i, &p->msg, &err);
		if (rc == TARN_E_CONFLICT) {
			p->fenced = true;
			p->fence = err;
			return;
		}
		if (rc != 0) {
			drop(p, i, err.message);
			return;
		}
		done += used;
		take_outputs(p);
	}
	if (l->fd >= 0)
		tarn_buf_consume(&l->in, done);
}

static void receive(struct proposer_io *p, unsigned i)
{
	struct link *l = &p->links[i];
	for (;;) {
		uint8_t *room = tarn_buf_reserve(&l->in, READ_CHUNK_BYTES);
		ssize_t n = recv(l->fd, room, READ_CHUNK_BYTES, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			drop(p, i, n == 0 ? "closed the connection" : strerror(errno));
			return;
		}
		l->in.len += (size_t)n;
		if ((size_t)n < READ_CHUNK_BYTES)
			break;
	}
	parse(p, i);
}

int proposer_io_step(struct proposer_io *p, tarn_lsn local_lsn, int timeout_ms, int extra_fd,
		     struct tarn_error *err)
{
	struct pollfd fds[PROPOSER_MAX_MEMBERS + 1];
	uint64_t now = tarn_mono_us();
	connect_members(p);
	proposer_local(&p->core, local_lsn);
	if (now >= p->tick_at_us) {
		p->tick_at_us = now + TICK_US;
		proposer_tick(&p->core);
	}
	take_outputs(p);
	for (unsigned i = 0; i < p->core.count; i++) {
		flush_out(p, i);
		fds[i].fd = p->links[i].fd;
		fds[i].events = (short)(POLLIN | (p->links[i].out.len > 0 ? POLLOUT : 0));
		fds[i].revents = 0;
	}
	fds[p->core.count] = (struct pollfd){.fd = extra_fd, .events = POLLIN};
	if (poll(fds, p->core.count + 1, timeout_ms) > 0)
		for (unsigned i = 0; i < p->core.count && !p->fenced; i++)
			if (fds[i].fd >= 0 && fds[i].revents & (POLLIN | POLLERR | POLLHUP))
				receive(p, i);
	for (unsigned i = 0; i < p->core.count; i++)
		flush_out(p, i);
	if (p->fenced)
		return tarn_fail(err, TARN_E_CONFLICT, "%s", p->fence.message);
	return 0;
}

bool proposer_io_elected(const struct proposer_io *p, tarn_lsn *term_start_lsn)
{
	if (term_start_lsn)
		*term_start_lsn = p->core.term_start_lsn;
	return p->core.elected;
}

tarn_lsn proposer_io_commit_lsn(const struct proposer_io *p)
{
	return p->core.commit_lsn;
}

tarn_lsn proposer_io_oldest_needed_lsn(const struct proposer_io *p)
{
	tarn_lsn oldest = UINT64_MAX;
	for (unsigned i = 0; i < p->core.count; i++)
		if (p->core.members[i].state == PROPOSER_STREAMING)
			oldest = TARN_MIN(oldest, p->core.members[i].next_lsn);
	return oldest;
}

const char *proposer_io_trouble(const struct proposer_io *p)
{
	return p->trouble;
}
