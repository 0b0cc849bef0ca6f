/*
 * One leaf column of a Parquet file being written: its values of the current row group, their levels,
 * and how they become pages. Internal to the writer (parquet_writer.h has the contract).
 */
#ifndef TARN_COLUMNAR_LEAF_H
#define TARN_COLUMNAR_LEAF_H

#include "columnar/parquet_writer.h"

/* parquet.thrift: Type, Encoding */
enum parquet_type {
	PARQUET_BOOLEAN = 0,
	PARQUET_INT32 = 1,
	PARQUET_INT64 = 2,
	PARQUET_FLOAT = 4,
	PARQUET_DOUBLE = 5,
	PARQUET_BYTE_ARRAY = 6,
	PARQUET_FIXED = 7
};
enum parquet_encoding {
	PARQUET_PLAIN = 0,
	PARQUET_RLE = 3,
	PARQUET_DELTA = 5,
	PARQUET_DICTIONARY = 8
};

/* Least and greatest of a range of values, as Parquet stores them; for byte arrays cut to 64. */
struct leaf_range {
	bool any;     /* a value that is not null */
	bool ordered; /* false: a NaN among them, or no upper bound of this length exists */
	struct tarn_buf min, max;
};
void leaf_range_release(struct leaf_range *r);

struct leaf {
	char *name; /* the last part of its path */
	int32_t field_id;
	enum pq_kind kind;
	uint8_t precision, scale;
	enum parquet_type type;
	unsigned width; /* bytes of a value; 0: byte arrays */
	uint8_t max_def, max_rep;

	/* the current row group */
	struct tarn_buf def, rep;    /* one byte an entry; rep only for lists */
	struct tarn_buf fixed;	     /* width bytes a value */
	struct tarn_buf bytes, ends; /* byte arrays, and u32 where each ends */
	size_t entries, values;
	uint32_t list_left; /* elements of the list begun that are still to come */
	bool list_first;

	/* the whole file */
	uint64_t total_entries, total_nulls; /* null elements and null lists; no empty lists */
	uint64_t total_empty;
	struct leaf_range file_range;
	bool unordered; /* a range without order was merged */
};

/* TARN_E_USAGE: not a scalar, or an impossible precision. */
int leaf_init(struct leaf *l, const struct pq_column *scalar, bool required, bool list,
	      struct tarn_error *err);
void leaf_release(struct leaf *l);
void leaf_clear(struct leaf *l);
size_t leaf_buffered_bytes(const struct leaf *l);

void leaf_put_null(struct leaf *l);
void leaf_put_list(struct leaf *l, uint32_t count);
void leaf_put_fixed(struct leaf *l, const void *bytes);
void leaf_put_bytes(struct leaf *l, const void *bytes, size_t len);

const uint8_t *leaf_value(const struct leaf *l, size_t i, size_t *len);
/* PLAIN of values [from, to). */
void leaf_put_plain(const struct leaf *l, size_t from, size_t to, struct tarn_buf *out);
/* What suits the kind when no dictionary does. */
enum parquet_encoding leaf_put_values(const struct leaf *l, size_t from, size_t to,
				      struct tarn_buf *out);
/* Distinct values in order of appearance; false when there are too many to be worth it. indexes has
 * room for one number a value. */
bool leaf_dictionary(const struct leaf *l, uint32_t *indexes, uint32_t *distinct,
		     struct tarn_buf *plain);
/* Range of values [from, to); initialises out. */
void leaf_range(const struct leaf *l, size_t from, size_t to, struct leaf_range *out);
void leaf_merge_range(struct leaf *l, const struct leaf_range *r);
/* What Iceberg's manifest says; initialises out. */
void leaf_bounds(const struct leaf *l, struct pq_bounds *out);

#endif
