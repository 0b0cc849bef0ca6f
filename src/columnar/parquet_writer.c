/* Implementation of parquet_writer.h: rows in, row groups of pages out. */
#include "base/system.h"
#include <zstd.h>
#include "columnar/encoding.h"
#include "columnar/parquet_footer.h"
#include "columnar/thrift_compact.h"
#include "io/file.h"

#define DEFAULT_GROUP_BYTES (64 * MIB)
#define DEFAULT_GROUP_ROWS ((uint64_t)1 << 20)
#define DEFAULT_PAGE_BYTES (1 * MIB)
#define PAGE_MAX_ROWS 20000
#define CHECK_SIZE_ROWS 256 /* the buffered bytes are summed up this often */
#define MAX_COLUMNS 8192
enum { PAGE_DATA = 0, PAGE_DICTIONARY = 2 };

struct pq_writer {
	int fd;
	char *path;
	struct pq_options options;
	struct pq_column *columns; /* with names and children of their own */
	uint32_t ncolumns;
	struct leaf *leaves;
	uint32_t nleaves;
	struct row_group *groups;
	size_t ngroups, groups_cap;
	char **keys, **values;
	size_t nmetadata;
	uint64_t group_rows, rows, offset;
	ZSTD_CCtx *zstd;
	struct tarn_buf raw, packed, scratch;
};

/* ---- making ---- */

static void free_columns(struct pq_column *columns, uint32_t n)
{
	for (uint32_t i = 0; columns && i < n; i++) {
		free_columns((struct pq_column *)(uintptr_t)columns[i].children,
			     columns[i].nchildren);
		free((char *)(uintptr_t)columns[i].name);
	}
	free(columns);
}

static struct pq_column *copy_columns(const struct pq_column *from, uint32_t n)
{
	struct pq_column *to = tarn_calloc(TARN_MAX(n, 1u), sizeof *to);
	for (uint32_t i = 0; i < n; i++) {
		to[i] = from[i];
		to[i].name = tarn_strdup(from[i].name);
		to[i].children = from[i].nchildren
					 ? copy_columns(from[i].children, from[i].nchildren)
					 : NULL;
	}
	return to;
}

static int make_leaves(struct pq_writer *w, struct tarn_error *err)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < w->ncolumns; i++)
		n += w->columns[i].kind == PQ_STRUCT ? w->columns[i].nchildren : 1;
	if (n > MAX_COLUMNS)
		return tarn_fail(err, TARN_E_LIMIT, "a file has at most %d columns", MAX_COLUMNS);
	w->leaves = tarn_calloc(TARN_MAX(n, 1u), sizeof *w->leaves);
	for (uint32_t i = 0; i < w->ncolumns; i++) {
		const struct pq_column *c = &w->columns[i];
		bool nested = c->kind == PQ_STRUCT || c->kind == PQ_LIST;
		if (c->kind == PQ_LIST && c->nchildren != 1)
			return tarn_fail(err, TARN_E_USAGE, "list %s needs one child", c->name);
		for (uint32_t k = 0; k < (nested ? c->nchildren : 1); k++) {
			int rc = leaf_init(&w->leaves[w->nleaves], nested ? &c->children[k] : c,
					   !nested && c->required, c->kind == PQ_LIST, err);
			w->nleaves++;
			TRY(rc);
		}
	}
	return 0;
}

