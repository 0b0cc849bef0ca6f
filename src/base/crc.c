/* Implementation of crc.h, by isa-l, which picks the fastest instruction set at run time. */
#include "base/system.h"
#include "base/crc.h"
#include <isa-l/crc.h>

uint32_t tarn_crc32c_extend(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	crc = ~crc;
	while (len > 0) {
		int n = (int)TARN_MIN(len, (size_t)1 << 30);
		/* crc32_iscsi only reads; its prototype lacks the const */
		crc = crc32_iscsi((unsigned char *)(uintptr_t)p, n, crc);
		p += n;
		len -= (size_t)n;
	}
	return ~crc;
}

uint32_t tarn_crc32c(const void *data, size_t len)
{
	return tarn_crc32c_extend(0, data, len);
}

uint32_t tarn_crc32(const void *data, size_t len)
{
	return crc32_gzip_refl(0, data, len);
}
