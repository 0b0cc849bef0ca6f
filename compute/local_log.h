/*
 * The compute's own log, read back from pg_wal for the safekeepers. One thread.
 */
#ifndef TARN_COMPUTE_LOCAL_LOG_H
#define TARN_COMPUTE_LOCAL_LOG_H

#include "base/error.h"
#include "base/lsn.h"

struct local_log {
	int fd; /* of the segment read last; -1: none */
	uint64_t segment;
};
void local_log_init(struct local_log *l);
/* Reads [from, from + len), which has been written. TARN_E_NOT_FOUND: recycled. The form is that of
 * proposer_io's read_wal; arg is a struct local_log. */
int local_log_read(void *arg, tarn_lsn from, size_t len, uint8_t *out, struct tarn_error *err);

#endif
