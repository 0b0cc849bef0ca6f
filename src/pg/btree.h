/*
 * Looking up a key in a B-tree index, read-only: descent from the root, then along the leaves.
 * Made for TOAST indexes, whose key is (chunk_id oid, chunk_seq int4).
 *
 * Source of the layout: Postgres 15, access/nbtree.h and access/itup.h.
 *
 * The pages come through a function and are hostile: bounds, depth and the number of pages visited
 * are limited, TARN_E_CORRUPT otherwise. Pages must all be of one LSN. Any thread.
 */
#ifndef TARN_PG_BTREE_H
#define TARN_PG_BTREE_H

#include "base/error.h"
#include "pg/heap_page.h"

struct btree_pages {
	void *arg;
	/* A block of the index. A block that does not exist is an error. */
	int (*get)(void *arg, uint32_t block, uint8_t out[PG_PAGE_BYTES], struct tarn_error *err);
};
struct btree_hit {
	uint32_t oid;
	int32_t seq;
	uint32_t heap_block;
	uint16_t heap_item;
};
/* Calls visit for each entry with this oid, ascending by seq; entries of dead rows too. A non-zero
 * result of visit ends the scan and is returned. */
int btree_scan_oid(const struct btree_pages *pages, uint32_t oid,
		   int (*visit)(void *visit_arg, const struct btree_hit *hit,
				struct tarn_error *err),
		   void *visit_arg, struct tarn_error *err);

#endif
