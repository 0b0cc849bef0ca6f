/* Unit tests of the record decoder: records made here, damaged ones, and the log of a real initdb. */
#include "base/system.h"
#include <setjmp.h>
#include <cmocka.h>
#include <lz4.h>
#include <zstd.h>
#include "base/buf.h"
#include "io/file.h"
#include "pg/wal_framer.h"
#include "pg/wal_record.h"

static struct tarn_error err;
static const char *initdb_path;

/* ---- records made here ---- */

static void begin(struct tarn_buf *b, uint8_t rmgr, uint8_t info)
{
	tarn_buf_clear(b);
	tarn_buf_put_le32(b, 0);
	tarn_buf_put_le32(b, 77); /* xid */
	tarn_buf_put_le64(b, 0x5000028);
	tarn_buf_put_u8(b, info);
	tarn_buf_put_u8(b, rmgr);
	tarn_buf_put_zeros(b, 6);
}

static void put_rel(struct tarn_buf *b, uint32_t rel)
{
	tarn_buf_put_le32(b, 1663);
	tarn_buf_put_le32(b, 5);
	tarn_buf_put_le32(b, rel);
}

static void finish(struct tarn_buf *b)
{
	put_le32(b->data, (uint32_t)b->len);
}

static void make_plain(struct tarn_buf *b)
{
	begin(b, RM_HEAP, 0x20);
	tarn_buf_put_u8(b, 0); /* block 0: will init, data */
	tarn_buf_put_u8(b, 0x60);
	tarn_buf_put_le16(b, 5);
	put_rel(b, 16384);
	tarn_buf_put_le32(b, 9);
	tarn_buf_put_u8(b, 253); /* origin */
	tarn_buf_put_le16(b, 3);
	tarn_buf_put_u8(b, 2); /* block 2: same relation, map fork, no data */
	tarn_buf_put_u8(b, 0x82);
	tarn_buf_put_le16(b, 0);
	tarn_buf_put_le32(b, 1);
	tarn_buf_put_u8(b, 252); /* toplevel xid */
	tarn_buf_put_le32(b, 70);
	tarn_buf_put_u8(b, 255);
	tarn_buf_put_u8(b, 4);
	tarn_buf_put_str(b, "hello");
	tarn_buf_put_str(b, "main");
	finish(b);
}

static void plain(void **state)
{
	struct tarn_buf b = TARN_BUF_INIT;
	static struct wal_record r;
	(void)state;
	make_plain(&b);
	assert_int_equal(wal_record_decode(b.data, b.len, &r, &err), 0);
	assert_int_equal(r.xid, 77);
	assert_int_equal(r.prev_lsn, 0x5000028);
	assert_int_equal(r.rmgr, RM_HEAP);
	assert_int_equal(r.info, 0x20);
	assert_int_equal(r.max_block, 2);
	assert_true(r.blocks[0].used && !r.blocks[1].used && r.blocks[2].used);
	assert_true(r.blocks[0].will_init && !r.blocks[2].will_init);
	assert_int_equal(r.blocks[0].block, 9);
	assert_memory_equal(r.blocks[0].data, "hello", 5);
	assert_int_equal(r.blocks[2].spc, 1663);
	assert_int_equal(r.blocks[2].rel, 16384);
	assert_int_equal(r.blocks[2].fork, 2);
	assert_int_equal(r.blocks[2].block, 1);
	assert_int_equal(r.main_len, 4);
	assert_memory_equal(r.main, "main", 4);
	tarn_buf_release(&b);
}

/* A page with a hole in [100, 8000). */
static void make_page(uint8_t page[8192])
{
	memset(page, 0, 8192);
	for (int i = 8; i < 100; i++)
		page[i] = (uint8_t)i;
	for (int i = 8000; i < 8192; i++)
		page[i] = (uint8_t)(i / 16);
}

/* pglz without any match: literals only. */
static size_t pglz_literals(const uint8_t *src, size_t len, uint8_t *dst)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		if (i % 8 == 0)
			dst[n++] = 0;
		dst[n++] = src[i];
	}
	return n;
}

