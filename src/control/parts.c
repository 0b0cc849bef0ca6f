/* The daemons as children: their command lines, addresses and readiness. */
#include "base/system.h"
#include <signal.h>
#include "base/log.h"
#include "control/control_internal.h"
#include "io/file.h"
#include "io/http.h"

#define HOST "127.0.0.1"
#define ANSWER_MAX_BYTES (64 * MIB)

static int is_ready(unsigned port, struct tarn_error *err)
{
	struct tarn_buf body = TARN_BUF_INIT;
	char url[64];
	tarn_snprintf(url, sizeof url, "http://" HOST ":%u/readyz", port);
	int rc = http_call("GET", url, NULL, 1000, KIB * 64, &body, err);
	tarn_buf_release(&body);
	return rc;
}

static void daemon_command(struct control *c, struct child_command *cmd, const char *role,
			   const char *log_name)
{
	char *log = tarn_asprintf("%s/logs/%s.log", c->dir, log_name);
	cmd->exec_fd = c->install.self_fd;
	cmd->log_path = log; /* lives as long as the command: kept in its environment list */
	cmd->stop_signal = SIGTERM;
	cmd->death_signal = SIGTERM;
	child_command_env(cmd, "TARN_LOG=%s", log);
	free(log);
	cmd->log_path = cmd->env[cmd->env_count - 1] + strlen("TARN_LOG=");
	child_command_arg(cmd, "tarn");
	child_command_arg(cmd, "%s", role);
	child_command_arg(cmd, "--log-level");
	child_command_arg(cmd, "%s", c->config.log_level);
}

static void arg_pair(struct child_command *cmd, const char *name, const char *value)
{
	child_command_arg(cmd, "%s", name);
	child_command_arg(cmd, "%s", value);
}

static void arg_address(struct child_command *cmd, const char *name, const char *host,
			unsigned port)
{
	child_command_arg(cmd, "%s", name);
	child_command_arg(cmd, "%s:%u", host, port);
}

static void arg_number(struct child_command *cmd, const char *name, uint64_t value)
{
	child_command_arg(cmd, "%s", name);
	child_command_arg(cmd, "%" PRIu64, value);
}

static int safekeeper_prepare(void *arg, struct child_command *cmd, struct tarn_error *err)
{
	struct safekeeper_part *p = arg;
	struct control *c = p->control;
	char name[32];
	(void)err;
	tarn_snprintf(name, sizeof name, "safekeeper-%u", p->index + 1);
	daemon_command(c, cmd, "safekeeper", name);
	arg_number(cmd, "--id", p->index + 1);
	child_command_arg(cmd, "--dir");
	child_command_arg(cmd, "%s/%s", c->dir, name);
	arg_address(cmd, "--listen", HOST, c->state.safekeeper_ports[p->index]);
	arg_address(cmd, "--http", HOST, c->state.safekeeper_http_ports[p->index]);
	return 0;
}

static int safekeeper_ready(void *arg, struct tarn_error *err)
{
	struct safekeeper_part *p = arg;
	return is_ready(p->control->state.safekeeper_http_ports[p->index], err);
}

char *parts_safekeeper_list(const struct control *c)
{
	struct tarn_buf b = TARN_BUF_INIT;
	for (unsigned i = 0; i < c->config.safekeepers; i++)
		tarn_buf_printf(&b, "%s" HOST ":%u", i ? "," : "", c->state.safekeeper_ports[i]);
	char *s = tarn_strdup(tarn_buf_cstr(&b));
	tarn_buf_release(&b);
	return s;
}

unsigned parts_safekeeper_addresses(const struct control *c, char storage[][32], const char **out)
{
	for (unsigned i = 0; i < c->config.safekeepers; i++) {
		tarn_snprintf(storage[i], 32, HOST ":%u", c->state.safekeeper_ports[i]);
		out[i] = storage[i];
	}
	return c->config.safekeepers;
}

static int pageserver_prepare(void *arg, struct child_command *cmd, struct tarn_error *err)
{
	struct control *c = arg;
	char *list = parts_safekeeper_list(c);
	(void)err;
	daemon_command(c, cmd, "pageserver", "pageserver");
	child_command_arg(cmd, "--dir");
	child_command_arg(cmd, "%s/pageserver", c->dir);
	arg_pair(cmd, "--store", c->config.store);
	arg_number(cmd, "--system-identifier", c->state.system_identifier);
	arg_address(cmd, "--listen", HOST, c->state.pageserver_port);
	arg_address(cmd, "--http", HOST, c->state.pageserver_http_port);
	arg_pair(cmd, "--postgres-bin", c->install.postgres_bin);
	arg_pair(cmd, "--lib-dir", c->install.lib_dir);
	arg_number(cmd, "--memory-limit-mib", c->config.pageserver_mem_mib);
	arg_number(cmd, "--disk-limit-mib", c->config.pageserver_disk_mib);
	arg_number(cmd, "--redo-hosts", c->config.redo_hosts);
	arg_pair(cmd, "--safekeepers", list);
	free(list);
	return 0;
}

