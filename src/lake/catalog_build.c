/* Implementation of catalog_build.h. */
#include "base/system.h"
#include "lake/catalog_build.h"
#include "lake/catalog_rows.h"

#define HEAP_ACCESS_METHOD 2u

struct build {
	struct lake_database_built *out;
	struct catalog_rows rows;
	/* All columns of all relations, in the order of rows.attributes: a table and its row type
	 * share a slice. */
	struct lake_column *columns;
	struct pg_attr *attrs;
};

static struct tarn_arena *arena_of(struct build *b)
{
	return &b->out->arena;
}

/* ---- types ---- */

static void make_types(struct build *b)
{
	struct lake_database *db = &b->out->db;
	size_t count = b->rows.types.count;
	db->ntypes = (uint32_t)count;
	db->types = tarn_arena_alloc(arena_of(b), count * sizeof *db->types);
	if (count > 0)
		memcpy(db->types, b->rows.types.items, count * sizeof *db->types);
}

static struct lake_type *find_type(struct build *b, uint32_t oid)
{
	return (struct lake_type *)lake_database_type(&b->out->db, oid);
}

static void attach_labels(struct build *b)
{
	struct enum_row *rows = b->rows.enums.items;
	size_t count = b->rows.enums.count, end;
	for (size_t i = 0; i < count; i = end) {
		for (end = i + 1; end < count && rows[end].type_oid == rows[i].type_oid;)
			end++;
		struct lake_type *t = find_type(b, rows[i].type_oid);
		if (t == NULL)
			continue;
		t->nlabels = (uint32_t)(end - i);
		t->labels = tarn_arena_alloc(arena_of(b), (end - i) * sizeof *t->labels);
		for (size_t j = i; j < end; j++)
			t->labels[j - i] = rows[j].label;
	}
}

static void attach_ranges(struct build *b)
{
	const struct range_row *rows = b->rows.ranges.items;
	for (size_t i = 0; i < b->rows.ranges.count; i++) {
		struct lake_type *range = find_type(b, rows[i].type_oid);
		struct lake_type *multirange = find_type(b, rows[i].multirange_oid);
		if (range != NULL)
			range->range_sub = rows[i].subtype_oid;
		if (multirange != NULL)
			multirange->range_sub = rows[i].type_oid;
	}
}

/* ---- columns ---- */

static int make_columns(struct build *b, struct tarn_error *err)
{
	const struct attribute_row *rows = b->rows.attributes.items;
	size_t count = b->rows.attributes.count;
	b->columns = tarn_arena_alloc(arena_of(b), count * sizeof *b->columns);
	b->attrs = tarn_arena_alloc(arena_of(b), count * sizeof *b->attrs);
	for (size_t i = 0; i < count; i++) {
		struct lake_column *c = &b->columns[i];
		*c = rows[i].column;
		b->attrs[i] = rows[i].attr;
		if (c->dropped)
			continue;
		c->type = find_type(b, c->type_oid);
		/* Columns of indexes may be of pseudo-types, but those have rows too. */
		if (c->type == NULL)
			return tarn_fail(err, TARN_E_CORRUPT,
					 "column %d of relation %u is of type %u, which is not in "
					 "pg_type",
					 c->attnum, rows[i].relid, c->type_oid);
	}
	return 0;
}

/* The place of a relation's first column; all of them are there, without gaps. */
static int find_columns(struct build *b, const struct class_row *class, size_t *first,
			struct tarn_error *err)
{
	const struct attribute_row *rows = b->rows.attributes.items;
	size_t low = 0, high = b->rows.attributes.count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (rows[mid].relid < class->oid)
			low = mid + 1;
		else
			high = mid;
	}
	*first = low;
	for (size_t i = 0; i < class->natts; i++)
		if (low + i >= b->rows.attributes.count || rows[low + i].relid != class->oid ||
		    rows[low + i].column.attnum != (int16_t)(i + 1))
			return tarn_fail(
				err, TARN_E_CORRUPT,
				"pg_attribute has no column %zu of relation %u (%s), which "
				"has %u columns",
				i + 1, class->oid, class->name, class->natts);
	return 0;
}

