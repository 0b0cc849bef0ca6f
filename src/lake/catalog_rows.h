/*
 * The rows of a database's catalogs, decoded and sorted: what catalog_build.c puts together.
 *
 * Names and values live in the arena given; the arrays are owned by struct catalog_rows. One
 * thread.
 */
#ifndef TARN_LAKE_CATALOG_ROWS_H
#define TARN_LAKE_CATALOG_ROWS_H

#include "base/arena.h"
#include "lake/catalog_reader.h"
#include "lake/catalog_scan.h"

struct class_row {
	uint32_t oid;
	char *name;
	uint32_t schema_oid;
	uint32_t access_method;
	uint32_t filenode; /* 0: none, or mapped */
	uint32_t spc;	   /* 0: the database's */
	uint32_t toast_relid;
	uint16_t natts;
	char persistence, kind;
	bool row_security, is_partition;
};
struct attribute_row {
	uint32_t relid;
	struct lake_column column; /* type not yet looked up */
	struct pg_attr attr;
};
struct namespace_row {
	uint32_t oid;
	char *name;
};
struct index_row {
	uint32_t oid, relid;
	bool primary, valid;
	uint16_t nkeys;
	int16_t *keys; /* of the primary key only */
};
struct enum_row {
	uint32_t type_oid;
	struct lake_enum_label label;
};
struct range_row {
	uint32_t type_oid, subtype_oid, multirange_oid;
};

struct catalog_vec {
	void *items;
	size_t count, cap;
};
struct catalog_rows {
	struct tarn_arena *arena;
	struct lake_pending pending;
	/* Where each catalog lies, by enum lake_catalog_table; rel 0: it is not of the database. */
	struct lake_rel files[LAKE_CATALOG_TABLES];
	struct catalog_vec classes;    /* struct class_row, by oid */
	struct catalog_vec attributes; /* struct attribute_row, by relid, attnum; attnum > 0 only */
	struct catalog_vec types;      /* struct lake_type, by oid */
	struct catalog_vec namespaces; /* struct namespace_row, by oid */
	struct catalog_vec indexes;    /* struct index_row, by relid, oid */
	struct catalog_vec enums;      /* struct enum_row, by type_oid, oid */
	struct catalog_vec ranges;     /* struct range_row */
};

/* Reads all. On failure too, rows must be released. */
int catalog_rows_read(struct catalog_rows *rows, struct tarn_arena *arena, struct lake_snapshot *s,
		      uint32_t spc, uint32_t db, struct tarn_error *err);
void catalog_rows_release(struct catalog_rows *rows);

/* Where the catalogs lie whose place the relation map tells. TARN_E_NOT_FOUND: there is no map. */
int catalog_mapped_files(struct lake_snapshot *s, uint32_t spc, uint32_t db,
			 struct lake_rel files[LAKE_CATALOG_TABLES], struct tarn_error *err);
/* The rows of pg_database, in no order; names are the caller's to free. */
int catalog_read_databases(struct lake_snapshot *s, struct lake_database_name **out,
			   uint32_t *count, struct tarn_error *err);

/* Each NULL: no such row. */
const struct class_row *catalog_class(const struct catalog_rows *rows, uint32_t oid);
const struct namespace_row *catalog_namespace(const struct catalog_rows *rows, uint32_t oid);

/* attmissingval, an array of one element, to that element as it would stand in a tuple. */
int catalog_missing_value(struct pg_datum array, struct pg_attr *attr, struct tarn_arena *arena,
			  struct tarn_error *err);
#endif
