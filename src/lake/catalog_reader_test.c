/* Tests of catalog_reader.h: the catalogs of a real Postgres, read from its files, against what the
 * server said of them before it was stopped. */
#include "base/system.h"
#include <setjmp.h>
#include <cmocka.h>
#include "base/buf.h"
#include "lake/catalog_reader.h"
#include "lake/catalog_scan.h"
#include "lake/source_datadir.h"
#include "lake/test_cluster.h"
#include "wire/page_wire.h"

static const char *bin_dir;
static struct test_cluster cluster;
static struct lake_source files, source; /* source: files, with the tricks below */
static struct tarn_error err;
static char *want_tables, *want_types, *want_databases, *want_missing, *want_pending;
static uint32_t app_oid, pending_xid, attribute_filenode;

/* ---- a source that counts and lies ---- */

static unsigned relation_pages, touched_calls;
static tarn_lsn touched_at, commit_at;
static uint32_t touched_rel;
static bool damage;

static int trick_page(void *arg, const struct lake_rel *rel, uint8_t fork, uint32_t block,
		      tarn_lsn lsn, uint8_t out[8192], bool *absent, struct tarn_error *e)
{
	relation_pages++;
	TRY(files.get_page(arg, rel, fork, block, lsn, out, absent, e));
	for (int i = 0; damage && i < 3; i++)
		out[test_random() % PG_PAGE_BYTES] ^= (uint8_t)(1 << test_random() % 8);
	return 0;
}

static int trick_slru(void *arg, int slru, uint32_t page, tarn_lsn lsn, uint8_t out[8192],
		      bool *absent, struct tarn_error *e)
{
	TRY(files.slru_page(arg, slru, page, lsn, out, absent, e));
	if (slru == PAGE_SLRU_XACT && commit_at != 0 && lsn >= commit_at)
		out[pending_xid / 4] = (uint8_t)(out[pending_xid / 4] | 1 << pending_xid % 4 * 2);
	return 0;
}

static int trick_touched(void *arg, const struct lake_rel *rel, uint8_t fork, tarn_lsn after,
			 tarn_lsn upto,
			 int (*visit)(void *visit_arg, uint32_t block, struct tarn_error *e),
			 void *visit_arg, struct tarn_error *e)
{
	(void)arg;
	(void)fork;
	touched_calls++;
	if (rel->rel == touched_rel && after < touched_at && touched_at <= upto)
		return visit(visit_arg, 0, e);
	return 0;
}

/* ---- the cluster ---- */

static const char make_database[] =
	"CREATE DATABASE app;\n"
	"CREATE DATABASE gone;\nDROP DATABASE gone;\n"
	"CREATE DATABASE \"Ein Name\" ALLOW_CONNECTIONS false IS_TEMPLATE true;\n";

static const char make_tables[] =
	"CREATE SCHEMA sales; CREATE SCHEMA empty; CREATE EXTENSION IF NOT EXISTS plpgsql;\n"
	"CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');\n"
	"ALTER TYPE mood ADD VALUE 'so so' BEFORE 'ok';\n"
	"CREATE TYPE point3 AS (x float8, y float8, label text);\n"
	"ALTER TYPE point3 DROP ATTRIBUTE y; ALTER TYPE point3 ADD ATTRIBUTE z numeric(8,3);\n"
	"CREATE DOMAIN price AS numeric(12,2) CHECK (VALUE >= 0);\n"
	"CREATE DOMAIN small_price AS price NOT NULL;\n"
	"CREATE TYPE span AS RANGE (subtype = timestamptz);\n"
	"CREATE TABLE kinds (id bigint PRIMARY KEY, a int2, b int4, c float4, d float8, e bool,\n"
	" f text, g varchar(20), h char(5), i \"char\", j name, k bytea, l numeric, m "
	"numeric(10,4),\n"
	" n date, o time, p timetz, q timestamp(3), r timestamptz, s interval, t uuid, u json,\n"
	" v jsonb, w inet, x cidr, y macaddr, z bit(3), aa varbit, ab point, ac box, ad xml,\n"
	" ae mood, af point3, ag price, ah small_price, ai int4[], aj text[], ak mood[], al span,\n"
	" am int4range, an int4multirange, ao tsvector, ap oid, aq pg_lsn, ar kinds_fake[]);\n";

