/* Implementation of child.h. */
#include "base/system.h"
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "base/log.h"
#include "control/child.h"
#include "io/file.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 5000
#define STABLE_US (10u * 1000 * 1000) /* ran this long: the next crash starts the pauses anew */

struct child {
	struct child_config config;
	char *name;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool wanted, quit; /* under lock, as all below */
	enum child_state state;
	pid_t pid;
	uint32_t restarts;
	uint64_t attempts; /* starts tried, so that a waiter sees the end of the one it asked for */
	uint64_t start_us;
	struct tarn_error last;
};

static char *format(const char *fmt, va_list ap)
{
	char *s = NULL;
	if (vasprintf(&s, fmt, ap) < 0)
		TARN_CHECK(false);
	return s;
}

void child_command_arg(struct child_command *c, const char *fmt, ...)
{
	va_list ap;
	TARN_CHECK(c->arg_count < CHILD_MAX_ARGS);
	va_start(ap, fmt);
	c->args[c->arg_count++] = format(fmt, ap);
	va_end(ap);
}

void child_command_env(struct child_command *c, const char *fmt, ...)
{
	va_list ap;
	TARN_CHECK(c->env_count < ARRAY_LEN(c->env));
	va_start(ap, fmt);
	c->env[c->env_count++] = format(fmt, ap);
	va_end(ap);
}

void child_command_release(struct child_command *c)
{
	for (unsigned i = 0; i < c->arg_count; i++)
		free(c->args[i]);
	for (unsigned i = 0; i < c->env_count; i++)
		free(c->env[i]);
	memset(c, 0, sizeof *c);
	c->exec_fd = -1;
}

/* In the new process: only async-signal-safe calls, as other threads may have held locks. */
TARN_NORETURN static void exec_command(const struct child_command *c, char **envp, int log_fd,
				       pid_t parent)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	setsid(); /* a Ctrl-C at the terminal is for the supervisor, which stops things in order */
	if (c->death_signal)
		prctl(PR_SET_PDEATHSIG, c->death_signal);
	if (getppid() != parent)
		_exit(1);
	int null = open("/dev/null", O_RDONLY);
	dup2(null, 0);
	dup2(log_fd, 1);
	dup2(log_fd, 2);
	if (!c->cwd || chdir(c->cwd) == 0) {
		if (c->exec_fd >= 0)
			syscall(SYS_execveat, c->exec_fd, "", c->args, envp, AT_EMPTY_PATH);
		else
			execve(c->args[0], c->args, envp);
	}
	static const char text[] = "cannot run the program\n";
	if (write(2, text, sizeof text - 1) < 0)
		_exit(126);
	_exit(127);
}

static char **make_env(const struct child_command *c)
{
	size_t n = 0;
	while (environ[n])
		n++;
	char **env = tarn_calloc(n + c->env_count + 1, sizeof *env);
	memcpy(env, environ, n * sizeof *env);
	memcpy(env + n, c->env, c->env_count * sizeof *env);
	return env;
}

static int spawn(const struct child_command *c, pid_t *pid, struct tarn_error *err)
{
	int log_fd;
	TRY(file_open(c->log_path, O_WRONLY | O_CREAT | O_APPEND, 0600, &log_fd, err));
	char **envp = make_env(c);
	pid_t parent = getpid();
	*pid = fork();
	if (*pid == 0)
		exec_command(c, envp, log_fd, parent);
	int saved = errno;
	free(envp);
	file_close(log_fd);
	if (*pid < 0)
		return tarn_fail_errno(err, saved, "cannot start %s", c->args[0]);
	return 0;
}

/* The last line of a log that is not empty, for messages. */
static void last_line(const char *path, char *out, size_t size)
{
	int fd;
	uint64_t len = 0;
	char tail[2048];
	size_t got = 0;
	out[0] = '\0';
	if (file_open(path, O_RDONLY, 0, &fd, NULL) != 0)
		return;
	if (file_size(fd, &len, path, NULL) == 0) {
		uint64_t from = len > sizeof tail - 1 ? len - (sizeof tail - 1) : 0;
		if (file_pread_some(fd, tail, sizeof tail - 1, from, &got, path, NULL) != 0)
			got = 0;
	}
	file_close(fd);
	while (got > 0 && (tail[got - 1] == '\n' || tail[got - 1] == ' '))
		got--;
	tail[got] = '\0';
	const char *line = strrchr(tail, '\n');
	tarn_strlcpy(out, line ? line + 1 : tail, size);
}

