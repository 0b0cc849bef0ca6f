/*
 * The redo host: loaded into `postgres --single` by shared_preload_libraries, takes over in
 * _PG_init and never returns. It sets up just enough of the server for redo functions to run
 * (shared memory, buffers, the stub storage manager), confines itself and serves batches from
 * shared memory (redo_shm_format.h).
 *
 * After any error the server's state is unknown, so the host says what happened and exits; the pool
 * starts another.
 */
#include "postgres.h"
#include "access/bufmask.h"
#include "access/heaptoast.h"
#include "access/rmgr.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogreader.h"
#include "access/xlogrecovery.h"
#include "access/xlogutils.h"
#include "catalog/catversion.h"
#include "catalog/pg_control.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/buf_internals.h"
#include "storage/bufmgr.h"
#include "storage/ipc.h"
#include "storage/large_object.h"
#include "storage/pg_shmem.h"
#include "storage/proc.h"
#include "storage/smgr.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "redo/redo_shm_format.h"
#include "smgr_stub.h"

PG_MODULE_MAGIC;
PGDLLEXPORT void _PG_init(void);

#define SPIN_ROUNDS 2000
#define RELATIONS_KEPT 4096

/* The control file that the pool writes is the one this server wants. */
#define X(field, offset, type, value)                                                 \
	StaticAssertDecl(offsetof(ControlFileData, field) == (offset), "pg_control"); \
	StaticAssertDecl(sizeof(((ControlFileData *)0)->field) == sizeof(type), "pg_control");
REDO_CONTROL_FIELDS(X)
#undef X
StaticAssertDecl(offsetof(ControlFileData, crc) == REDO_CONTROL_CRC_OFFSET, "pg_control");
StaticAssertDecl(PG_CONTROL_VERSION == 1300 && CATALOG_VERSION_NO == 202209061, "Postgres 15");
StaticAssertDecl(TOAST_MAX_CHUNK_SIZE == 1996 && LOBLKSIZE == 2048, "Postgres 15");

static struct redo_shm *shm;
static XLogReaderState *reader;
static DecodedXLogRecord *decoded;
static size_t decoded_bytes;
static MemoryContext redo_context;
static unsigned operations_since_close;

/* ---- errors ---- */

static void note_error(const char *text)
{
	if (shm && shm->error[0] == '\0')
		strlcpy(shm->error, text, sizeof shm->error);
}

/* ERROR, FATAL and PANIC all pass here before anything else happens. */
static void on_log(ErrorData *e)
{
	if (e->elevel >= ERROR)
		note_error(e->message ? e->message : "unknown error");
	if (shm && shm->ready)
		e->output_to_server = false;
}

/* ---- buffers ---- */

static void drop_buffer(BufferDesc *d)
{
	uint32 state = LockBufHdr(d);
	BufferTag tag = d->tag;
	if (!(state & BM_TAG_VALID)) {
		UnlockBufHdr(d, state);
		return;
	}
	if (BUF_STATE_GET_REFCOUNT(state) != 0) {
		UnlockBufHdr(d, state);
		elog(ERROR, "redo left a buffer pinned");
	}
	CLEAR_BUFFERTAG(d->tag);
	state &= ~(BUF_FLAG_MASK | BUF_USAGECOUNT_MASK);
	UnlockBufHdr(d, state);
	BufTableDelete(&tag, BufTableHashCode(&tag));
	StrategyFreeBuffer(d);
}

/* Forgets every page but the one in buffer keep (-1: none), unwritten. */
static void drop_buffers(int keep)
{
	for (int i = 0; i < NBuffers; i++) {
		BufferDesc *d = GetBufferDescriptor(i);
		if (i != keep && (pg_atomic_read_u32(&d->state) & BM_TAG_VALID))
			drop_buffer(d);
	}
}

static int target_buffer(void)
{
	BufferTag *tag = &smgr_stub_target.tag;
	int id = BufTableLookup(tag, BufTableHashCode(tag));
	if (id >= 0 && !(pg_atomic_read_u32(&GetBufferDescriptor(id)->state) & BM_VALID))
		elog(ERROR, "redo did not fill the page's buffer");
	return id;
}

/* The target page as it is now, wherever it is. */
static const char *target_page(void)
{
	int id = target_buffer();
	return id >= 0 ? (const char *)BufferGetPage(id + 1) : smgr_stub_target.page;
}

