/*
 * What parts other than the walproposer ask of safekeepers: blocking calls over wire/quorum_wire.h.
 * Addresses are "HOST:PORT". Any thread may call; each call makes its own connection, but for the
 * reader, which belongs to one thread at a time.
 */
#ifndef TARN_QUORUM_SK_CLIENT_H
#define TARN_QUORUM_SK_CLIENT_H

#include "base/error.h"
#include "base/id.h"
#include "base/lsn.h"

/* Makes a timeline that begins at start_lsn (a record boundary). Making it again is no error. */
int sk_timeline_create(const char *addr, const struct tarn_id *tl, uint64_t system_identifier,
		       tarn_lsn start_lsn, int timeout_ms, struct tarn_error *err);
/* Whether it has the timeline. */
int sk_timeline_exists(const char *addr, const struct tarn_id *tl, int timeout_ms, bool *exists,
		       struct tarn_error *err);
/* Exactly [from, from + len) of its log, committed or not: for a proposer that feeds a member. */
int sk_read_range(const char *addr, const struct tarn_id *tl, uint64_t system_identifier,
		  tarn_lsn from, size_t len, uint8_t *out, int timeout_ms, struct tarn_error *err);
/* Deleting what is not there is no error. */
int sk_timeline_delete(const char *addr, const struct tarn_id *tl, int timeout_ms,
		       struct tarn_error *err);
/*
 * Takes a new term as a proposer that writes nothing: settles the tail on a majority, commits it and
 * gives the end of the log. Any older proposer is fenced. TARN_E_UNAVAILABLE without a majority.
 */
int quorum_sync(const char *const *addrs, unsigned count, const struct tarn_id *tl,
		uint64_t system_identifier, int timeout_ms, tarn_lsn *end_lsn,
		struct tarn_error *err);
/*
 * The read index: the highest flush LSN among a majority, so that every commit acknowledged before the
 * call is at or below it. *commit_lsn: the highest commit LSN any of them knows. *proposer_alive: a
 * proposer is connected to one of them, so the read index will be committed soon; if not, call
 * quorum_sync (lake.md, "Freshness").
 */
int quorum_read_index(const char *const *addrs, unsigned count, const struct tarn_id *tl,
		      int timeout_ms, tarn_lsn *read_index, tarn_lsn *commit_lsn,
		      bool *proposer_alive, struct tarn_error *err);

/* Streams committed WAL from one safekeeper. */
struct sk_reader;
/* from: where to begin. name: who reads, for its logs. TARN_E_NOT_FOUND: no such timeline there. */
int sk_reader_open(const char *addr, const struct tarn_id *tl, uint64_t system_identifier,
		   tarn_lsn from, const char *name, int timeout_ms, struct sk_reader **out,
		   struct tarn_error *err);
/* The next bytes, contiguous with the last ones; valid until the next call. *len = 0: nothing new within
 * timeout_ms (the connection is fine). *lsn is that of the first byte. *commit_lsn: as the safekeeper
 * knows it. Any error: close and open again, perhaps elsewhere. */
int sk_reader_next(struct sk_reader *r, int timeout_ms, const uint8_t **bytes, size_t *len,
		   tarn_lsn *lsn, tarn_lsn *commit_lsn, struct tarn_error *err);
/* Tells it that everything below lsn is durable elsewhere, so that its WAL may go. */
int sk_reader_report_durable(struct sk_reader *r, tarn_lsn lsn, struct tarn_error *err);
void sk_reader_free(struct sk_reader *r);

/* Splits "a:1,b:2,c:3" in place (text is modified); returns the count, or 0 if there are more than max or
 * an empty one. */
unsigned sk_split_addresses(char *text, const char **out, unsigned max);
#define SK_MAX_MEMBERS 9

#endif
