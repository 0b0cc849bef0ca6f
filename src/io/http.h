/*
 * HTTP/1.1 server for the daemons' management APIs, /metrics, /healthz, /readyz and the Iceberg
 * REST catalog; a wrapper of libmicrohttpd with a thread per connection, so that a handler that
 * waits delays nobody else. And a small blocking client (libcurl) that daemons and the command line
 * use among themselves.
 *
 * The server answers /metrics, /healthz (200 while the process lives) and /readyz (200 or 503 by
 * the ready callback) itself; everything else goes to the handler, which may block and is called
 * from several threads at once. Limits: HTTP_MAX_BODY_BYTES per request body, max_connections.
 */
#ifndef TARN_IO_HTTP_H
#define TARN_IO_HTTP_H

#include "base/error.h"
#include "base/metrics.h"

#define HTTP_MAX_BODY_BYTES ((size_t)4 << 20)

struct http_request {
	const char *method;
	const char *path;    /* as received, still percent-encoded, no query */
	const uint8_t *body; /* terminated by a NUL that body_len does not count */
	size_t body_len;
	void *impl;
};
/* Decoded value of a query parameter or header (any case), or NULL; owned by the request. */
const char *http_request_query(const struct http_request *r, const char *name);
const char *http_request_header(const struct http_request *r, const char *name);
/* Splits path at '/' and percent-decodes each part: "/v1/a%1Fb" → {"v1","a\x1f""b"}. Empty parts are
 * dropped. Returns the number of parts, or -1 for more than max_parts, a bad escape or a NUL. Parts
 * are written into storage. */
int http_split_path(const char *path, char *storage, size_t storage_size, char **parts,
		    int max_parts);

#define HTTP_MAX_RESPONSE_HEADERS 8
struct http_response {
	unsigned status;	  /* preset to 200 */
	const char *content_type; /* preset to application/json; a string constant */
	struct tarn_buf body;
	struct {
		const char *name; /* string constant */
		char value[256];
	} headers[HTTP_MAX_RESPONSE_HEADERS];
	int header_count;
};
void http_response_header(struct http_response *r, const char *name, const char *value);
/* Status from the error code, body {"error":{"code":…,"type":…,"message":…}}. */
void http_response_error(struct http_response *r, const struct tarn_error *e);

struct http_server_config {
	const char *address; /* HOST:PORT, numeric host */
	unsigned threads;    /* unused: every connection has its own */
	unsigned max_connections;
	struct tarn_metrics *metrics;
	void (*handler)(void *arg, const struct http_request *q, struct http_response *r);
	/* NULL: ready at once. Otherwise 0, or an error whose message /readyz shows with 503. */
	int (*ready)(void *arg, struct tarn_error *err);
	void *arg;
};
struct http_server;
int http_server_start(const struct http_server_config *c, struct http_server **out,
		      struct tarn_error *err);
/* Waits for requests in progress. NULL is fine. */
void http_server_stop(struct http_server *s);

/* Blocking client; connections are kept and shared by all threads. url http://…; body may be NULL. Appends the response body to out (at most
 * max_bytes). A status ≥ 400 is an error whose code fits the status and whose message is the
 * server's own "message" if it sent one. */
int http_call(const char *method, const char *url, const char *body, int timeout_ms,
	      size_t max_bytes, struct tarn_buf *out, struct tarn_error *err);

#endif
