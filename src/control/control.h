/*
 * The control plane of one machine: `tarn up`. Starts and watches the parts, makes the project at the
 * first start, starts a compute per branch that wants one, and answers the command line over HTTP on
 * 127.0.0.1 (its port is in DIR/state.json):
 *   GET    /v1/status
 *   GET    /v1/branches                     POST /v1/branches {"name","from","lsn"|"time"}
 *   DELETE /v1/branches/NAME
 *   GET    /v1/endpoints                    POST /v1/endpoints/BRANCH/start | /stop
 *   POST   /v1/stop                         ends `tarn up`
 */
#ifndef TARN_CONTROL_CONTROL_H
#define TARN_CONTROL_CONTROL_H

#include "base/error.h"

struct control_options {
	const char *dir;       /* absolute */
	const char *store_url; /* NULL: as in tarn.conf */
	unsigned safekeepers;  /* 0: as in tarn.conf */
	/* Called when everything serves, with lines for people; may be NULL. */
	void (*on_ready)(void *arg, const char *text);
	/* Called with what is being done now ("starting safekeepers"); may be NULL. */
	void (*on_progress)(void *arg, const char *what);
	void *arg;
};
/* Runs until io/stop.h says stop. Drops privileges if started by root. */
int control_run(const struct control_options *o, struct tarn_error *err);

#endif
