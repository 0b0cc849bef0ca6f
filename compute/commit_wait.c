/* Implementation of commit_wait.h. */
#include "postgres.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "replication/syncrep.h"
#include "storage/ipc.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include <signal.h>
#include "backpressure.h"
#include "commit_wait.h"
#include "walproposer.h"

#define WAIT_SLICE_MS 1000L

static ProcessUtility_hook_type next_utility;
static bool guarded;	    /* between begin_guard and end_guard */
static bool wait_at_commit; /* what this transaction did must not be lost */
static int stock_synchronous_commit;
static pqsigfunc stock_sigint;

/* ---- the guard ---- */

static void set_synchronous_commit(int level)
{
	synchronous_commit = level;
	assign_synchronous_commit(level, NULL); /* tells syncrep.c */
}

static void begin_guard(void)
{
	if (guarded)
		return;
	guarded = true;
	stock_synchronous_commit = synchronous_commit;
	if (synchronous_commit < SYNCHRONOUS_COMMIT_REMOTE_FLUSH)
		set_synchronous_commit(SYNCHRONOUS_COMMIT_REMOTE_FLUSH);
	stock_sigint = pqsignal(SIGINT, SIG_IGN);
}

static void end_guard(void)
{
	if (!guarded)
		return;
	guarded = false;
	pqsignal(SIGINT, stock_sigint);
	if (synchronous_commit != stock_synchronous_commit)
		set_synchronous_commit(stock_synchronous_commit);
}

/* ---- waiting ---- */

/*
 * Until the quorum has everything up to lsn. Normally SyncRepWaitForLSN has waited already; not so
 * before the server knows that it is synchronous, or if somebody changed
 * synchronous_standby_names. Interrupts are held here, so nothing but termination ends it.
 */
static void wait_for_quorum(XLogRecPtr lsn)
{
	if (pg_atomic_read_u64(&tarn_quorum->commit_lsn) >= lsn)
		return;
	XLogFlush(lsn);
	ConditionVariablePrepareToSleep(&tarn_quorum->advanced);
	while (pg_atomic_read_u64(&tarn_quorum->commit_lsn) < lsn) {
		if (ProcDiePending) {
			ereport(WARNING, (errmsg("terminating this connection before the commit "
						 "is known to be durable"),
					  errdetail("The transaction may or may not be there "
						    "after a reconnect.")));
			whereToSendOutput = DestNone; /* never acknowledge */
			break;
		}
		ConditionVariableTimedSleep(&tarn_quorum->advanced, WAIT_SLICE_MS,
					    PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
}

static void on_transaction(XactEvent event, void *arg)
{
	(void)arg;
	switch (event) {
	case XACT_EVENT_PRE_COMMIT:
	case XACT_EVENT_PRE_PREPARE:
		if (!TransactionIdIsValid(GetTopTransactionIdIfAny()))
			break;
		tarn_backpressure();
		CHECK_FOR_INTERRUPTS(); /* the last moment for a cancel */
		wait_at_commit = true;
		begin_guard();
		break;
	case XACT_EVENT_COMMIT:
		if (wait_at_commit)
			wait_for_quorum(XactLastCommitEnd);
		wait_at_commit = false;
		end_guard();
		break;
	case XACT_EVENT_PREPARE:
		/* its last record begins here; the commit LSN is always between records */
		wait_for_quorum(ProcLastRecPtr + 1);
		wait_at_commit = false;
		end_guard();
		break;
	case XACT_EVENT_ABORT:
		wait_at_commit = false;
		end_guard();
		break;
	default:
		break;
	}
}

/* COMMIT PREPARED commits another transaction than the one it runs in. */
static bool finishes_prepared(const PlannedStmt *p)
{
	if (!p->utilityStmt || !IsA(p->utilityStmt, TransactionStmt))
		return false;
	TransactionStmtKind kind = ((TransactionStmt *)p->utilityStmt)->kind;
	return kind == TRANS_STMT_COMMIT_PREPARED || kind == TRANS_STMT_ROLLBACK_PREPARED;
}

static void on_utility(PlannedStmt *pstmt, const char *query, bool read_only_tree,
		       ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *env,
		       DestReceiver *dest, QueryCompletion *qc)
{
	ProcessUtility_hook_type next = next_utility ? next_utility : standard_ProcessUtility;
	if (finishes_prepared(pstmt)) {
		wait_at_commit = true;
		begin_guard(); /* ends with the transaction around it */
	}
	next(pstmt, query, read_only_tree, context, params, env, dest, qc);
}

void tarn_commit_wait_init(void)
{
	RegisterXactCallback(on_transaction, NULL);
	next_utility = ProcessUtility_hook;
	ProcessUtility_hook = on_utility;
}