/* The rest: shapes of tables rather than kinds of columns. */
static const char make_shapes[] =
	"CREATE TABLE sales.orders (region text, no int4, note text, PRIMARY KEY (no, region)\n"
	"  INCLUDE (note));\n"
	"ALTER TABLE sales.orders DROP COLUMN note CASCADE;\n"
	"CREATE TABLE sales.\"Mixed \"\"Case\"\"\" (\"Col 1\" int, gen int GENERATED ALWAYS AS (1) "
	"STORED);\n"
	"ALTER TABLE sales.\"Mixed \"\"Case\"\"\" ENABLE ROW LEVEL SECURITY;\n"
	"CREATE TABLE dropping (a int, b text, c numeric, d date);\n"
	"ALTER TABLE dropping DROP COLUMN b; ALTER TABLE dropping DROP COLUMN d;\n"
	"ALTER TABLE dropping ADD COLUMN e text NOT NULL DEFAULT 'e';\n"
	"CREATE TABLE parts (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);\n"
	"CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO "
	"('2026-02-01');\n"
	"CREATE TABLE parts_2 PARTITION OF parts DEFAULT;\n"
	"CREATE MATERIALIZED VIEW mv AS SELECT 1 AS one, 'x'::text AS two;\n"
	"CREATE VIEW v AS SELECT * FROM kinds; CREATE SEQUENCE sq; CREATE UNLOGGED TABLE ul (a "
	"int);\n"
	"CREATE TABLE nothing ();\n"
	"CREATE TABLE rowtyped (a sales.orders, b pg_class);\n"
	"CREATE TABLE plainstore (a text); ALTER TABLE plainstore ALTER a SET STORAGE plain;\n"
	"CREATE TABLE extstore (a text); ALTER TABLE extstore ALTER a SET STORAGE external;\n"
	"CREATE TABLE renamed_before (a int); ALTER TABLE renamed_before RENAME TO renamed;\n"
	"CREATE TABLE moved (a int, b text); INSERT INTO moved SELECT g, g::text FROM\n"
	"  generate_series(1, 100) g; VACUUM FULL moved; TRUNCATE moved; ALTER TABLE moved SET "
	"SCHEMA sales;\n"
	"CREATE TABLE dropped_table (a int); DROP TABLE dropped_table;\n"
	"BEGIN; CREATE TABLE rolled_back (a int); ROLLBACK;\n"
	"DO 'BEGIN FOR i IN 1..300 LOOP EXECUTE format(''CREATE TABLE many_%s (a int, b text)'', "
	"i);\n"
	"  END LOOP; END';\n"
	"VACUUM FULL pg_class; VACUUM FULL pg_index; VACUUM FULL pg_attribute; REINDEX TABLE "
	"pg_type;\n"
	"ALTER TABLE many_7 RENAME COLUMN a TO aa; DROP TABLE many_9; VACUUM pg_class;\n";

static const char make_missing[] =
	"CREATE TABLE added (id int); INSERT INTO added VALUES (1), (2);\n"
	"ALTER TABLE added ADD i int DEFAULT 42, ADD t text DEFAULT 'hello', ADD n numeric "
	"DEFAULT\n"
	" 1.5, ADD b bool NOT NULL DEFAULT true, ADD long text DEFAULT repeat('abc', 5000), ADD "
	"none\n"
	" text, ADD at timestamptz DEFAULT now(), ADD arr int[] DEFAULT '{1,2}', ADD e mood "
	"DEFAULT\n"
	" 'ok', ADD s int2 DEFAULT -3, ADD p name DEFAULT 'name', ADD empty text DEFAULT '';\n"
	"INSERT INTO added VALUES (3, 7, 'given');\n";

