/* Requests of pageserver_client.h. */
#include "base/system.h"
#include "lake/catalog/pageserver_client.h"
#include "io/http.h"
#include "lake/catalog/names.h"
#include <pthread.h>

#define LIST_MAX_BYTES (16 * MIB)
#define ASK_TIMEOUT_MS 10000
#define REMEMBER_US 5000000
#define REMEMBERED 64

struct branch {
	char name[NAME_MAX_BYTES];
	struct tarn_id id;
	uint64_t learned_us; /* 0: the place is free */
};
struct pageserver_client {
	char *url;
	pthread_mutex_t lock;
	struct branch branches[REMEMBERED];
};

struct pageserver_client *pageserver_client_new(const char *url)
{
	struct pageserver_client *c = tarn_calloc(1, sizeof *c);
	c->url = tarn_strdup(url);
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

void pageserver_client_free(struct pageserver_client *c)
{
	if (!c)
		return;
	pthread_mutex_destroy(&c->lock);
	free(c->url);
	free(c);
}

static int get_json(const char *url, int timeout_ms, json_t **out, struct tarn_error *err)
{
	struct tarn_buf b = TARN_BUF_INIT;
	json_error_t e;
	int rc = http_call("GET", url, NULL, timeout_ms, LIST_MAX_BYTES, &b, err);
	*out = NULL;
	if (rc == 0) {
		*out = json_loadb((const char *)b.data, b.len, 0, &e);
		if (!*out)
			rc = tarn_fail(err, TARN_E_PROTOCOL,
				       "the pageserver's answer to %s is no JSON: %s", url, e.text);
	}
	tarn_buf_release(&b);
	return rc;
}

/* The place of name, or a free or the oldest one. Caller holds the lock. */
static struct branch *place_of(struct pageserver_client *c, const char *name)
{
	struct branch *oldest = &c->branches[0];
	for (size_t i = 0; i < REMEMBERED; i++) {
		struct branch *b = &c->branches[i];
		if (b->learned_us && strcmp(b->name, name) == 0)
			return b;
		if (b->learned_us < oldest->learned_us)
			oldest = b;
	}
	oldest->learned_us = 0;
	return oldest;
}

static bool recall(struct pageserver_client *c, const char *name, struct tarn_id *tl)
{
	pthread_mutex_lock(&c->lock);
	struct branch *b = place_of(c, name);
	bool known = b->learned_us && tarn_mono_us() - b->learned_us < REMEMBER_US;
	if (known)
		*tl = b->id;
	pthread_mutex_unlock(&c->lock);
	return known;
}

static void remember(struct pageserver_client *c, const char *name, const struct tarn_id *tl,
		     uint64_t learned_us)
{
	pthread_mutex_lock(&c->lock);
	struct branch *b = place_of(c, name);
	if (tarn_strlcpy(b->name, name, sizeof b->name)) {
		b->id = *tl;
		b->learned_us = learned_us;
	}
	pthread_mutex_unlock(&c->lock);
}

bool pageserver_forget_branch(struct pageserver_client *c, const char *name)
{
	pthread_mutex_lock(&c->lock);
	struct branch *b = place_of(c, name);
	bool known = b->learned_us != 0;
	b->learned_us = 0;
	pthread_mutex_unlock(&c->lock);
	return known;
}

int pageserver_ping(struct pageserver_client *c, struct tarn_error *err)
{
	json_t *answer;
	char *url = tarn_asprintf("%s/v1/timelines", c->url);
	int rc = get_json(url, ASK_TIMEOUT_MS, &answer, err);
	free(url);
	json_decref(answer);
	return rc;
}

int pageserver_find_branch(struct pageserver_client *c, const char *name, struct tarn_id *tl,
			   struct tarn_error *err)
{
	json_t *answer, *t;
	size_t i;
	uint64_t began = tarn_mono_us();
	bool found = false;
	if (recall(c, name, tl))
		return 0;
	char *url = tarn_asprintf("%s/v1/timelines", c->url);
	int rc = get_json(url, ASK_TIMEOUT_MS, &answer, err);
	free(url);
	TRY(rc);
	json_array_foreach(json_object_get(answer, "timelines"), i, t)
	{
		const char *n = json_string_value(json_object_get(t, "name"));
		const char *id = json_string_value(json_object_get(t, "id"));
		if (n && id && strcmp(n, name) == 0 && tarn_id_parse(id, tl)) {
			found = true;
			break;
		}
	}
	json_decref(answer);
	if (!found)
		return tarn_fail(err, TARN_E_NOT_FOUND, "there is no branch \"%s\"", name);
	remember(c, name, tl, began);
	return 0;
}

int pageserver_head(struct pageserver_client *c, const struct tarn_id *tl, tarn_lsn *lsn,
		    struct tarn_error *err)
{
	char id[TARN_ID_TEXT_BYTES];
	json_t *answer;
	tarn_id_format(tl, id);
	char *url = tarn_asprintf("%s/v1/timelines/%s", c->url, id);
	int rc = get_json(url, ASK_TIMEOUT_MS, &answer, err);
	free(url);
	TRY(rc);
	const char *text = json_string_value(json_object_get(answer, "last_record_lsn"));
	if (!text || !tarn_lsn_parse(text, lsn))
		rc = tarn_fail(err, TARN_E_PROTOCOL, "the pageserver gives no last_record_lsn");
	json_decref(answer);
	return rc;
}

static void put_lake_url(struct tarn_buf *b, const struct pageserver_client *c,
			 const struct tarn_id *tl, const char *what, tarn_lsn lsn)
{
	char id[TARN_ID_TEXT_BYTES];
	tarn_id_format(tl, id);
	tarn_buf_printf(b, "%s/v1/timelines/%s/lake/%s?lsn=" TARN_LSN_FMT, c->url, id, what,
			TARN_LSN_ARGS(lsn));
}

int pageserver_tables(struct pageserver_client *c, const struct tarn_id *tl, tarn_lsn lsn,
		      int timeout_ms, json_t **out, struct tarn_error *err)
{
	struct tarn_buf url = TARN_BUF_INIT;
	put_lake_url(&url, c, tl, "tables", lsn);
	int rc = get_json(tarn_buf_cstr(&url), timeout_ms, out, err);
	tarn_buf_release(&url);
	return rc;
}

int pageserver_table(struct pageserver_client *c, const struct tarn_id *tl, const char *database,
		     const char *schema, const char *table, tarn_lsn lsn, int timeout_ms,
		     struct tarn_buf *out, struct tarn_error *err)
{
	struct tarn_buf url = TARN_BUF_INIT;
	put_lake_url(&url, c, tl, "table", lsn);
	tarn_buf_put_str(&url, "&database=");
	put_percent_encoded(&url, database);
	tarn_buf_put_str(&url, "&schema=");
	put_percent_encoded(&url, schema);
	tarn_buf_put_str(&url, "&table=");
	put_percent_encoded(&url, table);
	int rc = http_call("GET", tarn_buf_cstr(&url), NULL, timeout_ms, TABLE_STATE_MAX_BYTES, out,
			   err);
	tarn_buf_release(&url);
	return rc;
}
