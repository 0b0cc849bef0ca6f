/* Implementation of catalog_scan.h. */
#include "base/system.h"
#include "lake/catalog_scan.h"

#define FORK_MAIN 0
#define NAME_BYTES 64
#define MAX_PENDING 1024u

/* A letter per column: o 4-byte number, s 2-byte number, b one byte, n name, v varlena aligned to 4
 * bytes, V aligned to 8. */
struct layout {
	uint32_t oid;
	const char *name;
	const char *columns;
};
static const struct layout layouts[LAKE_CATALOG_TABLES] = {
	[LAKE_PG_CLASS] = {1259, "pg_class", "onooooooooooobbbbssbbbbbbbb"},
	[LAKE_PG_ATTRIBUTE] = {1249, "pg_attribute", "onoossooobbbbbbbbbbboovvvV"},
	[LAKE_PG_TYPE] = {1247, "pg_type", "onoosbbbbbbooooooooooobbboo"},
	[LAKE_PG_NAMESPACE] = {2615, "pg_namespace", "on"},
	[LAKE_PG_INDEX] = {2610, "pg_index", "oossbbbbbbbbbbbv"},
	[LAKE_PG_ENUM] = {3501, "pg_enum", "ooon"},
	[LAKE_PG_DATABASE] = {1262, "pg_database", "onoobbboooo"},
	[LAKE_PG_RANGE] = {3541, "pg_range", "ooo"},
};

struct scan {
	struct lake_snapshot *snapshot;
	const struct layout *layout;
	uint16_t ncolumns;
	struct pg_attr attrs[LAKE_CATALOG_MAX_COLUMNS];
	int (*row)(void *row_arg, const struct pg_datum *columns, struct tarn_error *err);
	void *row_arg;
	struct lake_pending *pending;
	uint8_t page[PG_PAGE_BYTES];
};

uint32_t lake_catalog_oid(enum lake_catalog_table which)
{
	return layouts[which].oid;
}

const char *lake_catalog_name(enum lake_catalog_table which)
{
	return layouts[which].name;
}

uint16_t lake_catalog_attrs(enum lake_catalog_table which,
			    struct pg_attr out[LAKE_CATALOG_MAX_COLUMNS])
{
	static const struct {
		char letter;
		int16_t len;
		uint8_t align;
	} kinds[] = {{'o', 4, 4},	   {'s', 2, 2},	 {'b', 1, 1},
		     {'n', NAME_BYTES, 1}, {'v', -1, 4}, {'V', -1, 8}};
	const char *columns = layouts[which].columns;
	uint16_t count = 0;
	for (; columns[count] != 0; count++) {
		TARN_CHECK(count < LAKE_CATALOG_MAX_COLUMNS);
		out[count] = (struct pg_attr){0};
		for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
			if (kinds[k].letter != columns[count])
				continue;
			out[count].len = kinds[k].len;
			out[count].align = kinds[k].align;
			out[count].byval = kinds[k].len > 0 && kinds[k].len <= 4;
		}
		TARN_CHECK(out[count].len != 0);
	}
	return count;
}

void lake_pending_release(struct lake_pending *p)
{
	free(p->xids);
	*p = (struct lake_pending){0};
}

/* Aborting changes nothing: what a transaction did was not seen before either. */
int lake_pending_holds(const struct lake_pending *p, struct lake_snapshot *s, bool *out,
		       struct tarn_error *err)
{
	*out = !p->unknown;
	for (uint32_t i = 0; *out && i < p->count; i++) {
		enum lake_xid_status status;
		TRY(lake_xid_status(s, p->xids[i], &status, err));
		*out = status != LAKE_XID_COMMITTED;
	}
	return 0;
}

static void pending_add(struct lake_pending *p, uint32_t xid)
{
	uint32_t at = p->count;
	while (at > 0 && p->xids[at - 1] >= xid)
		at--;
	if (at < p->count && p->xids[at] == xid)
		return;
	if (p->count == MAX_PENDING) {
		p->unknown = true;
		return;
	}
	if (p->count == p->cap) {
		p->cap = p->cap == 0 ? 8 : p->cap * 2;
		p->xids = tarn_realloc(p->xids, p->cap * sizeof *p->xids);
	}
	memmove(p->xids + at + 1, p->xids + at, (p->count - at) * sizeof *p->xids);
	p->xids[at] = xid;
	p->count++;
}

