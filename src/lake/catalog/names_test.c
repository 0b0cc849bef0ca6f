/* Names of warehouses and namespaces, there and back. */
#include "base/system.h"
#include <setjmp.h>
#include <cmocka.h>
#include "lake/catalog/names.h"

static void expect_warehouse(const char *text, const char *branch, const char *database)
{
	struct warehouse w, back;
	struct tarn_buf prefix = TARN_BUF_INIT;
	assert_true(warehouse_parse(text, &w));
	assert_string_equal(w.branch, branch);
	assert_string_equal(w.database, database);
	warehouse_prefix(&w, &prefix);
	assert_null(strpbrk(tarn_buf_cstr(&prefix), "/% ?#"));
	assert_true(warehouse_from_prefix(tarn_buf_cstr(&prefix), &back));
	assert_string_equal(back.branch, branch);
	assert_string_equal(back.database, database);
	tarn_buf_release(&prefix);
}

static void warehouses(void **state)
{
	struct warehouse w;
	char long_name[NAME_MAX_BYTES + 8];
	(void)state;
	expect_warehouse("", "main", "postgres");
	expect_warehouse("main", "main", "postgres");
	expect_warehouse("dev/shop", "dev", "shop");
	expect_warehouse("feature/x/shop", "feature/x", "shop");
	expect_warehouse("a b~~/grün~20%", "a b~~", "grün~20%");
	assert_false(warehouse_parse("dev/", &w));
	assert_false(warehouse_parse("/x", &w));
	memset(long_name, 'x', sizeof long_name);
	long_name[sizeof long_name - 1] = '\0';
	assert_false(warehouse_parse(long_name, &w));
	assert_true(warehouse_from_prefix("dev", &w));
	assert_string_equal(w.branch, "dev");
	static const char *const bad[] = {"~~", "a~~", "~~a", "a~2~~b", "a~zz~~b", "a~00~~b"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(warehouse_from_prefix(bad[i], &w));
}

static void expect_namespace(const char *text, const char *schema, tarn_lsn pin)
{
	struct namespace ns;
	assert_true(namespace_parse(text, &ns));
	assert_string_equal(ns.schema, schema);
	assert_int_equal(ns.pin, pin);
}

static void namespaces(void **state)
{
	struct namespace ns;
	(void)state;
	expect_namespace("public", "public", 0);
	expect_namespace("public@0/1A2B3C8", "public", 0x1A2B3C8);
	expect_namespace("public@1-1A2B3C8", "public", 0x101A2B3C8);
	expect_namespace("me@home", "me@home", 0);
	expect_namespace("me@home@2/0", "me@home", 0x200000000);
	expect_namespace("@0/1", "@0/1", 0);
	expect_namespace("a@0/0", "a@0/0", 0);
	expect_namespace("a@", "a@", 0);
	assert_false(namespace_parse("", &ns));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(warehouses),
					   cmocka_unit_test(namespaces)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
