/*
 * The Iceberg REST catalog daemon (lake.md, "Freshness"). Stateless: all is in the object store, in
 * the safekeepers (read index) and in the pageserver (table states, ../README.md).
 * Warehouses: "main" is branch main, database postgres; "BRANCH" and "BRANCH/DATABASE" the others.
 * Namespaces are Postgres schemas.
 */
#ifndef TARN_LAKE_CATALOG_CATALOG_H
#define TARN_LAKE_CATALOG_CATALOG_H

#include "base/error.h"

struct catalog_config {
	const char *listen;	     /* HOST:PORT of the REST API, which serves /metrics … too */
	const char *pageserver_http; /* http://HOST:PORT */
	const char *store_url;
	uint64_t system_identifier;
	const char *safekeepers; /* "h:p,h:p,h:p" */
};
/* Runs until io/stop.h says stop. */
int catalog_run(const struct catalog_config *c, struct tarn_error *err);

#endif
