/* Tests of wal_receiver.c with safekeepers that misbehave, and of the look-ups that branches need. */
#include "base/system.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "pageserver/boundary.h"
#include "pageserver/ingest.h"
#include "pageserver/timestamp.h"
#include "pageserver/wal_receiver.h"
#include "pg/checkpoint.h"
#include "quorum/sk_client.h"

#define START_LSN ((tarn_lsn)0x5000028)
#define RECORDS 2000

static struct tarn_error err;
static struct ps_store *store;
static struct tarn_metrics *metrics;
static uint8_t *wal; /* from START_LSN on */
static size_t wal_len;
static tarn_lsn end_lsn[RECORDS];

/* ---- a log of checkpoint records ---- */

static void make_wal(void)
{
	struct pg_control control = {.system_identifier = 7};
	tarn_lsn at = START_LSN, prev = 0;
	wal = tarn_calloc(1, 4 * MIB);
	for (int i = 0; i < RECORDS; i++) {
		struct tarn_buf b = TARN_BUF_INIT;
		tarn_lsn segment, start = pg_record_start(at);
		tarn_lsn end = pg_checkpoint_make(&control, at, prev, &b, &segment);
		/* at a page's start, its header comes with the record */
		tarn_lsn copy = at % WAL_PAGE_BYTES == 0 ? at : start;
		memcpy(wal + (copy - START_LSN), b.data + (copy - segment), (size_t)(end - copy));
		tarn_buf_release(&b);
		wal_len = (size_t)(end - START_LSN);
		prev = start;
		at = end_lsn[i] = end;
	}
}

/* ---- fakes ---- */

enum habit { UNKNOWN, REFUSES, BREAKS, SILENT, GOOD, GARBLES };
static enum habit habits[3];
static bool corrupt_record;
static unsigned opened[3], durable_reports;
static tarn_lsn available_lsn;

struct sk_reader {
	unsigned who;
	size_t pos;
	unsigned calls;
	uint8_t bytes[3000];
};
struct ps_ingest {
	struct ps_timeline *tl;
	size_t count;
};

int sk_reader_open(const char *addr, const struct tarn_id *tl, uint64_t system_identifier,
		   tarn_lsn from, const char *name, int timeout_ms, struct sk_reader **out,
		   struct tarn_error *e)
{
	unsigned who = (unsigned)(addr[0] - 'a');
	(void)tl;
	(void)timeout_ms;
	assert_int_equal(system_identifier, 7);
	assert_string_equal(name, "pageserver");
	__atomic_fetch_add(&opened[who], 1, __ATOMIC_RELAXED);
	if (habits[who] == UNKNOWN)
		return tarn_fail(e, TARN_E_NOT_FOUND, "not here");
	if (habits[who] == REFUSES)
		return tarn_fail(e, TARN_E_UNAVAILABLE, "refused");
	*out = tarn_calloc(1, sizeof **out);
	(*out)->who = who;
	(*out)->pos = from - START_LSN;
	return 0;
}

int sk_reader_next(struct sk_reader *r, int timeout_ms, const uint8_t **bytes, size_t *len,
		   tarn_lsn *lsn, tarn_lsn *commit_lsn, struct tarn_error *e)
{
	size_t end = __atomic_load_n(&available_lsn, __ATOMIC_RELAXED) - START_LSN;
	size_t n = TARN_MIN(end - r->pos, 1 + (r->calls * 7919) % sizeof r->bytes);
	*len = 0;
	if (habits[r->who] == SILENT || n == 0) {
		usleep((unsigned)TARN_MIN(timeout_ms, 20) * 1000);
		return 0;
	}
	if (habits[r->who] == BREAKS && r->calls == 3)
		return tarn_fail(e, TARN_E_UNAVAILABLE, "broken in mid-record");
	memcpy(r->bytes, wal + r->pos, n);
	if (habits[r->who] == GARBLES && r->calls == 2)
		r->bytes[n / 2] ^= 1;
	*bytes = r->bytes;
	*len = n;
	*lsn = START_LSN + r->pos;
	*commit_lsn = START_LSN + wal_len;
	r->pos += n;
	r->calls++;
	return 0;
}

int sk_reader_report_durable(struct sk_reader *r, tarn_lsn lsn, struct tarn_error *e)
{
	(void)r;
	(void)e;
	assert_true(lsn >= START_LSN);
	__atomic_fetch_add(&durable_reports, 1, __ATOMIC_RELAXED);
	return 0;
}

void sk_reader_free(struct sk_reader *r)
{
	free(r);
}

unsigned sk_split_addresses(char *text, const char **out, unsigned max)
{
	assert_true(max >= 3);
	out[0] = text;
	out[1] = text + 4;
	out[2] = text + 8;
	return 3;
}

