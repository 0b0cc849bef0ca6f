/* Implementation of visibility.h. Layouts: Postgres 15, clog.c and multixact.c. */
#include "base/system.h"
#include "lake/visibility.h"
#include "wire/page_wire.h"

#define SLRU_COUNT 3
/* Direct-mapped: 2 MiB of pages at most per kind, 2 million transactions' statuses. */
#define CACHE_SLOTS 64u
#define XACTS_PER_PAGE (PG_PAGE_BYTES * 4)
#define OFFSETS_PER_PAGE (PG_PAGE_BYTES / 4)
#define MEMBER_GROUP_BYTES 20u /* 4 flag bytes, 4 transaction ids */
#define MEMBERS_PER_PAGE (PG_PAGE_BYTES / MEMBER_GROUP_BYTES * 4)
/* As many as one multixact can have without its length being known from the next one's start. */
#define MAX_UNBOUNDED_MEMBERS 4096u
#define MAX_MEMBERS (1u << 20)
#define MEMBER_NO_KEY_UPDATE 4
#define MEMBER_UPDATE 5
#define XID_INVALID 0u
#define XID_BOOTSTRAP 1u
#define XID_FROZEN 2u
#define STATUS_COMMITTED 1
#define STATUS_ABORTED 2

struct slru_slot {
	uint8_t *bytes; /* NULL: never used */
	uint32_t page;
	bool absent;
};
struct lake_snapshot {
	const struct lake_source *source;
	tarn_lsn lsn;
	uint32_t last_xid; /* memo of the last status asked for */
	enum lake_xid_status last_status;
	struct slru_slot slots[SLRU_COUNT][CACHE_SLOTS];
};

struct lake_snapshot *lake_snapshot_new(const struct lake_source *source, tarn_lsn lsn)
{
	struct lake_snapshot *s = tarn_calloc(1, sizeof *s);
	s->source = source;
	s->lsn = lsn;
	return s;
}

void lake_snapshot_free(struct lake_snapshot *s)
{
	if (s == NULL)
		return;
	for (int slru = 0; slru < SLRU_COUNT; slru++)
		for (uint32_t i = 0; i < CACHE_SLOTS; i++)
			free(s->slots[slru][i].bytes);
	free(s);
}

tarn_lsn lake_snapshot_lsn(const struct lake_snapshot *s)
{
	return s->lsn;
}

const struct lake_source *lake_snapshot_source(const struct lake_snapshot *s)
{
	return s->source;
}

/* *bytes: the page, or NULL when there is none at this LSN. */
static int slru_page(struct lake_snapshot *s, enum page_slru slru, uint32_t page,
		     const uint8_t **bytes, struct tarn_error *err)
{
	struct slru_slot *slot = &s->slots[slru][page % CACHE_SLOTS];
	if (slot->bytes == NULL || slot->page != page) {
		uint8_t *fresh = slot->bytes != NULL ? slot->bytes : tarn_malloc(PG_PAGE_BYTES);
		slot->bytes = NULL; /* not to be found if the read fails half-way */
		bool absent = false;
		int rc = s->source->slru_page(s->source->arg, slru, page, s->lsn, fresh, &absent,
					      err);
		if (rc != 0) {
			free(fresh);
			return rc;
		}
		slot->bytes = fresh;
		slot->page = page;
		slot->absent = absent;
	}
	*bytes = slot->absent ? NULL : slot->bytes;
	return 0;
}

int lake_xid_status(struct lake_snapshot *s, uint32_t xid, enum lake_xid_status *out,
		    struct tarn_error *err)
{
	if (xid == XID_BOOTSTRAP || xid == XID_FROZEN) {
		*out = LAKE_XID_COMMITTED;
		return 0;
	}
	if (xid == XID_INVALID) {
		*out = LAKE_XID_ABORTED;
		return 0;
	}
	if (xid == s->last_xid) {
		*out = s->last_status;
		return 0;
	}
	const uint8_t *page;
	TRY(slru_page(s, PAGE_SLRU_XACT, xid / XACTS_PER_PAGE, &page, err));
	uint32_t at = xid % XACTS_PER_PAGE;
	unsigned bits = page == NULL ? 0 : page[at / 4] >> (at % 4) * 2 & 3u;
	/* 3, sub-committed, is a step inside one commit record's replay: until it is done, nothing
	 * of that transaction is committed. */
	*out = bits == STATUS_COMMITTED ? LAKE_XID_COMMITTED
	       : bits == STATUS_ABORTED ? LAKE_XID_ABORTED
					: LAKE_XID_IN_PROGRESS;
	s->last_xid = xid;
	s->last_status = *out;
	return 0;
}

