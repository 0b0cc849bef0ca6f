/* Implementation of parquet_footer.h. */
#include "base/system.h"
#include "columnar/parquet_footer.h"
#include "columnar/thrift_compact.h"

enum { REQUIRED = 0, OPTIONAL = 1, REPEATED = 2 };
enum {
	CONVERTED_UTF8 = 0,
	CONVERTED_LIST = 3,
	CONVERTED_DECIMAL = 5,
	CONVERTED_DATE = 6,
	CONVERTED_TIMESTAMP_MICROS = 10
};
enum {
	LOGICAL_STRING = 1,
	LOGICAL_LIST = 3,
	LOGICAL_DECIMAL = 5,
	LOGICAL_DATE = 6,
	LOGICAL_TIME = 7,
	LOGICAL_TIMESTAMP = 8,
	LOGICAL_UUID = 14
};

void row_group_release(struct row_group *g, uint32_t nleaves)
{
	for (uint32_t i = 0; g->chunks && i < nleaves; i++) {
		for (size_t p = 0; p < g->chunks[i].page_count; p++)
			leaf_range_release(&g->chunks[i].pages[p].range);
		free(g->chunks[i].pages);
	}
	free(g->chunks);
}

/* ---- page indexes ---- */

bool footer_put_column_index(const struct chunk *c, struct tarn_buf *out)
{
	struct tc_writer w;
	for (size_t i = 0; i < c->page_count; i++)
		if (c->pages[i].range.any && !c->pages[i].range.ordered)
			return false;
	tc_init(&w, out);
	tc_list(&w, 1, TC_TRUE, c->page_count);
	for (size_t i = 0; i < c->page_count; i++)
		tc_elem_bool(&w, !c->pages[i].range.any);
	tc_list(&w, 2, TC_BINARY, c->page_count);
	for (size_t i = 0; i < c->page_count; i++)
		tc_elem_binary(&w, c->pages[i].range.min.data, c->pages[i].range.min.len);
	tc_list(&w, 3, TC_BINARY, c->page_count);
	for (size_t i = 0; i < c->page_count; i++)
		tc_elem_binary(&w, c->pages[i].range.max.data, c->pages[i].range.max.len);
	tc_i32(&w, 4, 0); /* unordered */
	tc_list(&w, 5, TC_I64, c->page_count);
	for (size_t i = 0; i < c->page_count; i++)
		tc_elem_i64(&w, (int64_t)c->pages[i].nulls);
	tc_end(&w);
	return true;
}

void footer_put_offset_index(const struct chunk *c, struct tarn_buf *out)
{
	struct tc_writer w;
	tc_init(&w, out);
	tc_list(&w, 1, TC_STRUCT, c->page_count);
	for (size_t i = 0; i < c->page_count; i++) {
		tc_elem_begin(&w);
		tc_i64(&w, 1, (int64_t)c->pages[i].offset);
		tc_i32(&w, 2, (int32_t)c->pages[i].bytes);
		tc_i64(&w, 3, (int64_t)c->pages[i].first_row);
		tc_end(&w);
	}
	tc_end(&w);
}

/* ---- schema ---- */

static void put_micros(struct tc_writer *w, int16_t logical, bool utc)
{
	tc_struct(w, logical);
	tc_bool(w, 1, utc);
	tc_struct(w, 2);
	tc_struct(w, 2); /* MICROS */
	tc_end(w);
	tc_end(w);
	tc_end(w);
}

static void put_empty(struct tc_writer *w, int16_t logical)
{
	tc_struct(w, logical);
	tc_end(w);
}

static void put_logical_type(struct tc_writer *w, const struct leaf *l)
{
	tc_struct(w, 10);
	switch (l->kind) {
	case PQ_STRING:
		put_empty(w, LOGICAL_STRING);
		break;
	case PQ_DATE:
		put_empty(w, LOGICAL_DATE);
		break;
	case PQ_UUID:
		put_empty(w, LOGICAL_UUID);
		break;
	case PQ_TIME:
		put_micros(w, LOGICAL_TIME, false);
		break;
	case PQ_TIMESTAMP:
	case PQ_TIMESTAMPTZ:
		put_micros(w, LOGICAL_TIMESTAMP, l->kind == PQ_TIMESTAMPTZ);
		break;
	default:
		tc_struct(w, LOGICAL_DECIMAL);
		tc_i32(w, 1, l->scale);
		tc_i32(w, 2, l->precision);
		tc_end(w);
	}
	tc_end(w);
}

