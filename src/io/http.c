/* HTTP server of http.h over libmicrohttpd: a thread per connection, since handlers may block. */
#include "base/system.h"
#include "base/log.h"
#include "io/http.h"
#include <arpa/inet.h>
#include <jansson.h>
#include <microhttpd.h>
#include <netinet/in.h>

#define STACK_BYTES (2 * MIB) /* of each connection's thread; only touched pages cost memory */

#define IDLE_TIMEOUT_S 30u
#define DRAIN_MS 2000
#define DRAIN_SLICE_MS 5

struct http_server {
	struct MHD_Daemon *daemon;
	struct http_server_config config;
	struct tarn_counter *requests, *errors;
	struct tarn_histogram *latency;
	int in_flight; /* atomic: requests begun and not completed */
};

struct exchange { /* one request while its body arrives */
	struct tarn_buf body;
	bool too_large;
};

const char *http_request_query(const struct http_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->impl, MHD_GET_ARGUMENT_KIND, name);
}

const char *http_request_header(const struct http_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->impl, MHD_HEADER_KIND, name);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int http_split_path(const char *path, char *storage, size_t storage_size, char **parts,
		    int max_parts)
{
	int n = 0;
	bool inside = false;
	if (strlen(path) >= storage_size)
		return -1;
	for (const char *p = path; *p; p++) {
		char c = *p;
		if (c == '/') {
			if (inside)
				*storage++ = '\0';
			inside = false;
			continue;
		}
		if (c == '%') {
			int hi = hex_value(p[1]), lo = hi < 0 ? -1 : hex_value(p[2]);
			if (lo < 0 || (hi == 0 && lo == 0))
				return -1;
			c = (char)(hi << 4 | lo);
			p += 2;
		}
		if (!inside) {
			if (n == max_parts)
				return -1;
			parts[n++] = storage;
			inside = true;
		}
		*storage++ = c;
	}
	*storage = '\0';
	return n;
}

void http_response_header(struct http_response *r, const char *name, const char *value)
{
	TARN_CHECK(r->header_count < HTTP_MAX_RESPONSE_HEADERS);
	r->headers[r->header_count].name = name;
	tarn_strlcpy(r->headers[r->header_count].value, value, sizeof r->headers[0].value);
	r->header_count++;
}

static unsigned status_of(enum tarn_error_code code)
{
	switch (code) {
	case TARN_E_OK:
		return 200;
	case TARN_E_USAGE:
	case TARN_E_PROTOCOL:
		return 400;
	case TARN_E_NOT_FOUND:
		return 404;
	case TARN_E_EXISTS:
	case TARN_E_CONFLICT:
		return 409;
	case TARN_E_LIMIT:
		return 413;
	case TARN_E_UNSUPPORTED:
		return 406;
	case TARN_E_UNAVAILABLE:
	case TARN_E_CANCELLED:
		return 503;
	case TARN_E_TIMEOUT:
		return 504;
	case TARN_E_IO:
	case TARN_E_CORRUPT:
	case TARN_E_INTERNAL:
		break;
	}
	return 500;
}

void http_response_error(struct http_response *r, const struct tarn_error *e)
{
	r->status = status_of(e->code);
	r->content_type = "application/json";
	json_t *body = json_pack("{s:{s:i,s:s,s:s}}", "error", "code", (int)r->status, "type",
				 tarn_error_name(e->code), "message", e->message);
	char *text = body ? json_dumps(body, 0) : NULL;
	tarn_buf_clear(&r->body);
	tarn_buf_put_str(&r->body, text ? text : "{\"error\":{\"message\":\"unprintable\"}}");
	free(text);
	json_decref(body);
}

static void answer_readiness(const struct http_server *s, struct http_response *r)
{
	struct tarn_error e = {0};
	if (s->config.ready && s->config.ready(s->config.arg, &e) != 0) {
		e.code = TARN_E_UNAVAILABLE;
		http_response_error(r, &e);
		return;
	}
	tarn_buf_put_str(&r->body, "{\"ready\":true}\n");
}

static void answer(const struct http_server *s, const struct http_request *q,
		   struct http_response *r)
{
	if (strcmp(q->path, "/metrics") == 0) {
		r->content_type = "text/plain; version=0.0.4";
		tarn_metrics_render(s->config.metrics, &r->body);
	} else if (strcmp(q->path, "/healthz") == 0) {
		tarn_buf_put_str(&r->body, "{\"healthy\":true}\n");
	} else if (strcmp(q->path, "/readyz") == 0) {
		answer_readiness(s, r);
	} else if (s->config.handler) {
		s->config.handler(s->config.arg, q, r);
	} else {
		struct tarn_error e;
		tarn_fail(&e, TARN_E_NOT_FOUND, "no such address here: %s", q->path);
		http_response_error(r, &e);
	}
}

/* Clients keep idle connections for later; when they are many, they are asked not to. */
static bool is_crowded(const struct http_server *s)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
	return info && info->num_connections > s->config.max_connections / 4;
}

