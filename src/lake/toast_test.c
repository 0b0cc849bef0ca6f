/* Tests of toast.h: the large values of a real Postgres, read from its files. */
#include "base/system.h"
#include <setjmp.h>
#include <cmocka.h>
#include "lake/source_datadir.h"
#include "lake/test_cluster.h"
#include "lake/toast.h"

#define MAX_COLUMNS 8

static const char *bin_dir;
static struct test_cluster cluster;
static struct lake_source files, source; /* source: files, with the tricks below */
static struct lake_catalog *catalog;
static const struct lake_database *db;
static struct tarn_error err;
static const char *const tables[] = {"plain", "mixed", "many"};
static char *wanted[ARRAY_LEN(tables)];

/* ---- a source that damages what is in TOAST ---- */

static struct lake_rel damaged_rel;
static uint32_t damages, truncated_to = UINT32_MAX;
static bool no_lines; /* the page's line pointers are not there, by its header */
static unsigned page_reads;
/* Value ids: of an open transaction; of 3993 bytes; of a row of `many`. */
static uint32_t open_value, short_value, many_value;
#define MANY_BYTES 2130u

static bool is_damaged(const struct lake_rel *rel)
{
	return memcmp(rel, &damaged_rel, sizeof *rel) == 0;
}

static int trick_page(void *arg, const struct lake_rel *rel, uint8_t fork, uint32_t block,
		      tarn_lsn lsn, uint8_t out[8192], bool *absent, struct tarn_error *e)
{
	page_reads++;
	TRY(files.get_page(arg, rel, fork, block, lsn, out, absent, e));
	if (!is_damaged(rel))
		return 0;
	*absent = *absent || block >= truncated_to;
	if (no_lines)
		put_le16(out + 12, PG_PAGE_HEADER_BYTES);
	/* Half of the damage where the structure is. */
	for (uint32_t i = 0; i < damages; i++)
		out[test_random() % (i % 2 == 0 ? PG_PAGE_BYTES : 64)] ^=
			(uint8_t)(1 << test_random() % 8);
	return 0;
}

/* ---- the cluster ---- */

static const char make_plain[] =
	"CREATE TABLE plain (id int, e text, p text, l text, m text);\n"
	"ALTER TABLE plain ALTER e SET STORAGE external, ALTER m SET STORAGE main,\n"
	"  ALTER p SET COMPRESSION pglz, ALTER l SET COMPRESSION lz4;\n"
	/* Compresses to about half, so that large ones stay large. */
	"CREATE FUNCTION words(n int, seed int) RETURNS text LANGUAGE sql AS $$ SELECT "
	"string_agg(\n"
	"  md5((g * 31 + seed)::text) || ' quick brown foxes jump over lazy dogs ', '') FROM\n"
	"  generate_series(1, n) g $$;\n"
	"INSERT INTO plain VALUES (1, 'short', 'short', 'short', 'short'), (2, '', NULL, '', "
	"NULL),\n"
	" (3, words(100, 1), words(100, 2), words(100, 3), words(20, 4)),\n"
	" (4, words(3000, 5), words(3000, 6), words(3000, 7), repeat('x', 100000)),\n"
	" (5, repeat('e', 200), repeat('abc', 5000), repeat('abc', 5000), repeat('m', 3000)),\n"
	" (6, repeat('f', 1996), NULL, NULL, NULL), (7, repeat('f', 1996 * 2), NULL, NULL, NULL),\n"
	" (8, repeat('f', 1996 * 2 + 1), NULL, NULL, NULL), (9, repeat('1', 60000), repeat('2', "
	"900000),\n"
	" repeat('3', 900000), NULL);\n"
	"INSERT INTO plain VALUES (10, repeat('big', 1000000), words(20000, 8), words(20000, 9), "
	"'b');\n";

