/* Implementation of catalog_rows.h. */
#include "base/system.h"
#include "lake/catalog_rows.h"
#include "pg/relmap.h"

#define SPC_GLOBAL 1664u
#define MAX_INDEX_KEYS 32u
/* pg_proc.oid of array_subscript_handler */
#define ARRAY_SUBSCRIPT_HANDLER 6179u
/* In an array, after the varlena header: dimensions, offset of data, element type; then for one
 * dimension its length and lower bound. */
#define ARRAY_1D_BYTES 20u

/* ---- columns ---- */

static uint32_t get_oid(const struct pg_datum *columns, int i)
{
	return get_le32(columns[i].bytes);
}

static int16_t get_short(const struct pg_datum *columns, int i)
{
	return (int16_t)get_le16(columns[i].bytes);
}

static char get_letter(const struct pg_datum *columns, int i)
{
	return (char)columns[i].bytes[0];
}

static bool get_flag(const struct pg_datum *columns, int i)
{
	return columns[i].bytes[0] != 0;
}

static char *get_name(struct tarn_arena *arena, const struct pg_datum *columns, int i)
{
	size_t len = strnlen((const char *)columns[i].bytes, columns[i].len);
	char *name = tarn_arena_alloc(arena, len + 1);
	memcpy(name, columns[i].bytes, len);
	name[len] = 0;
	return name;
}

static int get_layout(const struct pg_datum *columns, int len, int align, int16_t *out_len,
		      uint8_t *out_align, struct tarn_error *err)
{
	*out_len = get_short(columns, len);
	*out_align = pg_align_of(get_letter(columns, align));
	if (*out_len == 0 || *out_len < -2 || *out_align == 0)
		return tarn_fail(err, TARN_E_CORRUPT, "length %d and alignment '%c' are impossible",
				 *out_len, get_letter(columns, align));
	return 0;
}

/* A new row at the end, zeroed; valid until the next. */
static void *vec_add(struct catalog_vec *v, size_t size)
{
	if (v->count == v->cap) {
		v->cap = v->cap == 0 ? 256 : v->cap * 2;
		v->items = tarn_realloc(v->items, v->cap * size);
	}
	return memset((uint8_t *)v->items + v->count++ * size, 0, size);
}

static void vec_sort(struct catalog_vec *v, size_t size, int (*compare)(const void *, const void *))
{
	if (v->count > 1)
		qsort(v->items, v->count, size, compare);
}

/* ---- one row ---- */

static int add_class(void *arg, const struct pg_datum *c, struct tarn_error *err)
{
	struct catalog_rows *rows = arg;
	int16_t natts = get_short(c, PG_CLASS_RELNATTS);
	if (natts < 0 || natts > (int16_t)PG_MAX_ATTRIBUTES)
		return tarn_fail(err, TARN_E_CORRUPT, "a relation with %d columns", natts);
	struct class_row *row = vec_add(&rows->classes, sizeof *row);
	row->oid = get_oid(c, PG_CLASS_OID);
	row->name = get_name(rows->arena, c, PG_CLASS_RELNAME);
	row->schema_oid = get_oid(c, PG_CLASS_RELNAMESPACE);
	row->access_method = get_oid(c, PG_CLASS_RELAM);
	row->filenode = get_oid(c, PG_CLASS_RELFILENODE);
	row->spc = get_oid(c, PG_CLASS_RELTABLESPACE);
	row->toast_relid = get_oid(c, PG_CLASS_RELTOASTRELID);
	row->natts = (uint16_t)natts;
	row->persistence = get_letter(c, PG_CLASS_RELPERSISTENCE);
	row->kind = get_letter(c, PG_CLASS_RELKIND);
	row->row_security = get_flag(c, PG_CLASS_RELROWSECURITY);
	row->is_partition = get_flag(c, PG_CLASS_RELISPARTITION);
	return 0;
}

