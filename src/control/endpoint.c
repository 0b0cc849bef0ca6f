/* Computes: one per branch that wants one; made anew at each start from a base backup. */
#include "base/system.h"
#include <signal.h>
#include "base/log.h"
#include "control/control_internal.h"
#include "io/file.h"

#define SYNC_TIMEOUT_MS 20000
#define SAFEKEEPER_RETRY_US 50000

/* What invariant 1 and statelessness need; a user's setting cannot override the command line. */
static const char *const fixed_settings[] = {
	"shared_preload_libraries=tarn",
	"fsync=off", /* the safekeepers' disks are the durable ones */
	"full_page_writes=off",
	"wal_log_hints=off",
	"wal_level=replica",
	"restart_after_crash=off", /* a crashed compute is replaced */
	"synchronous_standby_names=tarn",
	"archive_mode=off",
	"wal_recycle=off",
	"wal_init_zero=off",
	"max_wal_senders=10",
	"hot_standby=off",
	"dynamic_library_path=", /* completed below */
};

static const char config_defaults[] = "shared_buffers = 128MB\n"
				      "max_connections = 100\n"
				      "timezone = 'UTC'\n"
				      "log_timezone = 'UTC'\n"
				      "log_destination = 'stderr'\n"
				      "log_line_prefix = '%m [%p] '\n"
				      "log_checkpoints = off\n"
				      "checkpoint_timeout = 30min\n"
				      "max_wal_size = 1GB\n"
				      "wal_compression = off\n"
				      "effective_io_concurrency = 64\n"
				      "maintenance_io_concurrency = 64\n"
				      "default_text_search_config = 'pg_catalog.english'\n"
				      "lc_messages = 'C.UTF-8'\n"
				      "lc_monetary = 'C.UTF-8'\n"
				      "lc_numeric = 'C.UTF-8'\n"
				      "lc_time = 'C.UTF-8'\n";
static const char hba[] = "local all all trust\n"
			  "host all all 127.0.0.1/32 trust\n"
			  "host all all ::1/128 trust\n"
			  "local replication all trust\n"
			  "host replication all 127.0.0.1/32 trust\n";

static int write_text(const char *dir, const char *name, const char *text, struct tarn_error *err)
{
	int fd;
	char *path = tarn_asprintf("%s/%s", dir, name);
	int rc = file_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600, &fd, err);
	if (rc == 0) {
		rc = file_pwrite(fd, text, strlen(text), 0, path, err);
		file_close(fd);
	}
	free(path);
	return rc;
}

static int write_settings(struct endpoint *e, struct tarn_error *err)
{
	struct tarn_buf b = TARN_BUF_INIT;
	tarn_buf_printf(
		&b, "%slisten_addresses = '%s'\nport = %u\nunix_socket_directories = '%s'\n%s",
		config_defaults, e->control->config.listen_host, e->port,
		strlen(e->data_dir) < 80 ? e->data_dir : "", e->control->config.postgres_settings);
	int rc = write_text(e->data_dir, "postgresql.conf", tarn_buf_cstr(&b), err);
	tarn_buf_release(&b);
	if (rc == 0)
		rc = write_text(e->data_dir, "pg_hba.conf", hba, err);
	if (rc == 0)
		rc = write_text(e->data_dir, "pg_ident.conf", "", err);
	return rc;
}

static int find_timeline(struct endpoint *e, tarn_lsn *start_lsn, struct tarn_error *err)
{
	json_t *answer = NULL, *t;
	size_t i;
	int rc = pageserver_call(e->control, "GET", "/v1/timelines", NULL, &answer, err);
	if (rc != 0)
		return rc;
	rc = tarn_fail(err, TARN_E_NOT_FOUND,
		       "there is no branch %s; `tarn branch list` shows them", e->branch);
	json_array_foreach(json_object_get(answer, "timelines"), i, t)
	{
		const char *name = json_string_value(json_object_get(t, "name"));
		const char *id = json_string_value(json_object_get(t, "id"));
		const char *lsn = json_string_value(json_object_get(t, "start_lsn"));
		if (name && id && lsn && strcmp(name, e->branch) == 0 &&
		    tarn_id_parse(id, &e->timeline) && tarn_lsn_parse(lsn, start_lsn))
			rc = 0;
	}
	json_decref(answer);
	return rc;
}

/* Which safekeepers answer, and whether one of them knows the timeline. */
static unsigned count_safekeepers(struct endpoint *e, const char **addrs, unsigned n, bool *known,
				  struct tarn_error *err)
{
	unsigned have = 0;
	*known = false;
	for (unsigned i = 0; i < n; i++) {
		bool exists = false;
		if (sk_timeline_exists(addrs[i], &e->timeline, 5000, &exists, err) == 0)
			have++;
		*known = *known || exists;
	}
	return have;
}

