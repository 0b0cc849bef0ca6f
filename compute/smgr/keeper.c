/* Implementation of keeper.h. */
#include "postgres.h"
#include "access/xlog.h"
#include "access/xloginsert.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/buf_internals.h"
#include "storage/bufmgr.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/procarray.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/wait_event.h"
#include "../tarn.h"
#include "../walproposer.h"
#include "keeper.h"
#include "last_written.h"
#include "local_file.h"
#include "relation_table.h"
#include "resident.h"

#define WAIT_FOR_BACKENDS_MS 3000
#define WAIT_SLICE_MS 10
/* Lost maps cost space, so a stop does not take longer than this many pages of log. */
#define MAX_PAGES_LOGGED 4096

PGDLLEXPORT void tarn_keeper_main(Datum arg);

struct page_name {
	RelFileNode rel;
	ForkNumber fork;
	BlockNumber block;
};
struct keeper {
	struct page_name *pages;
	size_t count;
};

static void add(struct keeper *k, const RelFileNode *rel, ForkNumber fork, BlockNumber block)
{
	if (k->count < MAX_PAGES_LOGGED)
		k->pages[k->count++] = (struct page_name){*rel, fork, block};
}

/* Without a lock on the page: a guess is enough, log_page looks again. */
static void collect_from_buffers(struct keeper *k)
{
	for (int i = 0; i < NBuffers; i++) {
		BufferDesc *b = GetBufferDescriptor(i);
		uint32 state = LockBufHdr(b);
		BufferTag tag = b->tag;
		bool dirty = (state & BM_VALID) && (state & BM_DIRTY) && (state & BM_PERMANENT);
		bool sequence = dirty && tag.forkNum == MAIN_FORKNUM &&
				tarn_page_is_sequence(BufferGetPage(i + 1));
		UnlockBufHdr(b, state);
		if (dirty && (tag.forkNum == FSM_FORKNUM || sequence))
			add(k, &tag.rnode, tag.forkNum, tag.blockNum);
	}
}

static void collect_from_files(struct keeper *k)
{
	size_t count;
	PGAlignedBlock page;
	struct fork_name *forks = tarn_forks_with_local_pages(&count);
	for (size_t i = 0; i < count; i++) {
		const struct fork_name *f = &forks[i];
		BlockNumber n = tarn_fork_get(&f->rel, f->fork).nblocks;
		bool map = f->fork == FSM_FORKNUM;
		if (!map && !(f->fork == MAIN_FORKNUM && n == 1))
			continue;
		for (BlockNumber b = 0; b < n; b++)
			if (tarn_local_read(&f->rel, f->fork, b, page.data) &&
			    (map || tarn_page_is_sequence(page.data)))
				add(k, &f->rel, f->fork, b);
	}
	pfree(forks);
}

static void log_page(const struct page_name *p)
{
	Buffer buffer =
		ReadBufferWithoutRelcache(p->rel, p->fork, p->block, RBM_NORMAL, NULL, true);
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	if (!PageIsNew(BufferGetPage(buffer))) {
		START_CRIT_SECTION();
		MarkBufferDirty(buffer);
		log_newpage_buffer(buffer, p->fork == MAIN_FORKNUM);
		END_CRIT_SECTION();
	}
	UnlockReleaseBuffer(buffer);
}

/* What they change after this is lost as after a crash. */
static void wait_for_backends(void)
{
	for (int waited = 0; waited < WAIT_FOR_BACKENDS_MS && CountDBBackends(InvalidOid) > 0;
	     waited += WAIT_SLICE_MS)
		pg_usleep(WAIT_SLICE_MS * 1000L);
}

static void keep_pages(void)
{
	struct keeper k = {.pages = palloc(MAX_PAGES_LOGGED * sizeof(struct page_name))};
	wait_for_backends();
	if (tarn_rule_is_on("sequence"))
		collect_from_buffers(&k);
	collect_from_files(&k);
	for (size_t i = 0; i < k.count; i++)
		log_page(&k.pages[i]);
	if (k.count > 0)
		XLogFlush(tarn_newest_record_end());
	pfree(k.pages);
}

static void on_exit_of_keeper(int code, Datum arg)
{
	(void)code, (void)arg;
	pg_atomic_sub_fetch_u32(&tarn_quorum->writers, 1);
}

void tarn_keeper_main(Datum arg)
{
	(void)arg;
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	pg_atomic_add_fetch_u32(&tarn_quorum->writers, 1);
	before_shmem_exit(on_exit_of_keeper, 0);
	CreateAuxProcessResourceOwner();
	while (!ShutdownRequestPending) {
		WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, -1L, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	keep_pages();
	ReleaseAuxProcessResources(true);
	proc_exit(0);
}

void tarn_keeper_init(void)
{
	BackgroundWorker w = {.bgw_flags = BGWORKER_SHMEM_ACCESS,
			      .bgw_start_time = BgWorkerStart_RecoveryFinished,
			      .bgw_restart_time = BGW_NEVER_RESTART};
	if (tarn_pageserver[0] == '\0' || tarn_safekeepers[0] == '\0')
		return;
	strlcpy(w.bgw_library_name, "tarn", sizeof w.bgw_library_name);
	strlcpy(w.bgw_function_name, "tarn_keeper_main", sizeof w.bgw_function_name);
	strlcpy(w.bgw_name, "tarn keeper", sizeof w.bgw_name);
	strlcpy(w.bgw_type, "tarn keeper", sizeof w.bgw_type);
	RegisterBackgroundWorker(&w);
}
