/* Implementation of lsn.h. */
#include "base/system.h"
#include "base/lsn.h"

static bool parse_hex32(const char **p, uint32_t *out)
{
	uint32_t v = 0;
	int digits = 0;
	for (;; (*p)++, digits++) {
		char c = **p;
		uint32_t d;
		if (c >= '0' && c <= '9')
			d = (uint32_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			d = (uint32_t)(c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			d = (uint32_t)(c - 'A' + 10);
		else
			break;
		if (digits == 8)
			return false;
		v = v << 4 | d;
	}
	*out = v;
	return digits > 0;
}

bool tarn_lsn_parse(const char *text, tarn_lsn *out)
{
	uint32_t hi, lo;
	if (!parse_hex32(&text, &hi) || *text++ != '/' || !parse_hex32(&text, &lo) || *text)
		return false;
	*out = (uint64_t)hi << 32 | lo;
	return true;
}

void tarn_lsn_format(tarn_lsn lsn, char out[TARN_LSN_TEXT_BYTES])
{
	snprintf(out, TARN_LSN_TEXT_BYTES, TARN_LSN_FMT, TARN_LSN_ARGS(lsn));
}
