/* Implementation of numeric.h. */
#include "base/system.h"
#include "pg/numeric.h"

#define DIGIT_BASE 10000
#define DIGITS_PER_DIGIT 4

enum special { FINITE, NOT_A_NUMBER, PLUS_INFINITY, MINUS_INFINITY };
struct numeric {
	enum special special;
	bool negative;
	int weight;	/* of the first base-10000 digit */
	unsigned scale; /* decimal digits after the point */
	const uint8_t *digits;
	int ndigits;
};

static int corrupt(struct tarn_error *err)
{
	return tarn_fail(err, TARN_E_CORRUPT, "a value is not a numeric");
}

static int parse_long(const uint8_t *b, size_t len, uint16_t header, struct numeric *n,
		      struct tarn_error *err)
{
	if (len < 4)
		return corrupt(err);
	n->negative = (header & 0xC000) == 0x4000;
	n->scale = header & 0x3FFF;
	n->weight = (int16_t)get_le16(b + 2);
	n->digits = b + 4;
	return 0;
}

static int parse(const uint8_t *b, size_t len, struct numeric *n, struct tarn_error *err)
{
	memset(n, 0, sizeof *n);
	if (len < 2 || len % 2 != 0)
		return corrupt(err);
	uint16_t h = get_le16(b);
	if ((h & 0xC000) == 0xC000) {
		n->special = (h & 0xF000) == 0xC000   ? NOT_A_NUMBER
			     : (h & 0xF000) == 0xD000 ? PLUS_INFINITY
						      : MINUS_INFINITY;
		return 0;
	}
	if ((h & 0xC000) == 0x8000) {
		n->negative = (h & 0x2000) != 0;
		n->scale = (h & 0x1F80) >> 7;
		n->weight = (h & 0x3F) - (h & 0x40);
		n->digits = b + 2;
	} else {
		TRY(parse_long(b, len, h, n, err));
	}
	n->ndigits = (int)((len - (size_t)(n->digits - b)) / 2);
	for (int i = 0; i < n->ndigits; i++)
		if (get_le16(n->digits + 2 * i) >= DIGIT_BASE)
			return corrupt(err);
	return 0;
}

/* The base-10000 digit of weight w; zero where none is stored. */
static unsigned digit_at(const struct numeric *n, int w)
{
	int i = n->weight - w;
	return i >= 0 && i < n->ndigits ? get_le16(n->digits + 2 * i) : 0;
}

int numeric_text(const uint8_t *bytes, size_t len, struct tarn_buf *out, struct tarn_error *err)
{
	static const char *const names[] = {"", "NaN", "Infinity", "-Infinity"};
	struct numeric n;
	char group[8];
	TRY(parse(bytes, len, &n, err));
	if (n.special != FINITE) {
		tarn_buf_put_str(out, names[n.special]);
		return 0;
	}
	if (n.negative)
		tarn_buf_put_u8(out, '-');
	if (n.weight < 0)
		tarn_buf_put_u8(out, '0');
	for (int w = n.weight; w >= 0; w--)
		tarn_buf_printf(out, w == n.weight ? "%u" : "%04u", digit_at(&n, w));
	if (n.scale == 0)
		return 0;
	tarn_buf_put_u8(out, '.');
	int w = -1;
	for (unsigned left = n.scale; left > 0; w--) {
		unsigned k = TARN_MIN(left, (unsigned)DIGITS_PER_DIGIT);
		tarn_snprintf(group, sizeof group, "%04u", digit_at(&n, w));
		tarn_buf_put(out, group, k);
		left -= k;
	}
	return 0;
}

/* False when it does not fit. */
static bool multiply(__int128 *v, int power_of_ten)
{
	for (; power_of_ten > 0; power_of_ten--)
		if (__builtin_mul_overflow(*v, (__int128)10, v))
			return false;
	return true;
}

static bool divide(__int128 *v, int power_of_ten)
{
	for (; power_of_ten > 0 && *v != 0; power_of_ten--) {
		if (*v % 10 != 0)
			return false;
		*v /= 10;
	}
	return true;
}

int numeric_unscaled(const uint8_t *bytes, size_t len, unsigned precision, unsigned scale,
		     __int128 *out, bool *exact, struct tarn_error *err)
{
	struct numeric n;
	__int128 v = 0, limit = 1;
	TRY(parse(bytes, len, &n, err));
	*exact = n.special == FINITE;
	for (int i = 0; *exact && i < n.ndigits; i++)
		*exact = !__builtin_mul_overflow(v, (__int128)DIGIT_BASE, &v) &&
			 !__builtin_add_overflow(v, (__int128)get_le16(n.digits + 2 * i), &v);
	if (!*exact)
		return 0;
	int power = (n.weight - n.ndigits + 1) * DIGITS_PER_DIGIT + (int)scale;
	*exact = v == 0 || (power >= 0 ? multiply(&v, power) : divide(&v, -power));
	*exact = *exact && multiply(&limit, (int)precision) && v < limit;
	*out = n.negative ? -v : v;
	return 0;
}
