/* Unit tests of heap_page.h, tuple.h and btree.h. */
#include "base/system.h"
#include <setjmp.h>
#include <cmocka.h>
#include <lz4.h>
#include "pg/btree.h"
#include "pg/tuple.h"

static uint64_t random_state = 88172645463325252ULL;
static uint32_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32);
}

static void page_init(uint8_t page[PG_PAGE_BYTES], uint16_t special_bytes)
{
	memset(page, 0, PG_PAGE_BYTES);
	put_le16(page + 12, PG_PAGE_HEADER_BYTES);
	put_le16(page + 14, (uint16_t)(PG_PAGE_BYTES - special_bytes));
	put_le16(page + 16, (uint16_t)(PG_PAGE_BYTES - special_bytes));
	put_le16(page + 18, PG_PAGE_BYTES | 4);
}

static uint16_t page_add(uint8_t page[PG_PAGE_BYTES], const void *item, uint16_t len)
{
	uint16_t lower = get_le16(page + 12), upper = get_le16(page + 14);
	upper = (uint16_t)(upper - align_up_u64(len, 8));
	memcpy(page + upper, item, len);
	put_le32(page + lower, (uint32_t)len << 17 | PG_LINE_NORMAL << 15 | upper);
	put_le16(page + 12, (uint16_t)(lower + PG_LINE_BYTES));
	put_le16(page + 14, upper);
	return (uint16_t)((lower - PG_PAGE_HEADER_BYTES) / PG_LINE_BYTES + 1);
}

/* int4, int8 NULL, text short, int2, text long, name-like cstring; then one column it lacks */
static const struct pg_attr test_attrs[] = {
	{.len = 4, .align = 4, .byval = true},
	{.len = 8, .align = 8, .byval = true},
	{.len = -1, .align = 4},
	{.len = 2, .align = 2, .byval = true},
	{.len = -1, .align = 4},
	{.len = -2, .align = 1},
	{.len = 4,
	 .align = 4,
	 .byval = true,
	 .missing = (const uint8_t *)"\x07\0\0\0",
	 .missing_len = 4},
};

static uint16_t make_tuple(uint8_t *out)
{
	memset(out, 0, 128);
	put_le32(out, 700);
	put_le32(out + 4, 0);
	put_le16(out + 12, 1);
	put_le16(out + 14, 2);
	put_le16(out + 16, 3);
	put_le16(out + 18, 6 | HEAP_ONLY_TUPLE);
	put_le16(out + 20, HEAP_HASNULL | HEAP_HASVARWIDTH | HEAP_XMAX_INVALID);
	out[22] = 24;
	out[23] = 0x3D;
	uint8_t *d = out + 24;
	put_le32(d, 42);
	memcpy(d + 4,
	       "\x09"
	       "abc",
	       4);
	put_le16(d + 8, 0xFFFE);
	put_le32(d + 12, (4 + 5) << 2);
	memcpy(d + 16, "hello", 5);
	memcpy(d + 21, "end", 4);
	return 24 + 25;
}

static void test_page_and_deform(void **state)
{
	(void)state;
	uint8_t page[PG_PAGE_BYTES], tuple[128];
	struct pg_page p;
	struct heap_tuple t;
	struct tarn_error err;
	memset(page, 0, sizeof page);
	assert_int_equal(heap_page_open(&p, page, &err), 0);
	assert_true(p.is_new && p.nlines == 0);
	page_init(page, 0);
	put_le32(page, 1);
	put_le32(page + 4, 0x20);
	page_add(page, tuple, make_tuple(tuple));
	assert_int_equal(heap_page_open(&p, page, &err), 0);
	assert_true(p.lsn == 0x100000020ULL && p.nlines == 1);
	uint16_t item = 0;
	assert_true(heap_page_next(&p, &item));
	assert_int_equal(heap_page_tuple(&p, item, &t, &err), 0);
	assert_false(heap_page_next(&p, &item));
	assert_int_equal(t.xmin, 700);
	assert_int_equal(t.ctid_block, 0x10002);
	assert_int_equal(t.ctid_item, 3);
	assert_int_equal(t.natts, 6);

	struct pg_datum d[7];
	assert_int_equal(tuple_deform(&t, test_attrs, 7, d, &err), 0);
	assert_int_equal(get_le32(d[0].bytes), 42);
	assert_null(d[1].bytes);
	assert_int_equal(d[2].len, 4);
	assert_memory_equal(d[2].bytes + 1, "abc", 3);
	assert_int_equal(get_le16(d[3].bytes), 0xFFFE);
	struct varlena v;
	assert_int_equal(varlena_parse(d[4], &v, &err), 0);
	assert_int_equal(v.form, VARLENA_INLINE);
	assert_int_equal(v.payload_len, 5);
	assert_memory_equal(v.payload, "hello", 5);
	assert_int_equal(d[5].len, 3);
	assert_string_equal((const char *)d[5].bytes, "end");
	assert_int_equal(get_le32(d[6].bytes), 7);
}

