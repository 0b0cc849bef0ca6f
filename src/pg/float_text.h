/* Floats as Postgres prints them: the fewest digits that read back as the same value. */
#ifndef TARN_PG_FLOAT_TEXT_H
#define TARN_PG_FLOAT_TEXT_H

#include "base/buf.h"

void pg_float4_text(float v, struct tarn_buf *out);
void pg_float8_text(double v, struct tarn_buf *out);

#endif
