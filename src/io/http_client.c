/* HTTP client of http.h over libcurl: easy handles in a pool, kept for connection reuse. */
#include "base/system.h"
#include "io/http.h"
#include <curl/curl.h>
#include <jansson.h>
#include <pthread.h>

struct sink {
	struct tarn_buf *out;
	size_t max_bytes;
	bool too_large;
};

#define MAX_IDLE_HANDLES 16

/* Threads come and go (one per server connection); handles with their open connections stay. The one
 * used last is taken first, so few connections serve many threads. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static CURL *idle[MAX_IDLE_HANDLES];
static size_t idle_count;

static void global_init(void)
{
	TARN_CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

static CURL *take_handle(void)
{
	CURL *h = NULL;
	pthread_once(&once, global_init);
	pthread_mutex_lock(&lock);
	if (idle_count > 0)
		h = idle[--idle_count];
	pthread_mutex_unlock(&lock);
	if (h) {
		curl_easy_reset(h); /* connections stay open */
		return h;
	}
	h = curl_easy_init();
	TARN_CHECK(h != NULL);
	return h;
}

static void give_handle(CURL *h)
{
	pthread_mutex_lock(&lock);
	if (idle_count < MAX_IDLE_HANDLES) {
		idle[idle_count++] = h;
		h = NULL;
	}
	pthread_mutex_unlock(&lock);
	if (h)
		curl_easy_cleanup(h);
}

static size_t receive(char *data, size_t size, size_t count, void *arg)
{
	struct sink *s = arg;
	size_t len = size * count;
	if (s->out->len + len > s->max_bytes) {
		s->too_large = true;
		return 0;
	}
	tarn_buf_put(s->out, data, len);
	return len;
}

static enum tarn_error_code code_of(long status)
{
	switch (status) {
	case 400:
		return TARN_E_USAGE;
	case 404:
		return TARN_E_NOT_FOUND;
	case 406:
		return TARN_E_UNSUPPORTED;
	case 409:
		return TARN_E_CONFLICT;
	case 413:
		return TARN_E_LIMIT;
	case 503:
		return TARN_E_UNAVAILABLE;
	case 504:
		return TARN_E_TIMEOUT;
	}
	return TARN_E_INTERNAL;
}

static int fail_with_status(long status, const char *url, const struct tarn_buf *body,
			    struct tarn_error *err)
{
	const char *message = NULL;
	json_t *j = json_loadb((const char *)body->data, body->len, 0, NULL);
	json_t *inner = json_object_get(j, "error");
	message = json_string_value(json_object_get(inner, "message"));
	int rc = message ? tarn_fail(err, code_of(status), "%s", message)
			 : tarn_fail(err, code_of(status), "%s answered with status %ld", url,
				     status);
	json_decref(j);
	return rc;
}

int http_call(const char *method, const char *url, const char *body, int timeout_ms,
	      size_t max_bytes, struct tarn_buf *out, struct tarn_error *err)
{
	CURL *h = take_handle();
	struct sink sink = {.out = out, .max_bytes = out->len + max_bytes};
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	size_t start = out->len;
	long status = 0;
	curl_easy_setopt(h, CURLOPT_URL, url);
	curl_easy_setopt(h, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, receive);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, &sink);
	if (body)
		curl_easy_setopt(h, CURLOPT_POSTFIELDS, body);
	CURLcode rc = curl_easy_perform(h);
	curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
	curl_slist_free_all(headers);
	give_handle(h);
	if (sink.too_large)
		return tarn_fail(err, TARN_E_LIMIT, "the answer of %s exceeds %zu bytes", url,
				 max_bytes);
	if (rc == CURLE_OPERATION_TIMEDOUT)
		return tarn_fail(err, TARN_E_TIMEOUT, "no answer from %s within %d ms", url,
				 timeout_ms);
	if (rc != CURLE_OK)
		return tarn_fail(err, TARN_E_UNAVAILABLE, "cannot reach %s: %s", url,
				 curl_easy_strerror(rc));
	if (status >= 400) {
		struct tarn_buf answer = {.data = out->data + start, .len = out->len - start};
		int failed = fail_with_status(status, url, &answer, err);
		out->len = start;
		return failed;
	}
	return 0;
}
