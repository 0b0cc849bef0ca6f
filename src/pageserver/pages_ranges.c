/* Values that are made of many keys: a database's size, a segment of an SLRU. */
#include "base/system.h"
#include "pageserver/pageserver_internal.h"

static int add_blocks(void *arg, const struct ps_key *key, const uint8_t *bytes, size_t len,
		      struct tarn_error *err)
{
	if (len != 4)
		return tarn_fail(err, TARN_E_CORRUPT,
				 "the size of relation %u/%u/%u fork %u has %zu bytes", key->spc,
				 key->db, key->rel, key->fork, len);
	*(uint64_t *)arg += get_le32(bytes);
	return 0;
}

int ps_database_bytes(struct pageserver *ps, struct ps_timeline *tl, uint32_t spc, uint32_t db,
		      tarn_lsn lsn, uint64_t *bytes, struct tarn_error *err)
{
	struct ps_key from = {.kind = PS_KIND_RELSIZE, .spc = spc, .db = db};
	struct ps_key to = from;
	uint64_t blocks = 0;
	(void)ps;
	if (++to.db == 0 && ++to.spc == 0)
		to.kind++;
	TRY(ps_timeline_scan(tl, &from, &to, lsn, add_blocks, &blocks, err));
	*bytes = blocks * PAGE_BYTES;
	return 0;
}

static bool in_range(uint32_t page, uint32_t first, uint32_t last)
{
	return first <= last ? page >= first && page <= last : page >= first || page <= last;
}

int ps_slru_segment(struct pageserver *ps, struct ps_timeline *tl, enum page_slru slru,
		    uint32_t segment, tarn_lsn lsn, struct tarn_buf *out, bool *absent,
		    struct tarn_error *err)
{
	struct page_want wants[SLRU_SEGMENT_PAGES] = {0};
	uint32_t first, last, count = 0;
	TRY(ps_slru_range(ps, tl, slru, lsn, &first, &last, absent, err));
	if (*absent || segment > UINT32_MAX / SLRU_SEGMENT_PAGES) {
		*absent = true;
		return 0;
	}
	for (uint32_t i = 0; i < SLRU_SEGMENT_PAGES; i++)
		if (in_range(segment * SLRU_SEGMENT_PAGES + i, first, last))
			count = i + 1;
	*absent = count == 0;
	if (count == 0)
		return 0;
	uint8_t *bytes = tarn_buf_reserve(out, (size_t)count * PAGE_BYTES);
	memset(bytes, 0, (size_t)count * PAGE_BYTES);
	for (uint32_t i = 0; i < count; i++)
		wants[i] = (struct page_want){
			.key = {.kind = PS_KIND_SLRU,
				.rel = slru,
				.block = segment * SLRU_SEGMENT_PAGES + i},
			.lsn = lsn,
			.out = bytes + (size_t)i * PAGE_BYTES,
		};
	TRY(ps_get_pages(ps, tl, wants, count, err));
	for (uint32_t i = 0; i < count; i++)
		if (wants[i].absent)
			memset(wants[i].out, 0, PAGE_BYTES);
	out->len += (size_t)count * PAGE_BYTES;
	return 0;
}
