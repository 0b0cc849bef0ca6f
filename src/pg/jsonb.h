/*
 * jsonb as it lies in a tuple, without its varlena header, printed as jsonb_out does.
 * Format: src/include/utils/jsonb.h of Postgres 15.
 */
#ifndef TARN_PG_JSONB_H
#define TARN_PG_JSONB_H

#include "base/buf.h"
#include "base/error.h"

int jsonb_text(const uint8_t *bytes, size_t len, struct tarn_buf *out, struct tarn_error *err);

#endif