static void test_damage_is_found(void **state)
{
	(void)state;
	uint8_t page[PG_PAGE_BYTES], tuple[128];
	struct pg_page p;
	struct heap_tuple t;
	struct tarn_error err;
	page_init(page, 0);
	page_add(page, tuple, make_tuple(tuple));
	put_le16(page + 12, PG_PAGE_BYTES); /* lower above upper */
	assert_int_equal(heap_page_open(&p, page, &err), TARN_E_CORRUPT);
	page_init(page, 16);
	assert_int_equal(heap_page_open(&p, page, &err), TARN_E_CORRUPT);
	page_init(page, 0);
	page_add(page, tuple, make_tuple(tuple));
	put_le32(page + PG_PAGE_HEADER_BYTES, 100u << 17 | PG_LINE_NORMAL << 15 | 8100);
	assert_int_equal(heap_page_open(&p, page, &err), 0);
	assert_int_equal(heap_page_tuple(&p, 1, &t, &err), TARN_E_CORRUPT);
	uint16_t len = make_tuple(tuple);
	tuple[22] = 200;
	assert_int_equal(heap_tuple_parse(tuple, len, &t, &err), TARN_E_CORRUPT);
	make_tuple(tuple);
	put_le32(tuple + 24 + 12, 1000 << 2);
	assert_int_equal(heap_tuple_parse(tuple, len, &t, &err), 0);
	struct pg_datum d[7];
	assert_int_equal(tuple_deform(&t, test_attrs, 7, d, &err), TARN_E_CORRUPT);
	assert_non_null(strstr(err.message, "column 5"));
}

/* Nothing is asserted but that no byte outside is touched: run under the sanitizers. */
static void test_random_damage(void **state)
{
	(void)state;
	uint8_t *page = tarn_malloc(PG_PAGE_BYTES), tuple[128];
	for (int round = 0; round < 20000; round++) {
		page_init(page, 0);
		uint16_t len = make_tuple(tuple);
		for (int i = 0; i < 3; i++)
			page_add(page, tuple, len);
		for (int i = 0; i < 4; i++) {
			uint32_t at = next_random() % 200;
			if (at >= 40)
				at = PG_PAGE_BYTES - 200 + at;
			page[at] = (uint8_t)next_random();
		}
		struct pg_page p;
		struct heap_tuple t;
		struct pg_datum d[7];
		struct varlena v;
		if (heap_page_open(&p, page, NULL) != 0)
			continue;
		for (uint16_t item = 0; heap_page_next(&p, &item);) {
			if (heap_page_tuple(&p, item, &t, NULL) != 0 ||
			    tuple_deform(&t, test_attrs, 7, d, NULL) != 0)
				continue;
			for (int i = 2; i <= 4; i += 2) {
				struct tarn_buf b = TARN_BUF_INIT;
				if (d[i].bytes != NULL && varlena_parse(d[i], &v, NULL) == 0 &&
				    v.form == VARLENA_COMPRESSED)
					(void)varlena_decompress(v.method, v.payload, v.payload_len,
								 v.raw_len, &b, NULL);
				tarn_buf_release(&b);
			}
		}
	}
	free(page);
}

