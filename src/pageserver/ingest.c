/* One record at a time: block references, then what the record does besides (README.md lists it). */
#include "base/system.h"
#include "base/log.h"
#include "pageserver/boundary.h"
#include "pageserver/ingest_internal.h"

#define BOUNDARY_EVERY_BYTES (64u << 10)
#define FORK_VM 2
#define VM_VISIBLE 1u
#define VM_FROZEN 2u

int ingest_corrupt(const struct ps_ingest *ing, const char *what, struct tarn_error *err)
{
	return tarn_fail(err, TARN_E_CORRUPT,
			 "the record that ends at " TARN_LSN_FMT " makes no sense (%s)",
			 TARN_LSN_ARGS(ing->lsn), what);
}

int ingest_put(struct ps_ingest *ing, const struct ps_key *key, enum ps_value_kind kind,
	       const void *bytes, size_t len, struct tarn_error *err)
{
	return ps_timeline_put(ing->tl, key, ing->lsn, kind, bytes, len, err);
}

static void counters_encode(const struct counters *c, uint8_t out[PS_COUNTERS_BYTES])
{
	put_le64(out, c->next_xid);
	put_le32(out + 8, c->next_oid);
	put_le32(out + 12, c->next_multi);
	put_le32(out + 16, c->next_multi_offset);
}

int ps_control_at(struct ps_timeline *tl, tarn_lsn lsn, struct pg_control *out,
		  struct tarn_error *err)
{
	struct ps_key k = {.kind = PS_KIND_META, .rel = PS_META_CHECKPOINT};
	struct tarn_buf b = TARN_BUF_INIT;
	bool absent;
	int rc = ps_timeline_get(tl, &k, lsn, &b, &absent, err);
	if (rc == 0 && (absent || b.len != sizeof *out))
		rc = tarn_fail(err, TARN_E_NOT_FOUND,
			       "no server state is known at " TARN_LSN_FMT ": history begins later",
			       TARN_LSN_ARGS(lsn));
	if (rc == 0) {
		memcpy(out, b.data, sizeof *out);
		tarn_buf_clear(&b);
		k.rel = PS_META_COUNTERS;
		rc = ps_timeline_get(tl, &k, lsn, &b, &absent, err);
	}
	if (rc == 0 && !absent && b.len == PS_COUNTERS_BYTES) {
		out->checkpoint.next_xid = get_le64(b.data);
		out->checkpoint.next_oid = get_le32(b.data + 8);
		out->checkpoint.next_multi = get_le32(b.data + 12);
		out->checkpoint.next_multi_offset = get_le32(b.data + 16);
	}
	tarn_buf_release(&b);
	return rc;
}

static int last_boundary_time(struct ps_timeline *tl, int64_t *time_us, struct tarn_error *err)
{
	struct ps_key k = {.kind = PS_KIND_META, .rel = PS_META_BOUNDARY};
	struct tarn_buf b = TARN_BUF_INIT;
	struct ps_boundary boundary = {0};
	bool absent;
	int rc = ps_timeline_get(tl, &k, UINT64_MAX, &b, &absent, err);
	if (rc == 0 && !absent)
		rc = ps_boundary_decode(b.data, b.len, &boundary, err);
	*time_us = rc == 0 && !absent ? boundary.time_us : 0;
	tarn_buf_release(&b);
	return rc;
}

int ps_ingest_new(struct ps_timeline *tl, struct ps_ingest **out, struct tarn_error *err)
{
	struct ps_ingest *ing = tarn_calloc(1, sizeof *ing);
	struct ps_timeline_info info;
	ps_timeline_info(tl, &info);
	ing->tl = tl;
	ing->next_lsn = ing->lsn = info.last_record_lsn;
	ing->prev_lsn = info.prev_record_lsn;
	int rc = ps_control_at(tl, info.last_record_lsn, &ing->control, err);
	if (rc == 0)
		rc = last_boundary_time(tl, &ing->time_us, err);
	if (rc != 0) {
		ps_ingest_free(ing);
		return rc;
	}
	ing->counters = (struct counters){
		ing->control.checkpoint.next_xid, ing->control.checkpoint.next_oid,
		ing->control.checkpoint.next_multi, ing->control.checkpoint.next_multi_offset, 0};
	ing->counters_put = ing->counters;
	*out = ing;
	return 0;
}

void ps_ingest_free(struct ps_ingest *ing)
{
	if (!ing)
		return;
	ingest_sizes_free(ing);
	tarn_buf_release(&ing->op);
	free(ing);
}

void ps_ingest_set_reconstruct(struct ps_ingest *ing, ps_reconstruct_fn fn, void *arg)
{
	ing->reconstruct = fn;
	ing->reconstruct_arg = arg;
}

void ps_ingest_position(const struct ps_ingest *ing, tarn_lsn *next_lsn, tarn_lsn *prev_lsn)
{
	*next_lsn = ing->next_lsn;
	*prev_lsn = ing->prev_lsn;
}

