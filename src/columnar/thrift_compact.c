/* Implementation of thrift_compact.h. */
#include "base/system.h"
#include "columnar/thrift_compact.h"

static uint64_t zigzag(int64_t v)
{
	return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static void field(struct tc_writer *w, int16_t id, enum tc_type type)
{
	int16_t *last = &w->last_id[w->depth];
	TARN_CHECK(id > *last);
	int delta = id - *last;
	if (delta <= 15) {
		tarn_buf_put_u8(w->out, (uint8_t)(delta << 4 | (int)type));
	} else {
		tarn_buf_put_u8(w->out, (uint8_t)type);
		tarn_buf_put_uvarint(w->out, zigzag(id));
	}
	*last = id;
}

static void enter(struct tc_writer *w)
{
	TARN_CHECK(w->depth + 1 < TC_MAX_DEPTH);
	w->last_id[++w->depth] = 0;
}

void tc_init(struct tc_writer *w, struct tarn_buf *out)
{
	w->out = out;
	w->depth = 0;
	w->last_id[0] = 0;
}

void tc_bool(struct tc_writer *w, int16_t id, bool v)
{
	field(w, id, v ? TC_TRUE : TC_FALSE);
}

void tc_i32(struct tc_writer *w, int16_t id, int32_t v)
{
	field(w, id, TC_I32);
	tc_elem_i32(w, v);
}

void tc_i64(struct tc_writer *w, int16_t id, int64_t v)
{
	field(w, id, TC_I64);
	tc_elem_i64(w, v);
}

void tc_binary(struct tc_writer *w, int16_t id, const void *bytes, size_t len)
{
	field(w, id, TC_BINARY);
	tc_elem_binary(w, bytes, len);
}

void tc_string(struct tc_writer *w, int16_t id, const char *s)
{
	tc_binary(w, id, s, strlen(s));
}

void tc_struct(struct tc_writer *w, int16_t id)
{
	field(w, id, TC_STRUCT);
	enter(w);
}

void tc_end(struct tc_writer *w)
{
	tarn_buf_put_u8(w->out, 0);
	if (w->depth > 0)
		w->depth--;
}

void tc_list(struct tc_writer *w, int16_t id, enum tc_type element, size_t count)
{
	field(w, id, TC_LIST);
	if (count < 15) {
		tarn_buf_put_u8(w->out, (uint8_t)(count << 4 | (size_t)element));
	} else {
		tarn_buf_put_u8(w->out, (uint8_t)(0xF0 | (int)element));
		tarn_buf_put_uvarint(w->out, count);
	}
}

void tc_elem_bool(struct tc_writer *w, bool v)
{
	tarn_buf_put_u8(w->out, v ? TC_TRUE : TC_FALSE);
}

void tc_elem_i32(struct tc_writer *w, int32_t v)
{
	tarn_buf_put_uvarint(w->out, zigzag(v));
}

void tc_elem_i64(struct tc_writer *w, int64_t v)
{
	tarn_buf_put_uvarint(w->out, zigzag(v));
}

void tc_elem_binary(struct tc_writer *w, const void *bytes, size_t len)
{
	tarn_buf_put_uvarint(w->out, len);
	tarn_buf_put(w->out, bytes, len);
}

void tc_elem_begin(struct tc_writer *w)
{
	enter(w);
}
