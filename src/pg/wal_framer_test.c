/* Unit tests of the WAL framer over a log that the test writes itself. */
#include "base/system.h"
#include <setjmp.h>
#include <cmocka.h>
#include "base/crc.h"
#include "pg/wal_framer.h"

#define START ((tarn_lsn)0x1000000 + 40) /* first record of a segment */
#define SYSTEM_ID 77

static struct tarn_error err;

struct log { /* bytes from the start of the segment that holds START */
	struct tarn_buf bytes;
	tarn_lsn base;
	tarn_lsn prev;
	tarn_lsn ends[600];
	size_t count;
};

static tarn_lsn log_lsn(const struct log *l)
{
	return l->base + l->bytes.len;
}

static void put_page_header(struct log *l, uint32_t rem_len)
{
	tarn_lsn at = log_lsn(l);
	bool is_long = at % WAL_SEGMENT_BYTES == 0;
	tarn_buf_put_le16(&l->bytes, WAL_PAGE_MAGIC);
	tarn_buf_put_le16(&l->bytes, (uint16_t)((rem_len ? 1 : 0) | (is_long ? 2 : 0)));
	tarn_buf_put_le32(&l->bytes, 1);
	tarn_buf_put_le64(&l->bytes, at);
	tarn_buf_put_le32(&l->bytes, rem_len);
	tarn_buf_put_le32(&l->bytes, 0);
	if (is_long) {
		tarn_buf_put_le64(&l->bytes, SYSTEM_ID);
		tarn_buf_put_le32(&l->bytes, (uint32_t)WAL_SEGMENT_BYTES);
		tarn_buf_put_le32(&l->bytes, WAL_PAGE_BYTES);
	}
}

static void put_record(struct log *l, uint32_t payload, uint8_t rmid, uint8_t info)
{
	struct tarn_buf r = TARN_BUF_INIT;
	if (log_lsn(l) % WAL_PAGE_BYTES == 0)
		put_page_header(l, 0);
	tarn_lsn start = log_lsn(l);
	tarn_buf_put_le32(&r, WAL_RECORD_HEADER_BYTES + payload);
	tarn_buf_put_le32(&r, 9);
	tarn_buf_put_le64(&r, l->prev);
	tarn_buf_put_u8(&r, info);
	tarn_buf_put_u8(&r, rmid);
	tarn_buf_put_le16(&r, 0);
	tarn_buf_put_le32(&r, 0);
	for (uint32_t i = 0; i < payload; i++)
		tarn_buf_put_u8(&r, (uint8_t)(start + i));
	uint32_t crc = tarn_crc32c(r.data + 24, payload);
	put_le32(r.data + 20, tarn_crc32c_extend(crc, r.data, 20));
	for (size_t done = 0; done < r.len;) {
		if (log_lsn(l) % WAL_PAGE_BYTES == 0)
			put_page_header(l, (uint32_t)(r.len - done));
		size_t n = TARN_MIN(r.len - done,
				    (size_t)(WAL_PAGE_BYTES - log_lsn(l) % WAL_PAGE_BYTES));
		tarn_buf_put(&l->bytes, r.data + done, n);
		done += n;
	}
	while (log_lsn(l) % 8)
		tarn_buf_put_u8(&l->bytes, 0);
	if (rmid == 0 && info == 0x40)
		tarn_buf_put_zeros(&l->bytes, (size_t)(align_up_u64(log_lsn(l), WAL_SEGMENT_BYTES) -
						       log_lsn(l)));
	l->prev = start;
	l->ends[l->count++] = log_lsn(l);
	tarn_buf_release(&r);
}

static void make_log(struct log *l)
{
	memset(l, 0, sizeof *l);
	l->base = START - 40;
	put_page_header(l, 0);
	for (uint32_t i = 0; i < 200; i++)
		put_record(l, i * 37 % 5000, 10, 0);
	put_record(l, 30000, 10, 0); /* over several pages */
	/* one that ends exactly with its page */
	uint32_t left = WAL_PAGE_BYTES - (uint32_t)(log_lsn(l) % WAL_PAGE_BYTES);
	if (left < 64) {
		put_record(l, 100, 10, 0);
		left = WAL_PAGE_BYTES - (uint32_t)(log_lsn(l) % WAL_PAGE_BYTES);
	}
	put_record(l, left - WAL_RECORD_HEADER_BYTES, 10, 0);
	assert_int_equal(log_lsn(l) % WAL_PAGE_BYTES, 0);
	put_record(l, 5, 10, 0);
	put_record(l, 0, 0, 0x40); /* segment switch */
	assert_int_equal(log_lsn(l) % WAL_SEGMENT_BYTES, 0);
	put_record(l, 5, 10, 0);
}

