/*
 * One redo host: a child process and the memory shared with it. Used by redo_pool.c only.
 *
 * redo_host_start must always be called by the same long-lived thread: the kernel kills the host
 * when the thread that started it ends (PR_SET_PDEATHSIG). The rest may be called by whichever
 * thread holds the host.
 */
#ifndef TARN_REDO_REDO_HOST_H
#define TARN_REDO_REDO_HOST_H

#include "base/error.h"
#include "redo/redo.h"
#include "redo/redo_shm_format.h"

struct redo_host {
	unsigned index;
	char *dir;
	int shm_fd;
	struct redo_shm *shm;
	pid_t pid; /* 0: none */
	int pidfd;
};

int redo_host_init(struct redo_host *h, unsigned index, const struct redo_config *c,
		   struct tarn_error *err);
/* Kills what is left of the last process, starts another. It is not ready yet. */
int redo_host_start(struct redo_host *h, const struct redo_config *c, struct tarn_error *err);
int redo_host_wait_ready(struct redo_host *h, struct tarn_error *err);
/* Runs the batch that the caller put into h->shm. TARN_E_UNAVAILABLE: the host died; TARN_E_TIMEOUT:
 * it was too slow. In both cases it must be started again, and err says why. */
int redo_host_run(struct redo_host *h, struct tarn_error *err);
void redo_host_stop(struct redo_host *h);
void redo_host_release(struct redo_host *h);

#endif
