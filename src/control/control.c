/* `tarn up`: from an empty or existing folder to everything running, and back down in order. */
#include "base/system.h"
#include <sys/file.h>
#include "base/log.h"
#include "control/control_internal.h"
#include "io/file.h"
#include "io/http.h"
#include "io/stop.h"

static void progress(struct control *c, const char *what)
{
	if (c->options->on_progress)
		c->options->on_progress(c->options->arg, what);
}

static int lock_dir(const char *dir, int *fd, struct tarn_error *err)
{
	char *path = tarn_asprintf("%s/tarn.lock", dir);
	int rc = file_open(path, O_RDWR | O_CREAT, 0600, fd, err);
	if (rc == 0 && flock(*fd, LOCK_EX | LOCK_NB) != 0) {
		rc = errno == EWOULDBLOCK ? tarn_fail(err, TARN_E_CONFLICT,
						      "Tarn runs already in %s: `tarn status -D "
						      "%s` shows it, `tarn down -D %s` "
						      "stops it",
						      dir, dir, dir)
					  : tarn_fail_errno(err, errno, "cannot lock %s", path);
		file_close(*fd);
		*fd = -1;
	}
	free(path);
	return rc;
}

static int make_folders(const char *dir, struct tarn_error *err)
{
	static const char *const names[] = {"logs", "endpoints"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char *path = tarn_asprintf("%s/%s", dir, names[i]);
		int rc = file_mkdir_p(path, 0700, err);
		free(path);
		TRY(rc);
	}
	return 0;
}

static int start_endpoints(struct control *c, struct tarn_error *err)
{
	struct state copy = c->state; /* starting changes it */
	struct endpoint *e;
	for (unsigned i = 0; i < copy.endpoint_count; i++) {
		if (!copy.endpoints[i].wanted || stop_requested())
			continue;
		TRY(endpoint_get(c, copy.endpoints[i].branch, true, &e, err));
		int rc = endpoint_start(e, err);
		if (rc != 0 && strcmp(e->branch, "main") == 0)
			return tarn_error_prefix(err, "Postgres of branch main did not start");
		if (rc != 0)
			log_error("endpoint did not start", "branch=%s reason=\"%s\"", e->branch,
				  err ? err->message : "");
	}
	return 0;
}

static int start_all(struct control *c, struct tarn_error *err)
{
	TRY(parts_choose_ports(c, err));
	progress(c, "starting the safekeepers");
	TRY(parts_start_safekeepers(c, err));
	if (c->state.system_identifier == 0) {
		progress(c, "making a new project");
		TRY(project_make(c, err));
	} else {
		progress(c, "starting the pageserver");
		TRY(parts_start_pageserver(c, err));
	}
	TRY(state_save(c->dir, &c->state, err));
	/* The catalog warms up while Postgres starts. */
	progress(c, "starting the catalog and Postgres");
	TRY(child_start(c->catalog, false, err));
	TRY(start_endpoints(c, err));
	return parts_start_catalog(c, err);
}

static void announce(struct control *c)
{
	struct tarn_buf b = TARN_BUF_INIT;
	struct state_endpoint *e = state_endpoint(&c->state, "main", false);
	tarn_buf_printf(&b, "Tarn runs in %s\n", c->dir);
	if (e)
		tarn_buf_printf(&b, "  Postgres     postgres://postgres@%s:%u/postgres\n",
				c->config.listen_host, e->port);
	tarn_buf_printf(
		&b,
		"  Iceberg      http://%s:%u   (warehouse main; `tarn lake url` has snippets)\n",
		c->config.listen_host, c->state.catalog_port);
	tarn_buf_printf(&b, "  Tables in    %s\n", c->config.store);
	if (c->options->on_ready)
		c->options->on_ready(c->options->arg, tarn_buf_cstr(&b));
	tarn_buf_release(&b);
}

static int serve(struct control *c, struct tarn_error *err)
{
	struct http_server *http = NULL;
	struct tarn_metrics *metrics = tarn_metrics_new();
	char address[64];
	unsigned port = c->state.control_port;
	int rc = port_choose("127.0.0.1", port, true, &port, NULL);
	if (rc != 0)
		rc = port_choose("127.0.0.1", 0, true, &port, err);
	if (rc == 0) {
		c->state.control_port = port;
		tarn_snprintf(address, sizeof address, "127.0.0.1:%u", port);
		struct http_server_config hc = {.address = address,
						.threads = 4,
						.max_connections = 64,
						.metrics = metrics,
						.handler = api_handle,
						.arg = c};
		rc = http_server_start(&hc, &http, err);
	}
	if (rc == 0)
		rc = start_all(c, err);
	if (rc == 0)
		announce(c);
	while (rc == 0 && !stop_wait_ms(60000))
		continue;
	progress(c, "stopping");
	http_server_stop(http);
	tarn_metrics_free(metrics);
	return rc;
}

static void stop_all(struct control *c)
{
	for (unsigned i = 0; i < c->endpoint_count; i++)
		child_stop(c->endpoints[i]->child, NULL);
	parts_stop(c);
	for (unsigned i = 0; i < c->endpoint_count; i++)
		endpoint_free(c->endpoints[i]);
	for (unsigned i = 0; i < c->config.safekeepers; i++)
		child_free(c->safekeepers[i].child);
	child_free(c->pageserver);
	child_free(c->catalog);
}

int control_run(const struct control_options *o, struct tarn_error *err)
{
	struct control *c = tarn_calloc(1, sizeof *c);
	int lock_fd = -1;
	c->options = o;
	c->dir = o->dir;
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->branch_lock, NULL);
	int rc = install_find(&c->install, err);
	if (rc == 0)
		rc = file_mkdir_p(o->dir, 0700, err);
	if (rc == 0)
		rc = lock_dir(o->dir, &lock_fd, err);
	if (rc == 0)
		rc = install_copy_modules(&c->install, o->dir, err);
	if (rc == 0)
		rc = install_drop_privileges(o->dir, err);
	if (rc == 0)
		rc = make_folders(o->dir, err);
	if (rc == 0)
		rc = config_load(o->dir, o->store_url, o->safekeepers, &c->config, err);
	if (rc == 0)
		rc = state_load(o->dir, &c->state, err);
	if (rc == 0) {
		parts_make(c);
		rc = serve(c, err);
		stop_all(c);
	}
	config_release(&c->config);
	file_close(lock_fd);
	pthread_mutex_destroy(&c->lock);
	pthread_mutex_destroy(&c->branch_lock);
	free(c);
	return rc;
}
