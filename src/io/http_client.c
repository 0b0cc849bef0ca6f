/* HTTP client of http.h over libcurl: one easy handle per thread, kept for connection reuse. */
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

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t handle_key;

static void drop_handle(void *handle)
{
	curl_easy_cleanup(handle);
}

static void global_init(void)
{
	TARN_CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
	TARN_CHECK(pthread_key_create(&handle_key, drop_handle) == 0);
}

static CURL *thread_handle(void)
{
	pthread_once(&once, global_init);
	CURL *h = pthread_getspecific(handle_key);
	if (!h) {
		h = curl_easy_init();
		TARN_CHECK(h != NULL);
		pthread_setspecific(handle_key, h);
	}
	curl_easy_reset(h);
	return h;
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
	CURL *h = thread_handle();
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
