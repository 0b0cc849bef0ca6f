/* Implementation of http_api.h. */
#include "base/system.h"
#include <jansson.h>
#include "base/log.h"
#include "pageserver/boundary.h"
#include "pageserver/http_api.h"
#include "pageserver/ingest.h"
#include "pageserver/timestamp.h"

#define MAX_PARTS 8
#define MAX_TIMELINES 4096
#define BRANCH_WAIT_MS 10000

static void answer_json(struct http_response *r, unsigned status, json_t *body)
{
	char *text = json_dumps(body, JSON_COMPACT);
	json_decref(body);
	TARN_CHECK(text != NULL);
	r->status = status;
	tarn_buf_put_str(&r->body, text);
	free(text);
}

static int need_text(const json_t *body, const char *name, const char **out, struct tarn_error *err)
{
	*out = json_string_value(json_object_get(body, name));
	return *out ? 0
		    : tarn_fail(err, TARN_E_USAGE, "the request's body needs a text \"%s\"", name);
}

/* ---- timelines as JSON ---- */

static json_t *lsn_json(tarn_lsn lsn)
{
	char text[TARN_LSN_TEXT_BYTES];
	tarn_lsn_format(lsn, text);
	return json_string(text);
}

static json_t *timeline_json(struct http_api *a, struct ps_timeline *tl)
{
	struct ps_timeline_info i, p;
	struct tarn_error why = {0};
	char id[TARN_ID_TEXT_BYTES];
	ps_timeline_info(tl, &i);
	tarn_id_format(&i.id, id);
	struct ps_timeline *parent =
		i.has_parent ? ps_timeline_find(a->ps->store, &i.parent) : NULL;
	if (parent)
		ps_timeline_info(parent, &p);
	json_t *j = json_pack("{s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:I,s:I}", "id", id, "name", i.name,
			      "start_lsn", lsn_json(i.start_lsn), "last_record_lsn",
			      lsn_json(i.last_record_lsn), "prev_record_lsn",
			      lsn_json(i.prev_record_lsn), "remote_lsn", lsn_json(i.remote_lsn),
			      "history_lsn", lsn_json(i.history_lsn), "parent_name",
			      parent ? json_string(p.name) : json_null(), "layer_bytes",
			      (json_int_t)i.layer_bytes, "layers", (json_int_t)i.layers);
	if (wal_receivers_status(a->receivers, tl, &why) != 0)
		json_object_set_new(j, "stopped", json_string(why.message));
	return j;
}

static void list_timelines(struct http_api *a, struct http_response *r)
{
	struct ps_timeline **all = tarn_calloc(MAX_TIMELINES, sizeof *all);
	size_t n = ps_timeline_list(a->ps->store, all, MAX_TIMELINES);
	json_t *list = json_array();
	for (size_t i = 0; i < TARN_MIN(n, MAX_TIMELINES); i++)
		json_array_append_new(list, timeline_json(a, all[i]));
	free(all);
	answer_json(r, 200, json_pack("{s:o}", "timelines", list));
}

/* ---- making and ending timelines ---- */

static int import(struct http_api *a, const json_t *body, struct http_response *r,
		  struct tarn_error *err)
{
	const char *path, *name;
	struct tarn_id id;
	struct ps_timeline *tl;
	TRY(need_text(body, "path", &path, err));
	TRY(need_text(body, "name", &name, err));
	tarn_id_random(&id);
	uint64_t began_us = tarn_mono_us();
	TRY(ps_import_data_dir(a->ps->store, path, name, &id, &tl, err));
	TRY(ps_timeline_flush(tl, err));
	TRY(wal_receivers_add(a->receivers, tl, err));
	log_info("imported", "path=%s name=%s ms=%.0f", path, name,
		 (double)(tarn_mono_us() - began_us) / 1000);
	answer_json(r, 201, timeline_json(a, tl));
	return 0;
}

/* Where the new branch begins: the head, or the newest known boundary at or before what was asked. */
static int branch_point(struct http_api *a, struct ps_timeline *parent, const json_t *body,
			struct ps_boundary *at, struct tarn_error *err)
{
	const json_t *lsn_value = json_object_get(body, "lsn");
	const json_t *time_value = json_object_get(body, "time");
	tarn_lsn lsn = ps_timeline_last_record_lsn(parent);
	int64_t time_us;
	if (lsn_value && time_value)
		return tarn_fail(err, TARN_E_USAGE, "give \"lsn\" or \"time\", not both");
	if (time_value) {
		TRY(timestamp_parse(json_string_value(time_value), &time_us, err));
		return ps_boundary_by_time(parent, time_us, at, err);
	}
	if (lsn_value) {
		const char *text = json_string_value(lsn_value);
		if (!text || !tarn_lsn_parse(text, &lsn))
			return tarn_fail(err, TARN_E_USAGE, "\"lsn\" must look like 0/16B3748");
		wal_receivers_want(a->receivers, parent);
		TRY(ps_timeline_wait(parent, lsn, BRANCH_WAIT_MS, err));
	}
	return ps_boundary_before(parent, lsn, at, err);
}