static void make_image(struct tarn_buf *b, uint8_t compression, bool hole)
{
	uint8_t page[8192], cut[8192], packed[16384];
	make_page(page);
	size_t len = hole ? 100 + 192 : 8192, packed_len = len;
	memcpy(cut, page, hole ? 100 : 8192);
	if (hole)
		memcpy(cut + 100, page + 8000, 192);
	if (compression == WAL_PGLZ)
		packed_len = pglz_literals(cut, len, packed);
	else if (compression == WAL_LZ4)
		packed_len = (size_t)LZ4_compress_default((char *)cut, (char *)packed, (int)len,
							  (int)sizeof packed);
	else if (compression == WAL_ZSTD)
		packed_len = ZSTD_compress(packed, sizeof packed, cut, len, 1);
	else
		memcpy(packed, cut, len);
	begin(b, RM_XLOG, 0xB0);
	tarn_buf_put_u8(b, 0);
	tarn_buf_put_u8(b, 0x10);
	tarn_buf_put_le16(b, 0);
	tarn_buf_put_le16(b, (uint16_t)packed_len);
	tarn_buf_put_le16(b, hole ? 100 : 0);
	tarn_buf_put_u8(b, (uint8_t)(compression | (hole ? 1 : 0) | 2));
	if (compression != WAL_PLAIN && hole)
		tarn_buf_put_le16(b, 7900);
	put_rel(b, 16385);
	tarn_buf_put_le32(b, 3);
	tarn_buf_put(b, packed, packed_len);
	finish(b);
}

static void image(uint8_t compression, bool hole)
{
	struct tarn_buf b = TARN_BUF_INIT;
	static struct wal_record r;
	uint8_t page[8192], out[8192];
	make_page(page);
	make_image(&b, compression, hole);
	assert_int_equal(wal_record_decode(b.data, b.len, &r, &err), 0);
	assert_true(r.blocks[0].has_image && r.blocks[0].apply_image);
	assert_int_equal(wal_block_image(&r.blocks[0], 0x123456789, out, &err), 0);
	assert_int_equal(get_le32(out), 0x1);
	assert_int_equal(get_le32(out + 4), 0x23456789);
	assert_memory_equal(out + 8, page + 8, 8184);
	tarn_buf_release(&b);
}

static void images(void **state)
{
	(void)state;
	image(WAL_PLAIN, true);
	image(WAL_PLAIN, false);
	image(WAL_PGLZ, true);
	image(WAL_LZ4, true);
	image(WAL_LZ4, false);
	image(WAL_ZSTD, true);
	image(WAL_ZSTD, false);
}

static void image_of_a_new_page_has_no_lsn(void **state)
{
	static const uint8_t zeros[8192];
	struct wal_block b = {.has_image = true, .image = zeros, .image_len = 8192};
	uint8_t out[8192];
	(void)state;
	assert_int_equal(wal_block_image(&b, 0x123456789, out, &err), 0);
	assert_memory_equal(out, zeros, sizeof out);
}

static void expect_corrupt(struct tarn_buf *b)
{
	static struct wal_record r;
	assert_int_equal(wal_record_decode(b->data, b->len, &r, &err), TARN_E_CORRUPT);
}

static void damaged(void **state)
{
	struct tarn_buf b = TARN_BUF_INIT;
	(void)state;
	make_plain(&b);
	b.data[25] = 0x64; /* fork 4 */
	expect_corrupt(&b);
	make_plain(&b);
	b.data[24] = 33; /* block id out of range */
	expect_corrupt(&b);
	make_plain(&b);
	b.data[24] = 2; /* the same id twice */
	expect_corrupt(&b);
	make_plain(&b);
	b.data[25] = 0xE0; /* the same relation as none */
	expect_corrupt(&b);
	make_plain(&b);
	memset(b.data + 40, 0xFF, 4); /* no block number */
	expect_corrupt(&b);
	make_plain(&b);
	tarn_buf_put_u8(&b, 0); /* more bytes than parts */
	finish(&b);
	expect_corrupt(&b);
	make_image(&b, WAL_PLAIN, true);
	put_le16(b.data + 30, 0); /* a hole that begins nowhere */
	expect_corrupt(&b);
	make_image(&b, WAL_LZ4, true);
	put_le16(b.data + 33, 8192 - 50); /* a hole beyond the page */
	expect_corrupt(&b);
	tarn_buf_release(&b);
}

/* ---- damaged at random ---- */

static uint64_t random_state = 88172645463325252ULL;

static uint32_t random_below(size_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state % n);
}

/* Whatever decodes must lie inside the record, and images must expand or be refused. */
static bool decode_and_touch(const uint8_t *bytes, size_t len)
{
	static struct wal_record r;
	uint8_t page[8192];
	const uint8_t *end = bytes + len;
	if (wal_record_decode(bytes, len, &r, &err) != 0)
		return false;
	assert_true(r.main_len == 0 || (r.main >= bytes && r.main + r.main_len <= end));
	for (int i = 0; i <= r.max_block; i++) {
		const struct wal_block *b = &r.blocks[i];
		if (!b->used)
			continue;
		assert_true(b->fork <= 3);
		assert_true(b->data_len == 0 || (b->data >= bytes && b->data + b->data_len <= end));
		if (b->has_image) {
			assert_true(b->image >= bytes && b->image + b->image_len <= end);
			(void)wal_block_image(b, 1, page, &err);
		}
	}
	return true;
}

