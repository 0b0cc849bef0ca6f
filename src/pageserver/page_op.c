/* Implementation of page_op.h. */
#include "base/system.h"
#include "pageserver/page_op.h"
#include "pageserver/page_op_format.h"

static void set_xact_status(uint8_t *page, uint32_t xid, uint8_t status)
{
	uint32_t i = xid % XACT_XIDS_PER_PAGE;
	unsigned shift = i % 4 * 2;
	page[i / 4] = (uint8_t)((page[i / 4] & ~(3u << shift)) | (unsigned)status << shift);
}

static void set_member(uint8_t *page, uint32_t index, uint32_t xid, uint8_t status)
{
	uint8_t *group = page + index / 4 * MULTI_GROUP_BYTES;
	group[index % 4] = status;
	put_le32(group + 4 + index % 4 * 4, xid);
}

static void vm_cut(uint8_t *map, uint32_t byte, uint8_t bits)
{
	memset(map + byte + 1, 0, VM_MAP_BYTES - byte - 1);
	map[byte] = (uint8_t)(map[byte] & ((1u << bits) - 1));
}

/* False: it does not fit the page. */
static bool apply(uint8_t *page, struct tarn_reader *r)
{
	uint32_t n, at;
	uint8_t bits;
	switch (tarn_reader_u8(r)) {
	case PAGE_OP_VM_CLEAR:
		at = tarn_reader_le16(r);
		bits = tarn_reader_u8(r);
		if (at >= VM_MAP_BYTES)
			return false;
		page[VM_MAP_OFFSET + at] = (uint8_t)(page[VM_MAP_OFFSET + at] & ~bits);
		return true;
	case PAGE_OP_VM_CUT:
		at = tarn_reader_le16(r);
		bits = tarn_reader_u8(r);
		if (at >= VM_MAP_BYTES || bits > 7)
			return false;
		vm_cut(page + VM_MAP_OFFSET, at, bits);
		return true;
	case PAGE_OP_XACT_STATUS:
		bits = tarn_reader_u8(r);
		n = tarn_reader_le32(r);
		for (uint32_t i = 0; i < n && !r->failed; i++)
			set_xact_status(page, tarn_reader_le32(r), bits & 3);
		return true;
	case PAGE_OP_MULTI_OFFSET:
		at = tarn_reader_le16(r);
		if (at >= MULTI_OFFSETS_PER_PAGE)
			return false;
		put_le32(page + 4 * at, tarn_reader_le32(r));
		return true;
	case PAGE_OP_MULTI_MEMBERS:
		n = tarn_reader_le32(r);
		for (uint32_t i = 0; i < n && !r->failed; i++) {
			uint32_t index = tarn_reader_le16(r), xid = tarn_reader_le32(r);
			bits = tarn_reader_u8(r);
			if (index >= MULTI_MEMBERS_PER_PAGE)
				return false;
			set_member(page, index, xid, bits);
		}
		return true;
	default:
		return false;
	}
}

int page_op_apply(uint8_t *page, const uint8_t *op, size_t len, tarn_lsn lsn,
		  struct tarn_error *err)
{
	struct tarn_reader r;
	tarn_reader_init(&r, op, len);
	if (!apply(page, &r) || r.failed)
		return tarn_fail(err, TARN_E_CORRUPT,
				 "a page operation at " TARN_LSN_FMT " makes no sense",
				 TARN_LSN_ARGS(lsn));
	return 0; /* stock redo leaves the LSN of these pages alone, or they have none */
}
