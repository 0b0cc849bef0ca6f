/*
 * Proposer: wins a term on a majority of safekeepers and gets the log committed there. A pure state
 * machine: events in, outputs out; no clock, socket, file or allocation. proposer_io.h drives it over
 * sockets; a simulator can drive the same code.
 *
 * Life: greet a majority → take a term above all seen → votes of a majority → the donor is the voter with the
 * highest (last log term, flush LSN); its flush LSN is where the term starts → every member adopts
 * the history (and drops what diverges) → bytes are appended; the commit LSN is the highest LSN that a
 * majority has flushed, and counts only from the term's start on (old-term commit rule).
 *
 * After each event the caller takes the outputs [0, output_count) and sets output_count to 0.
 */
#ifndef TARN_QUORUM_PROPOSER_H
#define TARN_QUORUM_PROPOSER_H

#include "base/error.h"
#include "wire/quorum_wire.h"

#define PROPOSER_MAX_MEMBERS 9
#define PROPOSER_MAX_OUTPUTS 64
/* Bytes under way to one member before it must answer. */
#define PROPOSER_WINDOW_BYTES ((uint64_t)8 << 20)

enum proposer_member_state {
	PROPOSER_DOWN,	/* not connected */
	PROPOSER_HELLO, /* waits for its GREETING */
	PROPOSER_GREETED,
	PROPOSER_VOTING, /* waits for VOTED */
	PROPOSER_VOTED,
	PROPOSER_ADOPTING, /* waits for ADOPTED */
	PROPOSER_STREAMING
};
struct proposer_member {
	enum proposer_member_state state;
	bool greeted_once; /* its term was seen */
	bool recovering;   /* its vote does not count */
	uint64_t last_log_term;
	tarn_lsn flush_lsn;
	tarn_lsn next_lsn; /* of the next byte to send */
	tarn_lsn commit_lsn, start_lsn;
	struct quorum_history history;
};
enum proposer_output_type {
	PROPOSER_OUT_SEND,   /* send message type `msg` to member */
	PROPOSER_OUT_APPEND, /* send APPEND with the bytes [from, to) to member; from = to: empty */
	PROPOSER_OUT_ELECTED, /* the term has begun at lsn `from` */
	PROPOSER_OUT_COMMIT   /* committed up to `to` */
};
struct proposer_output {
	enum proposer_output_type type;
	unsigned member;
	uint16_t msg;
	tarn_lsn from, to;
};
struct proposer {
	struct tarn_id timeline;
	uint64_t system_identifier;
	uint64_t id; /* random: who holds a term */
	unsigned count;
	struct proposer_member members[PROPOSER_MAX_MEMBERS];
	uint64_t max_term; /* seen anywhere */
	uint64_t term;	   /* ours, 0 before the election */
	bool elected;
	unsigned donor;
	tarn_lsn term_start_lsn;
	tarn_lsn local_lsn; /* log that the caller can read ends here */
	tarn_lsn commit_lsn;
	tarn_lsn known_commit_lsn; /* highest any member told: safe to truncate histories below */
	struct quorum_history history; /* sent with ELECTED */
	struct proposer_output outputs[PROPOSER_MAX_OUTPUTS];
	unsigned output_count;
};

void proposer_init(struct proposer *p, const struct tarn_id *timeline, uint64_t system_identifier,
		   uint64_t id, unsigned count);
/* Events. A failure of message means: drop that member's connection; TARN_E_CONFLICT means that another
 * proposer has taken over and this one must stop. */
void proposer_connected(struct proposer *p, unsigned member);
void proposer_disconnected(struct proposer *p, unsigned member);
int proposer_message(struct proposer *p, unsigned member, const struct quorum_msg *m,
		     struct tarn_error *err);
/* The log grew (or, after the election, is known) up to lsn. */
void proposer_local(struct proposer *p, tarn_lsn lsn);
/* A second passed: empty APPENDs keep members and their readers informed. */
void proposer_tick(struct proposer *p);
/* Fills the message of a PROPOSER_OUT_SEND or PROPOSER_OUT_APPEND (but for its bytes). */
void proposer_fill(const struct proposer *p, const struct proposer_output *o, struct quorum_msg *m);

#endif
