/* Transaction ends, commit status pages, multixacts. Layouts: access/xact.h, clog.h, multixact.h of Postgres 15. */
#include "base/system.h"
#include "base/crc.h"
#include "pageserver/ingest_internal.h"
#include "wire/page_wire.h"

#define XACT_OPMASK 0x70
#define XACT_HAS_INFO 0x80
enum {
	XACT_COMMIT = 0x00,
	XACT_PREPARE = 0x10,
	XACT_ABORT = 0x20,
	XACT_COMMIT_PREPARED = 0x30,
	XACT_ABORT_PREPARED = 0x40,
	XACT_ASSIGNMENT = 0x50
};
enum {
	HAS_DBINFO = 1,
	HAS_SUBXACTS = 2,
	HAS_RELFILENODES = 4,
	HAS_INVALS = 8,
	HAS_TWOPHASE = 16,
	HAS_STATS = 256
};
#define STATUS_COMMITTED 1
#define STATUS_ABORTED 2
#define FIRST_NORMAL_XID 3u
#define FIRST_MULTI 1u
/* Seconds from 1970 to 2000, Postgres's epoch. */
#define EPOCH_2000_US ((int64_t)946684800 * 1000000)

void ingest_note_xid(struct ps_ingest *ing, uint32_t xid)
{
	uint64_t *next = &ing->counters.next_xid;
	if (xid < FIRST_NORMAL_XID || (int32_t)(xid - (uint32_t)*next) < 0)
		return;
	uint64_t epoch = *next >> 32;
	if (xid < (uint32_t)*next)
		epoch++; /* it wrapped around */
	*next = (epoch << 32 | xid) + 1;
	if ((uint32_t)*next < FIRST_NORMAL_XID)
		*next = (*next >> 32 << 32) + FIRST_NORMAL_XID;
}

static void slru_key(struct ps_key *k, enum page_slru slru, uint32_t page)
{
	*k = (struct ps_key){.kind = PS_KIND_SLRU, .rel = slru, .block = page};
}

/* The pages [first, last] that exist. */
static int set_range(struct ps_ingest *ing, enum page_slru slru, uint32_t first, uint32_t last,
		     struct tarn_error *err)
{
	struct ps_key k = {.kind = PS_KIND_SLRU_RANGE, .rel = slru};
	uint8_t bytes[8];
	put_le32(bytes, first);
	put_le32(bytes + 4, last);
	return ingest_put(ing, &k, PS_VALUE_IMAGE, bytes, sizeof bytes, err);
}

static int get_range(struct ps_ingest *ing, enum page_slru slru, uint32_t *first, uint32_t *last,
		     bool *absent, struct tarn_error *err)
{
	struct ps_key k = {.kind = PS_KIND_SLRU_RANGE, .rel = slru};
	struct tarn_buf b = TARN_BUF_INIT;
	int rc = ps_timeline_get(ing->tl, &k, UINT64_MAX, &b, absent, err);
	if (rc == 0 && !*absent && b.len != 8)
		rc = ingest_corrupt(ing, "a stored page range", err);
	if (rc == 0 && !*absent) {
		*first = get_le32(b.data);
		*last = get_le32(b.data + 4);
	}
	tarn_buf_release(&b);
	return rc;
}

static int zero_page(struct ps_ingest *ing, enum page_slru slru, uint32_t page,
		     struct tarn_error *err)
{
	static const uint8_t zeros[PAGE_BYTES];
	struct ps_key k;
	uint32_t first = page, last = page;
	bool absent;
	slru_key(&k, slru, page);
	TRY(ingest_put(ing, &k, PS_VALUE_IMAGE, zeros, sizeof zeros, err));
	TRY(get_range(ing, slru, &first, &last, &absent, err));
	if (absent)
		first = last = page;
	return set_range(ing, slru, first, page > last || absent ? page : last, err);
}

