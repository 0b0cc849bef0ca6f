/* Implementation of tuple.h. */
#include "base/system.h"
#include <lz4.h>
#include "pg/tuple.h"

#define VARTAG_ONDISK 18
#define EXTERNAL_BYTES 18u
#define RAW_LEN_MASK 0x3FFFFFFFu
/* What the best-compressing input can expand to, per byte: pglz 2184/25, lz4 255. */
#define MAX_EXPANSION 256u

uint8_t pg_align_of(char attalign)
{
	switch (attalign) {
	case 'c':
		return 1;
	case 's':
		return 2;
	case 'i':
		return 4;
	case 'd':
		return 8;
	default:
		return 0;
	}
}

/* Bytes the varlena at p takes, given that avail > 0 remain; 0 if it does not fit. */
static inline uint32_t varlena_size(const uint8_t *p, size_t avail)
{
	uint32_t size;
	if (p[0] == 0x01)
		size = EXTERNAL_BYTES;
	else if (p[0] & 1)
		size = p[0] >> 1;
	else if (avail < 4)
		return 0;
	else
		size = get_le32(p) >> 2;
	if (size > avail || (size < 4 && !(p[0] & 1)))
		return 0;
	return size;
}

static int bad_value(const char *what, size_t offset, struct tarn_error *err)
{
	return tarn_fail(err, TARN_E_CORRUPT, "%s at byte %zu of the tuple's data", what, offset);
}

int pg_datum_next(const uint8_t *data, size_t len, size_t *offset, const struct pg_attr *attr,
		  struct pg_datum *out, struct tarn_error *err)
{
	size_t at = *offset, align = attr->align;
	/* A short varlena is not aligned: its first byte is never zero, padding always is. */
	if (!(attr->len == -1 && at < len && data[at] != 0))
		at = (at + align - 1) & ~(align - 1);
	if (at > len || (at == len && attr->len != 0))
		return bad_value("a value is missing", at, err);
	uint32_t size;
	if (attr->len > 0) {
		size = (uint32_t)attr->len;
		if (size > len - at)
			return bad_value("a value is cut off", at, err);
	} else if (attr->len == -1) {
		size = varlena_size(data + at, len - at);
		if (size == 0)
			return bad_value("a variable-length value has an impossible length", at,
					 err);
	} else if (attr->len == -2) {
		const uint8_t *end = memchr(data + at, 0, len - at);
		if (end == NULL)
			return bad_value("a C string has no end", at, err);
		out->bytes = data + at;
		out->len = (uint32_t)(end - data - (ptrdiff_t)at);
		*offset = at + out->len + 1;
		return 0;
	} else {
		return tarn_fail(err, TARN_E_CORRUPT, "a column's length %d is impossible",
				 attr->len);
	}
	out->bytes = data + at;
	out->len = size;
	*offset = at + size;
	return 0;
}

int tuple_deform(const struct heap_tuple *t, const struct pg_attr *attrs, uint16_t natts,
		 struct pg_datum *out, struct tarn_error *err)
{
	const uint8_t *nulls =
		t->infomask & HEAP_HASNULL ? t->bytes + HEAP_TUPLE_HEADER_BYTES : NULL;
	const uint8_t *data = t->bytes + t->hoff;
	size_t len = (size_t)t->len - t->hoff, offset = 0;
	uint16_t have = TARN_MIN(t->natts, natts);
	for (uint16_t i = 0; i < have; i++) {
		if (nulls != NULL && !(nulls[i / 8] & 1 << i % 8)) {
			out[i].bytes = NULL;
			out[i].len = 0;
			continue;
		}
		if (pg_datum_next(data, len, &offset, &attrs[i], &out[i], err) != 0)
			return tarn_error_prefix(err, "column %u", i + 1u);
		if (attrs[i].dropped) {
			out[i].bytes = NULL;
			out[i].len = 0;
		}
	}
	for (uint16_t i = have; i < natts; i++) {
		out[i].bytes = attrs[i].dropped ? NULL : attrs[i].missing;
		out[i].len = out[i].bytes == NULL ? 0 : attrs[i].missing_len;
	}
	return 0;
}

static int check_method(uint32_t bits, struct tarn_error *err)
{
	if (bits != VARLENA_PGLZ && bits != VARLENA_LZ4)
		return tarn_fail(err, TARN_E_CORRUPT, "a value has an unknown compression method");
	return 0;
}

static int parse_external(struct pg_datum d, struct varlena *v, struct tarn_error *err)
{
	if (d.len < EXTERNAL_BYTES || d.bytes[1] != VARTAG_ONDISK)
		return tarn_fail(err, TARN_E_CORRUPT, "a TOAST pointer is not of the on-disk kind");
	uint32_t raw_size = get_le32(d.bytes + 2), info = get_le32(d.bytes + 6);
	if (raw_size < 4 || raw_size > PG_MAX_VALUE_BYTES)
		return tarn_fail(err, TARN_E_CORRUPT, "a TOAST pointer names %u bytes", raw_size);
	v->form = VARLENA_EXTERNAL;
	v->payload = NULL;
	v->payload_len = 0;
	v->raw_len = raw_size - 4;
	v->ext_len = info & RAW_LEN_MASK;
	v->ext_compressed = v->ext_len < v->raw_len;
	v->method = (enum varlena_method)(info >> 30);
	v->value_id = get_le32(d.bytes + 10);
	v->toast_relid = get_le32(d.bytes + 14);
	if (v->ext_len > v->raw_len)
		return tarn_fail(err, TARN_E_CORRUPT, "a TOAST pointer names %u bytes of %u",
				 v->ext_len, v->raw_len);
	return v->ext_compressed ? check_method(info >> 30, err) : 0;
}

