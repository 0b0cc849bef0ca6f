/* Implementation of wal_record.h. */
#include "base/system.h"
#include <lz4.h>
#include <zstd.h>
#include "base/buf.h"
#include "pg/tuple.h"
#include "pg/wal_record.h"

#define HEADER_BYTES 24
#define ID_DATA_SHORT 255
#define ID_DATA_LONG 254
#define ID_ORIGIN 253
#define ID_TOPLEVEL_XID 252
#define MAX_FORK 3
#define BLOCK_FORK_MASK 0x0F
#define BLOCK_HAS_IMAGE 0x10
#define BLOCK_HAS_DATA 0x20
#define BLOCK_WILL_INIT 0x40
#define BLOCK_SAME_REL 0x80
#define IMAGE_HAS_HOLE 0x01
#define IMAGE_APPLY 0x02
#define IMAGE_COMPRESSED 0x1C
#define PAGE_SIZE_BYTES 8192u
#define PD_UPPER_OFFSET 14

static int bad(const char *what, struct tarn_error *err)
{
	return tarn_fail(err, TARN_E_CORRUPT, "a WAL record makes no sense: %s", what);
}

/* The checks of DecodeXLogRecord. */
static bool is_image_sound(const struct wal_block *b, bool has_hole)
{
	if (b->image_len == 0 || b->image_len > PAGE_SIZE_BYTES ||
	    (uint32_t)b->hole_offset + b->hole_len > PAGE_SIZE_BYTES)
		return false;
	if (has_hole)
		return b->hole_offset != 0 && b->hole_len != 0 && b->image_len != PAGE_SIZE_BYTES;
	if (b->hole_offset != 0 || b->hole_len != 0)
		return false;
	return (b->compression != WAL_PLAIN) == (b->image_len != PAGE_SIZE_BYTES);
}

static int decode_image(struct tarn_reader *r, struct wal_block *b, struct tarn_error *err)
{
	b->image_len = tarn_reader_le16(r);
	b->hole_offset = tarn_reader_le16(r);
	uint8_t info = tarn_reader_u8(r);
	b->apply_image = (info & IMAGE_APPLY) != 0;
	b->compression = info & IMAGE_COMPRESSED;
	if (b->compression != WAL_PLAIN && info & IMAGE_HAS_HOLE)
		b->hole_len = tarn_reader_le16(r);
	else if (b->compression == WAL_PLAIN)
		b->hole_len = (uint16_t)(PAGE_SIZE_BYTES - TARN_MIN(b->image_len, PAGE_SIZE_BYTES));
	if (!is_image_sound(b, (info & IMAGE_HAS_HOLE) != 0))
		return bad("size of a page image", err);
	return 0;
}

static int decode_block(struct tarn_reader *r, uint8_t id, struct wal_record *out, int *last_rel,
			uint32_t *left, struct tarn_error *err)
{
	struct wal_block *b = &out->blocks[id];
	if ((int)id <= out->max_block)
		return bad("block references out of order", err);
	for (int i = out->max_block + 1; i <= id; i++)
		memset(&out->blocks[i], 0, sizeof out->blocks[i]);
	out->max_block = id;
	uint8_t flags = tarn_reader_u8(r);
	b->used = true;
	b->fork = flags & BLOCK_FORK_MASK;
	b->will_init = (flags & BLOCK_WILL_INIT) != 0;
	b->has_image = (flags & BLOCK_HAS_IMAGE) != 0;
	b->data_len = tarn_reader_le16(r);
	if ((b->data_len != 0) != ((flags & BLOCK_HAS_DATA) != 0))
		return bad("block data flag", err);
	if (b->has_image)
		TRY(decode_image(r, b, err));
	if (!(flags & BLOCK_SAME_REL)) {
		b->spc = tarn_reader_le32(r);
		b->db = tarn_reader_le32(r);
		b->rel = tarn_reader_le32(r);
		*last_rel = id;
	} else if (*last_rel < 0) {
		return bad("the same relation as none", err);
	} else {
		b->spc = out->blocks[*last_rel].spc;
		b->db = out->blocks[*last_rel].db;
		b->rel = out->blocks[*last_rel].rel;
	}
	b->block = tarn_reader_le32(r);
	if (!r->failed && (b->fork > MAX_FORK || b->block == UINT32_MAX))
		return bad("fork or block number", err);
	*left += b->data_len + b->image_len;
	return 0;
}

