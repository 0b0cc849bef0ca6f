/* Tests of the redo pool against real hosts: usage redo_pool_test POSTGRES MODULE. */
#include "base/system.h"
#include <setjmp.h>
#include <cmocka.h>
#include <signal.h>
#include "base/buf.h"
#include "io/file.h"
#include "redo/redo.h"

#define REL 16384
#define FPI_LSN ((tarn_lsn)0x1000200)

static const char *const *args;
static char work_dir[] = "/tmp/tarn-redo-test-XXXXXX";
static struct redo_pool *pool;
static struct tarn_metrics *metrics;

static int start_pool(void **state)
{
	(void)state;
	struct redo_config c = {.postgres_path = args[0],
				.module_path = args[1],
				.work_dir = work_dir,
				.hosts = 2,
				.metrics = metrics = tarn_metrics_new()};
	struct tarn_error err;
	int rc = redo_pool_new(&c, &pool, &err);
	if (rc != 0)
		fprintf(stderr, "%s\n", err.message);
	return rc;
}

static int stop_pool(void **state)
{
	(void)state;
	redo_pool_free(pool);
	tarn_metrics_free(metrics);
	return file_remove_tree(work_dir, NULL);
}

/* A valid page with one recognisable byte at its end. */
static void make_page(uint8_t *page, uint8_t mark)
{
	memset(page, 0, REDO_PAGE_BYTES);
	put_le16(page + 12, 24);		  /* pd_lower */
	put_le16(page + 14, 8192);		  /* pd_upper */
	put_le16(page + 16, 8192);		  /* pd_special */
	put_le16(page + 18, (8192 & 0xFF00) | 4); /* size and layout version */
	page[REDO_PAGE_BYTES - 1] = mark;
}

/* A record of resource manager rmgr with a full image of (REL, block). */
static void make_image_record(struct tarn_buf *b, uint8_t rmgr, uint8_t info, uint32_t block,
			      uint8_t mark)
{
	uint8_t page[REDO_PAGE_BYTES];
	make_page(page, mark);
	tarn_buf_clear(b);
	tarn_buf_put_zeros(b, 16);
	tarn_buf_put_u8(b, info);
	tarn_buf_put_u8(b, rmgr);
	tarn_buf_put_zeros(b, 6);
	tarn_buf_put_u8(b, 0);	  /* block id */
	tarn_buf_put_u8(b, 0x10); /* main fork, has image */
	tarn_buf_put_le16(b, 0);  /* no data */
	tarn_buf_put_le16(b, REDO_PAGE_BYTES);
	tarn_buf_put_le16(b, 0);  /* no hole */
	tarn_buf_put_u8(b, 0x02); /* apply */
	tarn_buf_put_le32(b, 1663);
	tarn_buf_put_le32(b, 5);
	tarn_buf_put_le32(b, REL);
	tarn_buf_put_le32(b, block);
	tarn_buf_put(b, page, sizeof page);
	put_le32(b->data, (uint32_t)b->len);
}

static uint64_t page_lsn(const uint8_t *page)
{
	return (uint64_t)get_le32(page) << 32 | get_le32(page + 4);
}

static struct redo_request request(uint32_t block, const struct redo_record *records, size_t count,
				   uint8_t *out)
{
	return (struct redo_request){.spc = 1663,
				     .db = 5,
				     .rel = REL,
				     .block = block,
				     .records = records,
				     .count = count,
				     .out = out};
}

static void test_image(void **state)
{
	(void)state;
	struct tarn_buf b = TARN_BUF_INIT;
	struct tarn_error err;
	uint8_t out[REDO_PAGE_BYTES];
	make_image_record(&b, 0, 0xB0, 7, 0x5A); /* XLOG_FPI */
	struct redo_record rec = {.end_lsn = FPI_LSN, .bytes = b.data, .len = b.len};
	struct redo_request r = request(7, &rec, 1, out);
	assert_int_equal(redo_apply(pool, &r, 1, &err), 0);
	assert_int_equal(out[REDO_PAGE_BYTES - 1], 0x5A);
	assert_int_equal(page_lsn(out), FPI_LSN);
	/* the same record leaves another page as it was */
	uint8_t base[REDO_PAGE_BYTES];
	make_page(base, 0x11);
	r = request(8, &rec, 1, out);
	r.base = base;
	assert_int_equal(redo_apply(pool, &r, 1, &err), 0);
	assert_memory_equal(out, base, sizeof out);
	tarn_buf_release(&b);
}

struct seen {
	size_t count;
	uint64_t last_lsn;
};

static void see(void *arg, size_t index, const uint8_t *page)
{
	struct seen *s = arg;
	assert_int_equal(index, s->count);
	assert_true(page_lsn(page) == FPI_LSN + 8 * index);
	s->count++;
	s->last_lsn = page_lsn(page);
}

/* More records than one batch holds pages or bytes. */
static void test_observe_across_batches(void **state)
{
	(void)state;
	enum { N = 1500 };
	struct tarn_buf b = TARN_BUF_INIT;
	struct tarn_error err;
	uint8_t out[REDO_PAGE_BYTES];
	struct redo_record *recs = tarn_calloc(N, sizeof *recs);
	make_image_record(&b, 0, 0xB0, 7, 3);
	for (size_t i = 0; i < N; i++)
		recs[i] = (struct redo_record){
			.end_lsn = FPI_LSN + 8 * i, .bytes = b.data, .len = b.len};
	struct seen s = {0};
	struct redo_request r = request(7, recs, N, out);
	r.observe = see;
	r.observe_arg = &s;
	assert_int_equal(redo_apply(pool, &r, 1, &err), 0);
	assert_int_equal(s.count, N);
	assert_true(page_lsn(out) == s.last_lsn);
	r.observe = NULL;
	assert_int_equal(redo_apply(pool, &r, 1, &err), 0);
	assert_true(page_lsn(out) == s.last_lsn);
	free(recs);
	tarn_buf_release(&b);
}

