/*
 * The pageserver daemon: store, redo hosts, one WAL receiver per timeline, the page service for computes and
 * the management API over HTTP:
 *   POST   /v1/import {"path","name"}            → 201 timeline     take over an initdb'd directory
 *   GET    /v1/timelines                         → {"timelines":[timeline …]}
 *   GET    /v1/timelines/ID                      → timeline
 *   POST   /v1/timelines {"name","parent"[,"lsn"|"time"]} → 201 timeline    parent is a name; default its head
 *   DELETE /v1/timelines/ID                      → 204
 *   POST   /v1/timelines/ID/flush                → 200  everything durable in the object store
 *   GET    /v1/timelines/ID/page?spc&db&rel&fork&block[&lsn] → 8192 bytes   for oracles and inspect
 *   GET    /v1/timelines/ID/relations[?lsn]      → {"relations":[{"spc","db","rel","fork","blocks"}]}
 *   GET    /v1/timelines/ID/lake/…               lake/README.md
 * timeline: {"id","name","start_lsn","last_record_lsn","prev_record_lsn","remote_lsn","parent_name"|null,
 *            "layer_bytes","layers"}
 */
#ifndef TARN_PAGESERVER_SERVER_H
#define TARN_PAGESERVER_SERVER_H

#include "base/error.h"
#include "base/metrics.h"
#include "io/http.h"

struct pageserver;
struct pageserver_config {
	const char *dir;	      /* local cache; may be empty or lost */
	const char *store_url;	      /* object store */
	uint64_t system_identifier;   /* 0: that of the store's project */
	const char *listen;	      /* HOST:PORT of the page protocol */
	const char *http;	      /* HOST:PORT of the management API */
	const char *postgres_path;    /* …/bin/postgres */
	const char *redo_module_path; /* …/tarn_redo.so */
	const char *safekeepers;      /* "h:p,h:p,h:p" */
	uint64_t disk_limit_bytes;
	size_t mem_limit_bytes;
	unsigned redo_hosts;
	/* Called for paths under /v1/timelines/ID/lake/ by several threads (the lake part is above
	 * this one); may be NULL. lake_arg comes from lake_start, called once when pages can be read. */
	int (*lake_start)(struct pageserver *ps, void **lake_arg, struct tarn_error *err);
	void (*lake_handler)(void *lake_arg, const struct http_request *q, struct http_response *r);
	void (*lake_stop)(void *lake_arg);
};
/* Runs until io/stop.h says stop. */
int pageserver_run(const struct pageserver_config *c, struct tarn_error *err);

#endif
