/*
 * The Iceberg REST protocol, reading side: routes and answers. Fits http_server_config.handler; arg is a
 * struct rest. Any thread.
 */
#ifndef TARN_LAKE_CATALOG_REST_H
#define TARN_LAKE_CATALOG_REST_H

#include "io/http.h"
#include "lake/catalog/loads.h"

struct rest {
	struct loads *loads;
	struct pageserver_client *pageserver;
	struct tarn_counter *not_modified;
};
void rest_init(struct rest *r, struct loads *loads, struct pageserver_client *pageserver,
	       struct tarn_metrics *metrics);
void rest_handle(void *arg, const struct http_request *q, struct http_response *r);

#endif