static const char make_mixed[] =
	"CREATE TABLE mixed (id int, a text, n int);\n"
	"ALTER TABLE mixed ALTER a SET STORAGE external;\n"
	"INSERT INTO mixed SELECT g, words(40 + g, g), 0 FROM generate_series(1, 200) g;\n"
	"UPDATE mixed SET n = n + 1 WHERE id % 3 = 0;\n"
	"UPDATE mixed SET a = words(50, -id) WHERE id % 5 = 0;\n"
	"DELETE FROM mixed WHERE id % 7 = 0; VACUUM mixed;\n"
	"INSERT INTO mixed SELECT g, words(60, g), 0 FROM generate_series(201, 260) g;\n"
	"BEGIN; INSERT INTO mixed SELECT g, words(60, g), 0 FROM generate_series(301, 320) g; "
	"ROLLBACK;\n"
	"BEGIN; UPDATE mixed SET a = a || 'x' WHERE id < 50; SAVEPOINT s; DELETE FROM mixed; "
	"ROLLBACK TO s;\n"
	"UPDATE mixed SET a = words(45, id) WHERE id > 200; COMMIT;\n";

static const char make_many[] =
	"CREATE TABLE many (id int, a text); ALTER TABLE many ALTER a SET STORAGE external;\n"
	"INSERT INTO many SELECT g, words(30, g) FROM generate_series(1, 3000) g;\n"
	"REINDEX TABLE many; DELETE FROM many WHERE id BETWEEN 500 AND 1500; VACUUM many;\n"
	"INSERT INTO many SELECT g, words(30, g) FROM generate_series(3001, 3500) g;\n";

static uint32_t query_value(const char *before, const char *table, const char *what,
			    const char *after)
{
	char *sql = tarn_asprintf("SELECT reltoastrelid::regclass FROM pg_class WHERE relname = "
				  "'%s'",
				  table);
	char *toast = test_cluster_query(&cluster, "postgres", sql);
	free(sql);
	sql = tarn_asprintf("%s SELECT %s FROM %s; %s", before, what, toast, after);
	free(toast);
	char *text = test_cluster_query(&cluster, "postgres", sql);
	uint32_t value = (uint32_t)strtoul(text, NULL, 10);
	assert_int_not_equal(value, 0);
	free(text);
	free(sql);
	return value;
}

static int setup(void **state)
{
	(void)state;
	if (!test_cluster_start(&cluster, bin_dir))
		return 0;
	test_cluster_sql(&cluster, "postgres", make_plain);
	test_cluster_sql(&cluster, "postgres", make_mixed);
	test_cluster_sql(&cluster, "postgres", make_many);
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		char *sql = tarn_asprintf("SELECT * FROM %s ORDER BY ctid", tables[i]);
		wanted[i] = test_cluster_query(&cluster, "postgres", sql);
		free(sql);
	}
	many_value = query_value("", "many", "min(chunk_id)", "");
	short_value = query_value("", "plain",
				  "(array_agg(chunk_id) FILTER (WHERE chunk_seq = 2 AND "
				  "length(chunk_data) = 1))[1]",
				  "");
	open_value = query_value("BEGIN; DELETE FROM mixed WHERE id < 100; INSERT INTO mixed\n"
				 "SELECT g, words(60, g), 0 FROM generate_series(401, 420) g;\n",
				 "mixed", "max(chunk_id)", "PREPARE TRANSACTION 'open';\n");
	test_cluster_stop(&cluster);
	if (lake_source_datadir_open(cluster.data, &files, &err) != 0)
		return -1;
	source = files;
	source.get_page = trick_page;
	catalog = lake_catalog_new(&source);
	struct lake_database_name *names;
	uint32_t count, oid = 0;
	assert_int_equal(lake_catalog_databases(catalog, 1, &names, &count, &err), 0);
	for (uint32_t i = 0; i < count; i++)
		if (strcmp(names[i].name, "postgres") == 0)
			oid = names[i].oid;
	lake_database_names_free(names, count);
	assert_int_equal(lake_catalog_open(catalog, oid, 1, &db, &err), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (cluster.dir != NULL) {
		lake_database_release(db);
		lake_catalog_free(catalog);
		lake_source_datadir_close(&files);
	}
	test_cluster_release(&cluster);
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		free(wanted[i]);
	return 0;
}

