/*
 * The rows of one system catalog at a snapshot, in the order of their pages.
 *
 * Only the columns that the lake reads are named; the layouts are those of Postgres 15 and do not
 * depend on what the catalogs themselves say, which is how reading them can begin.
 *
 * One thread at a time per snapshot.
 */
#ifndef TARN_LAKE_CATALOG_SCAN_H
#define TARN_LAKE_CATALOG_SCAN_H

#include "lake/visibility.h"
#include "pg/tuple.h"

enum lake_catalog_table {
	LAKE_PG_CLASS,
	LAKE_PG_ATTRIBUTE,
	LAKE_PG_TYPE,
	LAKE_PG_NAMESPACE,
	LAKE_PG_INDEX,
	LAKE_PG_ENUM,
	LAKE_PG_DATABASE,
	LAKE_PG_RANGE,
	LAKE_CATALOG_TABLES
};
#define LAKE_CATALOG_MAX_COLUMNS 32

/* Columns by their place in the row: attnum - 1. */
enum {
	PG_CLASS_OID = 0,
	PG_CLASS_RELNAME = 1,
	PG_CLASS_RELNAMESPACE = 2,
	PG_CLASS_RELAM = 6,
	PG_CLASS_RELFILENODE = 7,
	PG_CLASS_RELTABLESPACE = 8,
	PG_CLASS_RELTOASTRELID = 12,
	PG_CLASS_RELPERSISTENCE = 15,
	PG_CLASS_RELKIND = 16,
	PG_CLASS_RELNATTS = 17,
	PG_CLASS_RELROWSECURITY = 22,
	PG_CLASS_RELISPARTITION = 26
};
enum {
	PG_ATTRIBUTE_ATTRELID = 0,
	PG_ATTRIBUTE_ATTNAME = 1,
	PG_ATTRIBUTE_ATTTYPID = 2,
	PG_ATTRIBUTE_ATTLEN = 4,
	PG_ATTRIBUTE_ATTNUM = 5,
	PG_ATTRIBUTE_ATTTYPMOD = 8,
	PG_ATTRIBUTE_ATTBYVAL = 9,
	PG_ATTRIBUTE_ATTALIGN = 10,
	PG_ATTRIBUTE_ATTSTORAGE = 11,
	PG_ATTRIBUTE_ATTNOTNULL = 13,
	PG_ATTRIBUTE_ATTHASMISSING = 15,
	PG_ATTRIBUTE_ATTGENERATED = 17,
	PG_ATTRIBUTE_ATTISDROPPED = 18,
	PG_ATTRIBUTE_ATTMISSINGVAL = 25
};
enum {
	PG_TYPE_OID = 0,
	PG_TYPE_TYPNAME = 1,
	PG_TYPE_TYPNAMESPACE = 2,
	PG_TYPE_TYPLEN = 4,
	PG_TYPE_TYPBYVAL = 5,
	PG_TYPE_TYPTYPE = 6,
	PG_TYPE_TYPCATEGORY = 7,
	PG_TYPE_TYPDELIM = 10,
	PG_TYPE_TYPRELID = 11,
	PG_TYPE_TYPSUBSCRIPT = 12,
	PG_TYPE_TYPELEM = 13,
	PG_TYPE_TYPALIGN = 22,
	PG_TYPE_TYPBASETYPE = 25,
	PG_TYPE_TYPTYPMOD = 26
};
enum { PG_NAMESPACE_OID = 0, PG_NAMESPACE_NSPNAME = 1 };
enum {
	PG_INDEX_INDEXRELID = 0,
	PG_INDEX_INDRELID = 1,
	PG_INDEX_INDNKEYATTS = 3,
	PG_INDEX_INDISPRIMARY = 6,
	PG_INDEX_INDISVALID = 10,
	PG_INDEX_INDKEY = 15
};
enum { PG_ENUM_OID = 0, PG_ENUM_ENUMTYPID = 1, PG_ENUM_ENUMSORTORDER = 2, PG_ENUM_ENUMLABEL = 3 };
enum {
	PG_DATABASE_OID = 0,
	PG_DATABASE_DATNAME = 1,
	PG_DATABASE_DATISTEMPLATE = 5,
	PG_DATABASE_DATALLOWCONN = 6,
	PG_DATABASE_DATTABLESPACE = 10
};
enum { PG_RANGE_RNGTYPID = 0, PG_RANGE_RNGSUBTYPE = 1, PG_RANGE_RNGMULTITYPID = 2 };

uint32_t lake_catalog_oid(enum lake_catalog_table which);
const char *lake_catalog_name(enum lake_catalog_table which);
/* The catalog's columns up to the last one that is read; their number. */
uint16_t lake_catalog_attrs(enum lake_catalog_table which,
			    struct pg_attr out[LAKE_CATALOG_MAX_COLUMNS]);

/* The transactions in progress that touched rows of a catalog: if one of them commits, the catalog
 * says something else though none of its pages changes. */
struct lake_pending {
	uint32_t *xids; /* ascending */
	uint32_t count, cap;
	bool unknown; /* there are more, or some that cannot be named */
};
void lake_pending_release(struct lake_pending *p);
void lake_pending_merge(struct lake_pending *p, const struct lake_pending *more);
/* Adds the transactions because of which the tuple's verdict was `undecided`. */
int lake_pending_note(struct lake_pending *p, struct lake_snapshot *s, const struct heap_tuple *t,
		      struct tarn_error *err);
/* Has none of them committed at the snapshot? false when unknown. */
int lake_pending_holds(const struct lake_pending *p, struct lake_snapshot *s, bool *out,
		       struct tarn_error *err);

/* Calls row for each visible row of the catalog in rel. Datums of fixed-length columns are never
 * NULL and of their exact length; they point into a page that is gone after row returns. A
 * non-zero result of row ends the scan and is returned. Adds to pending. */
int lake_catalog_scan(struct lake_snapshot *s, enum lake_catalog_table which,
		      const struct lake_rel *rel,
		      int (*row)(void *row_arg, const struct pg_datum *columns,
				 struct tarn_error *err),
		      void *row_arg, struct lake_pending *pending, struct tarn_error *err);

#endif