static int multi_offset(struct lake_snapshot *s, uint32_t multi, uint32_t *offset,
			struct tarn_error *err)
{
	const uint8_t *page;
	TRY(slru_page(s, PAGE_SLRU_MULTI_OFFSETS, multi / OFFSETS_PER_PAGE, &page, err));
	*offset = page == NULL ? 0 : get_le32(page + multi % OFFSETS_PER_PAGE * 4);
	return 0;
}

/* The member that updated or deleted the row, of which there is at most one; 0: lockers only. */
static int multi_updater(struct lake_snapshot *s, uint32_t multi, uint32_t *xid,
			 struct tarn_error *err)
{
	uint32_t first, next;
	*xid = XID_INVALID;
	TRY(multi_offset(s, multi, &first, err));
	TRY(multi_offset(s, multi == UINT32_MAX ? 1 : multi + 1, &next, err));
	if (first == 0)
		return tarn_fail(err, TARN_E_CORRUPT, "multixact %u does not exist", multi);
	/* The newest multixact may not have a successor yet: its members end at a zero. */
	uint32_t count = next == 0 ? MAX_UNBOUNDED_MEMBERS : next - first;
	if (count > MAX_MEMBERS)
		return tarn_fail(err, TARN_E_CORRUPT, "multixact %u has %u members", multi, count);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t member = first + i;
		const uint8_t *page;
		TRY(slru_page(s, PAGE_SLRU_MULTI_MEMBERS, member / MEMBERS_PER_PAGE, &page, err));
		if (page == NULL)
			break;
		const uint8_t *group =
			page + member % MEMBERS_PER_PAGE / 4 * (size_t)MEMBER_GROUP_BYTES;
		uint32_t member_xid = get_le32(group + 4 + member % 4 * 4);
		if (member_xid == XID_INVALID) {
			if (member == 0) /* never used */
				continue;
			break;
		}
		if (group[member % 4] == MEMBER_NO_KEY_UPDATE ||
		    group[member % 4] == MEMBER_UPDATE) {
			*xid = member_xid;
			break;
		}
	}
	return 0;
}

static bool locked_only(uint16_t infomask)
{
	if (infomask & HEAP_XMAX_LOCK_ONLY)
		return true;
	/* Tuples of before 9.3, brought along by pg_upgrade. */
	return (infomask & (HEAP_XMAX_IS_MULTI | HEAP_LOCK_MASK)) == HEAP_XMAX_EXCL_LOCK;
}

/* Postgres's own test: a frozen tuple keeps both bits. */
static bool has(uint16_t infomask, uint16_t bits)
{
	return (infomask & bits) == bits;
}

static int inserter_status(struct lake_snapshot *s, const struct heap_tuple *t,
			   enum lake_xid_status *status, struct tarn_error *err)
{
	if (t->infomask & HEAP_MOVED)
		return tarn_fail(err, TARN_E_CORRUPT,
				 "item %u was moved by a VACUUM FULL of before Postgres 9",
				 t->item);
	if (has(t->infomask, HEAP_XMIN_FROZEN)) {
		*status = LAKE_XID_COMMITTED;
		return 0;
	}
	/* An abort is for ever, so this hint is true at every LSN. */
	if (t->infomask & HEAP_XMIN_INVALID) {
		*status = LAKE_XID_ABORTED;
		return 0;
	}
	return lake_xid_status(s, t->xmin, status, err);
}

int lake_tuple_inserted(struct lake_snapshot *s, const struct heap_tuple *t, bool *out,
			struct tarn_error *err)
{
	enum lake_xid_status status;
	TRY(inserter_status(s, t, &status, err));
	*out = status == LAKE_XID_COMMITTED;
	return 0;
}

int lake_tuple_visible(struct lake_snapshot *s, const struct heap_tuple *t,
		       struct lake_verdict *out, struct tarn_error *err)
{
	enum lake_xid_status status;
	out->visible = out->undecided = false;
	TRY(inserter_status(s, t, &status, err));
	if (status != LAKE_XID_COMMITTED) {
		out->undecided = status == LAKE_XID_IN_PROGRESS;
		return 0;
	}
	out->visible = true;
	if ((t->infomask & HEAP_XMAX_INVALID) || locked_only(t->infomask))
		return 0;
	uint32_t deleter = t->xmax;
	if (t->infomask & HEAP_XMAX_IS_MULTI)
		TRY(multi_updater(s, t->xmax, &deleter, err));
	if (deleter == XID_INVALID)
		return 0;
	TRY(lake_xid_status(s, deleter, &status, err));
	out->visible = status != LAKE_XID_COMMITTED;
	out->undecided = status == LAKE_XID_IN_PROGRESS;
	return 0;
}
