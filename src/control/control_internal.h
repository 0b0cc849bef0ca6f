/*
 * What the files of the control plane share. One struct control, made by control_run.
 *
 * Threads: the main thread, the HTTP server's and one per child. `lock` guards state and the table of
 * endpoints; it is never held while a part is called or waited for. `branch_lock` is held by the
 * requests that make, delete, start or stop something, one at a time.
 */
#ifndef TARN_CONTROL_CONTROL_INTERNAL_H
#define TARN_CONTROL_CONTROL_INTERNAL_H

#include <jansson.h>
#include "control/child.h"
#include "control/config.h"
#include "control/control.h"
#include "control/install.h"
#include "control/state.h"
#include "quorum/sk_client.h"

struct control;

struct endpoint {
	struct control *control;
	char branch[STATE_MAX_NAME_BYTES + 1];
	unsigned port;
	char *data_dir;
	struct child *child;
	struct tarn_id timeline; /* of the last start */
	tarn_lsn start_lsn;
};
struct safekeeper_part {
	struct control *control;
	unsigned index;
	struct child *child;
};
struct control {
	const struct control_options *options;
	const char *dir;
	struct config config;
	struct install install;
	pthread_mutex_t lock, branch_lock;
	struct state state;
	struct safekeeper_part safekeepers[CONFIG_MAX_SAFEKEEPERS];
	struct child *pageserver, *catalog;
	struct endpoint *endpoints[STATE_MAX_ENDPOINTS];
	unsigned endpoint_count;
};

/* parts.c: safekeepers, pageserver, catalog as children. */
void parts_make(struct control *c);
int parts_choose_ports(struct control *c, struct tarn_error *err);
int parts_start_safekeepers(struct control *c, struct tarn_error *err);
int parts_start_pageserver(struct control *c, struct tarn_error *err);
int parts_start_catalog(struct control *c, struct tarn_error *err);
void parts_stop(struct control *c);
/* "127.0.0.1:p,127.0.0.1:p"; caller frees. */
char *parts_safekeeper_list(const struct control *c);
/* Addresses into out, their text into storage. */
unsigned parts_safekeeper_addresses(const struct control *c, char storage[][32], const char **out);
/* JSON of the pageserver; *out is a new reference or NULL when body-less. */
int pageserver_call(struct control *c, const char *method, const char *path, const json_t *body,
		    json_t **out, struct tarn_error *err);

/* project.c: makes the project at the first start. */
int project_make(struct control *c, struct tarn_error *err);

/* endpoint.c */
/* The endpoint of a branch, made (stopped) if make. Under branch_lock. */
int endpoint_get(struct control *c, const char *branch, bool make, struct endpoint **out,
		 struct tarn_error *err);
int endpoint_start(struct endpoint *e, struct tarn_error *err);
int endpoint_stop(struct endpoint *e, struct tarn_error *err);
/* Stops and forgets it, with its folder. */
int endpoint_remove(struct endpoint *e, struct tarn_error *err);
void endpoint_free(struct endpoint *e);

/* basebackup.c: fetches a data directory at lsn from the pageserver. */
int basebackup_fetch(const char *pageserver, const struct tarn_id *timeline,
		     uint64_t system_identifier, tarn_lsn lsn, const char *data_dir,
		     struct tarn_error *err);

/* api.c */
struct http_request;
struct http_response;
void api_handle(void *arg, const struct http_request *q, struct http_response *r);
json_t *api_status(struct control *c);

#endif
