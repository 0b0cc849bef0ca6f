/* Implementation of util.h. */
#include "base/system.h"
#include <sys/random.h>

void tarn_check_failed(const char *cond, const char *file, int line, const char *func)
{
	fprintf(stderr, "tarn: impossible state: %s does not hold (%s:%d, %s); stopping\n", cond,
		file, line, func);
	abort();
}

static TARN_NORETURN void out_of_memory(size_t size_bytes)
{
	fprintf(stderr, "tarn: out of memory: the system refused %zu bytes; stopping\n",
		size_bytes);
	abort();
}

void *tarn_malloc(size_t size_bytes)
{
	void *p = malloc(size_bytes ? size_bytes : 1);
	if (!p)
		out_of_memory(size_bytes);
	return p;
}

void *tarn_calloc(size_t count, size_t size_bytes)
{
	void *p = calloc(count ? count : 1, size_bytes ? size_bytes : 1);
	if (!p)
		out_of_memory(size_bytes);
	return p;
}

void *tarn_realloc(void *ptr, size_t size_bytes)
{
	void *p = realloc(ptr, size_bytes ? size_bytes : 1);
	if (!p)
		out_of_memory(size_bytes);
	return p;
}

void *tarn_memdup(const void *src, size_t size_bytes)
{
	void *p = tarn_malloc(size_bytes);
	if (size_bytes)
		memcpy(p, src, size_bytes);
	return p;
}

char *tarn_strdup(const char *s)
{
	return tarn_memdup(s, strlen(s) + 1);
}

char *tarn_asprintf(const char *fmt, ...)
{
	char *out = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&out, fmt, ap);
	va_end(ap);
	if (n < 0)
		out_of_memory(0);
	return out;
}

bool tarn_strlcpy(char *dst, const char *src, size_t size)
{
	TARN_CHECK(size > 0);
	size_t len = strnlen(src, size);
	bool fits = len < size;
	if (!fits)
		len = size - 1;
	memcpy(dst, src, len);
	dst[len] = '\0';
	return fits;
}

bool tarn_snprintf(char *dst, size_t size, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(dst, size, fmt, ap);
	va_end(ap);
	return n >= 0 && (size_t)n < size;
}

bool tarn_parse_u64(const char *s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		uint64_t digit = (uint64_t)(*s - '0');
		if (v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	if (v > max)
		return false;
	*out = v;
	return true;
}

uint64_t tarn_mono_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

int64_t tarn_wall_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void tarn_random_bytes(void *out, size_t len)
{
	unsigned char *p = out;
	while (len > 0) {
		ssize_t n = getrandom(p, TARN_MIN(len, (size_t)256), 0);
		if (n < 0 && errno == EINTR)
			continue;
		TARN_CHECK(n > 0);
		p += n;
		len -= (size_t)n;
	}
}
