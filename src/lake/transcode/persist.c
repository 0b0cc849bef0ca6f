/* Implementation of persist.h. */
#include "base/system.h"
#include <xxhash.h>
#include "base/id.h"
#include "lake/transcode/persist.h"

#define MAX_BYTES ((size_t)1 << 30)
#define MAX_TEXT_BYTES (64 * MIB)

/* ---- writing ---- */

static void put_text(struct tarn_buf *b, const char *text)
{
	size_t len = strlen(text);
	tarn_buf_put_le32(b, (uint32_t)len);
	tarn_buf_put(b, text, len);
}

static void put_numbers(struct tarn_buf *b, const uint32_t *v, uint32_t count)
{
	tarn_buf_put_le32(b, count);
	if (count > 0)
		tarn_buf_put(b, v, (size_t)count * 4);
}

static void put_file(struct tarn_buf *b, const struct transcode_file *f)
{
	put_text(b, f->key);
	put_text(b, f->json);
	tarn_buf_put_le64(b, f->rows);
	tarn_buf_put_le32(b, f->map.first);
	tarn_buf_put_le32(b, f->map.count);
	tarn_buf_put(b, f->map.counts.data, f->map.counts.len);
	tarn_buf_put_le32(b, f->overflow_count);
	if (f->overflow_count > 0)
		tarn_buf_put(b, f->overflow, f->overflow_count * sizeof *f->overflow);
}

static void put_base(struct tarn_buf *b, const struct transcode_state *s)
{
	tarn_buf_put_le32(b, PERSIST_MAGIC);
	tarn_buf_put_le64(b, s->made);
	tarn_buf_put_le32(b, s->rel.spc);
	tarn_buf_put_le32(b, s->rel.db);
	tarn_buf_put_le32(b, s->rel.rel);
	tarn_buf_put_le32(b, s->nblocks);
	tarn_buf_put_le32(b, s->schema->count);
	for (uint32_t i = 0; i < s->schema->count; i++) {
		tarn_buf_put_le16(b, (uint16_t)s->schema->columns[i].attnum);
		tarn_buf_put_le64(b, s->schema->columns[i].form);
	}
	put_numbers(b, s->undecided, s->undecided_count);
	tarn_buf_put_u8(b, s->pending.unknown);
	put_numbers(b, s->pending.xids, s->pending.count);
	tarn_buf_put_le32(b, s->file_count);
	for (uint32_t i = 0; i < s->file_count; i++)
		put_file(b, s->files[i].file);
	tarn_buf_put_le64(b, XXH3_64bits(b->data, b->len));
}

/* ---- which are there ---- */

struct found {
	tarn_lsn upto;
	tarn_lsn lsn; /* of key, the newest at or before upto */
	char *key;
	struct objstore *remove_from; /* or NULL: all older ones are deleted */
};

static bool lsn_of(const char *key, tarn_lsn *lsn)
{
	const char *name = strrchr(key, '/');
	char *end;
	if (name == NULL)
		return false;
	errno = 0;
	*lsn = strtoull(name + 1, &end, 16);
	return errno == 0 && end == name + 17 && *end == '-';
}

static int visit_key(void *arg, const char *key, uint64_t size_bytes, struct tarn_error *err)
{
	struct found *f = arg;
	tarn_lsn lsn;
	(void)size_bytes;
	if (!lsn_of(key, &lsn) || lsn > f->upto)
		return 0;
	if (f->remove_from)
		return lsn < f->lsn ? objstore_delete(f->remove_from, key, err) : 0;
	if (f->key != NULL && lsn <= f->lsn)
		return 0;
	free(f->key);
	f->key = tarn_strdup(key);
	f->lsn = lsn;
	return 0;
}

static int find(const struct transcode_env *env, struct found *f, struct tarn_error *err)
{
	char *prefix = tarn_asprintf("%s/state/", env->place.location);
	int rc = objstore_list(env->place.objects, prefix, visit_key, f, err);
	free(prefix);
	return rc;
}

int transcode_base_save(const struct transcode_env *env, const struct transcode_state *base,
			struct tarn_error *err)
{
	struct tarn_buf b = TARN_BUF_INIT;
	struct tarn_id id;
	char random[TARN_ID_TEXT_BYTES];
	struct found before = {.upto = base->made - 1};
	TRY(find(env, &before, err));
	put_base(&b, base);
	tarn_id_random(&id);
	tarn_id_format(&id, random);
	random[16] = 0;
	char *key = tarn_asprintf("%s/state/%016" PRIX64 "-%s.base", env->place.location,
				  base->made, random);
	int rc = b.len <= MAX_BYTES
			 ? objstore_put(env->place.objects, key, b.data, b.len, err)
			 : tarn_fail(err, TARN_E_LIMIT, "%s would have %zu bytes", key, b.len);
	if (rc == 0 && before.key) {
		struct found older = {
			.upto = before.lsn, .lsn = before.lsn, .remove_from = env->place.objects};
		rc = find(env, &older, err);
	}
	free(before.key);
	free(key);
	tarn_buf_release(&b);
	return rc;
}

/* ---- reading ---- */

