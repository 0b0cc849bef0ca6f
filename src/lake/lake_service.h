/*
 * The lake inside the pageserver's process: answers /v1/timelines/ID/lake/… (README.md). The three
 * functions fit the callbacks of pageserver/server.h.
 */
#ifndef TARN_LAKE_LAKE_SERVICE_H
#define TARN_LAKE_LAKE_SERVICE_H

#include "base/error.h"
#include "io/http.h"

struct pageserver;

int lake_service_start(struct pageserver *ps, void **out, struct tarn_error *err);
/* Any thread; may block while WAL arrives or files are written. */
void lake_service_handle(void *arg, const struct http_request *q, struct http_response *r);
void lake_service_stop(void *arg);

#endif