static int cut_range(struct ps_ingest *ing, enum page_slru slru, uint32_t page,
		     struct tarn_error *err)
{
	uint32_t first, last;
	bool absent;
	uint32_t keep = page - page % SLRU_PAGES_PER_SEGMENT; /* whole segments go */
	TRY(get_range(ing, slru, &first, &last, &absent, err));
	if (absent || keep <= first || keep > last)
		return 0;
	return set_range(ing, slru, keep, last, err);
}

/* One operation per commit status page touched. */
static int set_status(struct ps_ingest *ing, uint8_t status, uint32_t xid, const uint8_t *subs,
		      uint32_t sub_count, struct tarn_error *err)
{
	uint32_t done = 0;
	bool main_done = xid < FIRST_NORMAL_XID;
	while (!main_done || done < sub_count) {
		uint32_t page = (main_done ? get_le32(subs + 4 * (size_t)done) : xid) /
				XACT_XIDS_PER_PAGE,
			 n = 0;
		struct ps_key k;
		tarn_buf_clear(&ing->op);
		tarn_buf_put_u8(&ing->op, PAGE_OP_XACT_STATUS);
		tarn_buf_put_u8(&ing->op, status);
		tarn_buf_put_le32(&ing->op, 0);
		if (!main_done) {
			tarn_buf_put_le32(&ing->op, xid);
			n++;
			main_done = true;
		}
		for (; done < sub_count &&
		       get_le32(subs + 4 * (size_t)done) / XACT_XIDS_PER_PAGE == page;
		     done++, n++)
			tarn_buf_put_le32(&ing->op, get_le32(subs + 4 * (size_t)done));
		put_le32(ing->op.data + 2, n);
		slru_key(&k, PAGE_SLRU_XACT, page);
		TRY(ingest_put(ing, &k, PS_VALUE_OP, ing->op.data, ing->op.len, err));
	}
	return 0;
}

struct xact_end {
	int64_t time;
	uint32_t twophase_xid;
	const uint8_t *subs, *rels;
	uint32_t sub_count, rel_count;
};

static int parse_end(struct ps_ingest *ing, struct xact_end *x, struct tarn_error *err)
{
	struct tarn_reader r;
	uint32_t info = 0;
	memset(x, 0, sizeof *x);
	tarn_reader_init(&r, ing->rec.main, ing->rec.main_len);
	x->time = (int64_t)tarn_reader_le64(&r);
	if (ing->rec.info & XACT_HAS_INFO)
		info = tarn_reader_le32(&r);
	if (info & HAS_DBINFO)
		tarn_reader_bytes(&r, 8);
	if (info & HAS_SUBXACTS) {
		x->sub_count = tarn_reader_le32(&r);
		x->subs = tarn_reader_bytes(&r, (size_t)x->sub_count * 4);
	}
	if (info & HAS_RELFILENODES) {
		x->rel_count = tarn_reader_le32(&r);
		x->rels = tarn_reader_bytes(&r, (size_t)x->rel_count * 12);
	}
	if (info & HAS_STATS)
		tarn_reader_bytes(&r, (size_t)tarn_reader_le32(&r) * 12);
	if (info & HAS_INVALS)
		tarn_reader_bytes(&r, (size_t)tarn_reader_le32(&r) * 16);
	if (info & HAS_TWOPHASE)
		x->twophase_xid = tarn_reader_le32(&r);
	return r.failed ? ingest_corrupt(ing, "the end of a transaction", err) : 0;
}

