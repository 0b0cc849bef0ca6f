/*
 * Commits wait for the quorum, whatever the session's settings, and no cancel ends that wait.
 *
 * Stock Postgres waits in SyncRepWaitForLSN, before others see the commit; the walproposer releases
 * those waits. Its two holes are closed here: synchronous_commit below "on" is raised for the length
 * of the commit, and SIGINT is ignored meanwhile. A terminated backend (pg_terminate_backend, fast
 * shutdown) leaves the wait, but its client hears nothing.
 */
#ifndef TARN_COMPUTE_COMMIT_WAIT_H
#define TARN_COMPUTE_COMMIT_WAIT_H

void tarn_commit_wait_init(void);

#endif
