/* Implementation of lake_service.h: which table is asked for, and where its states are kept. */
#include "base/system.h"
#include <jansson.h>
#include <pthread.h>
#include <xxhash.h>
#include "io/file.h"
#include "lake/lake_service.h"
#include "lake/source_pageserver.h"
#include "lake/transcode/table.h"

#define MAX_PARTS 8
#define WAIT_MS 10000
/* Block maps and file lists of all tables; beyond it the table not asked for longest is forgotten. */
#define MEMORY_LIMIT_BYTES (256 * MIB)

struct branch {
	struct lake_source_pageserver pageserver;
	struct lake_source source;
	struct lake_catalog *catalog;
	struct tarn_id id;
	struct branch *next;
};
struct entry {
	struct branch *branch;
	uint32_t db_oid, relid;
	struct transcode_table *table;
	unsigned users; /* not to be forgotten while above 0 */
	uint64_t used;
	struct entry *next;
};
struct lake_service {
	struct pageserver *ps;
	char *tmp_dir;
	uint64_t memory_used; /* atomic */
	struct transcode_work work;
	pthread_mutex_t lock; /* of what follows, and of entries' users and used */
	struct branch *branches;
	struct entry *entries;
	uint64_t clock;
};
struct ask {
	struct lake_service *service;
	const struct http_request *q;
	struct branch *branch;
	tarn_lsn lsn;
};

/* ---- start and stop ---- */

int lake_service_start(struct pageserver *ps, void **out, struct tarn_error *err)
{
	struct lake_service *s = tarn_calloc(1, sizeof *s);
	s->ps = ps;
	s->tmp_dir = tarn_asprintf("%s/lake-tmp", ps_store_dir(ps_store_of(ps)));
	pthread_mutex_init(&s->lock, NULL);
	/* What a stopped process left unfinished. */
	int rc = file_exists(s->tmp_dir) ? file_remove_tree(s->tmp_dir, err) : 0;
	if (rc == 0)
		rc = file_mkdir_p(s->tmp_dir, 0755, err);
	if (rc != 0)
		lake_service_stop(s);
	else
		*out = s;
	return rc;
}

void lake_service_stop(void *arg)
{
	struct lake_service *s = arg;
	while (s->entries) {
		struct entry *e = s->entries;
		s->entries = e->next;
		transcode_table_free(e->table);
		free(e);
	}
	while (s->branches) {
		struct branch *b = s->branches;
		s->branches = b->next;
		lake_catalog_free(b->catalog);
		free(b);
	}
	pthread_mutex_destroy(&s->lock);
	free(s->tmp_dir);
	free(s);
}

/* ---- branches and tables known ---- */

/* Branches stay: there are few, and a timeline's memory stays with the store as well. */
static struct branch *branch_of(struct lake_service *s, struct ps_timeline *tl,
				const struct tarn_id *id)
{
	struct branch *b;
	pthread_mutex_lock(&s->lock);
	for (b = s->branches; b && b->pageserver.tl != tl;)
		b = b->next;
	if (b == NULL) {
		b = tarn_calloc(1, sizeof *b);
		b->pageserver = (struct lake_source_pageserver){s->ps, tl};
		b->source = lake_source_pageserver(&b->pageserver);
		b->catalog = lake_catalog_new(&b->source);
		b->id = *id;
		b->next = s->branches;
		s->branches = b;
	}
	pthread_mutex_unlock(&s->lock);
	return b;
}

static char *location_of(const struct branch *b, uint32_t db_oid, uint32_t relid)
{
	char id[TARN_ID_TEXT_BYTES];
	tarn_id_format(&b->id, id);
	return tarn_asprintf("lake/%s/%u/%u", id, db_oid, relid);
}

/* Under lock. */
static void forget_one(struct lake_service *s)
{
	struct entry **oldest = NULL;
	for (struct entry **e = &s->entries; *e; e = &(*e)->next)
		if ((*e)->users == 0 && !transcode_table_busy((*e)->table) &&
		    (oldest == NULL || (*e)->used < (*oldest)->used))
			oldest = e;
	if (oldest == NULL)
		return;
	struct entry *gone = *oldest;
	*oldest = gone->next;
	transcode_table_free(gone->table);
	free(gone);
}

