/* Tests of the page service over loopback, with pages that are images. */
#include "base/system.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include "io/net.h"
#include "pageserver/page_op.h"
#include "pageserver/page_service.h"
#include "pageserver/pageserver_internal.h"

#define SYSTEM_IDENTIFIER 77

static struct ps_store *store;
static struct ps_timeline *tl;
static struct tarn_id timeline;
static struct pageserver *ps;
static struct page_service *service;
static struct tarn_metrics *metrics;
static struct tarn_error err;

int page_op_apply(uint8_t *page, const uint8_t *op, size_t len, tarn_lsn lsn, struct tarn_error *e)
{
	(void)page;
	(void)op;
	(void)len;
	(void)lsn;
	return tarn_fail(e, TARN_E_CORRUPT, "an operation that cannot be applied");
}

static void put(uint8_t kind, uint32_t block, tarn_lsn lsn, enum ps_value_kind vk, const void *v,
		size_t len)
{
	struct ps_key key = {.kind = kind, .spc = 1663, .db = 5, .rel = 1, .block = block};
	assert_int_equal(ps_timeline_put(tl, &key, lsn, vk, v, len, &err), 0);
}

static void put_page(uint32_t block, tarn_lsn lsn)
{
	uint8_t page[PAGE_BYTES] = {0};
	put_le32(page + 100, block);
	put_le64(page + 200, lsn);
	put(PS_KIND_REL, block, lsn, PS_VALUE_IMAGE, page, sizeof page);
}

struct client {
	int fd;
	struct tarn_buf out, in;
	struct page_response r;
};

static void client_send(struct client *c)
{
	assert_int_equal(net_write_full(c->fd, c->out.data, c->out.len, &err), 0);
	tarn_buf_clear(&c->out);
}

static int client_read(struct client *c)
{
	struct frame f;
	int rc = frame_read(c->fd, FRAME_PROTO_PAGE, PAGE_WIRE_VERSION, FRAME_MAX_PAYLOAD_BYTES,
			    &c->in, &f, true, &err);
	if (rc == 0)
		rc = page_parse_response(&f, &c->r, &err);
	return rc;
}

static void client_open(struct client *c, const struct tarn_id *id, uint64_t system_identifier)
{
	memset(c, 0, sizeof *c);
	assert_int_equal(net_connect(page_service_address(service), 1000, &c->fd, &err), 0);
	page_put_attach(&c->out, id, system_identifier);
	client_send(c);
	assert_int_equal(client_read(c), 0);
}

static void client_attach(struct client *c)
{
	client_open(c, &timeline, SYSTEM_IDENTIFIER);
	assert_int_equal(c->r.type, PAGE_MSG_ATTACHED);
}

static void client_close(struct client *c)
{
	close(c->fd);
	tarn_buf_release(&c->out);
	tarn_buf_release(&c->in);
}

static struct page_request request(uint16_t type, uint64_t id, uint32_t block)
{
	return (struct page_request){.type = type,
				     .id = id,
				     .lsn = PAGE_LSN_LATEST,
				     .spc = 1663,
				     .db = 5,
				     .rel = 1,
				     .block = block};
}

