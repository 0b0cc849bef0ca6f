/* Unit tests of visibility.h over SLRU pages made by hand. */
#include "base/system.h"
#include <setjmp.h>
#include <cmocka.h>
#include "lake/visibility.h"
#include "wire/page_wire.h"

static uint8_t xacts[PG_PAGE_BYTES], offsets[PG_PAGE_BYTES], members[PG_PAGE_BYTES];
static int reads;

static int test_slru(void *arg, int slru, uint32_t page, tarn_lsn lsn, uint8_t out[8192],
		     bool *absent, struct tarn_error *err)
{
	(void)arg;
	(void)lsn;
	(void)err;
	reads++;
	*absent = page != 0;
	if (page == 0)
		memcpy(out,
		       slru == PAGE_SLRU_XACT		 ? xacts
		       : slru == PAGE_SLRU_MULTI_OFFSETS ? offsets
							 : members,
		       PG_PAGE_BYTES);
	return 0;
}

static const struct lake_source test_source = {.slru_page = test_slru};

enum { COMMITTED = 101, ABORTED = 102, RUNNING = 103, SUBCOMMITTED = 104, FAR_AWAY = 90000 };

static void set_status(uint32_t xid, unsigned bits)
{
	xacts[xid / 4] = (uint8_t)(xacts[xid / 4] | bits << xid % 4 * 2);
}

static void set_member(uint32_t offset, uint32_t xid, uint8_t status)
{
	uint8_t *group = members + offset / 4 * 20;
	group[offset % 4] = status;
	put_le32(group + 4 + offset % 4 * 4, xid);
}

static int setup(void **state)
{
	(void)state;
	memset(xacts, 0, sizeof xacts);
	memset(offsets, 0, sizeof offsets);
	memset(members, 0, sizeof members);
	set_status(COMMITTED, 1);
	set_status(ABORTED, 2);
	set_status(SUBCOMMITTED, 3);
	put_le32(offsets + 1 * 4, 1); /* multixact 1: a locker and a committed updater */
	set_member(1, RUNNING, 0);
	set_member(2, COMMITTED, 5);
	put_le32(offsets + 2 * 4, 3); /* 2: lockers only */
	set_member(3, COMMITTED, 0);
	set_member(4, RUNNING, 1);
	put_le32(offsets + 3 * 4, 5); /* 3: the newest, a running updater, no successor */
	set_member(5, COMMITTED, 1);
	set_member(6, RUNNING, 4);
	return 0;
}

static void expect(struct lake_snapshot *s, uint32_t xmin, uint32_t xmax, uint16_t infomask,
		   bool visible, bool undecided)
{
	struct heap_tuple t = {.item = 1, .xmin = xmin, .xmax = xmax, .infomask = infomask};
	struct lake_verdict v;
	struct tarn_error err;
	assert_int_equal(lake_tuple_visible(s, &t, &v, &err), 0);
	assert_int_equal(v.visible, visible);
	assert_int_equal(v.undecided, undecided);
}

static void test_verdicts(void **state)
{
	(void)state;
	struct lake_snapshot *s = lake_snapshot_new(&test_source, 1);
	const uint16_t alive = HEAP_XMAX_INVALID;
	expect(s, COMMITTED, 0, alive, true, false);
	expect(s, ABORTED, 0, alive, false, false);
	expect(s, RUNNING, 0, alive, false, true);
	expect(s, SUBCOMMITTED, 0, alive, false, true);
	expect(s, FAR_AWAY, 0, alive, false, true);
	/* Hints: a commit is not believed, frozen and invalid are. */
	expect(s, RUNNING, 0, alive | HEAP_XMIN_COMMITTED, false, true);
	expect(s, RUNNING, 0, alive | HEAP_XMIN_FROZEN, true, false);
	expect(s, COMMITTED, 0, alive | HEAP_XMIN_INVALID, false, false);
	expect(s, 2, 0, alive, true, false);
	expect(s, 1, 0, alive, true, false);

	expect(s, COMMITTED, COMMITTED, 0, false, false);
	expect(s, COMMITTED, ABORTED, 0, true, false);
	expect(s, COMMITTED, RUNNING, HEAP_XMAX_COMMITTED, true, true);
	expect(s, COMMITTED, COMMITTED, HEAP_XMAX_INVALID, true, false);
	expect(s, COMMITTED, COMMITTED, HEAP_XMAX_LOCK_ONLY | HEAP_XMAX_EXCL_LOCK, true, false);
	expect(s, COMMITTED, COMMITTED, HEAP_XMAX_EXCL_LOCK, true, false);

	expect(s, COMMITTED, 1, HEAP_XMAX_IS_MULTI, false, false);
	expect(s, COMMITTED, 2, HEAP_XMAX_IS_MULTI, true, false);
	expect(s, COMMITTED, 3, HEAP_XMAX_IS_MULTI, true, true);
	expect(s, COMMITTED, 3, HEAP_XMAX_IS_MULTI | HEAP_XMAX_LOCK_ONLY, true, false);
	lake_snapshot_free(s);
}

static void test_corrupt(void **state)
{
	(void)state;
	put_le32(offsets + 4, 4000000000u);
	struct lake_snapshot *s = lake_snapshot_new(&test_source, 1);
	struct lake_verdict v;
	struct tarn_error err;
	struct heap_tuple t = {.xmin = COMMITTED, .infomask = 0x4000};
	assert_int_equal(lake_tuple_visible(s, &t, &v, &err), TARN_E_CORRUPT);
	t.infomask = HEAP_XMAX_IS_MULTI;
	t.xmax = 77;
	assert_int_equal(lake_tuple_visible(s, &t, &v, &err), TARN_E_CORRUPT);
	t.xmax = 1;
	assert_int_equal(lake_tuple_visible(s, &t, &v, &err), TARN_E_CORRUPT);
	lake_snapshot_free(s);
}

static void test_cache(void **state)
{
	(void)state;
	struct lake_snapshot *s = lake_snapshot_new(&test_source, 1);
	reads = 0;
	for (int i = 0; i < 10; i++) {
		expect(s, COMMITTED, ABORTED, 0, true, false);
		expect(s, FAR_AWAY, 0, 0, false, true);
	}
	assert_int_equal(reads, 2);
	lake_snapshot_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_verdicts, setup),
		cmocka_unit_test_setup(test_corrupt, setup),
		cmocka_unit_test_setup(test_cache, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