static int attach_composites(struct build *b, struct tarn_error *err)
{
	struct lake_database *db = &b->out->db;
	for (uint32_t i = 0; i < db->ntypes; i++) {
		struct lake_type *t = &db->types[i];
		if (t->relid == 0)
			continue;
		const struct class_row *class = catalog_class(&b->rows, t->relid);
		if (class == NULL)
			return tarn_fail(err, TARN_E_CORRUPT,
					 "type %u (%s) is the row of relation %u, which is not in "
					 "pg_class",
					 t->oid, t->name, t->relid);
		size_t first;
		TRY(find_columns(b, class, &first, err));
		t->columns = b->columns + first;
		t->ncolumns = class->natts;
	}
	return 0;
}

/* ---- tables ---- */

/* NULL for the schemas that are not the user's. */
static char *user_schema(const struct build *b, uint32_t oid)
{
	static const char *const hidden[] = {"pg_catalog", "information_schema", "pg_toast"};
	const struct namespace_row *row = catalog_namespace(&b->rows, oid);
	if (row == NULL)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(hidden); i++)
		if (strcmp(row->name, hidden[i]) == 0)
			return NULL;
	if (strncmp(row->name, "pg_temp_", 8) == 0 || strncmp(row->name, "pg_toast_temp_", 14) == 0)
		return NULL;
	return row->name;
}

/* Tables of other access methods have pages that are not heap pages. */
static bool listed(const struct build *b, const struct class_row *class)
{
	return (class->kind == 'r' || class->kind == 'm') && class->persistence == 'p' &&
	       class->access_method == HEAP_ACCESS_METHOD && class->filenode != 0 &&
	       user_schema(b, class->schema_oid) != NULL;
}

static struct lake_rel file_of(const struct build *b, const struct class_row *class)
{
	const struct lake_database *db = &b->out->db;
	return (struct lake_rel){class->spc != 0 ? class->spc : db->spc, db->oid, class->filenode};
}

