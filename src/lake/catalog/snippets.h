/* Ready-to-paste configuration of each engine for our Iceberg REST catalog. */
#ifndef TARN_LAKE_CATALOG_SNIPPETS_H
#define TARN_LAKE_CATALOG_SNIPPETS_H

#include "base/buf.h"

/* Names of the engines that lake_engine_snippet knows, ended by NULL. */
extern const char *const lake_engines[];

/* Appends the configuration that makes engine read warehouse through the catalog at catalog_url
 * (http://HOST:PORT, as it is published, no '/' at the end); nothing for an unknown engine. */
void lake_engine_snippet(struct tarn_buf *out, const char *engine, const char *catalog_url,
			 const char *warehouse);

#endif