/* Kept on the branch itself, for a compute that starts there when its parent's head has moved on. */
static int note_boundary(struct ps_timeline *tl, const struct ps_boundary *at,
			 struct tarn_error *err)
{
	struct ps_key key = {.kind = PS_KIND_META, .rel = PS_META_BOUNDARY};
	uint8_t value[PS_BOUNDARY_BYTES];
	ps_boundary_encode(at, value);
	return ps_timeline_put(tl, &key, at->end_lsn, PS_VALUE_IMAGE, value, sizeof value, err);
}

static int create(struct http_api *a, const json_t *body, struct http_response *r,
		  struct tarn_error *err)
{
	const char *name, *parent_name;
	struct ps_boundary at;
	struct tarn_id id;
	struct ps_timeline *tl;
	TRY(need_text(body, "name", &name, err));
	TRY(need_text(body, "parent", &parent_name, err));
	struct ps_timeline *parent = ps_timeline_find_name(a->ps->store, parent_name);
	if (!parent)
		return tarn_fail(err, TARN_E_NOT_FOUND, "there is no branch %s", parent_name);
	TRY(branch_point(a, parent, body, &at, err));
	tarn_id_random(&id);
	TRY(ps_timeline_create(a->ps->store, &id, name, parent, at.end_lsn, at.start_lsn, &tl,
			       err));
	TRY(note_boundary(tl, &at, err));
	TRY(wal_receivers_add(a->receivers, tl, err));
	log_info("branch created", "name=%s parent=%s lsn=" TARN_LSN_FMT, name, parent_name,
		 TARN_LSN_ARGS(at.end_lsn));
	answer_json(r, 201, timeline_json(a, tl));
	return 0;
}

static int delete_timeline(struct http_api *a, struct ps_timeline *tl, struct http_response *r,
			   struct tarn_error *err)
{
	wal_receivers_remove(a->receivers, tl);
	int rc = ps_timeline_delete(a->ps->store, tl, err);
	if (rc != 0) {
		(void)wal_receivers_add(a->receivers, tl, NULL);
		return rc;
	}
	r->status = 204;
	return 0;
}

/* ---- pages ---- */

static int query_u32(const struct http_request *q, const char *name, uint32_t *out,
		     struct tarn_error *err)
{
	const char *text = http_request_query(q, name);
	uint64_t v;
	if (!text || !tarn_parse_u64(text, UINT32_MAX, &v))
		return tarn_fail(err, TARN_E_USAGE, "the query needs a number \"%s\"", name);
	*out = (uint32_t)v;
	return 0;
}

/* "lsn", by default the head; waits until it is there. */
static int query_lsn(struct http_api *a, const struct http_request *q, struct ps_timeline *tl,
		     tarn_lsn *out, struct tarn_error *err)
{
	const char *text = http_request_query(q, "lsn");
	struct ps_timeline_info info;
	ps_timeline_info(tl, &info);
	*out = info.last_record_lsn;
	if (!text)
		return 0;
	if (!tarn_lsn_parse(text, out))
		return tarn_fail(err, TARN_E_USAGE, "\"%s\" is no LSN like 0/16B3748", text);
	if (*out < info.history_lsn)
		return tarn_fail(err, TARN_E_NOT_FOUND, "history begins at " TARN_LSN_FMT,
				 TARN_LSN_ARGS(info.history_lsn));
	wal_receivers_want(a->receivers, tl);
	return ps_timeline_wait(tl, *out, BRANCH_WAIT_MS, err);
}

static int get_page(struct http_api *a, const struct http_request *q, struct ps_timeline *tl,
		    struct http_response *r, struct tarn_error *err)
{
	struct ps_relation rel;
	uint32_t fork, block;
	tarn_lsn lsn;
	bool absent;
	uint8_t page[PAGE_BYTES];
	TRY(query_u32(q, "spc", &rel.spc, err));
	TRY(query_u32(q, "db", &rel.db, err));
	TRY(query_u32(q, "rel", &rel.rel, err));
	TRY(query_u32(q, "fork", &fork, err));
	TRY(query_u32(q, "block", &block, err));
	TRY(query_lsn(a, q, tl, &lsn, err));
	if (fork > UINT8_MAX)
		return tarn_fail(err, TARN_E_USAGE, "there is no fork %u", fork);
	TRY(ps_get_page(a->ps, tl, &rel, (uint8_t)fork, block, lsn, page, &absent, err));
	if (absent)
		return tarn_fail(err, TARN_E_NOT_FOUND,
				 "relation %u/%u/%u fork %u has no block %u at " TARN_LSN_FMT,
				 rel.spc, rel.db, rel.rel, fork, block, TARN_LSN_ARGS(lsn));
	r->content_type = "application/octet-stream";
	tarn_buf_put(&r->body, page, sizeof page);
	return 0;
}