void lake_pending_merge(struct lake_pending *p, const struct lake_pending *more)
{
	for (uint32_t i = 0; i < more->count; i++)
		pending_add(p, more->xids[i]);
	p->unknown = p->unknown || more->unknown;
}

/* The tuple is undecided: because of its inserter, or else because of its deleter. */
int lake_pending_note(struct lake_pending *p, struct lake_snapshot *s, const struct heap_tuple *t,
		      struct tarn_error *err)
{
	enum lake_xid_status status = LAKE_XID_COMMITTED;
	if ((t->infomask & HEAP_XMIN_FROZEN) != HEAP_XMIN_FROZEN)
		TRY(lake_xid_status(s, t->xmin, &status, err));
	if (status == LAKE_XID_IN_PROGRESS)
		pending_add(p, t->xmin);
	else if (t->infomask & HEAP_XMAX_IS_MULTI)
		p->unknown = true;
	else
		pending_add(p, t->xmax);
	return 0;
}

static int scan_tuple(struct scan *s, const struct heap_tuple *t, struct tarn_error *err)
{
	struct lake_verdict verdict;
	struct pg_datum columns[LAKE_CATALOG_MAX_COLUMNS];
	TRY(lake_tuple_visible(s->snapshot, t, &verdict, err));
	if (verdict.undecided)
		TRY(lake_pending_note(s->pending, s->snapshot, t, err));
	if (!verdict.visible)
		return 0;
	TRY(tuple_deform(t, s->attrs, s->ncolumns, columns, err));
	for (uint16_t i = 0; i < s->ncolumns; i++)
		if (columns[i].bytes == NULL && s->attrs[i].len > 0)
			return tarn_fail(err, TARN_E_CORRUPT, "column %u is NULL", i + 1u);
	return s->row(s->row_arg, columns, err);
}

static int scan_page(struct scan *s, struct tarn_error *err)
{
	struct pg_page page;
	TRY(heap_page_open(&page, s->page, err));
	for (uint16_t item = 0; heap_page_next(&page, &item);) {
		struct heap_tuple t;
		TRY(heap_page_tuple(&page, item, &t, err));
		if (scan_tuple(s, &t, err) != 0)
			return tarn_error_prefix(err, "item %u", item);
	}
	return 0;
}

static int scan_blocks(struct scan *s, const struct lake_rel *rel, struct tarn_error *err)
{
	const struct lake_source *source = lake_snapshot_source(s->snapshot);
	tarn_lsn lsn = lake_snapshot_lsn(s->snapshot);
	uint32_t nblocks;
	bool absent;
	TRY(source->nblocks(source->arg, rel, FORK_MAIN, lsn, &nblocks, &absent, err));
	if (absent)
		return tarn_fail(err, TARN_E_CORRUPT, "%s (%u/%u/%u) has no file", s->layout->name,
				 rel->spc, rel->db, rel->rel);
	for (uint32_t block = 0; block < nblocks; block++) {
		TRY(source->get_page(source->arg, rel, FORK_MAIN, block, lsn, s->page, &absent,
				     err));
		int rc = absent ? tarn_fail(err, TARN_E_CORRUPT, "it is missing")
				: scan_page(s, err);
		if (rc != 0)
			return tarn_error_prefix(err, "%s (%u/%u/%u), block %u", s->layout->name,
						 rel->spc, rel->db, rel->rel, block);
	}
	return 0;
}

int lake_catalog_scan(struct lake_snapshot *s, enum lake_catalog_table which,
		      const struct lake_rel *rel,
		      int (*row)(void *row_arg, const struct pg_datum *columns,
				 struct tarn_error *err),
		      void *row_arg, struct lake_pending *pending, struct tarn_error *err)
{
	struct scan *scan = tarn_malloc(sizeof *scan);
	scan->snapshot = s;
	scan->layout = &layouts[which];
	scan->ncolumns = lake_catalog_attrs(which, scan->attrs);
	scan->row = row;
	scan->row_arg = row_arg;
	scan->pending = pending;
	int rc = scan_blocks(scan, rel, err);
	free(scan);
	return rc;
}
