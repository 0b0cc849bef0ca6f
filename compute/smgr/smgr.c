/* Implementation of smgr.h. */
#include "postgres.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/bufpage.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/md.h"
#include "storage/shmem.h"
#include "storage/smgr.h"
#include "utils/guc.h"
#include "../backpressure.h"
#include "../tarn.h"
#include "last_written.h"
#include "local_file.h"
#include "page_cache.h"
#include "page_client.h"
#include "readahead.h"
#include "relation_table.h"
#include "resident.h"
#include "smgr.h"
#include "takeover.h"

#define RESET_LOCK "tarn_unlogged_reset"

static shmem_request_hook_type next_request;
static shmem_startup_hook_type next_startup;
static LWLock *reset_lock; /* one process at a time makes an unlogged relation anew */

/* ---- sizes ---- */

/* After a start an unlogged relation is what its init fork says. */
static struct fork_info make_unlogged_anew(const RelFileNode *rel, BlockNumber init_blocks)
{
	PGAlignedBlock page;
	LWLockAcquire(reset_lock, LW_EXCLUSIVE);
	struct fork_info info = tarn_fork_get(rel, MAIN_FORKNUM);
	if (info.state == FORK_UNKNOWN) {
		tarn_local_create(rel, MAIN_FORKNUM);
		for (BlockNumber b = 0; b < init_blocks; b++) {
			if (!tarn_page_get(rel, INIT_FORKNUM, b, page.data))
				memset(page.data, 0, BLCKSZ);
			tarn_local_write(rel, MAIN_FORKNUM, b, page.data);
		}
		info = (struct fork_info){.state = FORK_PRESENT,
					  .unlogged = true,
					  .has_local = true,
					  .changed = true,
					  .nblocks = init_blocks};
		info = tarn_fork_learn(rel, MAIN_FORKNUM, info);
	}
	LWLockRelease(reset_lock);
	return info;
}

static bool can_be_unlogged(const RelFileNode *rel)
{
	return rel->relNode >= FirstNormalObjectId && tarn_rule_is_on("unlogged");
}

/* What holds of a fork; asked of the pageserver if this compute does not know. */
static struct fork_info fork_of(const RelFileNode *rel, ForkNumber fork)
{
	struct fork_info info = tarn_fork_get(rel, fork);
	BlockNumber nblocks;
	if (info.state != FORK_UNKNOWN)
		return info;
	bool present = tarn_page_nblocks(rel, fork, &nblocks);
	BlockNumber init_blocks;
	if (fork == MAIN_FORKNUM && can_be_unlogged(rel) && (!present || nblocks == 0) &&
	    tarn_page_nblocks(rel, INIT_FORKNUM, &init_blocks))
		return make_unlogged_anew(rel, init_blocks);
	info.state = present ? FORK_PRESENT : FORK_ABSENT;
	info.nblocks = nblocks;
	return tarn_fork_learn(rel, fork, info);
}

bool tarn_smgr_nblocks(const RelFileNode *rel, ForkNumber fork, BlockNumber *nblocks)
{
	struct fork_info info = fork_of(rel, fork);
	*nblocks = info.state == FORK_PRESENT ? info.nblocks : 0;
	return info.state == FORK_PRESENT;
}

static bool is_unlogged(const RelFileNode *rel)
{
	return can_be_unlogged(rel) && fork_of(rel, MAIN_FORKNUM).unlogged;
}

/* ---- the life of a fork ---- */

static void smgr_open(SMgrRelation r)
{
	mdopen(r);
}

static void smgr_close(SMgrRelation r, ForkNumber fork)
{
	mdclose(r, fork);
}

static void smgr_create(SMgrRelation r, ForkNumber fork, bool is_redo)
{
	const RelFileNode *rel = &r->smgr_rnode.node;
	if (SmgrIsTemp(r)) {
		mdcreate(r, fork, is_redo);
		return;
	}
	struct fork_info info = tarn_fork_get(rel, fork);
	if (info.state == FORK_PRESENT)
		return;
	tarn_local_create(rel, fork);
	tarn_fork_set(rel, fork, (struct fork_info){.state = FORK_PRESENT, .changed = true});
	if (fork == INIT_FORKNUM && can_be_unlogged(rel)) {
		/* Pages written before are in the local file already: they had no LSN. */
		info = fork_of(rel, MAIN_FORKNUM);
		info.unlogged = info.has_local = info.changed = true;
		tarn_fork_set(rel, MAIN_FORKNUM, info);
	}
}

static bool smgr_exists(SMgrRelation r, ForkNumber fork)
{
	if (SmgrIsTemp(r))
		return mdexists(r, fork);
	return fork_of(&r->smgr_rnode.node, fork).state == FORK_PRESENT;
}

