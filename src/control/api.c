/* The control plane's HTTP API (control.h lists it). */
#include "base/system.h"
#include "control/control_internal.h"
#include "io/http.h"
#include "io/stop.h"

#define HOST "127.0.0.1"

static json_t *part_json(const char *name, struct child *child, const char *address_key,
			 unsigned port, unsigned http_port)
{
	struct child_status s;
	char text[64];
	child_get_status(child, &s);
	json_t *j = json_pack("{s:s, s:s, s:i, s:i, s:f}", "name", name, "state",
			      child_state_name(s.state), "pid", (int)s.pid, "restarts",
			      (int)s.restarts, "start_ms", (double)s.start_us / 1000);
	tarn_snprintf(text, sizeof text, HOST ":%u", port);
	json_object_set_new(j, address_key, json_string(text));
	tarn_snprintf(text, sizeof text, "http://" HOST ":%u", http_port);
	json_object_set_new(j, "http", json_string(text));
	if (s.last_error[0] && s.state != CHILD_RUNNING)
		json_object_set_new(j, "error", json_string(s.last_error));
	return j;
}

static json_t *endpoints_json(struct control *c)
{
	json_t *list = json_array();
	pthread_mutex_lock(&c->lock);
	for (unsigned i = 0; i < c->endpoint_count; i++) {
		struct endpoint *e = c->endpoints[i];
		struct child_status s;
		char url[128];
		child_get_status(e->child, &s);
		tarn_snprintf(url, sizeof url, "postgres://postgres@%s:%u/postgres",
			      c->config.listen_host, e->port);
		json_t *j =
			json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:f, s:s}", "branch", e->branch,
				  "state", child_state_name(s.state), "url", url, "port",
				  (int)e->port, "pid", (int)s.pid, "restarts", (int)s.restarts,
				  "start_ms", (double)s.start_us / 1000, "data_dir", e->data_dir);
		if (s.last_error[0] && s.state != CHILD_RUNNING)
			json_object_set_new(j, "error", json_string(s.last_error));
		json_array_append_new(list, j);
	}
	pthread_mutex_unlock(&c->lock);
	return list;
}

/* Adds what each safekeeper says of its timelines, for lag. */
static void add_safekeeper_timelines(unsigned http_port, json_t *part)
{
	struct tarn_buf body = TARN_BUF_INIT;
	char url[64];
	json_error_t je;
	tarn_snprintf(url, sizeof url, "http://" HOST ":%u/v1/timelines", http_port);
	if (http_call("GET", url, NULL, 500, MIB, &body, NULL) == 0) {
		json_t *j = json_loadb((const char *)body.data, body.len, 0, &je);
		json_t *timelines = json_object_get(j, "timelines");
		if (timelines)
			json_object_set(part, "timelines", timelines);
		json_decref(j);
	}
	tarn_buf_release(&body);
}

json_t *api_status(struct control *c)
{
	json_t *root = json_object(), *parts = json_array(), *timelines = NULL;
	struct state *s = &c->state;
	char text[128];
	for (unsigned i = 0; i < c->config.safekeepers; i++) {
		json_t *p =
			part_json(child_name(c->safekeepers[i].child), c->safekeepers[i].child,
				  "address", s->safekeeper_ports[i], s->safekeeper_http_ports[i]);
		add_safekeeper_timelines(s->safekeeper_http_ports[i], p);
		json_array_append_new(parts, p);
	}
	json_array_append_new(parts, part_json("pageserver", c->pageserver, "address",
					       s->pageserver_port, s->pageserver_http_port));
	json_array_append_new(parts, part_json("catalog", c->catalog, "address", s->catalog_port,
					       s->catalog_port));
	json_object_set_new(root, "version", json_integer(1));
	json_object_set_new(root, "dir", json_string(c->dir));
	json_object_set_new(root, "store", json_string(c->config.store));
	tarn_snprintf(text, sizeof text, "%" PRIu64, s->system_identifier);
	json_object_set_new(root, "system_identifier", json_string(text));
	tarn_snprintf(text, sizeof text, "http://%s:%u", c->config.listen_host, s->catalog_port);
	json_object_set_new(root, "catalog_url", json_string(text));
	json_object_set_new(root, "parts", parts);
	json_object_set_new(root, "endpoints", endpoints_json(c));
	if (pageserver_call(c, "GET", "/v1/timelines", NULL, &timelines, NULL) == 0)
		json_object_set(root, "branches", json_object_get(timelines, "timelines"));
	json_decref(timelines);
	return root;
}

