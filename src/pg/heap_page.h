/*
 * An 8 KiB page of a heap: its header, its line pointers and the headers of its tuples.
 *
 * Source of the layout: Postgres 15, storage/bufpage.h, itemid.h and access/htup_details.h.
 *
 * Pure: no I/O, no allocation, any thread. The page belongs to the caller and must outlive what
 * points into it. Every offset is checked before use: TARN_E_CORRUPT names the line pointer; the
 * caller adds the relation and block.
 */
#ifndef TARN_PG_HEAP_PAGE_H
#define TARN_PG_HEAP_PAGE_H

#include "base/error.h"
#include "base/lsn.h"

#define PG_PAGE_BYTES 8192u
#define PG_PAGE_HEADER_BYTES 24u
#define PG_LINE_BYTES 4u
#define HEAP_TUPLE_HEADER_BYTES 23u
#define HEAP_MAX_TUPLES_PER_PAGE 291u

/* t_infomask */
#define HEAP_HASNULL 0x0001
#define HEAP_HASVARWIDTH 0x0002
#define HEAP_HASEXTERNAL 0x0004
#define HEAP_XMAX_KEYSHR_LOCK 0x0010
#define HEAP_COMBOCID 0x0020
#define HEAP_XMAX_EXCL_LOCK 0x0040
#define HEAP_XMAX_LOCK_ONLY 0x0080
#define HEAP_LOCK_MASK 0x0050
#define HEAP_XMIN_COMMITTED 0x0100
#define HEAP_XMIN_INVALID 0x0200
#define HEAP_XMIN_FROZEN 0x0300
#define HEAP_XMAX_COMMITTED 0x0400
#define HEAP_XMAX_INVALID 0x0800
#define HEAP_XMAX_IS_MULTI 0x1000
#define HEAP_UPDATED 0x2000
#define HEAP_MOVED 0xC000
/* t_infomask2 */
#define HEAP_NATTS_MASK 0x07FF
#define HEAP_KEYS_UPDATED 0x2000
#define HEAP_HOT_UPDATED 0x4000
#define HEAP_ONLY_TUPLE 0x8000

enum pg_line_state {
	PG_LINE_UNUSED = 0,
	PG_LINE_NORMAL = 1,
	PG_LINE_REDIRECT = 2, /* offset is the item redirected to */
	PG_LINE_DEAD = 3      /* may still have storage */
};
struct pg_line {
	uint16_t offset;
	uint16_t len;
	uint8_t state; /* enum pg_line_state */
};

struct pg_page {
	const uint8_t *bytes;
	tarn_lsn lsn;
	uint16_t flags;
	uint16_t lower, upper, special;
	uint16_t
		nlines; /* items are numbered 1 … nlines; 0 for a page that was never initialised */
	bool is_new;	/* all header fields zero: extended, not initialised */
};
struct heap_tuple {
	const uint8_t *bytes; /* header and all, inside the page */
	uint16_t item;	      /* 1 … */
	uint16_t offset;      /* of bytes in the page */
	uint16_t len;	      /* as in the line pointer */
	uint16_t natts; /* attributes the tuple has; fewer than the table's when it is older */
	uint8_t hoff;	/* bytes before the data; at least header and null bitmap */
	uint32_t xmin, xmax, cid;
	uint32_t ctid_block;
	uint16_t ctid_item;
	uint16_t infomask, infomask2;
};

/* Checks the header of any page (heap, index, toast). An all-zero header is a valid new page. */
int pg_page_open(struct pg_page *p, const uint8_t bytes[PG_PAGE_BYTES], struct tarn_error *err);
/* The same, and that it is a heap page (no special space). */
int heap_page_open(struct pg_page *p, const uint8_t bytes[PG_PAGE_BYTES], struct tarn_error *err);
/* item must be 1 … p->nlines. Not checked beyond its bits: see pg_page_item. */
static inline struct pg_line pg_page_line(const struct pg_page *p, uint16_t item)
{
	uint32_t w = get_le32(p->bytes + PG_PAGE_HEADER_BYTES + (item - 1u) * PG_LINE_BYTES);
	struct pg_line line = {(uint16_t)(w & 0x7FFF), (uint16_t)(w >> 17),
			       (uint8_t)((w >> 15) & 3)};
	return line;
}
/* The bytes of a normal (or dead with storage) item, checked to lie inside the page. */
int pg_page_item(const struct pg_page *p, uint16_t item, const uint8_t **bytes, uint16_t *len,
		 struct tarn_error *err);
/* Decodes the tuple at a normal line pointer. */
int heap_page_tuple(const struct pg_page *p, uint16_t item, struct heap_tuple *t,
		    struct tarn_error *err);
/* For each normal line pointer, in order: p, *item = 0 at first; false at the end. */
static inline bool heap_page_next(const struct pg_page *p, uint16_t *item)
{
	while (*item < p->nlines) {
		(*item)++;
		if (pg_page_line(p, *item).state == PG_LINE_NORMAL)
			return true;
	}
	return false;
}
/* Decodes a tuple that stands alone (a composite datum), len bytes. item and offset become 0. */
int heap_tuple_parse(const uint8_t *bytes, size_t len, struct heap_tuple *t,
		     struct tarn_error *err);

#endif
