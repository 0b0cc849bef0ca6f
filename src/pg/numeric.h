/*
 * Postgres's numeric as it lies in a tuple, without its varlena header.
 * Format: src/backend/utils/adt/numeric.c of Postgres 15 (NumericShort, NumericLong).
 */
#ifndef TARN_PG_NUMERIC_H
#define TARN_PG_NUMERIC_H

#include "base/buf.h"
#include "base/error.h"

/* What numeric_out prints; appended. */
int numeric_text(const uint8_t *bytes, size_t len, struct tarn_buf *out, struct tarn_error *err);
/* The value times 10^scale, if that is a whole number of at most precision digits (1 … 38); else,
 * and for NaN and infinities, *exact is false. */
int numeric_unscaled(const uint8_t *bytes, size_t len, unsigned precision, unsigned scale,
		     __int128 *out, bool *exact, struct tarn_error *err);

#endif
