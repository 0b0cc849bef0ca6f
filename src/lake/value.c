/* Implementation of value.h: what a column becomes, and its native values. value_text.c prints. */
#include "base/system.h"
#include "lake/toast.h"
#include "lake/value_internal.h"
#include "pg/array.h"
#include "pg/numeric.h"
#include "pg/time_text.h"

#define NUMERIC_MAX_PRECISION 38
#define VARLENA_HEADER 4
/* Years 1 to 9999, which every engine's types hold; µs since 2000-01-01, and days. */
#define FIRST_DAY (-730119)
#define LAST_DAY 2921939

static int corrupt(struct tarn_error *err)
{
	return tarn_fail(err, TARN_E_CORRUPT, "a value is not of its column's type");
}

/* ---- targets ---- */

/* numeric(p,s): the typmod holds both; since Postgres 15 the scale may be negative or above p. */
static bool decimal_of(int32_t typmod, uint8_t *precision, uint8_t *scale)
{
	if (typmod < VARLENA_HEADER)
		return false;
	uint32_t p = ((uint32_t)(typmod - VARLENA_HEADER) >> 16) & 0xFFFF;
	int32_t s = ((typmod - VARLENA_HEADER) & 0x7FF) ^ 1024;
	s -= 1024;
	if (p < 1 || p > NUMERIC_MAX_PRECISION || s < 0 || (uint32_t)s > p)
		return false;
	*precision = (uint8_t)p;
	*scale = (uint8_t)s;
	return true;
}

static void set_scalar(struct lake_target *t)
{
	static const struct {
		uint32_t oid;
		enum lake_kind kind;
		bool can_overflow;
	} natives[] = {
		{PG_BOOL, LAKE_BOOLEAN, false},
		{PG_INT2, LAKE_INT32, false},
		{PG_INT4, LAKE_INT32, false},
		{PG_INT8, LAKE_INT64, false},
		{PG_OID, LAKE_INT64, false},
		{PG_FLOAT4, LAKE_FLOAT, false},
		{PG_FLOAT8, LAKE_DOUBLE, false},
		{PG_TEXT, LAKE_STRING, false},
		{PG_VARCHAR, LAKE_STRING, false},
		{PG_BPCHAR, LAKE_STRING, false},
		{PG_NAME, LAKE_STRING, false},
		{PG_BYTEA, LAKE_BINARY, false},
		{PG_UUID, LAKE_UUID, false},
		{PG_DATE, LAKE_DATE, true},
		{PG_TIME, LAKE_TIME, true},
		{PG_TIMESTAMP, LAKE_TIMESTAMP, true},
		{PG_TIMESTAMPTZ, LAKE_TIMESTAMPTZ, true},
	};
	t->kind = LAKE_STRING;
	t->text = true;
	for (size_t i = 0; i < ARRAY_LEN(natives); i++) {
		if (natives[i].oid != t->type->oid)
			continue;
		t->kind = natives[i].kind;
		t->can_overflow = natives[i].can_overflow;
		t->text = false;
	}
	if (t->type->oid == PG_NUMERIC && decimal_of(t->typmod, &t->precision, &t->scale)) {
		t->kind = LAKE_DECIMAL;
		t->can_overflow = true;
		t->text = false;
	}
}

static void init_type(struct lake_target *t, const struct lake_database *db,
		      const struct lake_type *type, int32_t typmod, bool element)
{
	*t = (struct lake_target){.db = db, .typmod = typmod};
	t->type = type ? lake_type_base(db, type, &t->typmod) : NULL;
	if (!t->type || !lake_type_printable(db, t->type, 0)) {
		t->kind = LAKE_BINARY;
		t->raw = true;
		return;
	}
	set_scalar(t);
	bool vector = t->type->oid == PG_INT2VECTOR || t->type->oid == PG_OIDVECTOR;
	if (element || t->type->elem == 0 || vector || lake_scalar_printable(t->type->oid))
		return;
	t->element = tarn_calloc(1, sizeof *t->element);
	/* The typmod of an array is that of its elements. */
	init_type(t->element, db, lake_database_type(db, t->type->elem), t->typmod, true);
	t->kind = LAKE_LIST;
	t->text = false;
	t->can_overflow = true;
}

