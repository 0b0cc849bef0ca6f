/*
 * Parquet's encodings of values and levels.
 * Format: https://github.com/apache/parquet-format/blob/master/Encodings.md
 */
#ifndef TARN_COLUMNAR_ENCODING_H
#define TARN_COLUMNAR_ENCODING_H

#include "base/buf.h"

/* Bits that hold any value up to max. */
unsigned encoding_bit_width(uint32_t max);
/* RLE / bit-packed hybrid, without a length before it. width ≤ 32; 0 bits: nothing but runs of 0. */
void encoding_put_rle(struct tarn_buf *out, const uint32_t *values, size_t count, unsigned width);
void encoding_put_rle_bytes(struct tarn_buf *out, const uint8_t *values, size_t count,
			    unsigned width);
/* DELTA_BINARY_PACKED. */
void encoding_put_delta32(struct tarn_buf *out, const int32_t *values, size_t count);
void encoding_put_delta64(struct tarn_buf *out, const int64_t *values, size_t count);
/* PLAIN of booleans: one bit each; values are 0 or 1. */
void encoding_put_bits(struct tarn_buf *out, const uint8_t *values, size_t count);

#endif
