/*
 * A growing byte buffer, and a bounded reader over bytes somebody else holds.
 *
 * struct tarn_buf owns its memory: tarn_buf_init, …, tarn_buf_release; tarn_buf_clear keeps the
 * memory for reuse. Not thread-safe: one owner at a time. Growth aborts above TARN_BUF_MAX_BYTES;
 * a length that comes from outside must be checked by the caller before it is reserved.
 */
#ifndef TARN_BASE_BUF_H
#define TARN_BASE_BUF_H

#include "base/util.h"

#define TARN_BUF_MAX_BYTES ((size_t)2 << 30)

struct tarn_buf {
	uint8_t *data;
	size_t len;
	size_t cap;
};
#define TARN_BUF_INIT      \
	{                  \
		NULL, 0, 0 \
	}

static inline void tarn_buf_init(struct tarn_buf *b)
{
	b->data = NULL;
	b->len = b->cap = 0;
}
void tarn_buf_release(struct tarn_buf *b);
static inline void tarn_buf_clear(struct tarn_buf *b)
{
	b->len = 0;
}
/* Makes room for extra more bytes and returns where they go; len is unchanged. */
uint8_t *tarn_buf_reserve(struct tarn_buf *b, size_t extra);
/* Appends len uninitialised bytes and returns them. */
uint8_t *tarn_buf_extend(struct tarn_buf *b, size_t len);
void tarn_buf_put(struct tarn_buf *b, const void *src, size_t len);
void tarn_buf_put_zeros(struct tarn_buf *b, size_t len);
void tarn_buf_put_u8(struct tarn_buf *b, uint8_t v);
void tarn_buf_put_le16(struct tarn_buf *b, uint16_t v);
void tarn_buf_put_le32(struct tarn_buf *b, uint32_t v);
void tarn_buf_put_le64(struct tarn_buf *b, uint64_t v);
void tarn_buf_put_uvarint(struct tarn_buf *b, uint64_t v); /* LEB128 */
void tarn_buf_put_str(struct tarn_buf *b, const char *s);  /* without terminator */
void tarn_buf_printf(struct tarn_buf *b, const char *fmt, ...) TARN_PRINTF(2, 3);
/* Drops the first len bytes, moving the rest down. */
void tarn_buf_consume(struct tarn_buf *b, size_t len);
/* Terminated text of the content; valid until the next change. */
const char *tarn_buf_cstr(struct tarn_buf *b);

/* Reader: any read past the end sets failed and yields zeros, so a parser may check once, at its
 * end. The bytes are not owned. */
struct tarn_reader {
	const uint8_t *data;
	size_t len;
	size_t pos;
	bool failed;
};
static inline void tarn_reader_init(struct tarn_reader *r, const void *data, size_t len)
{
	r->data = data;
	r->len = len;
	r->pos = 0;
	r->failed = false;
}
static inline size_t tarn_reader_left(const struct tarn_reader *r)
{
	return r->len - r->pos;
}
/* The next len bytes, or NULL (and failed) if there are fewer. */
const uint8_t *tarn_reader_bytes(struct tarn_reader *r, size_t len);
bool tarn_reader_copy(struct tarn_reader *r, void *out, size_t len);
uint8_t tarn_reader_u8(struct tarn_reader *r);
uint16_t tarn_reader_le16(struct tarn_reader *r);
uint32_t tarn_reader_le32(struct tarn_reader *r);
uint64_t tarn_reader_le64(struct tarn_reader *r);
uint64_t tarn_reader_uvarint(struct tarn_reader *r);

#endif