/* The payload of an array of one dimension that may be compressed; scratch receives it then. */
static int open_array(struct pg_datum d, struct tarn_buf *scratch, const uint8_t **payload,
		      size_t *len, struct tarn_error *err)
{
	struct varlena v;
	TRY(varlena_parse(d, &v, err));
	if (v.form == VARLENA_EXTERNAL)
		return tarn_fail(err, TARN_E_CORRUPT, "an array in a catalog is out of line");
	if (v.form == VARLENA_COMPRESSED) {
		TRY(varlena_decompress(v.method, v.payload, v.payload_len, v.raw_len, scratch,
				       err));
		*payload = scratch->data;
		*len = scratch->len;
	} else {
		*payload = v.payload;
		*len = v.payload_len;
	}
	if (*len < ARRAY_1D_BYTES || get_le32(*payload) != 1 || get_le32(*payload + 4) != 0)
		return tarn_fail(err, TARN_E_CORRUPT,
				 "an array in a catalog is not of one dimension without NULLs");
	return 0;
}

int catalog_missing_value(struct pg_datum array, struct pg_attr *attr, struct tarn_arena *arena,
			  struct tarn_error *err)
{
	struct tarn_buf scratch = TARN_BUF_INIT;
	struct pg_datum element;
	const uint8_t *payload;
	size_t len, offset = 0;
	int rc;
	TRY_GOTO(rc, open_array(array, &scratch, &payload, &len, err), out);
	if (get_le32(payload + 12) != 1) {
		rc = tarn_fail(err, TARN_E_CORRUPT, "attmissingval has %u elements",
			       get_le32(payload + 12));
		goto out;
	}
	/* With the array's header of 4 bytes the element lies at 24: aligned for every type. */
	TRY_GOTO(rc,
		 pg_datum_next(payload + ARRAY_1D_BYTES, len - ARRAY_1D_BYTES, &offset, attr,
			       &element, err),
		 out);
	attr->missing = tarn_arena_memdup(arena, element.bytes, element.len);
	attr->missing_len = element.len;
out:
	tarn_buf_release(&scratch);
	return rc;
}

static int add_attribute(void *arg, const struct pg_datum *c, struct tarn_error *err)
{
	struct catalog_rows *rows = arg;
	int16_t attnum = get_short(c, PG_ATTRIBUTE_ATTNUM);
	if (attnum <= 0)
		return 0;
	struct attribute_row *row = vec_add(&rows->attributes, sizeof *row);
	struct lake_column *column = &row->column;
	struct pg_attr *attr = &row->attr;
	row->relid = get_oid(c, PG_ATTRIBUTE_ATTRELID);
	column->attnum = attnum;
	column->name = get_name(rows->arena, c, PG_ATTRIBUTE_ATTNAME);
	column->type_oid = get_oid(c, PG_ATTRIBUTE_ATTTYPID);
	column->typmod = (int32_t)get_oid(c, PG_ATTRIBUTE_ATTTYPMOD);
	column->storage = get_letter(c, PG_ATTRIBUTE_ATTSTORAGE);
	column->not_null = get_flag(c, PG_ATTRIBUTE_ATTNOTNULL);
	column->dropped = attr->dropped = get_flag(c, PG_ATTRIBUTE_ATTISDROPPED);
	column->generated = get_letter(c, PG_ATTRIBUTE_ATTGENERATED) != 0;
	attr->byval = get_flag(c, PG_ATTRIBUTE_ATTBYVAL);
	TRY(get_layout(c, PG_ATTRIBUTE_ATTLEN, PG_ATTRIBUTE_ATTALIGN, &attr->len, &attr->align,
		       err));
	if (get_flag(c, PG_ATTRIBUTE_ATTHASMISSING) && c[PG_ATTRIBUTE_ATTMISSINGVAL].bytes != NULL)
		TRY(catalog_missing_value(c[PG_ATTRIBUTE_ATTMISSINGVAL], attr, rows->arena, err));
	return 0;
}

