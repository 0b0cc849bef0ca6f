/* Writing of table_write.h. */
#include "base/system.h"
#include "lake/catalog/table_write.h"
#include "lake/iceberg/metadata.h"
#include <xxhash.h>

#define CHUNK_FILES 256
/*
 * Data files get one sequence number for good and deletes that of their snapshot, which is an LSN:
 * whichever manifests are shared with an older snapshot, every delete is newer than every data file.
 */
#define BASE_SEQUENCE 1
#define DATA_SEQUENCE 2
/* DuckDB takes the newest snapshot not after its transaction's start, so the newest stamp lies in the
 * past, whatever the clocks' skew; later states get later stamps. */
#define STAMP_BEHIND_MS ((int64_t)3600 * 1000)

struct manifest_chunk {
	uint64_t hash; /* of content and paths; the files are immutable */
	int64_t written_ms;
	struct ice_manifest manifest; /* owns its path */
};

struct write { /* one table_write */
	struct objstore *store;
	const struct table_state *state;
	const struct table_answer *prev;
	struct table_answer *answer;
	char name[32]; /* of this write's objects, never used before */
	int64_t snapshot_id;
	char *schema_json;
	struct put_job *jobs;
	size_t job_count, job_cap;
	unsigned serial;
};

void table_answer_ref(struct table_answer *a)
{
	__atomic_fetch_add(&a->refs, 1, __ATOMIC_RELAXED);
}