/* What the C side prints with print_tables, print_types. */
static const char query_tables[] =
	"WITH t AS (SELECT c.*, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = "
	"relnamespace\n"
	" WHERE relkind IN ('r', 'm') AND relpersistence = 'p' AND nspname NOT IN ('pg_catalog',\n"
	"  'information_schema'))\n"
	"SELECT line FROM (SELECT t.oid, 0 AS num, format('table %s %s.%s %s file %s/%s toast "
	"%s/%s/%s/%s '\n"
	" 'columns %s key %s partition %s rls %s', t.oid, t.nspname, t.relname, t.relkind,\n"
	" CASE reltablespace WHEN 0 THEN 1663 ELSE reltablespace END, "
	"pg_relation_filenode(t.oid),\n"
	" reltoastrelid, CASE reltoastrelid WHEN 0 THEN 0 ELSE CASE reltablespace WHEN 0 THEN 1663 "
	"ELSE\n"
	"  reltablespace END END, coalesce(pg_relation_filenode(reltoastrelid), 0),\n"
	" coalesce((SELECT pg_relation_filenode(indexrelid) FROM pg_index WHERE indrelid = "
	"reltoastrelid\n"
	"  AND indisvalid), 0), relnatts, (SELECT string_agg(k::text, ',' ORDER BY ord) FROM "
	"pg_index i,\n"
	"  unnest(i.indkey) WITH ORDINALITY u(k, ord) WHERE i.indrelid = t.oid AND indisprimary "
	"AND ord <=\n"
	"  indnkeyatts), relispartition, relrowsecurity) AS line FROM t\n"
	"UNION ALL SELECT t.oid, attnum, format('column %s %s type %s %s %s notnull %s dropped %s "
	"generated %s '\n"
	" 'is %s %s %s missing %s', attnum, attname, atttypid, atttypmod, attstorage, attnotnull, "
	"attisdropped,\n"
	" attgenerated <> '', attlen, attalign, attbyval, atthasmissing) FROM t JOIN pg_attribute "
	"a ON\n"
	" attrelid = t.oid AND attnum > 0) x ORDER BY x.oid, x.num\n";

static const char query_types[] =
	"SELECT format('type %s %s.%s %s %s %s %s %s delim %s elem %s base %s %s rel %s range %s "
	"labels '\n"
	" '%s columns %s', oid, typnamespace, typname, typlen, typalign, typbyval, typtype, "
	"typcategory,\n"
	" typdelim, CASE WHEN typsubscript = 'array_subscript_handler'::regproc THEN typelem ELSE "
	"0 END,\n"
	" typbasetype, typtypmod, typrelid, coalesce((SELECT rngsubtype FROM pg_range WHERE "
	"rngtypid =\n"
	" t.oid), (SELECT rngtypid FROM pg_range WHERE rngmultitypid = t.oid), 0), (SELECT\n"
	" string_agg(e.oid || ' ' || enumsortorder || ' ' || enumlabel, ',' ORDER BY e.oid) FROM "
	"pg_enum e\n"
	" WHERE enumtypid = t.oid), (SELECT string_agg(attnum || ' ' || attname || ' ' || atttypid "
	"||\n"
	" ' ' || atttypmod, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = typrelid AND "
	"attnum > 0))\n"
	" FROM pg_type t ORDER BY oid\n";

static uint32_t query_number(const char *db, const char *sql)
{
	char *text = test_cluster_query(&cluster, db, sql);
	uint32_t n = (uint32_t)strtoul(text, NULL, 10);
	free(text);
	assert_int_not_equal(n, 0);
	return n;
}

static void make_tablespace(void)
{
	char *dir = tarn_asprintf("%s/space", cluster.dir);
	char *sql = tarn_asprintf("\\! install -d -m 700 %s %s\n"
				  "CREATE TABLESPACE space LOCATION '%s';\n",
				  geteuid() == 0 ? "-o postgres" : "", dir, dir);
	test_cluster_sql(&cluster, "app", sql);
	test_cluster_sql(&cluster, "app",
			 "CREATE TABLE spaced (a int PRIMARY KEY, b text) TABLESPACE space;\n");
	free(sql);
	free(dir);
}

