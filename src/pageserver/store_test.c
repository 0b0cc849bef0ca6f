/* Unit tests of the store: versions, visibility, tombstones, branches, ranges. */
#include "base/system.h"
#include <setjmp.h>
#include <cmocka.h>
#include "pageserver/store.h"

static struct tarn_error err;
static struct ps_store *store;

static struct ps_timeline *make(const char *name, struct ps_timeline *parent, tarn_lsn lsn)
{
	struct ps_timeline *tl;
	struct tarn_id id;
	tarn_id_random(&id);
	assert_int_equal(ps_timeline_create(store, &id, name, parent, lsn, 0, &tl, &err), 0);
	return tl;
}

static struct ps_key block_key(uint32_t rel, uint32_t block)
{
	return (struct ps_key){
		.kind = PS_KIND_REL, .spc = 1663, .db = 5, .rel = rel, .block = block};
}

static void put(struct ps_timeline *tl, struct ps_key key, tarn_lsn lsn, enum ps_value_kind kind,
		const char *text)
{
	assert_int_equal(ps_timeline_put(tl, &key, lsn, kind, text, strlen(text), &err), 0);
}

/* "lsn:text lsn:text …" of a collect */
static const char *chain(struct ps_timeline *tl, struct ps_key key, tarn_lsn lsn)
{
	static struct tarn_buf b;
	struct tarn_arena arena;
	struct ps_chain c;
	tarn_arena_init(&arena);
	tarn_buf_clear(&b);
	assert_int_equal(ps_timeline_collect(tl, &key, lsn, &arena, &c, &err), 0);
	for (size_t i = 0; i < c.count; i++)
		tarn_buf_printf(&b, "%s%u:%.*s", i ? " " : "", (unsigned)c.versions[i].lsn,
				(int)c.versions[i].len, (const char *)c.versions[i].bytes);
	tarn_arena_release(&arena);
	return tarn_buf_cstr(&b);
}

static int note_key(void *arg, const struct ps_key *key, const uint8_t *bytes, size_t len,
		    struct tarn_error *e)
{
	(void)e;
	tarn_buf_printf(arg, "%u/%u=%.*s ", key->rel, key->block, (int)len, (const char *)bytes);
	return 0;
}

static int note_touched(void *arg, const struct ps_key *key, tarn_lsn newest, struct tarn_error *e)
{
	(void)e;
	tarn_buf_printf(arg, "%u/%u@%u ", key->rel, key->block, (unsigned)newest);
	return 0;
}

static const char *scan(struct ps_timeline *tl, struct ps_key from, struct ps_key to, tarn_lsn lsn)
{
	static struct tarn_buf b;
	tarn_buf_clear(&b);
	assert_int_equal(ps_timeline_scan(tl, &from, &to, lsn, note_key, &b, &err), 0);
	return tarn_buf_cstr(&b);
}

static const char *touched(struct ps_timeline *tl, struct ps_key from, struct ps_key to,
			   tarn_lsn after, tarn_lsn upto)
{
	static struct tarn_buf b;
	tarn_buf_clear(&b);
	assert_int_equal(ps_timeline_touched(tl, &from, &to, after, upto, note_touched, &b, &err),
			 0);
	return tarn_buf_cstr(&b);
}

static void test_versions(void **state)
{
	(void)state;
	struct ps_timeline *tl = make("versions", NULL, 100);
	struct ps_key k = block_key(1, 7);
	put(tl, k, 110, PS_VALUE_RECORD, "a");
	put(tl, k, 120, PS_VALUE_RECORD_INIT, "b");
	put(tl, k, 130, PS_VALUE_OP, "c");
	put(tl, k, 130, PS_VALUE_OP, "d");
	assert_string_equal(chain(tl, k, UINT64_MAX), ""); /* nothing is visible yet */
	ps_timeline_advance(tl, 120, 110);
	assert_string_equal(chain(tl, k, UINT64_MAX), "120:b");
	assert_string_equal(chain(tl, k, 119), "110:a");
	assert_string_equal(chain(tl, k, 109), "");
	ps_timeline_advance(tl, 130, 120);
	assert_string_equal(chain(tl, k, 130), "120:b 130:c 130:d");
	put(tl, k, 140, PS_VALUE_TOMBSTONE, "");
	put(tl, k, 150, PS_VALUE_RECORD, "e");
	ps_timeline_advance(tl, 150, 140);
	assert_string_equal(chain(tl, k, 145), "");
	assert_string_equal(chain(tl, k, 150), "150:e");
	assert_string_equal(chain(tl, block_key(1, 8), 150), "");
	assert_int_equal(ps_timeline_put(tl, &k, 149, PS_VALUE_OP, "", 0, &err), TARN_E_INTERNAL);
	assert_int_equal(ps_timeline_wait(tl, 150, 0, &err), 0);
	assert_int_equal(ps_timeline_wait(tl, 151, 10, &err), TARN_E_TIMEOUT);
}