int pq_writer_new(int fd, const char *path, const struct pq_column *columns, uint32_t ncolumns,
		  const struct pq_options *options, struct pq_writer **out, struct tarn_error *err)
{
	struct pq_writer *w = tarn_calloc(1, sizeof *w);
	w->fd = fd;
	w->path = tarn_strdup(path);
	if (options)
		w->options = *options;
	if (w->options.max_row_group_bytes == 0)
		w->options.max_row_group_bytes = DEFAULT_GROUP_BYTES;
	if (w->options.max_row_group_rows == 0)
		w->options.max_row_group_rows = DEFAULT_GROUP_ROWS;
	if (w->options.page_bytes == 0)
		w->options.page_bytes = DEFAULT_PAGE_BYTES;
	if (w->options.zstd_level == 0)
		w->options.zstd_level = 3;
	w->columns = copy_columns(columns, ncolumns);
	w->ncolumns = ncolumns;
	w->zstd = ZSTD_createCCtx();
	TARN_CHECK(w->zstd != NULL);
	int rc = make_leaves(w, err);
	if (rc == 0)
		rc = file_pwrite(fd, PARQUET_MAGIC, 4, 0, path, err);
	w->offset = 4;
	if (rc != 0) {
		pq_writer_free(w);
		return rc;
	}
	*out = w;
	return 0;
}

void pq_writer_free(struct pq_writer *w)
{
	if (!w)
		return;
	for (uint32_t i = 0; i < w->nleaves; i++)
		leaf_release(&w->leaves[i]);
	for (size_t i = 0; i < w->ngroups; i++)
		row_group_release(&w->groups[i], w->nleaves);
	for (size_t i = 0; i < w->nmetadata; i++) {
		free(w->keys[i]);
		free(w->values[i]);
	}
	free(w->keys);
	free(w->values);
	free(w->groups);
	free(w->leaves);
	free_columns(w->columns, w->ncolumns);
	free(w->path);
	ZSTD_freeCCtx(w->zstd);
	tarn_buf_release(&w->raw);
	tarn_buf_release(&w->packed);
	tarn_buf_release(&w->scratch);
	free(w);
}

/* ---- values ---- */

uint32_t pq_leaf_count(const struct pq_writer *w)
{
	return w->nleaves;
}

static struct leaf *leaf_at(struct pq_writer *w, uint32_t i)
{
	TARN_CHECK(i < w->nleaves);
	return &w->leaves[i];
}

void pq_put_null(struct pq_writer *w, uint32_t leaf)
{
	leaf_put_null(leaf_at(w, leaf));
}

void pq_put_bool(struct pq_writer *w, uint32_t leaf, bool v)
{
	uint8_t byte = v;
	TARN_CHECK(leaf_at(w, leaf)->type == PARQUET_BOOLEAN);
	leaf_put_fixed(&w->leaves[leaf], &byte);
}

void pq_put_int(struct pq_writer *w, uint32_t leaf, int64_t v)
{
	struct leaf *l = leaf_at(w, leaf);
	int32_t narrow = (int32_t)v;
	TARN_CHECK(l->type == PARQUET_INT32 || l->type == PARQUET_INT64);
	leaf_put_fixed(l, l->type == PARQUET_INT32 ? (const void *)&narrow : &v);
}

void pq_put_float(struct pq_writer *w, uint32_t leaf, float v)
{
	TARN_CHECK(leaf_at(w, leaf)->type == PARQUET_FLOAT);
	leaf_put_fixed(&w->leaves[leaf], &v);
}

void pq_put_double(struct pq_writer *w, uint32_t leaf, double v)
{
	TARN_CHECK(leaf_at(w, leaf)->type == PARQUET_DOUBLE);
	leaf_put_fixed(&w->leaves[leaf], &v);
}

void pq_put_decimal(struct pq_writer *w, uint32_t leaf, __int128 unscaled)
{
	struct leaf *l = leaf_at(w, leaf);
	uint8_t big[16];
	TARN_CHECK(l->kind == PQ_DECIMAL);
	if (l->type != PARQUET_FIXED) {
		pq_put_int(w, leaf, (int64_t)unscaled);
		return;
	}
	for (unsigned i = 0; i < l->width; i++)
		big[l->width - 1 - i] = (uint8_t)(unscaled >> (8 * i));
	leaf_put_fixed(l, big);
}