static struct ps_key block_key(const struct wal_block *b)
{
	return (struct ps_key){.kind = PS_KIND_REL,
			       .spc = b->spc,
			       .db = b->db,
			       .rel = b->rel,
			       .fork = b->fork,
			       .block = b->block};
}

/* A page image is stored as the page, so that a record with 32 of them is not stored 32 times. */
static int ingest_block(struct ps_ingest *ing, const struct wal_block *b,
			const struct wal_record_bytes *rec, struct tarn_error *err)
{
	struct ps_key k = block_key(b);
	uint32_t blocks;
	uint8_t page[8192];
	TRY(ingest_size(ing, &k, &blocks, err));
	if (blocks == SIZE_ABSENT || blocks <= b->block)
		TRY(ingest_set_size(ing, &k, b->block + 1, err));
	if (b->has_image && b->apply_image && ing->rec.rmgr == RM_XLOG) {
		TRY(wal_block_image(b, ing->lsn, page, err));
		return ingest_put(ing, &k, PS_VALUE_IMAGE, page, sizeof page, err);
	}
	return ingest_put(ing, &k,
			  b->will_init || (b->has_image && b->apply_image) ? PS_VALUE_RECORD_INIT
									   : PS_VALUE_RECORD,
			  rec->bytes, rec->len, err);
}

/* Heap records clear bits of a map page that they do not name. */
static int clear_vm(struct ps_ingest *ing, const struct wal_block *heap, uint8_t mask,
		    struct tarn_error *err)
{
	struct ps_key k = block_key(heap);
	uint32_t in_page = heap->block % VM_HEAP_BLOCKS_PER_PAGE, blocks;
	uint8_t op[4] = {PAGE_OP_VM_CLEAR};
	k.fork = FORK_VM;
	k.block = heap->block / VM_HEAP_BLOCKS_PER_PAGE;
	TRY(ingest_size(ing, &k, &blocks, err));
	if (blocks == SIZE_ABSENT || blocks <= k.block)
		return 0;
	put_le16(op + 1, (uint16_t)(in_page / VM_HEAP_BLOCKS_PER_BYTE));
	op[3] = (uint8_t)(mask << in_page % VM_HEAP_BLOCKS_PER_BYTE * 2);
	return ingest_put(ing, &k, PS_VALUE_OP, op, sizeof op, err);
}

static const struct wal_block *block_or(const struct wal_record *r, int id, int other)
{
	return id <= r->max_block && r->blocks[id].used ? &r->blocks[id] : &r->blocks[other];
}

static int ingest_heap(struct ps_ingest *ing, struct tarn_error *err)
{
	const struct wal_record *r = &ing->rec;
	const uint8_t *m = r->main;
	bool heap2 = r->rmgr == RM_HEAP2;
	uint8_t op = r->info & 0x70;
	if (r->max_block < 0)
		return 0;
	if (!heap2 && op == 0x00 && r->main_len >= 3 && m[2] & 1) /* insert */
		return clear_vm(ing, &r->blocks[0], VM_VISIBLE | VM_FROZEN, err);
	if (!heap2 && op == 0x10 && r->main_len >= 8 && m[7] & 1) /* delete */
		return clear_vm(ing, &r->blocks[0], VM_VISIBLE | VM_FROZEN, err);
	if (!heap2 && (op == 0x20 || op == 0x40) && r->main_len >= 14) { /* update */
		if (m[7] & 1)
			TRY(clear_vm(ing, block_or(r, 1, 0), VM_VISIBLE | VM_FROZEN, err));
		if (m[7] & 2)
			TRY(clear_vm(ing, &r->blocks[0], VM_VISIBLE | VM_FROZEN, err));
		return 0;
	}
	if (op == 0x60 && r->main_len >= 8 && m[7] & 1) /* lock, lock_updated */
		return clear_vm(ing, &r->blocks[0], VM_FROZEN, err);
	if (heap2 && op == 0x50 && r->main_len >= 4 && m[0] & 1) /* multi-insert */
		return clear_vm(ing, &r->blocks[0], VM_VISIBLE | VM_FROZEN, err);
	return 0;
}

static int put_control(struct ps_ingest *ing, struct tarn_error *err)
{
	struct ps_key k = {.kind = PS_KIND_META, .rel = PS_META_CHECKPOINT};
	return ingest_put(ing, &k, PS_VALUE_IMAGE, &ing->control, sizeof ing->control, err);
}

static void take_checkpoint(struct ps_ingest *ing, const struct pg_checkpoint *c)
{
	struct counters *n = &ing->counters;
	if (c->next_xid > n->next_xid)
		n->next_xid = c->next_xid;
	n->next_oid = c->next_oid;
	if ((int32_t)(c->next_multi - n->next_multi) > 0)
		n->next_multi = c->next_multi;
	if ((int32_t)(c->next_multi_offset - n->next_multi_offset) > 0)
		n->next_multi_offset = c->next_multi_offset;
	ing->control.checkpoint = *c;
}