static int converted_type(enum pq_kind kind)
{
	switch (kind) {
	case PQ_STRING:
		return CONVERTED_UTF8;
	case PQ_DECIMAL:
		return CONVERTED_DECIMAL;
	case PQ_DATE:
		return CONVERTED_DATE;
	case PQ_TIMESTAMPTZ:
		return CONVERTED_TIMESTAMP_MICROS;
	default: /* those without a zone have none */
		return -1;
	}
}

static void put_scalar(struct tc_writer *w, const struct leaf *l, int repetition)
{
	bool logical = l->kind >= PQ_DECIMAL && l->kind != PQ_BINARY;
	tc_elem_begin(w);
	tc_i32(w, 1, (int32_t)l->type);
	if (l->type == PARQUET_FIXED)
		tc_i32(w, 2, (int32_t)l->width);
	tc_i32(w, 3, repetition);
	tc_string(w, 4, l->name);
	if (converted_type(l->kind) >= 0)
		tc_i32(w, 6, converted_type(l->kind));
	if (l->kind == PQ_DECIMAL) {
		tc_i32(w, 7, l->scale);
		tc_i32(w, 8, l->precision);
	}
	if (l->field_id)
		tc_i32(w, 9, l->field_id);
	if (logical)
		put_logical_type(w, l);
	tc_end(w);
}

static void put_group(struct tc_writer *w, const char *name, int repetition, uint32_t nchildren,
		      int32_t field_id, bool list)
{
	tc_elem_begin(w);
	tc_i32(w, 3, repetition);
	tc_string(w, 4, name);
	tc_i32(w, 5, (int32_t)nchildren);
	if (list)
		tc_i32(w, 6, CONVERTED_LIST);
	if (field_id)
		tc_i32(w, 9, field_id);
	if (list) {
		tc_struct(w, 10);
		put_empty(w, LOGICAL_LIST);
		tc_end(w);
	}
	tc_end(w);
}

static size_t count_elements(const struct footer *f)
{
	size_t n = 1;
	for (uint32_t i = 0; i < f->ncolumns; i++)
		n += f->columns[i].kind == PQ_LIST     ? 3
		     : f->columns[i].kind == PQ_STRUCT ? 1 + f->columns[i].nchildren
						       : 1;
	return n;
}

static void put_schema(struct tc_writer *w, const struct footer *f)
{
	const struct leaf *l = f->leaves;
	tc_list(w, 2, TC_STRUCT, count_elements(f));
	tc_elem_begin(w);
	tc_string(w, 4, "table");
	tc_i32(w, 5, (int32_t)f->ncolumns);
	tc_end(w);
	for (uint32_t i = 0; i < f->ncolumns; i++) {
		const struct pq_column *c = &f->columns[i];
		if (c->kind == PQ_LIST) {
			put_group(w, c->name, OPTIONAL, 1, c->field_id, true);
			put_group(w, "list", REPEATED, 1, 0, false);
			put_scalar(w, l++, OPTIONAL);
		} else if (c->kind == PQ_STRUCT) {
			put_group(w, c->name, REQUIRED, c->nchildren, c->field_id, false);
			for (uint32_t k = 0; k < c->nchildren; k++)
				put_scalar(w, l++, OPTIONAL);
		} else {
			put_scalar(w, l, l->max_def == 0 ? REQUIRED : OPTIONAL);
			l++;
		}
	}
}

/* ---- row groups ---- */

static void put_path(struct tc_writer *w, const struct pq_column *c, const struct leaf *l)
{
	size_t parts = c->kind == PQ_LIST ? 3 : c->kind == PQ_STRUCT ? 2 : 1;
	tc_list(w, 3, TC_BINARY, parts);
	if (parts > 1)
		tc_elem_binary(w, c->name, strlen(c->name));
	if (parts > 2)
		tc_elem_binary(w, "list", 4);
	tc_elem_binary(w, l->name, strlen(l->name));
}

static void put_encodings(struct tc_writer *w, const struct chunk *c)
{
	tc_list(w, 2, TC_I32,
		1u + c->delta + c->dictionary + (c->plain || c->dictionary_offset != 0));
	tc_elem_i32(w, PARQUET_RLE);
	if (c->plain || c->dictionary_offset)
		tc_elem_i32(w, PARQUET_PLAIN);
	if (c->delta)
		tc_elem_i32(w, PARQUET_DELTA);
	if (c->dictionary)
		tc_elem_i32(w, PARQUET_DICTIONARY);
}

