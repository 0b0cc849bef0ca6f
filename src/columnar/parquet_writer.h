/*
 * Writes one Parquet file, row by row. Optional columns; one level of lists; structs of scalars.
 *
 * Format: https://github.com/apache/parquet-format (parquet.thrift, Encodings.md, LogicalTypes.md,
 * PageIndex.md). Pages are data page v1, zstd; dictionary (RLE_DICTIONARY) where values repeat,
 * else DELTA_BINARY_PACKED for integers and PLAIN for the rest; chunk statistics, column index and
 * offset index for every leaf; field ids; key-value metadata.
 *
 * A writer belongs to one thread. Values are copied when put. Memory: one row group at most; a row
 * group ends by itself at max_row_group_bytes of buffered values or max_row_group_rows.
 */
#ifndef TARN_COLUMNAR_PARQUET_WRITER_H
#define TARN_COLUMNAR_PARQUET_WRITER_H

#include "base/buf.h"
#include "base/error.h"

enum pq_kind {
	PQ_BOOLEAN,
	PQ_INT32,
	PQ_INT64,
	PQ_FLOAT,
	PQ_DOUBLE,
	PQ_DECIMAL, /* stored as int32, int64 or fixed bytes, by precision */
	PQ_STRING,
	PQ_BINARY,
	PQ_UUID,	/* 16 bytes */
	PQ_DATE,	/* days since 1970-01-01 */
	PQ_TIME,	/* µs since midnight, not adjusted to UTC */
	PQ_TIMESTAMP,	/* µs since 1970-01-01, not adjusted to UTC */
	PQ_TIMESTAMPTZ, /* µs since 1970-01-01 UTC */
	PQ_LIST,	/* one child: the element, a scalar */
	PQ_STRUCT	/* children: scalars; the struct itself is required */
};
struct pq_column {
	const char *name;
	int32_t field_id; /* 0: none */
	enum pq_kind kind;
	uint8_t precision, scale; /* DECIMAL: 1 ≤ precision ≤ 38 */
	bool required;		  /* scalars at the top level; else nulls may be put */
	const struct pq_column *children;
	uint32_t nchildren;
};
struct pq_options {
	size_t max_row_group_bytes;  /* 0: 64 MiB */
	uint64_t max_row_group_rows; /* 0: 1,048,576 */
	size_t page_bytes;	     /* values in a data page, 0: 1 MiB */
	int zstd_level;		     /* 0: 3 */
};
/* What Iceberg's manifest says of a leaf: bounds are Iceberg single-value bytes (spec, appendix D),
 * strings and binaries truncated to 64 bytes (the upper one rounded up, at a character of UTF-8 for
 * strings; none when it can't be). has_bounds is false when all values are null, for lists'
 * elements, and for floats of which one is NaN. -0.0 as lower, +0.0 as upper bound of a zero. */
struct pq_bounds {
	int32_t field_id;
	uint64_t values; /* nulls included; of a list's element: elements, empty lists count 0 */
	uint64_t nulls;
	bool has_lower, has_upper;
	struct tarn_buf lower, upper;
};
struct pq_summary {
	uint64_t rows;
	uint64_t bytes;		  /* of the file */
	struct pq_bounds *leaves; /* in schema order */
	uint32_t nleaves;
};

struct pq_writer;

/* Writes to fd from offset 0; the caller owns fd, syncs and closes it; path is for messages. The
 * columns are copied. options NULL: defaults. TARN_E_USAGE: a schema this writer can't write. */
int pq_writer_new(int fd, const char *path, const struct pq_column *columns, uint32_t ncolumns,
		  const struct pq_options *options, struct pq_writer **out, struct tarn_error *err);
void pq_writer_free(struct pq_writer *w);

/* Leaves are numbered depth first: a scalar is one leaf, a list one (its element's), a struct one
 * for each child. Every leaf gets exactly one value (or null, or list) between two pq_end_row. */
uint32_t pq_leaf_count(const struct pq_writer *w);
void pq_put_null(struct pq_writer *w, uint32_t leaf); /* of a LIST leaf: a null list, or element */
void pq_put_bool(struct pq_writer *w, uint32_t leaf, bool v);
/* INT32, INT64, DATE, TIME, TIMESTAMP, TIMESTAMPTZ */
void pq_put_int(struct pq_writer *w, uint32_t leaf, int64_t v);
void pq_put_float(struct pq_writer *w, uint32_t leaf, float v);
void pq_put_double(struct pq_writer *w, uint32_t leaf, double v);
void pq_put_decimal(struct pq_writer *w, uint32_t leaf, __int128 unscaled);
void pq_put_bytes(struct pq_writer *w, uint32_t leaf, const void *bytes, size_t len);
/* Begins a list of count elements: the next count puts to the leaf are its elements. */
void pq_put_list(struct pq_writer *w, uint32_t leaf, uint32_t count);
/* Ends the row; may write a row group. An error is final: free the writer. */
int pq_end_row(struct pq_writer *w, struct tarn_error *err);
/* Footer key-value metadata, copied; before pq_finish. */
void pq_metadata(struct pq_writer *w, const char *key, const char *value);
/* Writes what is buffered, the indexes and the footer. Release out with pq_summary_release. */
int pq_finish(struct pq_writer *w, struct pq_summary *out, struct tarn_error *err);
void pq_summary_release(struct pq_summary *s);

#endif
