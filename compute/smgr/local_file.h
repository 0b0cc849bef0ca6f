/*
 * Pages kept in this compute's own files, because the log cannot rebuild them (yet): one sparse file
 * a fork and gigabyte, under the name the server itself would use, so that dropping or copying a database takes
 * them along. A page that is not there is a hole and reads as zeros. The buffer manager keeps two
 * processes from reading and writing one page at a time. All calls may ereport(ERROR).
 */
#ifndef TARN_COMPUTE_LOCAL_FILE_H
#define TARN_COMPUTE_LOCAL_FILE_H

#include "postgres.h"
#include "common/relpath.h"
#include "storage/block.h"
#include "storage/relfilenode.h"

void tarn_local_write(const RelFileNode *rel, ForkNumber fork, BlockNumber block, const char *page);
/* false: the page is a hole; page is zeros then. */
bool tarn_local_read(const RelFileNode *rel, ForkNumber fork, BlockNumber block, char *page);
/* Makes the page a hole. */
void tarn_local_drop(const RelFileNode *rel, ForkNumber fork, BlockNumber block);
void tarn_local_truncate(const RelFileNode *rel, ForkNumber fork, BlockNumber old_nblocks,
			 BlockNumber nblocks);
/* An empty file for a new fork, in place of what lay there. */
void tarn_local_create(const RelFileNode *rel, ForkNumber fork);
void tarn_local_remove(const RelFileNode *rel, ForkNumber fork, BlockNumber nblocks);

#endif