void pq_put_bytes(struct pq_writer *w, uint32_t leaf, const void *bytes, size_t len)
{
	struct leaf *l = leaf_at(w, leaf);
	if (l->kind == PQ_UUID) {
		TARN_CHECK(len == 16);
		leaf_put_fixed(l, bytes);
		return;
	}
	TARN_CHECK(l->type == PARQUET_BYTE_ARRAY);
	leaf_put_bytes(l, bytes, len);
}

void pq_put_list(struct pq_writer *w, uint32_t leaf, uint32_t count)
{
	leaf_put_list(leaf_at(w, leaf), count);
}

void pq_metadata(struct pq_writer *w, const char *key, const char *value)
{
	w->keys = tarn_realloc(w->keys, (w->nmetadata + 1) * sizeof *w->keys);
	w->values = tarn_realloc(w->values, (w->nmetadata + 1) * sizeof *w->values);
	w->keys[w->nmetadata] = tarn_strdup(key);
	w->values[w->nmetadata++] = tarn_strdup(value);
}

/* ---- pages ---- */

static int write_bytes(struct pq_writer *w, const struct tarn_buf *b, struct tarn_error *err)
{
	TRY(file_pwrite(w->fd, b->data, b->len, w->offset, w->path, err));
	w->offset += b->len;
	return 0;
}

static void put_page_header(struct tarn_buf *out, int type, size_t raw, size_t packed,
			    size_t entries, enum parquet_encoding encoding)
{
	struct tc_writer t;
	tc_init(&t, out);
	tc_i32(&t, 1, type);
	tc_i32(&t, 2, (int32_t)raw);
	tc_i32(&t, 3, (int32_t)packed);
	tc_struct(&t, type == PAGE_DATA ? 5 : 7);
	tc_i32(&t, 1, (int32_t)entries);
	tc_i32(&t, 2, (int32_t)encoding);
	if (type == PAGE_DATA) {
		tc_i32(&t, 3, PARQUET_RLE);
		tc_i32(&t, 4, PARQUET_RLE);
	}
	tc_end(&t);
	tc_end(&t);
}

/* w->raw holds the page's content. */
static int write_page(struct pq_writer *w, int type, size_t entries, enum parquet_encoding encoding,
		      struct chunk *c, uint32_t *bytes, struct tarn_error *err)
{
	size_t room = ZSTD_compressBound(w->raw.len);
	tarn_buf_clear(&w->packed);
	uint8_t *to = tarn_buf_reserve(&w->packed, room);
	size_t n = ZSTD_compressCCtx(w->zstd, to, room, w->raw.data, w->raw.len,
				     w->options.zstd_level);
	if (ZSTD_isError(n))
		return tarn_fail(err, TARN_E_INTERNAL, "zstd: %s", ZSTD_getErrorName(n));
	w->packed.len = n;
	tarn_buf_clear(&w->scratch);
	put_page_header(&w->scratch, type, w->raw.len, n, entries, encoding);
	*bytes = (uint32_t)(w->scratch.len + n);
	c->bytes += *bytes;
	c->raw_bytes += w->scratch.len + w->raw.len;
	TRY(write_bytes(w, &w->scratch, err));
	return write_bytes(w, &w->packed, err);
}

static void put_levels(struct tarn_buf *out, const uint8_t *levels, size_t n, uint8_t max)
{
	size_t at = out->len;
	if (max == 0)
		return;
	tarn_buf_put_le32(out, 0);
	encoding_put_rle_bytes(out, levels, n, encoding_bit_width(max));
	uint32_t len = (uint32_t)(out->len - at - 4);
	memcpy(out->data + at, &len, sizeof len); /* little-endian hosts only, as base/ checks */
}

static struct page_entry *add_page(struct chunk *c)
{
	if (c->page_count == c->page_cap) {
		c->page_cap = c->page_cap ? c->page_cap * 2 : 8;
		c->pages = tarn_realloc(c->pages, c->page_cap * sizeof *c->pages);
	}
	memset(&c->pages[c->page_count], 0, sizeof c->pages[0]);
	return &c->pages[c->page_count++];
}

