/* Tests of pages.c, pages_ranges.c, page_cache.c with redo and operations that add numbers. */
#include "base/system.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "pageserver/page_op.h"
#include "pageserver/pageserver_internal.h"

static struct ps_store *store;
static struct ps_timeline *main_tl;
static struct pageserver *ps;
static struct tarn_metrics *metrics;
static struct tarn_error err;
static tarn_lsn now = 100;
static size_t redo_calls, redo_records;

/* A record or operation is one byte: it is added to the page's byte 100. */
int redo_apply(struct redo_pool *p, struct redo_request *r, size_t count, struct tarn_error *e)
{
	(void)p;
	redo_calls++;
	for (size_t i = 0; i < count; i++) {
		if (r[i].base)
			memmove(r[i].out, r[i].base, REDO_PAGE_BYTES);
		else
			memset(r[i].out, 0, REDO_PAGE_BYTES);
		for (size_t k = 0; k < r[i].count; k++) {
			if (r[i].records[k].bytes[0] == 255)
				return tarn_fail(e, TARN_E_CORRUPT, "bad record");
			r[i].out[100] = (uint8_t)(r[i].out[100] + r[i].records[k].bytes[0]);
			redo_records++;
		}
	}
	return 0;
}

int page_op_apply(uint8_t *page, const uint8_t *op, size_t len, tarn_lsn lsn, struct tarn_error *e)
{
	(void)lsn;
	(void)e;
	assert_int_equal(len, 1);
	page[100] = (uint8_t)(page[100] * op[0]);
	return 0;
}

static struct ps_key page_key(uint32_t rel, uint32_t block)
{
	return (struct ps_key){
		.kind = PS_KIND_REL, .spc = 1663, .db = 5, .rel = rel, .block = block};
}

static void put(struct ps_timeline *tl, struct ps_key key, enum ps_value_kind kind,
		const void *value, size_t len)
{
	assert_int_equal(ps_timeline_put(tl, &key, now, kind, value, len, &err), 0);
}

static void put_byte(struct ps_timeline *tl, struct ps_key key, enum ps_value_kind kind, uint8_t v)
{
	put(tl, key, kind, &v, 1);
}

static void put_image(struct ps_timeline *tl, struct ps_key key, uint8_t v)
{
	uint8_t page[PAGE_BYTES] = {0};
	page[100] = v;
	put(tl, key, PS_VALUE_IMAGE, page, sizeof page);
}

static void put_size(struct ps_timeline *tl, uint32_t rel, uint32_t blocks)
{
	struct ps_key key = {.kind = PS_KIND_RELSIZE, .spc = 1663, .db = 5, .rel = rel};
	uint8_t v[4];
	put_le32(v, blocks);
	put(tl, key, PS_VALUE_IMAGE, v, sizeof v);
}

static tarn_lsn step(struct ps_timeline *tl)
{
	ps_timeline_advance(tl, now, now - 10);
	now += 10;
	return now - 10;
}

/* -1: absent */
static int page_value(struct ps_timeline *tl, uint32_t rel, uint32_t block, tarn_lsn lsn)
{
	struct ps_relation r = {1663, 5, rel};
	uint8_t page[PAGE_BYTES];
	bool absent;
	assert_int_equal(ps_get_page(ps, tl, &r, 0, block, lsn, page, &absent, &err), 0);
	return absent ? -1 : page[100];
}