/* Of the whole chunk, from its pages' ranges; none when one of them has no order. */
static void put_statistics(struct tc_writer *w, const struct leaf *l, const struct chunk *c)
{
	struct leaf all = {.kind = l->kind, .type = l->type, .width = l->width};
	for (size_t i = 0; i < c->page_count; i++)
		leaf_merge_range(&all, &c->pages[i].range);
	tc_struct(w, 12);
	tc_i64(w, 3, (int64_t)c->nulls);
	if (all.file_range.any && !all.unordered) {
		tc_binary(w, 5, all.file_range.max.data, all.file_range.max.len);
		tc_binary(w, 6, all.file_range.min.data, all.file_range.min.len);
	}
	tc_end(w);
	leaf_range_release(&all.file_range);
}

static void put_chunk(struct tc_writer *w, const struct pq_column *column, const struct leaf *l,
		      const struct chunk *c)
{
	uint64_t first = c->dictionary_offset ? c->dictionary_offset : c->data_offset;
	tc_elem_begin(w);
	tc_i64(w, 2, (int64_t)first);
	tc_struct(w, 3);
	tc_i32(w, 1, (int32_t)l->type);
	put_encodings(w, c);
	put_path(w, column, l);
	tc_i32(w, 4, PARQUET_CODEC_ZSTD);
	tc_i64(w, 5, (int64_t)c->entries);
	tc_i64(w, 6, (int64_t)c->raw_bytes);
	tc_i64(w, 7, (int64_t)c->bytes);
	tc_i64(w, 9, (int64_t)c->data_offset);
	if (c->dictionary_offset)
		tc_i64(w, 11, (int64_t)c->dictionary_offset);
	put_statistics(w, l, c);
	tc_end(w);
	tc_i64(w, 4, (int64_t)c->offset_index_offset);
	tc_i32(w, 5, (int32_t)c->offset_index_bytes);
	if (c->column_index_bytes) {
		tc_i64(w, 6, (int64_t)c->column_index_offset);
		tc_i32(w, 7, (int32_t)c->column_index_bytes);
	}
	tc_end(w);
}

static void put_row_group(struct tc_writer *w, const struct footer *f, const struct row_group *g)
{
	uint32_t leaf = 0;
	tc_elem_begin(w);
	tc_list(w, 1, TC_STRUCT, f->nleaves);
	for (uint32_t i = 0; i < f->ncolumns; i++) {
		const struct pq_column *c = &f->columns[i];
		uint32_t n = c->kind == PQ_STRUCT ? c->nchildren : 1;
		for (uint32_t k = 0; k < n; k++, leaf++)
			put_chunk(w, c, &f->leaves[leaf], &g->chunks[leaf]);
	}
	tc_i64(w, 2, (int64_t)g->raw_bytes);
	tc_i64(w, 3, (int64_t)g->rows);
	tc_i64(w, 5, (int64_t)g->offset);
	tc_i64(w, 6, (int64_t)g->bytes);
	tc_end(w);
}

/* ---- the whole ---- */

void footer_put(const struct footer *f, struct tarn_buf *out)
{
	struct tc_writer w;
	size_t began = out->len;
	tc_init(&w, out);
	tc_i32(&w, 1, 2);
	put_schema(&w, f);
	tc_i64(&w, 3, (int64_t)f->rows);
	tc_list(&w, 4, TC_STRUCT, f->ngroups);
	for (size_t i = 0; i < f->ngroups; i++)
		put_row_group(&w, f, &f->groups[i]);
	if (f->nmetadata > 0) {
		tc_list(&w, 5, TC_STRUCT, f->nmetadata);
		for (size_t i = 0; i < f->nmetadata; i++) {
			tc_elem_begin(&w);
			tc_string(&w, 1, f->keys[i]);
			tc_string(&w, 2, f->values[i]);
			tc_end(&w);
		}
	}
	tc_string(&w, 6, "tarn version 0.1.0");
	tc_list(&w, 7, TC_STRUCT, f->nleaves);
	for (uint32_t i = 0; i < f->nleaves; i++) {
		tc_elem_begin(&w);
		put_empty(&w, 1); /* the type's own order */
		tc_end(&w);
	}
	tc_end(&w);
	tarn_buf_put_le32(out, (uint32_t)(out->len - began));
	tarn_buf_put(out, PARQUET_MAGIC, 4);
}
