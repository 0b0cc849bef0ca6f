/*
 * WAL receivers: one thread per timeline reads committed log from one of the safekeepers, frames it
 * into records, ingests each and tells the safekeeper what is durable in the object store.
 *
 * A safekeeper that fails, or that has nothing while somebody waits, is left for the next one. That
 * none knows the timeline is normal: its log begins when its first compute starts. A record that
 * makes no sense stops the timeline (wal_receivers_status tells), not the others.
 */
#ifndef TARN_PAGESERVER_WAL_RECEIVER_H
#define TARN_PAGESERVER_WAL_RECEIVER_H

#include "pageserver/ingest.h"
#include "pageserver/store.h"

struct wal_receivers;
/* safekeepers: "h:p,h:p,…"; NULL or "": no log is received. */
int wal_receivers_new(struct ps_store *store, const char *safekeepers, struct tarn_metrics *metrics,
		      struct wal_receivers **out, struct tarn_error *err);
/* Stops all. */
void wal_receivers_free(struct wal_receivers *w);
/* Rebuilds pages for records that copy whole databases. Before the first wal_receivers_add. */
void wal_receivers_set_reconstruct(struct wal_receivers *w, ps_reconstruct_fn fn, void *arg);
/* Starts one for tl if there is none. */
int wal_receivers_add(struct wal_receivers *w, struct ps_timeline *tl, struct tarn_error *err);
/* Stops the one of tl, if any: before the timeline is deleted. */
void wal_receivers_remove(struct wal_receivers *w, struct ps_timeline *tl);
/* Somebody waits for log of tl: look for it now, not at the next turn. */
void wal_receivers_want(struct wal_receivers *w, struct ps_timeline *tl);
/* 0, or why the timeline was stopped. */
int wal_receivers_status(struct wal_receivers *w, struct ps_timeline *tl, struct tarn_error *err);

#endif
