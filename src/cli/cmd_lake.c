/* tarn lake url, lake tables. */
#include "base/system.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "io/http.h"
#include "lake/catalog/names.h"
#include "lake/catalog/snippets.h"

static int catalog_url(const char *dir, char **out, struct tarn_error *err)
{
	json_t *status;
	TRY(client_call(dir, "GET", "/v1/status", NULL, &status, err));
	*out = tarn_strdup(client_text(status, "catalog_url"));
	json_decref(status);
	return 0;
}

static int print_url(const char *dir, const char *engine, const char *branch,
		     struct tarn_error *err)
{
	struct tarn_buf text = TARN_BUF_INIT;
	char *url = NULL;
	bool known = !engine;
	for (size_t i = 0; engine && lake_engines[i]; i++)
		known = known || strcmp(engine, lake_engines[i]) == 0;
	if (!known)
		return tarn_fail(err, TARN_E_USAGE,
				 "--engine takes duckdb, pyiceberg, spark, trino, clickhouse or "
				 "polars, not \"%s\"",
				 engine);
	TRY(catalog_url(dir, &url, err));
	if (!engine) {
		printf("%s\n", url);
	} else {
		lake_engine_snippet(&text, engine, url, branch);
		printf("%s", tarn_buf_cstr(&text));
	}
	tarn_buf_release(&text);
	free(url);
	return 0;
}

static const char *pageserver_url(const json_t *status)
{
	const json_t *p;
	size_t i;
	json_array_foreach(json_object_get(status, "parts"), i,
			   p) if (strcmp(client_text(p, "name"), "pageserver") ==
				  0) return client_text(p, "http");
	return "";
}

static const char *timeline_of(const json_t *status, const char *branch)
{
	const json_t *b;
	size_t i;
	json_array_foreach(json_object_get(status, "branches"), i,
			   b) if (strcmp(client_text(b, "name"), branch) ==
				  0) return client_text(b, "id");
	return NULL;
}

static int get_json(const char *url, json_t **out, struct tarn_error *err)
{
	struct tarn_buf body = TARN_BUF_INIT;
	json_error_t je;
	int rc = http_call("GET", url, NULL, 120000, 64 * MIB, &body, err);
	if (rc == 0) {
		*out = json_loadb((const char *)body.data, body.len, 0, &je);
		if (!*out)
			rc = tarn_fail(err, TARN_E_PROTOCOL,
				       "the pageserver's answer is no JSON: %s", je.text);
	}
	tarn_buf_release(&body);
	return rc;
}

static void put_parameter(struct tarn_buf *url, const char *name, const char *value)
{
	tarn_buf_printf(url, "%c%s=", strchr(tarn_buf_cstr(url), '?') ? '&' : '?', name);
	put_percent_encoded(url, value);
}

static int table_state(const char *base, const json_t *table, const char *lsn, json_t **out,
		       struct tarn_error *err)
{
	struct tarn_buf url = TARN_BUF_INIT;
	tarn_buf_printf(&url, "%s/table", base);
	put_parameter(&url, "database", client_text(table, "database"));
	put_parameter(&url, "schema", client_text(table, "schema"));
	put_parameter(&url, "table", client_text(table, "table"));
	put_parameter(&url, "lsn", lsn);
	int rc = get_json(tarn_buf_cstr(&url), out, err);
	tarn_buf_release(&url);
	return rc;
}

/* One state per table, each at the LSN of the list. */
static int table_states(const char *base, json_t **out, struct tarn_error *err)
{
	json_t *list = NULL, *t, *state;
	size_t i;
	char *url = tarn_asprintf("%s/tables", base);
	int rc = get_json(url, &list, err);
	free(url);
	*out = json_array();
	json_array_foreach(json_object_get(list, "tables"), i, t)
	{
		if (rc != 0)
			break;
		rc = table_state(base, t, client_text(list, "lsn"), &state, err);
		if (rc == 0)
			json_array_append_new(*out, state);
	}
	json_decref(list);
	return rc;
}

static void print_tables(const json_t *states)
{
	const json_t *s, *f, *v;
	size_t i, k;
	const char *key;
	printf("%-20s %-32s %12s %6s %12s %-14s %s\n", "DATABASE", "TABLE", "ROWS", "FILES",
	       "BYTES", "CHANGED AT", "OVERFLOW");
	json_array_foreach(states, i, s)
	{
		json_int_t bytes = 0, overflow = 0;
		char name[140];
		json_array_foreach(json_object_get(s, "data_files"), k, f) bytes +=
			json_integer_value(json_object_get(f, "bytes"));
		json_object_foreach(json_object_get(s, "overflow"), key, v) overflow +=
			json_integer_value(v);
		tarn_snprintf(name, sizeof name, "%s.%s", client_text(s, "schema"),
			      client_text(s, "table"));
		printf("%-20s %-32s %12lld %6zu %12lld %-14s %lld\n", client_text(s, "database"),
		       name, (long long)json_integer_value(json_object_get(s, "rows")),
		       json_array_size(json_object_get(s, "data_files")) +
			       json_array_size(json_object_get(s, "delete_files")),
		       (long long)bytes, client_text(s, "changed_lsn"), (long long)overflow);
	}
}

static int print_all_tables(const char *dir, const char *branch, bool json, struct tarn_error *err)
{
	json_t *status, *states = NULL;
	TRY(client_call(dir, "GET", "/v1/status", NULL, &status, err));
	const char *id = timeline_of(status, branch);
	if (!id) {
		json_decref(status);
		return tarn_fail(err, TARN_E_NOT_FOUND,
				 "there is no branch %s; `tarn branch list` shows them", branch);
	}
	char *base = tarn_asprintf("%s/v1/timelines/%s/lake", pageserver_url(status), id);
	int rc = table_states(base, &states, err);
	if (rc == 0 && json)
		client_print_json(states);
	else if (rc == 0)
		print_tables(states);
	json_decref(states);
	json_decref(status);
	free(base);
	return rc;
}

int cmd_lake(int argc, char **argv)
{
	const char *dir_option = NULL, *engine = NULL, *branch = "main";
	bool json = false;
	struct option_spec specs[] = {{"dir", &dir_option, NULL},
				      {"engine", &engine, NULL},
				      {"branch", &branch, NULL},
				      {"json", NULL, &json},
				      {NULL, NULL, NULL}};
	struct options o;
	struct tarn_error err = {0};
	char *dir = NULL;
	int code;
	if (!options_parse(argc, argv, specs, 2, &o, &code))
		return code;
	int rc = client_dir(dir_option, &dir, &err);
	const char *verb = o.count > 0 ? o.positional[0] : "";
	if (rc == 0 && strcmp(verb, "url") == 0)
		rc = print_url(dir, engine, branch, &err);
	else if (rc == 0 && strcmp(verb, "tables") == 0)
		rc = print_all_tables(dir, o.count > 1 ? o.positional[1] : branch, json, &err);
	else if (rc == 0)
		rc = tarn_fail(&err, TARN_E_USAGE,
			       "tarn lake takes url or tables; see `tarn lake --help`");
	free(dir);
	return rc == 0 ? 0 : report(&err);
}