static void describe_exit(int status, const char *name, const char *log_path,
			  struct tarn_error *err)
{
	char line[300];
	last_line(log_path, line, sizeof line);
	if (WIFSIGNALED(status))
		tarn_fail(err, TARN_E_UNAVAILABLE, "%s was ended by signal %d (log: %s)", name,
			  WTERMSIG(status), log_path);
	else
		tarn_fail(err, TARN_E_UNAVAILABLE, "%s ended with code %d: %s (log: %s)", name,
			  WEXITSTATUS(status), line, log_path);
}

int child_run(const struct child_command *c, struct tarn_error *err)
{
	pid_t pid;
	int status;
	TRY(spawn(c, &pid, err));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return tarn_fail_errno(err, errno, "cannot wait for %s", c->args[0]);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	describe_exit(status, c->args[0], c->log_path, err);
	return err ? (int)err->code : TARN_E_UNAVAILABLE;
}

static void set_state(struct child *c, enum child_state state, const struct tarn_error *e)
{
	pthread_mutex_lock(&c->lock);
	c->state = state;
	if (state == CHILD_RUNNING || state == CHILD_FAILED)
		c->attempts++;
	if (e)
		c->last = *e;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

static bool still_wanted(struct child *c)
{
	pthread_mutex_lock(&c->lock);
	bool w = c->wanted && !c->quit;
	pthread_mutex_unlock(&c->lock);
	return w;
}

/* Waits until it serves, ends, or is no longer wanted. *ended: it was reaped. */
static int await_ready(struct child *c, pid_t pid, bool *ended, int *status, struct tarn_error *err)
{
	uint64_t deadline = tarn_mono_us() + (uint64_t)c->config.ready_timeout_ms * 1000;
	*ended = false;
	for (;;) {
		if (waitpid(pid, status, WNOHANG) == pid) {
			*ended = true;
			return TARN_E_UNAVAILABLE;
		}
		if (c->config.ready(c->config.arg, err) == 0)
			return 0;
		if (!still_wanted(c))
			return tarn_fail(err, TARN_E_CANCELLED, "%s was stopped while it started",
					 c->name);
		if (tarn_mono_us() > deadline) {
			struct tarn_error why = err ? *err : (struct tarn_error){0};
			return tarn_fail(err, TARN_E_TIMEOUT, "%s does not serve after %d s: %s",
					 c->name, c->config.ready_timeout_ms / 1000, why.message);
		}
		usleep(2000);
	}
}

static void end_process(struct child *c, const struct child_command *cmd, pid_t pid, int *status)
{
	uint64_t deadline = tarn_mono_us() + (uint64_t)c->config.stop_timeout_ms * 1000;
	kill(pid, cmd->stop_signal);
	while (waitpid(pid, status, WNOHANG) != pid) {
		if (tarn_mono_us() > deadline) {
			log_warn("does not stop, killing it", "part=%s pid=%d", c->name, (int)pid);
			kill(pid, SIGKILL);
			deadline = UINT64_MAX;
		}
		usleep(2000);
	}
}

/* Until it ends or is no longer wanted. */
static void watch(struct child *c, const struct child_command *cmd, pid_t pid, int *status)
{
	for (;;) {
		if (waitpid(pid, status, WNOHANG) == pid)
			return;
		pthread_mutex_lock(&c->lock);
		if (c->wanted && !c->quit) {
			struct timespec until;
			clock_gettime(CLOCK_REALTIME, &until);
			until.tv_nsec += 20 * 1000 * 1000;
			if (until.tv_nsec >= 1000000000) {
				until.tv_nsec -= 1000000000;
				until.tv_sec++;
			}
			pthread_cond_timedwait(&c->changed, &c->lock, &until);
		}
		bool wanted = c->wanted && !c->quit;
		pthread_mutex_unlock(&c->lock);
		if (!wanted) {
			end_process(c, cmd, pid, status);
			return;
		}
	}
}

static void set_pid(struct child *c, pid_t pid)
{
	pthread_mutex_lock(&c->lock);
	c->pid = pid;
	pthread_mutex_unlock(&c->lock);
}

/* In one step, so that nobody sees a part that runs without a process. */
static void process_gone(struct child *c)
{
	pthread_mutex_lock(&c->lock);
	c->pid = 0;
	if (c->state == CHILD_RUNNING)
		c->state = CHILD_STARTING;
	pthread_mutex_unlock(&c->lock);
}

/* One life: prepare, start, wait for its end. Returns true if it may be started again. */
static bool run_once(struct child *c, struct tarn_error *err)
{
	struct child_command cmd = {.exec_fd = -1};
	uint64_t began = tarn_mono_us();
	pid_t pid = 0;
	int status = 0;
	bool ended = false;
	int rc = c->config.prepare(c->config.arg, &cmd, err);
	if (rc == 0)
		rc = spawn(&cmd, &pid, err);
	if (rc == 0) {
		set_pid(c, pid);
		rc = await_ready(c, pid, &ended, &status, err);
		if (rc == 0) {
			pthread_mutex_lock(&c->lock);
			c->start_us = tarn_mono_us() - began;
			pthread_mutex_unlock(&c->lock);
			set_state(c, CHILD_RUNNING, NULL);
			log_info("started", "part=%s pid=%d ms=%.1f", c->name, (int)pid,
				 (double)(tarn_mono_us() - began) / 1000);
			watch(c, &cmd, pid, &status);
			ended = true;
		}
		if (!ended)
			end_process(c, &cmd, pid, &status);
		if (still_wanted(c) && rc != TARN_E_TIMEOUT)
			describe_exit(status, c->name, cmd.log_path, err);
		process_gone(c);
	}
	child_command_release(&cmd);
	return !(WIFEXITED(status) && WEXITSTATUS(status) == CHILD_EXIT_STOPPED_FOR_GOOD);
}

static void pause_ms(struct child *c, int ms)
{
	for (int i = 0; i < ms && still_wanted(c); i += 10)
		usleep(10000);
}

static void live(struct child *c)
{
	int backoff_ms = BACKOFF_FIRST_MS;
	bool first = true;
	while (still_wanted(c)) {
		struct tarn_error err = {0};
		uint64_t began = tarn_mono_us();
		set_state(c, CHILD_STARTING, NULL);
		bool again = run_once(c, &err);
		if (!still_wanted(c))
			break;
		log_error("ended", "part=%s reason=\"%s\"", c->name, err.message);
		pthread_mutex_lock(&c->lock);
		c->restarts++;
		pthread_mutex_unlock(&c->lock);
		set_state(c, CHILD_FAILED, &err);
		if (!again) {
			log_error("stopped for good", "part=%s", c->name);
			while (still_wanted(c))
				usleep(20000);
			break;
		}
		if (tarn_mono_us() - began > STABLE_US || first)
			backoff_ms = BACKOFF_FIRST_MS;
		first = false;
		pause_ms(c, backoff_ms);
		backoff_ms = TARN_MIN(backoff_ms * 2, BACKOFF_MAX_MS);
	}
	set_state(c, CHILD_STOPPED, NULL);
}

static void *child_thread(void *arg)
{
	struct child *c = arg;
	pthread_mutex_lock(&c->lock);
	while (!c->quit) {
		if (!c->wanted) {
			pthread_cond_wait(&c->changed, &c->lock);
			continue;
		}
		pthread_mutex_unlock(&c->lock);
		live(c);
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

struct child *child_new(const struct child_config *config)
{
	struct child *c = tarn_calloc(1, sizeof *c);
	c->config = *config;
	c->name = tarn_strdup(config->name);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	TARN_CHECK(pthread_create(&c->thread, NULL, child_thread, c) == 0);
	return c;
}

void child_free(struct child *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->quit = true;
	c->wanted = false;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->changed);
	free(c->name);
	free(c);
}

int child_start(struct child *c, bool wait, struct tarn_error *err)
{
	int rc = 0;
	pthread_mutex_lock(&c->lock);
	uint64_t seen = c->attempts;
	bool running = c->wanted && c->state == CHILD_RUNNING;
	c->wanted = true;
	pthread_cond_broadcast(&c->changed);
	while (wait && !running && c->attempts == seen && c->wanted)
		pthread_cond_wait(&c->changed, &c->lock);
	if (wait && !running && c->state != CHILD_RUNNING)
		rc = tarn_fail(err, c->last.code ? c->last.code : TARN_E_UNAVAILABLE, "%s",
			       c->last.message);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

int child_stop(struct child *c, struct tarn_error *err)
{
	(void)err;
	pthread_mutex_lock(&c->lock);
	c->wanted = false;
	pthread_cond_broadcast(&c->changed);
	while (c->state != CHILD_STOPPED)
		pthread_cond_wait(&c->changed, &c->lock);
	pthread_mutex_unlock(&c->lock);
	return 0;
}

void child_get_status(struct child *c, struct child_status *out)
{
	pthread_mutex_lock(&c->lock);
	memset(out, 0, sizeof *out);
	out->state = c->state;
	out->pid = c->pid;
	out->restarts = c->restarts;
	out->start_us = c->start_us;
	tarn_strlcpy(out->last_error, c->last.message, sizeof out->last_error);
	pthread_mutex_unlock(&c->lock);
}

const char *child_state_name(enum child_state s)
{
	static const char *const names[] = {"stopped", "starting", "running", "failed"};
	return names[s];
}

const char *child_name(const struct child *c)
{
	return c->name;
}
