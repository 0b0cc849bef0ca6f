/* Routes of rest.h. What each engine needs is in docs/engines.md. */
#include "base/system.h"
#include "lake/catalog/rest.h"
#include "base/log.h"

#define MAX_PARTS 8
#define READ_ONLY                                                                         \
	"this catalog is for reading: change tables through Postgres, and the next load " \
	"of the table shows it"

struct call {
	struct rest *rest;
	const struct http_request *q;
	struct http_response *r;
	struct warehouse w;
	char **parts; /* after /v1 and the prefix */
	int count;
	bool head;
};

static void fail(struct http_response *r, unsigned status, const char *type, const char *message)
{
	json_t *body = json_pack("{s:{s:s,s:s,s:i}}", "error", "message", message, "type", type,
				 "code", (int)status);
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	r->status = status;
	tarn_buf_clear(&r->body);
	tarn_buf_put_str(&r->body, text ? text : "{\"error\":{\"message\":\"unprintable\"}}");
	free(text);
	json_decref(body);
}

/* not_found: the type when the thing asked for is missing. */
static void fail_with(struct http_response *r, const struct tarn_error *e, const char *not_found)
{
	switch (e->code) {
	case TARN_E_NOT_FOUND:
		fail(r, 404, not_found, e->message);
		return;
	case TARN_E_USAGE:
		fail(r, 400, "BadRequestException", e->message);
		return;
	case TARN_E_UNSUPPORTED:
		fail(r, 406, "UnsupportedOperationException", e->message);
		return;
	case TARN_E_UNAVAILABLE:
		fail(r, 503, "ServiceUnavailableException", e->message);
		break;
	case TARN_E_TIMEOUT:
		fail(r, 504, "ServiceFailureException", e->message);
		break;
	default:
		fail(r, 500, "InternalServerError", e->message);
		break;
	}
	log_warn("a request failed", "status=%u reason=\"%s\"", r->status, e->message);
}

static void put_json(struct http_response *r, json_t *j)
{
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
	if (text)
		tarn_buf_put_str(&r->body, text);
	else
		fail(r, 500, "InternalServerError", "a name is not UTF-8");
	free(text);
	json_decref(j);
}

static void no_content(struct http_response *r)
{
	r->status = 204;
	tarn_buf_clear(&r->body);
}

static void answer_config(struct call *c)
{
	const char *name = http_request_query(c->q, "warehouse");
	struct warehouse w;
	struct tarn_id tl;
	struct tarn_error e = {0};
	struct tarn_buf prefix = TARN_BUF_INIT;
	if (!warehouse_parse(name ? name : "", &w)) {
		fail(c->r, 400, "BadRequestException",
		     "a warehouse is named BRANCH or BRANCH/DATABASE");
		return;
	}
	if (pageserver_find_branch(c->rest->pageserver, w.branch, &tl, &e) != 0) {
		fail_with(c->r, &e, "NoSuchWarehouseException");
		return;
	}
	warehouse_prefix(&w, &prefix);
	static const char *const endpoints[] = {
		"GET /v1/{prefix}/namespaces",
		"GET /v1/{prefix}/namespaces/{namespace}",
		"HEAD /v1/{prefix}/namespaces/{namespace}",
		"GET /v1/{prefix}/namespaces/{namespace}/tables",
		"GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
		"HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}",
		"POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/metrics",
	};
	json_t *list = json_array();
	for (size_t i = 0; i < ARRAY_LEN(endpoints); i++)
		json_array_append_new(list, json_string(endpoints[i]));
	put_json(c->r, json_pack("{s:{},s:{s:s},s:o}", "defaults", "overrides", "prefix",
				 tarn_buf_cstr(&prefix), "endpoints", list));
	tarn_buf_release(&prefix);
}

static const char *text_of(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));
	return s ? s : "";
}

static bool in_warehouse(const struct call *c, const json_t *table)
{
	return strcmp(text_of(table, "database"), c->w.database) == 0;
}