static void test_compression(void **state)
{
	(void)state;
	struct tarn_error err;
	/* "ab", then 19 bytes from 2 back, then "z" */
	const uint8_t packed[] = {0x04, 'a', 'b', 0x0F, 0x02, 0x01, 'z'};
	uint8_t out[22];
	assert_int_equal(pglz_expand(packed, sizeof packed, out, 22, &err), 0);
	assert_memory_equal(out, "abababababababababababz", 21);
	assert_int_equal(out[21], 'z');
	assert_int_equal(pglz_expand(packed, sizeof packed, out, 21, &err), TARN_E_CORRUPT);
	assert_int_equal(pglz_expand(packed, sizeof packed - 1, out, 22, &err), TARN_E_CORRUPT);
	const uint8_t too_far[] = {0x02, 'a', 0x00, 0x02};
	assert_int_equal(pglz_expand(too_far, sizeof too_far, out, 4, &err), TARN_E_CORRUPT);

	char text[1000], small[1100];
	memset(text, 'q', sizeof text);
	int len = LZ4_compress_default(text, small + 8, sizeof text, sizeof small - 8);
	put_le32(small, (uint32_t)(len + 8) << 2 | 2);
	put_le32(small + 4, 1u << 30 | sizeof text);
	struct varlena v;
	struct pg_datum d = {(const uint8_t *)small, (uint32_t)len + 8};
	assert_int_equal(varlena_parse(d, &v, &err), 0);
	assert_int_equal(v.form, VARLENA_COMPRESSED);
	assert_int_equal(v.raw_len, sizeof text);
	struct tarn_buf b = TARN_BUF_INIT;
	assert_int_equal(
		varlena_decompress(v.method, v.payload, v.payload_len, v.raw_len, &b, &err), 0);
	assert_memory_equal(b.data, text, sizeof text);
	assert_int_equal(
		varlena_decompress(v.method, v.payload, v.payload_len - 1, v.raw_len, &b, &err),
		TARN_E_CORRUPT);
	assert_int_equal(b.len, sizeof text);
	/* A bomb: 8 bytes that say a gigabyte. */
	assert_int_equal(varlena_decompress(VARLENA_LZ4, v.payload, 8, 1u << 29, &b, &err),
			 TARN_E_CORRUPT);
	tarn_buf_release(&b);
}

/* An index of three blocks: meta, root with two children, leaves 2 → 3. */
struct test_index {
	uint8_t blocks[4][PG_PAGE_BYTES];
};

static int test_get(void *arg, uint32_t block, uint8_t out[PG_PAGE_BYTES], struct tarn_error *err)
{
	const struct test_index *x = arg;
	if (block >= ARRAY_LEN(x->blocks))
		return tarn_fail(err, TARN_E_CORRUPT, "no block %u", block);
	memcpy(out, x->blocks[block], PG_PAGE_BYTES);
	return 0;
}

static void put_entry(uint8_t *page, uint16_t tid_lo, uint16_t item, uint16_t flags, uint32_t oid,
		      int32_t seq)
{
	uint8_t e[16] = {0};
	put_le16(e + 2, tid_lo);
	put_le16(e + 4, item);
	put_le16(e + 6, 16 | flags);
	put_le32(e + 8, oid);
	put_le32(e + 12, (uint32_t)seq);
	page_add(page, e, sizeof e);
}

static void put_special(uint8_t *page, uint32_t prev, uint32_t next, uint32_t level, uint16_t flags)
{
	put_le32(page + 8176, prev);
	put_le32(page + 8176 + 4, next);
	put_le32(page + 8176 + 8, level);
	put_le16(page + 8176 + 12, flags);
}

