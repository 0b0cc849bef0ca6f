/* The first start: a new cluster by initdb, taken over by the pageserver as branch main. */
#include "base/system.h"
#include <signal.h>
#include "base/log.h"
#include "control/control_internal.h"
#include "io/file.h"
#include "pg/control_file.h"

static int run_initdb(struct control *c, const char *data_dir, struct tarn_error *err)
{
	struct child_command cmd = {.exec_fd = -1};
	char *log = tarn_asprintf("%s/logs/initdb.log", c->dir);
	cmd.log_path = log;
	child_command_arg(&cmd, "%s/initdb", c->install.postgres_bin);
	child_command_arg(&cmd, "-D");
	child_command_arg(&cmd, "%s", data_dir);
	child_command_arg(&cmd, "--username=postgres");
	child_command_arg(&cmd, "--auth=trust");
	child_command_arg(&cmd, "--encoding=UTF8");
	child_command_arg(&cmd, "--locale=C.UTF-8");
	child_command_arg(&cmd,
			  "--no-sync"); /* a scratch copy: the object store holds what counts */
	child_command_arg(&cmd, "--no-instructions");
	int rc = child_run(&cmd, err);
	child_command_release(&cmd);
	free(log);
	return rc;
}

static int import(struct control *c, const char *data_dir, struct tarn_error *err)
{
	json_t *body = json_pack("{s:s, s:s}", "path", data_dir, "name", "main");
	json_t *answer = NULL;
	int rc = pageserver_call(c, "POST", "/v1/import", body, &answer, err);
	json_decref(answer);
	json_decref(body);
	return rc;
}

static int import_exists(struct control *c, bool *exists, struct tarn_error *err)
{
	json_t *answer = NULL;
	int rc = pageserver_call(c, "GET", "/v1/timelines", NULL, &answer, err);
	if (rc == 0)
		*exists = json_array_size(json_object_get(answer, "timelines")) > 0;
	json_decref(answer);
	return rc;
}

/* A store that holds a project already (its folder here was lost) is opened, not made anew. */
static int open_existing(struct control *c, bool *found, struct tarn_error *err)
{
	static const char prefix[] = "file://";
	*found = false;
	if (strncmp(c->config.store, prefix, sizeof prefix - 1) != 0)
		return 0;
	char *path = tarn_asprintf("%s/project.json", c->config.store + sizeof prefix - 1);
	*found = file_exists(path);
	free(path);
	if (!*found)
		return 0;
	struct tarn_buf text = TARN_BUF_INIT;
	json_error_t je;
	path = tarn_asprintf("%s/project.json", c->config.store + sizeof prefix - 1);
	int rc = file_read_all(path, MIB, &text, err);
	json_t *root = rc == 0 ? json_loadb((const char *)text.data, text.len, 0, &je) : NULL;
	const char *id = json_string_value(json_object_get(root, "system_identifier"));
	if (rc == 0 && (!id || !tarn_parse_u64(id, UINT64_MAX, &c->state.system_identifier)))
		rc = tarn_fail(err, TARN_E_CORRUPT,
			       "%s is not a Tarn project: the object store belongs to something "
			       "else; choose "
			       "another with --store",
			       path);
	json_decref(root);
	tarn_buf_release(&text);
	free(path);
	return rc;
}

int project_make(struct control *c, struct tarn_error *err)
{
	bool found, exists = false;
	char *data_dir = tarn_asprintf("%s/initdb", c->dir);
	int rc = open_existing(c, &found, err);
	if (rc == 0 && !found) {
		rc = file_remove_tree(data_dir, err);
		if (rc == 0)
			rc = run_initdb(c, data_dir, err);
		if (rc == 0)
			rc = pg_control_read_system_identifier(data_dir,
							       &c->state.system_identifier, err);
	}
	if (rc == 0)
		rc = parts_start_pageserver(c, err);
	if (rc == 0)
		rc = import_exists(c, &exists, err);
	if (rc == 0 && !exists && !found)
		rc = import(c, data_dir, err);
	else if (rc == 0 && !exists)
		rc = tarn_fail(err, TARN_E_CONFLICT,
			       "the object store %s holds a project whose creation did not finish; "
			       "empty it or "
			       "choose another",
			       c->config.store);
	if (rc == 0) {
		state_endpoint(&c->state, "main", true)->wanted = true;
		rc = state_save(c->dir, &c->state, err);
	}
	if (rc == 0)
		rc = file_remove_tree(data_dir, err);
	free(data_dir);
	return rc;
}
