/*
 * A supervised process: started, watched, started again after a crash (with growing pauses), stopped in
 * order. Each child has one thread, which prepares, starts and waits for it; others ask through the
 * functions here, from any thread.
 */
#ifndef TARN_CONTROL_CHILD_H
#define TARN_CONTROL_CHILD_H

#include <pthread.h>
#include "base/error.h"

enum child_state { CHILD_STOPPED, CHILD_STARTING, CHILD_RUNNING, CHILD_FAILED };
#define CHILD_MAX_ARGS 64
/* A daemon exits with this when going on would be wrong (a failed fsync): it is not started again. */
#define CHILD_EXIT_STOPPED_FOR_GOOD 75

struct child_command {
	int exec_fd;	      /* run this open file if >= 0, else args[0] */
	const char *cwd;      /* or NULL */
	const char *log_path; /* stdout and stderr are appended to it */
	int stop_signal;
	int death_signal;		/* sent should the supervisor die */
	char *args[CHILD_MAX_ARGS + 1]; /* owned, NULL-terminated */
	unsigned arg_count;
	char *env[8]; /* NAME=VALUE, added to ours; owned */
	unsigned env_count;
};
void child_command_arg(struct child_command *c, const char *fmt, ...) TARN_PRINTF(2, 3);
void child_command_env(struct child_command *c, const char *fmt, ...) TARN_PRINTF(2, 3);
void child_command_release(struct child_command *c);

struct child;
struct child_config {
	const char *name; /* copied */
	/* Fills the command for the next start; may block (basebackup). */
	int (*prepare)(void *arg, struct child_command *out, struct tarn_error *err);
	/* 0 when it serves; TARN_E_UNAVAILABLE: not yet. Called every few milliseconds after a start. */
	int (*ready)(void *arg, struct tarn_error *err);
	void *arg;
	int ready_timeout_ms;
	int stop_timeout_ms; /* then SIGKILL */
};
/* Makes it, stopped. */
struct child *child_new(const struct child_config *c);
/* Stops it first. */
void child_free(struct child *c);
/* Asks for it to run; returns when it serves, or with the reason why it does not. With wait false,
 * returns at once. */
int child_start(struct child *c, bool wait, struct tarn_error *err);
int child_stop(struct child *c, struct tarn_error *err);

struct child_status {
	enum child_state state;
	pid_t pid; /* 0: none */
	uint32_t restarts;
	uint64_t start_us; /* how long the last start took */
	char last_error[512];
};
void child_get_status(struct child *c, struct child_status *out);
const char *child_state_name(enum child_state s);
const char *child_name(const struct child *c);

/* Runs a command to its end (initdb); an error quotes the end of its output. */
int child_run(const struct child_command *c, struct tarn_error *err);

#endif
