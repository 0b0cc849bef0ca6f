/* Implementation of acceptor.h. */
#include "base/system.h"
#include "quorum/acceptor.h"
#include "quorum/history.h"

void acceptor_create(struct acceptor *a, tarn_lsn start_lsn, bool recovering)
{
	memset(a, 0, sizeof *a);
	a->hard.recovering = recovering;
	a->hard.start_lsn = a->hard.commit_lsn = start_lsn;
	a->hard.history.count = 1;
	a->hard.history.entries[0].lsn = start_lsn;
	a->write_lsn = a->flush_lsn = start_lsn;
}

void acceptor_describe(const struct acceptor *a, struct quorum_msg *out)
{
	out->flags |= Q_FLAG_EXISTS | (a->hard.recovering ? Q_FLAG_RECOVERING : 0u);
	out->term = a->hard.term;
	out->last_log_term = history_last_term(&a->hard.history, a->flush_lsn);
	out->flush_lsn = a->flush_lsn;
	out->commit_lsn = a->hard.commit_lsn;
	out->start_lsn = a->hard.start_lsn;
	out->history = a->hard.history;
}

bool acceptor_vote(struct acceptor *a, uint64_t term, uint64_t proposer, bool *changed)
{
	*changed = false;
	if (term < a->hard.term || (term == a->hard.term && proposer != a->hard.voted_for))
		return false;
	if (term > a->hard.term) {
		a->hard.term = term;
		a->hard.voted_for = proposer;
		*changed = true;
	}
	return true;
}

static int check_term(const struct acceptor *a, uint64_t term, struct tarn_error *err)
{
	if (term < a->hard.term)
		return tarn_fail(err, TARN_E_CONFLICT,
				 "term %" PRIu64 " is over: term %" PRIu64
				 " has begun, another compute took over",
				 term, a->hard.term);
	if (term > a->hard.term)
		return tarn_fail(err, TARN_E_PROTOCOL, "term %" PRIu64 " was never voted for here",
				 term);
	return 0;
}

int acceptor_elected(struct acceptor *a, const struct quorum_msg *m, tarn_lsn *truncate_lsn,
		     struct tarn_error *err)
{
	TRY(check_term(a, m->term, err));
	if (m->history.count == 0 || m->history.entries[m->history.count - 1].term != m->term)
		return tarn_fail(err, TARN_E_PROTOCOL,
				 "the term history does not end with term %" PRIu64, m->term);
	tarn_lsn fork =
		history_fork(&a->hard.history, a->flush_lsn, a->hard.commit_lsn, &m->history);
	if (fork < a->hard.commit_lsn)
		return tarn_fail(err, TARN_E_CORRUPT,
				 "the proposer's history forks at " TARN_LSN_FMT
				 ", below the committed " TARN_LSN_FMT,
				 TARN_LSN_ARGS(fork), TARN_LSN_ARGS(a->hard.commit_lsn));
	*truncate_lsn = fork;
	a->hard.history = m->history;
	a->adopted_term = m->term;
	return 0;
}

int acceptor_append(const struct acceptor *a, const struct quorum_msg *m, size_t *skip,
		    struct tarn_error *err)
{
	TRY(check_term(a, m->term, err));
	if (a->adopted_term != m->term)
		return tarn_fail(err, TARN_E_PROTOCOL, "term %" PRIu64 " was not announced here",
				 m->term);
	if (m->bytes_len > 0 && m->begin_lsn > a->write_lsn)
		return tarn_fail(err, TARN_E_PROTOCOL,
				 "the log ends at " TARN_LSN_FMT ", bytes from " TARN_LSN_FMT
				 " would leave a gap",
				 TARN_LSN_ARGS(a->write_lsn), TARN_LSN_ARGS(m->begin_lsn));
	*skip = m->bytes_len == 0
			? 0
			: (size_t)TARN_MIN(a->write_lsn - m->begin_lsn, (tarn_lsn)m->bytes_len);
	return 0;
}

void acceptor_learn_commit(struct acceptor *a, tarn_lsn commit_lsn)
{
	tarn_lsn known = TARN_MIN(commit_lsn, a->flush_lsn);
	if (known > a->hard.commit_lsn)
		a->hard.commit_lsn = known;
	if (known == commit_lsn && commit_lsn > a->hard.start_lsn)
		a->hard.recovering = false;
}
