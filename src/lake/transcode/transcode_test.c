/*
 * Tables of a real server at three moments, each a copy of its stopped data directory, transcoded as
 * if they were one timeline. Writes to DIR what Python then compares (test/lake/check_transcode.py):
 *   store/…                  the objects
 *   WAY.MOMENT.TABLE.json    the table's state; WAY is how it was reached
 *   MOMENT.TABLE.csv         the same rows as COPY gives them
 */
#include "base/system.h"
#include <setjmp.h>
#include <cmocka.h>
#include "io/file.h"
#include "lake/source_datadir.h"
#include "lake/test_cluster.h"
#include "lake/transcode/table.h"

#define MOMENTS 3
#define LSN_STEP 100u

static const char *bin_dir, *dir;
static struct lake_source moments[MOMENTS];
static struct tarn_error err;

/* ---- a timeline of copies: LSN 100 … 199 is the first, and so on ---- */

static struct lake_source *at(tarn_lsn lsn)
{
	assert_true(lsn >= LSN_STEP && lsn < (MOMENTS + 1) * LSN_STEP);
	return &moments[lsn / LSN_STEP - 1];
}

static int get_page(void *arg, const struct lake_rel *rel, uint8_t fork, uint32_t block,
		    tarn_lsn lsn, uint8_t out[8192], bool *absent, struct tarn_error *e)
{
	(void)arg;
	return at(lsn)->get_page(at(lsn)->arg, rel, fork, block, lsn, out, absent, e);
}

static int nblocks(void *arg, const struct lake_rel *rel, uint8_t fork, tarn_lsn lsn, uint32_t *out,
		   bool *absent, struct tarn_error *e)
{
	(void)arg;
	return at(lsn)->nblocks(at(lsn)->arg, rel, fork, lsn, out, absent, e);
}

static int slru_page(void *arg, int slru, uint32_t page, tarn_lsn lsn, uint8_t out[8192],
		     bool *absent, struct tarn_error *e)
{
	(void)arg;
	return at(lsn)->slru_page(at(lsn)->arg, slru, page, lsn, out, absent, e);
}

static int relmap(void *arg, uint32_t spc, uint32_t db, tarn_lsn lsn, uint8_t out[512],
		  bool *absent, struct tarn_error *e)
{
	(void)arg;
	return at(lsn)->relmap(at(lsn)->arg, spc, db, lsn, out, absent, e);
}

/* Hint bits change a page without a record: then its LSN stays, as in a pageserver. */
static int touched(void *arg, const struct lake_rel *rel, uint8_t fork, tarn_lsn after,
		   tarn_lsn upto,
		   int (*visit)(void *visit_arg, uint32_t block, struct tarn_error *e),
		   void *visit_arg, struct tarn_error *e)
{
	uint8_t was[8192], is[8192];
	uint32_t blocks;
	bool absent;
	if (at(after) == at(upto))
		return 0;
	TRY(nblocks(arg, rel, fork, upto, &blocks, &absent, e));
	for (uint32_t i = 0; !absent && i < blocks; i++) {
		bool was_absent, is_absent;
		struct lake_source *a = at(after), *b = at(upto);
		TRY(a->get_page(a->arg, rel, fork, i, after, was, &was_absent, e));
		TRY(b->get_page(b->arg, rel, fork, i, upto, is, &is_absent, e));
		if (was_absent || memcmp(was, is, 8) != 0)
			TRY(visit(visit_arg, i, e));
	}
	return 0;
}

static const struct lake_source source = {.get_page = get_page,
					  .nblocks = nblocks,
					  .slru_page = slru_page,
					  .relmap = relmap,
					  .touched = touched};

/* ---- what happens in the server ---- */

