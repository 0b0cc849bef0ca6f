/* Implementation of walproposer.h: the worker, its shared state and its place among walsenders. */
#include "postgres.h"
#include "access/xlog.h"
#include "catalog/pg_control.h"
#include "common/controldata_utils.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "postmaster/postmaster.h"
#include "replication/slot.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/pmsignal.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/shmem.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "quorum/proposer_io.h"
#include "quorum/sk_client.h"
#include "backpressure.h"
#include "commit_wait.h"
#include "lag_monitor.h"
#include "local_log.h"
#include "tarn.h"
#include "walproposer.h"

#define STANDBY_NAME "tarn"
#define SLOT_NAME "tarn"
#define IDLE_MS 200
#define HOUSEKEEPING_US ((uint64_t)1000 * 1000)
#define LINGER_US ((uint64_t)20 * 1000 * 1000)

PGDLLEXPORT void tarn_walproposer_main(Datum arg);

struct tarn_quorum *tarn_quorum;

static shmem_request_hook_type next_request;
static shmem_startup_hook_type next_startup;
static int max_retained_log_mb;
static XLogRecPtr start_lsn; /* where this compute began: its first checkpoint record */

struct worker {
	struct proposer_io *io;
	struct local_log log;
	int wake_fd;
	bool elected;
	XLogRecPtr commit_lsn;
	uint64_t housekeeping_at_us;
	bool ordered_exit;
};
static struct worker worker;

/* ---- ending ---- */

/* No commit can be acknowledged any more. To the postmaster this status is a crash, and
 * restart_after_crash is off: the whole server stops at once. */
#define CRASH_STATUS 2

pg_attribute_noreturn() static void take_server_down(const char *reason)
{
	ereport(LOG, (errmsg("tarn: this compute stops: %s", reason)));
	_exit(CRASH_STATUS);
}

static void on_exit_of_worker(int code, Datum arg)
{
	(void)code, (void)arg;
	if (!worker.ordered_exit)
		_exit(CRASH_STATUS);
}

/* ---- start ---- */

static void note(void *arg, const char *line)
{
	(void)arg;
	ereport(LOG, (errmsg("tarn: %s", line)));
}

/*
 * A walsender of this server, as far as its synchronous replication can tell. The database id keeps
 * InitWalSender from changing flags in the process array, in which this worker has no place.
 */
static void become_walsender(void)
{
	SetConfigOption("application_name", STANDBY_NAME, PGC_USERSET, PGC_S_SESSION);
	am_walsender = true;
	MyDatabaseId = InvalidOid + 1;
	InitWalSender();
	MyDatabaseId = InvalidOid;
	SyncRepInitConfig();
	WalSndSetState(WALSNDSTATE_STREAMING);
}

/* The slot keeps local log until the members have it. It lives as long as this process. */
static void retain_log_from(XLogRecPtr lsn)
{
	SpinLockAcquire(&MyReplicationSlot->mutex);
	MyReplicationSlot->data.restart_lsn = lsn;
	SpinLockRelease(&MyReplicationSlot->mutex);
	ReplicationSlotsComputeRequiredLSN();
}

static void open_proposer(struct worker *w)
{
	const char *addresses[SK_MAX_MEMBERS];
	char *text = MemoryContextStrdup(TopMemoryContext, tarn_safekeepers);
	struct proposer_io_config config = {.addresses = addresses,
					    .system_identifier = GetSystemIdentifier(),
					    .read_wal = local_log_read,
					    .arg = &w->log,
					    .on_log = note};
	config.count = sk_split_addresses(text, addresses, SK_MAX_MEMBERS);
	if (config.count == 0)
		take_server_down("tarn.safekeepers is no list of 1 to 9 addresses HOST:PORT");
	if (!tarn_id_parse(tarn_timeline, &config.timeline))
		take_server_down("tarn.timeline is no timeline id of 32 hexadecimal digits");
	local_log_init(&w->log);
	w->io = proposer_io_new(&config);
	pfree(text);
}

/* Postgres wakes a latch's owner with SIGURG, which the latch code has blocked for us. */
static void open_wake_fd(struct worker *w)
{
	sigset_t urgent;
	sigemptyset(&urgent);
	sigaddset(&urgent, SIGURG);
	w->wake_fd = signalfd(-1, &urgent, SFD_NONBLOCK | SFD_CLOEXEC);
	if (w->wake_fd < 0)
		ereport(FATAL, (errmsg("tarn: cannot make a signal descriptor: %m")));
}

