/*
 * Quorum protocol, version 1: proposers, readers and tools ↔ safekeepers. Frames of io/frame.h with
 * protocol 'Q'. All messages share one layout; a type uses the fields it names and leaves the rest 0.
 * Pure encode and decode: usable from tarn.so.
 *
 *   u8[16] timeline | u64 system_identifier | u64 term | u64 proposer | u64 last_log_term
 *   | u64 begin_lsn | u64 flush_lsn | u64 commit_lsn | u64 start_lsn | u32 flags | u32 history_count
 *   | history_count × { u64 term, u64 start_lsn } | bytes to the end of the frame
 *
 *   HELLO     timeline system_identifier [flags PROPOSER]      → GREETING (flags EXISTS or not)
 *   CREATE    timeline system_identifier start_lsn [flags RECOVERING] → GREETING
 *   DELETE    timeline                                         → OK
 *   STATUS    timeline                                         → GREETING (flags PROPOSER_ALIVE)
 *   GREETING  term last_log_term flush_lsn commit_lsn start_lsn history
 *   VOTE      term proposer      → VOTED  like GREETING, flags GRANTED; the term is on disk by then
 *   ELECTED   term history       → ADOPTED term flush_lsn; a divergent tail is gone by then
 *   APPEND    term begin_lsn commit_lsn bytes → APPENDED term flush_lsn commit_lsn; may be empty
 *   READ      begin_lsn [flags BEYOND_COMMIT] bytes = reader's name → WAL begin_lsn commit_lsn bytes, without end
 *   DURABLE   flush_lsn: everything below is durable elsewhere
 *   ERROR     term = error code, bytes = message
 */
#ifndef TARN_WIRE_QUORUM_WIRE_H
#define TARN_WIRE_QUORUM_WIRE_H

#include "base/id.h"
#include "base/lsn.h"
#include "io/frame.h"

#define QUORUM_WIRE_VERSION 1
#define QUORUM_MAX_DATA_BYTES ((size_t)1 << 20)
#define QUORUM_MAX_HISTORY 256u
#define QUORUM_MAX_PAYLOAD_BYTES (QUORUM_MAX_DATA_BYTES + 16 * KIB)

enum quorum_msg_type {
	Q_HELLO = 1,
	Q_CREATE,
	Q_DELETE,
	Q_STATUS,
	Q_VOTE,
	Q_ELECTED,
	Q_APPEND,
	Q_READ,
	Q_DURABLE,
	Q_GREETING = 101,
	Q_OK,
	Q_VOTED,
	Q_ADOPTED,
	Q_APPENDED,
	Q_WAL,
	Q_ERROR
};
enum quorum_flag {
	Q_FLAG_EXISTS = 1,
	Q_FLAG_GRANTED = 2,
	Q_FLAG_PROPOSER_ALIVE = 4,
	Q_FLAG_BEYOND_COMMIT = 8,
	Q_FLAG_RECOVERING =
		16 /* lost its disk; has not caught up yet, so its vote does not count */
};

/* Terms in order, each with the LSN at which it began to write. */
struct quorum_term_start {
	uint64_t term;
	tarn_lsn lsn;
};
struct quorum_history {
	uint32_t count;
	struct quorum_term_start entries[QUORUM_MAX_HISTORY];
};

struct quorum_msg {
	uint16_t type;
	uint32_t flags;
	struct tarn_id timeline;
	uint64_t system_identifier;
	uint64_t term, proposer, last_log_term;
	tarn_lsn begin_lsn, flush_lsn, commit_lsn, start_lsn;
	const uint8_t *bytes; /* inside the frame, or the caller's */
	size_t bytes_len;
	struct quorum_history history; /* last: large */
};

void quorum_put(struct tarn_buf *b, const struct quorum_msg *m);
int quorum_parse(const struct frame *f, struct quorum_msg *out, struct tarn_error *err);
/* The error an ERROR message carries. */
int quorum_error(const struct quorum_msg *m, struct tarn_error *err);

#endif
