/* Unit tests of pg_control and of the synthesized checkpoint. */
#include "base/system.h"
#include <setjmp.h>
#include <cmocka.h>
#include "pg/checkpoint.h"
#include "pg/wal_framer.h"

static struct tarn_error err;

static void build_and_parse(void **state)
{
	struct pg_control c = {.system_identifier = 42,
			       .control_version = PG_CONTROL_VERSION_15,
			       .catalog_version = PG_CATALOG_VERSION_15},
			  back;
	uint8_t file[PG_CONTROL_FILE_BYTES];
	(void)state;
	c.checkpoint.next_xid = 747;
	pg_control_build(&c, file);
	assert_int_equal(pg_control_parse(file, sizeof file, &back, &err), 0);
	assert_int_equal(back.system_identifier, 42);
	assert_int_equal(back.checkpoint.next_xid, 747);
	file[100] ^= 1;
	assert_int_equal(pg_control_parse(file, sizeof file, &back, &err), TARN_E_CORRUPT);
	file[8]++;
	assert_int_equal(pg_control_parse(file, sizeof file, &back, &err), TARN_E_UNSUPPORTED);
	assert_int_equal(pg_control_parse(file, 100, &back, &err), TARN_E_CORRUPT);
}

/* Wherever the log ends, what is made up continues it as one whole record. */
static void checkpoint_at(tarn_lsn x)
{
	struct pg_control c = {.system_identifier = 42};
	struct tarn_buf wal = TARN_BUF_INIT;
	struct wal_framer f;
	struct wal_record_bytes rec;
	tarn_lsn seg, end, prev = x - 64;
	size_t used, from;
	bool complete = false;
	end = pg_checkpoint_make(&c, x, prev, &wal, &seg);
	assert_int_equal(seg % WAL_SEGMENT_BYTES, 0);
	assert_int_equal(end, seg + wal.len);
	assert_int_equal(c.checkpoint_lsn, pg_record_start(x));
	wal_framer_init(&f, x, prev, 42);
	from = (size_t)(x - seg);
	while (!complete && from < wal.len) {
		assert_int_equal(wal_framer_feed(&f, wal.data + from, wal.len - from, &used,
						 &complete, &rec, &err),
				 0);
		from += used;
	}
	assert_true(complete);
	assert_int_equal(rec.start_lsn, pg_record_start(x));
	assert_int_equal(rec.end_lsn, end);
	assert_memory_equal(rec.bytes + 26, &c.checkpoint, sizeof c.checkpoint);
	wal_framer_release(&f);
	tarn_buf_release(&wal);
}

static void checkpoints(void **state)
{
	(void)state;
	checkpoint_at(0x1000000 + 40);
	checkpoint_at(0x1000000 + 5 * 8192);
	checkpoint_at(0x1000000 + 5 * 8192 + 24);
	for (tarn_lsn left = 8; left <= 160; left += 8) {
		checkpoint_at(0x1000000 + 6 * 8192 - left);
		checkpoint_at(0x3000000 - left);
	}
	checkpoint_at(0x3000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(build_and_parse),
					   cmocka_unit_test(checkpoints)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