static void make_index(struct test_index *x)
{
	for (size_t i = 0; i < ARRAY_LEN(x->blocks); i++)
		page_init(x->blocks[i], 16);
	put_special(x->blocks[0], 0, 0, 0, 8);
	put_le32(x->blocks[0] + 24, 0x053162);
	put_le32(x->blocks[0] + 28, 4);
	put_le32(x->blocks[0] + 32, 1);
	put_special(x->blocks[1], 0, 0, 1, 2);
	put_entry(x->blocks[1], 2, 0, 0x2000, 0, 0);
	put_entry(x->blocks[1], 3, 2, 0x2000, 20, 1);
	put_special(x->blocks[2], 0, 3, 0, 1);
	put_entry(x->blocks[2], 0, 2, 0x2000, 20, 1); /* high key */
	put_entry(x->blocks[2], 100, 1, 0, 10, 0);
	put_entry(x->blocks[2], 101, 1, 0, 20, 0);
	put_special(x->blocks[3], 2, 0, 0, 1);
	put_entry(x->blocks[3], 102, 1, 0, 20, 1);
	uint8_t posting[32] = {0}; /* two rows of (20, 2): an entry with a list */
	put_le16(posting + 2, 16);
	put_le16(posting + 4, 0x2000 | 2);
	put_le16(posting + 6, 32 | 0x2000);
	put_le32(posting + 8, 20);
	put_le32(posting + 12, 2);
	put_le16(posting + 18, 103);
	put_le16(posting + 20, 1);
	put_le16(posting + 24, 104);
	put_le16(posting + 26, 5);
	page_add(x->blocks[3], posting, sizeof posting);
	put_entry(x->blocks[3], 105, 1, 0, 30, 0);
}

struct hits {
	uint32_t count;
	struct btree_hit hit[8];
};

static int collect(void *arg, const struct btree_hit *hit, struct tarn_error *err)
{
	(void)err;
	struct hits *h = arg;
	if (h->count < ARRAY_LEN(h->hit))
		h->hit[h->count] = *hit;
	h->count++;
	return 0;
}

static void test_btree(void **state)
{
	(void)state;
	struct test_index *x = tarn_calloc(1, sizeof *x);
	struct btree_pages pages = {x, test_get};
	struct tarn_error err;
	make_index(x);
	struct hits h = {0};
	assert_int_equal(btree_scan_oid(&pages, 20, collect, &h, &err), 0);
	assert_int_equal(h.count, 4);
	assert_int_equal(h.hit[0].heap_block, 101);
	assert_int_equal(h.hit[1].heap_block, 102);
	assert_int_equal(h.hit[2].heap_block, 103);
	assert_int_equal(h.hit[3].heap_block, 104);
	assert_int_equal(h.hit[3].heap_item, 5);
	assert_int_equal(h.hit[3].seq, 2);
	h.count = 0;
	assert_int_equal(btree_scan_oid(&pages, 15, collect, &h, &err), 0);
	assert_int_equal(btree_scan_oid(&pages, 4000000000u, collect, &h, &err), 0);
	assert_int_equal(btree_scan_oid(&pages, 0, collect, &h, &err), 0);
	assert_int_equal(h.count, 0);
	assert_int_equal(btree_scan_oid(&pages, 30, collect, &h, &err), 0);
	assert_int_equal(h.count, 1);
	/* An unfinished split: the root does not know of block 3 yet. */
	put_le16(x->blocks[1] + 12, PG_PAGE_HEADER_BYTES + PG_LINE_BYTES);
	h.count = 0;
	assert_int_equal(btree_scan_oid(&pages, 30, collect, &h, &err), 0);
	assert_int_equal(h.count, 1);
	put_special(x->blocks[3], 2, 3, 0, 1); /* a circle */
	assert_int_equal(btree_scan_oid(&pages, 30, collect, &h, &err), TARN_E_CORRUPT);
	for (int round = 0; round < 20000; round++) {
		make_index(x);
		for (int i = 0; i < 3; i++) {
			uint32_t at = next_random() % 220;
			if (at >= 48)
				at = PG_PAGE_BYTES - 220 + at;
			x->blocks[next_random() % 4][at] = (uint8_t)next_random();
		}
		(void)btree_scan_oid(&pages, 20, collect, &h, NULL);
	}
	free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page_and_deform), cmocka_unit_test(test_damage_is_found),
		cmocka_unit_test(test_random_damage),	cmocka_unit_test(test_compression),
		cmocka_unit_test(test_btree),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
