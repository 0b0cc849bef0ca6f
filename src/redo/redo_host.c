/* Implementation of redo_host.h. */
#include "base/system.h"
#include "redo/redo_host.h"
#include "redo/redo_datadir.h"
#include <grp.h>
#include <linux/futex.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define START_TIMEOUT_US ((uint64_t)30 * 1000 * 1000)
#define BATCH_TIMEOUT_US ((uint64_t)20 * 1000 * 1000)
#define WAIT_SLICE_MS 20
#define SPIN_ROUNDS 2000
#define CHILD_SHM_FD 3

/* Postgres refuses to run as root; a caller that is root lends it this user. */
#define UNPRIVILEGED_USER "postgres"

int redo_host_init(struct redo_host *h, unsigned index, const struct redo_config *c,
		   struct tarn_error *err)
{
	*h = (struct redo_host){.index = index, .shm_fd = -1, .pidfd = -1};
	h->dir = tarn_asprintf("%s/host-%u", c->work_dir, index);
	h->shm_fd = memfd_create("tarn-redo", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (h->shm_fd < 0 || ftruncate(h->shm_fd, sizeof *h->shm) != 0)
		return tarn_fail_errno(err, errno, "cannot make shared memory for a redo host");
	/* a host cannot take memory away under our feet */
	if (fcntl(h->shm_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		return tarn_fail_errno(err, errno, "cannot seal a redo host's shared memory");
	void *map = mmap(NULL, sizeof *h->shm, PROT_READ | PROT_WRITE, MAP_SHARED, h->shm_fd, 0);
	if (map == MAP_FAILED)
		return tarn_fail_errno(err, errno, "cannot map a redo host's shared memory");
	h->shm = map;
	return 0;
}

void redo_host_release(struct redo_host *h)
{
	redo_host_stop(h);
	if (h->shm)
		munmap(h->shm, sizeof *h->shm);
	if (h->shm_fd >= 0)
		close(h->shm_fd);
	free(h->dir);
	h->shm = NULL;
	h->shm_fd = -1;
	h->dir = NULL;
}

void redo_host_stop(struct redo_host *h)
{
	if (h->pid > 0) {
		kill(h->pid, SIGKILL);
		while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (h->pidfd >= 0)
		close(h->pidfd);
	h->pid = 0;
	h->pidfd = -1;
}

/* ---- start ---- */

struct child {
	char *argv[6];
	char *envp[4];
	char environment[64];
	pid_t parent;
	bool switch_user;
	uid_t uid;
	gid_t gid;
	int shm_fd, null_fd;
};

/* Between fork and exec of a process with threads: system calls only. The C library's setuid would
 * try to reach threads that do not exist here. */
TARN_NORETURN static void run_child(const struct child *c)
{
	sigset_t none;
	sigemptyset(&none);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (c->switch_user && (syscall(SYS_setgroups, 0, NULL) != 0 ||
			       syscall(SYS_setresgid, c->gid, c->gid, c->gid) != 0 ||
			       syscall(SYS_setresuid, c->uid, c->uid, c->uid) != 0))
		_exit(101);
	/* after the change of user, which clears it */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != c->parent)
		_exit(102);
	/* the two descriptors may lie anywhere, even at 0..3 */
	int shm_fd = fcntl(c->shm_fd, F_DUPFD, 10), null_fd = fcntl(c->null_fd, F_DUPFD, 10);
	if (shm_fd < 0 || null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0 ||
	    dup2(shm_fd, CHILD_SHM_FD) < 0)
		_exit(103);
	syscall(SYS_close_range, CHILD_SHM_FD + 1, ~0U, 0);
	execve(c->argv[0], c->argv, c->envp);
	_exit(104);
}

static int find_user(struct child *c, struct tarn_error *err)
{
	char text[4096];
	struct passwd pw, *found = NULL;
	c->uid = (uid_t)-1;
	c->gid = (gid_t)-1;
	c->switch_user = geteuid() == 0;
	if (!c->switch_user)
		return 0;
	if (getpwnam_r(UNPRIVILEGED_USER, &pw, text, sizeof text, &found) != 0 || !found)
		return tarn_fail(err, TARN_E_UNAVAILABLE,
				 "Postgres refuses to run as root and there is no user "
				 "'" UNPRIVILEGED_USER "'; run as another user");
	c->uid = found->pw_uid;
	c->gid = found->pw_gid;
	return 0;
}

static int spawn(struct redo_host *h, const struct redo_config *config, struct child *c,
		 struct tarn_error *err)
{
	c->parent = getpid();
	snprintf(c->environment, sizeof c->environment, REDO_HOST_ENV "=%d:%d", CHILD_SHM_FD,
		 (int)c->parent);
	c->argv[0] = (char *)config->postgres_path;
	c->argv[1] = (char *)"--single";
	c->argv[2] = (char *)"-D";
	c->argv[3] = h->dir;
	c->argv[4] = (char *)"redo";
	c->envp[0] = c->environment;
	c->envp[1] = (char *)"LC_ALL=C";
	c->envp[2] = (char *)"PATH=/usr/bin:/bin";
	c->shm_fd = h->shm_fd;
	c->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (c->null_fd < 0)
		return tarn_fail_errno(err, errno, "cannot open /dev/null");
	pid_t pid = fork();
	if (pid == 0)
		run_child(c);
	int fork_errno = errno;
	close(c->null_fd);
	if (pid < 0)
		return tarn_fail_errno(err, fork_errno, "cannot start a redo host");
	h->pid = pid;
	h->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (h->pidfd < 0)
		return tarn_fail_errno(err, errno, "cannot watch a redo host");
	return 0;
}

int redo_host_start(struct redo_host *h, const struct redo_config *config, struct tarn_error *err)
{
	struct child c = {0};
	redo_host_stop(h);
	memset(h->shm, 0, offsetof(struct redo_shm, in));
	h->shm->magic = REDO_SHM_MAGIC;
	h->shm->version = REDO_SHM_VERSION;
	TRY(find_user(&c, err));
	TRY(redo_datadir_make(h->dir, config->module_path, c.uid, c.gid, err));
	return spawn(h, config, &c, err);
}

/* ---- waiting ---- */

static bool has_died(const struct redo_host *h)
{
	struct pollfd p = {.fd = h->pidfd, .events = POLLIN};
	return poll(&p, 1, 0) == 1;
}

/* Waits until *word != old; TARN_E_UNAVAILABLE when the host is dead, TARN_E_TIMEOUT. */
static int wait_for_word(const struct redo_host *h, uint32_t *word, uint32_t old,
			 uint64_t timeout_us)
{
	uint64_t deadline = tarn_mono_us() + timeout_us;
	struct timespec slice = {.tv_nsec = WAIT_SLICE_MS * 1000000L};
	while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == old) {
		syscall(SYS_futex, word, FUTEX_WAIT, old, &slice, NULL, 0);
		if (__atomic_load_n(word, __ATOMIC_SEQ_CST) != old)
			return 0;
		if (has_died(h))
			return TARN_E_UNAVAILABLE;
		if (tarn_mono_us() > deadline)
			return TARN_E_TIMEOUT;
	}
	return 0;
}

/* What a dead or stuck host left behind: its own words, or how it ended. */
static int explain(struct redo_host *h, int code, struct tarn_error *err)
{
	char said[REDO_SHM_ERROR_BYTES];
	int status = 0;
	memcpy(said, h->shm->error, sizeof said);
	said[sizeof said - 1] = '\0';
	for (char *p = said; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
	if (code == TARN_E_TIMEOUT)
		return tarn_fail(err, TARN_E_TIMEOUT, "the redo host does not answer");
	if (waitpid(h->pid, &status, 0) == h->pid)
		h->pid = 0;
	if (said[0])
		return tarn_fail(err, TARN_E_UNAVAILABLE, "%s", said);
	if (WIFSIGNALED(status))
		return tarn_fail(err, TARN_E_UNAVAILABLE, "the redo host was killed by signal %d%s",
				 WTERMSIG(status),
				 WTERMSIG(status) == SIGSYS ? " (a forbidden system call)" : "");
	return tarn_fail(err, TARN_E_UNAVAILABLE, "the redo host ended with status %d",
			 WEXITSTATUS(status));
}

int redo_host_wait_ready(struct redo_host *h, struct tarn_error *err)
{
	int rc = wait_for_word(h, &h->shm->ready, 0, START_TIMEOUT_US);
	if (rc == 0)
		return 0;
	rc = explain(h, rc, err);
	tarn_error_prefix(err, "a redo host did not start (its log is on standard error)");
	return rc;
}

int redo_host_run(struct redo_host *h, struct tarn_error *err)
{
	struct redo_shm *shm = h->shm;
	uint32_t old = shm->response_seq;
	int rc;
	__atomic_store_n(&shm->request_seq, old + 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&shm->host_sleeping, __ATOMIC_SEQ_CST))
		syscall(SYS_futex, &shm->request_seq, FUTEX_WAKE, 1, NULL, NULL, 0);
	for (int i = 0; i < SPIN_ROUNDS; i++) {
		if (__atomic_load_n(&shm->response_seq, __ATOMIC_ACQUIRE) != old)
			return 0;
		__builtin_ia32_pause();
	}
	__atomic_store_n(&shm->pool_sleeping, 1, __ATOMIC_SEQ_CST);
	rc = wait_for_word(h, &shm->response_seq, old, BATCH_TIMEOUT_US);
	__atomic_store_n(&shm->pool_sleeping, 0, __ATOMIC_SEQ_CST);
	return rc == 0 ? 0 : explain(h, rc, err);
}