static void fill(void)
{
	test_cluster_sql(&cluster, "postgres", make_database);
	test_cluster_sql(&cluster, "app", "CREATE TYPE kinds_fake AS ENUM ();\n");
	test_cluster_sql(&cluster, "app", make_tables);
	test_cluster_sql(&cluster, "app", make_shapes);
	test_cluster_sql(&cluster, "app", make_missing);
	make_tablespace();
	want_tables = test_cluster_query(&cluster, "app", query_tables);
	want_types = test_cluster_query(&cluster, "app", query_types);
	want_databases = test_cluster_query(
		&cluster, "app",
		"SELECT oid, datname, dattablespace, datistemplate, datallowconn FROM pg_database\n"
		" ORDER BY datname COLLATE \"C\"\n");
	want_missing = test_cluster_query(
		&cluster, "app",
		"SELECT id, i, t, long, none, s, p, empty FROM added ORDER BY id\n");
	app_oid = query_number("app", "SELECT oid FROM pg_database WHERE datname = 'app'");
	attribute_filenode = query_number("app", "SELECT pg_relation_filenode('pg_attribute')");
	/* Left undecided; its changes are in the files. */
	pending_xid = query_number("app", "BEGIN; CREATE TABLE pending (a int, b mood);\n"
					  "DROP TABLE many_8; SELECT txid_current();\n"
					  "PREPARE TRANSACTION 'pending';\n");
	want_pending = test_cluster_query(&cluster, "app", "SELECT pg_relation_filenode('many_8')");
}

static int setup(void **state)
{
	(void)state;
	if (!test_cluster_start(&cluster, bin_dir))
		return 0;
	fill();
	test_cluster_stop(&cluster);
	if (lake_source_datadir_open(cluster.data, &files, &err) != 0)
		return -1;
	source = files;
	source.get_page = trick_page;
	source.slru_page = trick_slru;
	source.touched = trick_touched;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (cluster.dir != NULL)
		lake_source_datadir_close(&files);
	test_cluster_release(&cluster);
	char *texts[] = {want_tables, want_types, want_databases, want_missing, want_pending};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		free(texts[i]);
	return 0;
}

static const struct lake_database *open_app(struct lake_catalog *c, tarn_lsn lsn)
{
	const struct lake_database *db;
	if (lake_catalog_open(c, app_oid, lsn, &db, &err) != 0)
		fail_msg("%s", err.message);
	return db;
}

static char align_letter(uint8_t align)
{
	return align == 1 ? 'c' : align == 2 ? 's' : align == 4 ? 'i' : 'd';
}

static char flag(bool b)
{
	return b ? 't' : 'f';
}

/* ---- the catalogs ---- */

static void print_table(struct tarn_buf *b, const struct lake_table *t)
{
	tarn_buf_printf(b, "table %u %s.%s %c file %u/%u toast %u/%u/%u/%u columns %u key ",
			t->relid, t->schema, t->name, t->relkind, t->rel.spc, t->rel.rel,
			t->toast_relid, t->toast.spc, t->toast.rel, t->toast_index.rel,
			t->ncolumns);
	for (uint16_t i = 0; i < t->nprimary_key; i++)
		tarn_buf_printf(b, "%s%d", i == 0 ? "" : ",", t->primary_key[i]);
	tarn_buf_printf(b, " partition %c rls %c\n", flag(t->is_partition), flag(t->row_security));
	assert_int_equal(t->rel.db, app_oid);
	for (uint16_t i = 0; i < t->ncolumns; i++) {
		const struct lake_column *c = &t->columns[i];
		const struct pg_attr *a = &t->attrs[i];
		tarn_buf_printf(b,
				"column %d %s type %u %d %c notnull %c dropped %c generated %c is "
				"%d %c %c missing %c\n",
				c->attnum, c->name, c->type_oid, c->typmod, c->storage,
				flag(c->not_null), flag(c->dropped), flag(c->generated), a->len,
				align_letter(a->align), flag(a->byval), flag(a->missing != NULL));
		assert_int_equal(a->dropped, c->dropped);
		assert_true(c->dropped ? c->type == NULL : c->type->oid == c->type_oid);
	}
}

