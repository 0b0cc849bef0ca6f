/* Implementation of buf.h. */
#include "base/system.h"
#include "base/buf.h"

void tarn_buf_release(struct tarn_buf *b)
{
	free(b->data);
	tarn_buf_init(b);
}

uint8_t *tarn_buf_reserve(struct tarn_buf *b, size_t extra)
{
	TARN_CHECK(extra <= TARN_BUF_MAX_BYTES && b->len <= TARN_BUF_MAX_BYTES - extra);
	if (b->cap - b->len < extra || !b->data) {
		size_t cap = TARN_MAX(b->cap * 2, b->len + extra);
		cap = TARN_MAX(cap, (size_t)64);
		b->data = tarn_realloc(b->data, cap);
		b->cap = cap;
	}
	return b->data + b->len;
}

uint8_t *tarn_buf_extend(struct tarn_buf *b, size_t len)
{
	uint8_t *p = tarn_buf_reserve(b, len);
	b->len += len;
	return p;
}

void tarn_buf_put(struct tarn_buf *b, const void *src, size_t len)
{
	if (len)
		memcpy(tarn_buf_extend(b, len), src, len);
}

void tarn_buf_put_zeros(struct tarn_buf *b, size_t len)
{
	if (len)
		memset(tarn_buf_extend(b, len), 0, len);
}

void tarn_buf_put_u8(struct tarn_buf *b, uint8_t v)
{
	*tarn_buf_extend(b, 1) = v;
}

void tarn_buf_put_le16(struct tarn_buf *b, uint16_t v)
{
	put_le16(tarn_buf_extend(b, 2), v);
}

void tarn_buf_put_le32(struct tarn_buf *b, uint32_t v)
{
	put_le32(tarn_buf_extend(b, 4), v);
}

void tarn_buf_put_le64(struct tarn_buf *b, uint64_t v)
{
	put_le64(tarn_buf_extend(b, 8), v);
}

void tarn_buf_put_uvarint(struct tarn_buf *b, uint64_t v)
{
	while (v >= 0x80) {
		tarn_buf_put_u8(b, (uint8_t)(v | 0x80));
		v >>= 7;
	}
	tarn_buf_put_u8(b, (uint8_t)v);
}

void tarn_buf_put_str(struct tarn_buf *b, const char *s)
{
	tarn_buf_put(b, s, strlen(s));
}

void tarn_buf_printf(struct tarn_buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	TARN_CHECK(n >= 0);
	char *out = (char *)tarn_buf_reserve(b, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(out, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

void tarn_buf_consume(struct tarn_buf *b, size_t len)
{
	TARN_CHECK(len <= b->len);
	if (len == 0)
		return;
	memmove(b->data, b->data + len, b->len - len);
	b->len -= len;
}

const char *tarn_buf_cstr(struct tarn_buf *b)
{
	*tarn_buf_reserve(b, 1) = '\0';
	return (const char *)b->data;
}

const uint8_t *tarn_reader_bytes(struct tarn_reader *r, size_t len)
{
	if (r->failed || tarn_reader_left(r) < len) {
		r->failed = true;
		return NULL;
	}
	const uint8_t *p = r->data + r->pos;
	r->pos += len;
	return p;
}

bool tarn_reader_copy(struct tarn_reader *r, void *out, size_t len)
{
	const uint8_t *p = tarn_reader_bytes(r, len);
	if (!p)
		memset(out, 0, len);
	else if (len)
		memcpy(out, p, len);
	return p != NULL;
}

uint8_t tarn_reader_u8(struct tarn_reader *r)
{
	const uint8_t *p = tarn_reader_bytes(r, 1);
	return p ? *p : 0;
}

uint16_t tarn_reader_le16(struct tarn_reader *r)
{
	const uint8_t *p = tarn_reader_bytes(r, 2);
	return p ? get_le16(p) : 0;
}

uint32_t tarn_reader_le32(struct tarn_reader *r)
{
	const uint8_t *p = tarn_reader_bytes(r, 4);
	return p ? get_le32(p) : 0;
}

uint64_t tarn_reader_le64(struct tarn_reader *r)
{
	const uint8_t *p = tarn_reader_bytes(r, 8);
	return p ? get_le64(p) : 0;
}

uint64_t tarn_reader_uvarint(struct tarn_reader *r)
{
	uint64_t v = 0;
	for (int shift = 0; shift < 64; shift += 7) {
		uint8_t b = tarn_reader_u8(r);
		if (shift == 63 && b > 1)
			break;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return v;
	}
	r->failed = true;
	return 0;
}
