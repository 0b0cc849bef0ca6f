/* Implementation of arena.h. */
#include "base/system.h"
#include "base/arena.h"

#define BLOCK_BYTES (64 * KIB)

struct tarn_arena_block {
	struct tarn_arena_block *next;
	size_t cap;
	size_t used;
	size_t pad;
	uint8_t data[];
};
_Static_assert(offsetof(struct tarn_arena_block, data) % 16 == 0, "arena data is aligned");

static void free_blocks(struct tarn_arena_block *b)
{
	while (b) {
		struct tarn_arena_block *next = b->next;
		free(b);
		b = next;
	}
}

void tarn_arena_release(struct tarn_arena *a)
{
	free_blocks(a->head);
	tarn_arena_init(a);
}

void tarn_arena_clear(struct tarn_arena *a)
{
	if (a->head) {
		free_blocks(a->head->next);
		a->head->next = NULL;
		a->head->used = 0;
	}
	a->used_bytes = 0;
}

void *tarn_arena_alloc(struct tarn_arena *a, size_t size_bytes)
{
	size_t need = (size_t)align_up_u64(size_bytes ? size_bytes : 1, 16);
	if (!a->head || a->head->cap - a->head->used < need) {
		size_t cap = TARN_MAX(need, BLOCK_BYTES);
		struct tarn_arena_block *b = tarn_malloc(sizeof *b + cap);
		b->next = a->head;
		b->cap = cap;
		b->used = 0;
		a->head = b;
	}
	void *p = a->head->data + a->head->used;
	a->head->used += need;
	a->used_bytes += need;
	return p;
}

void *tarn_arena_zalloc(struct tarn_arena *a, size_t size_bytes)
{
	return memset(tarn_arena_alloc(a, size_bytes), 0, size_bytes);
}

void *tarn_arena_memdup(struct tarn_arena *a, const void *src, size_t size_bytes)
{
	void *p = tarn_arena_alloc(a, size_bytes);
	if (size_bytes)
		memcpy(p, src, size_bytes);
	return p;
}

char *tarn_arena_strdup(struct tarn_arena *a, const char *s)
{
	return tarn_arena_memdup(a, s, strlen(s) + 1);
}

char *tarn_arena_printf(struct tarn_arena *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	TARN_CHECK(n >= 0);
	char *out = tarn_arena_alloc(a, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(out, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return out;
}
