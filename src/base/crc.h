/*
 * Checksums. crc32c (Castagnoli) is Postgres's and ours: tarn_crc32c("123456789", 9) = 0xE3069283.
 * crc32 (ISO-HDLC, zlib's) is what Puffin and Avro-side formats ask for. Any thread.
 */
#ifndef TARN_BASE_CRC_H
#define TARN_BASE_CRC_H

#include "base/util.h"

uint32_t tarn_crc32c(const void *data, size_t len);
/* Continues a crc32c over more bytes: pass the last result. tarn_crc32c(d,n) = extend(0,d,n). */
uint32_t tarn_crc32c_extend(uint32_t crc, const void *data, size_t len);
uint32_t tarn_crc32(const void *data, size_t len);

#endif