static void test_chain(void **state)
{
	(void)state;
	put_size(main_tl, 1, 3);
	put_image(main_tl, page_key(1, 0), 7);
	tarn_lsn l1 = step(main_tl);
	put_byte(main_tl, page_key(1, 0), PS_VALUE_RECORD, 1);
	tarn_lsn l2 = step(main_tl);
	put_byte(main_tl, page_key(1, 0), PS_VALUE_RECORD, 2);
	tarn_lsn l3 = step(main_tl);
	put_byte(main_tl, page_key(1, 0), PS_VALUE_OP, 3);
	tarn_lsn l4 = step(main_tl);
	put_byte(main_tl, page_key(1, 0), PS_VALUE_RECORD, 5);
	tarn_lsn l5 = step(main_tl);
	redo_calls = 0;
	assert_int_equal(page_value(main_tl, 1, 0, l5), (7 + 1 + 2) * 3 + 5);
	assert_int_equal(redo_calls, 2); /* two runs of records */
	redo_records = 0;
	assert_int_equal(page_value(main_tl, 1, 0, l4), (7 + 1 + 2) * 3);
	assert_int_equal(page_value(main_tl, 1, 0, l3), 10);
	assert_int_equal(page_value(main_tl, 1, 0, l2), 8);
	assert_int_equal(page_value(main_tl, 1, 0, l1), 7);
	assert_int_equal(page_value(main_tl, 1, 1, l5), 0);  /* a hole */
	assert_int_equal(page_value(main_tl, 1, 3, l5), -1); /* beyond the end */
	assert_int_equal(page_value(main_tl, 9, 0, l5), -1); /* no relation */
	assert_int_equal(page_value(main_tl, 1, 0, l1 - 1), -1);
}

static void test_init_record_and_tombstone(void **state)
{
	(void)state;
	put_size(main_tl, 2, 1);
	put_byte(main_tl, page_key(2, 0), PS_VALUE_RECORD_INIT, 9);
	tarn_lsn l1 = step(main_tl);
	assert_int_equal(page_value(main_tl, 2, 0, l1), 9);
	put_byte(main_tl, page_key(2, 0), PS_VALUE_RECORD, 1);
	put_byte(main_tl, page_key(2, 0), PS_VALUE_OP, 2); /* of the same record */
	tarn_lsn l2 = step(main_tl);
	assert_int_equal(page_value(main_tl, 2, 0, l2), 20);
	put(main_tl, page_key(2, 0), PS_VALUE_TOMBSTONE, NULL, 0);
	put_size(main_tl, 2, 0);
	tarn_lsn l3 = step(main_tl);
	assert_int_equal(page_value(main_tl, 2, 0, l3), -1);
	put_size(main_tl, 2, 2);
	tarn_lsn l4 = step(main_tl);
	assert_int_equal(page_value(main_tl, 2, 0, l4), 0);
	assert_int_equal(page_value(main_tl, 2, 0, l2), 20);
}

/* A hot page is neither collected nor rebuilt; a changed one is rebuilt from the cached one. */
static void test_cache(void **state)
{
	(void)state;
	put_size(main_tl, 3, 1);
	put_image(main_tl, page_key(3, 0), 1);
	step(main_tl);
	put_byte(main_tl, page_key(3, 0), PS_VALUE_RECORD, 1);
	tarn_lsn lsn = step(main_tl);
	assert_int_equal(page_value(main_tl, 3, 0, lsn), 2);
	redo_calls = 0;
	assert_int_equal(page_value(main_tl, 3, 0, lsn), 2);
	put_byte(main_tl, page_key(4, 0), PS_VALUE_RECORD_INIT, 1);
	lsn = step(main_tl);
	assert_int_equal(page_value(main_tl, 3, 0, lsn), 2);
	assert_int_equal(redo_calls, 0);
	redo_records = 0;
	for (int i = 0; i < 5; i++) {
		put_byte(main_tl, page_key(3, 0), PS_VALUE_RECORD, 10);
		lsn = step(main_tl);
		assert_int_equal(page_value(main_tl, 3, 0, lsn), 2 + 10 * (i + 1));
	}
	assert_int_equal(redo_records, 5);
	/* and a new image makes all of it unnecessary */
	put_image(main_tl, page_key(3, 0), 77);
	lsn = step(main_tl);
	assert_int_equal(page_value(main_tl, 3, 0, lsn), 77);
	assert_int_equal(page_value(main_tl, 3, 0, lsn - 10), 52);
}

