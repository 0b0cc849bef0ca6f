/* Implementation of schema.h. */
#include "base/system.h"
#include <strings.h>
#include <xxhash.h>
#include "lake/transcode/schema.h"

static const struct {
	const char *name;
	enum pq_kind kind;
} hidden[TRANSCODE_HIDDEN_COLUMNS] = {
	[TRANSCODE_BLOCK] = {"_tarn_block", PQ_INT32},
	[TRANSCODE_OFFSET] = {"_tarn_offset", PQ_INT32},
	[TRANSCODE_XMIN] = {"_tarn_xmin", PQ_INT64},
	[TRANSCODE_XMAX] = {"_tarn_xmax", PQ_INT64},
	[TRANSCODE_INFOMASK] = {"_tarn_infomask", PQ_INT32},
	[TRANSCODE_INFOMASK2] = {"_tarn_infomask2", PQ_INT32},
};

static enum pq_kind kind_of(enum lake_kind kind)
{
	static const enum pq_kind kinds[] = {[LAKE_BOOLEAN] = PQ_BOOLEAN,
					     [LAKE_INT32] = PQ_INT32,
					     [LAKE_INT64] = PQ_INT64,
					     [LAKE_FLOAT] = PQ_FLOAT,
					     [LAKE_DOUBLE] = PQ_DOUBLE,
					     [LAKE_DECIMAL] = PQ_DECIMAL,
					     [LAKE_STRING] = PQ_STRING,
					     [LAKE_BINARY] = PQ_BINARY,
					     [LAKE_UUID] = PQ_UUID,
					     [LAKE_DATE] = PQ_DATE,
					     [LAKE_TIME] = PQ_TIME,
					     [LAKE_TIMESTAMP] = PQ_TIMESTAMP,
					     [LAKE_TIMESTAMPTZ] = PQ_TIMESTAMPTZ,
					     [LAKE_LIST] = PQ_LIST};
	return kinds[kind];
}

/* ---- names ---- */

static bool name_taken(const struct transcode_schema *s, const char *name)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (strcasecmp(s->columns[i].name, name) == 0)
			return true;
	return false;
}

/* A column of ours gives way to the user's: engines compare names without regard to case. */
static const char *own_name(struct transcode_schema *s, const char *name)
{
	while (name_taken(s, name))
		name = tarn_arena_printf(&s->arena, "%s_", name);
	return name;
}

/* ---- columns ---- */

/* What a value looks like may change without the table's pages: an enum's label is renamed. */
static uint64_t form_of(const struct transcode_column *c)
{
	uint64_t h = XXH3_64bits(c->type, strlen(c->type));
	const struct lake_type *t = c->target.element ? c->target.element->type : c->target.type;
	h ^= (uint64_t)c->target.text << 1 | (uint64_t)c->target.raw << 2 |
	     (uint64_t)c->target.can_overflow << 3;
	if (t == NULL)
		return h;
	h = XXH3_64bits_withSeed(&t->oid, sizeof t->oid, h);
	for (uint32_t i = 0; i < t->nlabels; i++) {
		h = XXH3_64bits_withSeed(&t->labels[i].oid, sizeof t->labels[i].oid, h);
		h = XXH3_64bits_withSeed(t->labels[i].label, strlen(t->labels[i].label), h);
	}
	return h;
}

static void add_columns(struct transcode_schema *s, const struct lake_table *table)
{
	char name[128];
	s->columns = tarn_arena_zalloc(&s->arena, table->ncolumns * sizeof *s->columns + 1);
	for (uint16_t i = 0; i < table->ncolumns; i++) {
		const struct lake_column *from = &table->columns[i];
		struct transcode_column *c = &s->columns[s->count];
		if (from->dropped)
			continue;
		c->attnum = from->attnum;
		c->name = from->name;
		lake_target_init(&c->target, s->db, from);
		lake_target_name(&c->target, name, sizeof name);
		c->type = tarn_arena_strdup(&s->arena, name);
		c->form = form_of(c);
		c->overflow = c->target.can_overflow ? (int32_t)s->overflow_count++ : -1;
		s->count++;
	}
}

static struct pq_column *file_column(struct transcode_schema *s, const struct transcode_column *c)
{
	struct pq_column *to = &s->file_columns[s->file_column_count++];
	const struct lake_target *t = &c->target;
	to->name = c->name;
	to->field_id = c->attnum;
	to->kind = kind_of(t->kind);
	to->precision = t->precision;
	to->scale = t->scale;
	if (t->kind == LAKE_LIST) {
		struct pq_column *element = tarn_arena_zalloc(&s->arena, sizeof *element);
		element->name = "element";
		element->field_id = TRANSCODE_ID_ELEMENT + c->attnum;
		element->kind = kind_of(t->element->kind);
		element->precision = t->element->precision;
		element->scale = t->element->scale;
		to->children = element;
		to->nchildren = 1;
	}
	return to;
}

static void add_overflow(struct transcode_schema *s)
{
	if (s->overflow_count == 0)
		return;
	struct pq_column *children =
		tarn_arena_zalloc(&s->arena, s->overflow_count * sizeof *children);
	for (uint32_t i = 0; i < s->count; i++) {
		const struct transcode_column *c = &s->columns[i];
		if (c->overflow >= 0)
			children[c->overflow] = (struct pq_column){
				.name = c->name,
				.field_id = TRANSCODE_ID_OVERFLOW_CHILD + c->attnum,
				.kind = PQ_STRING};
	}
	s->file_columns[s->file_column_count++] =
		(struct pq_column){.name = own_name(s, "_overflow"),
				   .field_id = TRANSCODE_ID_OVERFLOW,
				   .kind = PQ_STRUCT,
				   .children = children,
				   .nchildren = s->overflow_count};
	s->overflow_leaf = s->count;
}

