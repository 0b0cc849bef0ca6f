/*
 * What a project's folder remembers: DIR/state.json. Written atomically at each change. Ports are
 * remembered so that addresses people copied stay right; branches are the pageserver's to remember.
 */
#ifndef TARN_CONTROL_STATE_H
#define TARN_CONTROL_STATE_H

#include "base/error.h"
#include "base/id.h"

#define STATE_MAX_ENDPOINTS 64
#define STATE_MAX_NAME_BYTES 63

struct state_endpoint {
	char branch[STATE_MAX_NAME_BYTES + 1];
	unsigned port;
	bool wanted; /* started again by the next `tarn up` */
};
struct state {
	uint64_t system_identifier; /* 0: the project is not made yet */
	unsigned control_port, catalog_port, pageserver_port, pageserver_http_port;
	unsigned safekeeper_ports[9], safekeeper_http_ports[9];
	struct state_endpoint endpoints[STATE_MAX_ENDPOINTS];
	unsigned endpoint_count;
};
/* A missing file is an empty state. */
int state_load(const char *dir, struct state *out, struct tarn_error *err);
int state_save(const char *dir, const struct state *s, struct tarn_error *err);
/* Entry of a branch, made if make is true and there is room; NULL otherwise. */
struct state_endpoint *state_endpoint(struct state *s, const char *branch, bool make);
void state_forget_endpoint(struct state *s, const char *branch);

/* A TCP port on host that is free now: preferred, or the next free one above it within 100 (preferred 0: any). */
int port_choose(const char *host, unsigned preferred, bool exact, unsigned *out,
		struct tarn_error *err);

#endif
