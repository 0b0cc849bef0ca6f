/* Implementation of server.h: starts the parts in order, waits, stops them in reverse. */
#include "base/system.h"
#include "base/log.h"
#include "io/file.h"
#include "io/stop.h"
#include "pageserver/http_api.h"
#include "pageserver/page_service.h"
#include "pageserver/server.h"

#define HTTP_THREADS 8
#define HTTP_MAX_CONNECTIONS 256
#define MAX_TIMELINES 4096
#define LAYER_TARGET_BYTES (64 * MIB)
#define HISTORY_BYTES ((uint64_t)16 << 30)

struct server {
	const struct pageserver_config *config;
	struct tarn_metrics *metrics;
	struct objstore *objects;
	struct redo_pool *redo;
	struct pageserver *ps;
	struct page_service *service;
	struct http_server *http;
	struct http_api api;
};

static int start_http(struct server *s, struct tarn_error *err)
{
	struct http_server_config c = {
		.address = s->config->http,
		.threads = HTTP_THREADS,
		.max_connections = HTTP_MAX_CONNECTIONS,
		.metrics = s->metrics,
		.handler = http_api_handle,
		.ready = http_api_ready,
		.arg = &s->api,
	};
	s->api.config = s->config;
	return http_server_start(&c, &s->http, err);
}

static int start_redo(struct server *s, struct tarn_error *err)
{
	char *work_dir = tarn_asprintf("%s/redo", s->config->dir);
	struct redo_config c = {
		.postgres_path = s->config->postgres_path,
		.module_path = s->config->redo_module_path,
		.work_dir = work_dir,
		.hosts = TARN_MAX(s->config->redo_hosts, 1),
		.metrics = s->metrics,
	};
	int rc = redo_pool_new(&c, &s->redo, err);
	free(work_dir);
	return rc;
}

/* A quarter of the memory caches pages, the rest is the store's. */
static int start_store(struct server *s, struct tarn_error *err)
{
	size_t cache_bytes = s->config->mem_limit_bytes / 4;
	TRY(objstore_open(s->config->store_url, &s->objects, err));
	s->ps = pageserver_new(NULL, s->redo, cache_bytes, s->metrics);
	struct ps_store_config c = {
		.dir = s->config->dir,
		.objects = s->objects,
		.system_identifier = s->config->system_identifier,
		.mem_limit_bytes = s->config->mem_limit_bytes - cache_bytes,
		.layer_target_bytes = TARN_MIN(LAYER_TARGET_BYTES, s->config->mem_limit_bytes / 4),
		.disk_limit_bytes = s->config->disk_limit_bytes,
		.history_bytes = HISTORY_BYTES,
		.metrics = s->metrics,
		.reconstruct = ps_reconstruct,
		.reconstruct_arg = s->ps,
	};
	return ps_store_open(&c, &s->ps->store, err);
}

static void want_wal(void *arg, struct ps_timeline *tl)
{
	wal_receivers_want(arg, tl);
}

static int start_receivers(struct server *s, struct tarn_error *err)
{
	TRY(wal_receivers_new(s->ps->store, s->config->safekeepers, s->metrics, &s->api.receivers,
			      err));
	wal_receivers_set_reconstruct(s->api.receivers, ps_reconstruct, s->ps);
	s->ps->want_wal = want_wal;
	s->ps->want_wal_arg = s->api.receivers;
	struct ps_timeline **all = tarn_calloc(MAX_TIMELINES, sizeof *all);
	size_t n = ps_timeline_list(s->ps->store, all, MAX_TIMELINES);
	int rc = n > MAX_TIMELINES ? tarn_fail(err, TARN_E_LIMIT,
					       "%zu timelines; one pageserver takes at most %d", n,
					       MAX_TIMELINES)
				   : 0;
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = wal_receivers_add(s->api.receivers, all[i], err);
	free(all);
	return rc;
}

static int start_all(struct server *s, struct tarn_error *err)
{
	const struct pageserver_config *c = s->config;
	uint64_t began_us = tarn_mono_us();
	TRY(file_mkdir_p(c->dir, 0755, err));
	TRY(start_http(s, err));
	TRY(start_redo(s, err));
	TRY(start_store(s, err));
	TRY(start_receivers(s, err));
	if (c->lake_start)
		TRY(c->lake_start(s->ps, &s->api.lake_arg, err));
	TRY(page_service_start(s->ps, c->listen, s->metrics, &s->service, err));
	s->api.ps = s->ps;
	__atomic_store_n(&s->api.ready, true, __ATOMIC_RELEASE);
	log_info("pageserver ready", "listen=%s http=%s store=%s timelines=%zu ms=%.0f",
		 page_service_address(s->service), c->http, c->store_url,
		 ps_timeline_list(s->ps->store, NULL, 0),
		 (double)(tarn_mono_us() - began_us) / 1000);
	return 0;
}

/* Whoever asks is turned away first; the log stops; then what is in memory becomes durable. */
static int stop_all(struct server *s, struct tarn_error *err)
{
	int rc = 0;
	page_service_stop(s->service);
	http_server_stop(s->http);
	if (s->config->lake_stop && s->api.lake_arg)
		s->config->lake_stop(s->api.lake_arg);
	wal_receivers_free(s->api.receivers);
	if (s->ps)
		rc = ps_store_close(s->ps->store, err);
	pageserver_free(s->ps);
	redo_pool_free(s->redo);
	objstore_free(s->objects);
	tarn_metrics_free(s->metrics);
	pthread_mutex_destroy(&s->api.change);
	return rc;
}

int pageserver_run(const struct pageserver_config *c, struct tarn_error *err)
{
	struct server s = {.config = c, .metrics = tarn_metrics_new()};
	pthread_mutex_init(&s.api.change, NULL);
	int rc = start_all(&s, err);
	while (rc == 0 && !stop_requested())
		(void)stop_wait_ms(1000);
	struct tarn_error stop_error = {0};
	int stop_rc = stop_all(&s, &stop_error);
	if (rc == 0 && stop_rc != 0) {
		if (err)
			*err = stop_error;
		rc = stop_rc;
	}
	log_info("pageserver stopped", "rc=%d", rc);
	return rc;
}
