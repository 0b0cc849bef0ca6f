/* Canonical text: enums, arrays, composites and ranges around the scalars of value_scalar.c. */
#include "base/system.h"
#include "lake/toast.h"
#include "lake/value_internal.h"
#include "pg/array.h"

static int corrupt(struct tarn_error *err)
{
	return tarn_fail(err, TARN_E_CORRUPT, "a value is not of its column's type");
}

struct pg_attr lake_type_attr(const struct lake_type *t)
{
	return (struct pg_attr){.len = t->len, .align = t->align, .byval = t->byval};
}

int lake_payload(const struct lake_type *t, struct lake_reader *r, struct pg_datum d,
		 const uint8_t **bytes, uint32_t *len, struct tarn_error *err)
{
	if (t->len == -1)
		return lake_detoast(r, d, bytes, len, err);
	*bytes = d.bytes;
	*len = d.len;
	return 0;
}

static bool is_vector(uint32_t oid)
{
	return oid == PG_INT2VECTOR || oid == PG_OIDVECTOR;
}

static const struct lake_type *base_of(const struct lake_database *db, uint32_t oid)
{
	int32_t typmod = -1;
	const struct lake_type *t = lake_database_type(db, oid);
	return t ? lake_type_base(db, t, &typmod) : NULL;
}

static bool part_printable(const struct lake_database *db, uint32_t oid, int depth)
{
	const struct lake_type *t = base_of(db, oid);
	return t && lake_type_printable(db, t, depth + 1);
}

bool lake_type_printable(const struct lake_database *db, const struct lake_type *t, int depth)
{
	if (depth > LAKE_TYPE_MAX_DEPTH)
		return false;
	if (lake_scalar_printable(t->oid) || is_vector(t->oid) || t->typtype == 'e')
		return true;
	if (t->typtype == 'r')
		return part_printable(db, t->range_sub, depth);
	if (t->typtype == 'c') {
		for (uint16_t i = 0; i < t->ncolumns; i++)
			/* The size of a dropped attribute, which is still in the tuples, is not kept. */
			if (t->columns[i].dropped ||
			    !part_printable(db, t->columns[i].type_oid, depth))
				return false;
		return true;
	}
	return t->elem != 0 && part_printable(db, t->elem, depth);
}

static bool is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* ---- enum ---- */

static int put_enum(const struct lake_type *t, struct pg_datum d, struct tarn_buf *out,
		    struct tarn_error *err)
{
	if (d.len != 4)
		return corrupt(err);
	uint32_t oid = get_le32(d.bytes), low = 0, high = t->nlabels;
	while (low < high) {
		uint32_t mid = (low + high) / 2;
		if (t->labels[mid].oid < oid)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == t->nlabels || t->labels[low].oid != oid)
		return tarn_fail(err, TARN_E_CORRUPT, "enum %s has no value %u", t->name, oid);
	tarn_buf_put_str(out, t->labels[low].label);
	return 0;
}

/* ---- arrays ---- */

static bool needs_quotes(const uint8_t *s, size_t len, char delim)
{
	if (len == 0 || (len == 4 && strncasecmp((const char *)s, "null", 4) == 0))
		return true;
	for (size_t i = 0; i < len; i++)
		if (s[i] == '"' || s[i] == '\\' || s[i] == '{' || s[i] == '}' ||
		    s[i] == (uint8_t)delim || is_space(s[i]))
			return true;
	return false;
}

static void put_element(const struct tarn_buf *s, char delim, struct tarn_buf *out)
{
	if (!needs_quotes(s->data, s->len, delim)) {
		tarn_buf_put(out, s->data, s->len);
		return;
	}
	tarn_buf_put_u8(out, '"');
	for (size_t i = 0; i < s->len; i++) {
		if (s->data[i] == '"' || s->data[i] == '\\')
			tarn_buf_put_u8(out, '\\');
		tarn_buf_put_u8(out, s->data[i]);
	}
	tarn_buf_put_u8(out, '"');
}

static void put_dimensions(const struct pg_array *a, struct tarn_buf *out)
{
	bool all_one = true;
	for (int i = 0; i < a->ndim; i++)
		all_one = all_one && a->lower[i] == 1;
	for (int i = 0; !all_one && i < a->ndim; i++)
		tarn_buf_printf(out, "[%d:%d]", a->lower[i], a->lower[i] + (int32_t)a->dims[i] - 1);
	if (!all_one)
		tarn_buf_put_u8(out, '=');
}

