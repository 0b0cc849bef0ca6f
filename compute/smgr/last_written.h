/*
 * Last-written LSNs: up to where the pageserver must have the log before it may answer for a page.
 *
 * A fixed array of LSNs in shared memory, indexed by a hash of the page's name: two pages that
 * share a place share the greater LSN, which only makes a read wait for more log than it needs.
 * Nothing is ever forgotten. No locks: each place only grows.
 */
#ifndef TARN_COMPUTE_LAST_WRITTEN_H
#define TARN_COMPUTE_LAST_WRITTEN_H

#include "postgres.h"
#include "access/xlogdefs.h"
#include "common/relpath.h"
#include "storage/block.h"
#include "storage/relfilenode.h"

Size tarn_last_written_bytes(void);
void tarn_last_written_init(void); /* in the startup hook, under AddinShmemInitLock */

/* block InvalidBlockNumber: the size of the fork. */
void tarn_last_written_raise(const RelFileNode *rel, ForkNumber fork, BlockNumber block,
			     XLogRecPtr lsn);
XLogRecPtr tarn_last_written(const RelFileNode *rel, ForkNumber fork, BlockNumber block);
/* Every page may have changed up to lsn. */
void tarn_last_written_raise_all(XLogRecPtr lsn);
/* The end of the newest log record made by anybody. */
XLogRecPtr tarn_newest_record_end(void);

#endif
