/* Implementation of wal_framer.h. */
#include "base/system.h"
#include "base/crc.h"
#include "pg/wal_framer.h"

#define XLP_FIRST_IS_CONTRECORD 0x0001
#define XLP_LONG_HEADER 0x0002
#define XLP_ALL_FLAGS 0x000F
#define RECORD_CRC_OFFSET 20
#define RM_XLOG 0
#define XLOG_SWITCH 0x40
#define INFO_MASK 0xF0

void wal_framer_init(struct wal_framer *f, tarn_lsn lsn, tarn_lsn prev_lsn,
		     uint64_t system_identifier)
{
	memset(f, 0, sizeof *f);
	f->system_identifier = system_identifier;
	wal_framer_reset(f, lsn, prev_lsn);
}

void wal_framer_release(struct wal_framer *f)
{
	tarn_buf_release(&f->record);
}

void wal_framer_reset(struct wal_framer *f, tarn_lsn lsn, tarn_lsn prev_lsn)
{
	TARN_CHECK(lsn % 8 == 0);
	f->lsn = f->record_end_lsn = lsn;
	f->prev_lsn = prev_lsn;
	f->start_lsn = 0;
	f->total_len = 0;
	f->skip_to_lsn = 0;
	f->header_have = 0;
	tarn_buf_clear(&f->record);
}

static uint32_t header_bytes_at(tarn_lsn page_lsn)
{
	return page_lsn % WAL_SEGMENT_BYTES == 0 ? WAL_LONG_PAGE_HEADER_BYTES
						 : WAL_PAGE_HEADER_BYTES;
}

static int bad(const struct wal_framer *f, const char *what, struct tarn_error *err)
{
	return tarn_fail(err, TARN_E_CORRUPT, "the log is damaged at " TARN_LSN_FMT ": %s",
			 TARN_LSN_ARGS(f->lsn), what);
}

static int check_continuation(const struct wal_framer *f, uint16_t info, uint32_t rem_len,
			      struct tarn_error *err)
{
	bool continues = info & XLP_FIRST_IS_CONTRECORD;
	if (continues != (f->total_len != 0))
		return bad(f,
			   continues ? "a page continues a record that was not begun"
				     : "a page does not continue the record before it",
			   err);
	if (continues && rem_len != f->total_len - f->record.len)
		return bad(f, "a page continues a record of another length", err);
	return 0;
}

static int check_page_header(const struct wal_framer *f, tarn_lsn page_lsn, struct tarn_error *err)
{
	const uint8_t *h = f->header;
	uint16_t info = get_le16(h + 2);
	bool is_long = header_bytes_at(page_lsn) == WAL_LONG_PAGE_HEADER_BYTES;
	if (get_le16(h) != WAL_PAGE_MAGIC)
		return bad(f, "a page header of another version of Postgres, or none", err);
	if (get_le64(h + 8) != page_lsn)
		return bad(f, "a page header names another address", err);
	if ((info & ~XLP_ALL_FLAGS) || is_long != !!(info & XLP_LONG_HEADER))
		return bad(f, "a page header has wrong flags", err);
	if (is_long && f->system_identifier && get_le64(h + 24) != f->system_identifier)
		return bad(f, "the segment belongs to another cluster", err);
	if (is_long &&
	    (get_le32(h + 32) != WAL_SEGMENT_BYTES || get_le32(h + 36) != WAL_PAGE_BYTES))
		return bad(f, "the segment size is not 16 MiB", err);
	return check_continuation(f, info, get_le32(h + 16), err);
}

/* Takes page header bytes; returns how many. */
static int take_header(struct wal_framer *f, const uint8_t *data, size_t len, size_t *taken,
		       struct tarn_error *err)
{
	tarn_lsn page_lsn = f->lsn - f->header_have;
	uint32_t want = header_bytes_at(page_lsn);
	*taken = TARN_MIN(len, (size_t)(want - f->header_have));
	memcpy(f->header + f->header_have, data, *taken);
	f->header_have += (uint32_t)*taken;
	f->lsn += *taken;
	if (f->header_have < want)
		return 0;
	f->header_have = 0;
	return check_page_header(f, page_lsn, err);
}

static int begin_record(struct wal_framer *f, struct tarn_error *err)
{
	f->total_len = get_le32(f->record.data);
	if (f->total_len < WAL_RECORD_HEADER_BYTES || f->total_len > WAL_MAX_RECORD_BYTES)
		return bad(f, "a record has an impossible length", err);
	return 0;
}