void table_answer_unref(struct table_answer *a)
{
	if (!a || __atomic_sub_fetch(&a->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	for (size_t i = 0; i < a->chunk_count; i++)
		free((char *)(uintptr_t)a->chunks[i].manifest.path);
	free(a->chunks);
	free(a->base_list);
	free(a->metadata_uri);
	free(a->body);
	free(a);
}

static int64_t positive_id(uint64_t hash)
{
	int64_t id = (int64_t)(hash & INT64_MAX);
	return id ? id : 1;
}

/* A new object of this table; returns where its bytes go. *uri is the caller's. */
static struct tarn_buf *add_job(struct write *w, const char *key, char **uri)
{
	if (w->job_count == w->job_cap) {
		w->job_cap = w->job_cap ? w->job_cap * 2 : 8;
		w->jobs = tarn_realloc(w->jobs, w->job_cap * sizeof *w->jobs);
	}
	struct put_job *j = &w->jobs[w->job_count++];
	j->key = tarn_strdup(key);
	tarn_buf_init(&j->bytes);
	*uri = objstore_uri(w->store, key);
	return &j->bytes;
}

static struct tarn_buf *add_named(struct write *w, const char *suffix, char **uri)
{
	char *key = tarn_asprintf("%s/metadata/%s-%s", w->state->location, w->name, suffix);
	struct tarn_buf *b = add_job(w, key, uri);
	free(key);
	return b;
}

static uint64_t hash_files(enum ice_content content, const struct ice_file *files, size_t n)
{
	XXH3_state_t *h = XXH3_createState();
	TARN_CHECK(h != NULL);
	XXH3_64bits_reset_withSeed(h, content);
	for (size_t i = 0; i < n; i++)
		XXH3_64bits_update(h, files[i].path, strlen(files[i].path) + 1);
	uint64_t v = XXH3_64bits_digest(h);
	XXH3_freeState(h);
	return v;
}

static const struct manifest_chunk *find_chunk(const struct write *w, uint64_t hash,
					       enum ice_content content)
{
	for (size_t i = 0; w->prev && i < w->prev->chunk_count; i++) {
		const struct manifest_chunk *c = &w->prev->chunks[i];
		if (c->hash == hash && c->manifest.content == content &&
		    w->answer->written_ms - c->written_ms < TABLE_METADATA_FRESH_MS)
			return c;
	}
	return NULL;
}

static void add_chunk(struct write *w, enum ice_content content, const struct ice_file *files,
		      size_t n)
{
	struct table_answer *a = w->answer;
	uint64_t hash = hash_files(content, files, n);
	const struct manifest_chunk *old = find_chunk(w, hash, content);
	a->chunks = tarn_realloc(a->chunks, (a->chunk_count + 1) * sizeof *a->chunks);
	struct manifest_chunk *c = &a->chunks[a->chunk_count++];
	if (old) {
		*c = *old;
		c->manifest.path = tarn_strdup(old->manifest.path);
		return;
	}
	struct ice_manifest_head h = {.content = content,
				      .snapshot_id = w->snapshot_id,
				      .sequence_number = content == ICE_DATA
								 ? DATA_SEQUENCE
								 : (int64_t)w->state->changed_lsn,
				      .schema_id = w->state->schema_id,
				      .schema_json = w->schema_json};
	char suffix[32], *uri;
	tarn_snprintf(suffix, sizeof suffix, "m%u.avro", w->serial++);
	struct tarn_buf *b = add_named(w, suffix, &uri);
	ice_manifest_write(&h, files, n, b);
	c->hash = hash;
	c->written_ms = a->written_ms;
	c->manifest = (struct ice_manifest){.content = content,
					    .path = uri,
					    .length = (int64_t)b->len,
					    .snapshot_id = w->snapshot_id,
					    .sequence_number = h.sequence_number,
					    .files = (int64_t)n};
	for (size_t i = 0; i < n; i++)
		c->manifest.rows += files[i].rows;
}

static void add_chunks(struct write *w, enum ice_content content, const struct file_list *l)
{
	for (size_t i = 0; i < l->count; i += CHUNK_FILES)
		add_chunk(w, content, l->files + i, TARN_MIN(l->count - i, (size_t)CHUNK_FILES));
}

static char *add_manifest_list(struct write *w, int64_t base_id)
{
	struct table_answer *a = w->answer;
	struct ice_manifest *m = tarn_calloc(a->chunk_count + 1, sizeof *m);
	char *uri;
	struct tarn_buf *b = add_named(w, "snap.avro", &uri);
	for (size_t i = 0; i < a->chunk_count; i++)
		m[i] = a->chunks[i].manifest;
	ice_manifest_list_write(w->snapshot_id, base_id, (int64_t)w->state->changed_lsn, m,
				a->chunk_count, b);
	free(m);
	return uri;
}

static void add_base_list(struct write *w, int64_t base_id)
{
	struct table_answer *a = w->answer;
	if (w->prev && a->written_ms - w->prev->base_written_ms < TABLE_METADATA_FRESH_MS) {
		a->base_list = tarn_strdup(w->prev->base_list);
		a->base_written_ms = w->prev->base_written_ms;
		return;
	}
	a->base_written_ms = a->written_ms;
	ice_manifest_list_write(base_id, 0, BASE_SEQUENCE, NULL, 0,
				add_named(w, "base.avro", &a->base_list));
}

static void set_number(json_t *j, const char *key, int64_t v)
{
	char text[24];
	tarn_snprintf(text, sizeof text, "%" PRId64, v);
	json_object_set_new(j, key, json_string(text));
}

static void set_lsn(json_t *j, const char *key, tarn_lsn lsn)
{
	char text[TARN_LSN_TEXT_BYTES];
	tarn_lsn_format(lsn, text);
	json_object_set_new(j, key, json_string(text));
}

static json_t *summary_json(const struct table_state *s, const char *operation)
{
	json_t *j = json_object();
	json_object_set_new(j, "operation", json_string(operation));
	set_number(j, "total-records", s ? s->columnar.rows + s->tails.rows : 0);
	set_number(j, "total-data-files", s ? (int64_t)(s->columnar.count + s->tails.count) : 0);
	set_number(j, "total-delete-files", s ? (int64_t)s->deletes.count : 0);
	set_number(j, "total-position-deletes", s ? s->deletes.rows : 0);
	set_number(j, "total-equality-deletes", 0);
	set_number(j, "total-files-size",
		   s ? s->columnar.bytes + s->tails.bytes + s->deletes.bytes : 0);
	if (s) {
		set_lsn(j, "tarn.lsn", s->lsn);
		set_lsn(j, "tarn.changed-lsn", s->changed_lsn);
	}
	return j;
}

static json_t *properties_json(const struct table_state *s)
{
	json_t *j = json_object(), *v;
	const char *key;
	json_object_foreach((json_t *)(uintptr_t)s->properties, key, v)
	{
		if (json_is_string(v))
			json_object_set(j, key, v);
	}
	json_object_foreach(json_object_get(s->json, "overflow"), key, v)
	{
		char *name = tarn_asprintf("tarn.overflow.%s", key);
		set_number(j, name, json_integer_value(v));
		free(name);
	}
	char *mapping = ice_name_mapping(s->current_schema);
	json_object_set_new(j, "schema.name-mapping.default", json_string(mapping));
	free(mapping);
	return j;
}

/* metadata.json and, around it, the answer's body. */
static int add_metadata(struct write *w, const struct ice_snapshot *snapshots, size_t count,
			struct tarn_error *err)
{
	const struct table_state *s = w->state;
	struct table_answer *a = w->answer;
	char *location = objstore_uri(w->store, s->location);
	json_t *properties = properties_json(s);
	struct ice_table t = {.uuid = s->uuid,
			      .location = location,
			      .last_column_id = s->last_column_id,
			      .schema_id = s->schema_id,
			      .schemas = s->schemas,
			      .properties = properties,
			      .snapshots = snapshots,
			      .snapshot_count = count};
	json_t *metadata = ice_metadata(&t);
	char *text = metadata ? json_dumps(metadata, JSON_COMPACT) : NULL;
	json_decref(metadata);
	json_decref(properties);
	free(location);
	if (!text)
		return tarn_fail(err, TARN_E_PROTOCOL, "the table state of %s.%s is not UTF-8",
				 s->schema, s->table);
	char *key = tarn_asprintf("%s/metadata/00000-%s.metadata.json", s->location, w->name);
	tarn_buf_put_str(add_job(w, key, &a->metadata_uri), text);
	free(key);
	a->body = tarn_asprintf("{\"metadata-location\":\"%s\",\"metadata\":%s,\"config\":{}}",
				a->metadata_uri, text);
	a->body_len = strlen(a->body);
	free(text);
	return 0;
}

static int compose(struct write *w, struct tarn_error *err)
{
	const struct table_state *s = w->state;
	struct table_answer *a = w->answer;
	int64_t base_id = positive_id(XXH3_64bits_withSeed(s->uuid, strlen(s->uuid), 1));
	add_chunks(w, ICE_DATA, &s->columnar);
	add_chunks(w, ICE_DATA, &s->tails);
	add_chunks(w, ICE_DELETES, &s->deletes);
	char *list = add_manifest_list(w, base_id);
	add_base_list(w, base_id);
	json_t *base_summary = summary_json(NULL, "append");
	json_t *summary = summary_json(s, "overwrite");
	const struct ice_snapshot snapshots[] = {
		{.id = base_id,
		 .sequence_number = BASE_SEQUENCE,
		 .timestamp_ms = a->stamp_ms - 1,
		 .schema_id = s->schema_id,
		 .manifest_list = a->base_list,
		 .summary = base_summary},
		{.id = w->snapshot_id,
		 .parent_id = base_id,
		 .sequence_number = (int64_t)s->changed_lsn,
		 .timestamp_ms = a->stamp_ms,
		 .schema_id = s->schema_id,
		 .manifest_list = list,
		 .summary = summary},
	};
	int rc = add_metadata(w, snapshots, ARRAY_LEN(snapshots), err);
	json_decref(base_summary);
	json_decref(summary);
	free(list);
	return rc;
}

static void begin(struct write *w)
{
	uint32_t random;
	struct table_answer *a = tarn_calloc(1, sizeof *a);
	int64_t earliest = w->prev ? w->prev->stamp_ms + 1 : 0;
	tarn_random_bytes(&random, sizeof random);
	a->refs = 1;
	a->state_hash = w->state->hash;
	a->lsn = w->state->lsn;
	a->written_ms = tarn_wall_us() / 1000;
	a->stamp_ms = TARN_MAX(earliest, a->written_ms - STAMP_BEHIND_MS);
	/* The time comes first, so that old objects are known by their names (sweep.h). */
	tarn_snprintf(w->name, sizeof w->name, "%012" PRIx64 "-%08" PRIx32,
		      (uint64_t)a->written_ms & 0xFFFFFFFFFFFF, random);
	tarn_snprintf(a->etag, sizeof a->etag, "W/\"%.36s-%s\"", w->state->uuid, w->name);
	w->answer = a;
	w->snapshot_id = positive_id(w->state->hash);
	w->schema_json = json_dumps(w->state->current_schema, JSON_COMPACT);
}

int table_write(struct objstore *store, struct put_pool *pool, const struct table_state *s,
		const struct table_answer *prev, struct table_answer **out, unsigned *objects,
		struct tarn_error *err)
{
	struct write w = {.store = store, .state = s, .prev = prev};
	*out = NULL;
	begin(&w);
	int rc = w.schema_json ? compose(&w, err)
			       : tarn_fail(err, TARN_E_PROTOCOL, "a schema that is not UTF-8");
	if (rc == 0)
		rc = put_pool_all(pool, w.jobs, w.job_count, err);
	*objects = (unsigned)w.job_count;
	for (size_t i = 0; i < w.job_count; i++) {
		free(w.jobs[i].key);
		tarn_buf_release(&w.jobs[i].bytes);
	}
	free(w.jobs);
	free(w.schema_json);
	if (rc == 0)
		*out = w.answer;
	else
		table_answer_unref(w.answer);
	return rc;
}
