/* Unit tests of src/io. */
#include "base/system.h"
#include <pthread.h>
#include <setjmp.h>
#include <cmocka.h>
#include <sys/socket.h>
#include "io/file.h"
#include "io/frame.h"
#include "io/http.h"
#include "io/net.h"

static struct tarn_error err;

static void test_file_atomic(void **state)
{
	(void)state;
	char dir[] = "/tmp/tarn_io_test.XXXXXX", path[PATH_MAX], sub[PATH_MAX];
	assert_non_null(mkdtemp(dir));
	tarn_snprintf(sub, sizeof sub, "%s/a/b", dir);
	assert_int_equal(file_mkdir_p(sub, 0700, &err), 0);
	tarn_snprintf(path, sizeof path, "%s/x", sub);
	assert_int_equal(file_write_atomic(path, "hello", 5, &err), 0);
	assert_int_equal(file_write_atomic(path, "world!", 6, &err), 0);
	struct tarn_buf b = TARN_BUF_INIT;
	assert_int_equal(file_read_all(path, 100, &b, &err), 0);
	assert_string_equal(tarn_buf_cstr(&b), "world!");
	assert_int_equal(file_read_all(path, 5, &b, &err), TARN_E_LIMIT);
	int fd;
	char bytes[10];
	assert_int_equal(file_open(path, O_RDONLY, 0, &fd, &err), 0);
	assert_int_equal(file_pread(fd, bytes, 10, 0, path, &err), TARN_E_CORRUPT);
	assert_non_null(strstr(err.message, path));
	file_close(fd);
	assert_int_equal(file_remove_tree(dir, &err), 0);
	assert_false(file_exists(dir));
	assert_int_equal(file_open(path, O_RDONLY, 0, &fd, &err), TARN_E_NOT_FOUND);
	tarn_buf_release(&b);
}

static void test_frame(void **state)
{
	(void)state;
	struct tarn_buf b = TARN_BUF_INIT;
	struct frame f;
	size_t used, start = frame_begin(&b, FRAME_PROTO_PAGE, 1, 7);
	tarn_buf_put_str(&b, "payload");
	frame_end(&b, start);
	for (size_t n = 0; n < b.len; n++) {
		assert_int_equal(frame_parse(b.data, n, 'P', 1, 100, &f, &used, &err), 0);
		assert_int_equal(used, 0);
	}
	assert_int_equal(frame_parse(b.data, b.len, 'P', 1, 100, &f, &used, &err), 0);
	assert_int_equal(used, b.len);
	assert_int_equal(f.type, 7);
	assert_memory_equal(f.payload, "payload", 7);
	assert_int_equal(frame_parse(b.data, b.len, 'Q', 1, 100, &f, &used, &err), TARN_E_PROTOCOL);
	assert_int_equal(frame_parse(b.data, b.len, 'P', 2, 100, &f, &used, &err), TARN_E_PROTOCOL);
	assert_int_equal(frame_parse(b.data, b.len, 'P', 1, 6, &f, &used, &err), TARN_E_PROTOCOL);
	for (size_t bit = 0; bit < b.len * 8; bit++) { /* every single-bit flip is noticed */
		b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		int rc = frame_parse(b.data, b.len, 'P', 1, 100, &f, &used, &err);
		assert_true(rc == TARN_E_PROTOCOL || used == 0 || used != b.len);
		b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	tarn_buf_release(&b);
}

static void test_net(void **state)
{
	(void)state;
	int l, c, s;
	char address[NET_ADDRESS_BYTES], bytes[4];
	assert_int_equal(net_listen("127.0.0.1:0", 8, &l, &err), 0);
	assert_int_equal(net_local_address(l, address, &err), 0);
	assert_int_equal(net_listen(address, 8, &c, &err), TARN_E_EXISTS);
	assert_int_equal(net_connect(address, 1000, &c, &err), 0);
	assert_int_equal(net_accept(l, &s, &err), 0);
	assert_int_equal(net_write_full(c, "abcd", 4, &err), 0);
	assert_int_equal(net_read_full(s, bytes, 4, true, &err), 0);
	assert_memory_equal(bytes, "abcd", 4);
	assert_int_equal(net_set_timeout(s, 20, &err), 0);
	assert_int_equal(net_read_full(s, bytes, 1, true, &err), TARN_E_TIMEOUT);
	close(c);
	assert_int_equal(net_read_full(s, bytes, 1, true, &err), TARN_E_NOT_FOUND);
	close(s);
	close(l);
	assert_int_equal(net_connect(address, 1000, &c, &err), TARN_E_UNAVAILABLE);
	assert_int_equal(net_connect("nonsense", 1000, &c, &err), TARN_E_USAGE);
}

static void echo(void *arg, const struct http_request *q, struct http_response *r)
{
	char storage[256], *parts[4];
	(void)arg;
	int n = http_split_path(q->path, storage, sizeof storage, parts, 4);
	const char *x = http_request_query(q, "x");
	if (n == 1 && strcmp(parts[0], "slow") == 0)
		usleep(300000);
	if (n == 1 && strcmp(parts[0], "fail") == 0) {
		struct tarn_error e;
		tarn_fail(&e, TARN_E_CONFLICT, "it is \"taken\"");
		http_response_error(r, &e);
		return;
	}
	tarn_buf_printf(&r->body, "%s %d %s %s %s", q->method, n, n > 1 ? parts[1] : "-",
			x ? x : "-", (const char *)q->body);
}

static int not_ready(void *arg, struct tarn_error *e)
{
	(void)arg;
	return tarn_fail(e, TARN_E_UNAVAILABLE, "still loading");
}

static void *call_slow(void *url)
{
	struct tarn_buf b = TARN_BUF_INIT;
	struct tarn_error e = {0};
	intptr_t rc = http_call("GET", url, NULL, 5000, 1000, &b, &e);
	tarn_buf_release(&b);
	return (void *)rc;
}

/* Handlers that wait do not delay one another. */
static void expect_side_by_side(char *url)
{
	pthread_t threads[8];
	void *rc;
	uint64_t began = tarn_mono_us();
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, call_slow, url), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		assert_int_equal(pthread_join(threads[i], &rc), 0);
		assert_null(rc);
	}
	assert_true(tarn_mono_us() - began < 4 * 300000);
}