static int check_record(const struct wal_framer *f, struct tarn_error *err)
{
	const uint8_t *r = f->record.data;
	uint32_t crc =
		tarn_crc32c(r + WAL_RECORD_HEADER_BYTES, f->total_len - WAL_RECORD_HEADER_BYTES);
	crc = tarn_crc32c_extend(crc, r, RECORD_CRC_OFFSET);
	if (crc != get_le32(r + RECORD_CRC_OFFSET))
		return bad(f, "a record's checksum is wrong", err);
	if (f->prev_lsn && get_le64(r + 8) != f->prev_lsn)
		return bad(f, "a record does not follow the one before it", err);
	return 0;
}

/* A record has ended only when its padding has arrived too. */
static void note_end(struct wal_framer *f)
{
	if (f->skip_to_lsn && f->lsn >= f->skip_to_lsn) {
		f->record_end_lsn = f->skip_to_lsn;
		f->skip_to_lsn = 0;
	}
}

/* All bytes are there: the record ends at the next multiple of 8, or with its segment. */
static int finish_record(struct wal_framer *f, struct wal_record_bytes *out, struct tarn_error *err)
{
	TRY(check_record(f, err));
	const uint8_t *r = f->record.data;
	tarn_lsn end = align_up_u64(f->lsn, 8);
	if (r[17] == RM_XLOG && (r[16] & INFO_MASK) == XLOG_SWITCH)
		end = align_up_u64(end, WAL_SEGMENT_BYTES);
	*out = (struct wal_record_bytes){
		.start_lsn = f->start_lsn, .end_lsn = end, .bytes = r, .len = f->total_len};
	f->prev_lsn = f->start_lsn;
	f->skip_to_lsn = end;
	f->total_len = 0;
	note_end(f);
	return 0;
}

/* Takes record bytes up to the end of the record or page. */
static int take_record(struct wal_framer *f, const uint8_t *data, size_t len, size_t *taken,
		       struct tarn_error *err)
{
	size_t page_left = WAL_PAGE_BYTES - (size_t)(f->lsn % WAL_PAGE_BYTES);
	if (f->total_len == 0 && f->record.len == 0)
		f->start_lsn = f->lsn;
	/* the length field never crosses a page: records begin at multiples of 8 */
	size_t want = f->total_len ? f->total_len - f->record.len : 4 - f->record.len;
	*taken = TARN_MIN(TARN_MIN(len, page_left), want);
	tarn_buf_put(&f->record, data, *taken);
	f->lsn += *taken;
	if (f->total_len == 0 && f->record.len == 4)
		return begin_record(f, err);
	return 0;
}

int wal_framer_feed(struct wal_framer *f, const uint8_t *data, size_t len, size_t *used,
		    bool *complete, struct wal_record_bytes *out, struct tarn_error *err)
{
	*used = 0;
	*complete = false;
	if (f->total_len == 0 && f->record.len > 4)
		tarn_buf_clear(&f->record); /* the record handed out by the last call */
	while (*used < len) {
		const uint8_t *p = data + *used;
		size_t left = len - *used, taken;
		if (f->skip_to_lsn) {
			/* padding; after a segment switch Postgres zeroes even page headers */
			taken = (size_t)TARN_MIN(f->skip_to_lsn - f->lsn, (uint64_t)left);
			f->lsn += taken;
			note_end(f);
		} else if (f->header_have || f->lsn % WAL_PAGE_BYTES == 0) {
			TRY(take_header(f, p, left, &taken, err));
		} else {
			TRY(take_record(f, p, left, &taken, err));
			if (f->total_len && f->record.len == f->total_len) {
				*used += taken;
				*complete = true;
				return finish_record(f, out, err);
			}
		}
		*used += taken;
	}
	return 0;
}

int wal_framer_skim(struct wal_framer *f, const uint8_t *data, size_t len, struct tarn_error *err)
{
	size_t used;
	bool complete;
	struct wal_record_bytes record;
	while (len > 0) {
		TRY(wal_framer_feed(f, data, len, &used, &complete, &record, err));
		data += used;
		len -= used;
	}
	return 0;
}

void wal_segment_name(tarn_lsn lsn, char out[25])
{
	uint64_t segment = lsn / WAL_SEGMENT_BYTES;
	uint64_t per_id = ((uint64_t)1 << 32) / WAL_SEGMENT_BYTES;
	snprintf(out, 25, "%08X%08X%08X", 1u, (uint32_t)(segment / per_id),
		 (uint32_t)(segment % per_id));
}
