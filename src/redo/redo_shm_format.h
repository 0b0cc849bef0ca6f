/*
 * The memory that a redo host and its pool share (one memfd per host), and the control file that a
 * host's data directory needs. Included by both sides: plain C, no other header of either.
 *
 * One batch is in flight at a time. The pool writes operations into `in`, adds one to request_seq
 * and waits for response_seq to follow. Each side spins briefly, then sleeps on the other's word
 * (futex); it says so in *_sleeping, so that the other knows to wake it. A host that meets an error
 * writes it into `error` and exits without answering.
 *
 * The pool trusts nothing in here but the pages at positions that it chose itself.
 */
#ifndef TARN_REDO_REDO_SHM_FORMAT_H
#define TARN_REDO_REDO_SHM_FORMAT_H

#include <stdint.h>

#define REDO_SHM_MAGIC 0x7461726Eu
#define REDO_SHM_VERSION 1u
#define REDO_SHM_PAGE_BYTES 8192u
#define REDO_SHM_IN_BYTES (4u << 20)
#define REDO_SHM_OUT_PAGES 512u
#define REDO_SHM_ERROR_BYTES 384u
/* A record that changes pages holds at most 33 page images and some data. */
#define REDO_SHM_MAX_RECORD_BYTES (1u << 20)

/* Given to the host in its environment: "FD:PARENT_PID". */
#define REDO_HOST_ENV "TARN_REDO_HOST"

enum redo_shm_kind {
	REDO_SHM_APPLY = 1, /* records to a page */
	REDO_SHM_MASK = 2,  /* rm_mask of resource manager `rmgr` on a page */
};
#define REDO_SHM_HAS_BASE 1u /* a page follows; otherwise the page begins as zeros */
#define REDO_SHM_OBSERVE 2u  /* the page after each record goes to out, not only the last */

/* Followed by the base page if there is one, then by record_count records. */
struct redo_shm_op {
	uint32_t kind;
	uint32_t flags;
	uint32_t spc, db, rel, fork, block;
	uint32_t rmgr;
	uint32_t record_count;
	uint32_t out_page; /* index of the first page of the answer */
};
/* Followed by len bytes, padded to a multiple of 8. */
struct redo_shm_record {
	uint64_t end_lsn;
	uint32_t len;
	uint32_t zero;
};

struct redo_shm {
	uint32_t magic, version;
	uint32_t ready; /* set to 1 by the host, once it is confined and serves */
	uint32_t request_seq, response_seq;
	uint32_t host_sleeping, pool_sleeping;
	uint32_t op_count;
	/* Where the host is, for the report when it dies. */
	uint32_t at_op, at_record;
	char error[REDO_SHM_ERROR_BYTES];
	_Alignas(4096) uint8_t in[REDO_SHM_IN_BYTES];
	_Alignas(4096) uint8_t out[REDO_SHM_OUT_PAGES][REDO_SHM_PAGE_BYTES];
};

/* Postgres 15's control file, as far as the server checks it at start: X(offset, bytes, value). The
 * host asserts every one of them against the header it is compiled with. */
#define REDO_CONTROL_FILE_BYTES 8192
#define REDO_CONTROL_CRC_OFFSET 288
#define REDO_CONTROL_FIELDS(X)                            \
	X(pg_control_version, 8, uint32_t, 1300)          \
	X(catalog_version_no, 12, uint32_t, 202209061)    \
	X(state, 16, uint32_t, 1)                         \
	X(maxAlign, 204, uint32_t, 8)                     \
	X(floatFormat, 208, double, 1234567.0)            \
	X(blcksz, 216, uint32_t, 8192)                    \
	X(relseg_size, 220, uint32_t, 131072)             \
	X(xlog_blcksz, 224, uint32_t, 8192)               \
	X(xlog_seg_size, 228, uint32_t, 16 * 1024 * 1024) \
	X(nameDataLen, 232, uint32_t, 64)                 \
	X(indexMaxKeys, 236, uint32_t, 32)                \
	X(toast_max_chunk_size, 240, uint32_t, 1996)      \
	X(loblksize, 244, uint32_t, 2048)                 \
	X(float8ByVal, 248, uint8_t, 1)                   \
	X(data_checksum_version, 252, uint32_t, 0)

#endif
