/* Implementation of float_text.h. */
#include "base/system.h"
#include <math.h>
#include "pg/float_text.h"

/* d.ddd…e±xx of the fewest digits, as digits and the exponent of the first. */
struct shortest {
	char digits[48];
	int count, exponent;
};

static void take_apart(const char *text, struct shortest *s)
{
	const char *e = strchr(text, 'e');
	s->count = 0;
	for (const char *p = text; p < e; p++)
		if (*p != '.')
			s->digits[s->count++] = *p;
	while (s->count > 1 && s->digits[s->count - 1] == '0')
		s->count--;
	s->exponent = atoi(e + 1);
}

/* More digits than a decimal that is tried can have: a middle with so many zeros behind is exact. */
#define MIDDLE_DIGITS 40

static bool is_same_decimal(const char *text, long double middle)
{
	struct shortest a, b;
	char exact[MIDDLE_DIGITS + 16];
	tarn_snprintf(exact, sizeof exact, "%.*Le", MIDDLE_DIGITS, middle);
	take_apart(text, &a);
	take_apart(exact, &b);
	return a.count == b.count && a.exponent == b.exponent &&
	       memcmp(a.digits, b.digits, (size_t)a.count) == 0;
}

/* A decimal exactly in the middle of two values reads back as the even one of them; as Postgres does,
 * such a one is not taken. A long double holds the middle of two doubles exactly. */
static bool is_middle(const char *text, double v, bool single)
{
	long double x = strtold(text, NULL);
	double below = single ? (double)nextafterf((float)v, 0) : nextafter(v, 0);
	double above = single ? (double)nextafterf((float)v, INFINITY) : nextafter(v, INFINITY);
	long double low = ((long double)v + (long double)below) / 2;
	long double high = ((long double)v + (long double)above) / 2;
	return (x == low && is_same_decimal(text, low)) ||
	       (!isinf(above) && x == high && is_same_decimal(text, high));
}

static bool reads_back(const char *text, double v, bool single)
{
	bool same = single ? strtof(text, NULL) == (float)v : strtod(text, NULL) == v;
	return same && !is_middle(text, v, single);
}

/* A power of two has a nearer neighbour below than above: a decimal of fewer digits may lie above it
 * although the nearest one of that length does not read back. */
static bool try_above(char *text, double v, bool single)
{
	char *last = strchr(text, 'e') - 1;
	if (*last < '0' || *last >= '9')
		return false;
	++*last;
	return reads_back(text, v, single);
}

static struct shortest find_shortest(double v, bool single)
{
	struct shortest s;
	char text[40];
	int exponent, max = single ? 9 : 17;
	bool power_of_two = frexp(v, &exponent) == 0.5;
	for (int precision = 0; precision < max; precision++) {
		tarn_snprintf(text, sizeof text, "%.*e", precision, v);
		if (reads_back(text, v, single) || (power_of_two && try_above(text, v, single)))
			break;
	}
	take_apart(text, &s);
	return s;
}

static void put_fixed(const struct shortest *s, struct tarn_buf *out)
{
	if (s->exponent < 0) {
		tarn_buf_put_str(out, "0.");
		for (int i = -1; i > s->exponent; i--)
			tarn_buf_put_u8(out, '0');
		tarn_buf_put(out, s->digits, (size_t)s->count);
		return;
	}
	for (int i = 0; i <= s->exponent || i < s->count; i++) {
		if (i == s->exponent + 1)
			tarn_buf_put_u8(out, '.');
		tarn_buf_put_u8(out, i < s->count ? (uint8_t)s->digits[i] : '0');
	}
}

static void put_scientific(const struct shortest *s, struct tarn_buf *out)
{
	tarn_buf_put_u8(out, (uint8_t)s->digits[0]);
	if (s->count > 1) {
		tarn_buf_put_u8(out, '.');
		tarn_buf_put(out, s->digits + 1, (size_t)s->count - 1);
	}
	tarn_buf_printf(out, "e%c%02d", s->exponent < 0 ? '-' : '+', abs(s->exponent));
}

/* fixed_below: as printf's %g, numbers of an exponent from -4 to below this are written out. */
static void put_float(double v, bool single, int fixed_below, struct tarn_buf *out)
{
	if (isnan(v)) {
		tarn_buf_put_str(out, "NaN");
		return;
	}
	if (signbit(v))
		tarn_buf_put_u8(out, '-');
	if (isinf(v) || v == 0) {
		tarn_buf_put_str(out, v == 0 ? "0" : "Infinity");
		return;
	}
	struct shortest s = find_shortest(fabs(v), single);
	if (s.exponent >= -4 && s.exponent < fixed_below)
		put_fixed(&s, out);
	else
		put_scientific(&s, out);
}

void pg_float4_text(float v, struct tarn_buf *out)
{
	put_float((double)v, true, 6, out);
}

void pg_float8_text(double v, struct tarn_buf *out)
{
	put_float(v, false, 15, out);
}
