/*
 * A table at an LSN, as the pageserver tells it (../README.md), checked and ready to be written as
 * Iceberg manifests. Immutable after parsing; all pointers live as long as the state.
 */
#ifndef TARN_LAKE_CATALOG_TABLE_STATE_H
#define TARN_LAKE_CATALOG_TABLE_STATE_H

#include <jansson.h>
#include "base/arena.h"
#include "base/error.h"
#include "base/lsn.h"
#include "lake/iceberg/manifest.h"
#include "objstore/objstore.h"

#define TABLE_MAX_FILES 200000u
#define TABLE_MAX_COLUMNS 4096u

struct file_list {
	struct ice_file *files;
	size_t count;
	int64_t rows, bytes;
};
struct table_state {
	json_t *json; /* owns the texts */
	struct tarn_arena arena;
	tarn_lsn lsn, changed_lsn;
	const char *database, *schema, *table, *uuid;
	const char *location; /* key prefix, no '/' at the end */
	int32_t schema_id, last_column_id;
	const json_t *schemas, *current_schema, *properties;
	int64_t rows;
	struct file_list columnar, tails, deletes;
	uint64_t hash; /* of everything but lsn: equal hash, equal table */
};
/* The text is the pageserver's answer; store makes the URIs. TARN_E_PROTOCOL says what is wrong. */
int table_state_parse(const void *text, size_t len, const struct objstore *store,
		      struct table_state **out, struct tarn_error *err);
void table_state_free(struct table_state *s);

#endif
