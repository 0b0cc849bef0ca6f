/* Tests of value.h: values of every type in a real Postgres's files, printed by us and by the server. */
#include "base/system.h"
#include <setjmp.h>
#include <cmocka.h>
#include "lake/source_datadir.h"
#include "lake/test_cluster.h"
#include "lake/value.h"

static const char *bin_dir;
static struct test_cluster cluster;
static struct tarn_error err;

static const char make[] =
	"ALTER DATABASE postgres SET timezone = 'UTC'; ALTER DATABASE postgres SET lc_monetary = "
	"'C';\n"
	"\\c postgres\n"
	"CREATE TYPE mood AS ENUM ('sad', 'o k', 'happy');\n"
	"CREATE TYPE pair AS (a int, b text);\n"
	"CREATE TYPE pairs AS (p pair, q text[]);\n"
	"CREATE DOMAIN price AS numeric(12,2);\n"
	"CREATE TABLE fixed (b bool, i2 int2, i4 int4, i8 int8, o oid, f4 float4, f8 float8, c "
	"\"char\", n name,\n"
	"  d date, t time, tz timetz, ts timestamp, tstz timestamptz, iv interval, u uuid, l "
	"pg_lsn, m money,\n"
	"  mac macaddr, mac8 macaddr8, x xid, m2 mood, ti tid);\n"
	"INSERT INTO fixed SELECT g % 2 = 0, (random() * 65535 - 32768)::int2, (random() * "
	"4294967295 - 2147483648)::int4,\n"
	"  (random() * 1e18 - 5e17)::int8, (random() * 4e9)::int8::oid, ((random() - 0.5) * 10 ^ "
	"(g % 70 - 35))::float4,\n"
	"  (random() - 0.5) * 10 ^ (g % 600 - 300), chr(g % 90 + 33)::\"char\", 'name ' || g,\n"
	"  '4000-01-01 BC'::date + (random() * 3000000)::int, '00:00'::time + random() * "
	"'24h'::interval,\n"
	"  (('00:00'::time + random() * '24h'::interval) || to_char(g % 15, 'S00') || "
	"':30')::timetz,\n"
	"  '3000-01-01 BC'::timestamp + random() * '9000 years'::interval, "
	"'2000-01-01'::timestamptz + "
	"(g - 1000) * '1 day 3 h 0.001 s'::interval,\n"
	"  make_interval(g % 7 - 3, g % 11 - 5, 0, g % 5 - 2, g % 50 - 25, g % 3 - 1, (random() - "
	"0.5) * "
	"100), gen_random_uuid(),\n"
	"  '0/0'::pg_lsn + g * 123456789::numeric, ((random() - 0.5) * 10 ^ (g % "
	"15))::numeric::money, "
	"'08:00:2b:01:02:03',\n"
	"  '08:00:2b:ff:fe:01:02:03', g::text::xid, (ARRAY['sad', 'o k', 'happy'])[g % 3 + "
	"1]::mood, "
	"('(' || g || ',7)')::tid\n"
	"  FROM generate_series(1, 2000) g;\n"
	"INSERT INTO fixed (f4, f8, d, ts, tstz, t, iv) VALUES ('NaN', 'NaN', 'infinity', "
	"'-infinity', "
	"'infinity', '24:00', '0'),\n"
	"  ('-0', '-0', '-infinity', 'infinity', '-infinity', '00:00:00.1', '-00:00:01'), ('inf', "
	"'-inf', "
	"'0001-01-01', '9999-12-31 23:59:59.999999', '0001-12-31 BC', NULL, '-1 day +00:00:01'),\n"
	"  (1e15, 1e15, '0001-12-31 BC', '10000-01-01', '4713-01-01 BC', NULL, '178000000 years'), "
	"(123456, 123456789012345678, NULL, NULL, NULL, NULL, NULL),\n"
	"  (1234567, 1e-5, NULL, NULL, NULL, NULL, NULL), (0.0001, 0.0001, NULL, NULL, NULL, NULL, "
	"NULL), (0.00001, 9007199254740993, NULL, NULL, NULL, NULL, NULL),\n"
	"  (3.4e38, 1.7976931348623157e308, NULL, NULL, NULL, NULL, NULL), (1e-45, 5e-324, NULL, "
	"NULL, "
	"NULL, NULL, NULL);\n"
	"INSERT INTO fixed (f4, f8) SELECT 2.0 ^ (g % 250 - 125), 2.0 ^ (g - 1000) FROM "
	"generate_series(1, 1990) g;\n"
	"CREATE TABLE variable (t text, v varchar(50), bp char(9), by bytea, nu numeric, n2 "
	"numeric(10,3), n38 numeric(38,20), p price,\n"
	"  j json, jb jsonb, ip inet, ci cidr, bi bit(11), vb varbit, po point, bo box, ls lseg, "
	"li line, "
	"cr circle, pa path, pg polygon, x xml);\n"
	"INSERT INTO variable SELECT repeat('é' || g, g % 40), left(md5(g::text), g % 30), 'ab', "
	"decode(md5(g::text), 'hex'),\n"
	"  (random() - 0.5)::numeric * 10::numeric ^ (g % 60 - 30), (random() - 0.5) * 1e6, "
	"(random() - 0.5) "
	"* 1e15, random() * 100,\n"
	"  '{\"a\": [1,  2]}', json_build_object('k' || g, g, 'list', json_build_array(g, 'x\"\\' "
	"|| g, null, "
	"true, 1.50), 'o', json_build_object())::jsonb,\n"
	"  ('10.' || g % 256 || '.3.4/' || g % 33)::inet, ('fe80::' || to_hex(g % 65536) || "
	"'/128')::cidr, "
	"(g % 2048)::bit(11), (g % 100)::bit(7)::varbit,\n"
	"  point(g, random()), box(point(g, 1), point(2, g)), lseg(point(1, g), point(2, 3)), "
	"line(point(0, "
	"g), point(1, 2)), circle(point(g, 1), 2.5),\n"
	"  path(polygon(3 + g % 4, circle(point(1, 1), g))), polygon(3 + g % 4, circle(point(1, "
	"1), g)), "
	"'<a>1</a>'\n"
	"  FROM generate_series(1, 1000) g;\n"
	"INSERT INTO variable (nu, jb, ip, pa, t) VALUES ('NaN', '\"scalar\"', '::1', "
	"'[(1,2),(3,4)]', ''), "
	"('Infinity', '[]', '::ffff:1.2.3.4/100', NULL, repeat('long ', 10000)),\n"
	"  ('-Infinity', '{}', '2001:db8::/32', NULL, NULL), (0, 'null', NULL, NULL, NULL), "
	"(0.000, "
	"'12345678901234567890.1200', NULL, NULL, NULL),\n"
	"  (1e130, '[[1,[2,{\"a\": false}]], \"\\u0001\\t\"]', NULL, NULL, NULL), (-1e-130, "
	"'{\"\": 1, \"b\": "
	"2, \"aa\": 3}', NULL, NULL, NULL),\n"
	"  (123456789.0001, (SELECT jsonb_agg(g) FROM generate_series(1, 500) g), NULL, NULL, "
	"NULL), "
	"(10000, (SELECT jsonb_object_agg('key' || g, g) FROM generate_series(1, 300) g), NULL, "
	"NULL, "
	"NULL);\n"
	"CREATE TABLE nested (ia int4[], ta text[], na numeric(8,2)[], da date[], ma mood[], ba "
	"box[], p pair, "
	"ps pairs, pa pair[], ir int4range, nr numrange,\n"
	"  tr tstzrange, iv int2vector, ov oidvector, pr price[], ja jsonb[]);\n"
	"INSERT INTO nested SELECT ARRAY[g, NULL, -g], ARRAY['a b', 'null', '', 'x\"y\\z', NULL, "
	"'é', '{'], "
	"ARRAY[g / 7.0, 1], ARRAY['2020-01-01'::date + g],\n"
	"  ARRAY['o k']::mood[], ARRAY[box(point(1, 2), point(3, 4)), box(point(5, 6), point(7, "
	"g))], "
	"ROW(g, 'x, \"y')::pair,\n"
	"  ROW(ROW(NULL, ''), ARRAY['a', 'b c'])::pairs, ARRAY[ROW(1, 'z')::pair, NULL], "
	"int4range(g, g + "
	"5), numrange(NULL, g / 3.0, '[]'),\n"
	"  tstzrange('2020-01-01', '2020-01-01'::timestamptz + g * '1 h'::interval), '1 2 3', '4 "
	"5', ARRAY[g / "
	"3.0], ARRAY['{\"a\": 1}'::jsonb]\n"
	"  FROM generate_series(0, 100) g;\n"
	"INSERT INTO nested (ia, ta, da, ir) VALUES ('{}', '{}', '{infinity}', 'empty'), "
	"('[0:1]={1,2}', "
	"'{{a,b},{c,d}}', NULL, '(,)'),\n"
	"  ('{{{1,2},{3,4}},{{5,6},{7,8}}}', (SELECT array_agg(repeat('x', g)) FROM "
	"generate_series(1, 300) "
	"g), NULL, NULL);\n"
	"ALTER TABLE nested ADD late int DEFAULT 7, ADD later text[] DEFAULT '{a,b}';\n";