/* The timeline exists on a majority, and its log has an end that a majority holds. */
static int settle_log(struct endpoint *e, tarn_lsn start_lsn, tarn_lsn *end, struct tarn_error *err)
{
	struct control *c = e->control;
	char storage[CONFIG_MAX_SAFEKEEPERS][32];
	const char *addrs[CONFIG_MAX_SAFEKEEPERS];
	unsigned n = parts_safekeeper_addresses(c, storage, addrs), have;
	uint64_t deadline_us = tarn_mono_us() + SYNC_TIMEOUT_MS * (uint64_t)1000;
	bool known;
	for (;;) {
		have = count_safekeepers(e, addrs, n, &known, err);
		if (have * 2 > n && (known || have == n))
			break;
		/* They may be starting, as this endpoint is. */
		if (tarn_mono_us() > deadline_us)
			return tarn_error_prefix(
				err, "only %u of %u safekeepers answer%s", have, n,
				known ? "" : ", and a new branch needs all of them once");
		usleep(SAFEKEEPER_RETRY_US);
	}
	/* One that lost its disk is made anew by the proposer, which knows that its vote must not count. */
	for (unsigned i = 0; i < n && !known; i++)
		TRY(sk_timeline_create(addrs[i], &e->timeline, c->state.system_identifier,
				       start_lsn, 5000, err));
	return quorum_sync(addrs, n, &e->timeline, c->state.system_identifier, SYNC_TIMEOUT_MS, end,
			   err);
}

static void fill_command(struct endpoint *e, struct child_command *cmd)
{
	struct control *c = e->control;
	char id[TARN_ID_TEXT_BYTES];
	char *list = parts_safekeeper_list(c);
	tarn_id_format(&e->timeline, id);
	child_command_env(cmd, "TARN_LOG=%s/logs/compute-%s.log", c->dir, e->branch);
	cmd->log_path = cmd->env[0] + strlen("TARN_LOG=");
	cmd->stop_signal = SIGINT; /* fast shutdown */
	cmd->death_signal = SIGQUIT;
	child_command_arg(cmd, "%s/postgres", c->install.postgres_bin);
	child_command_arg(cmd, "-D");
	child_command_arg(cmd, "%s", e->data_dir);
	for (size_t i = 0; i < ARRAY_LEN(fixed_settings); i++) {
		size_t n = strlen(fixed_settings[i]);
		child_command_arg(cmd, "-c");
		child_command_arg(cmd, "%s%s%s", fixed_settings[i],
				  fixed_settings[i][n - 1] == '=' ? c->install.lib_dir : "",
				  fixed_settings[i][n - 1] == '=' ? ":$libdir" : "");
	}
	child_command_arg(cmd, "-c");
	child_command_arg(cmd, "tarn.timeline=%s", id);
	child_command_arg(cmd, "-c");
	child_command_arg(cmd, "tarn.safekeepers=%s", list);
	child_command_arg(cmd, "-c");
	child_command_arg(cmd, "tarn.pageserver=127.0.0.1:%u", c->state.pageserver_port);
	child_command_arg(cmd, "-c");
	child_command_arg(cmd, "tarn.cache_size=%u", c->config.cache_mib);
	free(list);
}

static int endpoint_prepare(void *arg, struct child_command *cmd, struct tarn_error *err)
{
	struct endpoint *e = arg;
	char pageserver[32];
	tarn_lsn start_lsn = 0;
	tarn_snprintf(pageserver, sizeof pageserver, "127.0.0.1:%u",
		      e->control->state.pageserver_port);
	TRY(find_timeline(e, &start_lsn, err));
	TRY(settle_log(e, start_lsn, &e->start_lsn, err));
	TRY(file_remove_tree(e->data_dir, err));
	TRY(file_mkdir_p(e->data_dir, 0700, err));
	TRY(basebackup_fetch(pageserver, &e->timeline, e->control->state.system_identifier,
			     e->start_lsn, e->data_dir, err));
	TRY(write_settings(e, err));
	fill_command(e, cmd);
	return 0;
}

/* As pg_ctl does: the postmaster writes its state into the last line of its pid file. */
static int endpoint_ready(void *arg, struct tarn_error *err)
{
	struct endpoint *e = arg;
	struct tarn_buf text = TARN_BUF_INIT;
	char *path = tarn_asprintf("%s/postmaster.pid", e->data_dir);
	int rc = TARN_E_UNAVAILABLE;
	if (file_exists(path) && file_read_all(path, 4096, &text, NULL) == 0 &&
	    strstr(tarn_buf_cstr(&text), "\nready"))
		rc = 0;
	tarn_buf_release(&text);
	free(path);
	return rc == 0 ? 0
		       : tarn_fail(err, TARN_E_UNAVAILABLE,
				   "Postgres has not said yet that it is ready");
}