/* ---- one record ---- */

static void decode(const struct redo_shm_record *r)
{
	/* aligned by the pool, so that the header can be used where it lies */
	XLogRecord *record = (XLogRecord *)(r + 1);
	char *message = NULL;
	if (r->len < SizeOfXLogRecord || record->xl_tot_len != r->len)
		elog(ERROR, "the record's length is %u, its header says %u", r->len,
		     record->xl_tot_len);
	size_t need = DecodeXLogRecordRequiredSpace(r->len);
	if (need > decoded_bytes) {
		decoded_bytes = need * 2;
		decoded = MemoryContextAlloc(TopMemoryContext, decoded_bytes);
	}
	reader->EndRecPtr = r->end_lsn;
	reader->ReadRecPtr = r->end_lsn - MAXALIGN(r->len); /* for messages; page headers ignored */
	if (!DecodeXLogRecord(reader, decoded, record, reader->ReadRecPtr, &message))
		elog(ERROR, "the record cannot be decoded: %s", message ? message : "no reason");
	decoded->next_lsn = r->end_lsn;
	reader->record = decoded;
}

static bool is_target_block(const DecodedBkpBlock *b)
{
	const BufferTag *t = &smgr_stub_target.tag;
	return b->in_use && b->blkno == t->blockNum && b->forknum == t->forkNum &&
	       RelFileNodeEquals(b->rnode, t->rnode);
}

/* Page images as such: only the target's is of interest. */
static void restore_image(int block_id, XLogRecPtr lsn)
{
	char *page = smgr_stub_target.page;
	if (!XLogRecHasBlockImage(reader, block_id))
		elog(ERROR, "a page image record holds no image");
	drop_buffers(-1);
	if (!RestoreBlockImage(reader, (uint8)block_id, page))
		elog(ERROR, "%s", reader->errormsg_buf);
	if (!PageIsNew(page))
		PageSetLSN((Page)page, lsn);
}

static void apply_page_images(XLogRecPtr lsn)
{
	uint8 info = XLogRecGetInfo(reader) & (uint8)~XLR_INFO_MASK;
	if (info != XLOG_FPI && info != XLOG_FPI_FOR_HINT)
		elog(ERROR, "record of type %02X of the log itself changes no page", info);
	for (int i = 0; i <= XLogRecMaxBlockId(reader); i++)
		if (is_target_block(XLogRecGetBlock(reader, i)))
			restore_image(i, lsn);
}

/*
 * Images of pages other than the target need not be restored. Only for resource managers whose redo
 * treats every block on its own; GIN's splits, for instance, insist on the images of both halves.
 */
static void skip_other_images(void)
{
	for (int i = 0; i <= XLogRecMaxBlockId(reader); i++) {
		DecodedBkpBlock *b = XLogRecGetBlock(reader, i);
		if (b->in_use && !is_target_block(b))
			b->apply_image = false;
	}
}

static void apply_record(const struct redo_shm_record *r)
{
	decode(r);
	if (XLogRecMaxBlockId(reader) < 0)
		elog(ERROR, "the record changes no page");
	switch (XLogRecGetRmid(reader)) {
	case RM_XLOG_ID:
		apply_page_images(r->end_lsn);
		return;
	case RM_HEAP_ID:
	case RM_HEAP2_ID:
	case RM_BTREE_ID:
		skip_other_images();
		break;
	case RM_HASH_ID:
	case RM_GIN_ID:
	case RM_GIST_ID:
	case RM_SPGIST_ID:
	case RM_BRIN_ID:
	case RM_SEQ_ID:
	case RM_GENERIC_ID:
		break;
	default:
		elog(ERROR, "records of resource manager %u change no page that can be rebuilt",
		     XLogRecGetRmid(reader));
	}
	RmgrTable[XLogRecGetRmid(reader)].rm_redo(reader);
	if (XLogHaveInvalidPages())
		elog(ERROR, "the record changes a page that was never initialised");
}

/* ---- operations ---- */

static uint8_t *pad_to_8(uint8_t *p)
{
	return (uint8_t *)TYPEALIGN(8, (uintptr_t)p);
}

