/*
 * The lag monitor: a background worker that asks the pageserver every second how far it has ingested
 * the log, for backpressure. Apart from the walproposer, which must never wait for a pageserver.
 */
#ifndef TARN_COMPUTE_LAG_MONITOR_H
#define TARN_COMPUTE_LAG_MONITOR_H

/* From _PG_init: registers the worker if there is a pageserver. */
void tarn_lag_monitor_init(void);

#endif
