/* Implementation of backpressure.h. */
#include "postgres.h"
#include "access/xlog.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "backpressure.h"
#include "walproposer.h"

#define MAX_DELAY_US 100000.0

static int max_safekeeper_lag_mb;
static int max_pageserver_lag_mb;
static ExecutorRun_hook_type next_run;

/* Nothing up to the limit, then growing with the square of the excess: at twice the limit the
 * longest delay. */
static double delay_us(XLogRecPtr end, XLogRecPtr done, int limit_mb)
{
	double limit = (double)limit_mb * 1024 * 1024;
	if (limit_mb == 0 || done == 0 || end <= done || (double)(end - done) <= limit)
		return 0;
	double excess = ((double)(end - done) - limit) / limit;
	return excess >= 1 ? MAX_DELAY_US : excess * excess * MAX_DELAY_US;
}

void tarn_backpressure(void)
{
	if (!tarn_quorum || (MyBackendType != B_BACKEND && MyBackendType != B_BG_WORKER))
		return;
	XLogRecPtr end = GetFlushRecPtr(NULL);
	double by_quorum =
		delay_us(end, pg_atomic_read_u64(&tarn_quorum->commit_lsn), max_safekeeper_lag_mb);
	double by_pages = delay_us(end, pg_atomic_read_u64(&tarn_quorum->pageserver_lsn),
				   max_pageserver_lag_mb);
	double us = Max(by_quorum, by_pages);
	if (us < 1)
		return;
	pgstat_report_wait_start(PG_WAIT_EXTENSION);
	pg_usleep((long)us);
	pgstat_report_wait_end();
}

static void on_run(QueryDesc *query, ScanDirection direction, uint64 count, bool once)
{
	if (query->operation != CMD_SELECT)
		tarn_backpressure();
	if (next_run)
		next_run(query, direction, count, once);
	else
		standard_ExecutorRun(query, direction, count, once);
}

void tarn_backpressure_init(void)
{
	DefineCustomIntVariable("tarn.max_safekeeper_lag",
				"Log that a majority of safekeepers may lack before writers are "
				"slowed down.",
				"0 is no limit.", &max_safekeeper_lag_mb, 256, 0, INT_MAX / 2,
				PGC_SIGHUP, GUC_UNIT_MB, NULL, NULL, NULL);
	DefineCustomIntVariable("tarn.max_pageserver_lag",
				"Log that the pageserver may lack before writers are slowed down.",
				"0 is no limit.", &max_pageserver_lag_mb, 1024, 0, INT_MAX / 2,
				PGC_SIGHUP, GUC_UNIT_MB, NULL, NULL, NULL);
	next_run = ExecutorRun_hook;
	ExecutorRun_hook = on_run;
}
