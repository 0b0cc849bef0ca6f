/* Text of Postgres's built-in scalar types. */
#include "base/system.h"
#include <arpa/inet.h>
#include "lake/value_internal.h"
#include "pg/float_text.h"
#include "pg/jsonb.h"
#include "pg/numeric.h"
#include "pg/time_text.h"

typedef int put_text_fn(const uint8_t *b, uint32_t len, struct tarn_buf *out,
			struct tarn_error *err);

static int corrupt(struct tarn_error *err)
{
	return tarn_fail(err, TARN_E_CORRUPT, "a value is not of its column's type");
}

static double double_at(const uint8_t *b)
{
	double v;
	memcpy(&v, b, sizeof v);
	return v;
}

static int put_bool(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	(void)len, (void)err;
	tarn_buf_put_u8(out, b[0] ? 't' : 'f');
	return 0;
}

static int put_bytea(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	static const char hex[] = "0123456789abcdef";
	(void)err;
	tarn_buf_put_str(out, "\\x");
	uint8_t *to = tarn_buf_extend(out, 2 * (size_t)len);
	for (uint32_t i = 0; i < len; i++) {
		to[2 * i] = (uint8_t)hex[b[i] >> 4];
		to[2 * i + 1] = (uint8_t)hex[b[i] & 15];
	}
	return 0;
}

static int put_text(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	(void)err;
	tarn_buf_put(out, b, len);
	return 0;
}

static int put_name(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	(void)err;
	tarn_buf_put(out, b, strnlen((const char *)b, len));
	return 0;
}

static int put_int2(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	(void)len, (void)err;
	tarn_buf_printf(out, "%d", (int16_t)get_le16(b));
	return 0;
}

static int put_int4(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	(void)len, (void)err;
	tarn_buf_printf(out, "%d", (int32_t)get_le32(b));
	return 0;
}

static int put_uint4(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	(void)len, (void)err;
	tarn_buf_printf(out, "%u", get_le32(b));
	return 0;
}

static int put_int8(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	(void)len, (void)err;
	tarn_buf_printf(out, "%" PRId64, (int64_t)get_le64(b));
	return 0;
}

static int put_uint8(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	(void)len, (void)err;
	tarn_buf_printf(out, "%" PRIu64, get_le64(b));
	return 0;
}

static int put_float4(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	float v;
	(void)len, (void)err;
	memcpy(&v, b, sizeof v);
	pg_float4_text(v, out);
	return 0;
}

static int put_float8(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	(void)len, (void)err;
	pg_float8_text(double_at(b), out);
	return 0;
}

static int put_tid(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	(void)len, (void)err;
	tarn_buf_printf(out, "(%u,%u)", (uint32_t)get_le16(b) << 16 | get_le16(b + 2),
			get_le16(b + 4));
	return 0;
}

static int put_lsn(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	(void)len, (void)err;
	tarn_buf_printf(out, "%X/%X", get_le32(b + 4), get_le32(b));
	return 0;
}

static int put_uuid(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	(void)err;
	for (uint32_t i = 0; i < len; i++)
		tarn_buf_printf(out, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
				b[i]);
	return 0;
}

static int put_macaddr(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	(void)err;
	for (uint32_t i = 0; i < len; i++)
		tarn_buf_printf(out, i ? ":%02x" : "%02x", b[i]);
	return 0;
}

static int put_address(const uint8_t *b, uint32_t len, bool always_bits, struct tarn_buf *out,
		       struct tarn_error *err)
{
	char text[INET6_ADDRSTRLEN];
	if (len < 2 || (b[0] != 2 && b[0] != 3))
		return corrupt(err);
	bool v6 = b[0] == 3;
	unsigned max_bits = v6 ? 128 : 32;
	if (len != 2 + max_bits / 8 || b[1] > max_bits)
		return corrupt(err);
	if (!inet_ntop(v6 ? AF_INET6 : AF_INET, b + 2, text, sizeof text))
		return corrupt(err);
	tarn_buf_put_str(out, text);
	if (always_bits || b[1] != max_bits)
		tarn_buf_printf(out, "/%u", b[1]);
	return 0;
}

