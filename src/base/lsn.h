/*
 * LSN: a byte position in a timeline's write-ahead log, 64-bit, printed %X/%X as Postgres does.
 * 0 is "no LSN".
 */
#ifndef TARN_BASE_LSN_H
#define TARN_BASE_LSN_H

#include <inttypes.h>
#include "base/util.h"

typedef uint64_t tarn_lsn;

#define TARN_LSN_FMT "%" PRIX32 "/%" PRIX32
#define TARN_LSN_ARGS(lsn) (uint32_t)((lsn) >> 32), (uint32_t)(lsn)
/* Enough for "FFFFFFFF/FFFFFFFF" and its terminator. */
#define TARN_LSN_TEXT_BYTES 18

/* Accepts exactly HEX/HEX, up to 8 digits each. */
bool tarn_lsn_parse(const char *text, tarn_lsn *out);
void tarn_lsn_format(tarn_lsn lsn, char out[TARN_LSN_TEXT_BYTES]);

#endif
