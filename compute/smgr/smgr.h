/*
 * The compute's storage manager in place of the server's own: pages come from the local page cache,
 * the local files of resident pages, and the pageserver; nothing durable is written here.
 */
#ifndef TARN_COMPUTE_SMGR_H
#define TARN_COMPUTE_SMGR_H

#include "postgres.h"
#include "common/relpath.h"
#include "storage/block.h"
#include "storage/relfilenode.h"

/* From _PG_init. */
void tarn_smgr_init(void);
/* Size in blocks; false: there is no such fork. */
bool tarn_smgr_nblocks(const RelFileNode *rel, ForkNumber fork, BlockNumber *nblocks);

#endif
