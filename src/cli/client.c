/* Implementation of client.h. */
#include "base/system.h"
#include "cli/client.h"
#include "control/state.h"
#include "io/file.h"
#include "io/http.h"

#define CALL_TIMEOUT_MS 180000
#define ANSWER_MAX_BYTES (64 * MIB)

int client_dir(const char *option, char **out, struct tarn_error *err)
{
	const char *dir = option ? option : getenv("TARN_DIR");
	char cwd[PATH_MAX];
	if (!dir || !*dir)
		dir = ".tarn";
	if (strlen(dir) > 200)
		return tarn_fail(
			err, TARN_E_LIMIT,
			"the folder's path is longer than 200 bytes: choose a shorter one");
	if (dir[0] == '/') {
		*out = tarn_strdup(dir);
	} else {
		if (!getcwd(cwd, sizeof cwd))
			return tarn_fail_errno(err, errno, "cannot tell the current directory");
		*out = tarn_asprintf("%s/%s", cwd, dir);
	}
	size_t n = strlen(*out);
	while (n > 1 && (*out)[n - 1] == '/')
		(*out)[--n] = '\0';
	return 0;
}

int client_call(const char *dir, const char *method, const char *path, const json_t *body,
		json_t **out, struct tarn_error *err)
{
	struct state state;
	struct tarn_buf answer = TARN_BUF_INIT;
	json_error_t je;
	char url[512];
	if (out)
		*out = NULL;
	TRY(state_load(dir, &state, err));
	if (state.control_port == 0)
		return tarn_fail(err, TARN_E_NOT_FOUND,
				 "there is no project in %s; `tarn up -D %s` makes one, or name "
				 "another folder with "
				 "-D or TARN_DIR",
				 dir, dir);
	if (!tarn_snprintf(url, sizeof url, "http://127.0.0.1:%u%s", state.control_port, path))
		return tarn_fail(err, TARN_E_LIMIT, "the name is too long");
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	int rc = http_call(method, url, text, CALL_TIMEOUT_MS, ANSWER_MAX_BYTES, &answer, err);
	if (rc == TARN_E_UNAVAILABLE && answer.len == 0 &&
	    strstr(err ? err->message : "", "onnect"))
		rc = tarn_fail(err, TARN_E_UNAVAILABLE,
			       "Tarn is not running in %s; `tarn up -D %s` starts it", dir, dir);
	if (rc == 0 && out && answer.len > 0) {
		*out = json_loadb((const char *)answer.data, answer.len, 0, &je);
		if (!*out)
			rc = tarn_fail(err, TARN_E_PROTOCOL,
				       "the control plane's answer is no JSON: %s", je.text);
	}
	free(text);
	tarn_buf_release(&answer);
	return rc;
}

const char *client_text(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));
	return s ? s : "";
}

int client_endpoint_url(const char *dir, const char *branch, char **out, struct tarn_error *err)
{
	json_t *answer, *e;
	size_t i;
	*out = NULL;
	TRY(client_call(dir, "GET", "/v1/endpoints", NULL, &answer, err));
	json_array_foreach(json_object_get(answer, "endpoints"), i,
			   e) if (strcmp(client_text(e, "branch"), branch) == 0 &&
				  strcmp(client_text(e, "state"), "running") == 0) *out =
		tarn_strdup(client_text(e, "url"));
	json_decref(answer);
	if (!*out)
		return tarn_fail(
			err, TARN_E_NOT_FOUND,
			"no compute runs on branch %s; `tarn endpoint start %s` starts one", branch,
			branch);
	return 0;
}

void client_print_json(const json_t *j)
{
	char *text = json_dumps(j, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	printf("%s\n", text);
	free(text);
}