static void mutate(const uint8_t *bytes, size_t len, int rounds)
{
	for (int i = 0; i < rounds; i++) {
		/* its own allocation, so that a sanitizer sees reads past its end */
		size_t cut = i % 4 == 3 ? 24 + random_below(len - 23) : len;
		uint8_t *copy = tarn_memdup(bytes, len);
		copy = tarn_realloc(copy, TARN_MIN(cut, len));
		cut = TARN_MIN(cut, len);
		for (uint32_t n = 1 + random_below(3); n > 0; n--)
			copy[random_below(TARN_MIN(cut, 96))] = (uint8_t)random_below(256);
		put_le32(copy, (uint32_t)cut);
		decode_and_touch(copy, cut);
		free(copy);
	}
}

static void mutations(void **state)
{
	struct tarn_buf b = TARN_BUF_INIT;
	static const uint8_t kinds[] = {WAL_PLAIN, WAL_PGLZ, WAL_LZ4, WAL_ZSTD};
	(void)state;
	make_plain(&b);
	mutate(b.data, b.len, 20000);
	for (size_t i = 0; i < sizeof kinds; i++) {
		make_image(&b, kinds[i], true);
		mutate(b.data, b.len, 5000);
	}
	tarn_buf_release(&b);
}

/* ---- a real log ---- */

/* The server's programs refuse to run as root. */
static bool run_initdb(const char *dir)
{
	bool root = geteuid() == 0;
	char *command =
		tarn_asprintf("%s%s%s %s -D %s/data -A trust -N --no-locale >/dev/null 2>&1",
			      root ? "chown postgres " : "", root ? dir : "",
			      root ? " && runuser -u postgres --" : "", initdb_path, dir);
	int rc = system(command);
	free(command);
	return rc == 0;
}

static int remember_segment(void *arg, const char *name, struct tarn_error *e)
{
	(void)e;
	if (strlen(name) == 24)
		tarn_strlcpy(arg, name, 25);
	return 0;
}

/* initdb leaves one segment, from whose first record on all must decode. */
static void real_log(void **state)
{
	char dir[] = "/tmp/tarn-wal-record-XXXXXX", name[25] = "";
	struct tarn_buf wal = TARN_BUF_INIT;
	struct wal_framer f;
	struct wal_record_bytes rec;
	size_t used, at = WAL_LONG_PAGE_HEADER_BYTES, count = 0, blocks = 0;
	bool complete;
	(void)state;
	assert_non_null(mkdtemp(dir));
	if (!initdb_path || !run_initdb(dir)) {
		file_remove_tree(dir, NULL);
		skip();
	}
	char *wal_dir = tarn_asprintf("%s/data/pg_wal", dir);
	assert_int_equal(file_list_dir(wal_dir, remember_segment, name, &err), 0);
	char *path = tarn_asprintf("%s/%s", wal_dir, name);
	assert_int_equal(file_read_all(path, WAL_SEGMENT_BYTES, &wal, &err), 0);
	tarn_lsn start = get_le64(wal.data + 8);
	wal_framer_init(&f, start + at, 0, 0);
	while (at < wal.len && wal_framer_feed(&f, wal.data + at, wal.len - at, &used, &complete,
					       &rec, &err) == 0) {
		at += used;
		if (!complete)
			continue;
		static struct wal_record r;
		assert_int_equal(wal_record_decode(rec.bytes, rec.len, &r, &err), 0);
		assert_true(decode_and_touch(rec.bytes, rec.len));
		blocks += (size_t)(r.max_block + 1);
		if (count++ % 16 == 0)
			mutate(rec.bytes, rec.len, 20);
	}
	printf("%zu records with %zu block references\n", count, blocks);
	assert_true(count > 1000 && blocks > 1000);
	wal_framer_release(&f);
	tarn_buf_release(&wal);
	free(path);
	free(wal_dir);
	file_remove_tree(dir, NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(images),
		cmocka_unit_test(image_of_a_new_page_has_no_lsn),
		cmocka_unit_test(damaged),
		cmocka_unit_test(mutations),
		cmocka_unit_test(real_log),
	};
	initdb_path = argc > 1 ? argv[1] : NULL;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
