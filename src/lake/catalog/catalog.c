/* The catalog daemon of catalog.h: puts its parts together. */
#include "base/system.h"
#include "lake/catalog/catalog.h"
#include "base/log.h"
#include "io/stop.h"
#include "lake/catalog/rest.h"
#include <malloc.h>

#define PUT_THREADS 16
#define MAX_CONNECTIONS 512
#define MALLOC_ARENAS 4 /* a thread per connection would else mean many half-empty heaps */

struct parts {
	struct objstore *store;
	struct put_pool *pool;
	struct read_index *index;
	struct pageserver_client *pageserver;
	struct loads *loads;
	struct tarn_metrics *metrics;
	struct rest rest;
};

static int ready(void *arg, struct tarn_error *err)
{
	struct parts *p = arg;
	return pageserver_ping(p->pageserver, err);
}

static void handle(void *arg, const struct http_request *q, struct http_response *r)
{
	struct parts *p = arg;
	rest_handle(&p->rest, q, r);
}

static int open_parts(struct parts *p, const struct catalog_config *c, struct tarn_error *err)
{
	TRY(objstore_open(c->store_url, &p->store, err));
	TRY(read_index_new(c->safekeepers, c->system_identifier, &p->index, err));
	p->metrics = tarn_metrics_new();
	p->pool = put_pool_new(p->store, PUT_THREADS);
	p->pageserver = pageserver_client_new(c->pageserver_http);
	struct loads_config l = {.store = p->store,
				 .pool = p->pool,
				 .pageserver = p->pageserver,
				 .read_index = read_index_source(p->index),
				 .metrics = p->metrics};
	p->loads = loads_new(&l);
	rest_init(&p->rest, p->loads, p->pageserver, p->metrics);
	return 0;
}

static void close_parts(struct parts *p)
{
	loads_free(p->loads);
	put_pool_free(p->pool);
	pageserver_client_free(p->pageserver);
	read_index_free(p->index);
	objstore_free(p->store);
	if (p->metrics)
		tarn_metrics_free(p->metrics);
}

static int serve(struct parts *p, const struct catalog_config *c, struct tarn_error *err)
{
	struct http_server *http;
	struct http_server_config h = {.address = c->listen,
				       .max_connections = MAX_CONNECTIONS,
				       .metrics = p->metrics,
				       .handler = handle,
				       .ready = ready,
				       .arg = p};
	TRY(http_server_start(&h, &http, err));
	log_info("catalog listens", "address=%s store=%s", c->listen, objstore_url(p->store));
	while (!stop_wait_ms(60000))
		continue;
	http_server_stop(http);
	return 0;
}

int catalog_run(const struct catalog_config *c, struct tarn_error *err)
{
	struct parts p = {0};
	mallopt(M_ARENA_MAX, MALLOC_ARENAS);
	int rc = open_parts(&p, c, err);
	if (rc == 0)
		rc = serve(&p, c, err);
	close_parts(&p);
	return rc;
}