static void test_branch(void **state)
{
	(void)state;
	struct ps_timeline *child;
	struct tarn_id id;
	put_size(main_tl, 5, 1);
	put_image(main_tl, page_key(5, 0), 1);
	tarn_lsn at = step(main_tl);
	tarn_id_random(&id);
	assert_int_equal(
		ps_timeline_create(store, &id, "child", main_tl, at, at - 10, &child, &err), 0);
	put_byte(main_tl, page_key(5, 0), PS_VALUE_RECORD, 1);
	tarn_lsn lsn = step(main_tl);
	assert_int_equal(page_value(main_tl, 5, 0, lsn), 2);
	assert_int_equal(page_value(child, 5, 0, lsn), 1);
	put_byte(child, page_key(5, 0), PS_VALUE_RECORD, 5);
	lsn = step(child);
	assert_int_equal(page_value(child, 5, 0, lsn), 6);
	assert_int_equal(page_value(child, 5, 0, at), 1);
}

/* One call of redo for the records of many pages. */
static void test_batch(void **state)
{
	(void)state;
	struct page_want wants[PS_MAX_PAGES_PER_CALL] = {0};
	static uint8_t pages[PS_MAX_PAGES_PER_CALL][PAGE_BYTES];
	put_size(main_tl, 6, PS_MAX_PAGES_PER_CALL - 1);
	for (uint32_t i = 0; i < PS_MAX_PAGES_PER_CALL; i++)
		put_byte(main_tl, page_key(6, i), PS_VALUE_RECORD_INIT, (uint8_t)i);
	step(main_tl);
	for (uint32_t i = 0; i < PS_MAX_PAGES_PER_CALL; i++)
		put_byte(main_tl, page_key(6, i), PS_VALUE_RECORD, 1);
	tarn_lsn lsn = step(main_tl);
	for (uint32_t i = 0; i < PS_MAX_PAGES_PER_CALL; i++)
		wants[i] = (struct page_want){
			.key = page_key(6, i), .lsn = lsn, .check_size = true, .out = pages[i]};
	redo_calls = 0;
	assert_int_equal(ps_get_pages(ps, main_tl, wants, PS_MAX_PAGES_PER_CALL, &err), 0);
	assert_int_equal(redo_calls, 1);
	for (uint32_t i = 0; i < PS_MAX_PAGES_PER_CALL - 1; i++) {
		assert_false(wants[i].absent);
		assert_int_equal(pages[i][100], i + 1);
	}
	assert_true(wants[PS_MAX_PAGES_PER_CALL - 1].absent);
}

static void test_bad_values(void **state)
{
	(void)state;
	struct ps_relation r = {1663, 5, 7};
	uint8_t page[PAGE_BYTES];
	bool absent;
	put_size(main_tl, 7, 2);
	put_byte(main_tl, page_key(7, 0), PS_VALUE_RECORD_INIT, 255);
	put_byte(main_tl, page_key(7, 1), PS_VALUE_IMAGE, 1);
	tarn_lsn lsn = step(main_tl);
	assert_int_equal(ps_get_page(ps, main_tl, &r, 0, 0, lsn, page, &absent, &err),
			 TARN_E_CORRUPT);
	assert_int_equal(ps_get_page(ps, main_tl, &r, 0, 1, lsn, page, &absent, &err),
			 TARN_E_CORRUPT);
	assert_non_null(strstr(err.message, "1663/5/7"));
}