/* A page: entries [entry, entry + entries), values [value, value + values). */
struct span {
	size_t entry, entries, value, values;
	uint64_t row, rows;
};

/* The next page: whole rows until it has bytes or rows enough. */
static struct span next_span(const struct pq_writer *w, const struct leaf *l, const struct span *s)
{
	struct span n = {.entry = s->entry + s->entries,
			 .value = s->value + s->values,
			 .row = s->row + s->rows};
	size_t bytes = 0, len;
	for (size_t i = n.entry; i < l->entries; i++) {
		bool new_row = l->max_rep == 0 || l->rep.data[i] == 0;
		if (new_row && n.rows > 0 &&
		    (bytes >= w->options.page_bytes || n.rows >= PAGE_MAX_ROWS))
			break;
		n.rows += new_row;
		n.entries++;
		if (l->max_def == 0 || l->def.data[i] == l->max_def) {
			leaf_value(l, n.value + n.values, &len);
			n.values++;
			bytes += len;
		}
	}
	return n;
}

static int write_data_page(struct pq_writer *w, struct leaf *l, struct chunk *c,
			   const struct span *s, const uint32_t *indexes, uint32_t distinct,
			   struct tarn_error *err)
{
	enum parquet_encoding encoding = PARQUET_DICTIONARY;
	struct page_entry *p = add_page(c);
	tarn_buf_clear(&w->raw);
	if (l->max_rep > 0)
		put_levels(&w->raw, l->rep.data + s->entry, s->entries, l->max_rep);
	if (l->max_def > 0)
		put_levels(&w->raw, l->def.data + s->entry, s->entries, l->max_def);
	if (indexes) {
		unsigned width = encoding_bit_width(distinct - 1);
		tarn_buf_put_u8(&w->raw, (uint8_t)width);
		encoding_put_rle(&w->raw, indexes + s->value, s->values, width);
	} else {
		encoding = leaf_put_values(l, s->value, s->value + s->values, &w->raw);
	}
	p->offset = w->offset;
	p->first_row = s->row;
	p->nulls = s->entries - s->values;
	leaf_range(l, s->value, s->value + s->values, &p->range);
	leaf_merge_range(l, &p->range);
	c->dictionary = c->dictionary || encoding == PARQUET_DICTIONARY;
	c->delta = c->delta || encoding == PARQUET_DELTA;
	c->plain = c->plain || encoding == PARQUET_PLAIN;
	return write_page(w, PAGE_DATA, s->entries, encoding, c, &p->bytes, err);
}

static int write_dictionary(struct pq_writer *w, struct leaf *l, struct chunk *c, uint32_t *indexes,
			    uint32_t *distinct, bool *made, struct tarn_error *err)
{
	uint32_t bytes;
	tarn_buf_clear(&w->raw);
	*made = leaf_dictionary(l, indexes, distinct, &w->raw);
	if (!*made)
		return 0;
	c->dictionary_offset = w->offset;
	return write_page(w, PAGE_DICTIONARY, *distinct, PARQUET_PLAIN, c, &bytes, err);
}

static int write_chunk(struct pq_writer *w, struct leaf *l, struct chunk *c, struct tarn_error *err)
{
	uint32_t *indexes = tarn_calloc(TARN_MAX(l->values, 1), sizeof *indexes), distinct = 0;
	struct span s = {0};
	bool dictionary;
	c->entries = l->entries;
	c->nulls = l->entries - l->values;
	int rc = write_dictionary(w, l, c, indexes, &distinct, &dictionary, err);
	c->data_offset = w->offset;
	while (rc == 0 && s.entry + s.entries < l->entries) {
		s = next_span(w, l, &s);
		rc = write_data_page(w, l, c, &s, dictionary ? indexes : NULL, distinct, err);
	}
	free(indexes);
	leaf_clear(l);
	return rc;
}

