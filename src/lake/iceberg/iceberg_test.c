/* Avro encoding against the specification's examples; manifests and metadata that hold what they must. Real readers
 * are in test/lake. */
#include "base/system.h"
#include <setjmp.h>
#include <cmocka.h>
#include "lake/iceberg/avro.h"
#include "lake/iceberg/manifest.h"
#include "lake/iceberg/metadata.h"

static void expect_long(int64_t v, const char *bytes, size_t len)
{
	struct tarn_buf b = TARN_BUF_INIT;
	avro_put_long(&b, v);
	assert_int_equal(b.len, len);
	assert_memory_equal(b.data, bytes, len);
	tarn_buf_release(&b);
}

static void longs_are_zigzag(void **state)
{
	(void)state;
	expect_long(0, "\x00", 1);
	expect_long(-1, "\x01", 1);
	expect_long(1, "\x02", 1);
	expect_long(-64, "\x7f", 1);
	expect_long(64, "\x80\x01", 2);
	expect_long(INT64_MAX, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10);
	expect_long(INT64_MIN, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10);
}

static void container_holds_its_blocks(void **state)
{
	struct avro_file f;
	const struct avro_meta meta[] = {{"k", "v"}};
	(void)state;
	avro_file_begin(&f, "\"string\"", meta, 1);
	size_t header = f.out.len;
	avro_put_str(&f.block, "foo");
	avro_file_record_done(&f);
	avro_file_end(&f);
	assert_memory_equal(f.out.data,
			    "Obj\1\6\x16"
			    "avro.schema\x10\"string\"",
			    26);
	/* one record, four bytes, "foo", the header's sync marker again */
	assert_memory_equal(f.out.data + header, "\2\x8\6foo", 6);
	assert_memory_equal(f.out.data + header + 6, f.out.data + header - 16, 16);
	assert_int_equal(f.out.len, header + 22);
	avro_file_release(&f);
}

/* The schema in an Avro file's header is JSON with a field id in every field. */
static void expect_ids(const json_t *type)
{
	size_t i;
	json_t *f;
	if (json_is_array(type)) {
		json_array_foreach((json_t *)(uintptr_t)type, i, f) expect_ids(f);
		return;
	}
	json_array_foreach(json_object_get(type, "fields"), i, f)
	{
		assert_true(json_is_integer(json_object_get(f, "field-id")));
		expect_ids(json_object_get(f, "type"));
	}
	if (json_object_get(type, "items"))
		expect_ids(json_object_get(type, "items"));
}

static json_t *schema_of(const struct tarn_buf *b)
{
	const uint8_t *at = memmem(b->data, b->len, "{\"type\":\"record\"", 16);
	assert_non_null(at);
	json_t *j = json_loadb((const char *)at, b->len - (size_t)(at - b->data),
			       JSON_DISABLE_EOF_CHECK, NULL);
	assert_non_null(j);
	return j;
}

static void manifests_have_field_ids(void **state)
{
	struct tarn_buf b = TARN_BUF_INIT;
	struct ice_manifest_head h = {.content = ICE_DELETES,
				      .snapshot_id = 5,
				      .sequence_number = 6,
				      .schema_json = "{}"};
	struct ice_file f = {.content = ICE_DELETES,
			     .path = "file:///d",
			     .rows = 1,
			     .bytes = 2,
			     .referenced_data_file = "file:///x"};
	(void)state;
	ice_manifest_write(&h, &f, 1, &b);
	json_t *j = schema_of(&b);
	expect_ids(j);
	json_decref(j);
	/* as both bounds and as the referenced file */
	size_t found = 0;
	for (size_t i = 0; i + 9 <= b.len; i++)
		found += memcmp(b.data + i, "file:///x", 9) == 0;
	assert_int_equal(found, 3);
	tarn_buf_clear(&b);
	ice_manifest_list_write(5, 4, 6, NULL, 0, &b);
	j = schema_of(&b);
	expect_ids(j);
	json_decref(j);
	tarn_buf_release(&b);
}

static void metadata_has_what_engines_need(void **state)
{
	json_t *schemas = json_loads("[{\"type\":\"struct\",\"schema-id\":3,\"fields\":[{\"id\":1,"
				     "\"name\":\"a\",\"required\":false,\"type\":\"int\"}]}]",
				     0, NULL);
	json_t *summary = json_pack("{s:s}", "operation", "append");
	json_t *properties = json_object();
	struct ice_snapshot s[2] = {{.id = 1,
				     .timestamp_ms = 10,
				     .sequence_number = 1,
				     .manifest_list = "file:///a",
				     .summary = summary},
				    {.id = 2,
				     .parent_id = 1,
				     .timestamp_ms = 11,
				     .sequence_number = (int64_t)1 << 40,
				     .manifest_list = "file:///b",
				     .summary = summary}};
	struct ice_table t = {"u", "file:///t", 1, 3, schemas, properties, s, 2};
	static const char *const keys[] = {"format-version",
					   "table-uuid",
					   "location",
					   "last-sequence-number",
					   "last-updated-ms",
					   "last-column-id",
					   "current-schema-id",
					   "schemas",
					   "default-spec-id",
					   "partition-specs",
					   "last-partition-id",
					   "default-sort-order-id",
					   "sort-orders",
					   "properties",
					   "current-snapshot-id",
					   "refs",
					   "snapshots",
					   "snapshot-log"};
	(void)state;
	json_t *m = ice_metadata(&t);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_non_null(json_object_get(m, keys[i]));
	assert_int_equal(json_integer_value(json_object_get(m, "current-snapshot-id")), 2);
	assert_int_equal(json_integer_value(json_object_get(m, "last-sequence-number")),
			 (int64_t)1 << 40);
	json_decref(m);
	char *mapping = ice_name_mapping(json_array_get(schemas, 0));
	assert_string_equal(mapping, "[{\"field-id\":1,\"names\":[\"a\"]}]");
	free(mapping);
	json_decref(schemas);
	json_decref(summary);
	json_decref(properties);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(longs_are_zigzag),
					   cmocka_unit_test(container_holds_its_blocks),
					   cmocka_unit_test(manifests_have_field_ids),
					   cmocka_unit_test(metadata_has_what_engines_need)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