/* The relation's first index, or the end. */
static size_t first_index(const struct build *b, uint32_t relid)
{
	const struct index_row *rows = b->rows.indexes.items;
	size_t low = 0, high = b->rows.indexes.count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (rows[mid].relid < relid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int attach_toast(struct build *b, const struct class_row *class, struct lake_table *t,
			struct tarn_error *err)
{
	const struct index_row *indexes = b->rows.indexes.items;
	if (class->toast_relid == 0)
		return 0;
	const struct class_row *toast = catalog_class(&b->rows, class->toast_relid);
	if (toast == NULL || toast->filenode == 0)
		return tarn_fail(err, TARN_E_CORRUPT,
				 "table %u (%s) has the TOAST relation %u, which has no file",
				 class->oid, class->name, class->toast_relid);
	t->toast_relid = class->toast_relid;
	t->toast = file_of(b, toast);
	for (size_t i = first_index(b, toast->oid);
	     i < b->rows.indexes.count && indexes[i].relid == toast->oid; i++) {
		/* While it is rebuilt concurrently there are two. */
		const struct class_row *index =
			indexes[i].valid ? catalog_class(&b->rows, indexes[i].oid) : NULL;
		if (index != NULL && index->filenode != 0) {
			t->toast_index = file_of(b, index);
			return 0;
		}
	}
	return tarn_fail(err, TARN_E_CORRUPT, "the TOAST relation %u has no valid index",
			 toast->oid);
}

static int attach_primary_key(struct build *b, struct lake_table *t, struct tarn_error *err)
{
	const struct index_row *indexes = b->rows.indexes.items;
	for (size_t i = first_index(b, t->relid);
	     i < b->rows.indexes.count && indexes[i].relid == t->relid; i++) {
		if (!indexes[i].primary || !indexes[i].valid)
			continue;
		for (uint16_t k = 0; k < indexes[i].nkeys; k++) {
			int16_t attnum = indexes[i].keys[k];
			if (attnum <= 0 || attnum > t->ncolumns || t->columns[attnum - 1].dropped)
				return tarn_fail(err, TARN_E_CORRUPT,
						 "the primary key of table %u (%s) has a column %d",
						 t->relid, t->name, attnum);
		}
		t->nprimary_key = indexes[i].nkeys;
		t->primary_key = indexes[i].keys;
		return 0;
	}
	return 0;
}

static int make_table(struct build *b, const struct class_row *class, struct lake_table *t,
		      struct tarn_error *err)
{
	size_t first;
	memset(t, 0, sizeof *t);
	TRY(find_columns(b, class, &first, err));
	t->relid = class->oid;
	t->schema = user_schema(b, class->schema_oid);
	t->name = class->name;
	t->relkind = class->kind;
	t->rel = file_of(b, class);
	t->ncolumns = class->natts;
	t->columns = b->columns + first;
	t->attrs = b->attrs + first;
	t->is_partition = class->is_partition;
	t->row_security = class->row_security;
	TRY(attach_toast(b, class, t, err));
	return attach_primary_key(b, t, err);
}

static int compare_names(const void *a, const void *b)
{
	const struct lake_table *x = *(struct lake_table *const *)a,
				*y = *(struct lake_table *const *)b;
	int order = strcmp(x->schema, y->schema);
	return order != 0 ? order : strcmp(x->name, y->name);
}

static int make_tables(struct build *b, struct tarn_error *err)
{
	const struct class_row *classes = b->rows.classes.items;
	struct lake_database *db = &b->out->db;
	uint32_t count = 0;
	for (size_t i = 0; i < b->rows.classes.count; i++)
		count += listed(b, &classes[i]);
	db->tables = tarn_arena_alloc(arena_of(b), count * sizeof *db->tables);
	db->by_name = tarn_arena_alloc(arena_of(b), count * sizeof *db->by_name);
	for (size_t i = 0; i < b->rows.classes.count; i++) {
		if (!listed(b, &classes[i]))
			continue;
		TRY(make_table(b, &classes[i], &db->tables[db->ntables], err));
		db->by_name[db->ntables] = &db->tables[db->ntables];
		db->ntables++;
	}
	if (count > 1)
		qsort(db->by_name, count, sizeof *db->by_name, compare_names);
	return 0;
}

/* ---- all ---- */

static int build_all(struct build *b, struct lake_snapshot *s, struct tarn_error *err)
{
	struct lake_database *db = &b->out->db;
	TRY(catalog_rows_read(&b->rows, arena_of(b), s, db->spc, db->oid, err));
	make_types(b);
	attach_labels(b);
	attach_ranges(b);
	TRY(make_columns(b, err));
	TRY(attach_composites(b, err));
	return make_tables(b, err);
}

int lake_catalog_build(struct lake_snapshot *s, const struct lake_database_name *name,
		       struct lake_database_built **out, struct tarn_error *err)
{
	struct build b = {.out = tarn_calloc(1, sizeof *b.out)};
	struct lake_database *db = &b.out->db;
	tarn_arena_init(arena_of(&b));
	db->oid = name->oid;
	db->spc = name->spc;
	db->name = tarn_arena_strdup(arena_of(&b), name->name);
	db->lsn = lake_snapshot_lsn(s);
	db->refs = 1;
	int rc = build_all(&b, s, err);
	if (rc == 0) {
		memcpy(b.out->files, b.rows.files, sizeof b.out->files);
		b.out->pending = b.rows.pending;
		b.rows.pending = (struct lake_pending){0};
		*out = b.out;
	} else {
		lake_catalog_build_free(b.out);
	}
	catalog_rows_release(&b.rows);
	return rc;
}

void lake_catalog_build_free(struct lake_database_built *b)
{
	lake_pending_release(&b->pending);
	tarn_arena_release(&b->arena);
	free(b);
}