static void smgr_unlink(RelFileNodeBackend node, ForkNumber fork, bool is_redo)
{
	if (RelFileNodeBackendIsTemp(node)) {
		mdunlink(node, fork, is_redo);
		return;
	}
	ForkNumber first = fork == InvalidForkNumber ? MAIN_FORKNUM : fork;
	ForkNumber last = fork == InvalidForkNumber ? MAX_FORKNUM : fork;
	for (ForkNumber f = first; f <= last; f++) {
		tarn_local_remove(&node.node, f, tarn_fork_get(&node.node, f).nblocks);
		tarn_fork_forget(&node.node, f);
		/* Whoever asks again must hear of the drop. */
		tarn_last_written_raise(&node.node, f, InvalidBlockNumber,
					tarn_newest_record_end());
	}
}

static void smgr_truncate(SMgrRelation r, ForkNumber fork, BlockNumber old_nblocks,
			  BlockNumber nblocks)
{
	const RelFileNode *rel = &r->smgr_rnode.node;
	if (SmgrIsTemp(r)) {
		mdtruncate(r, fork, old_nblocks, nblocks);
		return;
	}
	struct fork_info info = fork_of(rel, fork);
	if (info.state != FORK_PRESENT || nblocks >= info.nblocks)
		return;
	for (BlockNumber b = nblocks; b < info.nblocks; b++)
		tarn_page_cache_drop(rel, fork, b);
	if (info.has_local)
		tarn_local_truncate(rel, fork, info.nblocks, nblocks);
	info.nblocks = nblocks;
	info.changed = true;
	tarn_fork_set(rel, fork, info);
}

/* ---- pages ---- */

/* The page's bytes are final and in the log up to its LSN, as the buffer manager saw to. */
static void keep_page(const RelFileNode *rel, ForkNumber fork, BlockNumber block, const char *page,
		      const struct fork_info *info)
{
	XLogRecPtr lsn = PageGetLSN((Page)unconstify(char *, page));
	if (PageIsNew((Page)unconstify(char *, page))) {
		/* Older content, if the pageserver had any, was cut off before this LSN. */
		tarn_page_cache_drop(rel, fork, block);
		tarn_last_written_raise(rel, fork, block, tarn_newest_record_end());
		if (info->has_local)
			tarn_local_drop(rel, fork, block);
		return;
	}
	if (tarn_page_must_stay(fork, page)) {
		if (!info->has_local)
			tarn_fork_set_local(rel, fork);
		tarn_local_write(rel, fork, block, page);
		tarn_page_cache_drop(rel, fork, block);
		tarn_last_written_raise(rel, fork, block, tarn_newest_record_end());
		return;
	}
	tarn_last_written_raise(rel, fork, block, lsn);
	tarn_page_cache_write(rel, fork, block, page);
	if (info->has_local)
		tarn_local_drop(rel, fork, block);
}

static void store_page(const RelFileNode *rel, ForkNumber fork, BlockNumber block, const char *page)
{
	if (fork != INIT_FORKNUM && is_unlogged(rel)) {
		tarn_fork_set_local(rel, fork);
		tarn_local_write(rel, fork, block, page);
		return;
	}
	struct fork_info info = tarn_fork_get(rel, fork);
	keep_page(rel, fork, block, page, &info);
}

/* Blocks that came into being unwritten, and may have had another life before a truncation. */
static void forget_blocks(const RelFileNode *rel, ForkNumber fork, BlockNumber from, BlockNumber to)
{
	XLogRecPtr lsn = from < to ? tarn_newest_record_end() : 0;
	for (BlockNumber b = from; b < to; b++) {
		tarn_page_cache_drop(rel, fork, b);
		tarn_last_written_raise(rel, fork, b, lsn);
	}
}

static void smgr_extend(SMgrRelation r, ForkNumber fork, BlockNumber block, char *page,
			bool skip_fsync)
{
	const RelFileNode *rel = &r->smgr_rnode.node;
	if (SmgrIsTemp(r)) {
		mdextend(r, fork, block, page, skip_fsync);
		return;
	}
	if (block == InvalidBlockNumber)
		ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("cannot extend relation %u/%u/%u beyond %u blocks", rel->spcNode,
				rel->dbNode, rel->relNode, InvalidBlockNumber)));
	BlockNumber before = fork_of(rel, fork).nblocks;
	forget_blocks(rel, fork, before, block);
	store_page(rel, fork, block, page);
	tarn_fork_grow(rel, fork, block + 1);
	tarn_backpressure();
}

