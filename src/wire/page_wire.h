/*
 * Page protocol, version 1: what a compute (and tools) ask of a pageserver. Frames of io/frame.h with
 * protocol 'P'. One timeline is attached per connection by the first message. Requests may be
 * pipelined without limit on their number as long as the client keeps reading; responses come in
 * request order, each carrying the request's id. Pure encode and decode: usable from tarn.so.
 *
 * Meaning of the two LSNs of a request, as in Neon's pagestream:
 *   not_modified_since  the page was last changed at or before this LSN: the server waits until it
 *                       has ingested WAL up to it, and not longer;
 *   lsn                 the version asked for: newest at or below it. PAGE_LSN_LATEST on a primary.
 *
 * Payloads (little-endian, in field order, no padding):
 *   ATTACH    u8[16] timeline | u64 system_identifier                  → ATTACHED or ERROR
 *   ATTACHED  u64 last_record_lsn
 *   GETPAGE   u64 id | u64 lsn | u64 not_modified_since | u32 spc | u32 db | u32 rel | u8 fork | u32 block
 *             → PAGE  u64 id | u64 reserved 0 | u8[8192] bytes
 *             → ABSENT u64 id | u64 0      the block is beyond the relation's size (or no relation)
 *   NBLOCKS   like GETPAGE, block = 0   → NUMBER u64 id | u64 blocks, or ABSENT: no such fork
 *   DBSIZE    like GETPAGE, spc/db only → NUMBER u64 id | u64 bytes
 *   SLRU      like GETPAGE, rel = enum page_slru, block = segment number
 *             → BLOB u64 id | u64 0 | bytes (a whole number of 8192-byte pages) or ABSENT
 *   BASEBACKUP u64 id | u64 lsn | u64 flags(0)  → BASE_INFO, FILE*, BASE_END
 *   BASE_INFO u64 id | u64 lsn | u64 prev_lsn
 *   FILE      u64 id | u64 offset | u16 path_len | path | bytes   (large files in several, one after
 *             another; what lies between them is zeros; a path that ends in '/' is a directory. A log
 *             segment in pg_wal comes up to the end of its last record: the client extends it to 16 MiB)
 *   BASE_END  u64 id | u64 0
 *   ERROR     u64 id | u64 tarn_error_code | message bytes
 */
#ifndef TARN_WIRE_PAGE_WIRE_H
#define TARN_WIRE_PAGE_WIRE_H

#include "base/id.h"
#include "base/lsn.h"
#include "io/frame.h"

#define PAGE_WIRE_VERSION 1
#define PAGE_LSN_LATEST UINT64_MAX
#define PAGE_BYTES 8192

enum page_msg {
	PAGE_MSG_ATTACH = 1,
	PAGE_MSG_GETPAGE = 2,
	PAGE_MSG_NBLOCKS = 3,
	PAGE_MSG_DBSIZE = 4,
	PAGE_MSG_SLRU = 5,
	PAGE_MSG_BASEBACKUP = 6,

	PAGE_MSG_ATTACHED = 101,
	PAGE_MSG_PAGE = 102,
	PAGE_MSG_ABSENT = 103,
	PAGE_MSG_NUMBER = 104,
	PAGE_MSG_BLOB = 105,
	PAGE_MSG_BASE_INFO = 106,
	PAGE_MSG_FILE = 107,
	PAGE_MSG_BASE_END = 108,
	PAGE_MSG_ERROR = 109
};

enum page_slru { PAGE_SLRU_XACT = 0, PAGE_SLRU_MULTI_OFFSETS = 1, PAGE_SLRU_MULTI_MEMBERS = 2 };

struct page_request { /* GETPAGE, NBLOCKS, DBSIZE, SLRU */
	uint16_t type;
	uint64_t id;
	tarn_lsn lsn;
	tarn_lsn not_modified_since;
	uint32_t spc, db, rel;
	uint8_t fork;
	uint32_t block;
};

struct page_response {
	uint16_t type;
	uint64_t id;
	uint64_t number;      /* NUMBER; ATTACHED: last_record_lsn; ERROR: code; FILE: offset */
	const uint8_t *bytes; /* PAGE, BLOB, FILE content, ERROR text; inside the frame */
	size_t bytes_len;
	/* BASE_INFO */
	tarn_lsn lsn, prev_lsn;
	/* FILE */
	char path[256];
};

void page_put_attach(struct tarn_buf *b, const struct tarn_id *timeline,
		     uint64_t system_identifier);
void page_put_request(struct tarn_buf *b, const struct page_request *q);
void page_put_basebackup(struct tarn_buf *b, uint64_t id, tarn_lsn lsn);
int page_parse_attach(const struct frame *f, struct tarn_id *timeline, uint64_t *system_identifier,
		      struct tarn_error *err);
int page_parse_request(const struct frame *f, struct page_request *out, struct tarn_error *err);
int page_parse_basebackup(const struct frame *f, uint64_t *id, tarn_lsn *lsn,
			  struct tarn_error *err);

void page_put_attached(struct tarn_buf *b, tarn_lsn last_record_lsn);
/* PAGE, ABSENT, NUMBER, BLOB: one number and optional bytes. */
void page_put_answer(struct tarn_buf *b, uint16_t type, uint64_t id, uint64_t number,
		     const void *bytes, size_t len);
void page_put_error(struct tarn_buf *b, uint64_t id, const struct tarn_error *e);
void page_put_base_info(struct tarn_buf *b, uint64_t id, tarn_lsn lsn, tarn_lsn prev_lsn);
void page_put_file(struct tarn_buf *b, uint64_t id, const char *path, uint64_t offset,
		   const void *bytes, size_t len);
int page_parse_response(const struct frame *f, struct page_response *out, struct tarn_error *err);

#endif
