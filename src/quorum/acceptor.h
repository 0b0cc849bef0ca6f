/*
 * Acceptor: the consensus state of one timeline on one safekeeper. A pure state machine: it decides, its
 * owner writes. Rules (design/quorum.md):
 *   - the owner persists `hard` before it sends any reply made by vote or elected;
 *   - the owner has truncated the log to truncate_lsn, durably, before it answers elected;
 *   - flush_lsn moves only after fsync, and only to ends of whole records.
 */
#ifndef TARN_QUORUM_ACCEPTOR_H
#define TARN_QUORUM_ACCEPTOR_H

#include "base/error.h"
#include "wire/quorum_wire.h"

struct acceptor_hard { /* what survives */
	uint64_t term;
	uint64_t voted_for;  /* the proposer that has this term */
	tarn_lsn start_lsn;  /* of the timeline */
	tarn_lsn commit_lsn; /* as known at the last write; at least start_lsn */
	bool recovering;     /* made anew in place of one that lost its disk, and still behind */
	struct quorum_history history;
};
struct acceptor {
	struct acceptor_hard hard;
	tarn_lsn write_lsn; /* end of the bytes written */
	tarn_lsn flush_lsn; /* end of the last whole record that is on disk */
	uint64_t
		adopted_term; /* the term whose ELECTED was taken since the start; appends need it */
};

/* A new timeline; recovering: others have had it. */
void acceptor_create(struct acceptor *a, tarn_lsn start_lsn, bool recovering);
/* Fills a GREETING or VOTED. */
void acceptor_describe(const struct acceptor *a, struct quorum_msg *out);
/* VOTE: true if granted; *changed if hard must be written before the reply goes out. */
bool acceptor_vote(struct acceptor *a, uint64_t term, uint64_t proposer, bool *changed);
/* ELECTED: sets *truncate_lsn to where the log must end before the reply, and hard, to be written, too.
 * TARN_E_CONFLICT: a newer term is here. */
int acceptor_elected(struct acceptor *a, const struct quorum_msg *m, tarn_lsn *truncate_lsn,
		     struct tarn_error *err);
/* APPEND: checks it; *skip bytes of it are here already, the rest is to be written at write_lsn. */
int acceptor_append(const struct acceptor *a, const struct quorum_msg *m, size_t *skip,
		    struct tarn_error *err);
/* Takes over the commit LSN of an APPEND whose bytes are flushed as far as flush_lsn says. */
void acceptor_learn_commit(struct acceptor *a, tarn_lsn commit_lsn);

#endif
