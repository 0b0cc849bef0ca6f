/*
 * From heap blocks at an LSN to Parquet files: every visible row of the blocks it is given, in order
 * of block and item, with the columns of transcode_schema and the hidden ones.
 *
 * One thread per scan. Memory: a row group being written, a page, a row.
 */
#ifndef TARN_LAKE_TRANSCODE_ROWS_H
#define TARN_LAKE_TRANSCODE_ROWS_H

#include "lake/catalog_scan.h"
#include "lake/transcode/files.h"

struct transcode_rows {
	/* The caller's, set before transcode_rows_init. */
	struct lake_snapshot *snapshot;
	const struct transcode_schema *schema;
	const struct transcode_place *place;
	bool columnar;		/* range files, cut to a size; else one tail */
	uint64_t *memory_used;	/* or NULL */
	uint32_t max_file_rows; /* 0: TRANSCODE_FILE_ROWS */
	const bool *cancelled;	/* atomic: ends the scan with TARN_E_CANCELLED; or NULL */
	/* Results, the caller's to take: what is taken is to be set NULL or zeroed. */
	struct transcode_file **files;
	uint32_t file_count;
	uint32_t *
		undecided; /* blocks whose rows may change though nothing touches them, ascending */
	uint32_t undecided_count;
	struct lake_pending pending; /* because of these transactions */
	/* private */
	struct lake_reader reader;
	struct tarn_arena arena;
	struct transcode_output output;
	struct block_map map;
	struct tarn_buf overflow, undecided_blocks;
	uint32_t *block_overflow; /* per column, of the block being read */
	struct pg_datum *datums;
	uint32_t block;
};

#define TRANSCODE_FILE_ROWS 2000000u
#define TRANSCODE_FILE_BYTES (256 * MIB)

void transcode_rows_init(struct transcode_rows *r);
void transcode_rows_release(struct transcode_rows *r);
/* Reads the blocks, ascending, or with NULL the first count ones, which is what a columnar scan
 * needs; then the results are there. Once. */
int transcode_rows_scan(struct transcode_rows *r, const uint32_t *blocks, uint32_t count,
			struct tarn_error *err);

#endif
