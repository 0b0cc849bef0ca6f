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

struct wal_block {
	uint32_t spc, db, rel, block;
	uint8_t fork;
	bool used;	/* ids may have gaps */
	bool will_init; /* redo needs no older page */
	bool has_image, apply_image, compressed;
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
/* The page of an uncompressed image, 8192 bytes; its LSN becomes lsn unless it is all zeros, as stock redo does. */
void wal_block_image(const struct wal_block *b, tarn_lsn lsn, uint8_t out[8192]);

#endif