static int write_group(struct pq_writer *w, struct tarn_error *err)
{
	if (w->group_rows == 0)
		return 0;
	if (w->ngroups == w->groups_cap) {
		w->groups_cap = w->groups_cap ? w->groups_cap * 2 : 4;
		w->groups = tarn_realloc(w->groups, w->groups_cap * sizeof *w->groups);
	}
	struct row_group *g = &w->groups[w->ngroups++];
	*g = (struct row_group){.rows = w->group_rows, .offset = w->offset};
	g->chunks = tarn_calloc(TARN_MAX(w->nleaves, 1u), sizeof *g->chunks);
	for (uint32_t i = 0; i < w->nleaves; i++) {
		TRY(write_chunk(w, &w->leaves[i], &g->chunks[i], err));
		g->bytes += g->chunks[i].bytes;
		g->raw_bytes += g->chunks[i].raw_bytes;
	}
	w->group_rows = 0;
	return 0;
}

int pq_end_row(struct pq_writer *w, struct tarn_error *err)
{
	w->rows++;
	w->group_rows++;
	bool full = w->group_rows >= w->options.max_row_group_rows;
	if (!full && w->group_rows % CHECK_SIZE_ROWS == 0) {
		size_t bytes = 0;
		for (uint32_t i = 0; i < w->nleaves; i++)
			bytes += leaf_buffered_bytes(&w->leaves[i]);
		full = bytes >= w->options.max_row_group_bytes;
	}
	return full ? write_group(w, err) : 0;
}

/* ---- the end ---- */

static int write_index(struct pq_writer *w, struct chunk *c, bool column_index,
		       struct tarn_error *err)
{
	tarn_buf_clear(&w->raw);
	if (!column_index)
		footer_put_offset_index(c, &w->raw);
	else if (!footer_put_column_index(c, &w->raw))
		return 0;
	*(column_index ? &c->column_index_offset : &c->offset_index_offset) = w->offset;
	*(column_index ? &c->column_index_bytes : &c->offset_index_bytes) = (uint32_t)w->raw.len;
	return write_bytes(w, &w->raw, err);
}

static int write_indexes(struct pq_writer *w, struct tarn_error *err)
{
	for (int column_index = 1; column_index >= 0; column_index--)
		for (size_t g = 0; g < w->ngroups; g++)
			for (uint32_t i = 0; i < w->nleaves; i++)
				TRY(write_index(w, &w->groups[g].chunks[i], column_index != 0,
						err));
	return 0;
}

int pq_finish(struct pq_writer *w, struct pq_summary *out, struct tarn_error *err)
{
	memset(out, 0, sizeof *out);
	TRY(write_group(w, err));
	TRY(write_indexes(w, err));
	struct footer f = {.columns = w->columns,
			   .ncolumns = w->ncolumns,
			   .leaves = w->leaves,
			   .nleaves = w->nleaves,
			   .groups = w->groups,
			   .ngroups = w->ngroups,
			   .keys = w->keys,
			   .values = w->values,
			   .nmetadata = w->nmetadata,
			   .rows = w->rows};
	tarn_buf_clear(&w->raw);
	footer_put(&f, &w->raw);
	TRY(write_bytes(w, &w->raw, err));
	out->rows = w->rows;
	out->bytes = w->offset;
	out->nleaves = w->nleaves;
	out->leaves = tarn_calloc(TARN_MAX(w->nleaves, 1u), sizeof *out->leaves);
	for (uint32_t i = 0; i < w->nleaves; i++)
		leaf_bounds(&w->leaves[i], &out->leaves[i]);
	return 0;
}

void pq_summary_release(struct pq_summary *s)
{
	for (uint32_t i = 0; i < s->nleaves; i++) {
		tarn_buf_release(&s->leaves[i].lower);
		tarn_buf_release(&s->leaves[i].upper);
	}
	free(s->leaves);
}
