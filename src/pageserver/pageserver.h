/*
 * The pageserver as others in its process see it: pages, relation sizes and SLRU pages of a timeline
 * at an LSN. Built on store.h (versions), redo/redo.h (stock redo code) and page_op.h (our own
 * operations on visibility map and SLRU pages). All calls may come from any thread.
 */
#ifndef TARN_PAGESERVER_PAGESERVER_H
#define TARN_PAGESERVER_PAGESERVER_H

#include "pageserver/store.h"
#include "wire/page_wire.h"

struct pageserver;

struct ps_relation {
	uint32_t spc, db, rel;
};

/* The page's newest version at or below lsn (lsn ≤ last_record_lsn). *absent: beyond the relation's
 * size at lsn, or no such fork; out is untouched then. A hole inside the size reads as zeros. */
int ps_get_page(struct pageserver *ps, struct ps_timeline *tl, const struct ps_relation *rel,
		uint8_t fork, uint32_t block, tarn_lsn lsn, uint8_t out[PAGE_BYTES], bool *absent,
		struct tarn_error *err);
/* The same for up to PS_MAX_BLOCKS_PER_CALL blocks, which costs less than one after the other. out
 * takes count pages. */
#define PS_MAX_BLOCKS_PER_CALL 64u
int ps_get_blocks(struct pageserver *ps, struct ps_timeline *tl, const struct ps_relation *rel,
		  uint8_t fork, const uint32_t *blocks, uint32_t count, tarn_lsn lsn, uint8_t *out,
		  bool *absent, struct tarn_error *err);
/* Rebuilds any REL or SLRU key, without looking at relation sizes. */
int ps_get_key_page(struct pageserver *ps, struct ps_timeline *tl, const struct ps_key *key,
		    tarn_lsn lsn, uint8_t out[PAGE_BYTES], bool *absent, struct tarn_error *err);
int ps_rel_nblocks(struct pageserver *ps, struct ps_timeline *tl, const struct ps_relation *rel,
		   uint8_t fork, tarn_lsn lsn, uint32_t *nblocks, bool *absent,
		   struct tarn_error *err);
/* pg_filenode.map of a database (spc 1664, db 0: the shared one), 512 bytes. */
int ps_relmap(struct pageserver *ps, struct ps_timeline *tl, uint32_t spc, uint32_t db,
	      tarn_lsn lsn, uint8_t out[512], bool *absent, struct tarn_error *err);
/* Waits until pages can be read at lsn, asking the safekeepers for what is missing. */
int ps_wait(struct pageserver *ps, struct ps_timeline *tl, tarn_lsn lsn, int timeout_ms,
	    struct tarn_error *err);
struct ps_store *ps_store_of(struct pageserver *ps);

#endif
