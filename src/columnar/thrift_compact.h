/*
 * Thrift's compact protocol, writing only, as Parquet's footer and page headers need it.
 * Format: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
 *
 * A struct is begun, its fields are put in ascending order of id, and it is ended. Elements of a
 * list are put with the tc_elem_… functions, or as tc_elem_begin … tc_end for structs.
 */
#ifndef TARN_COLUMNAR_THRIFT_COMPACT_H
#define TARN_COLUMNAR_THRIFT_COMPACT_H

#include "base/buf.h"

enum tc_type {
	TC_TRUE = 1,
	TC_FALSE = 2,
	TC_I32 = 5,
	TC_I64 = 6,
	TC_BINARY = 8,
	TC_LIST = 9,
	TC_STRUCT = 12
};
#define TC_MAX_DEPTH 8

struct tc_writer {
	struct tarn_buf *out;
	int16_t last_id[TC_MAX_DEPTH]; /* of the field put last, at each depth */
	unsigned depth;
};

/* The outermost struct begins. */
void tc_init(struct tc_writer *w, struct tarn_buf *out);
void tc_bool(struct tc_writer *w, int16_t id, bool v);
void tc_i32(struct tc_writer *w, int16_t id, int32_t v);
void tc_i64(struct tc_writer *w, int16_t id, int64_t v);
void tc_binary(struct tc_writer *w, int16_t id, const void *bytes, size_t len);
void tc_string(struct tc_writer *w, int16_t id, const char *s);
void tc_struct(struct tc_writer *w, int16_t id);
/* Ends the innermost struct, at last the outermost. */
void tc_end(struct tc_writer *w);
/* Its elements follow. */
void tc_list(struct tc_writer *w, int16_t id, enum tc_type element, size_t count);
void tc_elem_bool(struct tc_writer *w, bool v);
void tc_elem_i32(struct tc_writer *w, int32_t v);
void tc_elem_i64(struct tc_writer *w, int64_t v);
void tc_elem_binary(struct tc_writer *w, const void *bytes, size_t len);
void tc_elem_begin(struct tc_writer *w);

#endif