/* More requests than fit into one batch, of all kinds, are answered in order. */
static void test_pipeline(void **state)
{
	(void)state;
	struct client c;
	client_attach(&c);
	for (uint32_t i = 0; i < 500; i++) {
		struct page_request q = request(PAGE_MSG_GETPAGE, i, i % 120);
		if (i % 50 == 49)
			q.type = PAGE_MSG_NBLOCKS;
		page_put_request(&c.out, &q);
	}
	client_send(&c);
	for (uint32_t i = 0; i < 500; i++) {
		assert_int_equal(client_read(&c), 0);
		assert_int_equal(c.r.id, i);
		if (i % 50 == 49) {
			assert_int_equal(c.r.type, PAGE_MSG_NUMBER);
			assert_int_equal(c.r.number, 100);
		} else if (i % 120 >= 100) {
			assert_int_equal(c.r.type, PAGE_MSG_ABSENT);
		} else if (i % 120 == 55) { /* damaged; its neighbours are not */
			assert_int_equal(c.r.type, PAGE_MSG_ERROR);
			assert_int_equal(c.r.number, TARN_E_CORRUPT);
		} else {
			assert_int_equal(c.r.type, PAGE_MSG_PAGE);
			assert_int_equal(get_le32(c.r.bytes + 100), i % 120);
		}
	}
	struct page_request q = request(PAGE_MSG_DBSIZE, 9, 0);
	page_put_request(&c.out, &q);
	q = request(PAGE_MSG_SLRU, 10, 0);
	page_put_request(&c.out, &q);
	q.rel = 99;
	q.id = 11;
	page_put_request(&c.out, &q);
	client_send(&c);
	assert_int_equal(client_read(&c), 0);
	assert_int_equal(c.r.number, 100 * PAGE_BYTES);
	assert_int_equal(client_read(&c), 0);
	assert_int_equal(c.r.type, PAGE_MSG_ABSENT);
	assert_int_equal(client_read(&c), 0);
	assert_int_equal(c.r.type, PAGE_MSG_ERROR);
	assert_int_equal(c.r.id, 11);
	client_close(&c);
}

static void *advance_later(void *arg)
{
	tarn_lsn lsn = *(tarn_lsn *)arg;
	usleep(50 * 1000);
	put_page(3, lsn);
	ps_timeline_advance(tl, lsn, lsn - 100);
	return NULL;
}

/* A page that needs log not there yet waits for it; what was asked before does not. */
static void test_waits(void **state)
{
	(void)state;
	struct client c;
	tarn_lsn last = ps_timeline_last_record_lsn(tl), later = last + 100;
	pthread_t t;
	client_attach(&c);
	assert_int_equal(c.r.number, last);
	struct page_request q = request(PAGE_MSG_GETPAGE, 1, 3);
	q.not_modified_since = last;
	page_put_request(&c.out, &q);
	q.not_modified_since = later;
	q.id = 2;
	page_put_request(&c.out, &q);
	q.lsn = last; /* an old version waits for nothing */
	q.id = 3;
	page_put_request(&c.out, &q);
	client_send(&c);
	assert_int_equal(client_read(&c), 0);
	assert_int_equal(ps_timeline_last_record_lsn(tl), last);
	assert_true(get_le64(c.r.bytes + 200) <= last);
	pthread_create(&t, NULL, advance_later, &later);
	assert_int_equal(client_read(&c), 0);
	assert_int_equal(c.r.id, 2);
	assert_int_equal(get_le64(c.r.bytes + 200), later);
	assert_int_equal(client_read(&c), 0);
	assert_int_equal(c.r.id, 3);
	assert_true(get_le64(c.r.bytes + 200) <= last);
	pthread_join(t, NULL);
	q = request(PAGE_MSG_GETPAGE, 4, 3);
	q.lsn = 1; /* before the timeline */
	page_put_request(&c.out, &q);
	client_send(&c);
	assert_int_equal(client_read(&c), 0);
	assert_int_equal(c.r.type, PAGE_MSG_ERROR);
	client_close(&c);
}

static void test_strangers(void **state)
{
	(void)state;
	struct client c;
	struct tarn_id other;
	tarn_id_random(&other);
	client_open(&c, &other, SYSTEM_IDENTIFIER);
	assert_int_equal(c.r.type, PAGE_MSG_ERROR);
	assert_int_equal(c.r.number, TARN_E_NOT_FOUND);
	assert_int_not_equal(client_read(&c), 0);
	client_close(&c);
	client_open(&c, &timeline, SYSTEM_IDENTIFIER + 1);
	assert_int_equal(c.r.type, PAGE_MSG_ERROR);
	assert_int_equal(c.r.number, TARN_E_CONFLICT);
	client_close(&c);
	uint8_t garbage[300];
	for (int i = 0; i < 50; i++) {
		client_attach(&c);
		tarn_random_bytes(garbage, sizeof garbage);
		tarn_buf_put(&c.out, garbage, sizeof garbage);
		client_send(&c);
		int rc = client_read(&c); /* the end, or a reset if it was not read whole */
		assert_true(rc == TARN_E_NOT_FOUND || rc == TARN_E_UNAVAILABLE);
		client_close(&c);
	}
	client_attach(&c);
	struct page_request q = request(PAGE_MSG_GETPAGE, 1, 0);
	page_put_request(&c.out, &q);
	c.out.data[c.out.len - 1] ^= 1; /* a flipped bit */
	client_send(&c);
	assert_int_not_equal(client_read(&c), 0);
	client_close(&c);
	client_attach(&c);
	client_close(&c);
}

