/* Implementation of net.h. */
#include "base/system.h"
#include "io/net.h"
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

struct address {
	struct sockaddr_storage sa;
	socklen_t len;
};

static int parse_unix(const char *path, struct address *out, struct tarn_error *err)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&out->sa;
	memset(out, 0, sizeof *out);
	un->sun_family = AF_UNIX;
	if (!*path || !tarn_strlcpy(un->sun_path, path, sizeof un->sun_path))
		return tarn_fail(
			err, TARN_E_USAGE,
			"socket path \"%s\" must have 1 to %zu bytes; use a shorter folder", path,
			sizeof un->sun_path - 1);
	out->len = sizeof *un;
	return 0;
}

static int parse_address(const char *text, bool passive, struct address *out,
			 struct tarn_error *err)
{
	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(text + 5, out, err);
	char host[NET_ADDRESS_BYTES];
	const char *colon = strrchr(text, ':');
	if (!colon || colon == text || !colon[1] || !tarn_strlcpy(host, text, sizeof host))
		return tarn_fail(err, TARN_E_USAGE,
				 "\"%s\" is no address: write HOST:PORT or unix:/path", text);
	host[colon - text] = '\0';
	char *name = host;
	size_t n = strlen(host);
	if (host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		name++;
	}
	struct addrinfo hints = {.ai_family = AF_UNSPEC,
				 .ai_socktype = SOCK_STREAM,
				 .ai_flags = passive ? AI_PASSIVE : 0},
			*found;
	int rc = getaddrinfo(name, colon + 1, &hints, &found);
	if (rc)
		return tarn_fail(err, TARN_E_UNAVAILABLE, "cannot resolve %s: %s", text,
				 gai_strerror(rc));
	memset(out, 0, sizeof *out);
	memcpy(&out->sa, found->ai_addr, found->ai_addrlen);
	out->len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

static void tune(int fd, const struct address *a)
{
	int on = 1;
	if (a->sa.ss_family == AF_UNIX)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

int net_listen(const char *address, int backlog, int *fd, struct tarn_error *err)
{
	struct address a;
	int on = 1;
	*fd = -1;
	TRY(parse_address(address, true, &a, err));
	int s = socket(a.sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s < 0)
		return tarn_fail_errno(err, errno, "cannot make a socket for %s", address);
	if (a.sa.ss_family == AF_UNIX)
		unlink(((struct sockaddr_un *)&a.sa)->sun_path);
	else
		setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(s, (struct sockaddr *)&a.sa, a.len) != 0 || listen(s, backlog) != 0) {
		int e = errno;
		close(s);
		if (e == EADDRINUSE)
			return tarn_fail(
				err, TARN_E_EXISTS,
				"address %s is in use by another process: stop that one or "
				"choose another port",
				address);
		return tarn_fail_errno(err, e, "cannot listen on %s", address);
	}
	*fd = s;
	return 0;
}

int net_accept(int listen_fd, int *fd, struct tarn_error *err)
{
	struct address a = {.len = sizeof a.sa};
	do
		*fd = accept4(listen_fd, (struct sockaddr *)&a.sa, &a.len, SOCK_CLOEXEC);
	while (*fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (*fd < 0)
		return tarn_fail_errno(err, errno, "cannot accept a connection");
	tune(*fd, &a);
	return 0;
}

static int finish_connect(int s, int timeout_ms, const char *address, struct tarn_error *err)
{
	struct pollfd p = {.fd = s, .events = POLLOUT};
	int rc, e = 0;
	socklen_t n = sizeof e;
	do
		rc = poll(&p, 1, timeout_ms);
	while (rc < 0 && errno == EINTR);
	if (rc == 0)
		return tarn_fail(err, TARN_E_TIMEOUT, "no answer from %s within %d ms", address,
				 timeout_ms);
	if (rc < 0 || getsockopt(s, SOL_SOCKET, SO_ERROR, &e, &n) != 0)
		e = errno;
	if (e)
		return tarn_fail(err, TARN_E_UNAVAILABLE, "cannot connect to %s: %s", address,
				 strerrordesc_np(e));
	return 0;
}

/* A connection to a port on which nobody listens can meet itself, when the system happens to give it
 * that very port as its own. */
static bool is_own_peer(int s)
{
	struct address mine = {.len = sizeof mine.sa}, peer = {.len = sizeof peer.sa};
	return getsockname(s, (struct sockaddr *)&mine.sa, &mine.len) == 0 &&
	       getpeername(s, (struct sockaddr *)&peer.sa, &peer.len) == 0 &&
	       mine.sa.ss_family != AF_UNIX && mine.len == peer.len &&
	       memcmp(&mine.sa, &peer.sa, mine.len) == 0;
}

int net_connect(const char *address, int timeout_ms, int *fd, struct tarn_error *err)
{
	struct address a;
	*fd = -1;
	TRY(parse_address(address, false, &a, err));
	int s = socket(a.sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s < 0)
		return tarn_fail_errno(err, errno, "cannot make a socket for %s", address);
	int rc = 0;
	if (connect(s, (struct sockaddr *)&a.sa, a.len) != 0) {
		if (errno == EINPROGRESS)
			rc = finish_connect(s, timeout_ms, address, err);
		else
			rc = tarn_fail(err, TARN_E_UNAVAILABLE, "cannot connect to %s: %s", address,
				       strerrordesc_np(errno));
	}
	if (rc == 0 && is_own_peer(s))
		rc = tarn_fail(err, TARN_E_UNAVAILABLE, "cannot connect to %s: nobody listens",
			       address);
	if (rc == 0)
		rc = net_set_nonblocking(s, false, err);
	if (rc) {
		close(s);
		return rc;
	}
	tune(s, &a);
	*fd = s;
	return 0;
}

int net_local_address(int fd, char out[NET_ADDRESS_BYTES], struct tarn_error *err)
{
	struct address a = {.len = sizeof a.sa};
	char host[128], port[16];
	if (getsockname(fd, (struct sockaddr *)&a.sa, &a.len) != 0)
		return tarn_fail_errno(err, errno, "cannot tell a socket's address");
	if (a.sa.ss_family == AF_UNIX) {
		tarn_snprintf(out, NET_ADDRESS_BYTES, "unix:%s",
			      ((struct sockaddr_un *)&a.sa)->sun_path);
		return 0;
	}
	int rc = getnameinfo((struct sockaddr *)&a.sa, a.len, host, sizeof host, port, sizeof port,
			     NI_NUMERICHOST | NI_NUMERICSERV);
	if (rc)
		return tarn_fail(err, TARN_E_IO, "cannot tell a socket's address: %s",
				 gai_strerror(rc));
	tarn_snprintf(out, NET_ADDRESS_BYTES, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
	return 0;
}

int net_set_nonblocking(int fd, bool on, struct tarn_error *err)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) != 0)
		return tarn_fail_errno(err, errno, "cannot change a socket's mode");
	return 0;
}

