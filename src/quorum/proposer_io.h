/*
 * Drives a proposer over sockets: non-blocking connections to the members, reconnecting, bounded
 * buffers. Used by the walproposer inside a compute and by quorum_sync. One thread.
 */
#ifndef TARN_QUORUM_PROPOSER_IO_H
#define TARN_QUORUM_PROPOSER_IO_H

#include "quorum/proposer.h"

struct proposer_io;
struct proposer_io_config {
	const char *const *addresses; /* copied */
	unsigned count;
	struct tarn_id timeline;
	uint64_t system_identifier;
	/* Reads [from, from + len) of the local log. TARN_E_NOT_FOUND: not here (older than this compute, or
	 * removed); then it is fetched from a member. NULL: there is no local log. */
	int (*read_wal)(void *arg, tarn_lsn from, size_t len, uint8_t *out, struct tarn_error *err);
	void *arg;
	void (*on_log)(void *arg,
		       const char *line); /* events worth a line in the log; may be NULL */
};
struct proposer_io *proposer_io_new(const struct proposer_io_config *c);
void proposer_io_free(struct proposer_io *p);
/*
 * Tells the core how far the local log goes (0: nothing new), then waits up to timeout_ms for a
 * socket or extra_fd (-1: none) and handles what came. Returns TARN_E_CONFLICT when fenced; other
 * troubles with members are handled inside.
 */
int proposer_io_step(struct proposer_io *p, tarn_lsn local_lsn, int timeout_ms, int extra_fd,
		     struct tarn_error *err);
bool proposer_io_elected(const struct proposer_io *p, tarn_lsn *term_start_lsn);
tarn_lsn proposer_io_commit_lsn(const struct proposer_io *p);
/* The lowest LSN that a connected member still needs; UINT64_MAX if there is none. */
tarn_lsn proposer_io_oldest_needed_lsn(const struct proposer_io *p);
/* The last trouble with any member, for messages. */
const char *proposer_io_trouble(const struct proposer_io *p);

#endif