static uint64_t printed;

static void print_tuple(const struct lake_table *t, uint16_t column, struct lake_target *target,
			struct lake_reader *r, const struct heap_tuple *tuple, struct tarn_buf *out)
{
	struct pg_datum values[64];
	struct lake_value v;
	assert_true(t->ncolumns <= ARRAY_LEN(values));
	assert_int_equal(tuple_deform(tuple, t->attrs, t->ncolumns, values, &err), 0);
	if (!values[column].bytes) {
		tarn_buf_put_str(out, "<NULL>\n");
		return;
	}
	if (lake_value_text(target, r, values[column], out, &err) != 0)
		fail_msg("%s.%s: %s", t->name, t->columns[column].name, err.message);
	tarn_buf_put_u8(out, '\n');
	if (lake_value_convert(target, r, values[column], &v, &err) != 0)
		fail_msg("%s.%s: %s", t->name, t->columns[column].name, err.message);
	assert_int_not_equal(v.state, LAKE_NULL);
	if (v.state == LAKE_OVERFLOW)
		assert_true(target->can_overflow);
	printed++;
}

static void print_column(const struct lake_database *db, const struct lake_table *t,
			 uint16_t column, const struct lake_source *source, struct tarn_buf *out)
{
	struct lake_snapshot *snapshot = lake_snapshot_new(source, 1);
	struct tarn_arena arena;
	struct lake_target target;
	uint32_t nblocks;
	bool absent;
	tarn_arena_init(&arena);
	struct lake_reader r = {.snapshot = snapshot, .table = t, .arena = &arena};
	lake_target_init(&target, db, &t->columns[column]);
	assert_false(target.raw);
	assert_int_equal(source->nblocks(source->arg, &t->rel, 0, 1, &nblocks, &absent, &err), 0);
	for (uint32_t b = 0; b < nblocks; b++) {
		uint8_t bytes[PG_PAGE_BYTES];
		struct pg_page page;
		uint16_t item = 0;
		assert_int_equal(
			source->get_page(source->arg, &t->rel, 0, b, 1, bytes, &absent, &err), 0);
		assert_int_equal(heap_page_open(&page, bytes, &err), 0);
		while (heap_page_next(&page, &item)) {
			struct heap_tuple tuple;
			assert_int_equal(heap_page_tuple(&page, item, &tuple, &err), 0);
			print_tuple(t, column, &target, &r, &tuple, out);
			tarn_arena_clear(&arena);
		}
	}
	lake_target_release(&target);
	lake_reader_release(&r);
	tarn_arena_release(&arena);
	lake_snapshot_free(snapshot);
}