void ps_ingest_set_reconstruct(struct ps_ingest *ing, ps_reconstruct_fn fn, void *arg)
{
	(void)ing, (void)fn, (void)arg;
}

int ps_ingest_new(struct ps_timeline *tl, struct ps_ingest **out, struct tarn_error *e)
{
	(void)e;
	*out = tarn_calloc(1, sizeof **out);
	(*out)->tl = tl;
	return 0;
}

void ps_ingest_free(struct ps_ingest *ing)
{
	free(ing);
}

int ps_ingest_record(struct ps_ingest *ing, const struct wal_record_bytes *rec,
		     struct tarn_error *e)
{
	if (rec->end_lsn != end_lsn[ing->count] || (corrupt_record && ing->count == 10))
		return tarn_fail(e, TARN_E_CORRUPT, "record %zu makes no sense", ing->count);
	ing->count++;
	ps_timeline_advance(ing->tl, rec->end_lsn, rec->start_lsn);
	return 0;
}

void ps_ingest_position(const struct ps_ingest *ing, tarn_lsn *next_lsn, tarn_lsn *prev_lsn)
{
	struct ps_timeline_info i;
	ps_timeline_info(ing->tl, &i);
	*next_lsn = i.last_record_lsn;
	*prev_lsn = i.prev_record_lsn;
}

/* ---- tests ---- */

static struct ps_timeline *new_timeline(const char *name)
{
	struct tarn_id id;
	struct ps_timeline *tl;
	tarn_id_random(&id);
	id.bytes[15] = 0; /* begins with the first safekeeper */
	assert_int_equal(ps_timeline_create(store, &id, name, NULL, START_LSN, 0, &tl, &err), 0);
	return tl;
}

static struct wal_receivers *receivers(enum habit a, enum habit b, enum habit c)
{
	struct wal_receivers *w;
	habits[0] = a;
	habits[1] = b;
	habits[2] = c;
	memset(opened, 0, sizeof opened);
	available_lsn = START_LSN + wal_len;
	if (metrics)
		tarn_metrics_free(metrics);
	metrics = tarn_metrics_new();
	assert_int_equal(wal_receivers_new(store, "a:1,b:1,c:1", metrics, &w, &err), 0);
	return w;
}

static void test_switches(void **state)
{
	(void)state;
	struct wal_receivers *w = receivers(UNKNOWN, BREAKS, GARBLES);
	struct ps_timeline *tl = new_timeline("switches");
	assert_int_equal(wal_receivers_add(w, tl, &err), 0);
	assert_int_equal(wal_receivers_add(w, tl, &err), 0);
	usleep(300 * 1000);
	habits[0] = GOOD; /* its first compute starts */
	assert_int_equal(ps_timeline_wait(tl, START_LSN + wal_len, 5000, &err), 0);
	assert_int_equal(wal_receivers_status(w, tl, &err), 0);
	assert_true(opened[1] > 0 && opened[2] > 0);
	wal_receivers_remove(w, tl);
	wal_receivers_remove(w, tl);
	wal_receivers_free(w);
	assert_true(durable_reports > 0);
}

/* One that answers but has nothing is left when somebody waits. */
static void test_silence(void **state)
{
	(void)state;
	struct wal_receivers *w = receivers(SILENT, GOOD, REFUSES);
	struct ps_timeline *tl = new_timeline("silence");
	assert_int_equal(wal_receivers_add(w, tl, &err), 0);
	assert_int_equal(ps_timeline_wait(tl, START_LSN + 1, 500, &err), TARN_E_TIMEOUT);
	wal_receivers_want(w, tl);
	assert_int_equal(ps_timeline_wait(tl, START_LSN + wal_len, 5000, &err), 0);
	wal_receivers_free(w);
}

/* A timeline that nobody knows yet is looked for at once when a page of it is asked for. */
static void test_wanted(void **state)
{
	(void)state;
	struct wal_receivers *w = receivers(UNKNOWN, UNKNOWN, UNKNOWN);
	struct ps_timeline *tl = new_timeline("wanted");
	assert_int_equal(wal_receivers_add(w, tl, &err), 0);
	usleep(4000 * 1000); /* it now sleeps for two seconds between rounds */
	assert_true(opened[0] < 15);
	habits[1] = GOOD;
	uint64_t began_us = tarn_mono_us();
	wal_receivers_want(w, tl);
	assert_int_equal(ps_timeline_wait(tl, START_LSN + wal_len, 5000, &err), 0);
	assert_true(tarn_mono_us() - began_us < 500000);
	wal_receivers_free(w);
}

