/*
 * What the catalog asks of the pageserver, over HTTP (../README.md). Any thread.
 */
#ifndef TARN_LAKE_CATALOG_PAGESERVER_CLIENT_H
#define TARN_LAKE_CATALOG_PAGESERVER_CLIENT_H

#include <jansson.h>
#include "base/buf.h"
#include "base/error.h"
#include "base/id.h"
#include "base/lsn.h"

#define TABLE_STATE_MAX_BYTES (32 * MIB)

struct pageserver_client;
/* url: http://HOST:PORT */
struct pageserver_client *pageserver_client_new(const char *url);
void pageserver_client_free(struct pageserver_client *c);

/* Whether it answers. */
int pageserver_ping(struct pageserver_client *c, struct tarn_error *err);
/* The timeline of a branch. Names are remembered for some seconds; see forget. TARN_E_NOT_FOUND: no such
 * branch. */
int pageserver_find_branch(struct pageserver_client *c, const char *name, struct tarn_id *tl,
			   struct tarn_error *err);
/* After an answer "not found" for a timeline: the name may have moved. True if it was remembered. */
bool pageserver_forget_branch(struct pageserver_client *c, const char *name);
/* The end of what it has of the timeline. */
int pageserver_head(struct pageserver_client *c, const struct tarn_id *tl, tarn_lsn *lsn,
		    struct tarn_error *err);
/* {"lsn","tables":[…]}; the caller's reference. */
int pageserver_tables(struct pageserver_client *c, const struct tarn_id *tl, tarn_lsn lsn,
		      int timeout_ms, json_t **out, struct tarn_error *err);
/* The table state's text. */
int pageserver_table(struct pageserver_client *c, const struct tarn_id *tl, const char *database,
		     const char *schema, const char *table, tarn_lsn lsn, int timeout_ms,
		     struct tarn_buf *out, struct tarn_error *err);

#endif