static int add_type(void *arg, const struct pg_datum *c, struct tarn_error *err)
{
	struct catalog_rows *rows = arg;
	struct lake_type *t = vec_add(&rows->types, sizeof *t);
	t->oid = get_oid(c, PG_TYPE_OID);
	t->name = get_name(rows->arena, c, PG_TYPE_TYPNAME);
	t->schema_oid = get_oid(c, PG_TYPE_TYPNAMESPACE);
	t->byval = get_flag(c, PG_TYPE_TYPBYVAL);
	t->typtype = get_letter(c, PG_TYPE_TYPTYPE);
	t->category = get_letter(c, PG_TYPE_TYPCATEGORY);
	t->delim = get_letter(c, PG_TYPE_TYPDELIM);
	if (get_oid(c, PG_TYPE_TYPSUBSCRIPT) == ARRAY_SUBSCRIPT_HANDLER)
		t->elem = get_oid(c, PG_TYPE_TYPELEM);
	if (t->typtype == 'd') {
		t->base = get_oid(c, PG_TYPE_TYPBASETYPE);
		t->typmod = (int32_t)get_oid(c, PG_TYPE_TYPTYPMOD);
	} else {
		t->typmod = -1;
	}
	if (t->typtype == 'c')
		t->relid = get_oid(c, PG_TYPE_TYPRELID);
	return get_layout(c, PG_TYPE_TYPLEN, PG_TYPE_TYPALIGN, &t->len, &t->align, err);
}

static int add_namespace(void *arg, const struct pg_datum *c, struct tarn_error *err)
{
	struct catalog_rows *rows = arg;
	struct namespace_row *row = vec_add(&rows->namespaces, sizeof *row);
	(void)err;
	row->oid = get_oid(c, PG_NAMESPACE_OID);
	row->name = get_name(rows->arena, c, PG_NAMESPACE_NSPNAME);
	return 0;
}

static int add_index(void *arg, const struct pg_datum *c, struct tarn_error *err)
{
	struct catalog_rows *rows = arg;
	struct index_row *row = vec_add(&rows->indexes, sizeof *row);
	row->oid = get_oid(c, PG_INDEX_INDEXRELID);
	row->relid = get_oid(c, PG_INDEX_INDRELID);
	row->primary = get_flag(c, PG_INDEX_INDISPRIMARY);
	row->valid = get_flag(c, PG_INDEX_INDISVALID);
	if (!row->primary)
		return 0;
	uint16_t nkeys = get_le16(c[PG_INDEX_INDNKEYATTS].bytes);
	struct tarn_buf scratch = TARN_BUF_INIT;
	const uint8_t *payload;
	size_t len;
	int rc = c[PG_INDEX_INDKEY].bytes == NULL
			 ? tarn_fail(err, TARN_E_CORRUPT, "indkey is NULL")
			 : open_array(c[PG_INDEX_INDKEY], &scratch, &payload, &len, err);
	if (rc == 0 && (nkeys == 0 || nkeys > MAX_INDEX_KEYS || get_le32(payload + 12) < nkeys ||
			len < ARRAY_1D_BYTES + 2u * nkeys))
		rc = tarn_fail(err, TARN_E_CORRUPT, "indkey does not hold %u columns", nkeys);
	if (rc == 0) {
		row->nkeys = nkeys;
		row->keys = tarn_arena_memdup(rows->arena, payload + ARRAY_1D_BYTES,
					      nkeys * sizeof *row->keys);
	}
	tarn_buf_release(&scratch);
	return rc;
}

static int add_enum(void *arg, const struct pg_datum *c, struct tarn_error *err)
{
	struct catalog_rows *rows = arg;
	struct enum_row *row = vec_add(&rows->enums, sizeof *row);
	(void)err;
	row->type_oid = get_oid(c, PG_ENUM_ENUMTYPID);
	row->label.oid = get_oid(c, PG_ENUM_OID);
	memcpy(&row->label.sort_order, c[PG_ENUM_ENUMSORTORDER].bytes, 4);
	row->label.label = get_name(rows->arena, c, PG_ENUM_ENUMLABEL);
	return 0;
}

static int add_range(void *arg, const struct pg_datum *c, struct tarn_error *err)
{
	struct catalog_rows *rows = arg;
	struct range_row *row = vec_add(&rows->ranges, sizeof *row);
	(void)err;
	row->type_oid = get_oid(c, PG_RANGE_RNGTYPID);
	row->subtype_oid = get_oid(c, PG_RANGE_RNGSUBTYPE);
	row->multirange_oid = get_oid(c, PG_RANGE_RNGMULTITYPID);
	return 0;
}