static void begin_operation(const struct redo_shm_op *op)
{
	BufferTag *t = &smgr_stub_target.tag;
	MemSet(t, 0, sizeof *t);
	t->rnode.spcNode = op->spc;
	t->rnode.dbNode = op->db;
	t->rnode.relNode = op->rel;
	t->forkNum = (ForkNumber)op->fork;
	t->blockNum = op->block;
	if (op->fork > INIT_FORKNUM || op->out_page >= REDO_SHM_OUT_PAGES)
		elog(ERROR, "malformed redo request");
}

static uint8_t *run_apply(const struct redo_shm_op *op, uint8_t *p)
{
	uint32_t out = op->out_page;
	for (uint32_t i = 0; i < op->record_count; i++) {
		struct redo_shm_record *r = (struct redo_shm_record *)p;
		bool last = i + 1 == op->record_count;
		p += sizeof *r;
		if (r->len > REDO_SHM_MAX_RECORD_BYTES || p + r->len > shm->in + sizeof shm->in)
			elog(ERROR, "malformed redo request");
		__atomic_store_n(&shm->at_record, i, __ATOMIC_RELAXED);
		apply_record(r);
		p = pad_to_8(p + r->len);
		if (last || (op->flags & REDO_SHM_OBSERVE)) {
			if (out >= REDO_SHM_OUT_PAGES)
				elog(ERROR, "malformed redo request");
			memcpy(shm->out[out++], target_page(), BLCKSZ);
		}
		drop_buffers(last ? -1 : target_buffer());
		MemoryContextReset(redo_context);
	}
	return p;
}

static void run_mask(const struct redo_shm_op *op)
{
	char *page = smgr_stub_target.page;
	if (op->rmgr == RM_XLOG_ID) {
		/* pages that were only ever logged whole: what every mask function does */
		mask_page_lsn_and_checksum(page);
		mask_page_hint_bits(page);
		mask_unused_space(page);
		mask_lp_flags(page);
	} else if (op->rmgr <= RM_MAX_BUILTIN_ID && RmgrTable[op->rmgr].rm_mask) {
		RmgrTable[op->rmgr].rm_mask(page, op->block);
	}
	memcpy(shm->out[op->out_page], page, BLCKSZ);
}

static uint8_t *run_operation(uint8_t *p)
{
	struct redo_shm_op *op = (struct redo_shm_op *)p;
	if (p + sizeof *op + BLCKSZ > shm->in + sizeof shm->in)
		elog(ERROR, "malformed redo request");
	p = pad_to_8(p + sizeof *op);
	begin_operation(op);
	if (op->flags & REDO_SHM_HAS_BASE) {
		memcpy(smgr_stub_target.page, p, BLCKSZ);
		p += BLCKSZ;
	} else {
		memset(smgr_stub_target.page, 0, BLCKSZ);
	}
	if (op->kind == REDO_SHM_APPLY)
		return run_apply(op, p);
	if (op->kind != REDO_SHM_MASK)
		elog(ERROR, "malformed redo request");
	run_mask(op);
	return p;
}

static void run_batch(void)
{
	uint8_t *p = shm->in;
	for (uint32_t i = 0; i < shm->op_count; i++) {
		__atomic_store_n(&shm->at_op, i, __ATOMIC_RELAXED);
		__atomic_store_n(&shm->at_record, 0, __ATOMIC_RELAXED);
		p = run_operation(p);
	}
	/* the server remembers every relation it opened */
	operations_since_close += shm->op_count;
	if (operations_since_close > RELATIONS_KEPT) {
		smgrcloseall();
		operations_since_close = 0;
	}
}

/* ---- serving ---- */

static void futex(uint32_t *word, int op, uint32_t value)
{
	syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

static uint32_t wait_for_request(uint32_t last)
{
	uint32_t seq;
	for (int i = 0; i < SPIN_ROUNDS; i++) {
		if ((seq = __atomic_load_n(&shm->request_seq, __ATOMIC_ACQUIRE)) != last)
			return seq;
		pg_spin_delay();
	}
	__atomic_store_n(&shm->host_sleeping, 1, __ATOMIC_SEQ_CST);
	while ((seq = __atomic_load_n(&shm->request_seq, __ATOMIC_SEQ_CST)) == last)
		futex(&shm->request_seq, FUTEX_WAIT, last);
	__atomic_store_n(&shm->host_sleeping, 0, __ATOMIC_SEQ_CST);
	return seq;
}

static void answer(uint32_t seq)
{
	__atomic_store_n(&shm->response_seq, seq, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&shm->pool_sleeping, __ATOMIC_SEQ_CST))
		futex(&shm->response_seq, FUTEX_WAKE, 1);
}