void lake_target_init(struct lake_target *t, const struct lake_database *db,
		      const struct lake_column *column)
{
	init_type(t, db, column->type, column->typmod, false);
}

void lake_target_release(struct lake_target *t)
{
	if (t->element)
		lake_target_release(t->element);
	free(t->element);
	t->element = NULL;
}

void lake_target_name(const struct lake_target *t, char *out, size_t out_size)
{
	static const char *const names[] = {
		[LAKE_BOOLEAN] = "boolean",	[LAKE_INT32] = "int",
		[LAKE_INT64] = "long",		[LAKE_FLOAT] = "float",
		[LAKE_DOUBLE] = "double",	[LAKE_STRING] = "string",
		[LAKE_BINARY] = "binary",	[LAKE_UUID] = "uuid",
		[LAKE_DATE] = "date",		[LAKE_TIME] = "time",
		[LAKE_TIMESTAMP] = "timestamp", [LAKE_TIMESTAMPTZ] = "timestamptz",
	};
	char element[32];
	if (t->kind == LAKE_DECIMAL) {
		tarn_snprintf(out, out_size, "decimal(%u, %u)", t->precision, t->scale);
	} else if (t->kind == LAKE_LIST) {
		lake_target_name(t->element, element, sizeof element);
		tarn_snprintf(out, out_size, "list<%s>", element);
	} else {
		tarn_snprintf(out, out_size, "%s", names[t->kind]);
	}
}

/* ---- values ---- */

static int as_text(const struct lake_target *t, struct lake_reader *r, struct pg_datum d,
		   struct lake_value *out, struct tarn_error *err)
{
	struct tarn_buf text = TARN_BUF_INIT;
	int rc = lake_type_text(t->db, t->type, r, d, &text, err);
	out->v.len = (uint32_t)text.len;
	out->v.bytes = tarn_arena_memdup(r->arena, text.len ? (void *)text.data : "", text.len);
	tarn_buf_release(&text);
	return rc;
}

static int overflow(const struct lake_target *t, struct lake_reader *r, struct pg_datum d,
		    struct lake_value *out, struct tarn_error *err)
{
	out->state = LAKE_OVERFLOW;
	return as_text(t, r, d, out, err);
}

static int convert_decimal(const struct lake_target *t, struct lake_reader *r, struct pg_datum d,
			   struct lake_value *out, struct tarn_error *err)
{
	const uint8_t *bytes;
	uint32_t len;
	bool exact;
	TRY(lake_payload(t->type, r, d, &bytes, &len, err));
	TRY(numeric_unscaled(bytes, len, t->precision, t->scale, &out->v.dec, &exact, err));
	return exact ? 0 : overflow(t, r, d, out, err);
}

static int convert_time(const struct lake_target *t, struct lake_reader *r, struct pg_datum d,
			struct lake_value *out, struct tarn_error *err)
{
	if (d.len != (t->kind == LAKE_DATE ? 4u : 8u))
		return corrupt(err);
	if (t->kind == LAKE_DATE) {
		int32_t days = (int32_t)get_le32(d.bytes);
		if (days < FIRST_DAY || days > LAST_DAY)
			return overflow(t, r, d, out, err);
		out->v.i32 = days + PG_EPOCH_DAYS;
		return 0;
	}
	int64_t us = (int64_t)get_le64(d.bytes);
	if (t->kind == LAKE_TIME) {
		if (us < 0 || us > PG_DAY_US)
			return corrupt(err);
		out->v.i64 = us;
		return us == PG_DAY_US ? overflow(t, r, d, out, err) : 0;
	}
	if (us < FIRST_DAY * PG_DAY_US || us >= (LAST_DAY + 1) * PG_DAY_US)
		return overflow(t, r, d, out, err);
	out->v.i64 = us + PG_EPOCH_DAYS * PG_DAY_US;
	return 0;
}