static char *get_text(struct tarn_reader *r)
{
	uint32_t len = tarn_reader_le32(r);
	const uint8_t *p = len <= MAX_TEXT_BYTES ? tarn_reader_bytes(r, len) : NULL;
	if (p == NULL) {
		r->failed = true;
		return tarn_strdup("");
	}
	char *text = tarn_malloc(len + (size_t)1);
	memcpy(text, p, len);
	text[len] = 0;
	return text;
}

/* size bytes each; NULL for none. */
static void *get_array(struct tarn_reader *r, size_t size, uint32_t *count)
{
	*count = tarn_reader_le32(r);
	const uint8_t *p = *count <= MAX_BYTES / size ? tarn_reader_bytes(r, *count * size) : NULL;
	if (p == NULL) {
		r->failed = r->failed || *count > 0;
		*count = 0;
	}
	return *count > 0 ? tarn_memdup(p, *count * size) : NULL;
}

static struct transcode_file *get_file(struct tarn_reader *r, uint64_t *memory_used)
{
	struct transcode_file f = {.columnar = true};
	f.key = get_text(r);
	f.json = get_text(r);
	f.rows = tarn_reader_le64(r);
	block_map_init(&f.map, true);
	uint32_t first = tarn_reader_le32(r), count = tarn_reader_le32(r);
	const uint8_t *counts = tarn_reader_bytes(r, (size_t)count * 2);
	for (uint32_t i = 0; counts && i < count; i++)
		block_map_add(&f.map, first + i, get_le16(counts + (size_t)i * 2));
	f.overflow = get_array(r, sizeof *f.overflow, &f.overflow_count);
	r->failed = r->failed || f.map.rows != f.rows;
	return transcode_file_restore(&f, memory_used);
}

/* All columns of now are in the saved ones, in the same form. */
static bool schema_fits(struct tarn_reader *r, const struct transcode_schema *now)
{
	uint32_t count = tarn_reader_le32(r), matched = 0;
	for (uint32_t i = 0; i < count && !r->failed; i++) {
		int16_t attnum = (int16_t)tarn_reader_le16(r);
		uint64_t form = tarn_reader_le64(r);
		for (uint32_t k = 0; k < now->count; k++)
			matched += now->columns[k].attnum == attnum && now->columns[k].form == form;
	}
	return matched == now->count;
}

static struct transcode_state *get_base(struct tarn_reader *r, const struct transcode_env *env,
					const struct transcode_schema *schema, bool *fits)
{
	struct transcode_state *s = tarn_calloc(1, sizeof *s);
	const struct lake_rel *rel = &schema->rel;
	s->refs = 1;
	s->schema = transcode_schema_outline(schema);
	r->failed = r->failed || tarn_reader_le32(r) != PERSIST_MAGIC;
	s->made = s->upto = tarn_reader_le64(r);
	s->rel.spc = tarn_reader_le32(r);
	s->rel.db = tarn_reader_le32(r);
	s->rel.rel = tarn_reader_le32(r);
	s->nblocks = tarn_reader_le32(r);
	*fits = schema_fits(r, schema) && s->rel.spc == rel->spc && s->rel.db == rel->db &&
		s->rel.rel == rel->rel;
	s->undecided = get_array(r, 4, &s->undecided_count);
	s->pending.unknown = tarn_reader_u8(r) != 0;
	s->pending.xids = get_array(r, 4, &s->pending.count);
	s->pending.cap = s->pending.count;
	uint32_t files = tarn_reader_le32(r);
	if (files > r->len) /* a file has more than a byte */
		r->failed = true;
	s->files = tarn_calloc(r->failed ? 1 : files + (size_t)1, sizeof *s->files);
	while (!r->failed && s->file_count < files)
		s->files[s->file_count++].file = get_file(r, env->memory_used);
	transcode_state_sum(s);
	return s;
}

static int parse(const struct transcode_env *env, const struct tarn_buf *b, const char *key,
		 const struct transcode_schema *schema, struct transcode_state **out,
		 struct tarn_error *err)
{
	struct tarn_reader r;
	bool fits;
	if (b->len < 8 || get_le64(b->data + b->len - 8) != XXH3_64bits(b->data, b->len - 8))
		return tarn_fail(err, TARN_E_CORRUPT, "object %s is damaged", key);
	tarn_reader_init(&r, b->data, b->len - 8);
	struct transcode_state *s = get_base(&r, env, schema, &fits);
	if (r.failed || !fits) {
		transcode_state_release(s);
		return r.failed
			       ? tarn_fail(err, TARN_E_CORRUPT, "object %s is no table's base", key)
			       : 0;
	}
	*out = s;
	return 0;
}

int transcode_base_load(const struct transcode_env *env, const struct transcode_schema *schema,
			tarn_lsn lsn, struct transcode_state **out, struct tarn_error *err)
{
	struct tarn_buf b = TARN_BUF_INIT;
	struct found f = {.upto = lsn};
	*out = NULL;
	TRY(find(env, &f, err));
	if (f.key == NULL)
		return 0;
	int rc = objstore_get(env->place.objects, f.key, MAX_BYTES, &b, err);
	if (rc == 0)
		rc = parse(env, &b, f.key, schema, out, err);
	tarn_buf_release(&b);
	free(f.key);
	return rc;
}