static struct entry *take_entry(struct lake_service *s, struct branch *b, uint32_t db_oid,
				uint32_t relid)
{
	struct entry *e;
	pthread_mutex_lock(&s->lock);
	for (e = s->entries; e && (e->branch != b || e->db_oid != db_oid || e->relid != relid);)
		e = e->next;
	if (e == NULL) {
		char *location = location_of(b, db_oid, relid);
		struct transcode_env env = {
			.source = &b->source,
			.place = {ps_store_objects(ps_store_of(s->ps)), s->tmp_dir, location},
			.memory_used = &s->memory_used};
		e = tarn_calloc(1, sizeof *e);
		e->branch = b;
		e->db_oid = db_oid;
		e->relid = relid;
		e->table = transcode_table_new(&env, &s->work);
		e->next = s->entries;
		s->entries = e;
		free(location);
	}
	e->users++;
	e->used = ++s->clock;
	pthread_mutex_unlock(&s->lock);
	return e;
}

static void give_entry(struct lake_service *s, struct entry *e)
{
	pthread_mutex_lock(&s->lock);
	e->users--;
	if (__atomic_load_n(&s->memory_used, __ATOMIC_RELAXED) > MEMORY_LIMIT_BYTES)
		forget_one(s);
	pthread_mutex_unlock(&s->lock);
}

/* ---- /tables ---- */

static void list_tables(const struct lake_database *db, json_t *list)
{
	for (uint32_t i = 0; i < db->ntables; i++) {
		const struct lake_table *t = &db->tables[i];
		json_t *j = json_pack("{s:s,s:s,s:s,s:I}", "database", db->name, "schema",
				      t->schema, "table", t->name, "relid", (json_int_t)t->relid);
		if (j) /* else a name that is not UTF-8: it cannot be asked for either */
			json_array_append_new(list, j);
	}
}

static int all_tables(struct ask *a, json_t *list, struct tarn_error *err)
{
	struct lake_database_name *names;
	uint32_t count;
	TRY(lake_catalog_databases(a->branch->catalog, a->lsn, &names, &count, err));
	int rc = 0;
	for (uint32_t i = 0; rc == 0 && i < count; i++) {
		const struct lake_database *db;
		if (names[i].is_template || !names[i].allow_connections)
			continue;
		rc = lake_catalog_open(a->branch->catalog, names[i].oid, a->lsn, &db, err);
		if (rc == 0) {
			list_tables(db, list);
			lake_database_release(db);
		}
	}
	lake_database_names_free(names, count);
	return rc;
}

static int answer_tables(struct ask *a, struct http_response *r, struct tarn_error *err)
{
	char lsn[TARN_LSN_TEXT_BYTES];
	json_t *list = json_array();
	int rc = all_tables(a, list, err);
	tarn_lsn_format(a->lsn, lsn);
	json_t *j = json_pack("{s:s,s:o}", "lsn", lsn, "tables", list);
	char *text = json_dumps(j, JSON_COMPACT);
	if (rc == 0)
		tarn_buf_put_str(&r->body, text);
	free(text);
	json_decref(j);
	return rc;
}

/* ---- /table ---- */

static int need(const struct ask *a, const char *name, const char **out, struct tarn_error *err)
{
	*out = http_request_query(a->q, name);
	return *out ? 0 : tarn_fail(err, TARN_E_USAGE, "the query needs \"%s\"", name);
}

static int database_named(struct ask *a, const char *name, const struct lake_database **out,
			  struct tarn_error *err)
{
	struct lake_database_name *names;
	uint32_t count, oid = 0;
	TRY(lake_catalog_databases(a->branch->catalog, a->lsn, &names, &count, err));
	for (uint32_t i = 0; i < count; i++)
		if (strcmp(names[i].name, name) == 0)
			oid = names[i].oid;
	lake_database_names_free(names, count);
	if (oid == 0)
		return tarn_fail(err, TARN_E_NOT_FOUND, "there is no database %s", name);
	return lake_catalog_open(a->branch->catalog, oid, a->lsn, out, err);
}

/* The same after a restart, another for another table: a table's OID is not given again while it
 * is there. */
static void put_uuid(const struct ask *a, uint32_t db_oid, uint32_t relid, char out[37])
{
	uint8_t id[24], h[16];
	XXH128_canonical_t c;
	memcpy(id, a->branch->id.bytes, 16);
	put_le32(id + 16, db_oid);
	put_le32(id + 20, relid);
	XXH128_canonicalFromHash(&c, XXH3_128bits(id, sizeof id));
	memcpy(h, c.digest, sizeof h);
	h[6] = (uint8_t)((h[6] & 0x0F) | 0x80); /* version 8: our own making */
	h[8] = (uint8_t)((h[8] & 0x3F) | 0x80);
	tarn_snprintf(out, 37,
		      "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", h[0],
		      h[1], h[2], h[3], h[4], h[5], h[6], h[7], h[8], h[9], h[10], h[11], h[12],
		      h[13], h[14], h[15]);
}

