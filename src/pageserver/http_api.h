/* The management API of server.h over HTTP. Handlers run on several threads of the HTTP server. */
#ifndef TARN_PAGESERVER_HTTP_API_H
#define TARN_PAGESERVER_HTTP_API_H

#include <pthread.h>
#include "pageserver/pageserver_internal.h"
#include "pageserver/server.h"
#include "pageserver/wal_receiver.h"

struct http_api {
	const struct pageserver_config *config;
	struct pageserver *ps;
	struct wal_receivers *receivers;
	void *lake_arg;
	bool ready;		/* atomic: all of the above is set */
	pthread_mutex_t change; /* one import, creation or deletion at a time */
};

void http_api_handle(void *arg, const struct http_request *q, struct http_response *r);
int http_api_ready(void *arg, struct tarn_error *err);

#endif
