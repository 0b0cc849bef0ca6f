/*
 * Orderly stop of a daemon: SIGTERM and SIGINT set a flag and make an eventfd readable, so loops
 * that poll and threads that sleep both learn of it. SIGPIPE is ignored.
 */
#ifndef TARN_IO_STOP_H
#define TARN_IO_STOP_H

#include "base/error.h"

/* Once, by main, before threads start. */
int stop_init(struct tarn_error *err);
bool stop_requested(void);
/* Readable from the moment a stop was requested; never read from it. */
int stop_fd(void);
/* The same as a signal, for tests and for a part that must end the process in order. */
void stop_request(void);
/* Sleeps up to timeout_ms; true if a stop was requested. */
bool stop_wait_ms(int timeout_ms);

#endif