/* The number that counts: one hot page after another over loopback. */
static void test_latency(void **state)
{
	(void)state;
	struct client c;
	client_attach(&c);
	uint64_t began = tarn_mono_us();
	for (uint32_t i = 0; i < 5000; i++) {
		struct page_request q = request(PAGE_MSG_GETPAGE, i, i % 50);
		page_put_request(&c.out, &q);
		client_send(&c);
		assert_int_equal(client_read(&c), 0);
		assert_int_equal(c.r.type, PAGE_MSG_PAGE);
	}
	printf("hot GetPage over loopback: %.1f us\n", (double)(tarn_mono_us() - began) / 5000);
	began = tarn_mono_us();
	for (uint32_t i = 0; i < 200; i++) {
		for (uint32_t k = 0; k < 50; k++) {
			struct page_request q = request(PAGE_MSG_GETPAGE, i, k);
			page_put_request(&c.out, &q);
		}
		client_send(&c);
		for (uint32_t k = 0; k < 50; k++)
			assert_int_equal(client_read(&c), 0);
	}
	printf("the same, 50 at a time: %.1f us\n", (double)(tarn_mono_us() - began) / 10000);
	client_close(&c);
}

static void test_stop_with_clients(void **state)
{
	(void)state;
	struct client c, waiting;
	client_attach(&c);
	client_attach(&waiting);
	struct page_request q = request(PAGE_MSG_GETPAGE, 1, 0);
	q.not_modified_since = ps_timeline_last_record_lsn(tl) + 1000;
	page_put_request(&waiting.out, &q);
	client_send(&waiting);
	usleep(20 * 1000);
	uint64_t began = tarn_mono_us();
	page_service_stop(service);
	service = NULL;
	assert_true(tarn_mono_us() - began < 2000000);
	client_close(&c);
	client_close(&waiting);
}

static int setup(void **state)
{
	uint8_t size[4];
	(void)state;
	struct ps_store_config c = {.mem_limit_bytes = 64 * MIB,
				    .layer_target_bytes = 8 * MIB,
				    .system_identifier = SYSTEM_IDENTIFIER};
	metrics = tarn_metrics_new();
	if (ps_store_open(&c, &store, &err) != 0)
		return -1;
	ps = pageserver_new(store, NULL, 8 * MIB, metrics);
	tarn_id_random(&timeline);
	if (ps_timeline_create(store, &timeline, "main", NULL, 100, 0, &tl, &err) != 0)
		return -1;
	for (uint32_t i = 0; i < 100; i++)
		put_page(i, 200);
	put(PS_KIND_REL, 55, 200, PS_VALUE_OP, "x", 1);
	put_le32(size, 100);
	put(PS_KIND_RELSIZE, 0, 200, PS_VALUE_IMAGE, size, sizeof size);
	ps_timeline_advance(tl, 200, 100);
	return page_service_start(ps, "127.0.0.1:0", metrics, &service, &err);
}

static int teardown(void **state)
{
	(void)state;
	page_service_stop(service);
	pageserver_free(ps);
	tarn_metrics_free(metrics);
	return ps_store_close(store, &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pipeline),	  cmocka_unit_test(test_waits),
		cmocka_unit_test(test_strangers),	  cmocka_unit_test(test_latency),
		cmocka_unit_test(test_stop_with_clients),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, setup, teardown);
}
