/* Implementation of proposer.h. */
#include "base/system.h"
#include "quorum/history.h"
#include "quorum/proposer.h"

static void put(struct proposer *p, enum proposer_output_type type, unsigned member, uint16_t msg,
		tarn_lsn from, tarn_lsn to)
{
	TARN_CHECK(p->output_count < PROPOSER_MAX_OUTPUTS);
	p->outputs[p->output_count++] = (struct proposer_output){type, member, msg, from, to};
}

static unsigned majority(const struct proposer *p)
{
	return p->count / 2 + 1;
}

static unsigned count_from(const struct proposer *p, enum proposer_member_state least)
{
	unsigned n = 0;
	for (unsigned i = 0; i < p->count; i++)
		n += p->members[i].state >= least && !p->members[i].recovering;
	return n;
}

void proposer_init(struct proposer *p, const struct tarn_id *timeline, uint64_t system_identifier,
		   uint64_t id, unsigned count)
{
	TARN_CHECK(count >= 1 && count <= PROPOSER_MAX_MEMBERS);
	memset(p, 0, sizeof *p);
	p->timeline = *timeline;
	p->system_identifier = system_identifier;
	p->id = id;
	p->count = count;
}

void proposer_connected(struct proposer *p, unsigned member)
{
	p->members[member].state = PROPOSER_HELLO;
	put(p, PROPOSER_OUT_SEND, member, Q_HELLO, 0, 0);
}

void proposer_disconnected(struct proposer *p, unsigned member)
{
	p->members[member].state = PROPOSER_DOWN;
}

static void ask_vote(struct proposer *p, unsigned i)
{
	p->members[i].state = PROPOSER_VOTING;
	put(p, PROPOSER_OUT_SEND, i, Q_VOTE, 0, 0);
}

static void announce(struct proposer *p, unsigned i)
{
	p->members[i].state = PROPOSER_ADOPTING;
	put(p, PROPOSER_OUT_SEND, i, Q_ELECTED, 0, 0);
}

static void remember(struct proposer *p, struct proposer_member *m, const struct quorum_msg *q)
{
	m->greeted_once = true;
	m->recovering = (q->flags & Q_FLAG_RECOVERING) != 0;
	m->last_log_term = q->last_log_term;
	m->flush_lsn = q->flush_lsn;
	m->commit_lsn = q->commit_lsn;
	m->start_lsn = q->start_lsn;
	m->history = q->history;
	p->max_term = TARN_MAX(p->max_term, q->term);
	p->known_commit_lsn = TARN_MAX(p->known_commit_lsn, q->commit_lsn);
}

/* A member without the timeline (new, or its disk was replaced) is given it as the others have it. */
static int recreate(struct proposer *p, unsigned i, struct tarn_error *err)
{
	for (unsigned k = 0; k < p->count; k++)
		if (p->members[k].greeted_once && p->members[k].start_lsn) {
			p->members[i].start_lsn = p->members[k].start_lsn;
			put(p, PROPOSER_OUT_SEND, i, Q_CREATE, 0, 0);
			return 0;
		}
	return tarn_fail(err, TARN_E_NOT_FOUND, "no safekeeper that answered has the timeline");
}

static int on_greeting(struct proposer *p, unsigned i, const struct quorum_msg *q,
		       struct tarn_error *err)
{
	struct proposer_member *m = &p->members[i];
	if (!(q->flags & Q_FLAG_EXISTS))
		return recreate(p, i, err);
	remember(p, m, q);
	m->state = PROPOSER_GREETED;
	if (p->term) {
		if (q->term > p->term)
			return tarn_fail(err, TARN_E_CONFLICT,
					 "term %" PRIu64
					 " has begun: another compute took over from term %" PRIu64,
					 q->term, p->term);
		ask_vote(p, i);
	} else if (count_from(p, PROPOSER_GREETED) >= majority(p)) {
		p->term = p->max_term + 1;
		for (unsigned k = 0; k < p->count; k++)
			if (p->members[k].state == PROPOSER_GREETED)
				ask_vote(p, k);
	}
	return 0;
}

static bool better_donor(const struct proposer_member *a, const struct proposer_member *b)
{
	if (a->last_log_term != b->last_log_term)
		return a->last_log_term > b->last_log_term;
	return a->flush_lsn > b->flush_lsn;
}

static int win(struct proposer *p, struct tarn_error *err)
{
	bool have = false;
	for (unsigned i = 0; i < p->count; i++)
		if (p->members[i].state == PROPOSER_VOTED && !p->members[i].recovering &&
		    (!have || better_donor(&p->members[i], &p->members[p->donor]))) {
			p->donor = i;
			have = true;
		}
	const struct proposer_member *d = &p->members[p->donor];
	p->term_start_lsn = d->flush_lsn;
	p->local_lsn = TARN_MAX(p->local_lsn, p->term_start_lsn);
	if (!history_extend(&d->history, p->term, p->term_start_lsn, p->known_commit_lsn,
			    &p->history))
		return tarn_fail(err, TARN_E_LIMIT, "more than %u terms have not been committed",
				 QUORUM_MAX_HISTORY);
	p->elected = true;
	put(p, PROPOSER_OUT_ELECTED, 0, 0, p->term_start_lsn, 0);
	for (unsigned i = 0; i < p->count; i++)
		if (p->members[i].state == PROPOSER_VOTED)
			announce(p, i);
	return 0;
}

