/*
 * Timeline ids: 16 random bytes, printed as 32 lower-case hex digits. A timeline is what users call
 * a branch; the id never changes, the name may.
 */
#ifndef TARN_BASE_ID_H
#define TARN_BASE_ID_H

#include "base/util.h"

struct tarn_id {
	uint8_t bytes[16];
};
#define TARN_ID_TEXT_BYTES 33

void tarn_id_random(struct tarn_id *out);
bool tarn_id_parse(const char *text, struct tarn_id *out);
void tarn_id_format(const struct tarn_id *id, char out[TARN_ID_TEXT_BYTES]);
static inline bool tarn_id_equal(const struct tarn_id *a, const struct tarn_id *b)
{
	return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

#endif
