/*
 * The walproposer: a background worker that streams this compute's log to the safekeepers and tells
 * waiting backends what a majority has on disk. It must be elected exactly at the LSN at which this
 * compute began; otherwise another compute has written since, and this one stops.
 *
 * When the worker ends for any reason but an ordered shutdown it takes the server down: without it no
 * commit can be acknowledged.
 */
#ifndef TARN_COMPUTE_WALPROPOSER_H
#define TARN_COMPUTE_WALPROPOSER_H

#include "port/atomics.h"
#include "storage/condition_variable.h"

struct tarn_quorum {
	pg_atomic_uint64 commit_lsn;	 /* on a majority's disks; 0 before the election */
	pg_atomic_uint64 pageserver_lsn; /* ingested; 0 unknown */
	/* Workers that may still write log at an ordered stop. */
	pg_atomic_uint32 writers;
	ConditionVariable advanced; /* broadcast when commit_lsn grows */
};
/* NULL when tarn.safekeepers is empty. */
extern struct tarn_quorum *tarn_quorum;

/* From _PG_init, after the settings: registers everything about commits. */
void tarn_walproposer_init(void);

#endif