static void tables(void **state)
{
	(void)state;
	if (cluster.dir == NULL)
		skip();
	struct lake_catalog *c = lake_catalog_new(&source);
	const struct lake_database *db = open_app(c, 1);
	struct tarn_buf b = TARN_BUF_INIT;
	assert_string_equal(db->name, "app");
	assert_int_equal(db->oid, app_oid);
	for (uint32_t i = 0; i < db->ntables; i++) {
		const struct lake_table *t = &db->tables[i];
		print_table(&b, t);
		assert_ptr_equal(lake_database_table(db, t->relid), t);
		assert_ptr_equal(lake_database_table_named(db, t->schema, t->name), t);
	}
	test_expect_lines(&b, want_tables);
	assert_null(lake_database_table(db, 1));
	assert_null(lake_database_table(db, UINT32_MAX));
	assert_null(lake_database_table_named(db, "public", "sales"));
	assert_null(lake_database_table_named(db, "pg_catalog", "pg_class"));
	lake_database_release(db);
	lake_catalog_free(c);
}

static void print_type(struct tarn_buf *b, const struct lake_type *t)
{
	tarn_buf_printf(b,
			"type %u %u.%s %d %c %c %c %c delim %c elem %u base %u %d rel %u range %u "
			"labels ",
			t->oid, t->schema_oid, t->name, t->len, align_letter(t->align),
			flag(t->byval), t->typtype, t->category, t->delim, t->elem, t->base,
			t->typmod, t->relid, t->range_sub);
	for (uint32_t i = 0; i < t->nlabels; i++)
		tarn_buf_printf(b, "%s%u %g %s", i == 0 ? "" : ",", t->labels[i].oid,
				(double)t->labels[i].sort_order, t->labels[i].label);
	tarn_buf_printf(b, " columns ");
	for (uint16_t i = 0; i < t->ncolumns; i++)
		tarn_buf_printf(b, "%s%d %s %u %d", i == 0 ? "" : ",", t->columns[i].attnum,
				t->columns[i].name, t->columns[i].type_oid, t->columns[i].typmod);
	tarn_buf_printf(b, "\n");
}

static void types(void **state)
{
	(void)state;
	if (cluster.dir == NULL)
		skip();
	struct lake_catalog *c = lake_catalog_new(&source);
	const struct lake_database *db = open_app(c, 1);
	struct tarn_buf b = TARN_BUF_INIT;
	for (uint32_t i = 0; i < db->ntypes; i++) {
		print_type(&b, &db->types[i]);
		assert_ptr_equal(lake_database_type(db, db->types[i].oid), &db->types[i]);
	}
	test_expect_lines(&b, want_types);
	const struct lake_table *kinds = lake_database_table_named(db, "public", "kinds");
	int32_t typmod = -1;
	const struct lake_type *base = lake_type_base(db, kinds->columns[34].type, &typmod);
	assert_string_equal(kinds->columns[34].type->name, "small_price");
	assert_string_equal(base->name, "numeric");
	assert_int_equal(typmod, (12 << 16 | 2) + 4);
	lake_database_release(db);
	lake_catalog_free(c);
}

static void databases(void **state)
{
	(void)state;
	if (cluster.dir == NULL)
		skip();
	struct lake_catalog *c = lake_catalog_new(&source);
	struct lake_database_name *names;
	struct tarn_buf b = TARN_BUF_INIT;
	uint32_t count;
	assert_int_equal(lake_catalog_databases(c, 1, &names, &count, &err), 0);
	for (uint32_t i = 0; i < count; i++) {
		const struct lake_database *db;
		tarn_buf_printf(&b, "%u|%s|%u|%c|%c\n", names[i].oid, names[i].name, names[i].spc,
				flag(names[i].is_template), flag(names[i].allow_connections));
		assert_int_equal(lake_catalog_open(c, names[i].oid, 1, &db, &err), 0);
		assert_string_equal(db->name, names[i].name);
		assert_true(db->oid == app_oid || db->ntables == 0);
		lake_database_release(db);
	}
	lake_database_names_free(names, count);
	test_expect_lines(&b, want_databases);
	const struct lake_database *db;
	assert_int_equal(lake_catalog_open(c, 99999, 1, &db, &err), TARN_E_NOT_FOUND);
	assert_int_equal(lake_catalog_open(c, 0, 1, &db, &err), TARN_E_NOT_FOUND);
	lake_catalog_free(c);
}

