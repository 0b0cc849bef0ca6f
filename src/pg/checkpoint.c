/* Implementation of checkpoint.h. Record and page layouts: access/xlogrecord.h, xlog_internal.h of Postgres 15. */
#include "base/system.h"
#include "base/crc.h"
#include "pg/checkpoint.h"
#include "pg/wal_framer.h"

#define INFO_CHECKPOINT_SHUTDOWN 0x00
#define BLOCK_ID_DATA_SHORT 255
#define PAGE_FLAG_CONTINUES 0x0001u
#define PAGE_FLAG_LONG 0x0002u
#define RECORD_BYTES (WAL_RECORD_HEADER_BYTES + 2 + sizeof(struct pg_checkpoint))

static uint32_t page_header_bytes(tarn_lsn page)
{
	return page % WAL_SEGMENT_BYTES == 0 ? WAL_LONG_PAGE_HEADER_BYTES : WAL_PAGE_HEADER_BYTES;
}

tarn_lsn pg_record_start(tarn_lsn end_lsn)
{
	return end_lsn % WAL_PAGE_BYTES == 0 ? end_lsn + page_header_bytes(end_lsn) : end_lsn;
}

static void put_page_header(uint8_t *p, tarn_lsn page, uint32_t continues_bytes,
			    uint64_t system_identifier)
{
	bool is_long = page % WAL_SEGMENT_BYTES == 0;
	put_le16(p, WAL_PAGE_MAGIC);
	put_le16(p + 2, (uint16_t)((continues_bytes ? PAGE_FLAG_CONTINUES : 0u) |
				   (is_long ? PAGE_FLAG_LONG : 0u)));
	put_le32(p + 4, 1); /* WAL timeline */
	put_le64(p + 8, page);
	put_le32(p + 16, continues_bytes);
	if (is_long) {
		put_le64(p + 24, system_identifier);
		put_le32(p + 32, (uint32_t)WAL_SEGMENT_BYTES);
		put_le32(p + 36, WAL_PAGE_BYTES);
	}
}

static void make_record(uint8_t out[RECORD_BYTES], const struct pg_checkpoint *c, tarn_lsn prev_lsn)
{
	memset(out, 0, RECORD_BYTES);
	put_le32(out, (uint32_t)RECORD_BYTES);
	put_le64(out + 8, prev_lsn);
	out[16] = INFO_CHECKPOINT_SHUTDOWN;
	out[17] = 0; /* RM_XLOG_ID */
	out[WAL_RECORD_HEADER_BYTES] = BLOCK_ID_DATA_SHORT;
	out[WAL_RECORD_HEADER_BYTES + 1] = (uint8_t)sizeof *c;
	memcpy(out + WAL_RECORD_HEADER_BYTES + 2, c, sizeof *c);
	uint32_t crc =
		tarn_crc32c(out + WAL_RECORD_HEADER_BYTES, RECORD_BYTES - WAL_RECORD_HEADER_BYTES);
	put_le32(out + 20, tarn_crc32c_extend(crc, out, 20));
}

tarn_lsn pg_checkpoint_make(struct pg_control *control, tarn_lsn x, tarn_lsn prev_lsn,
			    struct tarn_buf *wal, tarn_lsn *segment_start)
{
	uint8_t record[RECORD_BYTES];
	tarn_lsn at = pg_record_start(x), seg = at - at % WAL_SEGMENT_BYTES;
	size_t base = wal->len, done = 0;
	control->state = PG_CONTROL_STATE_SHUTDOWNED;
	control->checkpoint_lsn = at;
	control->checkpoint.redo = at;
	control->checkpoint.this_timeline_id = 1;
	control->checkpoint.prev_timeline_id = 1;
	control->checkpoint.full_page_writes = 0;
	control->checkpoint.oldest_active_xid = 0;
	control->min_recovery_lsn = 0;
	control->min_recovery_timeline_id = 0;
	control->backup_start_lsn = control->backup_end_lsn = 0;
	control->backup_end_required = 0;
	make_record(record, &control->checkpoint, prev_lsn);
	*segment_start = seg;
	tarn_lsn page = at - at % WAL_PAGE_BYTES;
	tarn_buf_put_zeros(wal, (size_t)(page - seg) + WAL_PAGE_BYTES);
	put_page_header(wal->data + base, seg, 0, control->system_identifier);
	if (page != seg)
		put_page_header(wal->data + base + (page - seg), page, 0,
				control->system_identifier);
	while (done < RECORD_BYTES) {
		size_t room = WAL_PAGE_BYTES - (size_t)(at % WAL_PAGE_BYTES);
		size_t n = TARN_MIN(room, RECORD_BYTES - done);
		memcpy(wal->data + base + (at - seg), record + done, n);
		done += n;
		at += n;
		if (done < RECORD_BYTES) {
			tarn_buf_put_zeros(wal, WAL_PAGE_BYTES);
			put_page_header(wal->data + base + (at - seg), at,
					(uint32_t)(RECORD_BYTES - done),
					control->system_identifier);
			at += page_header_bytes(at);
		}
	}
	at = align_up_u64(at, 8);
	wal->len = base + (size_t)(at - seg);
	return at;
}