static int ingest_xlog(struct ps_ingest *ing, struct tarn_error *err)
{
	struct pg_checkpoint c;
	const struct wal_record *r = &ing->rec;
	struct pg_control *control = &ing->control;
	switch (r->info & 0xF0) {
	case 0x00: /* shutdown checkpoint */
	case 0x10: /* online checkpoint */
		if (r->main_len != sizeof c)
			return ingest_corrupt(ing, "a checkpoint", err);
		memcpy(&c, r->main, sizeof c);
		take_checkpoint(ing, &c);
		return put_control(ing, err);
	case 0x30: /* next OID */
		if (r->main_len < 4)
			return ingest_corrupt(ing, "the next OID", err);
		ing->counters.next_oid = get_le32(r->main);
		return 0;
	case 0x60: /* parameter change */
		if (r->main_len < 26)
			return ingest_corrupt(ing, "a parameter change", err);
		control->max_connections = (int32_t)get_le32(r->main);
		control->max_worker_processes = (int32_t)get_le32(r->main + 4);
		control->max_wal_senders = (int32_t)get_le32(r->main + 8);
		control->max_prepared_xacts = (int32_t)get_le32(r->main + 12);
		control->max_locks_per_xact = (int32_t)get_le32(r->main + 16);
		control->wal_level = (int32_t)get_le32(r->main + 20);
		control->wal_log_hints = r->main[24];
		control->track_commit_timestamp = r->main[25];
		return put_control(ing, err);
	default:
		return 0;
	}
}

static int ingest_special(struct ps_ingest *ing, bool *is_boundary, struct tarn_error *err)
{
	switch (ing->rec.rmgr) {
	case RM_XLOG:
		return ingest_xlog(ing, err);
	case RM_XACT:
		return ingest_xact(ing, is_boundary, err);
	case RM_SMGR:
		return ingest_smgr(ing, err);
	case RM_CLOG:
		return ingest_clog(ing, err);
	case RM_DBASE:
		return ingest_dbase(ing, err);
	case RM_MULTIXACT:
		return ingest_multixact(ing, err);
	case RM_RELMAP:
		return ingest_relmap(ing, err);
	case RM_HEAP:
	case RM_HEAP2:
		return ingest_heap(ing, err);
	case RM_STANDBY:
		/* running transactions: counts, then the next xid */
		if ((ing->rec.info & 0xF0) == 0x10 && ing->rec.main_len >= 16 &&
		    get_le32(ing->rec.main + 12) > 3)
			ingest_note_xid(ing, get_le32(ing->rec.main + 12) - 1);
		return 0;
	case RM_TBLSPC:
		log_warn("tablespaces are not supported", "lsn=" TARN_LSN_FMT,
			 TARN_LSN_ARGS(ing->lsn));
		return 0;
	default:
		return 0;
	}
}

static int put_boundary(struct ps_ingest *ing, tarn_lsn start_lsn, struct tarn_error *err)
{
	struct ps_key k = {.kind = PS_KIND_META, .rel = PS_META_BOUNDARY};
	struct ps_boundary b = {
		.end_lsn = ing->lsn, .start_lsn = start_lsn, .time_us = ing->time_us};
	uint8_t bytes[PS_BOUNDARY_BYTES];
	ps_boundary_encode(&b, bytes);
	ing->boundary_lsn = ing->lsn;
	return ingest_put(ing, &k, PS_VALUE_IMAGE, bytes, sizeof bytes, err);
}

static int put_counters(struct ps_ingest *ing, struct tarn_error *err)
{
	struct ps_key k = {.kind = PS_KIND_META, .rel = PS_META_COUNTERS};
	uint8_t bytes[PS_COUNTERS_BYTES];
	if (memcmp(&ing->counters, &ing->counters_put, sizeof ing->counters) == 0)
		return 0;
	ing->counters_put = ing->counters;
	counters_encode(&ing->counters, bytes);
	return ingest_put(ing, &k, PS_VALUE_IMAGE, bytes, sizeof bytes, err);
}

int ps_ingest_record(struct ps_ingest *ing, const struct wal_record_bytes *rec,
		     struct tarn_error *err)
{
	bool is_boundary = false;
	ing->lsn = rec->end_lsn;
	int rc = wal_record_decode(rec->bytes, rec->len, &ing->rec, err);
	if (rc != 0)
		return tarn_error_prefix(err, "at " TARN_LSN_FMT, TARN_LSN_ARGS(rec->start_lsn));
	ingest_note_xid(ing, ing->rec.xid);
	/* What a record drops or cuts must not hide what it writes: blocks first, in Postgres both never meet. */
	for (int i = 0; i <= ing->rec.max_block; i++)
		if (ing->rec.blocks[i].used)
			TRY(ingest_block(ing, &ing->rec.blocks[i], rec, err));
	TRY(ingest_special(ing, &is_boundary, err));
	TRY(put_counters(ing, err));
	if (is_boundary || rec->end_lsn - ing->boundary_lsn >= BOUNDARY_EVERY_BYTES)
		TRY(put_boundary(ing, rec->start_lsn, err));
	ps_timeline_advance(ing->tl, rec->end_lsn, rec->start_lsn);
	ing->next_lsn = rec->end_lsn;
	ing->prev_lsn = rec->start_lsn;
	return 0;
}