static const char *const first_script =
	"CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');"
	"CREATE TABLE types (id int, b bool, i2 int2, i8 int8, f4 real, f8 float8, n numeric(12,3),"
	" nfree numeric, t text, vc varchar(20), c char(5), bin bytea, d date, ts timestamp,"
	" tz timestamptz, ti time, u uuid, j jsonb, e mood, arr int[], tarr text[], iv interval,"
	" ip inet, big numeric(38,10));"
	"INSERT INTO types SELECT g, g % 2 = 0, g, g::int8 * 1234567890123, g / 8.0, g / 3.0,"
	" g * 1.125, g / 7.0, 'text ' || g, 'v' || g, 'c' || g % 10, decode(to_hex(g + 4096), "
	"'hex'),"
	" date '1999-12-25' + g, timestamp '1969-12-31 23:59:58' + g * interval '1.5 s',"
	" timestamptz '2001-02-03 04:05:06+02' + g * interval '1 h', time '00:00' + g * interval"
	" '1.25 s', md5(g::text)::uuid, jsonb_build_object('k', g), ('{sad,ok,happy}'::mood[])[g % "
	"3 +"
	" 1], array[g, NULL, -g], array['a' || g, 'b'], g * interval '1 day 2 s', '10.0.0.1'::inet "
	"+ g,"
	" g * 1234567890.0123456789 FROM generate_series(1, 300) g;"
	"INSERT INTO types (id) VALUES (1000);"
	"INSERT INTO types (id, n, d, ts, tz, ti, arr, f8, f4) VALUES"
	" (1001, 'NaN', 'infinity', '-infinity', 'infinity', '24:00', '{{1,2},{3,4}}', 'NaN', "
	"'-0'),"
	" (1002, NULL, '0044-03-15 BC', '0044-03-15 12:00 BC', '294000-01-01', '23:59:59.999999',"
	"  '[0:1]={7,8}', '-Infinity', 'Infinity'),"
	" (1003, -0.001, '0001-01-01', '0001-01-01', '9999-12-31 23:59:59.999999+00', '00:00', "
	"'{}', '-0', 1);"
	"CREATE TABLE large (id int PRIMARY KEY, a text, v int);"
	"INSERT INTO large SELECT g, 'row number ' || g, g FROM generate_series(1, 20000) g;"
	"BEGIN; INSERT INTO large SELECT g, 'aborted', g FROM generate_series(50001, 50100) g; "
	"ROLLBACK;"
	"BEGIN; SAVEPOINT s; DELETE FROM large WHERE id = 1; ROLLBACK TO s; DELETE FROM large "
	"WHERE id = 2;"
	" COMMIT;"
	"CREATE TABLE toasted (id int, plain text, packed text, bin bytea);"
	"ALTER TABLE toasted ALTER plain SET STORAGE EXTERNAL;"
	"INSERT INTO toasted SELECT g, (SELECT string_agg(md5((g * i)::text), '') FROM"
	" generate_series(1, 1000) i), repeat('compress me ' || g, 20000), NULL FROM "
	"generate_series(1, 30) g;"
	"CREATE TABLE altered (id int, gone text, kept text, old int DEFAULT 7);"
	"INSERT INTO altered SELECT g, 'gone', 'kept ' || g FROM generate_series(1, 100) g;"
	"ALTER TABLE altered DROP gone, ADD added int DEFAULT 42, ADD words text DEFAULT 'some "
	"words';"
	"INSERT INTO altered SELECT g, 'later ' || g FROM generate_series(101, 200) g;"
	"CREATE TABLE empty (id int, t text);"
	"CREATE TABLE \"Odd \"\"Name\" (\"Select\" int, \"_overflow\" numeric(5,1));"
	"INSERT INTO \"Odd \"\"Name\" VALUES (1, 'NaN'), (2, 3.5), (NULL, NULL);"
	"CREATE TABLE shrunk (id int, t text);"
	"INSERT INTO shrunk SELECT g, repeat('x', 500) FROM generate_series(1, 600) g;"
	"CREATE TABLE waits (id int, t text);"
	"INSERT INTO waits SELECT g, repeat('w', 100) FROM generate_series(1, 5000) g;"
	"BEGIN; INSERT INTO waits VALUES (9001, 'prepared'); DELETE FROM waits WHERE id = 17;"
	" PREPARE TRANSACTION 'yes';"
	"BEGIN; INSERT INTO waits VALUES (9002, 'never'); DELETE FROM waits WHERE id = 18;"
	" PREPARE TRANSACTION 'no';"
	"CREATE TABLE sparse (id int, n numeric(8,2), pad text);"
	"INSERT INTO sparse SELECT g, CASE WHEN g % 500 = 0 THEN 'NaN' ELSE g::numeric END,"
	" repeat('p', 50) FROM generate_series(1, 5000) g;"
	"CREATE TABLE moods (id int, e mood, pad text);"
	"INSERT INTO moods SELECT g, 'ok', repeat('p', 50) FROM generate_series(1, 3000) g;"
	"BEGIN; INSERT INTO waits VALUES (9003, 'late'); DELETE FROM sparse WHERE id = 2600;"
	" PREPARE TRANSACTION 'late';";
