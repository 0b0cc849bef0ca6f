/* Implementation of rows.h. */
#include "base/system.h"
#include "lake/transcode/page_feed.h"
#include "lake/transcode/rows.h"
#include "pg/tuple.h"

#define SIZE_CHECK_BLOCKS 64u
#define MAX_FILE_BLOCKS (1u << 24)

void transcode_rows_init(struct transcode_rows *r)
{
	tarn_arena_init(&r->arena);
	r->output = (struct transcode_output){.fd = -1};
	r->reader = (struct lake_reader){
		.snapshot = r->snapshot, .table = r->schema->table, .arena = &r->arena};
	r->datums = tarn_calloc(r->schema->table->ncolumns + 1u, sizeof *r->datums);
	r->block_overflow = tarn_calloc(r->schema->count + 1, sizeof *r->block_overflow);
	if (r->max_file_rows == 0)
		r->max_file_rows = TRANSCODE_FILE_ROWS;
	block_map_init(&r->map, r->columnar);
}

void transcode_rows_release(struct transcode_rows *r)
{
	for (uint32_t i = 0; i < r->file_count; i++)
		transcode_file_release(r->files[i]);
	free(r->files);
	free(r->undecided);
	lake_pending_release(&r->pending);
	lake_reader_release(&r->reader);
	transcode_output_release(&r->output);
	block_map_release(&r->map);
	tarn_buf_release(&r->overflow);
	tarn_buf_release(&r->undecided_blocks);
	tarn_arena_release(&r->arena);
	free(r->block_overflow);
	free(r->datums);
}

/* ---- values ---- */

static void put_scalar(struct pq_writer *w, uint32_t leaf, enum lake_kind kind,
		       const struct lake_value *v)
{
	if (v->state != LAKE_NATIVE) {
		pq_put_null(w, leaf);
		return;
	}
	switch (kind) {
	case LAKE_BOOLEAN:
		pq_put_bool(w, leaf, v->v.b);
		break;
	case LAKE_INT32:
	case LAKE_DATE:
		pq_put_int(w, leaf, v->v.i32);
		break;
	case LAKE_INT64:
	case LAKE_TIME:
	case LAKE_TIMESTAMP:
	case LAKE_TIMESTAMPTZ:
		pq_put_int(w, leaf, v->v.i64);
		break;
	case LAKE_FLOAT:
		pq_put_float(w, leaf, v->v.f);
		break;
	case LAKE_DOUBLE:
		pq_put_double(w, leaf, v->v.d);
		break;
	case LAKE_DECIMAL:
		pq_put_decimal(w, leaf, v->v.dec);
		break;
	case LAKE_STRING:
	case LAKE_BINARY:
		pq_put_bytes(w, leaf, v->v.bytes, v->v.len);
		break;
	case LAKE_UUID:
		pq_put_bytes(w, leaf, v->v.bytes, 16);
		break;
	case LAKE_LIST:
		pq_put_null(w, leaf);
		break;
	}
}

static void put_value(struct pq_writer *w, uint32_t leaf, const struct lake_target *t,
		      const struct lake_value *v)
{
	if (t->kind != LAKE_LIST || v->state != LAKE_NATIVE) {
		put_scalar(w, leaf, t->kind, v);
		return;
	}
	pq_put_list(w, leaf, v->v.list.count);
	for (uint32_t i = 0; i < v->v.list.count; i++)
		put_scalar(w, leaf, t->element->kind, &v->v.list.values[i]);
}

static int put_column(struct transcode_rows *r, uint32_t i, struct tarn_error *err)
{
	const struct transcode_column *c = &r->schema->columns[i];
	struct pq_writer *w = r->output.writer;
	struct pg_datum d = r->datums[c->attnum - 1];
	struct lake_value v = {.state = LAKE_NULL};
	if (d.bytes != NULL && lake_value_convert(&c->target, &r->reader, d, &v, err) != 0)
		return tarn_error_prefix(err, "column %s", c->name);
	put_value(w, i, &c->target, &v);
	if (c->overflow < 0) {
		if (v.state == LAKE_OVERFLOW)
			return tarn_fail(err, TARN_E_INTERNAL, "column %s has no overflow",
					 c->name);
		return 0;
	}
	uint32_t leaf = r->schema->overflow_leaf + (uint32_t)c->overflow;
	if (v.state == LAKE_OVERFLOW) {
		pq_put_bytes(w, leaf, v.v.bytes, v.v.len);
		r->block_overflow[i]++;
	} else {
		pq_put_null(w, leaf);
	}
	return 0;
}

/* ---- rows ---- */

static int put_row(struct transcode_rows *r, const struct heap_tuple *t, struct tarn_error *err)
{
	const struct transcode_schema *s = r->schema;
	if (r->output.path == NULL)
		TRY(transcode_output_open(&r->output, r->place, "data",
					  lake_snapshot_lsn(r->snapshot), s->file_columns,
					  s->file_column_count, err));
	struct pq_writer *w = r->output.writer;
	tarn_arena_clear(&r->arena);
	TRY(tuple_deform(t, s->table->attrs, s->table->ncolumns, r->datums, err));
	for (uint32_t i = 0; i < s->count; i++)
		TRY(put_column(r, i, err));
	const int64_t hidden[TRANSCODE_HIDDEN_COLUMNS] = {[TRANSCODE_BLOCK] = (int32_t)r->block,
							  [TRANSCODE_OFFSET] = t->item,
							  [TRANSCODE_XMIN] = t->xmin,
							  [TRANSCODE_XMAX] = t->xmax,
							  [TRANSCODE_INFOMASK] = t->infomask,
							  [TRANSCODE_INFOMASK2] = t->infomask2};
	for (uint32_t i = 0; i < TRANSCODE_HIDDEN_COLUMNS; i++)
		pq_put_int(w, s->hidden_leaf + i, hidden[i]);
	return pq_end_row(w, err);
}