static void expect_corrupt(const struct tarn_buf *b, const char *text)
{
	struct tarn_error err = {0};
	uint8_t out[REDO_PAGE_BYTES];
	struct redo_record rec = {.end_lsn = FPI_LSN, .bytes = b->data, .len = b->len};
	struct redo_request r = request(7, &rec, 1, out);
	assert_int_equal(redo_apply(pool, &r, 1, &err), TARN_E_CORRUPT);
	assert_non_null(strstr(err.message, "0/1000200"));
	if (!strstr(err.message, text))
		fail_msg("'%s' is not in: %s", text, err.message);
}

/* What damaged records do to a host stays there, and the pool goes on. */
static void test_damaged_records(void **state)
{
	(void)state;
	struct tarn_buf b = TARN_BUF_INIT;
	make_image_record(&b, 200, 0, 7, 1);
	expect_corrupt(&b, "resource manager 200");
	make_image_record(&b, 0, 0xB0, 7, 1);
	put_le32(b.data, 100);
	expect_corrupt(&b, "length");
	make_image_record(&b, 0, 0xB0, 7, 1);
	b.data[25] = 0x50; /* image and WILL_INIT, fork 0; data length below is then wrong */
	put_le16(b.data + 26, 9999);
	expect_corrupt(&b, "");
	make_image_record(&b, 11, 0xF0, 7, 1);
	expect_corrupt(&b, "unknown op code"); /* PANIC in redo */
	test_image(state);
	tarn_buf_release(&b);
}

/* A heap insertion into a page that nothing initialised. */
static void test_missing_base(void **state)
{
	(void)state;
	struct tarn_buf b = TARN_BUF_INIT;
	make_image_record(&b, 10, 0, 7, 1);
	b.data[25] = 0; /* no image */
	memmove(b.data + 28, b.data + 33, 16);
	b.len = 44;
	static const uint8_t main_data[] = {255, 3, 1, 0, 0};
	tarn_buf_put(&b, main_data, sizeof main_data);
	put_le32(b.data, (uint32_t)b.len);
	expect_corrupt(&b, "never initialised");
	tarn_buf_release(&b);
}

/* The hosts of this process, by what /proc says. */
static unsigned kill_hosts(void)
{
	char path[64], text[256];
	unsigned killed = 0;
	for (pid_t pid = getpid() + 1; pid < getpid() + 200; pid++) {
		snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
		FILE *f = fopen(path, "r");
		if (!f)
			continue;
		int parent = 0;
		if (fgets(text, sizeof text, f) && strrchr(text, ')') &&
		    sscanf(strrchr(text, ')'), ") %*c %d", &parent) == 1 && parent == getpid())
			killed += kill(pid, SIGKILL) == 0;
		fclose(f);
	}
	return killed;
}

static void test_killed_hosts_are_replaced(void **state)
{
	unsigned killed = kill_hosts();
	struct tarn_buf text = TARN_BUF_INIT;
	test_image(state);
	test_image(state);
	if (killed == 0)
		skip();
	tarn_metrics_render(metrics, &text);
	assert_null(strstr(tarn_buf_cstr(&text), "tarn_redo_host_restarts_total 0"));
	tarn_buf_release(&text);
}

static void test_mask(void **state)
{
	(void)state;
	struct tarn_error err;
	uint8_t page[REDO_PAGE_BYTES], other[REDO_PAGE_BYTES];
	make_page(page, 0);
	make_page(other, 0);
	put_le16(page + 14, 8000);
	put_le16(other + 14, 8000);
	other[100] = 77; /* in the hole */
	put_le32(other + 4, 4711);
	assert_int_equal(redo_mask(pool, 10, 0, page, &err), 0);
	assert_int_equal(redo_mask(pool, 10, 0, other, &err), 0);
	assert_memory_equal(page, other, sizeof page);
}

static void test_bad_module(void **state)
{
	(void)state;
	struct tarn_error err;
	struct redo_pool *p;
	char *dir = tarn_asprintf("%s/bad", work_dir);
	struct redo_config c = {.postgres_path = args[0],
				.module_path = "/nowhere/tarn_redo.so",
				.work_dir = dir,
				.hosts = 1};
	assert_int_equal(redo_pool_new(&c, &p, &err), TARN_E_NOT_FOUND);
	assert_null(p);
	free(dir);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image),
		cmocka_unit_test(test_observe_across_batches),
		cmocka_unit_test(test_damaged_records),
		cmocka_unit_test(test_missing_base),
		cmocka_unit_test(test_killed_hosts_are_replaced),
		cmocka_unit_test(test_mask),
		cmocka_unit_test(test_bad_module),
	};
	if (argc != 3) {
		fprintf(stderr, "usage: redo_pool_test POSTGRES MODULE\n");
		return 2;
	}
	args = (const char *const *)argv + 1;
	if (!mkdtemp(work_dir))
		return 2;
	return cmocka_run_group_tests(tests, start_pool, stop_pool);
}
