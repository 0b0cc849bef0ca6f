/*
 * PUTs side by side: a slow store costs one round trip, not one per object. Fixed threads; any thread
 * may call put_pool_all, which blocks until all of its objects are durable or one has failed.
 */
#ifndef TARN_LAKE_CATALOG_PUT_POOL_H
#define TARN_LAKE_CATALOG_PUT_POOL_H

#include "base/buf.h"
#include "objstore/objstore.h"

struct put_pool;
struct put_job {
	char *key;
	struct tarn_buf bytes;
};
/* The store outlives the pool. */
struct put_pool *put_pool_new(struct objstore *store, unsigned threads);
/* No call may be in progress. NULL is fine. */
void put_pool_free(struct put_pool *p);
/* The first error, when there is one, after all have ended. Jobs stay the caller's. */
int put_pool_all(struct put_pool *p, const struct put_job *jobs, size_t count,
		 struct tarn_error *err);

#endif
