/* Implementation of files.h. */
#include "base/system.h"
#include "lake/transcode/files.h"

/* Reserved by the Iceberg specification for the columns of position deletes. */
#define ID_FILE_PATH 2147483546
#define ID_POS 2147483545

/* ---- data files ---- */

static void put_hex(struct tarn_buf *b, const char *name, bool has, const struct tarn_buf *bytes)
{
	if (!has)
		return;
	tarn_buf_printf(b, ",\"%s\":\"", name);
	for (size_t i = 0; i < bytes->len; i++)
		tarn_buf_printf(b, "%02x", bytes->data[i]);
	tarn_buf_put_str(b, "\"");
}

static char *file_json(const struct transcode_file *f, const struct pq_summary *summary,
		       const struct transcode_schema *schema)
{
	struct tarn_buf b = TARN_BUF_INIT;
	tarn_buf_printf(&b,
			"\"key\":\"%s\",\"rows\":%" PRIu64 ",\"bytes\":%" PRIu64
			",\"kind\":\"%s\",\"columns\":{",
			f->key, summary->rows, summary->bytes, f->columnar ? "columnar" : "tail");
	uint32_t leaves = TARN_MIN(schema->hidden_leaf, summary->nleaves);
	for (uint32_t i = 0; i < leaves; i++) {
		const struct pq_bounds *l = &summary->leaves[i];
		tarn_buf_printf(&b, "%s\"%" PRId32 "\":{\"values\":%" PRIu64 ",\"nulls\":%" PRIu64,
				i ? "," : "", l->field_id, l->values, l->nulls);
		put_hex(&b, "lower", l->has_lower, &l->lower);
		put_hex(&b, "upper", l->has_upper, &l->upper);
		tarn_buf_put_str(&b, "}");
	}
	tarn_buf_put_str(&b, "}");
	char *text = tarn_strdup(tarn_buf_cstr(&b));
	tarn_buf_release(&b);
	return text;
}

struct transcode_file *transcode_file_restore(const struct transcode_file *parts,
					      uint64_t *memory_used)
{
	struct transcode_file *f = tarn_memdup(parts, sizeof *parts);
	f->refs = 1;
	block_map_seal(&f->map);
	f->memory_bytes = sizeof *f + block_map_bytes(&f->map) + strlen(f->json) +
			  f->overflow_count * sizeof *f->overflow;
	f->memory_used = memory_used;
	if (memory_used)
		__atomic_fetch_add(memory_used, f->memory_bytes, __ATOMIC_RELAXED);
	return f;
}

struct transcode_file *transcode_file_new(char *key, bool columnar, struct block_map *map,
					  struct overflow_entry *overflow, uint32_t overflow_count,
					  const struct pq_summary *summary,
					  const struct transcode_schema *schema,
					  uint64_t *memory_used)
{
	struct transcode_file f = {.key = key,
				   .columnar = columnar,
				   .rows = summary->rows,
				   .map = *map,
				   .overflow = overflow,
				   .overflow_count = overflow_count};
	*map = (struct block_map){0};
	f.json = file_json(&f, summary, schema);
	return transcode_file_restore(&f, memory_used);
}

struct transcode_file *transcode_file_ref(struct transcode_file *f)
{
	__atomic_fetch_add(&f->refs, 1, __ATOMIC_RELAXED);
	return f;
}

void transcode_file_release(struct transcode_file *f)
{
	if (f == NULL || __atomic_fetch_sub(&f->refs, 1, __ATOMIC_ACQ_REL) > 1)
		return;
	if (f->memory_used)
		__atomic_fetch_sub(f->memory_used, f->memory_bytes, __ATOMIC_RELAXED);
	block_map_release(&f->map);
	free(f->overflow);
	free(f->json);
	free(f->key);
	free(f);
}

void transcode_file_overflow(const struct transcode_file *f, uint32_t block,
			     void (*add)(void *arg, int16_t attnum, uint16_t count), void *arg)
{
	uint32_t lo = 0, hi = f->overflow_count;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (f->overflow[mid].block < block)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < f->overflow_count && f->overflow[lo].block == block; lo++)
		add(arg, f->overflow[lo].attnum, f->overflow[lo].count);
}

/* ---- position deletes ---- */

static const struct pq_column delete_columns[] = {
	{.name = "file_path", .field_id = ID_FILE_PATH, .kind = PQ_STRING, .required = true},
	{.name = "pos", .field_id = ID_POS, .kind = PQ_INT64, .required = true}};

static int put_positions(struct transcode_output *o, const char *uri,
			 const struct transcode_file *f, const uint32_t *entries, uint32_t count,
			 struct tarn_error *err)
{
	size_t uri_len = strlen(uri);
	for (uint32_t i = 0; i < count; i++) {
		struct block_rows rows = block_map_rows(&f->map, entries[i]);
		for (uint32_t k = 0; k < rows.count; k++) {
			pq_put_bytes(o->writer, 0, uri, uri_len);
			pq_put_int(o->writer, 1, (int64_t)rows.first + k);
			TRY(pq_end_row(o->writer, err));
		}
	}
	return 0;
}

static bool any_rows(const struct transcode_file *f, const uint32_t *entries, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (block_map_rows(&f->map, entries[i]).count > 0)
			return true;
	return false;
}

int transcode_delete_write(const struct transcode_place *place, tarn_lsn lsn,
			   const struct transcode_file *f, const uint32_t *entries, uint32_t count,
			   struct transcode_delete **out, struct tarn_error *err)
{
	struct transcode_output o;
	struct pq_summary summary;
	char *key;
	*out = NULL;
	if (!any_rows(f, entries, count))
		return 0;
	TRY(transcode_output_open(&o, place, "delete", lsn, delete_columns,
				  ARRAY_LEN(delete_columns), err));
	char *uri = objstore_uri(place->objects, f->key);
	int rc = put_positions(&o, uri, f, entries, count, err);
	if (rc == 0)
		rc = transcode_output_finish(&o, &key, &summary, err);
	transcode_output_release(&o);
	free(uri);
	if (rc != 0)
		return rc;
	struct transcode_delete *d = tarn_calloc(1, sizeof *d);
	d->refs = 1;
	d->json = tarn_asprintf("{\"key\":\"%s\",\"rows\":%" PRIu64 ",\"bytes\":%" PRIu64
				",\"data_file\":\"%s\"}",
				key, summary.rows, summary.bytes, f->key);
	pq_summary_release(&summary);
	free(key);
	*out = d;
	return 0;
}

struct transcode_delete *transcode_delete_ref(struct transcode_delete *d)
{
	__atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);
	return d;
}

void transcode_delete_release(struct transcode_delete *d)
{
	if (d == NULL || __atomic_fetch_sub(&d->refs, 1, __ATOMIC_ACQ_REL) > 1)
		return;
	free(d->json);
	free(d);
}
