/* Implementation of index.h. */
#include "base/system.h"
#include <jansson.h>
#include "pageserver/index.h"

#define FORMAT 1
#define CLAIM_TRIES 100

void ps_index_release(struct ps_index *x)
{
	free(x->layers);
	memset(x, 0, sizeof *x);
}

void ps_index_name(char out[96], const struct tarn_id *id, uint64_t generation, uint64_t seq)
{
	char text[TARN_ID_TEXT_BYTES];
	tarn_id_format(id, text);
	tarn_snprintf(out, 96, "timelines/%s/index/%08" PRIx64 "-%010" PRIx64, text, generation,
		      seq);
}

static json_t *lsn_json(tarn_lsn lsn)
{
	char text[TARN_LSN_TEXT_BYTES];
	tarn_lsn_format(lsn, text);
	return json_string(text);
}

static json_t *key_json(const struct ps_key *k)
{
	return json_pack("[I,I,I,I,I,I]", (json_int_t)k->kind, (json_int_t)k->spc,
			 (json_int_t)k->db, (json_int_t)k->rel, (json_int_t)k->fork,
			 (json_int_t)k->block);
}

static json_t *layer_json(const struct ps_index_layer *l)
{
	json_t *j = json_object();
	json_object_set_new(j, "key", json_string(l->info.name));
	json_object_set_new(j, "bytes", json_integer((json_int_t)l->info.bytes));
	json_object_set_new(j, "level", json_integer(l->level));
	json_object_set_new(j, "order", json_integer((json_int_t)l->order));
	json_object_set_new(j, "image", json_boolean(l->info.image));
	json_object_set_new(j, "first", key_json(&l->info.first));
	json_object_set_new(j, "last", key_json(&l->info.last));
	json_object_set_new(j, "lo", lsn_json(l->info.lo));
	json_object_set_new(j, "hi", lsn_json(l->info.hi));
	return j;
}

void ps_index_encode(const struct ps_index *x, uint64_t system_identifier, uint64_t generation,
		     struct tarn_buf *out)
{
	char id[TARN_ID_TEXT_BYTES], text[32];
	json_t *j = json_object(), *layers = json_array();
	json_object_set_new(j, "format", json_integer(FORMAT));
	tarn_snprintf(text, sizeof text, "%" PRIu64, system_identifier);
	json_object_set_new(j, "system_identifier", json_string(text));
	json_object_set_new(j, "generation", json_integer((json_int_t)generation));
	tarn_id_format(&x->id, id);
	json_object_set_new(j, "id", json_string(id));
	json_object_set_new(j, "name", json_string(x->name));
	json_object_set_new(j, "deleted", json_boolean(x->deleted));
	if (x->has_parent) {
		tarn_id_format(&x->parent, id);
		json_object_set_new(j, "parent", json_string(id));
	}
	json_object_set_new(j, "start_lsn", lsn_json(x->start_lsn));
	json_object_set_new(j, "start_prev_lsn", lsn_json(x->start_prev_lsn));
	json_object_set_new(j, "last_record_lsn", lsn_json(x->last_record_lsn));
	json_object_set_new(j, "prev_record_lsn", lsn_json(x->prev_record_lsn));
	json_object_set_new(j, "next_order", json_integer((json_int_t)x->next_order));
	for (size_t i = 0; i < x->layer_count; i++)
		json_array_append_new(layers, layer_json(&x->layers[i]));
	json_object_set_new(j, "layers", layers);
	char *dump = json_dumps(j, JSON_COMPACT | JSON_PRESERVE_ORDER);
	tarn_buf_put_str(out, dump);
	free(dump);
	json_decref(j);
}

static bool get_lsn(const json_t *j, const char *key, tarn_lsn *out)
{
	const char *s = json_string_value(json_object_get(j, key));
	return s && tarn_lsn_parse(s, out);
}

static bool get_key(const json_t *j, const char *name, struct ps_key *k)
{
	const json_t *a = json_object_get(j, name);
	if (json_array_size(a) != 6)
		return false;
	k->kind = (uint8_t)json_integer_value(json_array_get(a, 0));
	k->spc = (uint32_t)json_integer_value(json_array_get(a, 1));
	k->db = (uint32_t)json_integer_value(json_array_get(a, 2));
	k->rel = (uint32_t)json_integer_value(json_array_get(a, 3));
	k->fork = (uint8_t)json_integer_value(json_array_get(a, 4));
	k->block = (uint32_t)json_integer_value(json_array_get(a, 5));
	return true;
}

