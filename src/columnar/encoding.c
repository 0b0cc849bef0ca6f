/* Implementation of encoding.h. */
#include "base/system.h"
#include "columnar/encoding.h"

#define DELTA_BLOCK 128
#define DELTA_MINIBLOCKS 4
#define DELTA_MINIBLOCK (DELTA_BLOCK / DELTA_MINIBLOCKS)

unsigned encoding_bit_width(uint32_t max)
{
	return max == 0 ? 0 : 32u - (unsigned)__builtin_clz(max);
}

/* Bits are filled from the least significant one. */
struct bit_writer {
	struct tarn_buf *out;
	unsigned __int128 bits;
	unsigned count;
};

static void put_bits(struct bit_writer *w, uint64_t v, unsigned width)
{
	w->bits |= (unsigned __int128)v << w->count;
	w->count += width;
	while (w->count >= 8) {
		tarn_buf_put_u8(w->out, (uint8_t)w->bits);
		w->bits >>= 8;
		w->count -= 8;
	}
}

static void flush_bits(struct bit_writer *w)
{
	if (w->count > 0)
		tarn_buf_put_u8(w->out, (uint8_t)w->bits);
	w->bits = 0;
	w->count = 0;
}

/* Values of either width, read by index, so that one encoder serves levels and dictionary indexes. */
struct sequence {
	const uint32_t *words;
	const uint8_t *bytes;
	size_t count;
};

static uint32_t at(const struct sequence *s, size_t i)
{
	return s->words ? s->words[i] : s->bytes[i];
}

static size_t run_length(const struct sequence *s, size_t i)
{
	size_t n = 1;
	uint32_t v = at(s, i);
	while (i + n < s->count && at(s, i + n) == v)
		n++;
	return n;
}

static void put_run(struct tarn_buf *out, uint32_t v, size_t n, unsigned width)
{
	tarn_buf_put_uvarint(out, (uint64_t)n << 1);
	for (unsigned done = 0; done < width; done += 8)
		tarn_buf_put_u8(out, (uint8_t)(v >> done));
}

/* Groups of eight; the last one is filled up with zeros. */
static void put_literals(struct tarn_buf *out, const struct sequence *s, size_t from, size_t n,
			 unsigned width)
{
	struct bit_writer w = {.out = out};
	size_t groups = (n + 7) / 8;
	if (n == 0)
		return;
	tarn_buf_put_uvarint(out, (uint64_t)groups << 1 | 1);
	for (size_t i = 0; i < groups * 8; i++)
		put_bits(&w, i < n ? at(s, from + i) : 0, width);
	flush_bits(&w);
}

static void put_hybrid(struct tarn_buf *out, const struct sequence *s, unsigned width)
{
	size_t literals = 0, i = 0; /* literals: how many before i are not written yet */
	while (i < s->count) {
		size_t run = run_length(s, i);
		size_t fill = (8 - literals % 8) % 8; /* groups before a run must be whole */
		if (run >= fill + 8) {
			put_literals(out, s, i - literals, literals + fill, width);
			put_run(out, at(s, i), run - fill, width);
			literals = 0;
		} else {
			literals += run;
		}
		i += run;
	}
	put_literals(out, s, i - literals, literals, width);
}

void encoding_put_rle(struct tarn_buf *out, const uint32_t *values, size_t count, unsigned width)
{
	struct sequence s = {.words = values, .count = count};
	put_hybrid(out, &s, width);
}

void encoding_put_rle_bytes(struct tarn_buf *out, const uint8_t *values, size_t count,
			    unsigned width)
{
	struct sequence s = {.bytes = values, .count = count};
	put_hybrid(out, &s, width);
}

static uint64_t zigzag(int64_t v)
{
	return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static void put_delta_header(struct tarn_buf *out, size_t count, int64_t first)
{
	tarn_buf_put_uvarint(out, DELTA_BLOCK);
	tarn_buf_put_uvarint(out, DELTA_MINIBLOCKS);
	tarn_buf_put_uvarint(out, count);
	tarn_buf_put_uvarint(out, zigzag(first));
}

static unsigned width_of(const uint64_t *v, size_t n)
{
	uint64_t all = 0;
	for (size_t i = 0; i < n; i++)
		all |= v[i];
	return all == 0 ? 0 : 64u - (unsigned)__builtin_clzll(all);
}

/* rest: deltas less the least one, n of them, the remainder of the block zero. */
static void put_delta_block(struct tarn_buf *out, int64_t least, const uint64_t rest[DELTA_BLOCK],
			    size_t n)
{
	unsigned widths[DELTA_MINIBLOCKS];
	struct bit_writer w = {.out = out};
	tarn_buf_put_uvarint(out, zigzag(least));
	for (size_t m = 0; m < DELTA_MINIBLOCKS; m++) {
		widths[m] = m * DELTA_MINIBLOCK < n
				    ? width_of(rest + m * DELTA_MINIBLOCK, DELTA_MINIBLOCK)
				    : 0;
		tarn_buf_put_u8(out, (uint8_t)widths[m]);
	}
	for (size_t m = 0; m < DELTA_MINIBLOCKS && m * DELTA_MINIBLOCK < n; m++)
		for (size_t i = 0; i < DELTA_MINIBLOCK; i++)
			put_bits(&w, rest[m * DELTA_MINIBLOCK + i], widths[m]);
	flush_bits(&w);
}

/* Readers of 32-bit values compute in 32 bits: so must the deltas wrap. */
void encoding_put_delta32(struct tarn_buf *out, const int32_t *values, size_t count)
{
	put_delta_header(out, count, count ? values[0] : 0);
	for (size_t i = 1; i < count; i += DELTA_BLOCK) {
		uint64_t rest[DELTA_BLOCK] = {0};
		size_t n = TARN_MIN(count - i, (size_t)DELTA_BLOCK);
		int32_t deltas[DELTA_BLOCK], least = INT32_MAX;
		for (size_t k = 0; k < n; k++) {
			deltas[k] =
				(int32_t)((uint32_t)values[i + k] - (uint32_t)values[i + k - 1]);
			least = TARN_MIN(least, deltas[k]);
		}
		for (size_t k = 0; k < n; k++)
			rest[k] = (uint32_t)deltas[k] - (uint32_t)least;
		put_delta_block(out, least, rest, n);
	}
}

void encoding_put_delta64(struct tarn_buf *out, const int64_t *values, size_t count)
{
	put_delta_header(out, count, count ? values[0] : 0);
	for (size_t i = 1; i < count; i += DELTA_BLOCK) {
		uint64_t rest[DELTA_BLOCK] = {0};
		size_t n = TARN_MIN(count - i, (size_t)DELTA_BLOCK);
		int64_t deltas[DELTA_BLOCK], least = INT64_MAX;
		for (size_t k = 0; k < n; k++) {
			deltas[k] =
				(int64_t)((uint64_t)values[i + k] - (uint64_t)values[i + k - 1]);
			least = TARN_MIN(least, deltas[k]);
		}
		for (size_t k = 0; k < n; k++)
			rest[k] = (uint64_t)deltas[k] - (uint64_t)least;
		put_delta_block(out, least, rest, n);
	}
}

void encoding_put_bits(struct tarn_buf *out, const uint8_t *values, size_t count)
{
	struct bit_writer w = {.out = out};
	for (size_t i = 0; i < count; i++)
		put_bits(&w, values[i], 1);
	flush_bits(&w);
}
