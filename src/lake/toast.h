/*
 * The bytes of a variable-length value, wherever Postgres put them: in the tuple, compressed in the
 * tuple, or cut into chunks in the table's TOAST relation.
 *
 * One thread at a time per lake_reader.
 */
#ifndef TARN_LAKE_TOAST_H
#define TARN_LAKE_TOAST_H

#include "lake/value.h"

/* Gives the payload of the varlena datum d, without its header: in d itself, or in r->arena. d must
 * not be NULL. TARN_E_CORRUPT: d is no varlena, or its chunks are missing or disagree. A value
 * stored out of line needs r->table and r->snapshot; the others only r->arena. */
int lake_detoast(struct lake_reader *r, struct pg_datum d, const uint8_t **bytes, uint32_t *len,
		 struct tarn_error *err);

#endif
