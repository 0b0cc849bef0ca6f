/*
 * One WAL record of Postgres 15, decoded: header, block references, main data. Layout: access/xlogrecord.h
 * and DecodeXLogRecord of the server. Pure; pointers lead into the caller's bytes. Hostile bytes give
 * TARN_E_CORRUPT, never a read outside of the record.
 */
#ifndef TARN_PG_WAL_RECORD_H
#define TARN_PG_WAL_RECORD_H

#include "base/error.h"
#include "base/lsn.h"

#define WAL_MAX_BLOCKS 33

enum wal_rmgr {
	RM_XLOG = 0,
	RM_XACT = 1,
	RM_SMGR = 2,
	RM_CLOG = 3,
	RM_DBASE = 4,
	RM_TBLSPC = 5,
	RM_MULTIXACT = 6,
	RM_RELMAP = 7,
	RM_STANDBY = 8,
	RM_HEAP2 = 9,
	RM_HEAP = 10
};

enum wal_compression { WAL_PLAIN = 0, WAL_PGLZ = 0x04, WAL_LZ4 = 0x08, WAL_ZSTD = 0x10 };

struct wal_block {
	uint32_t spc, db, rel, block;
	uint8_t fork;
	bool used;	/* ids may have gaps */
	bool will_init; /* redo needs no older page */
	bool has_image, apply_image;
	uint8_t compression; /* enum wal_compression */
	const uint8_t *image;
	uint32_t image_len;
	uint16_t hole_offset, hole_len;
	const uint8_t *data;
	uint32_t data_len;
};
struct wal_record {
	uint32_t xid;
	uint8_t info, rmgr;
	tarn_lsn prev_lsn;
	const uint8_t *main;
	uint32_t main_len;
	int max_block; /* highest id used, -1: none */
	struct wal_block blocks[WAL_MAX_BLOCKS];
};

int wal_record_decode(const uint8_t *bytes, size_t len, struct wal_record *out,
		      struct tarn_error *err);
/* The page of b's image (there must be one). Its LSN becomes lsn unless it was never initialised
 * (pd_upper 0), as in stock redo. TARN_E_CORRUPT: the compressed bytes do not make a page. */
int wal_block_image(const struct wal_block *b, tarn_lsn lsn, uint8_t out[8192],
		    struct tarn_error *err);

#endif
