/*
 * From a column's datum to the value an engine sees.
 *
 * lake_target says once per column what the values become (kind, precision …); lake_value_convert
 * makes one value. A value with no lossless native form becomes LAKE_OVERFLOW: its canonical text,
 * exactly what Postgres's output function prints with DateStyle ISO, IntervalStyle postgres,
 * extra_float_digits 1, bytea_output hex, TimeZone UTC.
 *
 * First version: numeric without typmod, or of precision above 38, is a string of canonical text
 * (not decimal(38,s)); composites are strings. A type whose text we cannot print yet is binary
 * with the datum's raw bytes (detoasted, without varlena header): target.raw.
 *
 * Strings of databases whose encoding is not UTF-8 are given as they are.
 */
#ifndef TARN_LAKE_VALUE_H
#define TARN_LAKE_VALUE_H

#include "base/arena.h"
#include "lake/catalog_reader.h"

enum lake_kind {
	LAKE_BOOLEAN,	  /* v.b */
	LAKE_INT32,	  /* v.i32: int2, int4 */
	LAKE_INT64,	  /* v.i64: int8, oid */
	LAKE_FLOAT,	  /* v.f */
	LAKE_DOUBLE,	  /* v.d */
	LAKE_DECIMAL,	  /* v.dec: unscaled, of target precision and scale */
	LAKE_STRING,	  /* v.bytes, v.len */
	LAKE_BINARY,	  /* v.bytes, v.len */
	LAKE_UUID,	  /* v.bytes, 16 */
	LAKE_DATE,	  /* v.i32: days since 1970-01-01 */
	LAKE_TIME,	  /* v.i64: µs since midnight */
	LAKE_TIMESTAMP,	  /* v.i64: µs since 1970-01-01, no zone */
	LAKE_TIMESTAMPTZ, /* v.i64: µs since 1970-01-01 UTC */
	LAKE_LIST	  /* v.list: 1-D array, lower bound 1 */
};
enum lake_state { LAKE_NULL, LAKE_NATIVE, LAKE_OVERFLOW };

struct lake_target {
	enum lake_kind kind;
	uint8_t precision, scale; /* DECIMAL; 1 ≤ precision ≤ 38, scale ≤ precision */
	bool text;		  /* STRING that is the canonical text of another type */
	bool raw;		  /* BINARY because we cannot print the type */
	bool can_overflow;
	struct lake_target *element; /* LIST; owned */
	const struct lake_database *db;
	const struct lake_type *type; /* with domains resolved */
	int32_t typmod;
};

struct lake_value;
struct lake_list {
	struct lake_value *values;
	uint32_t count;
};
struct lake_value {
	enum lake_state state;
	union {
		bool b;
		int32_t i32;
		int64_t i64;
		float f;
		double d;
		__int128 dec;
		struct {
			const uint8_t *bytes; /* in the page or in the arena; not terminated */
			uint32_t len;
		}; /* STRING, BINARY, UUID, and the text of an OVERFLOW */
		struct lake_list list;
	} v;
};

/* Where values are read. One thread at a time. */
struct lake_reader {
	struct lake_snapshot *snapshot;
	const struct lake_table *table; /* for its TOAST; may be NULL: external values then fail */
	struct tarn_arena *arena; /* receives what does not lie in the page; the caller clears it */
	struct lake_toast_cache *toast; /* NULL at first; lake_reader_release */
};
void lake_reader_release(struct lake_reader *r);

/* What the column's values become. Never fails: an unknown type is raw binary. The database must
 * outlive the target. Not for dropped columns. */
void lake_target_init(struct lake_target *t, const struct lake_database *db,
		      const struct lake_column *column);
void lake_target_release(struct lake_target *t);
/* Iceberg's name of the type: "int", "decimal(10, 2)", "list<string>" … */
void lake_target_name(const struct lake_target *t, char *out, size_t out_size);

/* TARN_E_CORRUPT: the datum is not a value of the type, or its TOAST is missing. */
int lake_value_convert(const struct lake_target *t, struct lake_reader *r, struct pg_datum d,
		       struct lake_value *out, struct tarn_error *err);
/* The canonical text of a datum; appended to out. TARN_E_UNSUPPORTED: not a type we print. */
int lake_value_text(const struct lake_target *t, struct lake_reader *r, struct pg_datum d,
		    struct tarn_buf *out, struct tarn_error *err);

#endif
