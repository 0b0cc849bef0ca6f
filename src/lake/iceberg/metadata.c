/* Table metadata of metadata.h. */
#include "base/system.h"
#include "lake/iceberg/metadata.h"

static json_t *snapshot_json(const struct ice_snapshot *s)
{
	json_t *j = json_pack("{s:I,s:I,s:I,s:s,s:O,s:i}", "snapshot-id", (json_int_t)s->id,
			      "sequence-number", (json_int_t)s->sequence_number, "timestamp-ms",
			      (json_int_t)s->timestamp_ms, "manifest-list", s->manifest_list,
			      "summary", s->summary, "schema-id", (int)s->schema_id);
	if (j && s->parent_id)
		json_object_set_new(j, "parent-snapshot-id", json_integer(s->parent_id));
	return j;
}

static void put_snapshots(json_t *m, const struct ice_table *t)
{
	json_t *snapshots = json_array(), *log = json_array(), *refs = json_object();
	const struct ice_snapshot *newest =
		t->snapshot_count ? &t->snapshots[t->snapshot_count - 1] : NULL;
	for (size_t i = 0; i < t->snapshot_count; i++) {
		const struct ice_snapshot *s = &t->snapshots[i];
		json_array_append_new(snapshots, snapshot_json(s));
		json_array_append_new(log, json_pack("{s:I,s:I}", "timestamp-ms",
						     (json_int_t)s->timestamp_ms, "snapshot-id",
						     (json_int_t)s->id));
	}
	if (newest)
		json_object_set_new(refs, "main",
				    json_pack("{s:I,s:s}", "snapshot-id", (json_int_t)newest->id,
					      "type", "branch"));
	json_object_set_new(m, "current-snapshot-id", json_integer(newest ? newest->id : -1));
	json_object_set_new(m, "last-sequence-number",
			    json_integer(newest ? newest->sequence_number : 0));
	json_object_set_new(m, "last-updated-ms", json_integer(newest ? newest->timestamp_ms : 0));
	json_object_set_new(m, "refs", refs);
	json_object_set_new(m, "snapshots", snapshots);
	json_object_set_new(m, "snapshot-log", log);
	json_object_set_new(m, "metadata-log", json_array());
}

json_t *ice_metadata(const struct ice_table *t)
{
	json_t *m = json_pack(
		"{s:i,s:s,s:s,s:i,s:i,s:O,s:i,s:[{s:i,s:[]}],s:i,s:i,s:[{s:i,s:[]}],s:O}",
		"format-version", 2, "table-uuid", t->uuid, "location", t->location,
		"last-column-id", (int)t->last_column_id, "current-schema-id", (int)t->schema_id,
		"schemas", t->schemas, "default-spec-id", 0, "partition-specs", "spec-id", 0,
		"fields", "last-partition-id", 999, "default-sort-order-id", 0, "sort-orders",
		"order-id", 0, "fields", "properties", t->properties);
	if (m)
		put_snapshots(m, t);
	return m;
}

/* Nested types get nested mappings. */
static json_t *map_fields(const json_t *fields);

static json_t *map_type(const json_t *type)
{
	const char *kind = json_string_value(json_object_get(type, "type"));
	if (!kind)
		return NULL;
	if (strcmp(kind, "struct") == 0)
		return map_fields(json_object_get(type, "fields"));
	if (strcmp(kind, "list") == 0) {
		json_t *element =
			json_pack("{s:O?,s:[s]}", "field-id", json_object_get(type, "element-id"),
				  "names", "element");
		json_t *inner = map_type(json_object_get(type, "element"));
		if (element && inner)
			json_object_set_new(element, "fields", inner);
		return json_pack("[o]", element);
	}
	return NULL;
}

static json_t *map_fields(const json_t *fields)
{
	json_t *out = json_array(), *field;
	size_t i;
	json_array_foreach((json_t *)(uintptr_t)fields, i, field)
	{
		json_t *m = json_pack("{s:O?,s:[O?]}", "field-id", json_object_get(field, "id"),
				      "names", json_object_get(field, "name"));
		json_t *inner = map_type(json_object_get(field, "type"));
		if (m && inner)
			json_object_set_new(m, "fields", inner);
		json_array_append_new(out, m);
	}
	return out;
}

char *ice_name_mapping(const json_t *schema)
{
	json_t *map = map_fields(json_object_get(schema, "fields"));
	char *text = json_dumps(map, JSON_COMPACT);
	json_decref(map);
	return text;
}
