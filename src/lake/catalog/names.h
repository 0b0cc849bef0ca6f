/*
 * Names in the REST API: warehouses ("", "main", "BRANCH", "BRANCH/DATABASE"), the path prefix that
 * stands for one, and namespaces ("public", pinned to an LSN: "public@0/1A2B3C8"). Pure.
 */
#ifndef TARN_LAKE_CATALOG_NAMES_H
#define TARN_LAKE_CATALOG_NAMES_H

#include "base/buf.h"
#include "base/lsn.h"

#define NAME_MAX_BYTES 256

struct warehouse {
	char branch[NAME_MAX_BYTES];
	char database[NAME_MAX_BYTES];
};
/* Splits at the last '/'; false for an empty part or one that is too long. */
bool warehouse_parse(const char *text, struct warehouse *out);
/* One path part of unreserved characters only, whatever the names hold: clients differ in how they
 * escape a prefix. */
void warehouse_prefix(const struct warehouse *w, struct tarn_buf *out);
bool warehouse_from_prefix(const char *prefix, struct warehouse *out);

struct namespace
{
	char schema[NAME_MAX_BYTES];
	tarn_lsn pin; /* 0: the newest */
};
/* Takes "schema", "schema@X/Y" and "schema@X-Y" (for clients that cannot send a '/'). */
bool namespace_parse(const char *text, struct namespace *out);

/* Percent-encodes all but unreserved characters. */
void put_percent_encoded(struct tarn_buf *out, const char *s);

#endif
