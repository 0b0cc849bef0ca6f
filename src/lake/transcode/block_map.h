/*
 * Where in a Parquet file the rows of each heap block stand: rows are in the order of their blocks,
 * so a block's rows are one run of positions.
 *
 * Two bytes per block of a range and six per block of a list, and four for every 64 of them. Blocks
 * are appended in ascending order; afterwards any thread may read.
 */
#ifndef TARN_LAKE_TRANSCODE_BLOCK_MAP_H
#define TARN_LAKE_TRANSCODE_BLOCK_MAP_H

#include "base/buf.h"

struct block_map {
	bool is_range;		/* all blocks from first on; else those in blocks */
	uint32_t first;		/* of a range */
	struct tarn_buf blocks; /* u32 each, of a list */
	struct tarn_buf counts; /* u16 each: rows */
	struct tarn_buf sums;	/* u32 each: rows before entry 0, 64, 128 … */
	uint32_t count;		/* entries */
	uint32_t rows;
};
struct block_rows {
	uint32_t first, count; /* positions in the file */
};

void block_map_init(struct block_map *m, bool is_range);
void block_map_release(struct block_map *m);
/* block is above all before it, and for a range the next one. */
void block_map_add(struct block_map *m, uint32_t block, uint16_t rows);
/* Gives back what growth took too much. */
void block_map_seal(struct block_map *m);
/* The block's entry; false: the file has no rows of it. */
bool block_map_find(const struct block_map *m, uint32_t block, uint32_t *entry);
struct block_rows block_map_rows(const struct block_map *m, uint32_t entry);
uint32_t block_map_block(const struct block_map *m, uint32_t entry);
size_t block_map_bytes(const struct block_map *m);

#endif