static int read_tuples(struct transcode_rows *r, const uint8_t *bytes, uint16_t *rows,
		       bool *undecided, struct tarn_error *err)
{
	struct pg_page page;
	struct heap_tuple t;
	struct lake_verdict verdict;
	TRY(heap_page_open(&page, bytes, err));
	for (uint16_t item = 0; heap_page_next(&page, &item);) {
		TRY(heap_page_tuple(&page, item, &t, err));
		TRY(lake_tuple_visible(r->snapshot, &t, &verdict, err));
		if (verdict.undecided) {
			TRY(lake_pending_note(&r->pending, r->snapshot, &t, err));
			*undecided = true;
		}
		if (!verdict.visible)
			continue;
		if (put_row(r, &t, err) != 0)
			return tarn_error_prefix(err, "item %u", item);
		(*rows)++;
	}
	return 0;
}

static void note_overflow(struct transcode_rows *r, uint32_t block)
{
	for (uint32_t i = 0; i < r->schema->count; i++) {
		struct overflow_entry e = {.block = block,
					   .attnum = r->schema->columns[i].attnum,
					   .count = (uint16_t)r->block_overflow[i]};
		if (e.count > 0)
			tarn_buf_put(&r->overflow, &e, sizeof e);
		r->block_overflow[i] = 0;
	}
}

/* ---- files ---- */

static int end_file(struct transcode_rows *r, struct tarn_error *err)
{
	struct pq_summary summary;
	char *key;
	if (r->output.path == NULL)
		return 0;
	TRY(transcode_output_finish(&r->output, &key, &summary, err));
	uint32_t entries = (uint32_t)(r->overflow.len / sizeof(struct overflow_entry));
	struct overflow_entry *overflow =
		entries > 0 ? tarn_memdup(r->overflow.data, r->overflow.len) : NULL;
	r->files = tarn_realloc(r->files, (r->file_count + 1) * sizeof(struct transcode_file *));
	r->files[r->file_count++] = transcode_file_new(key, r->columnar, &r->map, overflow, entries,
						       &summary, r->schema, r->memory_used);
	pq_summary_release(&summary);
	tarn_buf_clear(&r->overflow);
	block_map_init(&r->map, r->columnar);
	return 0;
}

static int maybe_end_file(struct transcode_rows *r, struct tarn_error *err)
{
	uint64_t bytes = 0;
	if (!r->columnar || r->output.path == NULL)
		return 0;
	if (r->map.count % SIZE_CHECK_BLOCKS == 0)
		TRY(transcode_output_size(&r->output, &bytes, err));
	if (r->map.rows < r->max_file_rows && bytes < TRANSCODE_FILE_BYTES &&
	    r->map.count < MAX_FILE_BLOCKS)
		return 0;
	return end_file(r, err);
}

static int read_block(struct transcode_rows *r, uint32_t block, const uint8_t *page,
		      struct tarn_error *err)
{
	uint16_t rows = 0;
	bool undecided = false;
	r->block = block;
	if (page && read_tuples(r, page, &rows, &undecided, err) != 0)
		return tarn_error_prefix(err, "table %s.%s block %u", r->schema->table->schema,
					 r->schema->table->name, block);
	if (undecided)
		tarn_buf_put_le32(&r->undecided_blocks, block);
	/* Blocks before a range's first row need no place in it. */
	if (rows > 0 || (r->columnar && r->map.count > 0))
		block_map_add(&r->map, block, rows);
	note_overflow(r, block);
	return maybe_end_file(r, err);
}

int transcode_rows_scan(struct transcode_rows *r, const uint32_t *blocks, uint32_t count,
			struct tarn_error *err)
{
	struct page_feed feed;
	const uint8_t *page;
	uint32_t block;
	int rc = 0;
	page_feed_init(&feed, lake_snapshot_source(r->snapshot), &r->schema->table->rel,
		       lake_snapshot_lsn(r->snapshot), blocks, count);
	for (uint32_t i = 0; rc == 0 && i < count; i++) {
		if (r->cancelled && __atomic_load_n(r->cancelled, __ATOMIC_RELAXED))
			rc = tarn_fail(err, TARN_E_CANCELLED, "the table is being closed");
		if (rc == 0)
			rc = page_feed_next(&feed, &block, &page, err);
		if (rc == 0)
			rc = read_block(r, block, page, err);
	}
	page_feed_release(&feed);
	if (rc == 0)
		rc = end_file(r, err);
	r->undecided_count = (uint32_t)(r->undecided_blocks.len / 4);
	if (r->undecided_count > 0)
		r->undecided = tarn_memdup(r->undecided_blocks.data, r->undecided_blocks.len);
	return rc;
}
