/*
 * The safekeeper daemon: an acceptor for any number of timelines. WAL in Postgres's segment layout,
 * one control file per timeline, group commit, feeding of readers. See README.md.
 */
#ifndef TARN_SAFEKEEPER_SAFEKEEPER_H
#define TARN_SAFEKEEPER_SAFEKEEPER_H

#include "base/error.h"

struct safekeeper_config {
	uint64_t node_id;   /* 1…; unique in the project */
	const char *dir;    /* made if missing; locked against a second process */
	const char *listen; /* HOST:PORT of the quorum protocol (wire/quorum_wire.h) */
	const char *http;   /* HOST:PORT of /metrics, /healthz, /readyz, /v1/timelines */
};
/* Runs until io/stop.h says stop. The caller has called stop_init and tarn_log_init. */
int safekeeper_run(const struct safekeeper_config *c, struct tarn_error *err);

#endif