static void test_ranges_and_branches(void **state)
{
	(void)state;
	struct ps_timeline *main_tl = make("ranges", NULL, 100);
	put(main_tl, block_key(1, 0), 110, PS_VALUE_IMAGE, "one");
	put(main_tl, block_key(3, 70000), 110, PS_VALUE_IMAGE, "three");
	put(main_tl, block_key(2, 16), 120, PS_VALUE_IMAGE, "two");
	put(main_tl, block_key(1, 0), 130, PS_VALUE_IMAGE, "ONE");
	put(main_tl, block_key(2, 16), 130, PS_VALUE_TOMBSTONE, "");
	ps_timeline_advance(main_tl, 130, 120);
	struct ps_key lo = block_key(1, 0), hi = block_key(9, 0);
	assert_string_equal(scan(main_tl, lo, hi, 110), "1/0=one 3/70000=three ");
	assert_string_equal(scan(main_tl, lo, hi, 120), "1/0=one 2/16=two 3/70000=three ");
	assert_string_equal(scan(main_tl, lo, hi, 130), "1/0=ONE 3/70000=three ");
	assert_string_equal(scan(main_tl, block_key(1, 1), block_key(3, 70000), 120), "2/16=two ");
	assert_string_equal(touched(main_tl, lo, hi, 110, 130), "1/0@130 2/16@130 ");
	assert_string_equal(touched(main_tl, lo, hi, 109, 125), "1/0@110 2/16@120 3/70000@110 ");

	struct ps_timeline *b = make("branch", main_tl, 120), *x;
	struct tarn_id id;
	assert_string_equal(scan(b, lo, hi, UINT64_MAX), "1/0=one 2/16=two 3/70000=three ");
	put(b, block_key(3, 70000), 125, PS_VALUE_TOMBSTONE, "");
	put(b, block_key(2, 17), 126, PS_VALUE_IMAGE, "new");
	ps_timeline_advance(b, 126, 125);
	assert_string_equal(scan(b, lo, hi, UINT64_MAX), "1/0=one 2/16=two 2/17=new ");
	assert_string_equal(scan(b, lo, hi, 115), "1/0=one 3/70000=three ");
	assert_string_equal(scan(main_tl, lo, hi, 130), "1/0=ONE 3/70000=three ");
	assert_string_equal(touched(b, lo, hi, 110, 200), "2/16@120 2/17@126 3/70000@125 ");
	assert_string_equal(chain(b, block_key(1, 0), UINT64_MAX), "110:one");
	assert_string_equal(chain(b, block_key(3, 70000), UINT64_MAX), "");

	tarn_id_random(&id);
	assert_int_equal(ps_timeline_create(store, &id, "branch", NULL, 1, 0, &x, &err),
			 TARN_E_EXISTS);
	assert_int_equal(ps_timeline_create(store, &id, "b d", NULL, 1, 0, &x, &err), TARN_E_USAGE);
	assert_int_equal(ps_timeline_create(store, &id, "late", main_tl, 131, 0, &x, &err),
			 TARN_E_USAGE);
	assert_int_equal(ps_timeline_create(store, &id, "early", b, 99, 0, &x, &err), TARN_E_USAGE);
	assert_int_equal(ps_timeline_delete(store, main_tl, &err), TARN_E_CONFLICT);
	assert_non_null(strstr(err.message, "branch"));
	assert_ptr_equal(ps_timeline_find_name(store, "branch"), b);
	assert_int_equal(ps_timeline_delete(store, b, &err), 0);
	assert_null(ps_timeline_find_name(store, "branch"));
	assert_int_equal(ps_timeline_delete(store, main_tl, &err), 0);
}

static int setup(void **state)
{
	(void)state;
	struct ps_store_config c = {.mem_limit_bytes = 64 * MIB, .layer_target_bytes = 8 * MIB};
	return ps_store_open(&c, &store, &err);
}

static int teardown(void **state)
{
	(void)state;
	return ps_store_close(store, &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_ranges_and_branches),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