static void test_slru_and_sizes(void **state)
{
	(void)state;
	struct ps_key range = {.kind = PS_KIND_SLRU_RANGE, .rel = PAGE_SLRU_MULTI_OFFSETS};
	struct tarn_buf out = TARN_BUF_INIT;
	uint8_t v[8];
	uint64_t bytes;
	bool absent;
	put_le32(v, 33);
	put_le32(v + 4, 70);
	put(main_tl, range, PS_VALUE_IMAGE, v, sizeof v);
	for (uint32_t i = 33; i <= 70; i++)
		put_image(main_tl,
			  (struct ps_key){
				  .kind = PS_KIND_SLRU, .rel = PAGE_SLRU_MULTI_OFFSETS, .block = i},
			  (uint8_t)i);
	tarn_lsn lsn = step(main_tl);
	struct {
		uint32_t segment, pages;
	} expect[] = {{0, 0}, {1, 32}, {2, 7}, {3, 0}, {UINT32_MAX, 0}};
	for (size_t i = 0; i < ARRAY_LEN(expect); i++) {
		tarn_buf_clear(&out);
		assert_int_equal(ps_slru_segment(ps, main_tl, PAGE_SLRU_MULTI_OFFSETS,
						 expect[i].segment, lsn, &out, &absent, &err),
				 0);
		assert_int_equal(absent, expect[i].pages == 0);
		assert_int_equal(out.len, expect[i].pages * PAGE_BYTES);
		for (uint32_t k = 0; k < expect[i].pages; k++) {
			uint32_t page = expect[i].segment * 32 + k;
			assert_int_equal(out.data[k * PAGE_BYTES + 100], page < 33 ? 0 : page);
		}
	}
	tarn_buf_release(&out);
	assert_int_equal(ps_database_bytes(ps, main_tl, 1663, 5, lsn, &bytes, &err), 0);
	assert_int_equal(bytes % PAGE_BYTES, 0);
	assert_true(bytes / PAGE_BYTES >= PS_MAX_PAGES_PER_CALL);
	assert_int_equal(ps_database_bytes(ps, main_tl, 1663, 6, lsn, &bytes, &err), 0);
	assert_int_equal(bytes, 0);
}

static void test_cache_limit(void **state)
{
	(void)state;
	size_t limit = 4 * MIB;
	struct page_cache *c = page_cache_new(limit);
	uint8_t page[PAGE_BYTES] = {0};
	struct page_cache_hit hit;
	for (uint32_t i = 0; i < 4000; i++) {
		struct ps_key key = page_key(1, i), first = page_key(1, 0);
		struct page_cache_hit what = {.version_lsn = 5, .known_lsn = 7, .len = PAGE_BYTES};
		put_le32(page, i);
		page_cache_put(c, main_tl, &key, &what, page);
		assert_true(page_cache_get(c, main_tl, &first, 5, page, &hit)); /* used, so kept */
		assert_true(page_cache_bytes(c) <= limit);
	}
	struct ps_key key = page_key(1, 3999);
	assert_true(page_cache_get(c, main_tl, &key, 6, page, &hit));
	assert_int_equal(get_le32(page), 3999);
	assert_int_equal(hit.known_lsn, 7);
	assert_false(page_cache_get(c, main_tl, &key, 4, page, &hit));
	key = page_key(1, 1);
	assert_false(page_cache_get(c, main_tl, &key, 6, page, &hit));
	page_cache_free(c);
}

static int setup(void **state)
{
	struct tarn_id id;
	(void)state;
	struct ps_store_config c = {.mem_limit_bytes = 64 * MIB, .layer_target_bytes = 8 * MIB};
	metrics = tarn_metrics_new();
	if (ps_store_open(&c, &store, &err) != 0)
		return -1;
	ps = pageserver_new(store, NULL, 8 * MIB, metrics);
	tarn_id_random(&id);
	return ps_timeline_create(store, &id, "main", NULL, 1, 0, &main_tl, &err);
}

static int teardown(void **state)
{
	(void)state;
	pageserver_free(ps);
	tarn_metrics_free(metrics);
	return ps_store_close(store, &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_init_record_and_tombstone),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_branch),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_slru_and_sizes),
		cmocka_unit_test(test_cache_limit),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
