/* Implementation of leaf.h: values, levels and encodings. leaf_range.c has the statistics. */
#include "base/system.h"
#include <xxhash.h>
#include "columnar/encoding.h"
#include "columnar/leaf.h"

#define DICTIONARY_MAX_BYTES ((size_t)1 << 20)
#define DICTIONARY_MAX_VALUES ((size_t)1 << 16)
#define SAMPLE_VALUES 4096

/* Iceberg's rule: the fewest bytes that hold every value of the precision. */
static unsigned decimal_bytes(unsigned precision)
{
	unsigned n = 1;
	__int128 max = 1;
	for (unsigned i = 0; i < precision; i++)
		max *= 10;
	while (n < 16 && max > ((__int128)1 << (8 * n - 1)))
		n++;
	return n;
}

static int choose_type(struct leaf *l, const struct pq_column *c, struct tarn_error *err)
{
	static const struct {
		enum parquet_type type;
		unsigned width;
	} plain[] = {
		[PQ_BOOLEAN] = {PARQUET_BOOLEAN, 1},   [PQ_INT32] = {PARQUET_INT32, 4},
		[PQ_INT64] = {PARQUET_INT64, 8},       [PQ_FLOAT] = {PARQUET_FLOAT, 4},
		[PQ_DOUBLE] = {PARQUET_DOUBLE, 8},     [PQ_STRING] = {PARQUET_BYTE_ARRAY, 0},
		[PQ_BINARY] = {PARQUET_BYTE_ARRAY, 0}, [PQ_UUID] = {PARQUET_FIXED, 16},
		[PQ_DATE] = {PARQUET_INT32, 4},	       [PQ_TIME] = {PARQUET_INT64, 8},
		[PQ_TIMESTAMP] = {PARQUET_INT64, 8},   [PQ_TIMESTAMPTZ] = {PARQUET_INT64, 8},
	};
	if (c->kind == PQ_LIST || c->kind == PQ_STRUCT)
		return tarn_fail(err, TARN_E_USAGE, "column %s is nested deeper than is written",
				 c->name);
	if (c->kind != PQ_DECIMAL) {
		l->type = plain[c->kind].type;
		l->width = plain[c->kind].width;
		return 0;
	}
	if (c->precision < 1 || c->precision > 38 || c->scale > c->precision)
		return tarn_fail(err, TARN_E_USAGE, "column %s: no decimal(%u, %u)", c->name,
				 c->precision, c->scale);
	l->type = c->precision <= 9    ? PARQUET_INT32
		  : c->precision <= 18 ? PARQUET_INT64
				       : PARQUET_FIXED;
	l->width = c->precision <= 9 ? 4 : c->precision <= 18 ? 8 : decimal_bytes(c->precision);
	return 0;
}

int leaf_init(struct leaf *l, const struct pq_column *scalar, bool required, bool list,
	      struct tarn_error *err)
{
	memset(l, 0, sizeof *l);
	l->field_id = scalar->field_id;
	l->kind = scalar->kind;
	l->precision = scalar->precision;
	l->scale = scalar->scale;
	l->max_def = list ? 3 : required ? 0 : 1;
	l->max_rep = list ? 1 : 0;
	TRY(choose_type(l, scalar, err));
	l->name = tarn_strdup(scalar->name);
	return 0;
}

void leaf_release(struct leaf *l)
{
	free(l->name);
	tarn_buf_release(&l->def);
	tarn_buf_release(&l->rep);
	tarn_buf_release(&l->fixed);
	tarn_buf_release(&l->bytes);
	tarn_buf_release(&l->ends);
	leaf_range_release(&l->file_range);
}

void leaf_clear(struct leaf *l)
{
	tarn_buf_clear(&l->def);
	tarn_buf_clear(&l->rep);
	tarn_buf_clear(&l->fixed);
	tarn_buf_clear(&l->bytes);
	tarn_buf_clear(&l->ends);
	l->entries = l->values = 0;
}

size_t leaf_buffered_bytes(const struct leaf *l)
{
	return l->def.len + l->rep.len + l->fixed.len + l->bytes.len + l->ends.len;
}

/* ---- one entry ---- */

static void put_entry(struct leaf *l, uint8_t def)
{
	if (l->max_def > 0)
		tarn_buf_put_u8(&l->def, def);
	else
		TARN_CHECK(def == 0);
	if (l->max_rep > 0) {
		tarn_buf_put_u8(&l->rep, l->list_left > 0 && !l->list_first);
		l->list_first = false;
		if (l->list_left > 0)
			l->list_left--;
	}
	l->entries++;
	l->total_entries++;
}

void leaf_put_null(struct leaf *l)
{
	bool element = l->max_rep > 0 && l->list_left > 0;
	TARN_CHECK(l->max_def > 0);
	l->total_nulls++;
	put_entry(l, element ? 2 : 0);
}

