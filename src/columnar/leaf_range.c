/* Statistics of a leaf: least and greatest values, in Parquet's form and in Iceberg's. */
#include "base/system.h"
#include <math.h>
#include "columnar/leaf.h"

#define BOUND_MAX_BYTES 64

void leaf_range_release(struct leaf_range *r)
{
	tarn_buf_release(&r->min);
	tarn_buf_release(&r->max);
}

/* ---- order ---- */

static double as_double(const struct leaf *l, const uint8_t *v)
{
	float f;
	double d;
	if (l->type == PARQUET_FLOAT) {
		memcpy(&f, v, sizeof f);
		return (double)f;
	}
	memcpy(&d, v, sizeof d);
	return d;
}

static int64_t as_int(const struct leaf *l, const uint8_t *v)
{
	int32_t i;
	int64_t n;
	if (l->type == PARQUET_INT32) {
		memcpy(&i, v, sizeof i);
		return i;
	}
	memcpy(&n, v, sizeof n);
	return n;
}

static int compare_bytes(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	size_t n = TARN_MIN(a_len, b_len);
	int c = n == 0 ? 0 : memcmp(a, b, n);
	return c != 0 ? c : (a_len > b_len) - (a_len < b_len);
}

static int compare(const struct leaf *l, const uint8_t *a, size_t a_len, const uint8_t *b,
		   size_t b_len)
{
	if (l->type == PARQUET_FLOAT || l->type == PARQUET_DOUBLE) {
		double x = as_double(l, a), y = as_double(l, b);
		return (x > y) - (x < y);
	}
	if (l->type == PARQUET_INT32 || l->type == PARQUET_INT64) {
		int64_t x = as_int(l, a), y = as_int(l, b);
		return (x > y) - (x < y);
	}
	/* Two's complement, most significant byte first: the sign decides before the rest. */
	if (l->kind == PQ_DECIMAL && (a[0] ^ b[0]) & 0x80)
		return a[0] & 0x80 ? -1 : 1;
	return compare_bytes(a, a_len, b, b_len);
}

/* ---- bounds of byte arrays ---- */

static bool is_continuation(uint8_t byte)
{
	return (byte & 0xC0) == 0x80;
}

/* At most BOUND_MAX_BYTES, for strings at the start of a character. */
static size_t cut(const struct leaf *l, const uint8_t *v, size_t len)
{
	if (len <= BOUND_MAX_BYTES)
		return len;
	size_t n = BOUND_MAX_BYTES;
	while (l->kind == PQ_STRING && n > 0 && is_continuation(v[n]))
		n--;
	return n;
}

static bool next_binary(uint8_t *v, size_t *len)
{
	while (*len > 0 && v[*len - 1] == 0xFF)
		(*len)--;
	if (*len == 0)
		return false;
	v[*len - 1]++;
	return true;
}

/* A one-byte character below 0x7F can be followed by its successor; others are dropped, which loses
 * a few characters of the bound and is right. */
static bool next_string(uint8_t *v, size_t *len)
{
	while (*len > 0 && v[*len - 1] >= 0x7F)
		(*len)--;
	if (*len == 0)
		return false;
	v[*len - 1]++;
	return true;
}

static bool put_upper(const struct leaf *l, const uint8_t *v, size_t len, struct tarn_buf *out)
{
	size_t n = cut(l, v, len);
	tarn_buf_put(out, v, n);
	if (n == len)
		return true;
	bool exists =
		l->kind == PQ_STRING ? next_string(out->data, &n) : next_binary(out->data, &n);
	out->len = n;
	return exists;
}

/* ---- ranges ---- */

/* Writers must not give -0.0 as the upper, nor +0.0 as the lower bound: both are equal to readers. */
static void settle_zero(const struct leaf *l, struct tarn_buf *bound, bool upper)
{
	if ((l->type == PARQUET_FLOAT || l->type == PARQUET_DOUBLE) &&
	    as_double(l, bound->data) == 0)
		bound->data[bound->len - 1] = upper ? 0x00 : 0x80;
}

void leaf_range(const struct leaf *l, size_t from, size_t to, struct leaf_range *out)
{
	const uint8_t *min = NULL, *max = NULL;
	size_t min_len = 0, max_len = 0;
	bool floats = l->type == PARQUET_FLOAT || l->type == PARQUET_DOUBLE;
	*out = (struct leaf_range){.any = to > from, .ordered = true};
	for (size_t i = from; i < to; i++) {
		size_t len;
		const uint8_t *v = leaf_value(l, i, &len);
		if (floats && isnan(as_double(l, v))) {
			out->ordered = false;
			return;
		}
		if (!min || compare(l, v, len, min, min_len) < 0) {
			min = v;
			min_len = len;
		}
		if (!max || compare(l, v, len, max, max_len) > 0) {
			max = v;
			max_len = len;
		}
	}
	if (!min)
		return;
	if (l->width > 0) {
		tarn_buf_put(&out->min, min, min_len);
		tarn_buf_put(&out->max, max, max_len);
		settle_zero(l, &out->min, false);
		settle_zero(l, &out->max, true);
		return;
	}
	tarn_buf_put(&out->min, min, cut(l, min, min_len));
	out->ordered = put_upper(l, max, max_len, &out->max);
}

static void replace(struct tarn_buf *to, const struct tarn_buf *from)
{
	tarn_buf_clear(to);
	tarn_buf_put(to, from->data, from->len);
}

void leaf_merge_range(struct leaf *l, const struct leaf_range *r)
{
	struct leaf_range *f = &l->file_range;
	if (!r->any)
		return;
	if (!r->ordered)
		l->unordered = true;
	if (l->unordered)
		return;
	if (!f->any || compare(l, r->min.data, r->min.len, f->min.data, f->min.len) < 0)
		replace(&f->min, &r->min);
	if (!f->any || compare(l, r->max.data, r->max.len, f->max.data, f->max.len) > 0)
		replace(&f->max, &r->max);
	f->any = true;
}

/* ---- Iceberg ---- */

/* Decimals: the fewest bytes of two's complement, most significant first; the rest is as in Parquet. */
static void put_bound(const struct leaf *l, const struct tarn_buf *bound, struct tarn_buf *out)
{
	uint8_t big[16];
	size_t n = bound->len, skip = 0;
	if (l->kind != PQ_DECIMAL) {
		tarn_buf_put(out, bound->data, n);
		return;
	}
	TARN_CHECK(n <= sizeof big);
	for (size_t i = 0; i < n; i++)
		big[i] = l->type == PARQUET_FIXED ? bound->data[i] : bound->data[n - 1 - i];
	while (skip + 1 < n && ((big[skip] == 0 && !(big[skip + 1] & 0x80)) ||
				(big[skip] == 0xFF && (big[skip + 1] & 0x80))))
		skip++;
	tarn_buf_put(out, big + skip, n - skip);
}

void leaf_bounds(const struct leaf *l, struct pq_bounds *out)
{
	bool ordered = l->file_range.any && !l->unordered && l->max_rep == 0;
	*out = (struct pq_bounds){.field_id = l->field_id,
				  .values = l->total_entries - l->total_empty,
				  .nulls = l->total_nulls,
				  .has_lower = ordered,
				  .has_upper = ordered};
	if (!ordered)
		return;
	put_bound(l, &l->file_range.min, &out->lower);
	put_bound(l, &l->file_range.max, &out->upper);
}
