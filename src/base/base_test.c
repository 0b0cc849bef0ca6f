/* Unit tests of src/base. */
#include "base/system.h"
#include <setjmp.h>
#include <cmocka.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/crc.h"
#include "base/error.h"
#include "base/id.h"
#include "base/lsn.h"
#include "base/metrics.h"

static void test_lsn(void **state)
{
	(void)state;
	tarn_lsn lsn;
	char text[TARN_LSN_TEXT_BYTES];
	assert_true(tarn_lsn_parse("1A/2B3C", &lsn));
	assert_int_equal(lsn, 0x1A00002B3CULL);
	tarn_lsn_format(lsn, text);
	assert_string_equal(text, "1A/2B3C");
	assert_true(tarn_lsn_parse("FFFFFFFF/FFFFFFFF", &lsn));
	tarn_lsn_format(lsn, text);
	assert_string_equal(text, "FFFFFFFF/FFFFFFFF");
	const char *bad[] = {"", "1", "/1", "1/", "1/2/3", "1/2 ", "100000000/0", "g/1", "-1/0"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(tarn_lsn_parse(bad[i], &lsn));
}

static void test_crc(void **state)
{
	(void)state;
	assert_int_equal(tarn_crc32c("123456789", 9), 0xE3069283);
	assert_int_equal(tarn_crc32c_extend(tarn_crc32c("1234", 4), "56789", 5), 0xE3069283);
	assert_int_equal(tarn_crc32("123456789", 9), 0xCBF43926);
}

static void test_buf_and_reader(void **state)
{
	(void)state;
	struct tarn_buf b = TARN_BUF_INIT;
	tarn_buf_put_u8(&b, 7);
	tarn_buf_put_le32(&b, 0xdeadbeef);
	tarn_buf_put_uvarint(&b, 300);
	tarn_buf_put_uvarint(&b, UINT64_MAX);
	tarn_buf_printf(&b, "%s-%d", "x", 5);
	struct tarn_reader r;
	tarn_reader_init(&r, b.data, b.len);
	assert_int_equal(tarn_reader_u8(&r), 7);
	assert_int_equal(tarn_reader_le32(&r), 0xdeadbeef);
	assert_int_equal(tarn_reader_uvarint(&r), 300);
	assert_true(tarn_reader_uvarint(&r) == UINT64_MAX);
	assert_memory_equal(tarn_reader_bytes(&r, 3), "x-5", 3);
	assert_false(r.failed);
	assert_int_equal(tarn_reader_le64(&r), 0);
	assert_true(r.failed);
	tarn_buf_consume(&b, b.len - 1);
	assert_string_equal(tarn_buf_cstr(&b), "5");
	tarn_buf_release(&b);
}

static void test_varint_overlong(void **state)
{
	(void)state;
	uint8_t bad[11];
	struct tarn_reader r;
	memset(bad, 0xff, sizeof bad);
	tarn_reader_init(&r, bad, sizeof bad);
	tarn_reader_uvarint(&r);
	assert_true(r.failed);
}

static void test_arena(void **state)
{
	(void)state;
	struct tarn_arena a;
	tarn_arena_init(&a);
	char *s = tarn_arena_printf(&a, "%d", 42);
	memset(tarn_arena_alloc(&a, 1 * MIB), 1, 1 * MIB);
	assert_string_equal(s, "42");
	assert_true(a.used_bytes >= MIB);
	tarn_arena_clear(&a);
	assert_int_equal(a.used_bytes, 0);
	tarn_arena_release(&a);
}

static void test_errors(void **state)
{
	(void)state;
	struct tarn_error e;
	assert_int_equal(tarn_fail_errno(&e, ENOENT, "cannot open %s", "/x"), TARN_E_NOT_FOUND);
	assert_string_equal(e.message, "cannot open /x: No such file or directory");
	assert_int_equal(tarn_error_prefix(&e, "starting"), TARN_E_NOT_FOUND);
	assert_string_equal(e.message, "starting: cannot open /x: No such file or directory");
	assert_int_equal(tarn_fail(NULL, TARN_E_LIMIT, "no"), TARN_E_LIMIT);
	assert_string_equal(tarn_error_name(TARN_E_CORRUPT), "CORRUPT");
}

static void test_ids(void **state)
{
	(void)state;
	struct tarn_id a, b;
	char text[TARN_ID_TEXT_BYTES];
	tarn_id_random(&a);
	tarn_id_format(&a, text);
	assert_true(tarn_id_parse(text, &b));
	assert_true(tarn_id_equal(&a, &b));
	assert_false(tarn_id_parse("12", &b));
	text[5] = 'G';
	assert_false(tarn_id_parse(text, &b));
}

static void test_metrics(void **state)
{
	(void)state;
	struct tarn_metrics *m = tarn_metrics_new();
	struct tarn_buf out = TARN_BUF_INIT;
	tarn_counter_add(tarn_metrics_counter(m, "tarn_x_total", NULL, "Things."), 3);
	tarn_histogram_observe_us(tarn_metrics_histogram(m, "tarn_h_seconds", NULL, "Time."), 3);
	tarn_metrics_render(m, &out);
	const char *text = tarn_buf_cstr(&out);
	assert_non_null(strstr(text, "# TYPE tarn_x_total counter\ntarn_x_total 3\n"));
	assert_non_null(strstr(text, "tarn_h_seconds_bucket{le=\"4e-06\"} 1\n"));
	assert_non_null(strstr(text, "tarn_h_seconds_bucket{le=\"2e-06\"} 0\n"));
	assert_non_null(strstr(text, "tarn_h_seconds_count 1\n"));
	tarn_buf_release(&out);
	tarn_metrics_free(m);
}

static void test_text(void **state)
{
	(void)state;
	char out[4];
	uint64_t v;
	assert_true(tarn_strlcpy(out, "abc", sizeof out));
	assert_false(tarn_strlcpy(out, "abcd", sizeof out));
	assert_string_equal(out, "abc");
	assert_true(tarn_parse_u64("18446744073709551615", UINT64_MAX, &v));
	assert_true(v == UINT64_MAX);
	assert_false(tarn_parse_u64("18446744073709551616", UINT64_MAX, &v));
	assert_false(tarn_parse_u64("11", 10, &v));
	assert_false(tarn_parse_u64("", 10, &v));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lsn),
		cmocka_unit_test(test_crc),
		cmocka_unit_test(test_buf_and_reader),
		cmocka_unit_test(test_varint_overlong),
		cmocka_unit_test(test_arena),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_metrics),
		cmocka_unit_test(test_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