int net_set_timeout(int fd, int timeout_ms, struct tarn_error *err)
{
	struct timeval tv = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv) != 0)
		return tarn_fail_errno(err, errno, "cannot set a socket's timeout");
	return 0;
}

static int socket_error(int e, const char *doing, struct tarn_error *err)
{
	if (e == EAGAIN || e == EWOULDBLOCK)
		return tarn_fail(err, TARN_E_TIMEOUT, "%s: the peer did not answer in time", doing);
	return tarn_fail(err, TARN_E_UNAVAILABLE, "%s: %s", doing, strerrordesc_np(e));
}

int net_read_some(int fd, void *out, size_t len, size_t *got, struct tarn_error *err)
{
	ssize_t n;
	do
		n = recv(fd, out, len, 0);
	while (n < 0 && errno == EINTR);
	*got = n > 0 ? (size_t)n : 0;
	return n < 0 ? socket_error(errno, "reading from a connection", err) : 0;
}

int net_read_full(int fd, void *out, size_t len, bool eof_ok, struct tarn_error *err)
{
	uint8_t *p = out;
	size_t done = 0;
	while (done < len) {
		size_t got;
		TRY(net_read_some(fd, p + done, len - done, &got, err));
		if (got == 0)
			return done == 0 && eof_ok
				       ? tarn_fail(err, TARN_E_NOT_FOUND, "the peer closed")
				       : tarn_fail(err, TARN_E_UNAVAILABLE,
						   "the peer closed the connection in mid-message");
		done += got;
	}
	return 0;
}

int net_write_full(int fd, const void *src, size_t len, struct tarn_error *err)
{
	struct iovec v = {.iov_base = (void *)(uintptr_t)src, .iov_len = len};
	return net_writev_full(fd, &v, 1, err);
}

int net_writev_full(int fd, struct iovec *iov, int iov_count, struct tarn_error *err)
{
	while (iov_count > 0) {
		struct msghdr m = {.msg_iov = iov, .msg_iovlen = (size_t)iov_count};
		ssize_t n = sendmsg(fd, &m, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return socket_error(errno, "writing to a connection", err);
		size_t done = (size_t)n;
		while (iov_count > 0 && done >= iov->iov_len) {
			done -= iov->iov_len;
			iov++;
			iov_count--;
		}
		if (iov_count > 0) {
			iov->iov_base = (uint8_t *)iov->iov_base + done;
			iov->iov_len -= done;
		}
	}
	return 0;
}