static void list_namespaces(struct call *c)
{
	json_t *answer, *t, *seen = json_object(), *out = json_array();
	struct tarn_error e = {0};
	const char *parent = http_request_query(c->q, "parent"), *schema;
	size_t i;
	int rc = 0;
	answer = NULL;
	if (!parent || !*parent) /* schemas have no schemas in them */
		rc = loads_list(c->rest->loads, c->w.branch, 0, &answer, &e);
	json_array_foreach(json_object_get(answer, "tables"), i, t)
	{
		if (in_warehouse(c, t))
			json_object_set_new(seen, text_of(t, "schema"), json_true());
	}
	json_object_foreach(seen, schema, t) json_array_append_new(out, json_pack("[s]", schema));
	if (rc != 0) {
		json_decref(out);
		fail_with(c->r, &e, "NoSuchWarehouseException");
	} else {
		put_json(c->r, json_pack("{s:o}", "namespaces", out));
	}
	json_decref(seen);
	json_decref(answer);
}

/* The tables of the namespace in the path, as identifiers; NULL after an error was answered. */
static json_t *tables_of(struct call *c)
{
	struct namespace ns;
	struct tarn_error e = {0};
	json_t *answer, *t, *out = json_array();
	size_t i;
	bool found = false;
	if (!namespace_parse(c->parts[1], &ns)) {
		fail(c->r, 404, "NoSuchNamespaceException", "there is no such schema");
		json_decref(out);
		return NULL;
	}
	if (loads_list(c->rest->loads, c->w.branch, ns.pin, &answer, &e) != 0) {
		fail_with(c->r, &e, "NoSuchWarehouseException");
		json_decref(out);
		return NULL;
	}
	json_array_foreach(json_object_get(answer, "tables"), i, t)
	{
		if (!in_warehouse(c, t) || strcmp(text_of(t, "schema"), ns.schema) != 0)
			continue;
		found = true;
		json_array_append_new(out, json_pack("{s:[s],s:s}", "namespace", c->parts[1],
						     "name", text_of(t, "table")));
	}
	json_decref(answer);
	if (found)
		return out;
	tarn_fail(&e, TARN_E_NOT_FOUND, "there is no schema %s with tables in database %s",
		  ns.schema, c->w.database);
	fail_with(c->r, &e, "NoSuchNamespaceException");
	json_decref(out);
	return NULL;
}

static void answer_namespace(struct call *c)
{
	json_t *tables = tables_of(c);
	if (!tables)
		return;
	json_decref(tables);
	if (c->head)
		no_content(c->r);
	else
		put_json(c->r, json_pack("{s:[s],s:{}}", "namespace", c->parts[1], "properties"));
}

static void list_tables(struct call *c)
{
	json_t *tables = tables_of(c);
	if (tables)
		put_json(c->r, json_pack("{s:o}", "identifiers", tables));
}

/* Whether one of the tags in If-None-Match is ours; "W/" says nothing for GET. */
static bool matches(const char *if_none_match, const char *etag)
{
	const char *opaque = strchr(etag, '"');
	return if_none_match && opaque && strstr(if_none_match, opaque) != NULL;
}

static void load_table(struct call *c)
{
	struct namespace ns;
	struct table_answer *a;
	struct tarn_error e = {0};
	if (!namespace_parse(c->parts[1], &ns)) {
		fail(c->r, 404, "NoSuchTableException", "there is no such schema");
		return;
	}
	if (loads_get(c->rest->loads, &c->w, &ns, c->parts[3], &a, &e) != 0) {
		fail_with(c->r, &e, "NoSuchTableException");
		return;
	}
	http_response_header(c->r, "ETag", a->etag);
	if (c->head) {
		no_content(c->r);
	} else if (matches(http_request_header(c->q, "If-None-Match"), a->etag)) {
		tarn_counter_add(c->rest->not_modified, 1);
		c->r->status = 304;
	} else {
		tarn_buf_put(&c->r->body, a->body, a->body_len);
	}
	table_answer_unref(a);
}

