/* Parsing of table_state.h. The pageserver is ours, but its answer crossed a network: all is checked. */
#include "base/system.h"
#include "lake/catalog/table_state.h"
#include <xxhash.h>

static int bad(struct tarn_error *err, const char *what)
{
	return tarn_fail(err, TARN_E_PROTOCOL, "the pageserver's table state has %s", what);
}

static int get_text(const json_t *j, const char *key, const char **out, struct tarn_error *err)
{
	*out = json_string_value(json_object_get(j, key));
	if (*out && **out)
		return 0;
	return tarn_fail(err, TARN_E_PROTOCOL, "the pageserver's table state lacks the text \"%s\"",
			 key);
}

static int get_count(const json_t *j, const char *key, int64_t max, int64_t *out,
		     struct tarn_error *err)
{
	const json_t *v = json_object_get(j, key);
	*out = json_integer_value(v);
	if (json_is_integer(v) && *out >= 0 && *out <= max)
		return 0;
	return tarn_fail(err, TARN_E_PROTOCOL,
			 "the pageserver's table state lacks a valid number \"%s\"", key);
}

static int get_lsn(const json_t *j, const char *key, tarn_lsn *out, struct tarn_error *err)
{
	const char *text;
	TRY(get_text(j, key, &text, err));
	return tarn_lsn_parse(text, out) ? 0 : bad(err, "a malformed LSN");
}

static int hex_nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int get_bound(struct tarn_arena *a, const json_t *j, const char *key, struct ice_bytes *out,
		     struct tarn_error *err)
{
	const json_t *v = json_object_get(j, key);
	const char *hex = json_string_value(v);
	out->data = NULL;
	out->len = 0;
	if (!v || json_is_null(v))
		return 0;
	size_t digits = json_string_length(v);
	if (!hex || digits % 2 || digits > 2 * KIB)
		return bad(err, "a malformed column bound");
	uint8_t *p = tarn_arena_alloc(a, digits / 2 + 1);
	for (size_t i = 0; i < digits; i += 2) {
		int hi = hex_nibble(hex[i]), lo = hex_nibble(hex[i + 1]);
		if (hi < 0 || lo < 0)
			return bad(err, "a malformed column bound");
		p[i / 2] = (uint8_t)(hi << 4 | lo);
	}
	out->data = p;
	out->len = digits / 2;
	return 0;
}

static int64_t optional_count(const json_t *j, const char *key)
{
	const json_t *v = json_object_get(j, key);
	return json_is_integer(v) ? json_integer_value(v) : -1;
}

static int parse_stats(struct tarn_arena *a, json_t *columns, struct ice_file *f,
		       struct tarn_error *err)
{
	const char *id;
	json_t *c;
	size_t n = json_object_size(columns), i = 0;
	if (n > TABLE_MAX_COLUMNS)
		return bad(err, "too many columns");
	struct ice_stats *stats = tarn_arena_zalloc(a, n * sizeof *stats + 1);
	json_object_foreach(columns, id, c)
	{
		uint64_t field;
		if (!tarn_parse_u64(id, INT32_MAX, &field))
			return bad(err, "a malformed field id");
		struct ice_stats *s = &stats[i++];
		s->field_id = (int32_t)field;
		s->bytes = optional_count(c, "bytes");
		s->values = optional_count(c, "values");
		s->nulls = optional_count(c, "nulls");
		TRY(get_bound(a, c, "lower", &s->lower, err));
		TRY(get_bound(a, c, "upper", &s->upper, err));
	}
	f->stats = stats;
	f->stats_count = n;
	return 0;
}

static const char *uri_of(struct tarn_arena *a, const struct objstore *store, const char *key)
{
	char *uri = objstore_uri(store, key);
	const char *copy = tarn_arena_strdup(a, uri);
	free(uri);
	return copy;
}

static int parse_file(struct table_state *s, const struct objstore *store, const json_t *j,
		      struct ice_file *f, struct tarn_error *err)
{
	const char *key;
	TRY(get_text(j, "key", &key, err));
	TRY(get_count(j, "rows", INT64_MAX, &f->rows, err));
	TRY(get_count(j, "bytes", INT64_MAX, &f->bytes, err));
	f->path = uri_of(&s->arena, store, key);
	if (f->content == ICE_DATA)
		return parse_stats(&s->arena, json_object_get(j, "columns"), f, err);
	const char *target = json_string_value(json_object_get(j, "data_file"));
	if (target)
		f->referenced_data_file = uri_of(&s->arena, store, target);
	return 0;
}

static void add_file(struct file_list *l, const struct ice_file *f)
{
	l->files[l->count++] = *f;
	l->rows += f->rows;
	l->bytes += f->bytes;
}

