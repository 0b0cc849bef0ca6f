/* Unit tests of relmap.h. */
#include "base/system.h"
#include <setjmp.h>
#include <cmocka.h>
#include "base/crc.h"
#include "pg/relmap.h"

static void make_map(uint8_t bytes[PG_RELMAP_BYTES], uint32_t count)
{
	memset(bytes, 0, PG_RELMAP_BYTES);
	put_le32(bytes, 0x592717);
	put_le32(bytes + 4, count);
	for (uint32_t i = 0; i < TARN_MIN(count, PG_RELMAP_MAX_MAPPINGS); i++) {
		put_le32(bytes + 8 + (size_t)i * 8, 1000 + i);
		put_le32(bytes + 12 + (size_t)i * 8, 5000 + i);
	}
	put_le32(bytes + 504, tarn_crc32c(bytes, 504));
}

static void parse(void **state)
{
	uint8_t bytes[PG_RELMAP_BYTES];
	struct pg_relmap m;
	struct tarn_error err;
	(void)state;
	make_map(bytes, 0);
	assert_int_equal(pg_relmap_parse(bytes, &m, &err), 0);
	assert_int_equal(pg_relmap_filenode(&m, 1000), 0);
	make_map(bytes, PG_RELMAP_MAX_MAPPINGS);
	assert_int_equal(pg_relmap_parse(bytes, &m, &err), 0);
	assert_int_equal(pg_relmap_filenode(&m, 1000), 5000);
	assert_int_equal(pg_relmap_filenode(&m, 1061), 5061);
	assert_int_equal(pg_relmap_filenode(&m, 1062), 0);
	bytes[100] ^= 1;
	assert_int_equal(pg_relmap_parse(bytes, &m, &err), TARN_E_CORRUPT);
	make_map(bytes, PG_RELMAP_MAX_MAPPINGS + 1);
	assert_int_equal(pg_relmap_parse(bytes, &m, &err), TARN_E_CORRUPT);
	make_map(bytes, 3);
	bytes[0] ^= 1;
	put_le32(bytes + 504, tarn_crc32c(bytes, 504));
	assert_int_equal(pg_relmap_parse(bytes, &m, &err), TARN_E_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(parse)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
