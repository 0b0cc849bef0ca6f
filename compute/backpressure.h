/*
 * Backpressure: a backend that writes faster than the safekeepers take the log, or the pageserver
 * ingests it, is slowed down little by little; it is never stopped or disconnected.
 */
#ifndef TARN_COMPUTE_BACKPRESSURE_H
#define TARN_COMPUTE_BACKPRESSURE_H

/* Registers the settings and a hook before each statement. */
void tarn_backpressure_init(void);
/* To be called where a backend makes log: sleeps for as long as the excess asks for, often not at all.
 * Does nothing in auxiliary processes. */
void tarn_backpressure(void);

#endif