/* Braces open where a dimension's index is 0 for all inner ones, and close where they end. */
static void put_braces(const struct pg_array *a, uint32_t i, bool open, char delim,
		       struct tarn_buf *out)
{
	uint64_t inner = 1;
	int n = 0;
	for (int k = a->ndim - 1; k >= 0; k--) {
		inner *= a->dims[k];
		n += (open ? i : i + 1) % inner == 0;
	}
	if (open && i > 0)
		tarn_buf_put_u8(out, (uint8_t)delim);
	for (int k = 0; k < n; k++)
		tarn_buf_put_u8(out, open ? '{' : '}');
}

static int put_array(const struct lake_database *db, const struct lake_type *t,
		     struct lake_reader *r, const uint8_t *bytes, uint32_t len,
		     struct tarn_buf *out, struct tarn_error *err)
{
	const struct lake_type *element = lake_database_type(db, t->elem);
	struct tarn_buf text = TARN_BUF_INIT;
	struct pg_array a;
	int rc = 0;
	if (!element)
		return corrupt(err);
	struct pg_attr attr = lake_type_attr(element);
	char delim = element->delim ? element->delim : ',';
	TRY(pg_array_open(&a, bytes, len, err));
	if (a.count == 0) {
		tarn_buf_put_str(out, "{}");
		return 0;
	}
	put_dimensions(&a, out);
	for (uint32_t i = 0; rc == 0 && i < a.count; i++) {
		struct pg_datum d;
		tarn_buf_clear(&text);
		put_braces(&a, i, true, delim, out);
		rc = pg_array_next(&a, &attr, &d, err);
		if (rc == 0 && d.bytes)
			rc = lake_type_text(db, element, r, d, &text, err);
		if (rc == 0 && d.bytes)
			put_element(&text, delim, out);
		else if (rc == 0)
			tarn_buf_put_str(out, "NULL");
		put_braces(&a, i, false, delim, out);
	}
	tarn_buf_release(&text);
	return rc;
}

static int put_vector(const struct lake_type *t, const uint8_t *bytes, uint32_t len,
		      struct tarn_buf *out, struct tarn_error *err)
{
	struct pg_array a;
	struct pg_attr attr = {.len = t->oid == PG_OIDVECTOR ? 4 : 2, .byval = true};
	attr.align = (uint8_t)attr.len;
	TRY(pg_array_open(&a, bytes, len, err));
	for (uint32_t i = 0; i < a.count; i++) {
		struct pg_datum d;
		TRY(pg_array_next(&a, &attr, &d, err));
		if (!d.bytes)
			return corrupt(err);
		if (i > 0)
			tarn_buf_put_u8(out, ' ');
		TRY(lake_scalar_text(t->oid == PG_OIDVECTOR ? PG_OID : PG_INT2, d.bytes, d.len, out,
				     err));
	}
	return 0;
}

/* ---- composites and ranges: quotes are doubled ---- */

static void put_part(const struct tarn_buf *s, const char *special, struct tarn_buf *out)
{
	bool quotes = s->len == 0;
	for (size_t i = 0; i < s->len; i++)
		quotes = quotes || is_space(s->data[i]) ||
			 (s->data[i] && strchr(special, s->data[i]));
	if (quotes)
		tarn_buf_put_u8(out, '"');
	for (size_t i = 0; i < s->len; i++) {
		if (s->data[i] == '"' || s->data[i] == '\\')
			tarn_buf_put_u8(out, s->data[i]);
		tarn_buf_put_u8(out, s->data[i]);
	}
	if (quotes)
		tarn_buf_put_u8(out, '"');
}

static int put_columns(const struct lake_database *db, const struct lake_type *t,
		       struct lake_reader *r, const struct pg_datum *values, struct tarn_buf *out,
		       struct tarn_error *err)
{
	struct tarn_buf text = TARN_BUF_INIT;
	int rc = 0;
	tarn_buf_put_u8(out, '(');
	for (uint16_t i = 0; rc == 0 && i < t->ncolumns; i++) {
		const struct lake_column *c = &t->columns[i];
		if (i > 0)
			tarn_buf_put_u8(out, ',');
		if (!values[i].bytes)
			continue;
		tarn_buf_clear(&text);
		rc = c->type ? lake_type_text(db, c->type, r, values[i], &text, err) : corrupt(err);
		if (rc == 0)
			put_part(&text, "\"\\(),", out);
	}
	tarn_buf_put_u8(out, ')');
	tarn_buf_release(&text);
	return rc;
}

