/*
 * What stands at the end of a Parquet file: page indexes and the footer. Internal to the writer.
 * Format: parquet.thrift of https://github.com/apache/parquet-format
 */
#ifndef TARN_COLUMNAR_PARQUET_FOOTER_H
#define TARN_COLUMNAR_PARQUET_FOOTER_H

#include "columnar/leaf.h"

#define PARQUET_MAGIC "PAR1"
#define PARQUET_CODEC_ZSTD 6

struct page_entry {
	uint64_t offset;
	uint32_t bytes; /* header included */
	uint64_t first_row, nulls;
	struct leaf_range range;
};
struct chunk {
	struct page_entry *pages;
	size_t page_count, page_cap;
	uint64_t entries, nulls; /* nulls: entries without a value */
	uint64_t bytes, raw_bytes;
	uint64_t data_offset, dictionary_offset; /* 0: no dictionary */
	bool delta, plain, dictionary;		 /* encodings of data pages */
	uint64_t column_index_offset, offset_index_offset;
	uint32_t column_index_bytes, offset_index_bytes; /* 0: none */
};
struct row_group {
	struct chunk *chunks; /* one a leaf */
	uint64_t rows, bytes, raw_bytes, offset;
};
void row_group_release(struct row_group *g, uint32_t nleaves);

struct footer {
	const struct pq_column *columns;
	uint32_t ncolumns;
	const struct leaf *leaves;
	uint32_t nleaves;
	const struct row_group *groups;
	size_t ngroups;
	char *const *keys, *const *values;
	size_t nmetadata;
	uint64_t rows;
};
/* false, and nothing put: a page's range cannot be told. */
bool footer_put_column_index(const struct chunk *c, struct tarn_buf *out);
void footer_put_offset_index(const struct chunk *c, struct tarn_buf *out);
/* FileMetaData, its length and the magic. */
void footer_put(const struct footer *f, struct tarn_buf *out);

#endif
