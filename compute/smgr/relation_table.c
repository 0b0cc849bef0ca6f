/* Implementation of relation_table.h. */
#include "postgres.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "local_file.h"
#include "relation_table.h"

#define PARTITIONS 32
#define TRANCHE "tarn_relations"

struct key {
	RelFileNode rel;
	ForkNumber fork;
};
struct entry {
	struct key key;
	struct fork_info info;
};

static int max_forks;
static HTAB *table;
static LWLockPadded *locks;

void tarn_relation_table_settings(void)
{
	DefineCustomIntVariable("tarn.relation_table_size",
				"Forks of relations whose size this compute can hold in memory.",
				"A table with one index has five or so.", &max_forks, 65536, 4096,
				64 * 1024 * 1024, PGC_POSTMASTER, 0, NULL, NULL, NULL);
}

Size tarn_relation_table_bytes(void)
{
	return hash_estimate_size(max_forks, sizeof(struct entry));
}

void tarn_relation_table_request(void)
{
	RequestNamedLWLockTranche(TRANCHE, PARTITIONS);
}

void tarn_relation_table_init(void)
{
	HASHCTL ctl = {.keysize = sizeof(struct key),
		       .entrysize = sizeof(struct entry),
		       .num_partitions = PARTITIONS};
	table = ShmemInitHash("tarn relations", max_forks, max_forks, &ctl,
			      HASH_ELEM | HASH_BLOBS | HASH_PARTITION | HASH_FIXED_SIZE);
	locks = GetNamedLWLockTranche(TRANCHE);
}

static struct key make_key(const RelFileNode *rel, ForkNumber fork)
{
	struct key k;
	memset(&k, 0, sizeof k);
	k.rel = *rel;
	k.fork = fork;
	return k;
}

static LWLock *lock_of(uint32 hash)
{
	return &locks[hash % PARTITIONS].lock;
}

/* Under no lock. Evicts an entry that can be asked for again; all partitions are locked, so that the
 * scan is safe. It is rare: the table is full. */
static void make_room(void)
{
	HASH_SEQ_STATUS scan;
	struct entry *e;
	int evicted = 0;
	for (int i = 0; i < PARTITIONS; i++)
		LWLockAcquire(&locks[i].lock, LW_EXCLUSIVE);
	hash_seq_init(&scan, table);
	while ((e = hash_seq_search(&scan)) != NULL)
		if (!e->info.changed && !e->info.has_local && !e->info.unlogged &&
		    (evicted++ % 2) == 0)
			hash_search(table, &e->key, HASH_REMOVE, NULL);
	for (int i = PARTITIONS - 1; i >= 0; i--)
		LWLockRelease(&locks[i].lock);
	if (evicted == 0)
		ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("tarn: more than %d forks of relations were changed since this "
				"compute started",
				max_forks),
			 errhint("Raise tarn.relation_table_size and restart the endpoint.")));
}

/* Returns the entry with its partition's lock held exclusively; made if it was not there. */
static struct entry *enter(const struct key *k, LWLock **lock, bool *found)
{
	uint32 hash = get_hash_value(table, k);
	*lock = lock_of(hash);
	for (;;) {
		LWLockAcquire(*lock, LW_EXCLUSIVE);
		struct entry *e =
			hash_search_with_hash_value(table, k, hash, HASH_ENTER_NULL, found);
		if (e) {
			if (!*found)
				memset(&e->info, 0, sizeof e->info);
			return e;
		}
		LWLockRelease(*lock);
		make_room();
	}
}

struct fork_info tarn_fork_get(const RelFileNode *rel, ForkNumber fork)
{
	struct key k = make_key(rel, fork);
	struct fork_info info = {0};
	uint32 hash = get_hash_value(table, &k);
	LWLock *lock = lock_of(hash);
	LWLockAcquire(lock, LW_SHARED);
	struct entry *e = hash_search_with_hash_value(table, &k, hash, HASH_FIND, NULL);
	if (e)
		info = e->info;
	LWLockRelease(lock);
	return info;
}

struct fork_info tarn_fork_learn(const RelFileNode *rel, ForkNumber fork, struct fork_info info)
{
	struct key k = make_key(rel, fork);
	LWLock *lock;
	bool found;
	struct entry *e = enter(&k, &lock, &found);
	if (!found)
		e->info = info;
	info = e->info;
	LWLockRelease(lock);
	return info;
}

void tarn_fork_set(const RelFileNode *rel, ForkNumber fork, struct fork_info info)
{
	struct key k = make_key(rel, fork);
	LWLock *lock;
	bool found;
	enter(&k, &lock, &found)->info = info;
	LWLockRelease(lock);
}

BlockNumber tarn_fork_grow(const RelFileNode *rel, ForkNumber fork, BlockNumber nblocks)
{
	struct key k = make_key(rel, fork);
	LWLock *lock;
	bool found;
	struct entry *e = enter(&k, &lock, &found);
	BlockNumber before = e->info.state == FORK_PRESENT ? e->info.nblocks : 0;
	if (nblocks > before || e->info.state != FORK_PRESENT) {
		e->info.nblocks = Max(nblocks, before);
		e->info.state = FORK_PRESENT;
		e->info.changed = true;
	}
	LWLockRelease(lock);
	return before;
}

void tarn_fork_set_local(const RelFileNode *rel, ForkNumber fork)
{
	struct key k = make_key(rel, fork);
	LWLock *lock;
	bool found;
	struct entry *e = enter(&k, &lock, &found);
	if (!e->info.has_local)
		/* A file may lie there from the copy of a template database. */
		tarn_local_remove(rel, fork, e->info.nblocks);
	e->info.has_local = true;
	LWLockRelease(lock);
}

void tarn_fork_forget(const RelFileNode *rel, ForkNumber fork)
{
	struct key k = make_key(rel, fork);
	uint32 hash = get_hash_value(table, &k);
	LWLock *lock = lock_of(hash);
	LWLockAcquire(lock, LW_EXCLUSIVE);
	hash_search_with_hash_value(table, &k, hash, HASH_REMOVE, NULL);
	LWLockRelease(lock);
}

void tarn_database_forget(Oid db)
{
	HASH_SEQ_STATUS scan;
	struct entry *e;
	for (int i = 0; i < PARTITIONS; i++)
		LWLockAcquire(&locks[i].lock, LW_EXCLUSIVE);
	hash_seq_init(&scan, table);
	while ((e = hash_seq_search(&scan)) != NULL)
		if (e->key.rel.dbNode == db)
			hash_search(table, &e->key, HASH_REMOVE, NULL);
	for (int i = PARTITIONS - 1; i >= 0; i--)
		LWLockRelease(&locks[i].lock);
}

struct fork_name *tarn_forks_with_local_pages(size_t *count)
{
	HASH_SEQ_STATUS scan;
	struct entry *e;
	struct fork_name *names = palloc(sizeof *names * (size_t)max_forks);
	*count = 0;
	for (int i = 0; i < PARTITIONS; i++)
		LWLockAcquire(&locks[i].lock, LW_SHARED);
	hash_seq_init(&scan, table);
	while ((e = hash_seq_search(&scan)) != NULL)
		if (e->info.has_local && !e->info.unlogged && *count < (size_t)max_forks)
			names[(*count)++] = (struct fork_name){e->key.rel, e->key.fork};
	for (int i = PARTITIONS - 1; i >= 0; i--)
		LWLockRelease(&locks[i].lock);
	return names;
}
