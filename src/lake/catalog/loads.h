/*
 * loadTable, exactly: read index, table state at it, metadata, with as little work as freshness allows.
 *
 * Concurrent askers of a table share one flight only if it has not yet taken its read index when they
 * arrive: a flight that began earlier may miss what was committed before the asker came. So per table at
 * most one flight runs and one waits behind it, gathering askers.
 *
 * Locking: one mutex over the map and all flights; never held over a network call. An entry's answer is
 * changed only by the flight that runs. Any thread may call.
 */
#ifndef TARN_LAKE_CATALOG_LOADS_H
#define TARN_LAKE_CATALOG_LOADS_H

#include "base/metrics.h"
#include "lake/catalog/names.h"
#include "lake/catalog/pageserver_client.h"
#include "lake/catalog/put_pool.h"
#include "lake/catalog/read_index.h"
#include "lake/catalog/table_write.h"

struct loads;
struct loads_config { /* all outlive the loads */
	struct objstore *store;
	struct put_pool *pool;
	struct pageserver_client *pageserver;
	struct read_index_source read_index;
	struct tarn_metrics *metrics;
};
struct loads *loads_new(const struct loads_config *c);
void loads_free(struct loads *l);

/* The table, newest or at ns->pin; the caller unrefs. TARN_E_NOT_FOUND: no such branch or table. */
int loads_get(struct loads *l, const struct warehouse *w, const struct namespace *ns,
	      const char *table, struct table_answer **out, struct tarn_error *err);
/* The tables of a branch (all databases) now, or at pin if it is not 0: {"lsn","tables":[…]}. */
int loads_list(struct loads *l, const char *branch, tarn_lsn pin, json_t **out,
	       struct tarn_error *err);

#endif
