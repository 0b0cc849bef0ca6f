/* Term histories: which term wrote from which LSN on. Pure functions. */
#ifndef TARN_QUORUM_HISTORY_H
#define TARN_QUORUM_HISTORY_H

#include "wire/quorum_wire.h"

/* The term that wrote the log's end at flush: the last entry that begins at or before it; 0: none. */
uint64_t history_last_term(const struct quorum_history *h, tarn_lsn flush_lsn);
/*
 * Where the log of an acceptor (history mine, end my_flush, commit my_commit) stops agreeing with a
 * proposer's history: the end of the newest common term, on the shorter side. Without a common term only what
 * the acceptor knows to be committed is sure.
 */
tarn_lsn history_fork(const struct quorum_history *mine, tarn_lsn my_flush, tarn_lsn my_commit,
		      const struct quorum_history *proposer);
/* The history of a new term that begins at lsn, after a donor's log up to there. Entries that end at or below
 * commit_lsn can never be a fork again and are dropped, so that the history stays short. False: too long. */
bool history_extend(const struct quorum_history *donor, uint64_t term, tarn_lsn lsn,
		    tarn_lsn commit_lsn, struct quorum_history *out);

#endif
