/* Implementation of timestamp.h. */
#include "base/system.h"
#include "pageserver/timestamp.h"

/* ".5", ".123456", …: up to microseconds; more digits are dropped. */
static const char *parse_fraction(const char *p, int64_t *us)
{
	int64_t unit = 100000;
	*us = 0;
	if (*p != '.')
		return p;
	for (p++; *p >= '0' && *p <= '9'; p++) {
		*us += (*p - '0') * unit;
		unit /= 10;
	}
	return p;
}

static bool two_digits(const char **p, int *out)
{
	const char *s = *p;
	if (s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9')
		return false;
	*out = (s[0] - '0') * 10 + s[1] - '0';
	*p += 2;
	return true;
}

static bool parse_zone(const char *p, int64_t *offset_s)
{
	int hours, minutes = 0, sign;
	*offset_s = 0;
	if (*p == ' ')
		p++;
	if (*p == '\0' || strcmp(p, "Z") == 0 || strcmp(p, "UTC") == 0)
		return true;
	if (*p != '+' && *p != '-')
		return false;
	sign = *p++ == '-' ? -1 : 1;
	if (!two_digits(&p, &hours))
		return false;
	if (*p == ':')
		p++;
	if (*p && !two_digits(&p, &minutes))
		return false;
	*offset_s = sign * (hours * 3600 + minutes * 60);
	return *p == '\0';
}

int timestamp_parse(const char *text, int64_t *out_us, struct tarn_error *err)
{
	struct tm tm = {0};
	int64_t fraction_us, offset_s;
	const char *p = text ? strptime(text, "%Y-%m-%d", &tm) : NULL;
	if (p && (*p == 'T' || *p == ' '))
		p = strptime(p + 1, "%H:%M:%S", &tm);
	if (p)
		p = parse_fraction(p, &fraction_us);
	if (!p || !parse_zone(p, &offset_s))
		return tarn_fail(err, TARN_E_USAGE,
				 "\"%.60s\" is no time like 2026-11-24T10:00:00Z",
				 text ? text : "");
	*out_us = ((int64_t)timegm(&tm) - offset_s) * 1000000 + fraction_us;
	return 0;
}