static void answer_json(struct http_response *r, unsigned status, json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT | JSON_PRESERVE_ORDER);
	r->status = status;
	tarn_buf_put_str(&r->body, text);
	free(text);
	json_decref(j);
}

static int body_json(const struct http_request *q, json_t **out, struct tarn_error *err)
{
	json_error_t je;
	*out = json_loadb((const char *)q->body, q->body_len, 0, &je);
	if (!json_is_object(*out)) {
		json_decref(*out);
		*out = NULL;
		return tarn_fail(err, TARN_E_USAGE, "the request's body must be a JSON object");
	}
	return 0;
}

static int check_branch_name(const char *name, struct tarn_error *err)
{
	size_t n = name ? strlen(name) : 0;
	if (n == 0 || n > STATE_MAX_NAME_BYTES || name[0] == '.' || name[0] == '-' ||
	    strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") != n)
		return tarn_fail(err, TARN_E_USAGE,
				 "a branch name has 1 to %d letters, digits, '_', '-' or '.' and "
				 "begins with none of "
				 "the last two",
				 STATE_MAX_NAME_BYTES);
	return 0;
}

/* The head of a branch that runs is where its log is now, not what the pageserver has seen of it. */
static int head_lsn(struct control *c, const char *branch, json_t *body, struct tarn_error *err)
{
	char storage[CONFIG_MAX_SAFEKEEPERS][32], text[TARN_LSN_TEXT_BYTES];
	const char *addrs[CONFIG_MAX_SAFEKEEPERS];
	struct endpoint *e;
	struct child_status s;
	tarn_lsn read_index = 0, commit = 0;
	bool alive = false;
	if (endpoint_get(c, branch, false, &e, NULL) != 0)
		return 0;
	child_get_status(e->child, &s);
	if (s.state != CHILD_RUNNING)
		return 0;
	unsigned n = parts_safekeeper_addresses(c, storage, addrs);
	TRY(quorum_read_index(addrs, n, &e->timeline, 5000, &read_index, &commit, &alive, err));
	tarn_lsn_format(read_index, text);
	json_object_set_new(body, "lsn", json_string(text));
	return 0;
}

static int create_branch(struct control *c, json_t *q, json_t **out, struct tarn_error *err)
{
	const char *name = json_string_value(json_object_get(q, "name"));
	const char *from = json_string_value(json_object_get(q, "from"));
	json_t *lsn = json_object_get(q, "lsn"), *time = json_object_get(q, "time");
	TRY(check_branch_name(name, err));
	json_t *body = json_pack("{s:s, s:s}", "name", name, "parent", from ? from : "main");
	int rc = 0;
	if (json_is_string(lsn))
		json_object_set(body, "lsn", lsn);
	else if (json_is_string(time))
		json_object_set(body, "time", time);
	else
		rc = head_lsn(c, from ? from : "main", body, err);
	if (rc == 0)
		rc = pageserver_call(c, "POST", "/v1/timelines", body, out, err);
	json_decref(body);
	return rc;
}

static int delete_branch(struct control *c, const char *name, struct tarn_error *err)
{
	struct endpoint *e;
	json_t *answer = NULL, *t;
	size_t i;
	char path[96] = "";
	struct tarn_id id = {{0}};
	if (strcmp(name, "main") == 0)
		return tarn_fail(err, TARN_E_CONFLICT,
				 "branch main is the project itself and is not deleted");
	TRY(pageserver_call(c, "GET", "/v1/timelines", NULL, &answer, err));
	json_array_foreach(json_object_get(answer, "timelines"), i, t)
	{
		const char *n = json_string_value(json_object_get(t, "name"));
		const char *text = json_string_value(json_object_get(t, "id"));
		const char *parent = json_string_value(json_object_get(t, "parent_name"));
		if (n && text && strcmp(n, name) == 0 && tarn_id_parse(text, &id))
			tarn_snprintf(path, sizeof path, "/v1/timelines/%s", text);
		if (n && parent && strcmp(parent, name) == 0) {
			int rc = tarn_fail(
				err, TARN_E_CONFLICT,
				"branch %s has a branch of its own, %s: delete that first", name,
				n);
			json_decref(answer);
			return rc;
		}
	}
	json_decref(answer);
	if (!path[0])
		return tarn_fail(err, TARN_E_NOT_FOUND,
				 "there is no branch %s; `tarn branch list` shows them", name);
	if (endpoint_get(c, name, false, &e, NULL) == 0)
		TRY(endpoint_remove(e, err));
	TRY(pageserver_call(c, "DELETE", path, NULL, NULL, err));
	char storage[CONFIG_MAX_SAFEKEEPERS][32];
	const char *addrs[CONFIG_MAX_SAFEKEEPERS];
	unsigned n = parts_safekeeper_addresses(c, storage, addrs);
	for (unsigned k = 0; k < n; k++)
		if (sk_timeline_delete(addrs[k], &id, 5000, NULL) != 0)
			continue; /* one that is down keeps a log nobody asks for */
	return 0;
}

static int change_endpoint(struct control *c, const char *branch, const char *verb,
			   struct tarn_error *err)
{
	struct endpoint *e;
	bool start = strcmp(verb, "start") == 0;
	TRY(check_branch_name(branch, err));
	TRY(endpoint_get(c, branch, start, &e, err));
	return start ? endpoint_start(e, err) : endpoint_stop(e, err);
}

static int dispatch(struct control *c, const struct http_request *q, char **part, int n,
		    struct http_response *r, struct tarn_error *err)
{
	bool post = strcmp(q->method, "POST") == 0, get = strcmp(q->method, "GET") == 0;
	json_t *body = NULL, *out = NULL;
	if (n == 2 && get && strcmp(part[1], "status") == 0) {
		answer_json(r, 200, api_status(c));
		return 0;
	}
	if (n == 2 && get && strcmp(part[1], "endpoints") == 0) {
		answer_json(r, 200, json_pack("{s:o}", "endpoints", endpoints_json(c)));
		return 0;
	}
	if (n == 2 && get && strcmp(part[1], "branches") == 0) {
		TRY(pageserver_call(c, "GET", "/v1/timelines", NULL, &out, err));
		answer_json(r, 200, out);
		return 0;
	}
	if (n == 2 && post && strcmp(part[1], "stop") == 0) {
		stop_request();
		answer_json(r, 202, json_object());
		return 0;
	}
	int rc = TARN_E_NOT_FOUND;
	pthread_mutex_lock(&c->branch_lock);
	if (n == 2 && post && strcmp(part[1], "branches") == 0) {
		rc = body_json(q, &body, err);
		if (rc == 0)
			rc = create_branch(c, body, &out, err);
		if (rc == 0)
			answer_json(r, 201, out);
		json_decref(body);
	} else if (n == 3 && strcmp(q->method, "DELETE") == 0 && strcmp(part[1], "branches") == 0) {
		rc = delete_branch(c, part[2], err);
		r->status = 204;
	} else if (n == 4 && post && strcmp(part[1], "endpoints") == 0 &&
		   (strcmp(part[3], "start") == 0 || strcmp(part[3], "stop") == 0)) {
		rc = change_endpoint(c, part[2], part[3], err);
		if (rc == 0)
			answer_json(r, 200, json_pack("{s:o}", "endpoints", endpoints_json(c)));
	} else {
		rc = tarn_fail(err, TARN_E_NOT_FOUND, "no such request: %s %s", q->method, q->path);
	}
	pthread_mutex_unlock(&c->branch_lock);
	return rc;
}

void api_handle(void *arg, const struct http_request *q, struct http_response *r)
{
	struct tarn_error err = {0};
	char storage[1024], *part[6];
	int n = http_split_path(q->path, storage, sizeof storage, part, (int)ARRAY_LEN(part));
	int rc;
	if (n < 2 || strcmp(part[0], "v1") != 0)
		rc = tarn_fail(&err, TARN_E_NOT_FOUND, "no such request: %s %s", q->method,
			       q->path);
	else
		rc = dispatch(arg, q, part, n, r, &err);
	if (rc != 0)
		http_response_error(r, &err);
}
