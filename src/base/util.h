/*
 * Small things that every part needs: sizes, bounds, little-endian access, allocation that cannot
 * return NULL. Nothing here does I/O. All functions may be called from any thread.
 */
#ifndef TARN_BASE_UTIL_H
#define TARN_BASE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TARN_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define TARN_MUST_USE __attribute__((warn_unused_result))
#define TARN_NORETURN __attribute__((noreturn))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define KIB ((size_t)1024)
#define MIB ((size_t)1024 * 1024)

#define TARN_MIN(a, b) ((a) < (b) ? (a) : (b))
#define TARN_MAX(a, b) ((a) > (b) ? (a) : (b))

/* Checks that hold in release builds too: a broken invariant stops the process with its place. */
#define TARN_CHECK(cond) ((cond) ? (void)0 : tarn_check_failed(#cond, __FILE__, __LINE__, __func__))
TARN_NORETURN void tarn_check_failed(const char *cond, const char *file, int line,
				     const char *func);

/* Memory. They abort with a message when the system has none; sizes from outside must be limited
 * by the caller first. Release with free(). */
void *tarn_malloc(size_t size_bytes);
void *tarn_calloc(size_t count, size_t size_bytes);
void *tarn_realloc(void *ptr, size_t size_bytes);
void *tarn_memdup(const void *src, size_t size_bytes);
char *tarn_strdup(const char *s);
char *tarn_asprintf(const char *fmt, ...) TARN_PRINTF(1, 2);

/* Copies at most size-1 bytes and always terminates; returns false if src did not fit. */
bool tarn_strlcpy(char *dst, const char *src, size_t size);
/* snprintf that returns false when the text did not fit (it is truncated and terminated). */
bool tarn_snprintf(char *dst, size_t size, const char *fmt, ...) TARN_PRINTF(3, 4);
/* Whole-string unsigned decimal; false on anything else, or above max. */
bool tarn_parse_u64(const char *s, uint64_t max, uint64_t *out);

/* Unaligned little-endian access. */
static inline uint16_t get_le16(const void *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof v);
	return v;
}
static inline uint32_t get_le32(const void *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return v;
}
static inline uint64_t get_le64(const void *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return v;
}
static inline void put_le16(void *p, uint16_t v)
{
	memcpy(p, &v, sizeof v);
}
static inline void put_le32(void *p, uint32_t v)
{
	memcpy(p, &v, sizeof v);
}
static inline void put_le64(void *p, uint64_t v)
{
	memcpy(p, &v, sizeof v);
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "Tarn runs on little-endian machines");

static inline uint64_t align_up_u64(uint64_t v, uint64_t to)
{
	return (v + to - 1) / to * to;
}

/* Monotonic and wall clocks. */
uint64_t tarn_mono_us(void);
int64_t tarn_wall_us(void); /* microseconds since 1970-01-01 UTC */

/* Bytes from the system's random source. */
void tarn_random_bytes(void *out, size_t len);

#endif