static void test_http(void **state)
{
	(void)state;
	int l;
	char address[NET_ADDRESS_BYTES], url[512];
	assert_int_equal(net_listen("127.0.0.1:0", 8, &l, &err), 0);
	assert_int_equal(net_local_address(l, address, &err), 0);
	close(l);
	struct tarn_metrics *m = tarn_metrics_new();
	struct http_server_config c = {.address = address,
				       .threads = 2,
				       .max_connections = 16,
				       .metrics = m,
				       .handler = echo,
				       .ready = not_ready};
	struct http_server *s;
	struct tarn_buf b = TARN_BUF_INIT;
	assert_int_equal(http_server_start(&c, &s, &err), 0);
	tarn_snprintf(url, sizeof url, "http://%s/a/b%%2Fc?x=1%%202", address);
	assert_int_equal(http_call("POST", url, "body", 5000, 1000, &b, &err), 0);
	assert_string_equal(tarn_buf_cstr(&b), "POST 2 b/c 1 2 body");
	tarn_snprintf(url, sizeof url, "http://%s/slow", address);
	expect_side_by_side(url);
	tarn_snprintf(url, sizeof url, "http://%s/fail", address);
	assert_int_equal(http_call("GET", url, NULL, 5000, 1000, &b, &err), TARN_E_CONFLICT);
	assert_string_equal(err.message, "it is \"taken\"");
	tarn_snprintf(url, sizeof url, "http://%s/readyz", address);
	assert_int_equal(http_call("GET", url, NULL, 5000, 1000, &b, &err), TARN_E_UNAVAILABLE);
	assert_string_equal(err.message, "still loading");
	tarn_snprintf(url, sizeof url, "http://%s/metrics", address);
	tarn_buf_clear(&b);
	assert_int_equal(http_call("GET", url, NULL, 5000, 100000, &b, &err), 0);
	assert_non_null(strstr(tarn_buf_cstr(&b), "tarn_http_requests_total 11"));
	http_server_stop(s);
	tarn_metrics_free(m);
	tarn_buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_atomic),
		cmocka_unit_test(test_frame),
		cmocka_unit_test(test_net),
		cmocka_unit_test(test_http),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