static const char *const tables[] = {"fixed", "variable", "nested"};
#define MAX_COLUMNS 32
static char *wanted[ARRAY_LEN(tables)][MAX_COLUMNS];
static char *names[ARRAY_LEN(tables)];

static void ask_server(void)
{
	for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
		char sql[512], *save = NULL;
		tarn_snprintf(
			sql, sizeof sql,
			"SELECT attname FROM pg_attribute WHERE attrelid = '%s'::regclass AND "
			"attnum > 0 ORDER BY attnum",
			tables[t]);
		names[t] = test_cluster_query(&cluster, "postgres", sql);
		char *list = tarn_strdup(names[t]);
		size_t i = 0;
		for (char *n = strtok_r(list, "\n", &save); n; n = strtok_r(NULL, "\n", &save)) {
			tarn_snprintf(sql, sizeof sql,
				      "SELECT CASE WHEN num_nulls(\"%s\") = 1 THEN '<NULL>' ELSE "
				      "format('%%s', \"%s\") END FROM %s ORDER BY ctid",
				      n, n, tables[t]);
			assert_true(i < MAX_COLUMNS);
			wanted[t][i++] = test_cluster_query(&cluster, "postgres", sql);
		}
		free(list);
	}
}

static void text_is_the_servers(void **state)
{
	struct lake_source source;
	struct lake_database_name *databases;
	uint32_t count, oid = 0;
	const struct lake_database *db;
	(void)state;
	assert_int_equal(lake_source_datadir_open(cluster.data, &source, &err), 0);
	struct lake_catalog *catalog = lake_catalog_new(&source);
	assert_int_equal(lake_catalog_databases(catalog, 1, &databases, &count, &err), 0);
	for (uint32_t i = 0; i < count; i++)
		if (strcmp(databases[i].name, "postgres") == 0)
			oid = databases[i].oid;
	lake_database_names_free(databases, count);
	assert_int_equal(lake_catalog_open(catalog, oid, 1, &db, &err), 0);
	for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
		const struct lake_table *table = lake_database_table_named(db, "public", tables[t]);
		assert_non_null(table);
		for (uint16_t c = 0; c < table->ncolumns; c++) {
			struct tarn_buf got = TARN_BUF_INIT;
			print_column(db, table, c, &source, &got);
			print_message("%s.%s\n", tables[t], table->columns[c].name);
			test_expect_lines(&got, wanted[t][c]);
		}
	}
	assert_true(printed > 50000);
	lake_database_release(db);
	lake_catalog_free(catalog);
	lake_source_datadir_close(&source);
}

static int set_up(void **state)
{
	(void)state;
	if (!test_cluster_start(&cluster, bin_dir))
		exit(77);
	test_cluster_sql(&cluster, "postgres", make);
	ask_server();
	test_cluster_stop(&cluster);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
		for (size_t c = 0; c < MAX_COLUMNS; c++)
			free(wanted[t][c]);
		free(names[t]);
	}
	test_cluster_release(&cluster);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(text_is_the_servers)};
	bin_dir = argc > 1 ? argv[1] : "/usr/lib/postgresql/15/bin";
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