static bool get_layer(const json_t *j, struct ps_index_layer *l)
{
	const char *name = json_string_value(json_object_get(j, "key"));
	l->info.bytes = (uint64_t)json_integer_value(json_object_get(j, "bytes"));
	l->level = (uint8_t)json_integer_value(json_object_get(j, "level"));
	l->order = (uint64_t)json_integer_value(json_object_get(j, "order"));
	l->info.image = json_is_true(json_object_get(j, "image"));
	return name && tarn_strlcpy(l->info.name, name, sizeof l->info.name) &&
	       get_key(j, "first", &l->info.first) && get_key(j, "last", &l->info.last) &&
	       get_lsn(j, "lo", &l->info.lo) && get_lsn(j, "hi", &l->info.hi);
}

static bool get_all(const json_t *j, struct ps_index *x)
{
	const char *id = json_string_value(json_object_get(j, "id"));
	const char *name = json_string_value(json_object_get(j, "name"));
	const char *parent = json_string_value(json_object_get(j, "parent"));
	const json_t *layers = json_object_get(j, "layers"), *l;
	size_t i;
	if (!id || !tarn_id_parse(id, &x->id) || !name ||
	    !tarn_strlcpy(x->name, name, sizeof x->name))
		return false;
	x->has_parent = parent != NULL;
	x->deleted = json_is_true(json_object_get(j, "deleted"));
	if (parent && !tarn_id_parse(parent, &x->parent))
		return false;
	x->next_order = (uint64_t)json_integer_value(json_object_get(j, "next_order"));
	x->layer_count = json_array_size(layers);
	x->layers = tarn_calloc(x->layer_count, sizeof x->layers[0]);
	json_array_foreach(layers, i, l) if (!get_layer(l, &x->layers[i])) return false;
	return get_lsn(j, "start_lsn", &x->start_lsn) &&
	       get_lsn(j, "start_prev_lsn", &x->start_prev_lsn) &&
	       get_lsn(j, "last_record_lsn", &x->last_record_lsn) &&
	       get_lsn(j, "prev_record_lsn", &x->prev_record_lsn);
}

int ps_index_decode(const uint8_t *bytes, size_t len, const char *name, uint64_t system_identifier,
		    struct ps_index *out, struct tarn_error *err)
{
	json_error_t je;
	uint64_t owner = 0;
	int rc = 0;
	memset(out, 0, sizeof *out);
	json_t *j = json_loadb((const char *)bytes, len, 0, &je);
	const char *text = json_string_value(json_object_get(j, "system_identifier"));
	if (!j || json_integer_value(json_object_get(j, "format")) != FORMAT || !text ||
	    !tarn_parse_u64(text, UINT64_MAX, &owner))
		rc = tarn_fail(err, TARN_E_CORRUPT,
			       "index object %s is not one of this version of Tarn", name);
	else if (owner != system_identifier)
		rc = tarn_fail(err, TARN_E_CONFLICT,
			       "index object %s belongs to system %" PRIu64 ", not %" PRIu64, name,
			       owner, system_identifier);
	else if (!get_all(j, out))
		rc = tarn_fail(err, TARN_E_CORRUPT, "index object %s lacks a field", name);
	json_decref(j);
	if (rc != 0)
		ps_index_release(out);
	return rc;
}

static int parse_project(const struct tarn_buf *text, uint64_t *owner, struct tarn_error *err)
{
	json_error_t je;
	json_t *j = json_loadb((const char *)text->data, text->len, 0, &je);
	const char *id = json_string_value(json_object_get(j, "system_identifier"));
	bool good = id && tarn_parse_u64(id, UINT64_MAX, owner) &&
		    json_integer_value(json_object_get(j, "format")) == FORMAT;
	json_decref(j);
	if (!good)
		return tarn_fail(err, TARN_E_CORRUPT,
				 "project.json is not one of this version of Tarn: is the object "
				 "store ours?");
	return 0;
}

static int count_key(void *arg, const char *key, uint64_t size, struct tarn_error *err)
{
	(void)key;
	(void)size;
	(void)err;
	return ++*(size_t *)arg > 0 ? TARN_E_EXISTS : 0;
}

static int project_make(struct objstore *objects, uint64_t system_identifier,
			struct tarn_error *err)
{
	char text[96];
	size_t foreign = 0;
	int rc = objstore_list(objects, "", count_key, &foreign, err);
	if (foreign > 0)
		return tarn_fail(err, TARN_E_CONFLICT,
				 "%s holds objects that are not Tarn's (no project.json): choose "
				 "an empty place",
				 objstore_url(objects));
	TRY(rc);
	tarn_snprintf(text, sizeof text, "{\"format\":%d,\"system_identifier\":\"%" PRIu64 "\"}\n",
		      FORMAT, system_identifier);
	return objstore_put(objects, "project.json", text, strlen(text), err);
}