/* Stored as a tuple whose header begins with what was the varlena header. */
static int put_composite(const struct lake_database *db, const struct lake_type *t,
			 struct lake_reader *r, const uint8_t *bytes, uint32_t len,
			 struct tarn_buf *out, struct tarn_error *err)
{
	struct heap_tuple tuple;
	uint8_t *whole = tarn_arena_zalloc(r->arena, (size_t)len + 4);
	memcpy(whole + 4, bytes, len);
	TRY(heap_tuple_parse(whole, (size_t)len + 4, &tuple, err));
	size_t n = TARN_MAX(t->ncolumns, tuple.natts);
	struct pg_attr *attrs = tarn_arena_zalloc(r->arena, (n + 1) * sizeof *attrs);
	struct pg_datum *values = tarn_arena_zalloc(r->arena, (n + 1) * sizeof *values);
	for (uint16_t i = 0; i < t->ncolumns; i++) {
		const struct lake_column *c = &t->columns[i];
		if (!c->type)
			return corrupt(err);
		attrs[i] = lake_type_attr(c->type);
	}
	TRY(tuple_deform(&tuple, attrs, t->ncolumns, values, err));
	return put_columns(db, t, r, values, out, err);
}

enum {
	RANGE_EMPTY = 0x01,
	RANGE_LB_INC = 0x02,
	RANGE_UB_INC = 0x04,
	RANGE_LB_INF = 0x08,
	RANGE_UB_INF = 0x10
};

static int put_bound(const struct lake_database *db, const struct lake_type *sub,
		     struct lake_reader *r, const uint8_t *data, size_t len, size_t *offset,
		     struct tarn_buf *out, struct tarn_error *err)
{
	struct pg_attr attr = lake_type_attr(sub);
	struct tarn_buf text = TARN_BUF_INIT;
	struct pg_datum d;
	TRY(pg_datum_next(data, len, offset, &attr, &d, err));
	int rc = lake_type_text(db, sub, r, d, &text, err);
	if (rc == 0)
		put_part(&text, "\"\\()[],", out);
	tarn_buf_release(&text);
	return rc;
}

static int put_range(const struct lake_database *db, const struct lake_type *t,
		     struct lake_reader *r, const uint8_t *bytes, uint32_t len,
		     struct tarn_buf *out, struct tarn_error *err)
{
	const struct lake_type *sub = lake_database_type(db, t->range_sub);
	size_t offset = 0;
	if (!sub || len < 5)
		return corrupt(err);
	uint8_t flags = bytes[len - 1];
	const uint8_t *data = bytes + 4;
	if (flags & RANGE_EMPTY) {
		tarn_buf_put_str(out, "empty");
		return 0;
	}
	tarn_buf_put_u8(out, flags & RANGE_LB_INC ? '[' : '(');
	if (!(flags & RANGE_LB_INF))
		TRY(put_bound(db, sub, r, data, len - 5, &offset, out, err));
	tarn_buf_put_u8(out, ',');
	if (!(flags & RANGE_UB_INF))
		TRY(put_bound(db, sub, r, data, len - 5, &offset, out, err));
	tarn_buf_put_u8(out, flags & RANGE_UB_INC ? ']' : ')');
	return 0;
}

/* ---- any type ---- */

int lake_type_text(const struct lake_database *db, const struct lake_type *t, struct lake_reader *r,
		   struct pg_datum d, struct tarn_buf *out, struct tarn_error *err)
{
	const uint8_t *bytes;
	uint32_t len;
	int32_t typmod = -1;
	t = lake_type_base(db, t, &typmod);
	if (!t)
		return corrupt(err);
	if (t->typtype == 'e')
		return put_enum(t, d, out, err);
	TRY(lake_payload(t, r, d, &bytes, &len, err));
	if (lake_scalar_printable(t->oid))
		return lake_scalar_text(t->oid, bytes, len, out, err);
	if (is_vector(t->oid))
		return put_vector(t, bytes, len, out, err);
	if (t->typtype == 'r')
		return put_range(db, t, r, bytes, len, out, err);
	if (t->typtype == 'c')
		return put_composite(db, t, r, bytes, len, out, err);
	if (t->elem != 0)
		return put_array(db, t, r, bytes, len, out, err);
	return tarn_fail(err, TARN_E_UNSUPPORTED, "values of type %s cannot be printed", t->name);
}

int lake_value_text(const struct lake_target *t, struct lake_reader *r, struct pg_datum d,
		    struct tarn_buf *out, struct tarn_error *err)
{
	if (!lake_type_printable(t->db, t->type, 0))
		return tarn_fail(err, TARN_E_UNSUPPORTED, "values of type %s cannot be printed",
				 t->type->name);
	return lake_type_text(t->db, t->type, r, d, out, err);
}
