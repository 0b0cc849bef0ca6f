/* Implementation of history.h. */
#include "base/system.h"
#include "quorum/history.h"

uint64_t history_last_term(const struct quorum_history *h, tarn_lsn flush_lsn)
{
	for (uint32_t i = h->count; i > 0; i--)
		if (h->entries[i - 1].lsn <= flush_lsn)
			return h->entries[i - 1].term;
	return 0;
}

static tarn_lsn entry_end(const struct quorum_history *h, uint32_t i, tarn_lsn log_end)
{
	tarn_lsn end = i + 1 < h->count ? h->entries[i + 1].lsn : log_end;
	return TARN_MIN(end, log_end);
}

tarn_lsn history_fork(const struct quorum_history *mine, tarn_lsn my_flush, tarn_lsn my_commit,
		      const struct quorum_history *proposer)
{
	for (uint32_t i = mine->count; i > 0; i--) {
		if (mine->entries[i - 1].lsn > my_flush)
			continue;
		for (uint32_t k = proposer->count; k > 0; k--) {
			if (proposer->entries[k - 1].term != mine->entries[i - 1].term)
				continue;
			return TARN_MIN(entry_end(mine, i - 1, my_flush),
					entry_end(proposer, k - 1, UINT64_MAX));
		}
	}
	return TARN_MIN(my_commit, my_flush);
}

bool history_extend(const struct quorum_history *donor, uint64_t term, tarn_lsn lsn,
		    tarn_lsn commit_lsn, struct quorum_history *out)
{
	out->count = 0;
	for (uint32_t i = 0; i < donor->count && donor->entries[i].lsn <= lsn; i++) {
		if (entry_end(donor, i, lsn) < commit_lsn)
			continue;
		if (donor->entries[i].lsn == lsn && i > 0)
			continue; /* a term that wrote nothing */
		if (out->count == QUORUM_MAX_HISTORY - 1)
			return false;
		out->entries[out->count++] = donor->entries[i];
	}
	out->entries[out->count].term = term;
	out->entries[out->count++].lsn = lsn;
	return true;
}