static int convert_list(const struct lake_target *t, struct lake_reader *r, struct pg_datum d,
			struct lake_value *out, struct tarn_error *err)
{
	const struct lake_type *element = lake_database_type(t->db, t->type->elem);
	const uint8_t *bytes;
	uint32_t len;
	struct pg_array a;
	TRY(lake_payload(t->type, r, d, &bytes, &len, err));
	TRY(pg_array_open(&a, bytes, len, err));
	if (a.ndim > 1 || (a.ndim == 1 && a.lower[0] != 1))
		return overflow(t, r, d, out, err);
	struct lake_value *values = tarn_arena_zalloc(r->arena, (a.count + 1) * sizeof *values);
	struct pg_attr attr = lake_type_attr(element);
	for (uint32_t i = 0; i < a.count; i++) {
		struct pg_datum e;
		TRY(pg_array_next(&a, &attr, &e, err));
		TRY(lake_value_convert(t->element, r, e, &values[i], err));
		if (values[i].state == LAKE_OVERFLOW)
			return overflow(t, r, d, out, err);
	}
	out->v.list = (struct lake_list){values, a.count};
	return 0;
}

static int convert_bytes(const struct lake_target *t, struct lake_reader *r, struct pg_datum d,
			 struct lake_value *out, struct tarn_error *err)
{
	if (t->text)
		return as_text(t, r, d, out, err);
	/* A raw type may be gone from the catalogs; its datum then is given as it lies there. */
	if (t->type)
		TRY(lake_payload(t->type, r, d, &out->v.bytes, &out->v.len, err));
	else
		*out = (struct lake_value){.state = LAKE_NATIVE,
					   .v = {.bytes = d.bytes, .len = d.len}};
	if (t->kind == LAKE_UUID && out->v.len != 16)
		return corrupt(err);
	if (t->kind == LAKE_STRING && t->type && t->type->oid == PG_NAME)
		out->v.len = (uint32_t)strnlen((const char *)out->v.bytes, out->v.len);
	return 0;
}

static int convert_number(const struct lake_target *t, struct pg_datum d, struct lake_value *out,
			  struct tarn_error *err)
{
	if (d.len != (uint32_t)t->type->len)
		return corrupt(err);
	switch (t->kind) {
	case LAKE_BOOLEAN:
		out->v.b = d.bytes[0] != 0;
		return 0;
	case LAKE_INT32:
		out->v.i32 = d.len == 2 ? (int16_t)get_le16(d.bytes) : (int32_t)get_le32(d.bytes);
		return 0;
	case LAKE_INT64:
		out->v.i64 = d.len == 4 ? (int64_t)get_le32(d.bytes) : (int64_t)get_le64(d.bytes);
		return 0;
	case LAKE_FLOAT:
		memcpy(&out->v.f, d.bytes, sizeof out->v.f);
		return 0;
	default:
		memcpy(&out->v.d, d.bytes, sizeof out->v.d);
		return 0;
	}
}

int lake_value_convert(const struct lake_target *t, struct lake_reader *r, struct pg_datum d,
		       struct lake_value *out, struct tarn_error *err)
{
	memset(out, 0, sizeof *out);
	if (!d.bytes)
		return 0;
	out->state = LAKE_NATIVE;
	switch (t->kind) {
	case LAKE_DECIMAL:
		return convert_decimal(t, r, d, out, err);
	case LAKE_DATE:
	case LAKE_TIME:
	case LAKE_TIMESTAMP:
	case LAKE_TIMESTAMPTZ:
		return convert_time(t, r, d, out, err);
	case LAKE_LIST:
		return convert_list(t, r, d, out, err);
	case LAKE_STRING:
	case LAKE_BINARY:
	case LAKE_UUID:
		return convert_bytes(t, r, d, out, err);
	default:
		return convert_number(t, d, out, err);
	}
}
