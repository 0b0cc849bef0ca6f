/* A state out of an earlier one: transcode_state_derive. */
#include "base/system.h"
#include "lake/transcode/rows.h"
#include "lake/transcode/state.h"

struct derivation {
	const struct transcode_env *env;
	const struct transcode_state *from;
	struct transcode_state *to;
	tarn_lsn lsn;
	const uint32_t *dirty; /* ascending */
	size_t dirty_count;
	uint32_t nblocks; /* rows of blocks from here on are gone */
};

/* ---- what dies in one file ---- */

static bool is_dead(const struct state_file *f, uint32_t entry)
{
	uint32_t lo = 0, hi = f->dead_count;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (f->dead[mid] < entry)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < f->dead_count && f->dead[lo] == entry;
}

static void lose_overflow(void *arg, int16_t attnum, uint16_t count)
{
	struct transcode_state *s = arg;
	if (attnum < s->overflow_size)
		s->overflow[attnum] -= TARN_MIN(s->overflow[attnum], count);
}

static void kill_entry(struct derivation *d, const struct state_file *f, uint32_t entry,
		       struct tarn_buf *killed)
{
	const struct block_map *m = &f->file->map;
	uint32_t rows = block_map_rows(m, entry).count;
	if (rows == 0 || is_dead(f, entry))
		return;
	tarn_buf_put_le32(killed, entry);
	d->to->rows -= rows;
	transcode_file_overflow(f->file, block_map_block(m, entry), lose_overflow, d->to);
}

/* Entries of blocks that are dirty or beyond the table's end; ascending. */
static void find_killed(struct derivation *d, const struct state_file *f, struct tarn_buf *killed)
{
	const struct block_map *m = &f->file->map;
	uint32_t entry;
	for (size_t i = 0; i < d->dirty_count; i++)
		if (block_map_find(m, d->dirty[i], &entry))
			kill_entry(d, f, entry, killed);
	uint32_t end = m->count;
	while (end > 0 && block_map_block(m, end - 1) >= d->nblocks)
		end--;
	for (entry = end; entry < m->count; entry++)
		kill_entry(d, f, entry, killed);
}

static uint32_t *merge(const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb)
{
	uint32_t *out = tarn_malloc((na + (size_t)nb) * sizeof *out + 1), n = 0, i = 0, k = 0;
	while (i < na || k < nb)
		out[n++] = k == nb || (i < na && a[i] < b[k]) ? a[i++] : b[k++];
	return out;
}

static uint64_t live_rows(const struct state_file *f)
{
	uint64_t rows = f->file->rows;
	for (uint32_t i = 0; i < f->dead_count; i++)
		rows -= block_map_rows(&f->file->map, f->dead[i]).count;
	return rows;
}

static void add_delete(struct state_file *f, struct transcode_delete *d)
{
	f->deletes = tarn_realloc(f->deletes,
				  (f->delete_count + 1u) * sizeof(struct transcode_delete *));
	f->deletes[f->delete_count++] = d;
}

static void note_tail(struct transcode_state *s, const struct state_file *f)
{
	if (f->file->columnar)
		return;
	s->tail_count++;
	s->tail_rows += live_rows(f);
	s->tail_blocks += f->file->map.count - f->dead_count;
}

/* A file of which nothing is left is left out, with its deletes. */
static int carry_file(struct derivation *d, const struct state_file *old, struct tarn_error *err)
{
	struct tarn_buf killed = TARN_BUF_INIT;
	struct state_file *f = &d->to->files[d->to->file_count];
	struct transcode_delete *fresh = NULL;
	int rc = 0;
	find_killed(d, old, &killed);
	uint32_t count = (uint32_t)(killed.len / 4);
	const uint32_t *entries = (const uint32_t *)(const void *)killed.data;
	*f = (struct state_file){.file = old->file, .dead_count = old->dead_count + count};
	f->dead = merge(old->dead, old->dead_count, entries, count);
	if (live_rows(f) > 0 && count > 0)
		rc = transcode_delete_write(&d->env->place, d->lsn, f->file, entries, count, &fresh,
					    err);
	if (rc != 0 || live_rows(f) == 0) {
		free(f->dead);
		goto out;
	}
	d->to->file_count++;
	transcode_file_ref(f->file);
	for (uint32_t i = 0; i < old->delete_count; i++)
		add_delete(f, transcode_delete_ref(old->deletes[i]));
	if (fresh)
		add_delete(f, fresh);
	note_tail(d->to, f);
out:
	tarn_buf_release(&killed);
	return rc;
}

