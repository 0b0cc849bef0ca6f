/* Implementation of state.h: bases, dirty blocks, what a state says. Deriving is in derive.c. */
#include "base/system.h"
#include <jansson.h>
#include "lake/transcode/rows.h"
#include "lake/transcode/state.h"

#define FORK_MAIN 0

struct transcode_state *transcode_state_ref(struct transcode_state *s)
{
	__atomic_fetch_add(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

void transcode_state_release(struct transcode_state *s)
{
	if (s == NULL || __atomic_fetch_sub(&s->refs, 1, __ATOMIC_ACQ_REL) > 1)
		return;
	for (uint32_t i = 0; i < s->file_count; i++) {
		struct state_file *f = &s->files[i];
		for (uint32_t k = 0; k < f->delete_count; k++)
			transcode_delete_release(f->deletes[k]);
		free(f->deletes);
		free(f->dead);
		transcode_file_release(f->file);
	}
	free(s->files);
	free(s->undecided);
	free(s->overflow);
	lake_pending_release(&s->pending);
	transcode_schema_release(s->schema);
	transcode_state_release(s->base);
	free(s);
}

/* ---- bases ---- */

void transcode_state_sum(struct transcode_state *s)
{
	s->overflow_size = (uint16_t)(s->schema->table_columns + 1);
	s->overflow = tarn_calloc(s->overflow_size, sizeof *s->overflow);
	for (uint32_t i = 0; i < s->file_count; i++) {
		const struct transcode_file *f = s->files[i].file;
		s->rows += f->rows;
		for (uint32_t k = 0; k < f->overflow_count; k++)
			if (f->overflow[k].attnum < s->overflow_size)
				s->overflow[f->overflow[k].attnum] += f->overflow[k].count;
	}
}

static struct transcode_state *base_of(struct transcode_rows *r, struct transcode_schema *schema,
				       uint32_t nblocks)
{
	struct transcode_state *s = tarn_calloc(1, sizeof *s);
	s->refs = 1;
	s->made = s->upto = lake_snapshot_lsn(r->snapshot);
	s->schema = transcode_schema_outline(schema);
	s->rel = schema->rel;
	s->nblocks = nblocks;
	s->undecided = r->undecided;
	s->undecided_count = r->undecided_count;
	s->pending = r->pending;
	r->undecided = NULL;
	r->pending = (struct lake_pending){0};
	s->files = tarn_calloc(r->file_count + 1u, sizeof *s->files);
	for (uint32_t i = 0; i < r->file_count; i++)
		s->files[s->file_count++].file = r->files[i];
	r->file_count = 0;
	transcode_state_sum(s);
	return s;
}

static int table_blocks(const struct transcode_env *env, const struct lake_rel *rel, tarn_lsn lsn,
			uint32_t *nblocks, struct tarn_error *err)
{
	bool absent;
	TRY(env->source->nblocks(env->source->arg, rel, FORK_MAIN, lsn, nblocks, &absent, err));
	if (absent)
		*nblocks = 0;
	return 0;
}

int transcode_state_base(const struct transcode_env *env, struct lake_snapshot *snapshot,
			 struct transcode_schema *schema, struct transcode_state **out,
			 struct tarn_error *err)
{
	struct transcode_rows r = {.snapshot = snapshot,
				   .schema = schema,
				   .place = &env->place,
				   .columnar = true,
				   .memory_used = env->memory_used,
				   .max_file_rows = env->max_file_rows,
				   .cancelled = env->cancelled};
	uint32_t nblocks;
	TRY(table_blocks(env, &schema->rel, lake_snapshot_lsn(snapshot), &nblocks, err));
	transcode_rows_init(&r);
	int rc = transcode_rows_scan(&r, NULL, nblocks, err);
	if (rc == 0)
		*out = base_of(&r, schema, nblocks);
	transcode_rows_release(&r);
	return rc;
}

/* ---- dirty blocks ---- */

struct dirty {
	struct tarn_buf *blocks;
	uint32_t end;
};

static int add_dirty(void *arg, uint32_t block, struct tarn_error *err)
{
	struct dirty *d = arg;
	(void)err;
	if (block < d->end)
		tarn_buf_put_le32(d->blocks, block);
	return 0;
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = get_le32(a), y = get_le32(b);
	return (x > y) - (x < y);
}

static void sort_unique(struct tarn_buf *b)
{
	size_t n = b->len / 4, kept = 0;
	uint32_t *v = (uint32_t *)(void *)b->data;
	if (n == 0)
		return;
	qsort(v, n, sizeof *v, compare_u32);
	for (size_t i = 1; i < n; i++)
		if (v[i] != v[kept])
			v[++kept] = v[i];
	b->len = (kept + 1) * 4;
}

int transcode_state_dirty(const struct transcode_env *env, const struct transcode_state *from,
			  struct lake_snapshot *snapshot, struct tarn_buf *out, uint32_t *nblocks,
			  bool *same, struct tarn_error *err)
{
	tarn_lsn lsn = lake_snapshot_lsn(snapshot);
	struct dirty d = {.blocks = out};
	bool holds;
	TRY(table_blocks(env, &from->rel, lsn, nblocks, err));
	d.end = *nblocks;
	if (lsn > from->upto)
		TRY(env->source->touched(env->source->arg, &from->rel, FORK_MAIN, from->upto, lsn,
					 add_dirty, &d, err));
	TRY(lake_pending_holds(&from->pending, snapshot, &holds, err));
	for (uint32_t i = 0; !holds && i < from->undecided_count; i++)
		TRY(add_dirty(&d, from->undecided[i], err));
	sort_unique(out);
	*same = out->len == 0 && *nblocks == from->nblocks;
	return 0;
}

/* ---- text ---- */

static void put_overflow(const struct transcode_state *s, struct tarn_buf *out)
{
	bool first = true;
	tarn_buf_put_str(out, "\"overflow\":{");
	for (uint32_t i = 0; i < s->schema->count; i++) {
		const struct transcode_column *c = &s->schema->columns[i];
		if (c->attnum >= s->overflow_size || s->overflow[c->attnum] == 0)
			continue;
		json_t *name = json_string(c->name);
		char *text = json_dumps(name, JSON_ENCODE_ANY);
		tarn_buf_printf(out, "%s%s:%" PRIu64, first ? "" : ",", text,
				s->overflow[c->attnum]);
		first = false;
		free(text);
		json_decref(name);
	}
	tarn_buf_put_str(out, "},\"properties\":");
	json_t *properties = json_object();
	if (s->schema->raw_list)
		json_object_set_new(properties, "tarn.raw-columns",
				    json_string(s->schema->raw_list));
	char *text = json_dumps(properties, JSON_COMPACT);
	tarn_buf_put_str(out, text);
	free(text);
	json_decref(properties);
}

void transcode_state_text(const struct transcode_state *s, struct tarn_buf *out)
{
	uint64_t row = 0;
	bool first = true;
	tarn_buf_printf(out,
			"\"changed_lsn\":\"" TARN_LSN_FMT "\",\"schema_id\":%" PRId32
			",\"last_column_id\":%d,\"schemas\":[{\"schema-id\":%" PRId32
			",\"fields\":%s}],\"rows\":%" PRIu64 ",\"data_files\":[",
			TARN_LSN_ARGS(s->made), s->schema->id, TRANSCODE_LAST_ID, s->schema->id,
			s->schema->fields, s->rows);
	for (uint32_t i = 0; i < s->file_count; i++) {
		const struct transcode_file *f = s->files[i].file;
		tarn_buf_printf(out, "%s{", i ? "," : "");
		tarn_buf_put_str(out, f->json);
		tarn_buf_printf(out, ",\"first_row_id\":%" PRIu64 "}", row);
		row += f->rows;
	}
	tarn_buf_put_str(out, "],\"delete_files\":[");
	for (uint32_t i = 0; i < s->file_count; i++) {
		for (uint32_t k = 0; k < s->files[i].delete_count; k++) {
			tarn_buf_put_str(out, first ? "" : ",");
			tarn_buf_put_str(out, s->files[i].deletes[k]->json);
			first = false;
		}
	}
	tarn_buf_put_str(out, "],");
	put_overflow(s, out);
}
