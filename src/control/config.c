/* Implementation of config.h: INI by inih, defaults, checks. */
#include "base/system.h"
#include <ini.h>
#include "control/config.h"
#include "io/file.h"

static const char default_text[] =
	"# How Tarn runs this project. Changes take effect at the next `tarn up`.\n"
	"\n"
	"[store]\n"
	"# Where the tables live: a directory (file:///…). Cannot be changed later.\n"
	"url = %s\n"
	"\n"
	"[safekeepers]\n"
	"# How many copies of the log: 1, 3, 5, 7 or 9. A commit waits for a majority.\n"
	"count = %u\n"
	"\n"
	"[postgres]\n"
	"# Port of branch main; 0 takes 5432 or the next free one.\n"
	"port = 0\n"
	"# Address on which Postgres and the catalog listen.\n"
	"listen = 127.0.0.1\n"
	"# Local page cache of one compute, MiB.\n"
	"cache_mib = 256\n"
	"# Further settings of every compute: set.NAME = VALUE, for example\n"
	"# set.shared_buffers = 256MB\n"
	"\n"
	"[pageserver]\n"
	"# Memory for the newest changes, MiB, and local disk for layer files, MiB.\n"
	"memory_mib = 192\n"
	"disk_mib = 10240\n"
	"# Processes that apply log records to pages.\n"
	"redo_hosts = 2\n"
	"\n"
	"[catalog]\n"
	"# Port of the Iceberg REST catalog; 0 takes 8181 or the next free one.\n"
	"port = 0\n"
	"\n"
	"[log]\n"
	"# debug, info, warn or error\n"
	"level = info\n";

struct parse {
	struct config *c;
	struct tarn_error *err;
	const char *path;
	int rc;
};

static bool set_text(char **slot, const char *value)
{
	free(*slot);
	*slot = tarn_strdup(value);
	return *value != '\0';
}

static bool set_number(unsigned *slot, const char *value, unsigned max)
{
	uint64_t v;
	if (!tarn_parse_u64(value, max, &v))
		return false;
	*slot = (unsigned)v;
	return true;
}

static bool add_setting(struct config *c, const char *name, const char *value)
{
	/* A quote would end the value early in postgresql.conf. */
	if (!*name || strpbrk(name, "'\n =") || strpbrk(value, "'\n\\"))
		return false;
	char *joined = tarn_asprintf("%s%s = '%s'\n",
				     c->postgres_settings ? c->postgres_settings : "", name, value);
	free(c->postgres_settings);
	c->postgres_settings = joined;
	return true;
}

/* 1: taken, 0: bad value, -1: no such key. */
static int set_key(struct config *c, const char *key, const char *value)
{
	if (strcmp(key, "store.url") == 0)
		return set_text(&c->store, value);
	if (strcmp(key, "safekeepers.count") == 0)
		return set_number(&c->safekeepers, value, CONFIG_MAX_SAFEKEEPERS) &&
		       c->safekeepers % 2 == 1;
	if (strcmp(key, "postgres.port") == 0)
		return set_number(&c->postgres_port, value, 65535);
	if (strcmp(key, "postgres.listen") == 0)
		return set_text(&c->listen_host, value);
	if (strcmp(key, "postgres.cache_mib") == 0)
		return set_number(&c->cache_mib, value, 1u << 20);
	if (strncmp(key, "postgres.set.", 13) == 0)
		return add_setting(c, key + 13, value);
	if (strcmp(key, "pageserver.memory_mib") == 0)
		return set_number(&c->pageserver_mem_mib, value, 1u << 20) &&
		       c->pageserver_mem_mib >= 16;
	if (strcmp(key, "pageserver.disk_mib") == 0)
		return set_number(&c->pageserver_disk_mib, value, UINT32_MAX >> 1);
	if (strcmp(key, "pageserver.redo_hosts") == 0)
		return set_number(&c->redo_hosts, value, 64) && c->redo_hosts > 0;
	if (strcmp(key, "catalog.port") == 0)
		return set_number(&c->catalog_port, value, 65535);
	if (strcmp(key, "log.level") == 0)
		return set_text(&c->log_level, value) &&
		       strspn(value, "abcdefghijklmnopqrstuvwxyz") == strlen(value);
	return -1;
}

static int on_entry(void *user, const char *section, const char *name, const char *value)
{
	struct parse *p = user;
	char key[128];
	int taken = -1;
	if (tarn_snprintf(key, sizeof key, "%s.%s", section, name))
		taken = set_key(p->c, key, value);
	if (taken == 1)
		return 1;
	if (p->rc == 0 && taken == 0)
		p->rc = tarn_fail(p->err, TARN_E_USAGE,
				  "%s: [%s] %s = %s is not a value it can have", p->path, section,
				  name, value);
	else if (p->rc == 0)
		p->rc = tarn_fail(p->err, TARN_E_USAGE,
				  "%s: there is no setting [%s] %s; remove it or correct its name",
				  p->path, section, name);
	return 0;
}

static int write_default(const char *path, const char *store, unsigned safekeepers,
			 struct tarn_error *err)
{
	struct tarn_buf text = TARN_BUF_INIT;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	tarn_buf_printf(&text, default_text, store, safekeepers);
#pragma GCC diagnostic pop
	int rc = file_write_atomic(path, text.data, text.len, err);
	tarn_buf_release(&text);
	return rc;
}

int config_load(const char *dir, const char *store_url, unsigned safekeepers, struct config *out,
		struct tarn_error *err)
{
	memset(out, 0, sizeof *out);
	char *path = tarn_asprintf("%s/tarn.conf", dir);
	char *store = store_url ? tarn_strdup(store_url) : tarn_asprintf("file://%s/store", dir);
	struct parse p = {.c = out, .err = err, .path = path};
	out->safekeepers = 3;
	out->cache_mib = 256;
	out->pageserver_mem_mib = 192;
	out->pageserver_disk_mib = 10240;
	out->redo_hosts = 2;
	out->store = tarn_asprintf("file://%s/store", dir);
	out->listen_host = tarn_strdup("127.0.0.1");
	out->log_level = tarn_strdup("info");
	out->postgres_settings = tarn_strdup("");
	if (!file_exists(path))
		p.rc = write_default(path, store, safekeepers ? safekeepers : 3, err);
	if (p.rc == 0) {
		int line = ini_parse(path, on_entry, &p);
		if (line != 0 && p.rc == 0)
			p.rc = tarn_fail(err, TARN_E_USAGE, "%s, line %d: expected NAME = VALUE",
					 path, line);
	}
	if (p.rc == 0 && store_url && strcmp(store_url, out->store) != 0)
		p.rc = tarn_fail(err, TARN_E_CONFLICT,
				 "%s says the object store is %s; a project cannot move to %s",
				 path, out->store, store_url);
	free(store);
	free(path);
	if (p.rc != 0)
		config_release(out);
	return p.rc;
}

void config_release(struct config *c)
{
	free(c->store);
	free(c->listen_host);
	free(c->log_level);
	free(c->postgres_settings);
	memset(c, 0, sizeof *c);
}