/* ---- order ---- */

static int by_number(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* Rows of these kinds begin with their oid. */
static int compare_oids(const void *a, const void *b)
{
	return by_number(get_le32(a), get_le32(b));
}
_Static_assert(offsetof(struct class_row, oid) == 0, "compare_oids");
_Static_assert(offsetof(struct lake_type, oid) == 0, "compare_oids");
_Static_assert(offsetof(struct namespace_row, oid) == 0, "compare_oids");

static int compare_attributes(const void *a, const void *b)
{
	const struct attribute_row *x = a, *y = b;
	return by_number((uint64_t)x->relid << 16 | (uint16_t)x->column.attnum,
			 (uint64_t)y->relid << 16 | (uint16_t)y->column.attnum);
}

static int compare_indexes(const void *a, const void *b)
{
	const struct index_row *x = a, *y = b;
	return by_number((uint64_t)x->relid << 32 | x->oid, (uint64_t)y->relid << 32 | y->oid);
}

static int compare_enums(const void *a, const void *b)
{
	const struct enum_row *x = a, *y = b;
	return by_number((uint64_t)x->type_oid << 32 | x->label.oid,
			 (uint64_t)y->type_oid << 32 | y->label.oid);
}

const struct class_row *catalog_class(const struct catalog_rows *rows, uint32_t oid)
{
	const struct catalog_vec *v = &rows->classes;
	return v->count == 0
		       ? NULL
		       : bsearch(&oid, v->items, v->count, sizeof(struct class_row), compare_oids);
}

const struct namespace_row *catalog_namespace(const struct catalog_rows *rows, uint32_t oid)
{
	const struct catalog_vec *v = &rows->namespaces;
	return v->count == 0 ? NULL
			     : bsearch(&oid, v->items, v->count, sizeof(struct namespace_row),
				       compare_oids);
}

/* ---- reading ---- */

int catalog_mapped_files(struct lake_snapshot *s, uint32_t spc, uint32_t db,
			 struct lake_rel files[LAKE_CATALOG_TABLES], struct tarn_error *err)
{
	const struct lake_source *source = lake_snapshot_source(s);
	static const enum lake_catalog_table local[] = {LAKE_PG_CLASS, LAKE_PG_ATTRIBUTE,
							LAKE_PG_TYPE},
					     shared[] = {LAKE_PG_DATABASE};
	uint8_t bytes[PG_RELMAP_BYTES];
	struct pg_relmap map;
	bool absent;
	memset(files, 0, LAKE_CATALOG_TABLES * sizeof *files);
	TRY(source->relmap(source->arg, spc, db, lake_snapshot_lsn(s), bytes, &absent, err));
	if (absent)
		return tarn_fail(err, TARN_E_NOT_FOUND, "database %u has no relation map", db);
	if (pg_relmap_parse(bytes, &map, err) != 0)
		return tarn_error_prefix(err, "database %u", db);
	const enum lake_catalog_table *list = db == 0 ? shared : local;
	for (size_t i = 0; i < (db == 0 ? ARRAY_LEN(shared) : ARRAY_LEN(local)); i++) {
		uint32_t filenode = pg_relmap_filenode(&map, lake_catalog_oid(list[i]));
		if (filenode == 0)
			return tarn_fail(err, TARN_E_CORRUPT,
					 "the relation map of database %u does not name %s", db,
					 lake_catalog_name(list[i]));
		files[list[i]] = (struct lake_rel){spc, db, filenode};
	}
	return 0;
}

/* Every relation but the mapped ones is found through pg_class. */
static int find_file(struct catalog_rows *rows, enum lake_catalog_table which, uint32_t spc,
		     uint32_t db, struct tarn_error *err)
{
	const struct class_row *row = catalog_class(rows, lake_catalog_oid(which));
	if (row == NULL || row->filenode == 0)
		return tarn_fail(err, TARN_E_CORRUPT, "pg_class of database %u does not name %s",
				 db, lake_catalog_name(which));
	rows->files[which] = (struct lake_rel){row->spc != 0 ? row->spc : spc, db, row->filenode};
	return 0;
}

int catalog_rows_read(struct catalog_rows *rows, struct tarn_arena *arena, struct lake_snapshot *s,
		      uint32_t spc, uint32_t db, struct tarn_error *err)
{
	/* pg_class first: it says where the others are. */
	struct {
		enum lake_catalog_table which;
		int (*add)(void *, const struct pg_datum *, struct tarn_error *);
		struct catalog_vec *rows;
		size_t size;
		int (*compare)(const void *, const void *);
	} parts[] = {
		{LAKE_PG_CLASS, add_class, &rows->classes, sizeof(struct class_row), compare_oids},
		{LAKE_PG_ATTRIBUTE, add_attribute, &rows->attributes, sizeof(struct attribute_row),
		 compare_attributes},
		{LAKE_PG_TYPE, add_type, &rows->types, sizeof(struct lake_type), compare_oids},
		{LAKE_PG_NAMESPACE, add_namespace, &rows->namespaces, sizeof(struct namespace_row),
		 compare_oids},
		{LAKE_PG_INDEX, add_index, &rows->indexes, sizeof(struct index_row),
		 compare_indexes},
		{LAKE_PG_ENUM, add_enum, &rows->enums, sizeof(struct enum_row), compare_enums},
		{LAKE_PG_RANGE, add_range, &rows->ranges, sizeof(struct range_row), compare_oids},
	};
	memset(rows, 0, sizeof *rows);
	rows->arena = arena;
	TRY(catalog_mapped_files(s, spc, db, rows->files, err));
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (rows->files[parts[i].which].rel == 0)
			TRY(find_file(rows, parts[i].which, spc, db, err));
		TRY(lake_catalog_scan(s, parts[i].which, &rows->files[parts[i].which], parts[i].add,
				      rows, &rows->pending, err));
		vec_sort(parts[i].rows, parts[i].size, parts[i].compare);
	}
	return 0;
}