static enum MHD_Result send_response(struct http_server *s, struct MHD_Connection *c,
				     struct http_response *r)
{
	struct MHD_Response *m =
		MHD_create_response_from_buffer(r->body.len, r->body.data, MHD_RESPMEM_MUST_FREE);
	if (!m)
		return MHD_NO;
	tarn_buf_init(&r->body); /* now libmicrohttpd's */
	MHD_add_response_header(m, "Content-Type", r->content_type);
	for (int i = 0; i < r->header_count; i++)
		MHD_add_response_header(m, r->headers[i].name, r->headers[i].value);
	if (is_crowded(s))
		MHD_add_response_header(m, MHD_HTTP_HEADER_CONNECTION, "close");
	enum MHD_Result rc = MHD_queue_response(c, r->status, m);
	MHD_destroy_response(m);
	return rc;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *data_len, void **state)
{
	struct http_server *s = arg;
	struct exchange *x = *state;
	(void)version;
	if (!x) {
		*state = tarn_calloc(1, sizeof *x);
		__atomic_add_fetch(&s->in_flight, 1, __ATOMIC_RELAXED);
		return MHD_YES;
	}
	if (*data_len) {
		if (x->body.len + *data_len > HTTP_MAX_BODY_BYTES)
			x->too_large = true;
		else
			tarn_buf_put(&x->body, data, *data_len);
		*data_len = 0;
		return MHD_YES;
	}
	struct http_response r = {.status = 200, .content_type = "application/json"};
	uint64_t began = tarn_mono_us();
	tarn_buf_reserve(&r.body, 1);
	if (x->too_large) {
		struct tarn_error e;
		tarn_fail(&e, TARN_E_LIMIT, "the request body exceeds %zu bytes",
			  HTTP_MAX_BODY_BYTES);
		http_response_error(&r, &e);
	} else {
		struct http_request q = {.method = method, .path = url, .impl = c};
		q.body = (const uint8_t *)tarn_buf_cstr(&x->body);
		q.body_len = x->body.len;
		answer(s, &q, &r);
	}
	tarn_counter_add(s->requests, 1);
	if (r.status >= 400)
		tarn_counter_add(s->errors, 1);
	tarn_histogram_observe_us(s->latency, tarn_mono_us() - began);
	return send_response(s, c, &r);
}

static void on_completed(void *arg, struct MHD_Connection *c, void **state,
			 enum MHD_RequestTerminationCode why)
{
	struct exchange *x = *state;
	struct http_server *s = arg;
	(void)c;
	(void)why;
	if (!x)
		return;
	tarn_buf_release(&x->body);
	free(x);
	__atomic_sub_fetch(&s->in_flight, 1, __ATOMIC_RELEASE);
	*state = NULL;
}

/* libmicrohttpd decodes the path before the handler sees it, which would turn %2F into '/'. */
static size_t keep_escapes(void *arg, struct MHD_Connection *c, char *s)
{
	(void)arg;
	(void)c;
	return strlen(s);
}

static size_t decode_argument(char *s)
{
	return MHD_http_unescape(s);
}

/* Called for the path and for every query argument; only arguments are decoded. The path is the one
 * that begins with '/'. An argument that begins with '/' needs no decoding unless it holds a '%'. */
static size_t unescape(void *arg, struct MHD_Connection *c, char *s)
{
	if (s[0] == '/')
		return keep_escapes(arg, c, s);
	for (char *p = s; *p; p++) {
		if (*p == '+')
			*p = ' ';
	}
	return decode_argument(s);
}

static int parse_http_address(const char *address, struct sockaddr_in *out, struct tarn_error *err)
{
	char host[64];
	uint64_t port;
	const char *colon = strrchr(address, ':');
	memset(out, 0, sizeof *out);
	out->sin_family = AF_INET;
	if (!colon || !tarn_strlcpy(host, address, sizeof host) ||
	    !tarn_parse_u64(colon + 1, 65535, &port))
		return tarn_fail(err, TARN_E_USAGE, "\"%s\" is no HTTP address: write IPV4:PORT",
				 address);
	host[colon - address] = '\0';
	if (inet_pton(AF_INET, host, &out->sin_addr) != 1)
		return tarn_fail(err, TARN_E_USAGE, "\"%s\" is no HTTP address: write IPV4:PORT",
				 address);
	out->sin_port = htons((uint16_t)port);
	return 0;
}

int http_server_start(const struct http_server_config *c, struct http_server **out,
		      struct tarn_error *err)
{
	struct sockaddr_in sa;
	TRY(parse_http_address(c->address, &sa, err));
	struct http_server *s = tarn_calloc(1, sizeof *s);
	s->config = *c;
	s->requests = tarn_metrics_counter(c->metrics, "tarn_http_requests_total", NULL,
					   "HTTP requests answered.");
	s->errors = tarn_metrics_counter(c->metrics, "tarn_http_errors_total", NULL,
					 "HTTP requests answered with status 400 or above.");
	s->latency = tarn_metrics_histogram(c->metrics, "tarn_http_request_seconds", NULL,
					    "Time to answer an HTTP request.");
	errno = 0;
	s->daemon = MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL_INTERNAL_THREAD |
					     MHD_USE_TURBO | MHD_USE_ITC,
				     ntohs(sa.sin_port), NULL, NULL, on_request, s,
				     MHD_OPTION_SOCK_ADDR, &sa, MHD_OPTION_THREAD_STACK_SIZE,
				     STACK_BYTES, MHD_OPTION_CONNECTION_LIMIT, c->max_connections,
				     MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S,
				     MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
				     MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL, MHD_OPTION_END);
	if (!s->daemon) {
		int e = errno;
		free(s);
		if (e == EADDRINUSE)
			return tarn_fail(
				err, TARN_E_EXISTS,
				"address %s is in use by another process: stop that one or "
				"choose another port",
				c->address);
		return tarn_fail_errno(err, e, "cannot serve HTTP on %s", c->address);
	}
	*out = s;
	return 0;
}

void http_server_stop(struct http_server *s)
{
	if (!s)
		return;
	/* Stopping cuts connections off: who asked for the stop should hear the answer. */
	for (int waited = 0;
	     waited < DRAIN_MS && __atomic_load_n(&s->in_flight, __ATOMIC_ACQUIRE) > 0;
	     waited += DRAIN_SLICE_MS)
		usleep(DRAIN_SLICE_MS * 1000);
	MHD_stop_daemon(s->daemon);
	free(s);
}