/* ---- reading ---- */

struct tally {
	unsigned external, compressed_external, compressed[2], failed;
};

static void count_form(struct tally *tally, struct pg_datum d)
{
	struct varlena v;
	assert_int_equal(varlena_parse(d, &v, &err), 0);
	tally->external += v.form == VARLENA_EXTERNAL;
	tally->compressed_external += v.form == VARLENA_EXTERNAL && v.ext_compressed;
	if (v.form == VARLENA_COMPRESSED || v.ext_compressed)
		tally->compressed[v.method]++;
}

/* A row as psql prints it. */
static void print_row(struct lake_reader *r, const struct heap_tuple *t, struct tarn_buf *b,
		      struct tally *tally)
{
	struct pg_datum row[MAX_COLUMNS];
	assert_true(r->table->ncolumns <= MAX_COLUMNS);
	assert_int_equal(tuple_deform(t, r->table->attrs, r->table->ncolumns, row, &err), 0);
	for (uint16_t i = 0; i < r->table->ncolumns; i++) {
		const uint8_t *bytes;
		uint32_t len;
		if (i > 0)
			tarn_buf_put_u8(b, '|');
		if (row[i].bytes == NULL)
			continue;
		if (r->table->attrs[i].len == 4) {
			tarn_buf_printf(b, "%d", (int)get_le32(row[i].bytes));
			continue;
		}
		count_form(tally, row[i]);
		int rc = lake_detoast(r, row[i], &bytes, &len, &err);
		if (rc == 0)
			tarn_buf_put(b, bytes, len);
		else
			assert_int_equal(rc, TARN_E_CORRUPT);
		tally->failed += rc != 0;
	}
	tarn_buf_put_u8(b, '\n');
}

static struct tally print_rows(const char *name, struct tarn_buf *b)
{
	struct tarn_arena arena;
	tarn_arena_init(&arena);
	struct lake_reader r = {.snapshot = lake_snapshot_new(&source, 1),
				.table = lake_database_table_named(db, "public", name),
				.arena = &arena};
	struct tally tally = {0};
	uint32_t nblocks;
	bool absent;
	assert_non_null(r.table);
	assert_int_equal(files.nblocks(files.arg, &r.table->rel, 0, 1, &nblocks, &absent, &err), 0);
	for (uint32_t block = 0; block < nblocks; block++) {
		uint8_t bytes[PG_PAGE_BYTES];
		struct pg_page page;
		assert_int_equal(
			files.get_page(files.arg, &r.table->rel, 0, block, 1, bytes, &absent, &err),
			0);
		assert_int_equal(heap_page_open(&page, bytes, &err), 0);
		for (uint16_t item = 0; heap_page_next(&page, &item);) {
			struct heap_tuple t;
			struct lake_verdict verdict;
			assert_int_equal(heap_page_tuple(&page, item, &t, &err), 0);
			assert_int_equal(lake_tuple_visible(r.snapshot, &t, &verdict, &err), 0);
			if (verdict.visible)
				print_row(&r, &t, b, &tally);
			tarn_arena_clear(&arena);
		}
	}
	lake_reader_release(&r);
	lake_reader_release(&r); /* does no harm */
	lake_snapshot_free(r.snapshot);
	tarn_arena_release(&arena);
	return tally;
}