/* The layouts that are compiled in are what the catalogs say of themselves. */
static void layouts(void **state)
{
	(void)state;
	if (cluster.dir == NULL)
		skip();
	struct lake_catalog *c = lake_catalog_new(&source);
	const struct lake_database *db = open_app(c, 1);
	for (enum lake_catalog_table which = 0; which < LAKE_CATALOG_TABLES; which++) {
		struct pg_attr attrs[LAKE_CATALOG_MAX_COLUMNS];
		uint16_t count = lake_catalog_attrs(which, attrs), i = 0;
		const struct lake_type *row = NULL;
		for (uint32_t t = 0; t < db->ntypes && row == NULL; t++)
			if (db->types[t].relid == lake_catalog_oid(which))
				row = &db->types[t];
		assert_non_null(row);
		assert_string_equal(row->name, lake_catalog_name(which));
		for (; i < count; i++) {
			assert_int_equal(row->columns[i].type->len, attrs[i].len);
			assert_int_equal(row->columns[i].type->align, attrs[i].align);
		}
	}
	lake_database_release(db);
	lake_catalog_free(c);
}

/* ---- missing values ---- */

static void print_value(struct tarn_buf *b, struct pg_datum d, const struct lake_type *type)
{
	struct varlena v;
	if (d.bytes == NULL)
		return;
	if (strcmp(type->name, "int4") == 0) {
		tarn_buf_printf(b, "%d", (int)get_le32(d.bytes));
	} else if (strcmp(type->name, "int2") == 0) {
		tarn_buf_printf(b, "%d", (int16_t)get_le16(d.bytes));
	} else if (strcmp(type->name, "name") == 0) {
		tarn_buf_printf(b, "%.64s", (const char *)d.bytes);
	} else {
		assert_int_equal(varlena_parse(d, &v, &err), 0);
		if (v.form == VARLENA_INLINE)
			tarn_buf_put(b, v.payload, v.payload_len);
		else
			assert_int_equal(varlena_decompress(v.method, v.payload, v.payload_len,
							    v.raw_len, b, &err),
					 0);
	}
}

static void print_rows(struct tarn_buf *b, const struct lake_table *t, const char *const *wanted)
{
	struct lake_snapshot *s = lake_snapshot_new(&files, 1);
	uint8_t bytes[PG_PAGE_BYTES];
	struct pg_datum row[16];
	struct pg_page page;
	struct heap_tuple tuple;
	struct lake_verdict verdict;
	bool absent;
	assert_true(t->ncolumns <= ARRAY_LEN(row));
	assert_int_equal(files.get_page(files.arg, &t->rel, 0, 0, 1, bytes, &absent, &err), 0);
	assert_int_equal(heap_page_open(&page, bytes, &err), 0);
	for (uint16_t item = 0; heap_page_next(&page, &item);) {
		assert_int_equal(heap_page_tuple(&page, item, &tuple, &err), 0);
		assert_int_equal(lake_tuple_visible(s, &tuple, &verdict, &err), 0);
		assert_int_equal(tuple_deform(&tuple, t->attrs, t->ncolumns, row, &err), 0);
		for (const char *const *name = wanted; *name != NULL; name++)
			for (uint16_t i = 0; i < t->ncolumns; i++)
				if (strcmp(t->columns[i].name, *name) == 0) {
					print_value(b, row[i], t->columns[i].type);
					tarn_buf_printf(b, "%s", name[1] == NULL ? "\n" : "|");
				}
	}
	lake_snapshot_free(s);
}

static void missing_values(void **state)
{
	static const char *const names[] = {"id", "i", "t",	"long", "none",
					    "s",  "p", "empty", NULL};
	(void)state;
	if (cluster.dir == NULL)
		skip();
	struct lake_catalog *c = lake_catalog_new(&source);
	const struct lake_database *db = open_app(c, 1);
	struct tarn_buf b = TARN_BUF_INIT;
	print_rows(&b, lake_database_table_named(db, "public", "added"), names);
	test_expect_lines(&b, want_missing);
	lake_database_release(db);
	lake_catalog_free(c);
}