static void check_in_chunks(const struct log *l, size_t chunk)
{
	struct wal_framer f;
	size_t seen = 0, pos = 40;
	wal_framer_init(&f, START, 0, SYSTEM_ID);
	while (pos < l->bytes.len) {
		size_t used, n = TARN_MIN(chunk, l->bytes.len - pos);
		bool complete;
		struct wal_record_bytes r;
		assert_int_equal(
			wal_framer_feed(&f, l->bytes.data + pos, n, &used, &complete, &r, &err), 0);
		pos += used;
		if (!complete)
			continue;
		assert_true(r.end_lsn == l->ends[seen]);
		assert_true(r.bytes[r.len - 1] == (uint8_t)(r.start_lsn + r.len - 25) ||
			    r.len == 24);
		seen++;
	}
	assert_int_equal(seen, l->count);
	assert_true(f.record_end_lsn == log_lsn(l) && f.lsn == log_lsn(l));
	wal_framer_release(&f);
}

static void test_chunks(void **state)
{
	struct log l;
	(void)state;
	make_log(&l);
	check_in_chunks(&l, SIZE_MAX);
	check_in_chunks(&l, 8192);
	check_in_chunks(&l, 1000);
	check_in_chunks(&l, 7);
	tarn_buf_release(&l.bytes);
}

/* At any cut the framer reports the last record that is whole, padding and all. */
static void test_torn_end(void **state)
{
	struct log l;
	struct wal_framer f;
	(void)state;
	make_log(&l);
	size_t next = 0;
	wal_framer_init(&f, START, 0, SYSTEM_ID);
	for (size_t pos = 40; pos < 400000 && pos < l.bytes.len; pos++) {
		assert_int_equal(wal_framer_skim(&f, l.bytes.data + pos, 1, &err), 0);
		if (l.base + pos + 1 == l.ends[next])
			next++;
		assert_true(f.record_end_lsn == (next ? l.ends[next - 1] : START));
	}
	assert_true(next > 100);
	wal_framer_release(&f);
	tarn_buf_release(&l.bytes);
}

static void test_damage(void **state)
{
	struct log l;
	(void)state;
	make_log(&l);
	for (size_t byte = 40; byte < 9000; byte += 3) { /* flips are noticed, but for padding */
		struct wal_framer f;
		wal_framer_init(&f, START, 0, SYSTEM_ID);
		l.bytes.data[byte] ^= 0x10;
		int rc = wal_framer_skim(&f, l.bytes.data + 40, 60000, &err);
		l.bytes.data[byte] ^= 0x10;
		if (rc ==
		    0) { /* only alignment padding and unused header bytes may change unseen */
			assert_true(l.bytes.data[byte] == 0 || byte % WAL_PAGE_BYTES < 24);
		} else {
			assert_int_equal(rc, TARN_E_CORRUPT);
			assert_true(f.record_end_lsn <= l.base + byte + 8);
		}
		wal_framer_release(&f);
	}
	struct wal_framer f;
	wal_framer_init(&f, START, 12345, SYSTEM_ID); /* wrong previous record */
	assert_int_equal(wal_framer_skim(&f, l.bytes.data + 40, 60000, &err), TARN_E_CORRUPT);
	wal_framer_release(&f);
	wal_framer_init(&f, l.base + WAL_SEGMENT_BYTES, 0, SYSTEM_ID + 1);
	assert_int_equal(wal_framer_skim(&f, l.bytes.data + WAL_SEGMENT_BYTES, 100, &err),
			 TARN_E_CORRUPT);
	assert_non_null(strstr(err.message, "another cluster"));
	wal_framer_release(&f);
	tarn_buf_release(&l.bytes);
}

static void test_segment_name(void **state)
{
	char name[25];
	(void)state;
	wal_segment_name(0x1000000, name);
	assert_string_equal(name, "000000010000000000000001");
	wal_segment_name(((tarn_lsn)0x12 << 32) + 0xFF000123, name);
	assert_string_equal(name, "0000000100000012000000FF");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_torn_end),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_segment_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
