/*
 * A table's columns as they stand in our Parquet files and in its Iceberg schema.
 *
 * Field ids: a column's is its attnum, so that a rename is free and a dropped column's is never used
 * again; a list's element has TRANSCODE_ID_ELEMENT + attnum, `_overflow` and what is in it and the
 * hidden columns have ids from TRANSCODE_ID_OWN.
 *
 * Immutable and counted: transcode_schema_new gives one reference. Any thread may read one; the
 * references may be taken and given back by any thread. It holds a reference to its database, which is
 * large; what is kept for long is its outline, which has no database, table, targets or file columns.
 */
#ifndef TARN_LAKE_TRANSCODE_SCHEMA_H
#define TARN_LAKE_TRANSCODE_SCHEMA_H

#include <jansson.h>
#include "base/arena.h"
#include "columnar/parquet_writer.h"
#include "lake/value.h"

#define TRANSCODE_ID_ELEMENT 50000
#define TRANSCODE_ID_OWN 100000
#define TRANSCODE_ID_OVERFLOW 100010
#define TRANSCODE_ID_OVERFLOW_CHILD 110000 /* + attnum */
#define TRANSCODE_LAST_ID 120000	   /* above all that can be: never decreases */

/* The hidden columns, in the order of their leaves. */
enum transcode_hidden {
	TRANSCODE_BLOCK,
	TRANSCODE_OFFSET,
	TRANSCODE_XMIN,
	TRANSCODE_XMAX,
	TRANSCODE_INFOMASK,
	TRANSCODE_INFOMASK2,
	TRANSCODE_HIDDEN_COLUMNS
};

struct transcode_column {
	int16_t attnum;
	const char *name; /* in the file */
	struct lake_target target;
	const char *type; /* Iceberg's */
	uint64_t form;	  /* equal: values of one file can be read as the other's */
	int32_t overflow; /* place among the children of _overflow, or -1 */
};
struct transcode_schema {
	const struct lake_table *table; /* of db; NULL in an outline, as db */
	const struct lake_database *db;
	struct lake_rel rel;
	uint16_t table_columns;		  /* dropped ones too */
	struct transcode_column *columns; /* those not dropped; leaf i is column i */
	uint32_t count;
	uint32_t overflow_leaf, overflow_count; /* the first; 0: there is no _overflow */
	uint32_t hidden_leaf;
	struct pq_column *file_columns;
	uint32_t file_column_count;
	int32_t id;	/* Iceberg schema id: made of the content, so the same after a restart */
	char *fields;	/* Iceberg "fields" as JSON text */
	char *raw_list; /* names of columns given as raw bytes, with commas; NULL: none */
	/* private */
	struct tarn_arena arena;
	int refs;
};

struct transcode_schema *transcode_schema_new(const struct lake_database *db,
					      const struct lake_table *table);
/* A copy that says all but how to convert values. */
struct transcode_schema *transcode_schema_outline(const struct transcode_schema *s);
struct transcode_schema *transcode_schema_ref(struct transcode_schema *s);
void transcode_schema_release(struct transcode_schema *s);
/* Do files written with old hold all of now: columns may have been dropped or renamed, and nothing
 * added or changed? */
bool transcode_schema_reads(const struct transcode_schema *now, const struct transcode_schema *old);

#endif