void catalog_rows_release(struct catalog_rows *rows)
{
	struct catalog_vec *all[] = {&rows->classes,	&rows->attributes, &rows->types,
				     &rows->namespaces, &rows->indexes,	   &rows->enums,
				     &rows->ranges};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		free(all[i]->items);
	lake_pending_release(&rows->pending);
	memset(rows, 0, sizeof *rows);
}

/* ---- pg_database ---- */

struct database_list {
	struct lake_database_name *names;
	uint32_t count;
};

static int add_database(void *arg, const struct pg_datum *c, struct tarn_error *err)
{
	struct database_list *list = arg;
	(void)err;
	list->names = tarn_realloc(list->names, (list->count + 1) * sizeof *list->names);
	struct lake_database_name *n = &list->names[list->count++];
	size_t len =
		strnlen((const char *)c[PG_DATABASE_DATNAME].bytes, c[PG_DATABASE_DATNAME].len);
	n->name = tarn_calloc(1, len + 1);
	memcpy(n->name, c[PG_DATABASE_DATNAME].bytes, len);
	n->oid = get_oid(c, PG_DATABASE_OID);
	n->spc = get_oid(c, PG_DATABASE_DATTABLESPACE);
	n->is_template = get_flag(c, PG_DATABASE_DATISTEMPLATE);
	n->allow_connections = get_flag(c, PG_DATABASE_DATALLOWCONN);
	return 0;
}

int catalog_read_databases(struct lake_snapshot *s, struct lake_database_name **out,
			   uint32_t *count, struct tarn_error *err)
{
	struct lake_rel files[LAKE_CATALOG_TABLES];
	struct database_list list = {0};
	struct lake_pending pending = {0};
	TRY(catalog_mapped_files(s, SPC_GLOBAL, 0, files, err));
	int rc = lake_catalog_scan(s, LAKE_PG_DATABASE, &files[LAKE_PG_DATABASE], add_database,
				   &list, &pending, err);
	lake_pending_release(&pending);
	if (rc != 0) {
		lake_database_names_free(list.names, list.count);
		return rc;
	}
	*out = list.names;
	*count = list.count;
	return 0;
}