static const char *const second_script =
	"COMMIT PREPARED 'yes'; ROLLBACK PREPARED 'no';"
	"UPDATE sparse SET n = 1 WHERE id = 1000; DELETE FROM sparse WHERE id = 4000;"
	"UPDATE large SET a = 'changed', v = v + 1 WHERE id BETWEEN 700 AND 900;"
	"DELETE FROM large WHERE id BETWEEN 10000 AND 10100;"
	"INSERT INTO large SELECT g, 'new', g FROM generate_series(30001, 30100) g;"
	"UPDATE types SET n = 'NaN' WHERE id % 50 = 0; UPDATE types SET n = 5 WHERE id = 1001;"
	"ALTER TABLE altered RENAME kept TO renamed; UPDATE altered SET old = 8 WHERE id = 3;"
	"DELETE FROM shrunk WHERE id > 500; VACUUM shrunk;"
	"INSERT INTO empty VALUES (1, 'no longer');"
	"ALTER TYPE mood RENAME VALUE 'ok' TO 'fine';"
	"DELETE FROM toasted WHERE id = 5; UPDATE toasted SET id = 1000 WHERE id = 6;";
static const char *const third_script =
	"COMMIT PREPARED 'late';"
	"UPDATE large SET a = 'changed again' WHERE id BETWEEN 850 AND 870 OR id = 30050;"
	"DELETE FROM large WHERE id BETWEEN 5000 AND 5005;"
	"ALTER TABLE altered DROP old, ADD fresh text; UPDATE altered SET fresh = 'f' WHERE id < 4;"
	"ALTER TABLE toasted ALTER id TYPE bigint;"
	"TRUNCATE empty; INSERT INTO empty VALUES (2, 'again');"
	"UPDATE moods SET pad = repeat('q', 50) WHERE id < 700;"
	"VACUUM FREEZE types;";
static const char *const scripts[MOMENTS] = {first_script, second_script, third_script};

static const char *const tables[] = {"types",	   "large",  "toasted", "altered", "empty",
				     "Odd \"Name", "shrunk", "waits",	"sparse",  "moods"};

static void write_text(const char *name, const char *text)
{
	char *path = tarn_asprintf("%s/%s", dir, name);
	assert_int_equal(file_write_atomic(path, text, strlen(text), &err), 0);
	free(path);
}

static char *plain_name(const char *table)
{
	char *name = tarn_strdup(table);
	for (char *p = name; *p; p++)
		if (*p == '"' || *p == ' ')
			*p = '_';
	return name;
}