/* ---- running ---- */

static void check_election(struct worker *w)
{
	tarn_lsn term_start;
	char reason[256];
	if (w->elected || !proposer_io_elected(w->io, &term_start))
		return;
	if (term_start != start_lsn) {
		snprintf(reason, sizeof reason,
			 "it was started at %X/%X, but the log of its timeline ends at %X/%X: "
			 "another compute has written since; start a new one",
			 LSN_FORMAT_ARGS(start_lsn), LSN_FORMAT_ARGS(term_start));
		take_server_down(reason);
	}
	w->elected = true;
	ereport(LOG, (errmsg("tarn: elected at %X/%X", LSN_FORMAT_ARGS(start_lsn))));
}

static void publish(struct worker *w)
{
	XLogRecPtr commit = w->elected ? proposer_io_commit_lsn(w->io) : 0;
	if (commit <= w->commit_lsn)
		return;
	w->commit_lsn = commit;
	SpinLockAcquire(&MyWalSnd->mutex);
	MyWalSnd->sentPtr = MyWalSnd->write = MyWalSnd->flush = MyWalSnd->apply = commit;
	MyWalSnd->replyTime = GetCurrentTimestamp();
	SpinLockRelease(&MyWalSnd->mutex);
	pg_atomic_write_u64(&tarn_quorum->commit_lsn, commit);
	SyncRepReleaseWaiters();
	ConditionVariableBroadcast(&tarn_quorum->advanced);
}

static void keep_house(struct worker *w, XLogRecPtr flushed)
{
	uint64_t now = tarn_mono_us();
	if (ConfigReloadPending) {
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
		SyncRepInitConfig();
		w->housekeeping_at_us = 0;
	}
	if (now < w->housekeeping_at_us || !w->elected)
		return;
	w->housekeeping_at_us = now + HOUSEKEEPING_US;
	/* one that is further behind gets old log from another member */
	XLogRecPtr committed = Max(w->commit_lsn, start_lsn); /* nothing may be committed yet */
	XLogRecPtr oldest = Min(committed, proposer_io_oldest_needed_lsn(w->io));
	XLogRecPtr limit = (XLogRecPtr)max_retained_log_mb * 1024 * 1024;
	if (flushed > limit)
		oldest = Max(oldest, flushed - limit);
	retain_log_from(Min(oldest, committed));
	SyncRepReleaseWaiters(); /* settings may have changed under waiters */
}

/* One round: at most timeout_ms, less if log is written or a member answers. */
static void step(struct worker *w)
{
	struct tarn_error err = {0};
	struct signalfd_siginfo wakeups[8];
	ResetLatch(MyLatch);
	MyLatch->maybe_sleeping = true; /* from here on SetLatch sends the signal */
	pg_memory_barrier();
	XLogRecPtr flushed = GetFlushRecPtr(NULL);
	int timeout_ms = MyLatch->is_set ? 0 : IDLE_MS;
	if (proposer_io_step(w->io, flushed, timeout_ms, w->wake_fd, &err) != 0)
		take_server_down(err.message);
	MyLatch->maybe_sleeping = false;
	while (read(w->wake_fd, wakeups, sizeof wakeups) > 0)
		;
	check_election(w);
	publish(w);
	keep_house(w, flushed);
}

/* At an ordered stop: when the backends have gone and the members have what they wrote. */
static bool may_leave(const struct worker *w)
{
	return CountDBBackends(InvalidOid) == 0 && pg_atomic_read_u32(&tarn_quorum->writers) == 0 &&
	       w->commit_lsn >= GetFlushRecPtr(NULL);
}

