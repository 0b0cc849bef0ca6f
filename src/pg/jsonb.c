/* Implementation of jsonb.h. */
#include "base/system.h"
#include "pg/jsonb.h"
#include "pg/numeric.h"

#define COUNT_MASK 0x0FFFFFFFu
#define IS_SCALAR 0x10000000u
#define IS_OBJECT 0x20000000u
#define IS_ARRAY 0x40000000u
#define ENTRY_LENGTH 0x0FFFFFFFu
#define ENTRY_TYPE 0x70000000u
#define ENTRY_HAS_OFFSET 0x80000000u
enum { STRING = 0, NUMERIC = 1, JSON_FALSE = 2, JSON_TRUE = 3, JSON_NULL = 4, CONTAINER = 5 };
#define MAX_DEPTH 1000
#define OFFSET_STRIDE 32

struct container {
	const uint8_t *entries, *data;
	size_t data_len;
	uint32_t count, flags; /* count: of entries */
};

static int corrupt(struct tarn_error *err)
{
	return tarn_fail(err, TARN_E_CORRUPT, "a value is not jsonb");
}

static int open_container(struct container *c, const uint8_t *bytes, size_t len,
			  struct tarn_error *err)
{
	if (len < 4)
		return corrupt(err);
	c->flags = get_le32(bytes);
	uint64_t count = c->flags & COUNT_MASK;
	if (c->flags & IS_OBJECT)
		count *= 2;
	if (!(c->flags & (IS_OBJECT | IS_ARRAY)) || 4 + 4 * count > len)
		return corrupt(err);
	c->count = (uint32_t)count;
	c->entries = bytes + 4;
	c->data = bytes + 4 + 4 * count;
	c->data_len = len - (4 + 4 * count);
	return 0;
}

static uint32_t entry_at(const struct container *c, uint32_t i)
{
	return get_le32(c->entries + 4 * (size_t)i);
}

/* Where entry i ends: its own offset, or the lengths since the last one that has an offset, which
 * every 32nd does. */
static uint64_t end_of(const struct container *c, uint32_t i)
{
	uint64_t end = 0;
	for (int steps = 0; steps <= OFFSET_STRIDE; i--, steps++) {
		uint32_t e = entry_at(c, i);
		end += e & ENTRY_LENGTH;
		if ((e & ENTRY_HAS_OFFSET) || i == 0)
			return end;
	}
	return UINT64_MAX;
}

static int find(const struct container *c, uint32_t i, const uint8_t **bytes, size_t *len,
		struct tarn_error *err)
{
	uint64_t from = i == 0 ? 0 : end_of(c, i - 1), to = end_of(c, i);
	uint32_t type = (entry_at(c, i) & ENTRY_TYPE) >> 28;
	if ((type == NUMERIC || type == CONTAINER) && from < UINT64_MAX)
		from = (from + 3) & ~(uint64_t)3;
	if (from > to || to > c->data_len)
		return corrupt(err);
	*bytes = c->data + from;
	*len = (size_t)(to - from);
	return 0;
}

static void put_string(const uint8_t *s, size_t len, struct tarn_buf *out)
{
	static const char letters[] = "btn?fr"; /* 8 … 13 */
	tarn_buf_put_u8(out, '"');
	for (size_t i = 0; i < len; i++) {
		uint8_t c = s[i];
		if (c == '"' || c == '\\')
			tarn_buf_printf(out, "\\%c", c);
		else if (c >= 8 && c <= 13 && c != 11)
			tarn_buf_printf(out, "\\%c", letters[c - 8]);
		else if (c < 32)
			tarn_buf_printf(out, "\\u%04x", c);
		else
			tarn_buf_put_u8(out, c);
	}
	tarn_buf_put_u8(out, '"');
}

static int put_container(const uint8_t *bytes, size_t len, unsigned depth, struct tarn_buf *out,
			 struct tarn_error *err);

static int put_entry(const struct container *c, uint32_t i, unsigned depth, struct tarn_buf *out,
		     struct tarn_error *err)
{
	const uint8_t *bytes = NULL;
	size_t len = 0;
	TRY(find(c, i, &bytes, &len, err));
	switch ((entry_at(c, i) & ENTRY_TYPE) >> 28) {
	case STRING:
		put_string(bytes, len, out);
		return 0;
	case NUMERIC: /* with a four-byte header of its own */
		return len < 4 ? corrupt(err) : numeric_text(bytes + 4, len - 4, out, err);
	case JSON_FALSE:
		tarn_buf_put_str(out, "false");
		return 0;
	case JSON_TRUE:
		tarn_buf_put_str(out, "true");
		return 0;
	case JSON_NULL:
		tarn_buf_put_str(out, "null");
		return 0;
	case CONTAINER:
		return put_container(bytes, len, depth + 1, out, err);
	default:
		return corrupt(err);
	}
}

static int put_container(const uint8_t *bytes, size_t len, unsigned depth, struct tarn_buf *out,
			 struct tarn_error *err)
{
	struct container c = {0};
	if (depth > MAX_DEPTH)
		return tarn_fail(err, TARN_E_LIMIT, "a jsonb value is nested deeper than %d",
				 MAX_DEPTH);
	TRY(open_container(&c, bytes, len, err));
	if (c.flags & IS_SCALAR)
		return c.count == 1 ? put_entry(&c, 0, depth, out, err) : corrupt(err);
	bool object = (c.flags & IS_OBJECT) != 0;
	uint32_t n = object ? c.count / 2 : c.count;
	tarn_buf_put_u8(out, object ? '{' : '[');
	for (uint32_t i = 0; i < n; i++) {
		if (i > 0)
			tarn_buf_put_str(out, ", ");
		TRY(put_entry(&c, i, depth, out, err));
		if (object) {
			tarn_buf_put_str(out, ": ");
			TRY(put_entry(&c, n + i, depth, out, err));
		}
	}
	tarn_buf_put_u8(out, object ? '}' : ']');
	return 0;
}

int jsonb_text(const uint8_t *bytes, size_t len, struct tarn_buf *out, struct tarn_error *err)
{
	return put_container(bytes, len, 0, out, err);
}
