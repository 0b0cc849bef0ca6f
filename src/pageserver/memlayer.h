/*
 * In-memory layer: the versions that arrived last, before they are a file. One writer appends, any
 * number of readers look at the same time without a lock.
 *
 * Values lie in an append-only log of chunks and never move or change. Two indexes lead to them:
 * a hash table and a skip list of groups (all of a key but its block), and in each group a radix
 * tree of 16-way nodes over the block number, whose leaves point at the newest version; each
 * version points at the one before it. All pointers are published by a release store after what
 * they lead to is complete, nothing is freed before the whole layer is, and so a reader sees for
 * each key a prefix of the writer's history. Which of it counts is decided by LSN, above.
 */
#ifndef TARN_PAGESERVER_MEMLAYER_H
#define TARN_PAGESERVER_MEMLAYER_H

#include "pageserver/store.h"

struct ps_memlayer;

struct ps_mem_entry {
	const struct ps_mem_entry *prev; /* the same key's version before, or NULL */
	tarn_lsn lsn;
	uint32_t len;
	uint8_t kind; /* enum ps_value_kind */
	uint8_t bytes[];
};

struct ps_memlayer *ps_memlayer_new(void);
/* Only when no reader is left. */
void ps_memlayer_free(struct ps_memlayer *m);
/* Writer only. LSNs never decrease; several puts of one key at one LSN keep their order. */
void ps_memlayer_put(struct ps_memlayer *m, const struct ps_key *key, tarn_lsn lsn,
		     enum ps_value_kind kind, const void *value, size_t len);
/* Memory held, everything included. Any thread. */
size_t ps_memlayer_bytes(const struct ps_memlayer *m);
/* Versions and the LSNs of the first and last one; writer, or after the last put. */
uint64_t ps_memlayer_entries(const struct ps_memlayer *m);
tarn_lsn ps_memlayer_first_lsn(const struct ps_memlayer *m);
tarn_lsn ps_memlayer_last_lsn(const struct ps_memlayer *m);

/* The newest version of key, or NULL. */
const struct ps_mem_entry *ps_memlayer_find(const struct ps_memlayer *m, const struct ps_key *key);

/* Walks the keys in order. A key put while walking may or may not be met. */
struct ps_mem_walk {
	const struct ps_memlayer *m;
	const struct ps_mem_group *group;
	uint64_t next_block; /* above UINT32_MAX: the group is done */
};
void ps_mem_walk_init(struct ps_mem_walk *w, const struct ps_memlayer *m,
		      const struct ps_key *from);
/* The next key's newest version, or NULL at the end. */
const struct ps_mem_entry *ps_mem_walk_next(struct ps_mem_walk *w, struct ps_key *key);

#endif
