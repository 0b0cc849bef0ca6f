/* Implementation of heap_page.h. */
#include "base/system.h"
#include "pg/heap_page.h"

#define PAGE_SIZE_AND_VERSION (PG_PAGE_BYTES | 4u)

static int check_bounds(const struct pg_page *p, uint16_t size_version, struct tarn_error *err)
{
	if (size_version != PAGE_SIZE_AND_VERSION)
		return tarn_fail(err, TARN_E_CORRUPT,
				 "page header: size and version %u are not those of Postgres 15",
				 size_version);
	if (p->lower < PG_PAGE_HEADER_BYTES || p->lower > p->upper || p->upper > p->special ||
	    p->special > PG_PAGE_BYTES || p->special % 8 != 0)
		return tarn_fail(err, TARN_E_CORRUPT,
				 "page header: bounds lower=%u upper=%u special=%u are impossible",
				 p->lower, p->upper, p->special);
	return 0;
}

int pg_page_open(struct pg_page *p, const uint8_t bytes[PG_PAGE_BYTES], struct tarn_error *err)
{
	p->bytes = bytes;
	/* An LSN is stored as two halves, the high one first. */
	p->lsn = (tarn_lsn)get_le32(bytes) << 32 | get_le32(bytes + 4);
	p->flags = get_le16(bytes + 10);
	p->lower = get_le16(bytes + 12);
	p->upper = get_le16(bytes + 14);
	p->special = get_le16(bytes + 16);
	p->nlines = 0;
	p->is_new = p->upper == 0;
	if (p->is_new) {
		/* Postgres's PageIsNew looks at pd_upper alone; a page with content but no upper
		 * would read as empty, so insist on zeros. */
		static const uint8_t zeros[PG_PAGE_HEADER_BYTES];
		if (memcmp(bytes, zeros, sizeof zeros) != 0)
			return tarn_fail(err, TARN_E_CORRUPT,
					 "page header: pd_upper is 0 but the header is not empty");
		return 0;
	}
	TRY(check_bounds(p, get_le16(bytes + 18), err));
	p->nlines = (uint16_t)((p->lower - PG_PAGE_HEADER_BYTES) / PG_LINE_BYTES);
	return 0;
}

int heap_page_open(struct pg_page *p, const uint8_t bytes[PG_PAGE_BYTES], struct tarn_error *err)
{
	TRY(pg_page_open(p, bytes, err));
	if (!p->is_new && p->special != PG_PAGE_BYTES)
		return tarn_fail(err, TARN_E_CORRUPT,
				 "page header: not a heap page, it has a special space");
	return 0;
}

int pg_page_item(const struct pg_page *p, uint16_t item, const uint8_t **bytes, uint16_t *len,
		 struct tarn_error *err)
{
	if (item < 1 || item > p->nlines)
		return tarn_fail(err, TARN_E_CORRUPT, "item %u does not exist: the page has %u",
				 item, p->nlines);
	struct pg_line line = pg_page_line(p, item);
	if (line.state != PG_LINE_NORMAL && !(line.state == PG_LINE_DEAD && line.len > 0))
		return tarn_fail(err, TARN_E_CORRUPT, "item %u has no storage", item);
	if (line.offset < p->upper || (uint32_t)line.offset + line.len > p->special)
		return tarn_fail(err, TARN_E_CORRUPT,
				 "item %u lies outside the page's data (offset %u, length %u)",
				 item, line.offset, line.len);
	*bytes = p->bytes + line.offset;
	*len = line.len;
	return 0;
}

int heap_tuple_parse(const uint8_t *bytes, size_t len, struct heap_tuple *t, struct tarn_error *err)
{
	if (len < HEAP_TUPLE_HEADER_BYTES || len > UINT16_MAX)
		return tarn_fail(err, TARN_E_CORRUPT, "a tuple of %zu bytes is impossible", len);
	t->bytes = bytes;
	t->item = t->offset = 0;
	t->len = (uint16_t)len;
	t->xmin = get_le32(bytes);
	t->xmax = get_le32(bytes + 4);
	t->cid = get_le32(bytes + 8);
	t->ctid_block = (uint32_t)get_le16(bytes + 12) << 16 | get_le16(bytes + 14);
	t->ctid_item = get_le16(bytes + 16);
	t->infomask2 = get_le16(bytes + 18);
	t->infomask = get_le16(bytes + 20);
	t->hoff = bytes[22];
	t->natts = t->infomask2 & HEAP_NATTS_MASK;
	uint32_t need = HEAP_TUPLE_HEADER_BYTES;
	if (t->infomask & HEAP_HASNULL)
		need += (t->natts + 7u) / 8;
	if (t->hoff < need || t->hoff > len || t->hoff % 8 != 0)
		return tarn_fail(err, TARN_E_CORRUPT,
				 "a tuple's data cannot begin at %u (header %u, length %zu)",
				 t->hoff, need, len);
	return 0;
}

int heap_page_tuple(const struct pg_page *p, uint16_t item, struct heap_tuple *t,
		    struct tarn_error *err)
{
	const uint8_t *bytes;
	uint16_t len;
	TRY(pg_page_item(p, item, &bytes, &len, err));
	if (heap_tuple_parse(bytes, len, t, err) != 0)
		return tarn_error_prefix(err, "item %u", item);
	t->item = item;
	t->offset = (uint16_t)(bytes - p->bytes);
	return 0;
}