static int decode_headers(struct tarn_reader *r, struct wal_record *out, struct tarn_error *err)
{
	uint32_t left = 0; /* data announced so far */
	int last_rel = -1;
	while (!r->failed && tarn_reader_left(r) > left) {
		uint8_t id = tarn_reader_u8(r);
		if (id == ID_DATA_SHORT || id == ID_DATA_LONG) {
			out->main_len =
				id == ID_DATA_SHORT ? tarn_reader_u8(r) : tarn_reader_le32(r);
			if (out->main_len > tarn_reader_left(r))
				return bad("length of the main data", err);
			left += out->main_len;
			break; /* by convention the last header */
		}
		if (id == ID_ORIGIN)
			tarn_reader_le16(r);
		else if (id == ID_TOPLEVEL_XID)
			tarn_reader_le32(r);
		else if (id < WAL_MAX_BLOCKS)
			TRY(decode_block(r, id, out, &last_rel, &left, err));
		else
			return bad("unknown block id", err);
	}
	if (r->failed || tarn_reader_left(r) != left)
		return bad("its parts do not add up to its length", err);
	return 0;
}

int wal_record_decode(const uint8_t *bytes, size_t len, struct wal_record *out,
		      struct tarn_error *err)
{
	struct tarn_reader r;
	if (len < HEADER_BYTES || get_le32(bytes) != len)
		return bad("length", err);
	out->xid = get_le32(bytes + 4);
	out->prev_lsn = get_le64(bytes + 8);
	out->info = bytes[16];
	out->rmgr = bytes[17];
	out->main = NULL;
	out->main_len = 0;
	out->max_block = -1;
	/* A segment switch is padding to the segment's end: no parts. */
	if (out->rmgr == RM_XLOG && (out->info & 0xF0) == 0x40)
		return 0;
	tarn_reader_init(&r, bytes + HEADER_BYTES, len - HEADER_BYTES);
	TRY(decode_headers(&r, out, err));
	for (int i = 0; i <= out->max_block; i++) {
		struct wal_block *b = &out->blocks[i];
		if (b->has_image)
			b->image = tarn_reader_bytes(&r, b->image_len);
		if (b->data_len)
			b->data = tarn_reader_bytes(&r, b->data_len);
	}
	out->main = tarn_reader_bytes(&r, out->main_len);
	return r.failed ? bad("cut short", err) : 0;
}

/* Fills out with the image without its hole. */
static int expand(const struct wal_block *b, uint8_t *out, size_t len, struct tarn_error *err)
{
	size_t got = 0;
	switch (b->compression) {
	case WAL_PGLZ:
		return pglz_expand(b->image, b->image_len, out, len, err);
	case WAL_LZ4: {
		int n = LZ4_decompress_safe((const char *)b->image, (char *)out, (int)b->image_len,
					    (int)len);
		got = n < 0 ? 0 : (size_t)n;
		break;
	}
	case WAL_ZSTD:
		got = ZSTD_decompress(out, len, b->image, b->image_len);
		break;
	default:
		return bad("unknown compression of a page image", err);
	}
	return got == len ? 0 : bad("a compressed page image does not expand to a page", err);
}

int wal_block_image(const struct wal_block *b, tarn_lsn lsn, uint8_t out[8192],
		    struct tarn_error *err)
{
	uint8_t expanded[PAGE_SIZE_BYTES];
	const uint8_t *image = b->image;
	size_t len = PAGE_SIZE_BYTES - b->hole_len;
	TARN_CHECK(b->has_image);
	if (b->compression != WAL_PLAIN) {
		TRY(expand(b, expanded, len, err));
		image = expanded;
	}
	memcpy(out, image, b->hole_offset);
	memset(out + b->hole_offset, 0, b->hole_len);
	memcpy(out + b->hole_offset + b->hole_len, image + b->hole_offset, len - b->hole_offset);
	if (get_le16(out + PD_UPPER_OFFSET) != 0) {
		put_le32(out, (uint32_t)(lsn >> 32));
		put_le32(out + 4, (uint32_t)lsn);
	}
	return 0;
}
