/* Implementation of time_text.h. */
#include "base/system.h"
#include "pg/time_text.h"

#define EPOCH_JULIAN_DAY 2451545 /* 2000-01-01 */

struct ymd {
	int year, month, day; /* year 0 is 1 BC */
};

static struct ymd from_julian_day(int64_t jd)
{
	struct ymd d;
	uint32_t julian = (uint32_t)jd + 32044, quad = julian / 146097;
	uint32_t extra = (julian - quad * 146097) * 4 + 3;
	julian += 60 + quad * 3 + extra / 146097;
	quad = julian / 1461;
	julian -= quad * 1461;
	int32_t y = (int32_t)(julian * 4 / 1461);
	julian = (y != 0 ? (julian + 305) % 365 : (julian + 306) % 366) + 123;
	y += (int32_t)(quad * 4);
	d.year = y - 4800;
	quad = julian * 2141 / 65536;
	d.day = (int)(julian - 7834 * quad / 256);
	d.month = (int)((quad + 10) % 12 + 1);
	return d;
}

/* Returns whether " BC" has to follow. */
static bool put_date(int64_t days, struct tarn_buf *out)
{
	struct ymd d = from_julian_day(days + EPOCH_JULIAN_DAY);
	tarn_buf_printf(out, "%04d-%02d-%02d", d.year > 0 ? d.year : 1 - d.year, d.month, d.day);
	return d.year <= 0;
}

/* Seconds with as many digits as there are. */
static void put_seconds(int seconds, int us, struct tarn_buf *out)
{
	tarn_buf_printf(out, "%02d", seconds);
	if (us == 0)
		return;
	tarn_buf_printf(out, ".%06d", us);
	while (out->data[out->len - 1] == '0')
		out->len--;
}

void pg_date_text(int32_t days, struct tarn_buf *out)
{
	if (days == INT32_MIN || days == INT32_MAX)
		tarn_buf_put_str(out, days == INT32_MIN ? "-infinity" : "infinity");
	else if (put_date(days, out))
		tarn_buf_put_str(out, " BC");
}

void pg_time_text(int64_t us, struct tarn_buf *out)
{
	int64_t s = us / 1000000;
	tarn_buf_printf(out, "%02d:%02d:", (int)(s / 3600), (int)(s / 60 % 60));
	put_seconds((int)(s % 60), (int)(us % 1000000), out);
}

void pg_timetz_text(int64_t us, int32_t zone_s, struct tarn_buf *out)
{
	int s = zone_s < 0 ? -zone_s : zone_s;
	pg_time_text(us, out);
	tarn_buf_printf(out, "%c%02d", zone_s <= 0 ? '+' : '-', s / 3600);
	if (s % 3600 != 0)
		tarn_buf_printf(out, ":%02d", s / 60 % 60);
	if (s % 60 != 0)
		tarn_buf_printf(out, ":%02d", s % 60);
}

void pg_timestamp_text(int64_t us, bool with_zone, struct tarn_buf *out)
{
	if (us == INT64_MIN || us == INT64_MAX) {
		tarn_buf_put_str(out, us == INT64_MIN ? "-infinity" : "infinity");
		return;
	}
	int64_t days = us / PG_DAY_US, rest = us % PG_DAY_US;
	if (rest < 0) {
		rest += PG_DAY_US;
		days--;
	}
	bool bc = put_date(days, out);
	tarn_buf_put_u8(out, ' ');
	pg_time_text(rest, out);
	if (with_zone)
		tarn_buf_put_str(out, "+00");
	if (bc)
		tarn_buf_put_str(out, " BC");
}

struct interval_text {
	struct tarn_buf *out;
	bool zero;   /* nothing printed yet */
	bool before; /* the last part was negative */
};

static void put_part(struct interval_text *t, int value, const char *unit)
{
	if (value == 0)
		return;
	tarn_buf_printf(t->out, "%s%s%d %s%s", t->zero ? "" : " ",
			t->before && value > 0 ? "+" : "", value, unit, value != 1 ? "s" : "");
	t->before = value < 0;
	t->zero = false;
}

void pg_interval_text(int64_t us, int32_t days, int32_t months, struct tarn_buf *out)
{
	struct interval_text t = {.out = out, .zero = true};
	put_part(&t, months / 12, "year");
	put_part(&t, months % 12, "mon");
	put_part(&t, days, "day");
	if (!t.zero && us == 0)
		return;
	uint64_t abs = us < 0 ? (uint64_t)0 - (uint64_t)us : (uint64_t)us, s = abs / 1000000;
	tarn_buf_printf(out, "%s%s%02" PRIu64 ":%02d:", t.zero ? "" : " ",
			us < 0	   ? "-"
			: t.before ? "+"
				   : "",
			s / 3600, (int)(s / 60 % 60));
	put_seconds((int)(s % 60), (int)(abs % 1000000), out);
}
