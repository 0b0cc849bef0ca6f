/*
 * Postgres's arrays as they lie in a tuple, without their varlena header.
 * Format: src/include/utils/array.h of Postgres 15.
 */
#ifndef TARN_PG_ARRAY_H
#define TARN_PG_ARRAY_H

#include "pg/tuple.h"

#define PG_ARRAY_MAX_DIMENSIONS 6

struct pg_array {
	int ndim; /* 0: no elements */
	uint32_t element_type;
	uint32_t dims[PG_ARRAY_MAX_DIMENSIONS];
	int32_t lower[PG_ARRAY_MAX_DIMENSIONS];
	uint32_t count;	      /* elements in all */
	const uint8_t *nulls; /* bitmap, 0: null; NULL: none is */
	const uint8_t *data;
	size_t data_len;
	/* for pg_array_next */
	uint32_t at;
	size_t offset;
};

/* The bytes stay the caller's. */
int pg_array_open(struct pg_array *a, const uint8_t *bytes, size_t len, struct tarn_error *err);
/* The next of count elements, in storage order; attr describes the element type. */
int pg_array_next(struct pg_array *a, const struct pg_attr *attr, struct pg_datum *out,
		  struct tarn_error *err);

#endif