static int choose_port(struct control *c, struct endpoint *e, struct tarn_error *err)
{
	struct state_endpoint *s = state_endpoint(&c->state, e->branch, true);
	bool main_branch = strcmp(e->branch, "main") == 0;
	if (!s)
		return tarn_fail(err, TARN_E_LIMIT,
				 "no more than %d computes can be known here; stop and "
				 "delete branches you no longer need",
				 STATE_MAX_ENDPOINTS);
	if (main_branch && c->config.postgres_port)
		TRY(port_choose(c->config.listen_host, c->config.postgres_port, true, &s->port,
				err));
	else
		TRY(port_choose(c->config.listen_host,
				s->port	      ? s->port
				: main_branch ? 5432
					      : 5433,
				false, &s->port, err));
	e->port = s->port;
	return 0;
}

int endpoint_get(struct control *c, const char *branch, bool make, struct endpoint **out,
		 struct tarn_error *err)
{
	*out = NULL;
	pthread_mutex_lock(&c->lock);
	for (unsigned i = 0; i < c->endpoint_count; i++)
		if (strcmp(c->endpoints[i]->branch, branch) == 0)
			*out = c->endpoints[i];
	bool full = c->endpoint_count == STATE_MAX_ENDPOINTS;
	pthread_mutex_unlock(&c->lock);
	if (*out)
		return 0;
	if (!make)
		return tarn_fail(err, TARN_E_NOT_FOUND,
				 "branch %s has no endpoint; `tarn endpoint start %s` "
				 "starts one",
				 branch, branch);
	if (full)
		return tarn_fail(err, TARN_E_LIMIT, "no more than %d computes can run here",
				 STATE_MAX_ENDPOINTS);
	struct endpoint *e = tarn_calloc(1, sizeof *e);
	e->control = c;
	if (!tarn_strlcpy(e->branch, branch, sizeof e->branch)) {
		free(e);
		return tarn_fail(err, TARN_E_LIMIT, "a branch name has at most %d bytes",
				 STATE_MAX_NAME_BYTES);
	}
	e->data_dir = tarn_asprintf("%s/endpoints/%s", c->dir, branch);
	struct child_config cc = {.name = branch,
				  .prepare = endpoint_prepare,
				  .ready = endpoint_ready,
				  .arg = e,
				  .ready_timeout_ms = 60000,
				  .stop_timeout_ms = 30000};
	e->child = child_new(&cc);
	pthread_mutex_lock(&c->lock);
	c->endpoints[c->endpoint_count++] = e;
	pthread_mutex_unlock(&c->lock);
	*out = e;
	return 0;
}

static int remember(struct endpoint *e, bool wanted, struct tarn_error *err)
{
	struct control *c = e->control;
	pthread_mutex_lock(&c->lock);
	struct state_endpoint *s = state_endpoint(&c->state, e->branch, true);
	if (s)
		s->wanted = wanted;
	int rc = state_save(c->dir, &c->state, err);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

int endpoint_start(struct endpoint *e, struct tarn_error *err)
{
	struct child_status status;
	tarn_lsn lsn;
	child_get_status(e->child, &status);
	if (status.state == CHILD_RUNNING)
		return 0;
	TRY(find_timeline(e, &lsn, err));
	pthread_mutex_lock(&e->control->lock);
	int rc = choose_port(e->control, e, err);
	pthread_mutex_unlock(&e->control->lock);
	TRY(rc);
	TRY(child_start(e->child, true, err));
	return remember(e, true, err);
}

int endpoint_stop(struct endpoint *e, struct tarn_error *err)
{
	TRY(child_stop(e->child, err));
	return remember(e, false, err);
}

int endpoint_remove(struct endpoint *e, struct tarn_error *err)
{
	struct control *c = e->control;
	TRY(child_stop(e->child, err));
	pthread_mutex_lock(&c->lock);
	for (unsigned i = 0; i < c->endpoint_count; i++)
		if (c->endpoints[i] == e)
			c->endpoints[i] = c->endpoints[--c->endpoint_count];
	state_forget_endpoint(&c->state, e->branch);
	int rc = state_save(c->dir, &c->state, err);
	pthread_mutex_unlock(&c->lock);
	if (rc == 0)
		rc = file_remove_tree(e->data_dir, err);
	endpoint_free(e);
	return rc;
}

void endpoint_free(struct endpoint *e)
{
	child_free(e->child);
	free(e->data_dir);
	free(e);
}
