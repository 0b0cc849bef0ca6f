/*
 * Framing of Postgres 15's write-ahead log: turns a stream of bytes at known LSNs into records.
 *
 * Pages of 8 KiB begin with a header (24 bytes; 40 on the first page of a segment); records begin
 * at multiples of 8 and continue over page boundaries. The framer checks every page header, every
 * record's length, its CRC and, once one record was seen or the caller said it, its xl_prev. It
 * does not look into records (wal_record.h does). A record's LSNs are those of Postgres's reader:
 * start, and end = the start of what follows, rounded up to 8; a segment switch ends at the next
 * segment.
 *
 * Source of the layout: Postgres 15, access/xlog_internal.h, xlogrecord.h and xlogreader.c.
 *
 * Pure: no I/O. Memory grows with the bytes of one record that have arrived, at most
 * WAL_MAX_RECORD_BYTES. One thread at a time.
 */
#ifndef TARN_PG_WAL_FRAMER_H
#define TARN_PG_WAL_FRAMER_H

#include "base/buf.h"
#include "base/error.h"
#include "base/lsn.h"

#define WAL_PAGE_BYTES 8192u
#define WAL_SEGMENT_BYTES ((uint64_t)16 << 20)
#define WAL_PAGE_HEADER_BYTES 24u
#define WAL_LONG_PAGE_HEADER_BYTES 40u
#define WAL_RECORD_HEADER_BYTES 24u
#define WAL_PAGE_MAGIC 0xD110u /* XLOG_PAGE_MAGIC of Postgres 15 */
#define WAL_MAX_RECORD_BYTES ((size_t)1 << 30)

struct wal_record_bytes {
	tarn_lsn start_lsn;   /* of the record's first byte */
	tarn_lsn end_lsn;     /* where the next record may begin */
	const uint8_t *bytes; /* header and all, contiguous; valid until the next call */
	size_t len;
};

struct wal_framer {
	uint64_t system_identifier; /* 0: not checked */
	tarn_lsn lsn;		    /* of the next byte to be fed */
	tarn_lsn record_end_lsn;    /* end of the last complete record; where a restart may begin */
	tarn_lsn prev_lsn;	    /* start of that record; 0: unknown */
	tarn_lsn start_lsn;	    /* of the record being read */
	uint32_t total_len;	    /* of the record being read; 0: none begun */
	tarn_lsn skip_to_lsn;	    /* after a segment switch, or 0 */
	uint8_t header[WAL_LONG_PAGE_HEADER_BYTES];
	uint32_t header_have;
	struct tarn_buf record;
};

/* Begins at a record boundary. prev_lsn is the start of the record before it, or 0 for unknown. */
void wal_framer_init(struct wal_framer *f, tarn_lsn lsn, tarn_lsn prev_lsn,
		     uint64_t system_identifier);
void wal_framer_release(struct wal_framer *f);
/* Begins anew at another boundary; keeps memory. */
void wal_framer_reset(struct wal_framer *f, tarn_lsn lsn, tarn_lsn prev_lsn);
/*
 * Consumes bytes until a record is complete or they are used up: *used tells how many. *complete:
 * out holds a record. Call again with the rest. The first bytes are those at f->lsn.
 * TARN_E_CORRUPT: the bytes are no valid log; the framer must then be reset.
 */
int wal_framer_feed(struct wal_framer *f, const uint8_t *data, size_t len, size_t *used,
		    bool *complete, struct wal_record_bytes *out, struct tarn_error *err);
/* Feeds everything, whole records only counted: f->record_end_lsn and prev_lsn move. */
int wal_framer_skim(struct wal_framer *f, const uint8_t *data, size_t len, struct tarn_error *err);

/* "000000010000000000000001" for the segment that holds lsn, timeline 1. */
void wal_segment_name(tarn_lsn lsn, char out[25]);

#endif
