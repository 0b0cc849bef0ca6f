/*
 * What this compute knows of each fork: its size, and whether some of its pages lie in a local file.
 *
 * In shared memory, a hash table in partitions with a lock each. An entry whose size this compute
 * has changed is the only true one (the pageserver learns of new pages from the log alone) and stays
 * until the relation is dropped; the others may be evicted and asked for again.
 */
#ifndef TARN_COMPUTE_RELATION_TABLE_H
#define TARN_COMPUTE_RELATION_TABLE_H

#include "postgres.h"
#include "common/relpath.h"
#include "storage/block.h"
#include "storage/relfilenode.h"

enum fork_state {
	FORK_UNKNOWN = 0,
	FORK_ABSENT,
	FORK_PRESENT,
};
struct fork_info {
	uint8 state;	/* enum fork_state */
	bool has_local; /* some pages are in the local file */
	bool unlogged;	/* every page is in the local file, and only there */
	bool changed;	/* by this compute: not to be evicted */
	BlockNumber nblocks;
};

Size tarn_relation_table_bytes(void);
void tarn_relation_table_settings(void);
void tarn_relation_table_request(void); /* locks; in the request hook */
void tarn_relation_table_init(void);

/* FORK_UNKNOWN when there is no entry. */
struct fork_info tarn_fork_get(const RelFileNode *rel, ForkNumber fork);
/* What the pageserver said; does nothing if there is an entry by now, and returns what holds. */
struct fork_info tarn_fork_learn(const RelFileNode *rel, ForkNumber fork, struct fork_info info);
/* Replaces the entry. */
void tarn_fork_set(const RelFileNode *rel, ForkNumber fork, struct fork_info info);
/* Makes the fork at least nblocks long; returns the length before. */
BlockNumber tarn_fork_grow(const RelFileNode *rel, ForkNumber fork, BlockNumber nblocks);
/* From now on the fork's local file counts; what lay there before is removed. */
void tarn_fork_set_local(const RelFileNode *rel, ForkNumber fork);
void tarn_fork_forget(const RelFileNode *rel, ForkNumber fork);
/* All forks of all relations of a database. */
void tarn_database_forget(Oid db);
/* Forks with local pages, permanent ones only; palloc'd. */
struct fork_name {
	RelFileNode rel;
	ForkNumber fork;
};
struct fork_name *tarn_forks_with_local_pages(size_t *count);

#endif