static int on_voted(struct proposer *p, unsigned i, const struct quorum_msg *q,
		    struct tarn_error *err)
{
	struct proposer_member *m = &p->members[i];
	if (m->state != PROPOSER_VOTING)
		return tarn_fail(err, TARN_E_PROTOCOL, "a vote that was not asked for");
	remember(p, m, q);
	if (!(q->flags & Q_FLAG_GRANTED))
		return tarn_fail(err, TARN_E_CONFLICT,
				 "another compute holds term %" PRIu64 ", ours was %" PRIu64,
				 q->term, p->term);
	m->state = PROPOSER_VOTED;
	if (p->elected)
		announce(p, i);
	else if (count_from(p, PROPOSER_VOTED) >= majority(p))
		return win(p, err);
	return 0;
}

/* Whatever fits into the member's window. */
static void feed(struct proposer *p, unsigned i)
{
	struct proposer_member *m = &p->members[i];
	while (m->state == PROPOSER_STREAMING && m->next_lsn < p->local_lsn &&
	       m->next_lsn - TARN_MIN(m->flush_lsn, m->next_lsn) < PROPOSER_WINDOW_BYTES &&
	       p->output_count + 2 * PROPOSER_MAX_MEMBERS < PROPOSER_MAX_OUTPUTS) {
		tarn_lsn to = TARN_MIN(p->local_lsn, m->next_lsn + QUORUM_MAX_DATA_BYTES);
		put(p, PROPOSER_OUT_APPEND, i, Q_APPEND, m->next_lsn, to);
		m->next_lsn = to;
	}
}

/* The highest LSN that a majority of members, having adopted the term, has flushed. */
static tarn_lsn majority_flush(const struct proposer *p)
{
	tarn_lsn best = 0;
	for (unsigned i = 0; i < p->count; i++) {
		unsigned n = 0;
		for (unsigned k = 0; k < p->count; k++)
			n += p->members[k].state == PROPOSER_STREAMING &&
			     p->members[k].flush_lsn >= p->members[i].flush_lsn;
		if (p->members[i].state == PROPOSER_STREAMING && n >= majority(p))
			best = TARN_MAX(best, p->members[i].flush_lsn);
	}
	return best;
}

static void tell_commit(struct proposer *p)
{
	for (unsigned i = 0; i < p->count; i++)
		if (p->members[i].state == PROPOSER_STREAMING)
			put(p, PROPOSER_OUT_APPEND, i, Q_APPEND, p->members[i].next_lsn,
			    p->members[i].next_lsn);
}

static void advance_commit(struct proposer *p)
{
	tarn_lsn lsn = majority_flush(p);
	if (lsn < p->term_start_lsn || lsn <= p->commit_lsn)
		return; /* old-term commit rule */
	p->commit_lsn = lsn;
	put(p, PROPOSER_OUT_COMMIT, 0, 0, 0, lsn);
	tell_commit(p);
}

static int on_flushed(struct proposer *p, unsigned i, const struct quorum_msg *q,
		      struct tarn_error *err)
{
	struct proposer_member *m = &p->members[i];
	if (q->term > p->term)
		return tarn_fail(err, TARN_E_CONFLICT,
				 "term %" PRIu64 " has begun: another compute took over", q->term);
	if (q->term < p->term || m->state < PROPOSER_ADOPTING)
		return tarn_fail(err, TARN_E_PROTOCOL,
				 "an answer to a question that was not asked");
	if (q->type == Q_ADOPTED) {
		m->state = PROPOSER_STREAMING;
		m->next_lsn = q->flush_lsn;
		m->flush_lsn = q->flush_lsn;
	} else if (q->flush_lsn > m->next_lsn) {
		return tarn_fail(err, TARN_E_PROTOCOL, "it says it has more than was sent");
	} else {
		m->flush_lsn = TARN_MAX(m->flush_lsn, q->flush_lsn);
	}
	feed(p, i);
	advance_commit(p);
	return 0;
}

int proposer_message(struct proposer *p, unsigned member, const struct quorum_msg *m,
		     struct tarn_error *err)
{
	switch (m->type) {
	case Q_GREETING:
		return on_greeting(p, member, m, err);
	case Q_VOTED:
		return on_voted(p, member, m, err);
	case Q_ADOPTED:
	case Q_APPENDED:
		return on_flushed(p, member, m, err);
	case Q_ERROR:
		return quorum_error(m, err);
	default:
		return tarn_fail(err, TARN_E_PROTOCOL, "unexpected message %u", m->type);
	}
}

void proposer_local(struct proposer *p, tarn_lsn lsn)
{
	if (!p->elected)
		return;
	p->local_lsn = TARN_MAX(p->local_lsn, lsn);
	for (unsigned i = 0; i < p->count; i++)
		feed(p, i);
}

void proposer_tick(struct proposer *p)
{
	if (p->elected)
		tell_commit(p);
}

void proposer_fill(const struct proposer *p, const struct proposer_output *o, struct quorum_msg *m)
{
	memset(m, 0, sizeof *m);
	m->type = o->msg;
	m->timeline = p->timeline;
	m->system_identifier = p->system_identifier;
	m->term = p->term;
	m->proposer = p->id;
	m->commit_lsn = p->commit_lsn;
	m->begin_lsn = o->from;
	if (o->msg == Q_CREATE) {
		m->start_lsn = p->members[o->member].start_lsn;
		m->flags = Q_FLAG_RECOVERING;
	}
	if (o->msg == Q_ELECTED)
		m->history = p->history;
}