static void not_found(struct call *c)
{
	bool view = c->count >= 3 && strcmp(c->parts[2], "views") == 0;
	struct tarn_error e;
	tarn_fail(&e, TARN_E_NOT_FOUND, "no such address here: %s", c->q->path);
	fail_with(c->r, &e, view ? "NoSuchViewException" : "NotFoundException");
}

static void route_reads(struct call *c)
{
	bool in_namespaces = c->count > 0 && strcmp(c->parts[0], "namespaces") == 0;
	bool tables = in_namespaces && c->count > 2 && strcmp(c->parts[2], "tables") == 0;
	bool views = in_namespaces && c->count == 3 && strcmp(c->parts[2], "views") == 0;
	if (in_namespaces && c->count == 1)
		list_namespaces(c);
	else if (in_namespaces && c->count == 2)
		answer_namespace(c);
	else if (tables && c->count == 3)
		list_tables(c);
	else if (tables && c->count == 4)
		load_table(c);
	else if (views)
		tarn_buf_put_str(&c->r->body, "{\"identifiers\":[]}");
	else
		not_found(c);
}

static void answer_token(struct http_response *r)
{
	tarn_buf_put_str(
		&r->body,
		"{\"access_token\":\"none-needed\",\"token_type\":\"bearer\",\"expires_in\":"
		"86400,\"issued_token_type\":\"urn:ietf:params:oauth:token-type:access_"
		"token\"}");
}

static void route(struct call *c)
{
	bool get = strcmp(c->q->method, "GET") == 0, post = strcmp(c->q->method, "POST") == 0;
	c->head = strcmp(c->q->method, "HEAD") == 0;
	if (c->count == 1 && strcmp(c->parts[0], "config") == 0 && (get || c->head)) {
		answer_config(c);
		return;
	}
	if (c->count == 2 && strcmp(c->parts[0], "oauth") == 0 && post) {
		answer_token(c->r);
		return;
	}
	static const char *const first[] = {"namespaces", "tables", "transactions", "views"};
	bool prefixed = true;
	for (size_t i = 0; i < ARRAY_LEN(first); i++)
		prefixed = prefixed && c->count > 0 && strcmp(c->parts[0], first[i]) != 0;
	if (!warehouse_parse("", &c->w) ||
	    (prefixed && !warehouse_from_prefix(c->parts[0], &c->w))) {
		fail(c->r, 404, "NoSuchWarehouseException", "no such warehouse");
		return;
	}
	c->parts += prefixed;
	c->count -= prefixed;
	if (get || c->head)
		route_reads(c);
	else if (post && c->count > 0 && strcmp(c->parts[c->count - 1], "metrics") == 0)
		no_content(c->r);
	else
		fail(c->r, 406, "UnsupportedOperationException", READ_ONLY);
}

void rest_handle(void *arg, const struct http_request *q, struct http_response *r)
{
	char storage[2048], *parts[MAX_PARTS];
	struct call c = {.rest = arg, .q = q, .r = r};
	int n = http_split_path(q->path, storage, sizeof storage, parts, MAX_PARTS);
	if (n < 0) {
		fail(r, 400, "BadRequestException", "the address cannot be read");
	} else if (n < 2 || strcmp(parts[0], "v1") != 0) {
		c.count = 0;
		not_found(&c);
	} else {
		c.parts = parts + 1;
		c.count = n - 1;
		route(&c);
	}
	log_debug("answered", "method=%s path=\"%s\" status=%u", q->method, q->path, r->status);
}

void rest_init(struct rest *r, struct loads *loads, struct pageserver_client *pageserver,
	       struct tarn_metrics *metrics)
{
	r->loads = loads;
	r->pageserver = pageserver;
	r->not_modified = tarn_metrics_counter(metrics, "tarn_catalog_not_modified_total", NULL,
					       "Loads answered with 304.");
}