static int add_relation(void *arg, const struct ps_key *k, const uint8_t *bytes, size_t len,
			struct tarn_error *err)
{
	if (len != 4)
		return tarn_fail(err, TARN_E_CORRUPT, "the size of relation %u/%u/%u has %zu bytes",
				 k->spc, k->db, k->rel, len);
	json_array_append_new(arg, json_pack("{s:I,s:I,s:I,s:I,s:I}", "spc", (json_int_t)k->spc,
					     "db", (json_int_t)k->db, "rel", (json_int_t)k->rel,
					     "fork", (json_int_t)k->fork, "blocks",
					     (json_int_t)get_le32(bytes)));
	return 0;
}

static int list_relations(struct http_api *a, const struct http_request *q, struct ps_timeline *tl,
			  struct http_response *r, struct tarn_error *err)
{
	struct ps_key from = {.kind = PS_KIND_RELSIZE}, to = {.kind = PS_KIND_RELSIZE + 1};
	json_t *list = json_array();
	tarn_lsn lsn;
	int rc = query_lsn(a, q, tl, &lsn, err);
	if (rc == 0)
		rc = ps_timeline_scan(tl, &from, &to, lsn, add_relation, list, err);
	if (rc != 0) {
		json_decref(list);
		return rc;
	}
	answer_json(r, 200, json_pack("{s:o,s:o}", "lsn", lsn_json(lsn), "relations", list));
	return 0;
}

/* ---- routes ---- */

static int no_such(const struct http_request *q, struct tarn_error *err)
{
	return tarn_fail(err, TARN_E_NOT_FOUND, "no such request: %s %.200s", q->method, q->path);
}

static bool is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static int route_post(struct http_api *a, const struct http_request *q, bool is_import,
		      struct http_response *r, struct tarn_error *err)
{
	json_error_t je;
	json_t *body = json_loadb((const char *)q->body, q->body_len, 0, &je);
	if (!json_is_object(body)) {
		json_decref(body);
		return tarn_fail(err, TARN_E_USAGE, "the request's body is no JSON object: %s",
				 body ? "another kind of value" : je.text);
	}
	pthread_mutex_lock(&a->change);
	int rc = is_import ? import(a, body, r, err) : create(a, body, r, err);
	pthread_mutex_unlock(&a->change);
	json_decref(body);
	return rc;
}

static int route_timeline(struct http_api *a, const struct http_request *q, char **parts, int n,
			  struct http_response *r, struct tarn_error *err)
{
	struct tarn_id id;
	struct ps_timeline *tl =
		tarn_id_parse(parts[2], &id) ? ps_timeline_find(a->ps->store, &id) : NULL;
	if (!tl)
		return tarn_fail(err, TARN_E_NOT_FOUND, "there is no timeline %.64s", parts[2]);
	bool get = is(q->method, "GET");
	if (n == 3 && get) {
		answer_json(r, 200, timeline_json(a, tl));
		return 0;
	}
	if (n == 3 && is(q->method, "DELETE")) {
		pthread_mutex_lock(&a->change);
		int rc = delete_timeline(a, tl, r, err);
		pthread_mutex_unlock(&a->change);
		return rc;
	}
	if (n == 4 && is(q->method, "POST") && is(parts[3], "flush")) {
		TRY(ps_timeline_flush(tl, err));
		answer_json(r, 200, timeline_json(a, tl));
		return 0;
	}
	if (n == 4 && get && is(parts[3], "page"))
		return get_page(a, q, tl, r, err);
	if (n == 4 && get && is(parts[3], "relations"))
		return list_relations(a, q, tl, r, err);
	if (n >= 4 && is(parts[3], "lake") && a->config->lake_handler) {
		a->config->lake_handler(a->lake_arg, q, r);
		return 0;
	}
	return no_such(q, err);
}

static int route(struct http_api *a, const struct http_request *q, struct http_response *r,
		 struct tarn_error *err)
{
	char storage[2048], *parts[MAX_PARTS];
	int n = http_split_path(q->path, storage, sizeof storage, parts, MAX_PARTS);
	if (n < 2 || !is(parts[0], "v1"))
		return no_such(q, err);
	TRY(http_api_ready(a, err));
	bool post = is(q->method, "POST");
	if (n == 2 && post && is(parts[1], "import"))
		return route_post(a, q, true, r, err);
	if (!is(parts[1], "timelines"))
		return no_such(q, err);
	if (n > 2)
		return route_timeline(a, q, parts, n, r, err);
	if (post)
		return route_post(a, q, false, r, err);
	if (!is(q->method, "GET"))
		return no_such(q, err);
	list_timelines(a, r);
	return 0;
}

void http_api_handle(void *arg, const struct http_request *q, struct http_response *r)
{
	struct tarn_error err = {0};
	if (route(arg, q, r, &err) != 0)
		http_response_error(r, &err);
}

int http_api_ready(void *arg, struct tarn_error *err)
{
	const struct http_api *a = arg;
	if (__atomic_load_n(&a->ready, __ATOMIC_ACQUIRE))
		return 0;
	return tarn_fail(err, TARN_E_UNAVAILABLE, "the pageserver is starting");
}
