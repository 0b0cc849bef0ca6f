/* Implementation of id.h. */
#include "base/system.h"
#include "base/id.h"

void tarn_id_random(struct tarn_id *out)
{
	tarn_random_bytes(out->bytes, sizeof out->bytes);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool tarn_id_parse(const char *text, struct tarn_id *out)
{
	if (strnlen(text, TARN_ID_TEXT_BYTES) != TARN_ID_TEXT_BYTES - 1)
		return false;
	for (size_t i = 0; i < sizeof out->bytes; i++) {
		int hi = hex_digit(text[2 * i]), lo = hex_digit(text[2 * i + 1]);
		if (hi < 0 || lo < 0)
			return false;
		out->bytes[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

void tarn_id_format(const struct tarn_id *id, char out[TARN_ID_TEXT_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < sizeof id->bytes; i++) {
		out[2 * i] = digits[id->bytes[i] >> 4];
		out[2 * i + 1] = digits[id->bytes[i] & 15];
	}
	out[TARN_ID_TEXT_BYTES - 1] = '\0';
}
