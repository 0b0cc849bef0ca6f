/*
 * Dates and times as Postgres prints them: DateStyle ISO, IntervalStyle postgres, zone UTC.
 * Formulas: j2date of src/backend/utils/adt/datetime.c, EncodeInterval, EncodeDateTime.
 */
#ifndef TARN_PG_TIME_TEXT_H
#define TARN_PG_TIME_TEXT_H

#include "base/buf.h"

#define PG_EPOCH_DAYS 10957 /* 2000-01-01 since 1970-01-01 */
#define PG_DAY_US INT64_C(86400000000)

/* Days since 2000-01-01; INT32_MIN and INT32_MAX are the infinities. */
void pg_date_text(int32_t days, struct tarn_buf *out);
/* µs since midnight; 24:00:00 exists. */
void pg_time_text(int64_t us, struct tarn_buf *out);
/* zone_s: seconds west of Greenwich. */
void pg_timetz_text(int64_t us, int32_t zone_s, struct tarn_buf *out);
/* µs since 2000-01-01; INT64_MIN and INT64_MAX are the infinities. with_zone adds +00. */
void pg_timestamp_text(int64_t us, bool with_zone, struct tarn_buf *out);
void pg_interval_text(int64_t us, int32_t days, int32_t months, struct tarn_buf *out);

#endif
