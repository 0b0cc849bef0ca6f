/* Points in time as people and programs write them. */
#ifndef TARN_PAGESERVER_TIMESTAMP_H
#define TARN_PAGESERVER_TIMESTAMP_H

#include "base/error.h"

/* "2026-11-24T10:00:00.5Z", "2026-11-24 11:00:00+01", "…+01:00"; without a zone: UTC. Microseconds since
 * 1970. text may be NULL. */
int timestamp_parse(const char *text, int64_t *out_us, struct tarn_error *err);

#endif
