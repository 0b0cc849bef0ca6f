/*
 * This process's connection to the pageserver: requests in flight, answered in their order.
 *
 * Pages may be asked for ahead (tarn_page_prefetch); tarn_page_get takes such an answer only if the
 * page's last-written LSN is still what it was. A pageserver that cannot be reached is waited for,
 * up to tarn.pageserver_timeout, in a way that can be cancelled; then, or when it answers with an
 * error, ereport(ERROR).
 */
#ifndef TARN_COMPUTE_PAGE_CLIENT_H
#define TARN_COMPUTE_PAGE_CLIENT_H

#include "postgres.h"
#include "access/xlogdefs.h"
#include "common/relpath.h"
#include "storage/block.h"
#include "storage/relfilenode.h"

#define TARN_PREFETCH_MAX 128

void tarn_page_client_settings(void);

/* false: the pageserver has no such page; page is untouched then. */
bool tarn_page_get(const RelFileNode *rel, ForkNumber fork, BlockNumber block, char *page);
/* Asks for a page that is not yet asked for; false if there are too many. Never waits for an answer
 * and never fails. */
bool tarn_page_prefetch(const RelFileNode *rel, ForkNumber fork, BlockNumber block);
bool tarn_page_asked(const RelFileNode *rel, ForkNumber fork, BlockNumber block);
/* false: there is no such fork. */
bool tarn_page_nblocks(const RelFileNode *rel, ForkNumber fork, BlockNumber *nblocks);
uint64 tarn_page_database_bytes(Oid spc, Oid db);

#endif
