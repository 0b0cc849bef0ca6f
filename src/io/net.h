/*
 * Stream sockets. Addresses are text: "HOST:PORT" (IPv4, IPv6 in brackets, or a name) or
 * "unix:/path". TCP sockets get TCP_NODELAY and keep-alive. Blocking calls take a timeout in
 * milliseconds, -1 for none. A socket fd belongs to one thread at a time (shutdown(2) excepted).
 */
#ifndef TARN_IO_NET_H
#define TARN_IO_NET_H

#include <sys/uio.h>
#include "base/error.h"

#define NET_ADDRESS_BYTES 256

/* Port 0 asks the system for a free one; net_local_address tells which. */
int net_listen(const char *address, int backlog, int *fd, struct tarn_error *err);
int net_accept(int listen_fd, int *fd, struct tarn_error *err);
int net_connect(const char *address, int timeout_ms, int *fd, struct tarn_error *err);
int net_local_address(int fd, char out[NET_ADDRESS_BYTES], struct tarn_error *err);
int net_set_nonblocking(int fd, bool on, struct tarn_error *err);
/* Limits every later blocking read and write on fd; 0 lifts the limit. */
int net_set_timeout(int fd, int timeout_ms, struct tarn_error *err);

/* Exactly len bytes. A peer that closed before the first byte gives TARN_E_NOT_FOUND when
 * eof_ok, anything else TARN_E_UNAVAILABLE. Timeout gives TARN_E_TIMEOUT. */
int net_read_full(int fd, void *out, size_t len, bool eof_ok, struct tarn_error *err);
/* Whatever is there, at least one byte; *got = 0 when the peer closed. */
int net_read_some(int fd, void *out, size_t len, size_t *got, struct tarn_error *err);
int net_write_full(int fd, const void *src, size_t len, struct tarn_error *err);
/* Consumes the iovecs (they are modified). */
int net_writev_full(int fd, struct iovec *iov, int iov_count, struct tarn_error *err);

#endif