static int put_head(struct ask *a, const char *database, uint32_t db_oid,
		    const struct lake_table *t, struct tarn_buf *out, struct tarn_error *err)
{
	char lsn[TARN_LSN_TEXT_BYTES], uuid[37];
	char *location = location_of(a->branch, db_oid, t->relid);
	tarn_lsn_format(a->lsn, lsn);
	put_uuid(a, db_oid, t->relid, uuid);
	json_t *j = json_pack("{s:s,s:s,s:s,s:s,s:I,s:s,s:s}", "lsn", lsn, "database", database,
			      "schema", t->schema, "table", t->name, "relid", (json_int_t)t->relid,
			      "table_uuid", uuid, "location", location);
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
	if (text) {
		text[strlen(text) - 1] = ',';
		tarn_buf_put_str(out, text);
	}
	free(location);
	json_decref(j);
	free(text);
	return text ? 0 : tarn_fail(err, TARN_E_UNSUPPORTED, "a name that is not UTF-8");
}

static int answer_table(struct ask *a, struct http_response *r, struct tarn_error *err)
{
	const char *database, *schema, *name;
	const struct lake_database *db;
	TRY(need(a, "database", &database, err));
	TRY(need(a, "schema", &schema, err));
	TRY(need(a, "table", &name, err));
	TRY(database_named(a, database, &db, err));
	const struct lake_table *t = lake_database_table_named(db, schema, name);
	if (t == NULL) {
		lake_database_release(db);
		return tarn_fail(err, TARN_E_NOT_FOUND, "there is no table %s.%s in database %s",
				 schema, name, database);
	}
	int rc = put_head(a, database, db->oid, t, &r->body, err);
	if (rc == 0) {
		struct entry *e = take_entry(a->service, a->branch, db->oid, t->relid);
		rc = transcode_table_at(e->table, db, t, a->lsn, &r->body, err);
		give_entry(a->service, e);
		tarn_buf_put_str(&r->body, "}");
	}
	lake_database_release(db);
	return rc;
}

/* ---- requests ---- */

static int settle_lsn(struct ask *a, struct tarn_error *err)
{
	const char *text = http_request_query(a->q, "lsn");
	const struct lake_source *source = &a->branch->source;
	struct ps_timeline_info info;
	a->lsn = source->last_lsn(source->arg);
	if (text && !tarn_lsn_parse(text, &a->lsn))
		return tarn_fail(err, TARN_E_USAGE, "\"%s\" is no LSN like 0/16B3748", text);
	ps_timeline_info(a->branch->pageserver.tl, &info);
	if (a->lsn < info.history_lsn)
		return tarn_fail(err, TARN_E_NOT_FOUND, "history begins at " TARN_LSN_FMT,
				 TARN_LSN_ARGS(info.history_lsn));
	return source->wait(source->arg, a->lsn, WAIT_MS, err);
}

static int handle(struct lake_service *s, const struct http_request *q, struct http_response *r,
		  struct tarn_error *err)
{
	char storage[1024], *parts[MAX_PARTS];
	struct tarn_id id;
	struct ps_timeline *tl;
	struct ask a = {.service = s, .q = q};
	int n = http_split_path(q->path, storage, sizeof storage, parts, MAX_PARTS);
	bool tables = n == 5 && strcmp(parts[4], "tables") == 0;
	if (strcmp(q->method, "GET") != 0 || n != 5 || (!tables && strcmp(parts[4], "table") != 0))
		return tarn_fail(err, TARN_E_NOT_FOUND, "no such request: %s %.200s", q->method,
				 q->path);
	if (!tarn_id_parse(parts[2], &id) ||
	    (tl = ps_timeline_find(ps_store_of(s->ps), &id)) == NULL)
		return tarn_fail(err, TARN_E_NOT_FOUND, "there is no timeline %.64s", parts[2]);
	a.branch = branch_of(s, tl, &id);
	TRY(settle_lsn(&a, err));
	return tables ? answer_tables(&a, r, err) : answer_table(&a, r, err);
}

void lake_service_handle(void *arg, const struct http_request *q, struct http_response *r)
{
	struct tarn_error err = {0};
	if (handle(arg, q, r, &err) == 0)
		return;
	tarn_buf_clear(&r->body);
	http_response_error(r, &err);
}
