/* Implementation of array.h. */
#include "base/system.h"
#include "pg/array.h"

/* Offsets inside an array count from its varlena header, of four bytes. */
#define HEADER_BYTES 4u
#define FIXED_BYTES 12u /* ndim, dataoffset, element type */
#define MAX_ELEMENTS (1u << 27)

static int corrupt(struct tarn_error *err)
{
	return tarn_fail(err, TARN_E_CORRUPT, "a value is not an array");
}

static size_t max_align(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

static int read_dimensions(struct pg_array *a, const uint8_t *bytes, size_t len,
			   struct tarn_error *err)
{
	uint64_t count = 1;
	if (len < FIXED_BYTES + 8 * (size_t)a->ndim)
		return corrupt(err);
	for (int i = 0; i < a->ndim; i++) {
		a->dims[i] = get_le32(bytes + FIXED_BYTES + 4 * i);
		a->lower[i] = (int32_t)get_le32(bytes + FIXED_BYTES + 4 * (a->ndim + i));
		if (a->dims[i] > MAX_ELEMENTS)
			return corrupt(err);
		count *= a->dims[i];
		if (count > MAX_ELEMENTS)
			return corrupt(err);
	}
	a->count = a->ndim == 0 ? 0 : (uint32_t)count;
	return 0;
}

int pg_array_open(struct pg_array *a, const uint8_t *bytes, size_t len, struct tarn_error *err)
{
	memset(a, 0, sizeof *a);
	if (len < FIXED_BYTES)
		return corrupt(err);
	uint32_t ndim = get_le32(bytes), data_offset = get_le32(bytes + 4);
	if (ndim > PG_ARRAY_MAX_DIMENSIONS)
		return corrupt(err);
	a->ndim = (int)ndim;
	a->element_type = get_le32(bytes + 8);
	TRY(read_dimensions(a, bytes, len, err));
	size_t fixed = HEADER_BYTES + FIXED_BYTES + 8 * (size_t)ndim;
	size_t data = data_offset ? data_offset : max_align(fixed);
	if (data_offset && data < fixed + (a->count + 7) / 8)
		return corrupt(err);
	if (a->count == 0)
		return 0;
	if (data - HEADER_BYTES > len)
		return corrupt(err);
	if (data_offset)
		a->nulls = bytes + fixed - HEADER_BYTES;
	a->data = bytes + data - HEADER_BYTES;
	a->data_len = len - (data - HEADER_BYTES);
	return 0;
}

int pg_array_next(struct pg_array *a, const struct pg_attr *attr, struct pg_datum *out,
		  struct tarn_error *err)
{
	uint32_t i = a->at++;
	TARN_CHECK(i < a->count);
	if (a->nulls && !(a->nulls[i / 8] >> (i % 8) & 1)) {
		*out = (struct pg_datum){NULL, 0};
		return 0;
	}
	return pg_datum_next(a->data, a->data_len, &a->offset, attr, out, err);
}