void leaf_put_list(struct leaf *l, uint32_t count)
{
	TARN_CHECK(l->max_rep > 0 && l->list_left == 0);
	if (count == 0) {
		l->total_empty++;
		put_entry(l, 1);
		return;
	}
	l->list_left = count;
	l->list_first = true;
}

static void put_value_entry(struct leaf *l)
{
	TARN_CHECK(l->max_rep == 0 || l->list_left > 0);
	put_entry(l, l->max_def);
	l->values++;
}

void leaf_put_fixed(struct leaf *l, const void *bytes)
{
	tarn_buf_put(&l->fixed, bytes, l->width);
	put_value_entry(l);
}

void leaf_put_bytes(struct leaf *l, const void *bytes, size_t len)
{
	uint32_t end;
	tarn_buf_put(&l->bytes, bytes, len);
	end = (uint32_t)l->bytes.len;
	tarn_buf_put(&l->ends, &end, sizeof end);
	put_value_entry(l);
}

const uint8_t *leaf_value(const struct leaf *l, size_t i, size_t *len)
{
	if (l->width > 0) {
		*len = l->width;
		return l->fixed.data + i * l->width;
	}
	const uint32_t *ends = (const uint32_t *)(const void *)l->ends.data;
	size_t from = i == 0 ? 0 : ends[i - 1];
	*len = ends[i] - from;
	return l->bytes.data + from;
}

/* ---- encodings ---- */

void leaf_put_plain(const struct leaf *l, size_t from, size_t to, struct tarn_buf *out)
{
	if (l->type == PARQUET_BOOLEAN) {
		encoding_put_bits(out, l->fixed.data + from, to - from);
		return;
	}
	if (l->width > 0) {
		tarn_buf_put(out, l->fixed.data + from * l->width, (to - from) * l->width);
		return;
	}
	for (size_t i = from; i < to; i++) {
		size_t len;
		const uint8_t *v = leaf_value(l, i, &len);
		tarn_buf_put_le32(out, (uint32_t)len);
		tarn_buf_put(out, v, len);
	}
}

enum parquet_encoding leaf_put_values(const struct leaf *l, size_t from, size_t to,
				      struct tarn_buf *out)
{
	const void *at = l->fixed.data + from * l->width;
	if (l->type == PARQUET_INT32) {
		encoding_put_delta32(out, at, to - from);
		return PARQUET_DELTA;
	}
	if (l->type == PARQUET_INT64) {
		encoding_put_delta64(out, at, to - from);
		return PARQUET_DELTA;
	}
	leaf_put_plain(l, from, to, out);
	return PARQUET_PLAIN;
}

/* Open addressing, a power of two of places, at most half of them full. */
struct dictionary {
	uint32_t *places; /* index + 1 into first; 0: empty */
	uint32_t *first;  /* the value that each entry was seen as first */
	size_t mask, count, bytes;
};

static uint32_t look_up(struct dictionary *d, const struct leaf *l, size_t i)
{
	size_t len, other_len;
	const uint8_t *v = leaf_value(l, i, &len), *other;
	size_t p = (size_t)XXH3_64bits(v, len) & d->mask;
	for (; d->places[p] != 0; p = (p + 1) & d->mask) {
		other = leaf_value(l, d->first[d->places[p] - 1], &other_len);
		if (other_len == len && memcmp(other, v, len) == 0)
			return d->places[p] - 1;
	}
	d->first[d->count] = (uint32_t)i;
	d->places[p] = (uint32_t)++d->count;
	d->bytes += len + (l->width > 0 ? 0 : 4);
	return (uint32_t)d->count - 1;
}

static bool fill(struct dictionary *d, const struct leaf *l, uint32_t *indexes)
{
	for (size_t i = 0; i < l->values; i++) {
		indexes[i] = look_up(d, l, i);
		if (d->count >= DICTIONARY_MAX_VALUES || d->bytes > DICTIONARY_MAX_BYTES ||
		    (i == SAMPLE_VALUES && d->count > SAMPLE_VALUES * 3 / 4))
			return false;
	}
	return d->count * 2 <= l->values;
}

bool leaf_dictionary(const struct leaf *l, uint32_t *indexes, uint32_t *distinct,
		     struct tarn_buf *plain)
{
	struct dictionary d = {0};
	size_t places = 64;
	if (l->type == PARQUET_BOOLEAN || l->values < 2)
		return false;
	while (places < 2 * TARN_MIN(l->values, DICTIONARY_MAX_VALUES))
		places *= 2;
	d.mask = places - 1;
	d.places = tarn_calloc(places, sizeof *d.places);
	d.first = tarn_calloc(TARN_MIN(l->values, DICTIONARY_MAX_VALUES), sizeof *d.first);
	bool worth_it = fill(&d, l, indexes);
	for (size_t i = 0; worth_it && i < d.count; i++)
		leaf_put_plain(l, d.first[i], d.first[i] + 1, plain);
	*distinct = (uint32_t)d.count;
	free(d.places);
	free(d.first);
	return worth_it;
}
