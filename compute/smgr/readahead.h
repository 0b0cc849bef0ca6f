/*
 * Pages asked for before they are needed: what the server prefetches (bitmap scans, vacuum), and
 * sequential reads, which it does not announce. Per process.
 */
#ifndef TARN_COMPUTE_READAHEAD_H
#define TARN_COMPUTE_READAHEAD_H

#include "postgres.h"
#include "common/relpath.h"
#include "storage/block.h"
#include "storage/relfilenode.h"

void tarn_readahead_settings(void);
/* true: the page is on its way. */
bool tarn_prefetch(const RelFileNode *rel, ForkNumber fork, BlockNumber block);
/* Before a page is read that is not here: asks for it and for the pages behind it, when the reads
 * of late went through the fork in order. */
void tarn_read_ahead(const RelFileNode *rel, ForkNumber fork, BlockNumber block,
		     BlockNumber nblocks);

#endif