/* ---- what is there instead ---- */

static bool is_dirty(const struct derivation *d, uint32_t block)
{
	size_t lo = 0, hi = d->dirty_count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (d->dirty[mid] < block)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < d->dirty_count && d->dirty[lo] == block;
}

/* Of the old state's undecided blocks those not read again stay, and what they wait for. */
static void take_undecided(struct derivation *d, struct transcode_rows *r)
{
	struct transcode_state *s = d->to;
	uint32_t kept = 0, *old = tarn_malloc(d->from->undecided_count * sizeof *old + 1);
	for (uint32_t i = 0; i < d->from->undecided_count; i++)
		if (d->from->undecided[i] < d->nblocks && !is_dirty(d, d->from->undecided[i]))
			old[kept++] = d->from->undecided[i];
	s->undecided = merge(old, kept, r->undecided, r->undecided_count);
	s->undecided_count = kept + r->undecided_count;
	lake_pending_merge(&s->pending, &r->pending);
	if (kept > 0)
		lake_pending_merge(&s->pending, &d->from->pending);
	free(old);
}

static void take_tail(struct derivation *d, struct transcode_rows *r)
{
	struct transcode_state *s = d->to;
	for (uint32_t i = 0; i < r->file_count; i++) {
		struct state_file *f = &s->files[s->file_count++];
		*f = (struct state_file){.file = r->files[i]};
		s->rows += f->file->rows;
		for (uint32_t k = 0; k < f->file->overflow_count; k++)
			if (f->file->overflow[k].attnum < s->overflow_size)
				s->overflow[f->file->overflow[k].attnum] +=
					f->file->overflow[k].count;
		note_tail(s, f);
	}
	r->file_count = 0;
}

static int write_tail(struct derivation *d, struct lake_snapshot *snapshot,
		      const struct transcode_schema *schema, struct tarn_error *err)
{
	struct transcode_rows r = {.snapshot = snapshot,
				   .schema = schema,
				   .place = &d->env->place,
				   .memory_used = d->env->memory_used,
				   .cancelled = d->env->cancelled};
	transcode_rows_init(&r);
	int rc = transcode_rows_scan(&r, d->dirty, (uint32_t)d->dirty_count, err);
	if (rc == 0) {
		take_tail(d, &r);
		take_undecided(d, &r);
	}
	transcode_rows_release(&r);
	return rc;
}

static struct transcode_state *begin(struct transcode_state *from, struct transcode_schema *schema,
				     tarn_lsn lsn, uint32_t nblocks)
{
	struct transcode_state *s = tarn_calloc(1, sizeof *s);
	s->refs = 1;
	s->made = s->upto = lsn;
	s->schema = transcode_schema_outline(schema);
	s->rel = from->rel;
	s->nblocks = nblocks;
	s->rows = from->rows;
	s->files = tarn_calloc(from->file_count + 1u, sizeof *s->files);
	s->overflow_size = (uint16_t)(schema->table_columns + 1);
	s->overflow = tarn_calloc(s->overflow_size, sizeof *s->overflow);
	memcpy(s->overflow, from->overflow,
	       TARN_MIN(s->overflow_size, from->overflow_size) * sizeof *s->overflow);
	s->base = transcode_state_ref(from->base ? from->base : from);
	return s;
}

int transcode_state_derive(const struct transcode_env *env, struct transcode_state *from,
			   struct lake_snapshot *snapshot, struct transcode_schema *schema,
			   const struct tarn_buf *dirty, uint32_t nblocks,
			   struct transcode_state **out, struct tarn_error *err)
{
	struct derivation d = {.env = env,
			       .from = from,
			       .lsn = lake_snapshot_lsn(snapshot),
			       .dirty = (const uint32_t *)(const void *)dirty->data,
			       .dirty_count = dirty->len / 4,
			       .nblocks = nblocks};
	int rc = 0;
	d.to = begin(from, schema, d.lsn, nblocks);
	for (uint32_t i = 0; rc == 0 && i < from->file_count; i++)
		rc = carry_file(&d, &from->files[i], err);
	if (rc == 0)
		rc = write_tail(&d, snapshot, schema, err);
	if (rc == 0)
		*out = d.to;
	else
		transcode_state_release(d.to);
	return rc;
}
