/* tarn url, psql, branch, endpoint. */
#include "base/system.h"
#include "base/lsn.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/options.h"

static const char *branch_or_main(const struct options *o, int index)
{
	return o->count > index ? o->positional[index] : "main";
}

int cmd_url(int argc, char **argv)
{
	const char *dir_option = NULL;
	struct option_spec specs[] = {{"dir", &dir_option, NULL}, {NULL, NULL, NULL}};
	struct options o;
	struct tarn_error err = {0};
	char *dir = NULL, *url = NULL;
	int code;
	if (!options_parse(argc, argv, specs, 1, &o, &code))
		return code;
	int rc = client_dir(dir_option, &dir, &err);
	if (rc == 0)
		rc = client_endpoint_url(dir, branch_or_main(&o, 0), &url, &err);
	if (rc == 0)
		printf("%s\n", url);
	code = rc == 0 ? 0 : report(&err);
	free(url);
	free(dir);
	return code;
}

int cmd_psql(int argc, char **argv)
{
	const char *dir_option = NULL;
	struct option_spec specs[] = {{"dir", &dir_option, NULL}, {NULL, NULL, NULL}};
	struct options o;
	struct tarn_error err = {0};
	char *dir = NULL, *url = NULL;
	int code;
	if (!options_parse(argc, argv, specs, 1, &o, &code))
		return code;
	int rc = client_dir(dir_option, &dir, &err);
	if (rc == 0)
		rc = client_endpoint_url(dir, branch_or_main(&o, 0), &url, &err);
	if (rc == 0) {
		char **args = tarn_calloc((size_t)o.rest_count + 3, sizeof *args);
		args[0] = tarn_strdup("psql");
		args[1] = url;
		for (int i = 0; i < o.rest_count; i++)
			args[2 + i] = o.rest[i];
		fflush(stdout);
		execvp("psql", args);
		execv("/usr/lib/postgresql/15/bin/psql", args);
		rc = tarn_fail_errno(&err, errno, "cannot run psql (package postgresql-client-15)");
		free(args[0]);
		free(args);
	}
	code = report(&err);
	free(url);
	free(dir);
	return rc == 0 ? 0 : code;
}

static int branch_create(const char *dir, const struct options *o, const char *from, const char *at,
			 bool no_endpoint, struct tarn_error *err)
{
	tarn_lsn lsn;
	char path[128];
	json_t *answer = NULL;
	char *url = NULL;
	if (o->count != 2)
		return tarn_fail(err, TARN_E_USAGE, "say which name: tarn branch create NAME");
	json_t *body = json_pack("{s:s}", "name", o->positional[1]);
	if (!body)
		return tarn_fail(err, TARN_E_USAGE, "the name is not UTF-8");
	if (from)
		json_object_set_new(body, "from", json_string(from));
	if (at)
		json_object_set_new(body, tarn_lsn_parse(at, &lsn) ? "lsn" : "time",
				    json_string(at));
	int rc = client_call(dir, "POST", "/v1/branches", body, &answer, err);
	json_decref(body);
	if (rc != 0)
		return rc;
	printf("Branch %s at %s\n", o->positional[1], client_text(answer, "start_lsn"));
	json_decref(answer);
	if (no_endpoint)
		return 0;
	tarn_snprintf(path, sizeof path, "/v1/endpoints/%s/start", o->positional[1]);
	TRY(client_call(dir, "POST", path, NULL, NULL, err));
	TRY(client_endpoint_url(dir, o->positional[1], &url, err));
	printf("%s\n", url);
	free(url);
	return 0;
}

static int branch_list(const char *dir, bool json, struct tarn_error *err)
{
	json_t *answer, *b;
	size_t i;
	TRY(client_call(dir, "GET", "/v1/branches", NULL, &answer, err));
	if (json) {
		client_print_json(answer);
	} else {
		printf("%-24s %-16s %-16s %s\n", "NAME", "PARENT", "BRANCHED AT", "HEAD");
		json_array_foreach(json_object_get(answer, "timelines"), i, b) printf(
			"%-24s %-16s %-16s %s\n", client_text(b, "name"),
			client_text(b, "parent_name")[0] ? client_text(b, "parent_name") : "-",
			client_text(b, "start_lsn"), client_text(b, "last_record_lsn"));
	}
	json_decref(answer);
	return 0;
}