static void test_corrupt_record_stops_the_timeline(void **state)
{
	(void)state;
	struct wal_receivers *w = receivers(GOOD, GOOD, GOOD);
	struct ps_timeline *tl = new_timeline("corrupt");
	corrupt_record = true;
	assert_int_equal(wal_receivers_add(w, tl, &err), 0);
	for (int i = 0; i < 100 && wal_receivers_status(w, tl, &err) == 0; i++)
		usleep(10 * 1000);
	assert_int_equal(wal_receivers_status(w, tl, &err), TARN_E_CORRUPT);
	assert_int_equal(ps_timeline_last_record_lsn(tl), end_lsn[9]);
	corrupt_record = false;
	struct ps_timeline *other = new_timeline("other");
	assert_int_equal(wal_receivers_add(w, other, &err), 0);
	assert_int_equal(ps_timeline_wait(other, START_LSN + wal_len, 5000, &err), 0);
	wal_receivers_free(w);
}

static void put_boundary(struct ps_timeline *tl, tarn_lsn end, int64_t time_us)
{
	struct ps_boundary b = {.end_lsn = end, .start_lsn = end - 10, .time_us = time_us};
	struct ps_key key = {.kind = PS_KIND_META, .rel = PS_META_BOUNDARY};
	uint8_t value[PS_BOUNDARY_BYTES];
	ps_boundary_encode(&b, value);
	assert_int_equal(ps_timeline_put(tl, &key, end, PS_VALUE_IMAGE, value, sizeof value, &err),
			 0);
	ps_timeline_advance(tl, end, end - 10);
}

static void test_boundaries(void **state)
{
	(void)state;
	struct ps_timeline *tl = new_timeline("boundaries");
	struct ps_boundary b;
	assert_int_equal(ps_boundary_by_time(tl, 1, &b, &err), TARN_E_NOT_FOUND);
	for (int i = 1; i <= 100; i++)
		put_boundary(tl, START_LSN + (tarn_lsn)i * 100, i * 1000);
	ps_timeline_advance(tl, START_LSN + 10050, START_LSN + 10020);
	assert_int_equal(ps_boundary_before(tl, START_LSN + 555, &b, &err), 0);
	assert_int_equal(b.end_lsn, START_LSN + 500);
	assert_int_equal(b.start_lsn, START_LSN + 490);
	assert_int_equal(ps_boundary_before(tl, START_LSN + 600, &b, &err), 0);
	assert_int_equal(b.end_lsn, START_LSN + 600);
	assert_int_equal(ps_boundary_before(tl, START_LSN + 10050, &b, &err), 0);
	assert_int_equal(b.end_lsn, START_LSN + 10050);
	assert_int_equal(b.start_lsn, START_LSN + 10020);
	assert_int_equal(ps_boundary_before(tl, START_LSN + 50, &b, &err), TARN_E_NOT_FOUND);
	for (int i = 1; i <= 100; i++) {
		assert_int_equal(ps_boundary_by_time(tl, i * 1000 + i, &b, &err), 0);
		assert_int_equal(b.end_lsn, START_LSN + (tarn_lsn)i * 100);
	}
	assert_int_equal(ps_boundary_by_time(tl, 999, &b, &err), TARN_E_NOT_FOUND);
	assert_int_equal(ps_boundary_by_time(tl, INT64_MAX, &b, &err), 0);
	assert_int_equal(b.end_lsn, START_LSN + 10000);
}

static void test_timestamps(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t us; /* -1: refused */
	} cases[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"1970-01-02", 86400000000},
		{"2026-11-24T10:00:00.5Z", 1795514400500000},
		{"2026-11-24 11:00:00.123456789+01", 1795514400123456},
		{"2026-11-24 15:30:00+05:30", 1795514400000000},
		{"2026-11-24 04:00:00 -0600", 1795514400000000},
		{"2026-11-24T10:00:00 UTC", 1795514400000000},
		{"2026-11-24T10:00:00X", -1},
		{"2026-11-24T10", -1},
		{"2026-11-24T10:00:00+1", -1},
		{"yesterday", -1},
		{"", -1},
		{NULL, -1},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t us = -1;
		int rc = timestamp_parse(cases[i].text, &us, &err);
		assert_int_equal(rc, cases[i].us == -1 ? TARN_E_USAGE : 0);
		assert_int_equal(us, cases[i].us);
	}
}

static int setup(void **state)
{
	(void)state;
	struct ps_store_config c = {
		.mem_limit_bytes = 64 * MIB, .layer_target_bytes = 8 * MIB, .system_identifier = 7};
	make_wal();
	return ps_store_open(&c, &store, &err);
}

static int teardown(void **state)
{
	(void)state;
	free(wal);
	tarn_metrics_free(metrics);
	return ps_store_close(store, &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_switches),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_wanted),
		cmocka_unit_test(test_corrupt_record_stops_the_timeline),
		cmocka_unit_test(test_boundaries),
		cmocka_unit_test(test_timestamps),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