static int pageserver_ready(void *arg, struct tarn_error *err)
{
	struct control *c = arg;
	return is_ready(c->state.pageserver_http_port, err);
}

static int catalog_prepare(void *arg, struct child_command *cmd, struct tarn_error *err)
{
	struct control *c = arg;
	char *list = parts_safekeeper_list(c);
	(void)err;
	daemon_command(c, cmd, "catalog", "catalog");
	arg_address(cmd, "--listen", c->config.listen_host, c->state.catalog_port);
	child_command_arg(cmd, "--pageserver");
	child_command_arg(cmd, "http://" HOST ":%u", c->state.pageserver_http_port);
	arg_pair(cmd, "--store", c->config.store);
	arg_number(cmd, "--system-identifier", c->state.system_identifier);
	arg_pair(cmd, "--safekeepers", list);
	free(list);
	return 0;
}

static int catalog_ready(void *arg, struct tarn_error *err)
{
	struct control *c = arg;
	return is_ready(c->state.catalog_port, err);
}

void parts_make(struct control *c)
{
	struct child_config cc = {.ready_timeout_ms = 60000, .stop_timeout_ms = 60000};
	for (unsigned i = 0; i < c->config.safekeepers; i++) {
		char name[32];
		struct safekeeper_part *p = &c->safekeepers[i];
		p->control = c;
		p->index = i;
		tarn_snprintf(name, sizeof name, "safekeeper-%u", i + 1);
		cc.name = name;
		cc.prepare = safekeeper_prepare;
		cc.ready = safekeeper_ready;
		cc.arg = p;
		p->child = child_new(&cc);
	}
	cc.arg = c;
	cc.name = "pageserver";
	cc.prepare = pageserver_prepare;
	cc.ready = pageserver_ready;
	c->pageserver = child_new(&cc);
	cc.name = "catalog";
	cc.prepare = catalog_prepare;
	cc.ready = catalog_ready;
	c->catalog = child_new(&cc);
}

/* Keeps a remembered port if it is free, else takes another: everything is told at its start. */
static int keep_port(unsigned *port, struct tarn_error *err)
{
	if (*port && port_choose(HOST, *port, true, port, NULL) == 0)
		return 0;
	return port_choose(HOST, 0, true, port, err);
}

int parts_choose_ports(struct control *c, struct tarn_error *err)
{
	struct state *s = &c->state;
	for (unsigned i = 0; i < c->config.safekeepers; i++) {
		TRY(keep_port(&s->safekeeper_ports[i], err));
		TRY(keep_port(&s->safekeeper_http_ports[i], err));
	}
	TRY(keep_port(&s->pageserver_port, err));
	TRY(keep_port(&s->pageserver_http_port, err));
	if (c->config.catalog_port)
		TRY(port_choose(c->config.listen_host, c->config.catalog_port, true,
				&s->catalog_port, err));
	else
		TRY(port_choose(c->config.listen_host, s->catalog_port ? s->catalog_port : 8181,
				false, &s->catalog_port, err));
	return 0;
}

int parts_start_safekeepers(struct control *c, struct tarn_error *err)
{
	unsigned up = 0;
	for (unsigned i = 0; i < c->config.safekeepers; i++)
		TRY(child_start(c->safekeepers[i].child, false, err));
	for (unsigned i = 0; i < c->config.safekeepers; i++) {
		struct tarn_error e = {0};
		if (child_start(c->safekeepers[i].child, true, &e) == 0)
			up++;
		else if (err)
			*err = e;
	}
	if (up * 2 > c->config.safekeepers)
		return 0;
	return tarn_error_prefix(err, "only %u of %u safekeepers started, a majority is needed", up,
				 c->config.safekeepers);
}

int parts_start_pageserver(struct control *c, struct tarn_error *err)
{
	return child_start(c->pageserver, true, err);
}

int parts_start_catalog(struct control *c, struct tarn_error *err)
{
	return child_start(c->catalog, true, err);
}

void parts_stop(struct control *c)
{
	child_stop(c->catalog, NULL);
	child_stop(c->pageserver, NULL);
	for (unsigned i = 0; i < c->config.safekeepers; i++)
		child_stop(c->safekeepers[i].child, NULL);
}

int pageserver_call(struct control *c, const char *method, const char *path, const json_t *body,
		    json_t **out, struct tarn_error *err)
{
	struct tarn_buf answer = TARN_BUF_INIT;
	json_error_t je;
	char *url = tarn_asprintf("http://" HOST ":%u%s", c->state.pageserver_http_port, path);
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	int rc = http_call(method, url, text, 120000, ANSWER_MAX_BYTES, &answer, err);
	if (out)
		*out = NULL;
	if (rc == 0 && out && answer.len > 0) {
		*out = json_loadb((const char *)answer.data, answer.len, 0, &je);
		if (!*out)
			rc = tarn_fail(err, TARN_E_PROTOCOL,
				       "the pageserver's answer to %s is no JSON: %s", path,
				       je.text);
	}
	free(text);
	free(url);
	tarn_buf_release(&answer);
	return rc;
}