void tarn_walproposer_main(Datum arg)
{
	struct worker *w = &worker;
	uint64_t asked_at_us = 0;
	(void)arg;
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	before_shmem_exit(on_exit_of_worker, 0);
	BackgroundWorkerUnblockSignals();
	become_walsender();
	ReplicationSlotCreate(SLOT_NAME, false, RS_TEMPORARY, false);
	retain_log_from(start_lsn);
	open_wake_fd(w);
	open_proposer(w);
	for (;;) {
		step(w);
		if (!PostmasterIsAlive())
			_exit(2);
		if (!ShutdownRequestPending)
			continue;
		if (asked_at_us == 0)
			asked_at_us = tarn_mono_us();
		if (may_leave(w))
			break;
		/* No quorum answers, or it was not the postmaster who asked and sessions go on. */
		if (tarn_mono_us() > asked_at_us + LINGER_US)
			take_server_down(
				"its walproposer was told to stop while there was log to send");
	}
	w->ordered_exit = true;
	proposer_io_free(w->io);
	proc_exit(0);
}

/* ---- registration ---- */

static void on_shmem_request(void)
{
	if (next_request)
		next_request();
	RequestAddinShmemSpace(sizeof *tarn_quorum);
}

static void on_shmem_startup(void)
{
	bool found;
	if (next_startup)
		next_startup();
	tarn_quorum = ShmemInitStruct("tarn quorum", sizeof *tarn_quorum, &found);
	if (found)
		return;
	pg_atomic_init_u64(&tarn_quorum->commit_lsn, 0);
	pg_atomic_init_u64(&tarn_quorum->pageserver_lsn, 0);
	pg_atomic_init_u32(&tarn_quorum->writers, 0);
	ConditionVariableInit(&tarn_quorum->advanced);
}

/* Before anything is written: the log begins with the checkpoint that pg_control names. */
static void read_start_lsn(void)
{
	bool crc_ok;
	ControlFileData *control = get_controlfile(DataDir, &crc_ok);
	if (!crc_ok || control->state != DB_SHUTDOWNED)
		ereport(FATAL, (errmsg("tarn: this data directory is not that of a new compute"),
				errhint("Computes are started from a fresh basebackup, never "
					"restarted in place.")));
	start_lsn = control->checkPoint;
	pfree(control);
}

static void register_worker(void)
{
	BackgroundWorker w = {.bgw_flags = BGWORKER_SHMEM_ACCESS,
			      .bgw_start_time = BgWorkerStart_RecoveryFinished,
			      .bgw_restart_time = BGW_NEVER_RESTART};
	strlcpy(w.bgw_library_name, "tarn", sizeof w.bgw_library_name);
	strlcpy(w.bgw_function_name, "tarn_walproposer_main", sizeof w.bgw_function_name);
	strlcpy(w.bgw_name, "tarn walproposer", sizeof w.bgw_name);
	strlcpy(w.bgw_type, "tarn walproposer", sizeof w.bgw_type);
	RegisterBackgroundWorker(&w);
}

/* Settings with which a commit could be acknowledged too early, or the worker could not work. */
static void check_settings(void)
{
	if (max_wal_senders < 1 || max_replication_slots < 1 || wal_level < WAL_LEVEL_REPLICA)
		ereport(FATAL, (errmsg("tarn needs wal_level of at least replica, and "
				       "max_wal_senders and max_replication_slots of at least 1")));
	if (restart_after_crash)
		ereport(FATAL, (errmsg("tarn needs restart_after_crash = off"),
				errhint("A compute that crashed is replaced, never recovered.")));
	if (strcmp(SyncRepStandbyNames ? SyncRepStandbyNames : "", STANDBY_NAME) != 0)
		ereport(FATAL,
			(errmsg("tarn needs synchronous_standby_names = '" STANDBY_NAME "'")));
}

void tarn_walproposer_init(void)
{
	if (tarn_safekeepers[0] == '\0')
		return;
	DefineCustomIntVariable("tarn.max_retained_log",
				"Committed log that is kept here for safekeepers that lag.",
				"One that is further behind gets it from another safekeeper.",
				&max_retained_log_mb, 1024, 16, INT_MAX / 2, PGC_SIGHUP,
				GUC_UNIT_MB, NULL, NULL, NULL);
	tarn_backpressure_init();
	if (IsBinaryUpgrade || !IsPostmasterEnvironment)
		ereport(FATAL, (errmsg("tarn: a compute cannot run as a standalone backend")));
	check_settings();
	read_start_lsn();
	next_request = shmem_request_hook;
	shmem_request_hook = on_shmem_request;
	next_startup = shmem_startup_hook;
	shmem_startup_hook = on_shmem_startup;
	register_worker();
	tarn_commit_wait_init();
	tarn_lag_monitor_init();
}
