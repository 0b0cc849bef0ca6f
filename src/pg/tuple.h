/*
 * A tuple's attributes as bytes, and the forms of variable-length values.
 *
 * Source of the layout: Postgres 15, access/htup_details.h, tupmacs.h, postgres.h (varlena),
 * access/toast_compression.h.
 *
 * Pure: no I/O. Any thread. Datums point into the tuple (or the descriptor's missing value): they
 * live as long as those. Hostile bytes give TARN_E_CORRUPT, never a read outside the tuple.
 */
#ifndef TARN_PG_TUPLE_H
#define TARN_PG_TUPLE_H

#include "base/buf.h"
#include "base/error.h"
#include "pg/heap_page.h"

#define PG_MAX_ATTRIBUTES 1600u
#define PG_MAX_VALUE_BYTES ((size_t)1 << 30)

/* The physical part of pg_attribute. */
struct pg_attr {
	int16_t len;   /* bytes; -1: varlena; -2: C string */
	uint8_t align; /* 1, 2, 4, 8 */
	bool byval;
	bool dropped;		/* its datum is always NULL */
	const uint8_t *missing; /* value for tuples older than the column, or NULL: NULL */
	uint32_t missing_len;
};
/* bytes NULL: SQL NULL. Fixed length: the value, in native (little-endian) order, not aligned.
 * varlena: with its header, len the bytes it takes in the tuple. C string: without its zero. */
struct pg_datum {
	const uint8_t *bytes;
	uint32_t len;
};

/* pg_attribute.attalign ('c','s','i','d') as bytes; 0 for another letter. */
uint8_t pg_align_of(char attalign);
/* Fills out[0 … natts-1]; attributes of the tuple beyond natts are left alone. */
int tuple_deform(const struct heap_tuple *t, const struct pg_attr *attrs, uint16_t natts,
		 struct pg_datum *out, struct tarn_error *err);
/* One value at *offset of data[len]: aligns, measures, moves *offset past it. For arrays and the
 * like; data[0] must be aligned as in a tuple. */
int pg_datum_next(const uint8_t *data, size_t len, size_t *offset, const struct pg_attr *attr,
		  struct pg_datum *out, struct tarn_error *err);

enum varlena_form { VARLENA_INLINE, VARLENA_COMPRESSED, VARLENA_EXTERNAL };
enum varlena_method { VARLENA_PGLZ = 0, VARLENA_LZ4 = 1 };
struct varlena {
	enum varlena_form form;
	enum varlena_method method; /* COMPRESSED, EXTERNAL if ext_compressed */
	const uint8_t *payload;	    /* INLINE: the value; COMPRESSED: its compressed bytes */
	uint32_t payload_len;
	uint32_t raw_len; /* of the value when expanded, without header */
	/* EXTERNAL */
	bool ext_compressed;
	uint32_t ext_len; /* bytes stored in the toast table */
	uint32_t value_id;
	uint32_t toast_relid;
};

/* d must be a varlena datum. Expanded and indirect pointers, which never reach disk, are corrupt. */
int varlena_parse(struct pg_datum d, struct varlena *v, struct tarn_error *err);
/* Appends raw_len bytes. The payload must be that of a compressed value. */
int varlena_decompress(enum varlena_method method, const uint8_t *payload, size_t len,
		       uint32_t raw_len, struct tarn_buf *out, struct tarn_error *err);
/* What the toast table holds for a compressed external value: a 4-byte word of raw length and
 * method, then the payload. Appends raw_len bytes. */
int varlena_decompress_toasted(const uint8_t *bytes, size_t len, uint32_t raw_len,
			       struct tarn_buf *out, struct tarn_error *err);
/* Postgres's own compression: expands src into exactly dst_len bytes. */
int pglz_expand(const uint8_t *src, size_t src_len, uint8_t *dst, size_t dst_len,
		struct tarn_error *err);

#endif
