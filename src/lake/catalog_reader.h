/*
 * The system catalogs of a timeline at an LSN, read from their heap pages: databases, and a
 * database's tables with their columns and types. No Postgres runs.
 *
 * What is listed: permanent tables and materialised views ('r', 'm'; persistence 'p') outside
 * pg_catalog, information_schema, pg_toast and temporary schemas. Partitioned parents have no
 * storage and are not listed; their partitions are.
 *
 * A lake_database is immutable and reference-counted; several threads may read one. The reader
 * itself may be used from several threads; it keeps the newest catalog of each database and gives
 * it again for a later LSN when no page of the catalogs was touched in between and no transaction
 * that was still open when they were read, and had written to them, has committed.
 */
#ifndef TARN_LAKE_CATALOG_READER_H
#define TARN_LAKE_CATALOG_READER_H

#include "lake/source.h"
#include "lake/visibility.h"
#include "pg/tuple.h"

struct lake_enum_label {
	uint32_t oid;
	float sort_order;
	char *label;
};
/* A row of pg_type, with what else is needed to print its values. */
struct lake_type {
	uint32_t oid;
	char *name;
	uint32_t schema_oid;
	int16_t len;
	uint8_t align;
	bool byval;
	char typtype;	/* b base, c composite, d domain, e enum, p pseudo, r range, m multirange */
	char category;	/* pg_type.typcategory */
	char delim;	/* between the elements of an array of this type */
	uint32_t elem;	/* element type of a true array (subscripted by the array handler), or 0 */
	uint32_t base;	/* domain: the type under it */
	int32_t typmod; /* domain: of the type under it */
	uint32_t relid; /* composite: its pg_class row */
	uint32_t range_sub; /* range: subtype; multirange: its range type */
	/* enum */
	struct lake_enum_label *labels; /* by oid */
	uint32_t nlabels;
	/* composite: its attributes, dropped ones included */
	struct lake_column *columns;
	uint16_t ncolumns;
};
struct lake_column {
	int16_t attnum; /* 1 … */
	char *name;	/* of a dropped one too: "........pg.dropped.N........" */
	uint32_t type_oid;
	int32_t typmod;
	char storage; /* p plain, e external, m main, x extended */
	bool not_null;
	bool dropped;
	bool generated;
	/* Points to the type of the same lake_database; NULL for a dropped column, whose type may
	 * be gone. Domains are not resolved: see lake_type_base. */
	const struct lake_type *type;
};
struct lake_table {
	uint32_t relid; /* pg_class.oid: survives rewrites */
	char *schema;
	char *name;
	char relkind; /* r, m */
	struct lake_rel rel;
	/* rel 0: none. The index is what values are found through. */
	uint32_t toast_relid;
	struct lake_rel toast, toast_index;
	uint16_t ncolumns; /* attnum 1 … ncolumns at [attnum-1], dropped ones too */
	struct lake_column *columns;
	struct pg_attr *attrs; /* the same, for tuple_deform */
	uint16_t nprimary_key;
	int16_t *primary_key; /* attnums in key order; NULL: none */
	bool is_partition;
	bool row_security;
};
struct lake_database {
	uint32_t oid;
	char *name;
	uint32_t spc;		   /* default tablespace */
	struct lake_table *tables; /* by relid */
	uint32_t ntables;
	struct lake_type *types; /* by oid */
	uint32_t ntypes;
	/* Where it was read; the catalogs may say the same at many LSNs after it. */
	tarn_lsn lsn;
	/* private */
	struct lake_table **by_name; /* ntables, by schema and name */
	int refs;
};
struct lake_database_name {
	uint32_t oid;
	uint32_t spc;
	char *name;
	bool is_template;
	bool allow_connections;
};

struct lake_catalog;

/* The source must outlive the reader. */
struct lake_catalog *lake_catalog_new(const struct lake_source *source);
void lake_catalog_free(struct lake_catalog *c);

/* All databases, templates too, by name. Release with lake_database_names_free. */
int lake_catalog_databases(struct lake_catalog *c, tarn_lsn lsn, struct lake_database_name **out,
			   uint32_t *count, struct tarn_error *err);
void lake_database_names_free(struct lake_database_name *names, uint32_t count);
/* The database's catalog at lsn; TARN_E_NOT_FOUND when there is none. lake_database_release it. */
int lake_catalog_open(struct lake_catalog *c, uint32_t db_oid, tarn_lsn lsn,
		      const struct lake_database **out, struct tarn_error *err);
const struct lake_database *lake_database_ref(const struct lake_database *db);
void lake_database_release(const struct lake_database *db);

/* NULL: no such table. */
const struct lake_table *lake_database_table(const struct lake_database *db, uint32_t relid);
const struct lake_table *lake_database_table_named(const struct lake_database *db,
						   const char *schema, const char *name);
const struct lake_type *lake_database_type(const struct lake_database *db, uint32_t oid);
/* Through domains to the type under them; *typmod is replaced by the domain's where it has one. */
const struct lake_type *lake_type_base(const struct lake_database *db, const struct lake_type *t,
				       int32_t *typmod);

#endif