static int branch_delete(const char *dir, const struct options *o, struct tarn_error *err)
{
	char path[512];
	if (o->count != 2)
		return tarn_fail(err, TARN_E_USAGE, "say which: tarn branch delete NAME");
	if (!tarn_snprintf(path, sizeof path, "/v1/branches/%s", o->positional[1]) ||
	    strpbrk(o->positional[1], "/%? #"))
		return tarn_fail(err, TARN_E_NOT_FOUND,
				 "there is no branch of that name; `tarn branch list` shows them");
	TRY(client_call(dir, "DELETE", path, NULL, NULL, err));
	printf("Branch %s deleted\n", o->positional[1]);
	return 0;
}

int cmd_branch(int argc, char **argv)
{
	const char *dir_option = NULL, *from = NULL, *at = NULL;
	bool json = false, no_endpoint = false;
	struct option_spec specs[] = {{"dir", &dir_option, NULL},
				      {"from", &from, NULL},
				      {"at", &at, NULL},
				      {"json", NULL, &json},
				      {"no-endpoint", NULL, &no_endpoint},
				      {NULL, NULL, NULL}};
	struct options o;
	struct tarn_error err = {0};
	char *dir = NULL;
	int code;
	if (!options_parse(argc, argv, specs, 2, &o, &code))
		return code;
	int rc = client_dir(dir_option, &dir, &err);
	const char *verb = o.count > 0 ? o.positional[0] : "";
	if (rc == 0 && strcmp(verb, "create") == 0)
		rc = branch_create(dir, &o, from, at, no_endpoint, &err);
	else if (rc == 0 && strcmp(verb, "list") == 0)
		rc = branch_list(dir, json, &err);
	else if (rc == 0 && strcmp(verb, "delete") == 0)
		rc = branch_delete(dir, &o, &err);
	else if (rc == 0)
		rc = tarn_fail(
			&err, TARN_E_USAGE,
			"tarn branch takes create, list or delete; see `tarn branch --help`");
	free(dir);
	return rc == 0 ? 0 : report(&err);
}

static int endpoint_list(const char *dir, bool json, struct tarn_error *err)
{
	json_t *answer, *e;
	size_t i;
	TRY(client_call(dir, "GET", "/v1/endpoints", NULL, &answer, err));
	if (json) {
		client_print_json(answer);
	} else {
		printf("%-24s %-9s %s\n", "BRANCH", "STATE", "URL");
		json_array_foreach(json_object_get(answer, "endpoints"), i, e)
			printf("%-24s %-9s %s\n", client_text(e, "branch"), client_text(e, "state"),
			       client_text(e, "url"));
	}
	json_decref(answer);
	return 0;
}

static int endpoint_change(const char *dir, const char *branch, const char *verb,
			   struct tarn_error *err)
{
	char path[512];
	if (!tarn_snprintf(path, sizeof path, "/v1/endpoints/%s/%s", branch, verb) ||
	    strpbrk(branch, "/%? #"))
		return tarn_fail(err, TARN_E_NOT_FOUND,
				 "there is no branch of that name; `tarn branch list` shows them");
	TRY(client_call(dir, "POST", path, NULL, NULL, err));
	if (strcmp(verb, "start") == 0) {
		char *url = NULL;
		TRY(client_endpoint_url(dir, branch, &url, err));
		printf("%s\n", url);
		free(url);
	}
	return 0;
}

int cmd_endpoint(int argc, char **argv)
{
	const char *dir_option = NULL;
	bool json = false;
	struct option_spec specs[] = {
		{"dir", &dir_option, NULL}, {"json", NULL, &json}, {NULL, NULL, NULL}};
	struct options o;
	struct tarn_error err = {0};
	char *dir = NULL;
	int code;
	if (!options_parse(argc, argv, specs, 2, &o, &code))
		return code;
	int rc = client_dir(dir_option, &dir, &err);
	const char *verb = o.count > 0 ? o.positional[0] : "";
	if (rc == 0 && strcmp(verb, "list") == 0)
		rc = endpoint_list(dir, json, &err);
	else if (rc == 0 && (strcmp(verb, "start") == 0 || strcmp(verb, "stop") == 0))
		rc = endpoint_change(dir, branch_or_main(&o, 1), verb, &err);
	else if (rc == 0)
		rc = tarn_fail(
			&err, TARN_E_USAGE,
			"tarn endpoint takes start, stop or list; see `tarn endpoint --help`");
	free(dir);
	return rc == 0 ? 0 : report(&err);
}
