/*
 * Makes a lake_database of the rows of its catalogs.
 *
 * A built database is immutable. Its memory is one arena, released with lake_catalog_build_free.
 */
#ifndef TARN_LAKE_CATALOG_BUILD_H
#define TARN_LAKE_CATALOG_BUILD_H

#include "base/arena.h"
#include "lake/catalog_reader.h"
#include "lake/catalog_scan.h"

struct lake_database_built {
	struct lake_database db; /* first: what users hold */
	struct tarn_arena arena;
	/* What says whether a later LSN has the same catalogs. */
	struct lake_pending pending;
	struct lake_rel files[LAKE_CATALOG_TABLES]; /* rel 0: not one of the database's */
};

/* The database at the snapshot, with one reference. */
int lake_catalog_build(struct lake_snapshot *s, const struct lake_database_name *name,
		       struct lake_database_built **out, struct tarn_error *err);
void lake_catalog_build_free(struct lake_database_built *b);

#endif