static void values(void **state)
{
	(void)state;
	if (cluster.dir == NULL)
		skip();
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		struct tarn_buf b = TARN_BUF_INIT;
		struct tally tally = print_rows(tables[i], &b);
		print_message("%s: %u external, %u of them compressed, pglz %u, lz4 %u\n",
			      tables[i], tally.external, tally.compressed_external,
			      tally.compressed[VARLENA_PGLZ], tally.compressed[VARLENA_LZ4]);
		if (tally.failed > 0)
			fail_msg("%s", err.message);
		test_expect_lines(&b, wanted[i]);
		assert_true(tally.external > 5);
		if (i == 0)
			assert_true(tally.compressed_external > 2 &&
				    tally.compressed[VARLENA_PGLZ] > 2 &&
				    tally.compressed[VARLENA_LZ4] > 2);
	}
}

/* Neighbouring rows find the pages of their neighbours' values. */
static void pages_are_kept(void **state)
{
	(void)state;
	if (cluster.dir == NULL)
		skip();
	struct tarn_buf b = TARN_BUF_INIT;
	page_reads = 0;
	struct tally tally = print_rows("many", &b);
	tarn_buf_release(&b);
	assert_true(tally.external > 2000);
	/* One or two chunks each: four to a page. */
	assert_true(page_reads < tally.external);
}

static void damaged_pages(void **state)
{
	(void)state;
	if (cluster.dir == NULL)
		skip();
	const struct lake_table *t = lake_database_table_named(db, "public", "plain");
	const struct lake_rel rels[] = {t->toast, t->toast_index};
	unsigned failed[2] = {0};
	for (unsigned i = 0; i < 60; i++) {
		struct tarn_buf b = TARN_BUF_INIT;
		damaged_rel = rels[i % 2];
		damages = 1 + i % 5;
		failed[i % 2] += print_rows("plain", &b).failed;
		tarn_buf_release(&b);
	}
	damages = 0;
	assert_true(failed[0] > 0 && failed[1] > 0);
	for (unsigned i = 0; i < 2; i++) {
		struct tarn_buf b = TARN_BUF_INIT;
		damaged_rel = rels[i];
		truncated_to = 1;
		assert_true(print_rows("plain", &b).failed > 0);
		tarn_buf_release(&b);
	}
	truncated_to = UINT32_MAX;
	struct tarn_buf b = TARN_BUF_INIT;
	damaged_rel = t->toast;
	no_lines = true;
	struct tally tally = print_rows("plain", &b);
	assert_int_equal(tally.failed, tally.external);
	assert_non_null(strstr(err.message, " 0 bytes instead of"));
	tarn_buf_release(&b);
	no_lines = false;
	memset(&damaged_rel, 0, sizeof damaged_rel);
}

/* ---- by hand ---- */

static void put_pointer(uint8_t out[18], uint32_t raw_size, uint32_t info, uint32_t value,
			uint32_t relid)
{
	out[0] = 1;
	out[1] = 18;
	put_le32(out + 2, raw_size);
	put_le32(out + 6, info);
	put_le32(out + 10, value);
	put_le32(out + 14, relid);
}

