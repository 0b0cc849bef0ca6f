/*
 * What a project's folder says of how to run it: DIR/tarn.conf, written with comments and defaults by
 * the first `tarn up`. Plain values; config_release frees the texts.
 */
#ifndef TARN_CONTROL_CONFIG_H
#define TARN_CONTROL_CONFIG_H

#include "base/error.h"

#define CONFIG_MAX_SAFEKEEPERS 9

struct config {
	char *store;		      /* object store URL; default: DIR/store */
	unsigned safekeepers;	      /* 1, 3, 5, 7 or 9 */
	unsigned postgres_port;	      /* of branch main; 0: 5432, or the next free one */
	unsigned catalog_port;	      /* 0: 8181, or the next free one */
	char *listen_host;	      /* where Postgres and the catalog listen */
	unsigned cache_mib;	      /* local page cache of a compute */
	unsigned pageserver_mem_mib;  /* layers in memory */
	unsigned pageserver_disk_mib; /* local layer files */
	unsigned redo_hosts;
	char *log_level;
	char *postgres_settings; /* lines for every compute's postgresql.conf */
};

/* Reads DIR/tarn.conf, making it first if it is missing (store_url and safekeepers: what the command line
 * asked for, NULL/0 for the default). Unknown keys and bad values are errors that name the line. */
int config_load(const char *dir, const char *store_url, unsigned safekeepers, struct config *out,
		struct tarn_error *err);
void config_release(struct config *c);

#endif