static void copy_tables(struct test_cluster *c, int moment)
{
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		char *sql = tarn_asprintf("SET timezone = 'UTC'; COPY %s TO STDOUT "
					  "(FORMAT csv, HEADER, NULL '\\N');",
					  i == 5 ? "\"Odd \"\"Name\"" : tables[i]);
		char *rows = test_cluster_query(c, "postgres", sql);
		char *plain = plain_name(tables[i]);
		char *name = tarn_asprintf("%d.%s.csv", moment, plain);
		write_text(name, rows);
		free(name);
		free(plain);
		free(rows);
		free(sql);
	}
}

static void make_moments(void)
{
	struct test_cluster c;
	if (!test_cluster_start(&c, bin_dir))
		skip();
	for (int i = 0; i < MOMENTS; i++) {
		test_cluster_sql(&c, "postgres", scripts[i]);
		test_cluster_stop(&c);
		char *copy = tarn_asprintf("cp -a %s %s/data-%d", c.data, dir, i);
		assert_int_equal(system(copy), 0);
		free(copy);
		char *path = tarn_asprintf("%s/data-%d", dir, i);
		assert_int_equal(lake_source_datadir_open(path, &moments[i], &err), 0);
		free(path);
		/* Only now: reading prunes pages, which touches them. */
		test_cluster_restart(&c);
		copy_tables(&c, i);
	}
	test_cluster_release(&c);
}

/* ---- transcoding ---- */

struct way {
	const char *name;
	struct transcode_env env;
	struct lake_catalog *catalog;
	struct transcode_table *tables[ARRAY_LEN(tables)];
	struct transcode_work work;
	uint64_t memory;
};

static void check(int rc)
{
	if (rc != 0)
		fail_msg("%s", err.message);
}

static char *ask(struct way *w, size_t table, tarn_lsn lsn)
{
	struct tarn_buf out = TARN_BUF_INIT;
	const struct lake_database *db;
	uint32_t oid = 0, count;
	struct lake_database_name *names;
	check(lake_catalog_databases(w->catalog, lsn, &names, &count, &err));
	for (uint32_t i = 0; i < count; i++)
		if (strcmp(names[i].name, "postgres") == 0)
			oid = names[i].oid;
	lake_database_names_free(names, count);
	check(lake_catalog_open(w->catalog, oid, lsn, &db, &err));
	const struct lake_table *t = lake_database_table_named(db, "public", tables[table]);
	assert_non_null(t);
	tarn_buf_put_str(&out, "{");
	check(transcode_table_at(w->tables[table], db, t, lsn, &out, &err));
	tarn_buf_put_str(&out, "}");
	lake_database_release(db);
	char *text = tarn_strdup(tarn_buf_cstr(&out));
	tarn_buf_release(&out);
	return text;
}

static void ask_and_write(struct way *w, size_t table, int moment)
{
	char *text = ask(w, table, (tarn_lsn)(moment + 1) * LSN_STEP);
	char *plain = plain_name(tables[table]);
	char *name = tarn_asprintf("%s.%d.%s.json", w->name, moment, plain);
	write_text(name, text);
	free(name);
	free(plain);
	free(text);
}

static void begin_way(struct way *w, const char *name, struct objstore *objects,
		      const char *tmp_dir)
{
	w->name = name;
	w->catalog = lake_catalog_new(&source);
	w->env.source = &source;
	w->env.memory_used = &w->memory;
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		char *location = tarn_asprintf("lake/%s/5/%zu", name, i);
		w->env.place = (struct transcode_place){objects, tmp_dir, location};
		w->tables[i] = transcode_table_new(&w->env, &w->work);
		free(location);
	}
}

static void end_way(struct way *w)
{
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		transcode_table_free(w->tables[i]);
	lake_catalog_free(w->catalog);
	assert_int_equal(w->memory, 0);
}