static int end_xact(struct ps_ingest *ing, uint8_t op, struct tarn_error *err)
{
	struct xact_end x;
	bool commit = op == XACT_COMMIT || op == XACT_COMMIT_PREPARED;
	bool prepared = op == XACT_COMMIT_PREPARED || op == XACT_ABORT_PREPARED;
	TRY(parse_end(ing, &x, err));
	uint32_t xid = prepared ? x.twophase_xid : ing->rec.xid;
	ingest_note_xid(ing, xid);
	for (uint32_t i = 0; i < x.sub_count; i++)
		ingest_note_xid(ing, get_le32(x.subs + 4 * (size_t)i));
	TRY(set_status(ing, commit ? STATUS_COMMITTED : STATUS_ABORTED, xid, x.subs, x.sub_count,
		       err));
	for (uint32_t i = 0; i < x.rel_count; i++) {
		const uint8_t *r = x.rels + 12 * (size_t)i;
		TRY(ingest_drop_relation(ing, get_le32(r), get_le32(r + 4), get_le32(r + 8), err));
	}
	if (prepared) {
		struct ps_key k = {.kind = PS_KIND_TWOPHASE, .block = xid};
		TRY(ingest_put(ing, &k, PS_VALUE_TOMBSTONE, NULL, 0, err));
	}
	ing->time_us = TARN_MAX(ing->time_us, x.time + EPOCH_2000_US);
	return 0;
}

/* The state file is the record's data with its checksum (twophase.c, RecreateTwoPhaseFile). */
static int prepare(struct ps_ingest *ing, struct tarn_error *err)
{
	struct ps_key k = {.kind = PS_KIND_TWOPHASE, .block = ing->rec.xid};
	tarn_buf_clear(&ing->op);
	tarn_buf_put(&ing->op, ing->rec.main, ing->rec.main_len);
	tarn_buf_put_le32(&ing->op, tarn_crc32c(ing->rec.main, ing->rec.main_len));
	return ingest_put(ing, &k, PS_VALUE_IMAGE, ing->op.data, ing->op.len, err);
}

int ingest_xact(struct ps_ingest *ing, bool *is_boundary, struct tarn_error *err)
{
	uint8_t op = ing->rec.info & XACT_OPMASK;
	*is_boundary = true;
	if (op == XACT_PREPARE)
		return prepare(ing, err);
	if (op <= XACT_ABORT_PREPARED)
		return end_xact(ing, op, err);
	*is_boundary = false;
	if (op == XACT_ASSIGNMENT) {
		struct tarn_reader r;
		tarn_reader_init(&r, ing->rec.main, ing->rec.main_len);
		tarn_reader_le32(&r);
		uint32_t n = tarn_reader_le32(&r);
		for (uint32_t i = 0; i < n && !r.failed; i++)
			ingest_note_xid(ing, tarn_reader_le32(&r));
	}
	return 0;
}

int ingest_clog(struct ps_ingest *ing, struct tarn_error *err)
{
	struct tarn_reader r;
	tarn_reader_init(&r, ing->rec.main, ing->rec.main_len);
	uint32_t page = tarn_reader_le32(&r);
	if ((ing->rec.info & 0xF0) == 0x00)
		return r.failed ? ingest_corrupt(ing, "commit status", err)
				: zero_page(ing, PAGE_SLRU_XACT, page, err);
	uint32_t oldest = tarn_reader_le32(&r), oldest_db = tarn_reader_le32(&r);
	if (r.failed)
		return ingest_corrupt(ing, "commit status cut", err);
	ing->control.checkpoint.oldest_xid = oldest;
	ing->control.checkpoint.oldest_xid_db = oldest_db;
	return cut_range(ing, PAGE_SLRU_XACT, page, err);
}

static int put_offset(struct ps_ingest *ing, uint32_t multi, uint32_t offset,
		      struct tarn_error *err)
{
	struct ps_key k;
	tarn_buf_clear(&ing->op);
	tarn_buf_put_u8(&ing->op, PAGE_OP_MULTI_OFFSET);
	tarn_buf_put_le16(&ing->op, (uint16_t)(multi % MULTI_OFFSETS_PER_PAGE));
	tarn_buf_put_le32(&ing->op, offset);
	slru_key(&k, PAGE_SLRU_MULTI_OFFSETS, multi / MULTI_OFFSETS_PER_PAGE);
	return ingest_put(ing, &k, PS_VALUE_OP, ing->op.data, ing->op.len, err);
}

