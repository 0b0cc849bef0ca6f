/* Implementation of lag_monitor.h. */
#include "postgres.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include <unistd.h>
#include "io/net.h"
#include "wire/page_wire.h"
#include "lag_monitor.h"
#include "tarn.h"
#include "walproposer.h"

#define PERIOD_MS 1000L
#define TIMEOUT_MS 2000
#define RESTART_S 5

PGDLLEXPORT void tarn_lag_monitor_main(Datum arg);

/* A new connection says first how far the pageserver is. */
static int ask(const struct tarn_id *timeline, tarn_lsn *lsn, struct tarn_error *err)
{
	struct tarn_buf out = TARN_BUF_INIT, in = TARN_BUF_INIT;
	struct frame f;
	struct page_response r;
	int fd = -1, rc;
	TRY_GOTO(rc, net_connect(tarn_pageserver, TIMEOUT_MS, &fd, err), done);
	TRY_GOTO(rc, net_set_timeout(fd, TIMEOUT_MS, err), done);
	page_put_attach(&out, timeline, GetSystemIdentifier());
	TRY_GOTO(rc, net_write_full(fd, out.data, out.len, err), done);
	TRY_GOTO(rc,
		 frame_read(fd, FRAME_PROTO_PAGE, PAGE_WIRE_VERSION, FRAME_MAX_PAYLOAD_BYTES, &in,
			    &f, false, err),
		 done);
	TRY_GOTO(rc, page_parse_response(&f, &r, err), done);
	if (r.type == PAGE_MSG_ATTACHED)
		*lsn = r.number;
	else
		rc = tarn_fail(err, TARN_E_UNAVAILABLE, "the pageserver refused the timeline");
done:
	if (fd >= 0)
		close(fd);
	tarn_buf_release(&out);
	tarn_buf_release(&in);
	return rc;
}

void tarn_lag_monitor_main(Datum arg)
{
	struct tarn_id timeline;
	(void)arg;
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	if (!tarn_id_parse(tarn_timeline, &timeline))
		proc_exit(0); /* the walproposer says so */
	while (!ShutdownRequestPending) {
		tarn_lsn lsn;
		if (ask(&timeline, &lsn, NULL) == 0)
			pg_atomic_write_u64(&tarn_quorum->pageserver_lsn, lsn);
		WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, PERIOD_MS,
			  PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	proc_exit(0);
}

void tarn_lag_monitor_init(void)
{
	BackgroundWorker w = {.bgw_flags = BGWORKER_SHMEM_ACCESS,
			      .bgw_start_time = BgWorkerStart_RecoveryFinished,
			      .bgw_restart_time = RESTART_S};
	if (tarn_pageserver[0] == '\0')
		return;
	strlcpy(w.bgw_library_name, "tarn", sizeof w.bgw_library_name);
	strlcpy(w.bgw_function_name, "tarn_lag_monitor_main", sizeof w.bgw_function_name);
	strlcpy(w.bgw_name, "tarn lag monitor", sizeof w.bgw_name);
	strlcpy(w.bgw_type, "tarn lag monitor", sizeof w.bgw_type);
	RegisterBackgroundWorker(&w);
}