/* ---- the cache ---- */

static void cache(void **state)
{
	(void)state;
	if (cluster.dir == NULL)
		skip();
	struct lake_catalog *c = lake_catalog_new(&source);
	touched_calls = 0;
	const struct lake_database *first = open_app(c, 100), *again = open_app(c, 100);
	assert_ptr_equal(first, again);
	assert_int_equal(touched_calls, 0);
	lake_database_release(again);

	relation_pages = 0;
	again = open_app(c, 200);
	assert_ptr_equal(first, again);
	assert_int_equal(touched_calls, LAKE_CATALOG_TABLES - 1);
	assert_true(relation_pages < 3); /* pg_database */
	lake_database_release(again);
	again = open_app(c, 150); /* known from the last question */
	assert_ptr_equal(first, again);
	assert_int_equal(touched_calls, LAKE_CATALOG_TABLES - 1);
	lake_database_release(again);

	const struct lake_database *earlier = open_app(c, 50);
	assert_ptr_not_equal(first, earlier);
	lake_database_release(earlier);
	again = open_app(c, 200);
	assert_ptr_equal(first, again);
	lake_database_release(again);

	touched_at = 300;
	touched_rel = attribute_filenode;
	again = open_app(c, 299);
	assert_ptr_equal(first, again);
	lake_database_release(again);
	again = open_app(c, 300);
	assert_ptr_not_equal(first, again);
	assert_int_equal(first->ntables, again->ntables);
	assert_int_equal(again->lsn, 300);
	lake_database_release(again);
	touched_at = 0;
	lake_catalog_free(c);
	/* Ours outlives the reader. */
	assert_non_null(lake_database_table_named(first, "public", "kinds"));
	lake_database_release(lake_database_ref(first));
	lake_database_release(first);
}

/* A transaction that was open commits: no page tells. */
static void pending(void **state)
{
	(void)state;
	if (cluster.dir == NULL)
		skip();
	struct lake_catalog *c = lake_catalog_new(&source);
	commit_at = 1000;
	const struct lake_database *before = open_app(c, 500), *same = open_app(c, 999),
				   *after = open_app(c, 1000);
	assert_ptr_equal(before, same);
	assert_ptr_not_equal(before, after);
	assert_null(lake_database_table_named(before, "public", "pending"));
	const struct lake_table *many = lake_database_table_named(before, "public", "many_8");
	assert_int_equal(many->rel.rel, strtoul(want_pending, NULL, 10));
	assert_null(lake_database_table_named(after, "public", "many_8"));
	const struct lake_table *t = lake_database_table_named(after, "public", "pending");
	assert_int_equal(t->ncolumns, 2);
	assert_string_equal(t->columns[1].type->name, "mood");
	lake_database_release(before);
	lake_database_release(same);
	lake_database_release(after);
	commit_at = 0;
	lake_catalog_free(c);
}

/* Bytes changed at random: any answer, no crash. */
static void damaged(void **state)
{
	(void)state;
	if (cluster.dir == NULL)
		skip();
	unsigned refused = 0, rounds = 40;
	damage = true;
	for (unsigned i = 0; i < rounds; i++) {
		struct lake_catalog *c = lake_catalog_new(&source);
		const struct lake_database *db;
		int rc = lake_catalog_open(c, app_oid, 1, &db, &err);
		if (rc == 0)
			lake_database_release(db);
		refused += rc != 0;
		lake_catalog_free(c);
	}
	damage = false;
	assert_true(refused > 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables),	  cmocka_unit_test(types),
		cmocka_unit_test(databases),	  cmocka_unit_test(layouts),
		cmocka_unit_test(missing_values), cmocka_unit_test(cache),
		cmocka_unit_test(pending),	  cmocka_unit_test(damaged),
	};
	bin_dir = argc > 1 ? argv[1] : NULL;
	return cmocka_run_group_tests(tests, setup, teardown);
}
