/*
 * pg_control of Postgres 15: what a server reads first. Layout of ControlFileData and CheckPoint from
 * catalog/pg_control.h on 64-bit little-endian machines; control_file_test.c checks it against the
 * server's headers.
 */
#ifndef TARN_PG_CONTROL_FILE_H
#define TARN_PG_CONTROL_FILE_H

#include "base/error.h"
#include "base/lsn.h"

#define PG_CONTROL_FILE_BYTES 8192
#define PG_CONTROL_VERSION_15 1300u
#define PG_CATALOG_VERSION_15 202209061u

struct pg_checkpoint {
	uint64_t redo;
	uint32_t this_timeline_id, prev_timeline_id;
	uint8_t full_page_writes, pad1[7];
	uint64_t next_xid; /* full: epoch in the upper half */
	uint32_t next_oid, next_multi, next_multi_offset;
	uint32_t oldest_xid, oldest_xid_db, oldest_multi, oldest_multi_db;
	uint32_t pad2;
	int64_t time; /* seconds since 1970 */
	uint32_t oldest_commit_ts_xid, newest_commit_ts_xid, oldest_active_xid;
	uint32_t pad3;
};

struct pg_control {
	uint64_t system_identifier;
	uint32_t control_version, catalog_version;
	uint32_t state, pad1;
	int64_t time;
	uint64_t checkpoint_lsn;
	struct pg_checkpoint checkpoint;
	uint64_t unlogged_lsn, min_recovery_lsn;
	uint32_t min_recovery_timeline_id, pad2;
	uint64_t backup_start_lsn, backup_end_lsn;
	uint8_t backup_end_required, pad3[3];
	int32_t wal_level;
	uint8_t wal_log_hints, pad4[3];
	int32_t max_connections, max_worker_processes, max_wal_senders, max_prepared_xacts,
		max_locks_per_xact;
	uint8_t track_commit_timestamp, pad5[3];
	uint32_t max_align;
	double float_format;
	uint32_t block_bytes, segment_blocks, wal_block_bytes, wal_segment_bytes, name_bytes,
		index_max_keys, toast_max_chunk_bytes, large_object_block_bytes;
	uint8_t float8_by_value, pad6[3];
	uint32_t data_checksum_version;
	uint8_t mock_nonce[32];
	uint32_t crc;
	uint32_t pad7;
};
#define PG_CONTROL_STATE_SHUTDOWNED 1u

/* Checks size, CRC and version; messages do not name the file. */
int pg_control_parse(const uint8_t *bytes, size_t len, struct pg_control *out,
		     struct tarn_error *err);
/* data_dir/global/pg_control; refuses what this build cannot serve (block size, segment size, checksums). */
int pg_control_read(const char *data_dir, struct pg_control *out, struct tarn_error *err);
int pg_control_read_system_identifier(const char *data_dir, uint64_t *out, struct tarn_error *err);
/* Computes the CRC; the rest of the 8 KiB is zero. */
void pg_control_build(const struct pg_control *c, uint8_t out[PG_CONTROL_FILE_BYTES]);

#endif