static void smgr_write(SMgrRelation r, ForkNumber fork, BlockNumber block, char *page,
		       bool skip_fsync)
{
	const RelFileNode *rel = &r->smgr_rnode.node;
	if (SmgrIsTemp(r)) {
		mdwrite(r, fork, block, page, skip_fsync);
		return;
	}
	struct fork_info info = fork_of(rel, fork);
	store_page(rel, fork, block, page);
	/* Some index builds write their first page without extending. */
	if (info.state != FORK_PRESENT || block >= info.nblocks)
		tarn_fork_grow(rel, fork, block + 1);
}

static bool smgr_prefetch(SMgrRelation r, ForkNumber fork, BlockNumber block)
{
	if (SmgrIsTemp(r))
		return mdprefetch(r, fork, block);
	return tarn_prefetch(&r->smgr_rnode.node, fork, block);
}

static void smgr_read(SMgrRelation r, ForkNumber fork, BlockNumber block, char *page)
{
	const RelFileNode *rel = &r->smgr_rnode.node;
	if (SmgrIsTemp(r)) {
		mdread(r, fork, block, page);
		return;
	}
	struct fork_info info = fork_of(rel, fork);
	if (info.state != FORK_PRESENT || block >= info.nblocks)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("could not read block %u of relation %u/%u/%u: it has %u",
				       block, rel->spcNode, rel->dbNode, rel->relNode,
				       info.state == FORK_PRESENT ? info.nblocks : 0)));
	if (info.has_local && tarn_local_read(rel, fork, block, page))
		return;
	if (info.unlogged || (fork != MAIN_FORKNUM && fork != INIT_FORKNUM && is_unlogged(rel))) {
		memset(page, 0, BLCKSZ);
		return;
	}
	if (tarn_page_cache_read(rel, fork, block, page))
		return;
	tarn_read_ahead(rel, fork, block, info.nblocks);
	/* Absent: extended here, but nothing was logged of it yet. */
	if (!tarn_page_get(rel, fork, block, page))
		memset(page, 0, BLCKSZ);
	else
		tarn_page_cache_write(rel, fork, block, page);
}

/* Nothing here has to reach a disk: the log is the database. */
static void smgr_writeback(SMgrRelation r, ForkNumber fork, BlockNumber block, BlockNumber count)
{
	if (SmgrIsTemp(r))
		mdwriteback(r, fork, block, count);
}

static BlockNumber smgr_nblocks(SMgrRelation r, ForkNumber fork)
{
	BlockNumber nblocks;
	const RelFileNode *rel = &r->smgr_rnode.node;
	if (SmgrIsTemp(r))
		return mdnblocks(r, fork);
	if (!tarn_smgr_nblocks(rel, fork, &nblocks))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FILE),
				errmsg("relation %u/%u/%u has no fork %d", rel->spcNode,
				       rel->dbNode, rel->relNode, (int)fork)));
	return nblocks;
}

static void smgr_immedsync(SMgrRelation r, ForkNumber fork)
{
	if (SmgrIsTemp(r))
		mdimmedsync(r, fork);
}

static const struct smgr_table tarn_smgr = {
	.init = mdinit,
	.open = smgr_open,
	.close = smgr_close,
	.create = smgr_create,
	.exists = smgr_exists,
	.unlink = smgr_unlink,
	.extend = smgr_extend,
	.prefetch = smgr_prefetch,
	.read = smgr_read,
	.write = smgr_write,
	.writeback = smgr_writeback,
	.nblocks = smgr_nblocks,
	.truncate = smgr_truncate,
	.immedsync = smgr_immedsync,
};

/* ---- start ---- */

static void on_request(void)
{
	if (next_request)
		next_request();
	RequestAddinShmemSpace(tarn_last_written_bytes());
	RequestAddinShmemSpace(tarn_relation_table_bytes());
	RequestAddinShmemSpace(tarn_page_cache_bytes());
	RequestNamedLWLockTranche(RESET_LOCK, 1);
	tarn_relation_table_request();
	tarn_page_cache_request();
}

static void on_startup(void)
{
	if (next_startup)
		next_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	tarn_last_written_init();
	tarn_relation_table_init();
	tarn_page_cache_init();
	reset_lock = &GetNamedLWLockTranche(RESET_LOCK)->lock;
	LWLockRelease(AddinShmemInitLock);
}

void tarn_smgr_init(void)
{
	tarn_page_cache_settings();
	tarn_relation_table_settings();
	tarn_page_client_settings();
	tarn_resident_settings();
	tarn_readahead_settings();
	if (tarn_pageserver[0] == '\0')
		return;
	next_request = shmem_request_hook;
	shmem_request_hook = on_request;
	next_startup = shmem_startup_hook;
	shmem_startup_hook = on_startup;
	tarn_take_over_smgr(&tarn_smgr);
}