/* One state after the other; and that asking again costs nothing and changes nothing. */
static void walk(struct way *w)
{
	for (int m = 0; m < MOMENTS; m++)
		for (size_t i = 0; i < ARRAY_LEN(tables); i++)
			ask_and_write(w, i, m);
	char *late = ask(w, 1, 3 * LSN_STEP);
	char *early = ask(w, 1, LSN_STEP);
	char *later = ask(w, 1, 3 * LSN_STEP + 50);
	struct transcode_work before = w->work;
	char *between = ask(w, 1, 3 * LSN_STEP + 20);
	char *first = ask(w, 1, LSN_STEP);
	assert_string_equal(late, later);
	assert_string_equal(late, between);
	assert_string_equal(early, first);
	assert_string_not_equal(late, early);
	assert_int_equal(w->work.repeated, before.repeated + 2);
	assert_int_equal(w->work.bases + w->work.derived, before.bases + before.derived);
	free(late);
	free(early);
	free(later);
	free(between);
	free(first);
}

/* From the newest to the oldest, so that nothing can be derived. */
static void walk_back(struct way *w)
{
	for (int m = MOMENTS - 1; m >= 0; m--)
		for (size_t i = 0; i < ARRAY_LEN(tables); i++)
			ask_and_write(w, i, m);
	assert_int_equal(w->work.derived, 0);
}

/* A new process at each moment: bases come back from the object store. */
static void walk_with_restarts(struct objstore *objects, const char *tmp_dir)
{
	struct transcode_work work = {0};
	for (int m = 0; m < MOMENTS; m++) {
		struct way w = {.env = {.max_file_rows = 3000}, .work = work};
		begin_way(&w, "restarts", objects, tmp_dir);
		for (size_t i = 0; i < ARRAY_LEN(tables); i++)
			ask_and_write(&w, i, m);
		end_way(&w);
		work = w.work;
	}
	/* What was neither rewritten nor changed beyond the limit. */
	assert_int_equal(work.bases + work.derived + work.repeated, MOMENTS * ARRAY_LEN(tables));
	assert_true(work.recalled >= 8);
	assert_true(work.derived >= 6);
}

/* Bases are made aside, while states are derived. */
static void walk_in_background(struct objstore *objects, const char *tmp_dir)
{
	struct way w = {.env = {.background_rows = 1, .max_file_rows = 3000}};
	begin_way(&w, "background", objects, tmp_dir);
	for (int m = 0; m < MOMENTS; m++) {
		for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
			ask_and_write(&w, i, m);
			transcode_table_settle(w.tables[i]);
			/* The base is exact too; the state before it is the one given. */
			char *again = ask(&w, i, (tarn_lsn)(m + 1) * LSN_STEP + 1);
			if (m == 2 && strcmp(tables[i], "moods") == 0)
				assert_null(strstr(again, "\"tail\""));
			free(again);
		}
	}
	assert_int_equal(w.work.background, 0);
	end_way(&w);
}

static void test_transcode(void **state)
{
	struct objstore *objects;
	struct way chain = {0}, merged = {.env = {.max_file_rows = 500, .max_tails = 1}},
		   back = {.env = {.max_file_rows = 3000}};
	(void)state;
	make_moments();
	char *store = tarn_asprintf("%s/store", dir), *tmp = tarn_asprintf("%s/tmp", dir);
	check(objstore_open(store, &objects, &err));
	check(file_mkdir_p(tmp, 0755, &err));
	begin_way(&chain, "chain", objects, tmp);
	begin_way(&merged, "merged", objects, tmp);
	begin_way(&back, "back", objects, tmp);
	walk(&chain);
	walk(&merged);
	walk_back(&back);
	walk_with_restarts(objects, tmp);
	walk_in_background(objects, tmp);
	end_way(&chain);
	end_way(&merged);
	end_way(&back);
	objstore_free(objects);
	for (int i = 0; i < MOMENTS; i++)
		lake_source_datadir_close(&moments[i]);
	free(store);
	free(tmp);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_transcode)};
	if (argc != 3)
		return 2;
	bin_dir = argv[1];
	dir = argv[2];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
