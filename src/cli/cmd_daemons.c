/* tarn safekeeper, pageserver, catalog: options into the daemons' configurations. */
#include "base/system.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "io/stop.h"
#include "lake/catalog/catalog.h"
#include "lake/lake_service.h"
#include "pageserver/server.h"
#include "safekeeper/safekeeper.h"

/* What supervisors take as "do not start me again": bytes or disks that cannot be trusted. */
#define EXIT_STOPPED_FOR_GOOD 75

static int exit_code(int rc, const struct tarn_error *err)
{
	if (rc == 0)
		return 0;
	int code = report(err);
	return rc == TARN_E_CORRUPT ? EXIT_STOPPED_FOR_GOOD : code;
}

static int need(const char *name, const char *value, struct tarn_error *err)
{
	return value ? 0 : tarn_fail(err, TARN_E_USAGE, "--%s is needed", name);
}

int cmd_safekeeper(int argc, char **argv)
{
	struct safekeeper_config c = {0};
	const char *id = NULL, *level = NULL;
	struct option_spec specs[] = {{"id", &id, NULL},	   {"dir", &c.dir, NULL},
				      {"listen", &c.listen, NULL}, {"http", &c.http, NULL},
				      {"log-level", &level, NULL}, {NULL, NULL, NULL}};
	struct options o;
	struct tarn_error err = {0};
	int code;
	if (!options_parse(argc, argv, specs, 0, &o, &code))
		return code;
	int rc = options_log_level(level, "safekeeper", &err);
	for (const struct option_spec *s = specs; rc == 0 && s->name; s++)
		if (s->value != &level)
			rc = need(s->name, *s->value, &err);
	if (rc == 0)
		rc = options_number("id", id, UINT64_MAX, &c.node_id, &err);
	if (rc == 0)
		rc = stop_init(&err);
	if (rc == 0)
		rc = safekeeper_run(&c, &err);
	return exit_code(rc, &err);
}

struct pageserver_texts {
	const char *system_identifier, *postgres_bin, *lib_dir, *memory, *disk, *hosts, *level;
};

static int pageserver_numbers(const struct pageserver_texts *t, struct pageserver_config *c,
			      struct tarn_error *err)
{
	uint64_t memory_mib = 192, disk_mib = 10240, hosts = 2;
	TRY(options_number("system-identifier", t->system_identifier, UINT64_MAX,
			   &c->system_identifier, err));
	TRY(options_number("memory-limit-mib", t->memory, 1u << 20, &memory_mib, err));
	TRY(options_number("disk-limit-mib", t->disk, UINT32_MAX, &disk_mib, err));
	TRY(options_number("redo-hosts", t->hosts, 64, &hosts, err));
	c->mem_limit_bytes = memory_mib * MIB;
	c->disk_limit_bytes = disk_mib * MIB;
	c->redo_hosts = (unsigned)hosts;
	TRY(need("dir", c->dir, err));
	TRY(need("store", c->store_url, err));
	TRY(need("listen", c->listen, err));
	TRY(need("http", c->http, err));
	return need("safekeepers", c->safekeepers, err);
}

int cmd_pageserver(int argc, char **argv)
{
	struct pageserver_config c = {.lake_start = lake_service_start,
				      .lake_handler = lake_service_handle,
				      .lake_stop = lake_service_stop};
	struct pageserver_texts t = {.postgres_bin = "/usr/lib/postgresql/15/bin",
				     .lib_dir = "/usr/lib/tarn"};
	struct option_spec specs[] = {{"dir", &c.dir, NULL},
				      {"store", &c.store_url, NULL},
				      {"listen", &c.listen, NULL},
				      {"http", &c.http, NULL},
				      {"safekeepers", &c.safekeepers, NULL},
				      {"system-identifier", &t.system_identifier, NULL},
				      {"postgres-bin", &t.postgres_bin, NULL},
				      {"lib-dir", &t.lib_dir, NULL},
				      {"memory-limit-mib", &t.memory, NULL},
				      {"disk-limit-mib", &t.disk, NULL},
				      {"redo-hosts", &t.hosts, NULL},
				      {"log-level", &t.level, NULL},
				      {NULL, NULL, NULL}};
	struct options o;
	struct tarn_error err = {0};
	int code;
	if (!options_parse(argc, argv, specs, 0, &o, &code))
		return code;
	int rc = options_log_level(t.level, "pageserver", &err);
	if (rc == 0)
		rc = pageserver_numbers(&t, &c, &err);
	char *postgres = tarn_asprintf("%s/postgres", t.postgres_bin);
	char *module = tarn_asprintf("%s/tarn_redo.so", t.lib_dir);
	c.postgres_path = postgres;
	c.redo_module_path = module;
	if (rc == 0)
		rc = stop_init(&err);
	if (rc == 0)
		rc = pageserver_run(&c, &err);
	free(postgres);
	free(module);
	return exit_code(rc, &err);
}

int cmd_catalog(int argc, char **argv)
{
	struct catalog_config c = {0};
	const char *system_identifier = NULL, *level = NULL;
	struct option_spec specs[] = {{"listen", &c.listen, NULL},
				      {"pageserver", &c.pageserver_http, NULL},
				      {"store", &c.store_url, NULL},
				      {"system-identifier", &system_identifier, NULL},
				      {"safekeepers", &c.safekeepers, NULL},
				      {"log-level", &level, NULL},
				      {NULL, NULL, NULL}};
	struct options o;
	struct tarn_error err = {0};
	int code;
	if (!options_parse(argc, argv, specs, 0, &o, &code))
		return code;
	int rc = options_log_level(level, "catalog", &err);
	for (const struct option_spec *s = specs; rc == 0 && s->name; s++)
		if (s->value != &level)
			rc = need(s->name, *s->value, &err);
	if (rc == 0)
		rc = options_number("system-identifier", system_identifier, UINT64_MAX,
				    &c.system_identifier, &err);
	if (rc == 0)
		rc = stop_init(&err);
	if (rc == 0)
		rc = catalog_run(&c, &err);
	return exit_code(rc, &err);
}
