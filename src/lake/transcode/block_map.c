/* Implementation of block_map.h. */
#include "base/system.h"
#include "lake/transcode/block_map.h"

#define STEP 64u

void block_map_init(struct block_map *m, bool is_range)
{
	*m = (struct block_map){.is_range = is_range};
}

void block_map_release(struct block_map *m)
{
	tarn_buf_release(&m->blocks);
	tarn_buf_release(&m->counts);
	tarn_buf_release(&m->sums);
	*m = (struct block_map){0};
}

void block_map_add(struct block_map *m, uint32_t block, uint16_t rows)
{
	if (m->is_range && m->count == 0)
		m->first = block;
	TARN_CHECK(!m->is_range || block == m->first + m->count);
	TARN_CHECK(m->is_range || m->count == 0 || block > block_map_block(m, m->count - 1));
	if (m->count % STEP == 0)
		tarn_buf_put_le32(&m->sums, m->rows);
	if (!m->is_range)
		tarn_buf_put_le32(&m->blocks, block);
	tarn_buf_put_le16(&m->counts, rows);
	m->rows += rows;
	m->count++;
}

static void seal(struct tarn_buf *b)
{
	if (b->len == 0 || b->len == b->cap)
		return;
	b->data = tarn_realloc(b->data, b->len);
	b->cap = b->len;
}

void block_map_seal(struct block_map *m)
{
	seal(&m->blocks);
	seal(&m->counts);
	seal(&m->sums);
}

uint32_t block_map_block(const struct block_map *m, uint32_t entry)
{
	TARN_CHECK(entry < m->count);
	return m->is_range ? m->first + entry : get_le32(m->blocks.data + (size_t)entry * 4);
}

bool block_map_find(const struct block_map *m, uint32_t block, uint32_t *entry)
{
	uint32_t lo = 0, hi = m->count;
	if (m->is_range) {
		*entry = block - m->first;
		return block >= m->first && *entry < m->count;
	}
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (block_map_block(m, mid) < block)
			lo = mid + 1;
		else
			hi = mid;
	}
	*entry = lo;
	return lo < m->count && block_map_block(m, lo) == block;
}

struct block_rows block_map_rows(const struct block_map *m, uint32_t entry)
{
	TARN_CHECK(entry < m->count);
	uint32_t at = entry / STEP * STEP;
	struct block_rows r = {.first = get_le32(m->sums.data + (size_t)at / STEP * 4)};
	for (; at < entry; at++)
		r.first += get_le16(m->counts.data + (size_t)at * 2);
	r.count = get_le16(m->counts.data + (size_t)entry * 2);
	return r;
}

size_t block_map_bytes(const struct block_map *m)
{
	return m->blocks.cap + m->counts.cap + m->sums.cap;
}
