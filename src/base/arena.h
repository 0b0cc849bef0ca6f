/*
 * Arena: many small allocations released at once. Not thread-safe. Memory is aligned to 16 bytes
 * and not zeroed unless said.
 */
#ifndef TARN_BASE_ARENA_H
#define TARN_BASE_ARENA_H

#include "base/util.h"

struct tarn_arena {
	struct tarn_arena_block *head; /* newest block, being filled */
	size_t used_bytes;	       /* given out since init or clear */
};

static inline void tarn_arena_init(struct tarn_arena *a)
{
	a->head = NULL;
	a->used_bytes = 0;
}
void tarn_arena_release(struct tarn_arena *a);
/* Forgets everything but keeps one block for reuse. */
void tarn_arena_clear(struct tarn_arena *a);
void *tarn_arena_alloc(struct tarn_arena *a, size_t size_bytes);
void *tarn_arena_zalloc(struct tarn_arena *a, size_t size_bytes);
void *tarn_arena_memdup(struct tarn_arena *a, const void *src, size_t size_bytes);
char *tarn_arena_strdup(struct tarn_arena *a, const char *s);
char *tarn_arena_printf(struct tarn_arena *a, const char *fmt, ...) TARN_PRINTF(2, 3);

#endif