static int put_members(struct ps_ingest *ing, uint32_t offset, const uint8_t *members, uint32_t n,
		       struct tarn_error *err)
{
	for (uint32_t i = 0; i < n;) {
		uint32_t page = (offset + i) / MULTI_MEMBERS_PER_PAGE, count = 0;
		struct ps_key k;
		tarn_buf_clear(&ing->op);
		tarn_buf_put_u8(&ing->op, PAGE_OP_MULTI_MEMBERS);
		tarn_buf_put_le32(&ing->op, 0);
		for (; i < n && (offset + i) / MULTI_MEMBERS_PER_PAGE == page; i++, count++) {
			const uint8_t *m = members + 8 * (size_t)i;
			ingest_note_xid(ing, get_le32(m));
			tarn_buf_put_le16(&ing->op,
					  (uint16_t)((offset + i) % MULTI_MEMBERS_PER_PAGE));
			tarn_buf_put_le32(&ing->op, get_le32(m));
			tarn_buf_put_u8(&ing->op, (uint8_t)get_le32(m + 4));
		}
		put_le32(ing->op.data + 1, count);
		slru_key(&k, PAGE_SLRU_MULTI_MEMBERS, page);
		TRY(ingest_put(ing, &k, PS_VALUE_OP, ing->op.data, ing->op.len, err));
	}
	return 0;
}

static int create_multi(struct ps_ingest *ing, struct tarn_error *err)
{
	struct tarn_reader r;
	tarn_reader_init(&r, ing->rec.main, ing->rec.main_len);
	uint32_t multi = tarn_reader_le32(&r), offset = tarn_reader_le32(&r),
		 n = tarn_reader_le32(&r);
	const uint8_t *members = tarn_reader_bytes(&r, (size_t)n * 8);
	if (r.failed)
		return ingest_corrupt(ing, "a multixact", err);
	uint32_t next = multi + 1 < FIRST_MULTI ? FIRST_MULTI : multi + 1, next_offset = offset + n;
	TRY(put_offset(ing, multi, offset, err));
	TRY(put_offset(ing, next, next_offset ? next_offset : 1, err));
	TRY(put_members(ing, offset, members, n, err));
	if ((int32_t)(next - ing->counters.next_multi) > 0)
		ing->counters.next_multi = next;
	if ((int32_t)(next_offset - ing->counters.next_multi_offset) > 0)
		ing->counters.next_multi_offset = next_offset;
	return 0;
}

static int truncate_multi(struct ps_ingest *ing, struct tarn_error *err)
{
	struct tarn_reader r;
	tarn_reader_init(&r, ing->rec.main, ing->rec.main_len);
	uint32_t db = tarn_reader_le32(&r);
	tarn_reader_le32(&r);
	uint32_t end_multi = tarn_reader_le32(&r);
	tarn_reader_le32(&r);
	uint32_t end_member = tarn_reader_le32(&r);
	if (r.failed)
		return ingest_corrupt(ing, "a multixact cut", err);
	ing->control.checkpoint.oldest_multi = end_multi;
	ing->control.checkpoint.oldest_multi_db = db;
	TRY(cut_range(ing, PAGE_SLRU_MULTI_MEMBERS, end_member / MULTI_MEMBERS_PER_PAGE, err));
	uint32_t previous = end_multi > FIRST_MULTI ? end_multi - 1 : UINT32_MAX;
	return cut_range(ing, PAGE_SLRU_MULTI_OFFSETS, previous / MULTI_OFFSETS_PER_PAGE, err);
}

int ingest_multixact(struct ps_ingest *ing, struct tarn_error *err)
{
	uint8_t op = ing->rec.info & 0xF0;
	if (op == 0x20)
		return create_multi(ing, err);
	if (op == 0x30)
		return truncate_multi(ing, err);
	if (op > 0x30 || ing->rec.main_len < 4)
		return ingest_corrupt(ing, "a multixact page", err);
	return zero_page(ing, op == 0x00 ? PAGE_SLRU_MULTI_OFFSETS : PAGE_SLRU_MULTI_MEMBERS,
			 get_le32(ing->rec.main), err);
}