int ps_project_claim(struct objstore *objects, uint64_t *system_identifier, struct tarn_error *err)
{
	struct tarn_buf text = TARN_BUF_INIT;
	uint64_t owner = 0;
	int rc = objstore_get(objects, "project.json", 4096, &text, err);
	if (rc == TARN_E_NOT_FOUND && *system_identifier) {
		rc = project_make(objects, *system_identifier, err);
	} else if (rc == TARN_E_NOT_FOUND) {
		rc = tarn_fail(err, TARN_E_NOT_FOUND,
			       "%s holds no Tarn project; `tarn up` makes one",
			       objstore_url(objects));
	} else if (rc == 0) {
		rc = parse_project(&text, &owner, err);
		if (rc == 0 && *system_identifier && owner != *system_identifier)
			rc = tarn_fail(
				err, TARN_E_CONFLICT,
				"the object store %s belongs to another cluster (system %" PRIu64
				", this one is %" PRIu64 "): choose another with --store",
				objstore_url(objects), owner, *system_identifier);
		*system_identifier = owner;
	}
	tarn_buf_release(&text);
	return rc;
}

static int newest_generation(void *arg, const char *key, uint64_t size, struct tarn_error *err)
{
	uint64_t *newest = arg;
	const char *name = strrchr(key, '/');
	(void)size;
	(void)err;
	if (name)
		*newest = TARN_MAX(*newest, (uint64_t)strtoull(name + 1, NULL, 16));
	return 0;
}

int ps_generation_claim(struct objstore *objects, uint64_t *generation, struct tarn_error *err)
{
	uint64_t newest = 0;
	TRY(objstore_list(objects, "generations/", newest_generation, &newest, err));
	for (int i = 0; i < CLAIM_TRIES; i++) {
		char key[48];
		tarn_snprintf(key, sizeof key, "generations/%08" PRIx64, newest + 1);
		int rc = objstore_put(objects, key, "", 0, err);
		if (rc == 0) {
			*generation = newest + 1;
			return 0;
		}
		if (rc != TARN_E_EXISTS)
			return rc;
		newest++;
	}
	return tarn_fail(err, TARN_E_CONFLICT,
			 "others keep claiming this store: does another pageserver run on %s?",
			 objstore_url(objects));
}

struct newest { /* newest index name per timeline */
	char (*names)[96];
	size_t count, cap;
};

static int note_index(void *arg, const char *key, uint64_t size, struct tarn_error *err)
{
	struct newest *n = arg;
	(void)size;
	(void)err;
	/* timelines/ + 32 + /index/ */
	if (strlen(key) >= 96 || strlen(key) < 49 || strncmp(key + 42, "/index/", 7) != 0)
		return 0;
	for (size_t i = 0; i < n->count; i++)
		if (strncmp(n->names[i], key, 42) == 0) {
			if (strcmp(n->names[i], key) < 0)
				tarn_strlcpy(n->names[i], key, 96);
			return 0;
		}
	if (n->count == n->cap) {
		n->cap = n->cap ? n->cap * 2 : 16;
		n->names = tarn_realloc(n->names, n->cap * sizeof n->names[0]);
	}
	tarn_strlcpy(n->names[n->count++], key, 96);
	return 0;
}

int ps_index_load_all(struct objstore *objects, uint64_t system_identifier,
		      int (*visit)(void *arg, struct ps_index *x, struct tarn_error *e), void *arg,
		      struct tarn_error *err)
{
	struct newest n = {0};
	struct tarn_buf text = TARN_BUF_INIT;
	int rc = objstore_list(objects, "timelines/", note_index, &n, err);
	for (size_t i = 0; rc == 0 && i < n.count; i++) {
		struct ps_index x;
		tarn_buf_clear(&text);
		rc = objstore_get(objects, n.names[i], PS_INDEX_MAX_BYTES, &text, err);
		if (rc == 0)
			rc = ps_index_decode(text.data, text.len, n.names[i], system_identifier, &x,
					     err);
		if (rc == 0) {
			rc = visit(arg, &x, err);
			ps_index_release(&x);
		}
	}
	tarn_buf_release(&text);
	free(n.names);
	return rc;
}