static void make_file_columns(struct transcode_schema *s)
{
	size_t most = s->count + 1 + TRANSCODE_HIDDEN_COLUMNS;
	s->file_columns = tarn_arena_zalloc(&s->arena, most * sizeof *s->file_columns);
	for (uint32_t i = 0; i < s->count; i++)
		file_column(s, &s->columns[i]);
	add_overflow(s);
	s->hidden_leaf = s->count + s->overflow_count;
	for (int i = 0; i < TRANSCODE_HIDDEN_COLUMNS; i++)
		s->file_columns[s->file_column_count++] =
			(struct pq_column){.name = own_name(s, hidden[i].name),
					   .field_id = TRANSCODE_ID_OWN + i,
					   .kind = hidden[i].kind,
					   .required = true};
}

/* ---- Iceberg ---- */

static json_t *field_json(int id, const char *name, json_t *type)
{
	return json_pack("{s:i,s:s,s:b,s:o}", "id", id, "name", name, "required", 0, "type", type);
}

static json_t *type_json(const struct transcode_column *c)
{
	char element[128];
	if (c->target.kind != LAKE_LIST)
		return json_string(c->type);
	lake_target_name(c->target.element, element, sizeof element);
	return json_pack("{s:s,s:i,s:s,s:b}", "type", "list", "element-id",
			 TRANSCODE_ID_ELEMENT + c->attnum, "element", element, "element-required",
			 0);
}

static json_t *overflow_json(const struct pq_column *c)
{
	json_t *fields = json_array();
	for (uint32_t i = 0; i < c->nchildren; i++)
		json_array_append_new(fields,
				      field_json(c->children[i].field_id, c->children[i].name,
						 json_string("string")));
	return field_json(c->field_id, c->name,
			  json_pack("{s:s,s:o}", "type", "struct", "fields", fields));
}

/* Names in another encoding than UTF-8 make no JSON: then the columns are named by number. */
static void make_iceberg(struct transcode_schema *s)
{
	json_t *fields = json_array();
	struct tarn_buf raw = TARN_BUF_INIT;
	for (uint32_t i = 0; i < s->count; i++) {
		const struct transcode_column *c = &s->columns[i];
		json_array_append_new(fields, field_json(c->attnum, c->name, type_json(c)));
		if (c->target.raw)
			tarn_buf_printf(&raw, "%s%s", raw.len ? "," : "", c->name);
	}
	if (s->overflow_count > 0)
		json_array_append_new(fields, overflow_json(&s->file_columns[s->count]));
	s->fields = json_dumps(fields, JSON_COMPACT);
	TARN_CHECK(s->fields != NULL);
	s->id = (int32_t)(XXH3_64bits(s->fields, strlen(s->fields)) & 0x3FFFFFFF);
	if (raw.len > 0)
		s->raw_list = tarn_arena_strdup(&s->arena, tarn_buf_cstr(&raw));
	tarn_buf_release(&raw);
	json_decref(fields);
}

static void name_by_number(struct transcode_schema *s)
{
	for (uint32_t i = 0; i < s->count; i++) {
		struct transcode_column *c = &s->columns[i];
		json_t *probe = json_string(c->name);
		if (probe == NULL)
			c->name = tarn_arena_printf(&s->arena, "column_%d", c->attnum);
		json_decref(probe);
	}
}

struct transcode_schema *transcode_schema_new(const struct lake_database *db,
					      const struct lake_table *table)
{
	struct transcode_schema *s = tarn_calloc(1, sizeof *s);
	tarn_arena_init(&s->arena);
	s->refs = 1;
	s->db = lake_database_ref(db);
	s->table = table;
	s->rel = table->rel;
	s->table_columns = table->ncolumns;
	add_columns(s, table);
	name_by_number(s);
	make_file_columns(s);
	make_iceberg(s);
	return s;
}

struct transcode_schema *transcode_schema_outline(const struct transcode_schema *from)
{
	struct transcode_schema *s = tarn_calloc(1, sizeof *s);
	tarn_arena_init(&s->arena);
	s->refs = 1;
	s->rel = from->rel;
	s->table_columns = from->table_columns;
	s->id = from->id;
	s->fields = tarn_strdup(from->fields);
	if (from->raw_list)
		s->raw_list = tarn_arena_strdup(&s->arena, from->raw_list);
	s->count = from->count;
	s->columns = tarn_arena_zalloc(&s->arena, s->count * sizeof *s->columns + 1);
	for (uint32_t i = 0; i < s->count; i++) {
		s->columns[i].attnum = from->columns[i].attnum;
		s->columns[i].name = tarn_arena_strdup(&s->arena, from->columns[i].name);
		s->columns[i].form = from->columns[i].form;
	}
	return s;
}

struct transcode_schema *transcode_schema_ref(struct transcode_schema *s)
{
	__atomic_fetch_add(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

void transcode_schema_release(struct transcode_schema *s)
{
	if (s == NULL || __atomic_fetch_sub(&s->refs, 1, __ATOMIC_ACQ_REL) > 1)
		return;
	for (uint32_t i = 0; i < s->count; i++)
		lake_target_release(&s->columns[i].target);
	lake_database_release(s->db);
	tarn_arena_release(&s->arena);
	free(s->fields);
	free(s);
}

static const struct transcode_column *find(const struct transcode_schema *s, int16_t attnum)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (s->columns[i].attnum == attnum)
			return &s->columns[i];
	return NULL;
}

bool transcode_schema_reads(const struct transcode_schema *now, const struct transcode_schema *old)
{
	for (uint32_t i = 0; i < now->count; i++) {
		const struct transcode_column *c = find(old, now->columns[i].attnum);
		if (c == NULL || c->form != now->columns[i].form)
			return false;
	}
	return true;
}
