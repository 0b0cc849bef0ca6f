/* Unit tests of catalog_rows.h: what a catalog of a real server does not hold. */
#include "base/system.h"
#include <setjmp.h>
#include <cmocka.h>
#include "lake/catalog_rows.h"

static struct tarn_error err;

static void bad_missing_values(void **state)
{
	(void)state;
	struct tarn_arena arena;
	uint8_t array[4 + 20 + 4];
	struct pg_attr attr = {.len = 4, .align = 4};
	tarn_arena_init(&arena);
	memset(array, 0, sizeof array);
	put_le32(array, sizeof array << 2);
	put_le32(array + 4, 1);
	put_le32(array + 16, 1);
	put_le32(array + 24, 77);
	struct pg_datum d = {array, sizeof array};
	assert_int_equal(catalog_missing_value(d, &attr, &arena, &err), 0);
	assert_int_equal(get_le32(attr.missing), 77);
	attr.len = 8;
	assert_int_equal(catalog_missing_value(d, &attr, &arena, &err), TARN_E_CORRUPT);
	attr.len = 4;
	for (size_t at = 4; at <= 16; at += 4) {
		uint32_t old = get_le32(array + at);
		put_le32(array + at, 2);
		assert_int_equal(catalog_missing_value(d, &attr, &arena, &err),
				 at == 12 ? 0 : TARN_E_CORRUPT);
		put_le32(array + at, old);
	}
	for (uint32_t len = 4; len < sizeof array; len++) {
		put_le32(array, len << 2);
		d.len = len;
		assert_int_equal(catalog_missing_value(d, &attr, &arena, &err), TARN_E_CORRUPT);
	}
	tarn_arena_release(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(bad_missing_values)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