static int put_inet(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	return put_address(b, len, false, out, err);
}

static int put_cidr(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	return put_address(b, len, true, out, err);
}

static int put_bits(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	if (len < 4 || get_le32(b) > (uint64_t)(len - 4) * 8)
		return corrupt(err);
	uint32_t n = get_le32(b);
	for (uint32_t i = 0; i < n; i++)
		tarn_buf_put_u8(out, b[4 + i / 8] >> (7 - i % 8) & 1 ? '1' : '0');
	return 0;
}

/* lc_monetary of a Tarn compute is C.UTF-8. */
static int put_money(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	char digits[24];
	int64_t v = (int64_t)get_le64(b);
	uint64_t abs = v < 0 ? (uint64_t)0 - (uint64_t)v : (uint64_t)v;
	(void)len, (void)err;
	tarn_buf_put_str(out, v < 0 ? "-$" : "$");
	tarn_snprintf(digits, sizeof digits, "%" PRIu64, abs / 100);
	size_t n = strlen(digits);
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && (n - i) % 3 == 0)
			tarn_buf_put_u8(out, ',');
		tarn_buf_put_u8(out, (uint8_t)digits[i]);
	}
	tarn_buf_printf(out, ".%02u", (unsigned)(abs % 100));
	return 0;
}

/* ---- time ---- */

static int put_date(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	(void)len, (void)err;
	pg_date_text((int32_t)get_le32(b), out);
	return 0;
}

static int put_time(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	(void)len, (void)err;
	pg_time_text((int64_t)get_le64(b), out);
	return 0;
}

static int put_timetz(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	(void)len, (void)err;
	pg_timetz_text((int64_t)get_le64(b), (int32_t)get_le32(b + 8), out);
	return 0;
}

static int put_timestamp(const uint8_t *b, uint32_t len, struct tarn_buf *out,
			 struct tarn_error *err)
{
	(void)len, (void)err;
	pg_timestamp_text((int64_t)get_le64(b), false, out);
	return 0;
}

static int put_timestamptz(const uint8_t *b, uint32_t len, struct tarn_buf *out,
			   struct tarn_error *err)
{
	(void)len, (void)err;
	pg_timestamp_text((int64_t)get_le64(b), true, out);
	return 0;
}

static int put_interval(const uint8_t *b, uint32_t len, struct tarn_buf *out,
			struct tarn_error *err)
{
	(void)len, (void)err;
	pg_interval_text((int64_t)get_le64(b), (int32_t)get_le32(b + 8), (int32_t)get_le32(b + 12),
			 out);
	return 0;
}

/* ---- geometry ---- */

static void put_points(const uint8_t *b, uint32_t count, struct tarn_buf *out)
{
	for (uint32_t i = 0; i < count; i++) {
		tarn_buf_put_str(out, i ? ",(" : "(");
		pg_float8_text(double_at(b + 16 * i), out);
		tarn_buf_put_u8(out, ',');
		pg_float8_text(double_at(b + 16 * i + 8), out);
		tarn_buf_put_u8(out, ')');
	}
}

static int put_box(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	(void)err;
	put_points(b, len / 16, out); /* a point is one, a box two */
	return 0;
}

static int put_lseg(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	(void)len, (void)err;
	tarn_buf_put_u8(out, '[');
	put_points(b, 2, out);
	tarn_buf_put_u8(out, ']');
	return 0;
}

static int put_line(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	(void)len, (void)err;
	for (int i = 0; i < 3; i++) {
		tarn_buf_put_u8(out, i ? ',' : '{');
		pg_float8_text(double_at(b + 8 * i), out);
	}
	tarn_buf_put_u8(out, '}');
	return 0;
}

static int put_circle(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	(void)len, (void)err;
	tarn_buf_put_u8(out, '<');
	put_points(b, 1, out);
	tarn_buf_put_u8(out, ',');
	pg_float8_text(double_at(b + 16), out);
	tarn_buf_put_u8(out, '>');
	return 0;
}