pg_attribute_noreturn() static void serve(void)
{
	sigjmp_buf on_error;
	uint32_t seq = 0;
	if (sigsetjmp(on_error, 0) != 0) {
		EmitErrorReport(); /* on_log takes the text */
		_exit(3);
	}
	PG_exception_stack = &on_error;
	__atomic_store_n(&shm->ready, 1, __ATOMIC_SEQ_CST);
	futex(&shm->ready, FUTEX_WAKE, 1);
	for (;;) {
		seq = wait_for_request(seq);
		run_batch();
		answer(seq);
	}
}

/* ---- start ---- */

/*
 * Redo computes. It needs no file, socket or process, so it gets none: log records are written by
 * users of the compute, and a defect in redo must end here.
 */
static void confine(void)
{
	static const int allowed[] = {
		SCMP_SYS(read),
		SCMP_SYS(write),
		SCMP_SYS(futex),
		SCMP_SYS(mmap),
		SCMP_SYS(munmap),
		SCMP_SYS(mremap),
		SCMP_SYS(brk),
		SCMP_SYS(madvise),
		SCMP_SYS(exit),
		SCMP_SYS(exit_group),
		SCMP_SYS(clock_gettime),
		SCMP_SYS(gettimeofday),
		SCMP_SYS(rt_sigprocmask),
		SCMP_SYS(rt_sigreturn),
		SCMP_SYS(rt_sigaction),
		SCMP_SYS(getpid),
		SCMP_SYS(gettid),
		SCMP_SYS(tgkill),
		SCMP_SYS(sched_yield),
		SCMP_SYS(clock_nanosleep),
		SCMP_SYS(restart_syscall),
	};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int rc = filter ? 0 : -ENOMEM;
	for (size_t i = 0; rc == 0 && i < lengthof(allowed); i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	if (rc == 0)
		rc = seccomp_load(filter);
	if (rc != 0)
		ereport(FATAL,
			(errmsg("tarn: the redo host cannot confine itself: %s", strerror(-rc)),
			 errhint("The kernel must allow seccomp filters.")));
	seccomp_release(filter);
}

static void attach(const char *environment)
{
	int fd, parent;
	if (sscanf(environment, "%d:%d", &fd, &parent) != 2)
		elog(FATAL, "tarn: malformed %s", REDO_HOST_ENV);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
		_exit(2); /* the pool is gone already */
	void *map = mmap(NULL, sizeof *shm, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		elog(FATAL, "tarn: cannot map the pool's memory: %m");
	close(fd);
	shm = map;
	if (shm->magic != REDO_SHM_MAGIC || shm->version != REDO_SHM_VERSION)
		elog(FATAL, "tarn: tarn_redo and the pageserver are of different builds");
}

/* What PostgresSingleUserMain would do next, as far as redo needs it. */
static void start_server_parts(void)
{
	SetProcessingMode(NormalProcessing);
	InitializeMaxBackends();
	InitializeShmemGUCs();
	CreateSharedMemoryAndSemaphores();
	/* gone with the last process that has it, so that a killed host leaves nothing */
	int segment = shmget((key_t)UsedShmemSegID, 0, 0); /* the variable holds the key */
	if (segment < 0 || shmctl(segment, IPC_RMID, NULL) != 0)
		elog(FATAL, "tarn: cannot unlink the server's shared memory: %m");
	InitProcess();
	smgr_stub_install();
	BaseInit();
	CurrentResourceOwner = ResourceOwnerCreate(NULL, "redo");
	InRecovery = true;
	for (int i = 0; i <= RM_MAX_BUILTIN_ID; i++)
		if (RmgrTable[i].rm_startup)
			RmgrTable[i].rm_startup();
	reader = XLogReaderAllocate(wal_segment_size, NULL, XL_ROUTINE(), NULL);
	if (!reader)
		elog(FATAL, "out of memory");
	redo_context = AllocSetContextCreate(TopMemoryContext, "redo", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(redo_context);
}

void _PG_init(void)
{
	const char *environment = getenv(REDO_HOST_ENV);
	if (!environment)
		ereport(FATAL, (errmsg("tarn_redo is loaded by the pageserver only")));
	emit_log_hook = on_log;
	attach(environment);
	start_server_parts();
	confine();
	serve();
}