int varlena_parse(struct pg_datum d, struct varlena *v, struct tarn_error *err)
{
	memset(v, 0, sizeof *v);
	if (d.len == 0 || varlena_size(d.bytes, d.len) != d.len)
		return tarn_fail(err, TARN_E_CORRUPT, "a variable-length value has a wrong length");
	if (d.bytes[0] == 0x01)
		return parse_external(d, v, err);
	if (d.bytes[0] & 1) {
		v->form = VARLENA_INLINE;
		v->payload = d.bytes + 1;
		v->payload_len = v->raw_len = d.len - 1;
		return 0;
	}
	if ((d.bytes[0] & 3) == 0) {
		v->form = VARLENA_INLINE;
		v->payload = d.bytes + 4;
		v->payload_len = v->raw_len = d.len - 4;
		return 0;
	}
	if (d.len < 8)
		return tarn_fail(err, TARN_E_CORRUPT, "a compressed value is cut off");
	uint32_t info = get_le32(d.bytes + 4);
	TRY(check_method(info >> 30, err));
	v->form = VARLENA_COMPRESSED;
	v->method = (enum varlena_method)(info >> 30);
	v->raw_len = info & RAW_LEN_MASK;
	v->payload = d.bytes + 8;
	v->payload_len = d.len - 8;
	return 0;
}

int pglz_expand(const uint8_t *src, size_t src_len, uint8_t *dst, size_t dst_len,
		struct tarn_error *err)
{
	const uint8_t *sp = src, *send = src + src_len;
	uint8_t *dp = dst, *dend = dst + dst_len;
	while (sp < send && dp < dend) {
		unsigned control = *sp++;
		for (int i = 0; i < 8 && sp < send && dp < dend; i++, control >>= 1) {
			if (!(control & 1)) {
				*dp++ = *sp++;
				continue;
			}
			if (send - sp < 2)
				goto corrupt;
			size_t len = (sp[0] & 0x0Fu) + 3;
			size_t back = (sp[0] & 0xF0u) << 4 | sp[1];
			sp += 2;
			if (len == 18) {
				if (sp == send)
					goto corrupt;
				len += *sp++;
			}
			if (back == 0 || back > (size_t)(dp - dst))
				goto corrupt;
			len = TARN_MIN(len, (size_t)(dend - dp));
			/* The copy may overlap what it writes: that is how runs are stored. */
			for (; len > 0; len--, dp++)
				*dp = dp[-(ptrdiff_t)back];
		}
	}
	if (dp == dend && sp == send)
		return 0;
corrupt:
	return tarn_fail(err, TARN_E_CORRUPT,
			 "a pglz-compressed value does not expand to %zu bytes", dst_len);
}

int varlena_decompress(enum varlena_method method, const uint8_t *payload, size_t len,
		       uint32_t raw_len, struct tarn_buf *out, struct tarn_error *err)
{
	if (raw_len > PG_MAX_VALUE_BYTES || len > PG_MAX_VALUE_BYTES ||
	    raw_len > (uint64_t)len * MAX_EXPANSION)
		return tarn_fail(err, TARN_E_CORRUPT,
				 "a compressed value of %zu bytes cannot expand to %u", len,
				 raw_len);
	if (raw_len > TARN_BUF_MAX_BYTES - out->len)
		return tarn_fail(err, TARN_E_LIMIT, "values of more than %zu bytes at once",
				 TARN_BUF_MAX_BYTES);
	size_t before = out->len;
	uint8_t *dst = tarn_buf_extend(out, raw_len);
	int rc = 0;
	if (method == VARLENA_PGLZ)
		rc = pglz_expand(payload, len, dst, raw_len, err);
	else if (LZ4_decompress_safe((const char *)payload, (char *)dst, (int)len, (int)raw_len) !=
		 (int)raw_len)
		rc = tarn_fail(err, TARN_E_CORRUPT,
			       "an lz4-compressed value does not expand to %u bytes", raw_len);
	if (rc != 0)
		out->len = before;
	return rc;
}

int varlena_decompress_toasted(const uint8_t *bytes, size_t len, uint32_t raw_len,
			       struct tarn_buf *out, struct tarn_error *err)
{
	if (len < 4 || (get_le32(bytes) & RAW_LEN_MASK) != raw_len)
		return tarn_fail(err, TARN_E_CORRUPT,
				 "a compressed value in TOAST names another length");
	uint32_t method = get_le32(bytes) >> 30;
	TRY(check_method(method, err));
	return varlena_decompress((enum varlena_method)method, bytes + 4, len - 4, raw_len, out,
				  err);
}