static int put_polygon(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	if (len < 36 || get_le32(b) != (len - 36) / 16)
		return corrupt(err);
	tarn_buf_put_u8(out, '(');
	put_points(b + 36, get_le32(b), out);
	tarn_buf_put_u8(out, ')');
	return 0;
}

static int put_path(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	if (len < 12 || get_le32(b) != (len - 12) / 16)
		return corrupt(err);
	bool closed = get_le32(b + 4) != 0;
	tarn_buf_put_u8(out, closed ? '(' : '[');
	put_points(b + 12, get_le32(b), out);
	tarn_buf_put_u8(out, closed ? ')' : ']');
	return 0;
}

static int put_numeric(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	return numeric_text(b, len, out, err);
}

static int put_jsonb(const uint8_t *b, uint32_t len, struct tarn_buf *out, struct tarn_error *err)
{
	return jsonb_text(b, len, out, err);
}

/* len 0: of variable length. */
static const struct scalar {
	uint32_t oid, len;
	put_text_fn *put;
} scalars[] = {
	{PG_BOOL, 1, put_bool},
	{PG_BYTEA, 0, put_bytea},
	{PG_CHAR, 1, put_name},
	{PG_NAME, 64, put_name},
	{PG_INT8, 8, put_int8},
	{PG_INT2, 2, put_int2},
	{PG_INT4, 4, put_int4},
	{PG_TEXT, 0, put_text},
	{PG_OID, 4, put_uint4},
	{PG_TID, 6, put_tid},
	{PG_XID, 4, put_uint4},
	{PG_CID, 4, put_uint4},
	{PG_JSON, 0, put_text},
	{PG_XML, 0, put_text},
	{PG_POINT, 16, put_box},
	{PG_LSEG, 32, put_lseg},
	{PG_PATH, 0, put_path},
	{PG_BOX, 32, put_box},
	{PG_POLYGON, 0, put_polygon},
	{PG_LINE, 24, put_line},
	{PG_CIDR, 0, put_cidr},
	{PG_FLOAT4, 4, put_float4},
	{PG_FLOAT8, 8, put_float8},
	{PG_CIRCLE, 24, put_circle},
	{PG_MACADDR8, 8, put_macaddr},
	{PG_MONEY, 8, put_money},
	{PG_MACADDR, 6, put_macaddr},
	{PG_INET, 0, put_inet},
	{PG_BPCHAR, 0, put_text},
	{PG_VARCHAR, 0, put_text},
	{PG_DATE, 4, put_date},
	{PG_TIME, 8, put_time},
	{PG_TIMESTAMP, 8, put_timestamp},
	{PG_TIMESTAMPTZ, 8, put_timestamptz},
	{PG_INTERVAL, 16, put_interval},
	{PG_TIMETZ, 12, put_timetz},
	{PG_BIT, 0, put_bits},
	{PG_VARBIT, 0, put_bits},
	{PG_NUMERIC, 0, put_numeric},
	{PG_UUID, 16, put_uuid},
	{PG_LSN, 8, put_lsn},
	{PG_JSONB, 0, put_jsonb},
	{PG_XID8, 8, put_uint8},
};

static const struct scalar *find(uint32_t oid)
{
	for (size_t i = 0; i < ARRAY_LEN(scalars); i++)
		if (scalars[i].oid == oid)
			return &scalars[i];
	return NULL;
}

bool lake_scalar_printable(uint32_t type_oid)
{
	return find(type_oid) != NULL;
}

int lake_scalar_text(uint32_t type_oid, const uint8_t *bytes, uint32_t len, struct tarn_buf *out,
		     struct tarn_error *err)
{
	const struct scalar *s = find(type_oid);
	if (!s)
		return tarn_fail(err, TARN_E_UNSUPPORTED, "type %u cannot be printed", type_oid);
	if (s->len && s->len != len)
		return corrupt(err);
	return s->put(bytes, len, out, err);
}