static int parse_files(struct table_state *s, const struct objstore *store, struct tarn_error *err)
{
	const json_t *data = json_object_get(s->json, "data_files");
	const json_t *deletes = json_object_get(s->json, "delete_files");
	size_t n = json_array_size(data), m = json_array_size(deletes), i;
	json_t *j;
	if (!json_is_array(data) || n + m > TABLE_MAX_FILES)
		return bad(err, "no files, or too many");
	s->columnar.files = tarn_arena_alloc(&s->arena, n * sizeof(struct ice_file) + 1);
	s->tails.files = tarn_arena_alloc(&s->arena, n * sizeof(struct ice_file) + 1);
	s->deletes.files = tarn_arena_alloc(&s->arena, m * sizeof(struct ice_file) + 1);
	json_array_foreach((json_t *)(uintptr_t)data, i, j)
	{
		const char *kind = json_string_value(json_object_get(j, "kind"));
		struct ice_file f = {.content = ICE_DATA};
		TRY(parse_file(s, store, j, &f, err));
		add_file(kind && strcmp(kind, "columnar") == 0 ? &s->columnar : &s->tails, &f);
	}
	json_array_foreach((json_t *)(uintptr_t)deletes, i, j)
	{
		struct ice_file f = {.content = ICE_DELETES};
		TRY(parse_file(s, store, j, &f, err));
		add_file(&s->deletes, &f);
	}
	return 0;
}

static int parse_schemas(struct table_state *s, struct tarn_error *err)
{
	json_t *schemas = json_object_get(s->json, "schemas"), *schema;
	int64_t id;
	size_t i;
	TRY(get_count(s->json, "schema_id", INT32_MAX, &id, err));
	s->schema_id = (int32_t)id;
	TRY(get_count(s->json, "last_column_id", INT32_MAX, &id, err));
	s->last_column_id = (int32_t)id;
	json_array_foreach(schemas, i, schema)
	{
		if (!json_is_array(json_object_get(schema, "fields")))
			return bad(err, "a schema without fields");
		json_object_set_new(schema, "type", json_string("struct"));
		if (json_integer_value(json_object_get(schema, "schema-id")) == s->schema_id)
			s->current_schema = schema;
	}
	s->schemas = schemas;
	return s->current_schema ? 0 : bad(err, "no schema with the id of schema_id");
}

static int hash_chunk(const char *text, size_t len, void *arg)
{
	return XXH3_64bits_update(arg, text, len) == XXH_OK ? 0 : -1;
}

static uint64_t hash_json(const json_t *j)
{
	XXH3_state_t *h = XXH3_createState();
	TARN_CHECK(h != NULL);
	XXH3_64bits_reset(h);
	json_dump_callback(j, hash_chunk, h, JSON_SORT_KEYS | JSON_COMPACT);
	uint64_t v = XXH3_64bits_digest(h);
	XXH3_freeState(h);
	return v;
}

static int parse(struct table_state *s, const struct objstore *store, struct tarn_error *err)
{
	TRY(get_lsn(s->json, "lsn", &s->lsn, err));
	TRY(get_lsn(s->json, "changed_lsn", &s->changed_lsn, err));
	TRY(get_text(s->json, "database", &s->database, err));
	TRY(get_text(s->json, "schema", &s->schema, err));
	TRY(get_text(s->json, "table", &s->table, err));
	TRY(get_text(s->json, "table_uuid", &s->uuid, err));
	TRY(get_text(s->json, "location", &s->location, err));
	TRY(get_count(s->json, "rows", INT64_MAX, &s->rows, err));
	if (s->changed_lsn > s->lsn || s->lsn > INT64_MAX)
		return bad(err, "a change from the future");
	json_object_del(s->json, "lsn");
	s->hash = hash_json(s->json);
	TRY(parse_schemas(s, err));
	s->properties = json_object_get(s->json, "properties");
	return parse_files(s, store, err);
}

int table_state_parse(const void *text, size_t len, const struct objstore *store,
		      struct table_state **out, struct tarn_error *err)
{
	json_error_t e;
	json_t *j = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
	*out = NULL;
	if (!j)
		return tarn_fail(err, TARN_E_PROTOCOL,
				 "the pageserver's table state is no JSON: %s", e.text);
	struct table_state *s = tarn_calloc(1, sizeof *s);
	tarn_arena_init(&s->arena);
	s->json = j;
	int rc = parse(s, store, err);
	if (rc != 0) {
		table_state_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void table_state_free(struct table_state *s)
{
	if (!s)
		return;
	tarn_arena_release(&s->arena);
	json_decref(s->json);
	free(s);
}