static void bad_pointers(void **state)
{
	(void)state;
	uint8_t pointer[18];
	const uint8_t *bytes;
	uint32_t len;
	struct tarn_arena arena;
	tarn_arena_init(&arena);
	struct lake_reader r = {.arena = &arena};
	struct pg_datum d = {pointer, sizeof pointer};
	put_pointer(pointer, 3004, 3000, 1, 2);
	assert_int_equal(lake_detoast(&r, d, &bytes, &len, &err), TARN_E_CORRUPT);
	if (cluster.dir != NULL) {
		r.snapshot = lake_snapshot_new(&source, 1);
		r.table = lake_database_table_named(db, "public", "plain");
		assert_int_equal(lake_detoast(&r, d, &bytes, &len, &err), TARN_E_CORRUPT);
		put_pointer(pointer, 3004, 3000, 1, r.table->toast_relid); /* no such value */
		assert_int_equal(lake_detoast(&r, d, &bytes, &len, &err), TARN_E_CORRUPT);
		assert_non_null(strstr(err.message, "0 bytes instead of 3000"));
		/* Only of its whole length is a value right. */
		put_pointer(pointer, 3997, 3993, short_value, r.table->toast_relid);
		assert_int_equal(lake_detoast(&r, d, &bytes, &len, &err), 0);
		for (uint32_t size = 1; size < 6000; size += size < 3980 || size > 4000 ? 111 : 1) {
			if (size == 3993)
				continue;
			put_pointer(pointer, size + 4, size, short_value, r.table->toast_relid);
			assert_int_equal(lake_detoast(&r, d, &bytes, &len, &err), TARN_E_CORRUPT);
		}
		tarn_arena_clear(&arena);
		put_pointer(pointer, (1u << 30), (1u << 30) - 4, 1, r.table->toast_relid);
		assert_int_equal(lake_detoast(&r, d, &bytes, &len, &err), TARN_E_CORRUPT);
		assert_non_null(strstr(err.message, "blocks hold"));
		assert_true(arena.used_bytes < 100000); /* a lie costs no memory */
		/* Another table: the reader turns to its TOAST. */
		r.table = lake_database_table_named(db, "public", "many");
		put_pointer(pointer, MANY_BYTES + 4, MANY_BYTES, many_value, r.table->toast_relid);
		assert_int_equal(lake_detoast(&r, d, &bytes, &len, &err), 0);
		assert_int_equal(len, MANY_BYTES);
		r.table = lake_database_table_named(db, "public", "mixed");
		put_pointer(pointer, 3004, 3000, open_value, r.table->toast_relid);
		assert_int_equal(lake_detoast(&r, d, &bytes, &len, &err), TARN_E_CORRUPT);
		assert_non_null(strstr(err.message, "0 bytes instead of 3000"));
		lake_reader_release(&r);
		lake_snapshot_free(r.snapshot);
	}
	tarn_arena_release(&arena);
}

static void inline_values(void **state)
{
	(void)state;
	uint8_t datum[64] = {7 << 1 | 1, 'a', 'b', 'c', 'd', 'e', 'f'};
	const uint8_t *bytes;
	uint32_t len;
	struct tarn_arena arena;
	tarn_arena_init(&arena);
	struct lake_reader r = {.arena = &arena};
	struct pg_datum d = {datum, 7};
	assert_int_equal(lake_detoast(&r, d, &bytes, &len, &err), 0);
	assert_ptr_equal(bytes, datum + 1);
	assert_int_equal(len, 6);
	d.len = 8;
	assert_int_equal(lake_detoast(&r, d, &bytes, &len, &err), TARN_E_CORRUPT);
	/* pglz: a literal, then 17 bytes back by one */
	static const uint8_t packed[] = {2, 'z', 0x0E, 1};
	d.len = 8 + sizeof packed;
	put_le32(datum, d.len << 2 | 2);
	put_le32(datum + 4, 18);
	memcpy(datum + 8, packed, sizeof packed);
	assert_int_equal(lake_detoast(&r, d, &bytes, &len, &err), 0);
	assert_int_equal(len, 18);
	assert_memory_equal(bytes, "zzzzzzzzzzzzzzzzzz", 18);
	put_le32(datum + 4, 19);
	assert_int_equal(lake_detoast(&r, d, &bytes, &len, &err), TARN_E_CORRUPT);
	put_le32(datum + 4, 0x3FFFFFFF);
	assert_int_equal(lake_detoast(&r, d, &bytes, &len, &err), TARN_E_CORRUPT);
	put_le32(datum + 4, 18 | 1u << 31); /* no such method */
	assert_int_equal(lake_detoast(&r, d, &bytes, &len, &err), TARN_E_CORRUPT);
	assert_true(arena.used_bytes < 1000);
	tarn_arena_release(&arena);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inline_values), cmocka_unit_test(bad_pointers),
		cmocka_unit_test(values),	 cmocka_unit_test(pages_are_kept),
		cmocka_unit_test(damaged_pages),
	};
	bin_dir = argc > 1 ? argv[1] : NULL;
	return cmocka_run_group_tests(tests, setup, teardown);
}
