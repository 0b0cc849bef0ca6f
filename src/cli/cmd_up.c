/* tarn up, down, status. */
#include "base/system.h"
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include "base/log.h"
#include "base/lsn.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "control/control.h"
#include "io/file.h"
#include "io/stop.h"

#define DOWN_TIMEOUT_US (120u * 1000 * 1000)

struct up {
	bool detach;
	int ready_fd; /* write end, to the process that waits; -1 in the foreground */
};

static void on_progress(void *arg, const char *what)
{
	const struct up *u = arg;
	if (!u->detach && isatty(2))
		fprintf(stderr, "\r\033[K%s …", what);
}

static void on_ready(void *arg, const char *text)
{
	struct up *u = arg;
	if (u->detach) {
		if (write(u->ready_fd, text, strlen(text)) < 0)
			log_warn("nobody waits for the start", "errno=%d", errno);
		close(u->ready_fd);
		u->ready_fd = -1;
		return;
	}
	if (isatty(2))
		fprintf(stderr, "\r\033[K");
	printf("%sCtrl-C stops it.\n", text);
	fflush(stdout);
}

static int run(const char *dir, const char *store, uint64_t safekeepers, struct up *u)
{
	struct tarn_error err = {0};
	struct control_options o = {.dir = dir,
				    .store_url = store,
				    .safekeepers = (unsigned)safekeepers,
				    .on_ready = on_ready,
				    .on_progress = on_progress,
				    .arg = u};
	int rc = stop_init(&err);
	if (rc == 0)
		rc = control_run(&o, &err);
	if (rc == 0)
		return 0;
	if (u->detach && u->ready_fd >= 0) {
		char text[640];
		tarn_snprintf(text, sizeof text, "\001%s", err.message);
		if (write(u->ready_fd, text, strlen(text)) < 0)
			log_error("start failed", "reason=\"%s\"", err.message);
		return tarn_error_exit_code(err.code);
	}
	return report(&err);
}

/* In the background: its own session, its messages in DIR/logs/tarn.log. */
static int run_detached(const char *dir, const char *store, uint64_t safekeepers)
{
	struct up u = {.detach = true};
	struct tarn_error err = {0};
	int pipe_fd[2];
	if (pipe2(pipe_fd, O_CLOEXEC) != 0) {
		tarn_fail_errno(&err, errno, "cannot make a pipe");
		return report(&err);
	}
	pid_t pid = fork();
	if (pid < 0) {
		tarn_fail_errno(&err, errno, "cannot start a process");
		return report(&err);
	}
	if (pid == 0) {
		char *log = tarn_asprintf("%s/tarn.log", dir);
		close(pipe_fd[0]);
		u.ready_fd = pipe_fd[1];
		setsid();
		int null = open("/dev/null", O_RDWR);
		int fd = file_mkdir_p(dir, 0700, NULL) == 0
				 ? open(log, O_WRONLY | O_CREAT | O_APPEND, 0600)
				 : -1;
		dup2(null, 0);
		dup2(fd >= 0 ? fd : null, 1);
		dup2(fd >= 0 ? fd : null, 2);
		free(log);
		_exit(run(dir, store, safekeepers, &u));
	}
	close(pipe_fd[1]);
	struct tarn_buf text = TARN_BUF_INIT;
	for (;;) {
		uint8_t *room = tarn_buf_reserve(&text, 1024);
		ssize_t n = read(pipe_fd[0], room, 1024);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		text.len += (size_t)n;
	}
	int code = 0;
	const char *s = tarn_buf_cstr(&text);
	if (text.len > 0 && s[0] != '\001') {
		printf("%s`tarn down` stops it; its log is tarn.log in the folder.\n", s);
	} else {
		int status = 0;
		waitpid(pid, &status, 0);
		fprintf(stderr, "tarn: %s\n",
			text.len > 1 ? s + 1 : "the start ended without a word; see tarn.log");
		code = WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 70;
	}
	tarn_buf_release(&text);
	return code;
}

int cmd_up(int argc, char **argv)
{
	const char *dir_option = NULL, *store = NULL, *count = NULL;
	bool detach = false;
	struct option_spec specs[] = {{"dir", &dir_option, NULL},
				      {"store", &store, NULL},
				      {"safekeepers", &count, NULL},
				      {"detach", NULL, &detach},
				      {NULL, NULL, NULL}};
	struct options o;
	struct tarn_error err = {0};
	uint64_t safekeepers = 0;
	char *dir = NULL, *url = NULL;
	int code;
	if (!options_parse(argc, argv, specs, 0, &o, &code))
		return code;
	int rc = options_number("safekeepers", count, 9, &safekeepers, &err);
	if (rc == 0 && count && safekeepers % 2 == 0)
		rc = tarn_fail(&err, TARN_E_USAGE, "--safekeepers must be odd: 1, 3, 5, 7 or 9");
	if (rc == 0)
		rc = client_dir(dir_option, &dir, &err);
	if (rc == 0 && store && store[0] == '/')
		url = tarn_asprintf("file://%s", store);
	else if (rc == 0 && store && strncmp(store, "file:///", 8) != 0)
		rc = tarn_fail(&err, TARN_E_UNSUPPORTED,
			       "--store %s: this version keeps tables in a directory, file:///DIR",
			       store);
	else if (rc == 0 && store)
		url = tarn_strdup(store);
	if (rc != 0) {
		code = report(&err);
	} else {
		struct up u = {.ready_fd = -1};
		tarn_log_init("control", detach ? TARN_LOG_INFO : TARN_LOG_WARN);
		code = detach ? run_detached(dir, url, safekeepers)
			      : run(dir, url, safekeepers, &u);
	}
	free(url);
	free(dir);
	return code;
}

/* The lock on DIR/tarn.lock is let go when the last part has stopped. */
static bool is_locked(const char *dir)
{
	char *path = tarn_asprintf("%s/tarn.lock", dir);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool locked = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0;
	if (fd >= 0)
		close(fd);
	free(path);
	return locked;
}

int cmd_down(int argc, char **argv)
{
	const char *dir_option = NULL;
	struct option_spec specs[] = {{"dir", &dir_option, NULL}, {NULL, NULL, NULL}};
	struct options o;
	struct tarn_error err = {0};
	char *dir = NULL;
	int code;
	if (!options_parse(argc, argv, specs, 0, &o, &code))
		return code;
	int rc = client_dir(dir_option, &dir, &err);
	if (rc == 0)
		rc = client_call(dir, "POST", "/v1/stop", NULL, NULL, &err);
	uint64_t deadline = tarn_mono_us() + DOWN_TIMEOUT_US;
	while (rc == 0 && is_locked(dir)) {
		if (tarn_mono_us() > deadline)
			rc = tarn_fail(
				&err, TARN_E_TIMEOUT,
				"Tarn in %s has not stopped within two minutes; see %s/tarn.log",
				dir, dir);
		usleep(20000);
	}
	code = rc == 0 ? 0 : report(&err);
	free(dir);
	return code;
}

static bool print_part(const json_t *p)
{
	bool running = strcmp(client_text(p, "state"), "running") == 0;
	bool colour = isatty(1);
	printf("  %-14s %s%-8s%s %-22s pid %-7d", client_text(p, "name"),
	       colour ? running ? "\033[32m" : "\033[31m" : "", client_text(p, "state"),
	       colour ? "\033[0m" : "", client_text(p, "address"),
	       (int)json_integer_value(json_object_get(p, "pid")));
	if (json_integer_value(json_object_get(p, "restarts")))
		printf(" restarts %d", (int)json_integer_value(json_object_get(p, "restarts")));
	printf("\n");
	if (client_text(p, "error")[0])
		printf("      %s\n", client_text(p, "error"));
	return running;
}

/* The furthest flush LSN any safekeeper reports for a branch; 0 if none does. */
static tarn_lsn flushed(const json_t *parts, const char *id)
{
	tarn_lsn newest = 0, lsn;
	size_t i, k;
	json_t *p, *t;
	json_array_foreach(parts, i, p)
		json_array_foreach(json_object_get(p, "timelines"), k,
				   t) if (strcmp(client_text(t, "id"), id) == 0 &&
					  tarn_lsn_parse(client_text(t, "flush_lsn"), &lsn))
			newest = TARN_MAX(newest, lsn);
	return newest;
}

static void print_branches(const json_t *status)
{
	size_t i;
	json_t *b;
	printf("Branches\n");
	json_array_foreach(json_object_get(status, "branches"), i, b)
	{
		tarn_lsn head = 0,
			 flush = flushed(json_object_get(status, "parts"), client_text(b, "id"));
		if (!tarn_lsn_parse(client_text(b, "last_record_lsn"), &head))
			head = 0;
		printf("  %-20s at %-14s lag %-10" PRIu64 " from %-14s %9.1f MiB\n",
		       client_text(b, "name"), client_text(b, "last_record_lsn"),
		       flush > head ? flush - head : 0,
		       client_text(b, "parent_name")[0] ? client_text(b, "parent_name") : "-",
		       (double)json_integer_value(json_object_get(b, "layer_bytes")) / (double)MIB);
	}
}

static bool print_status(const json_t *status)
{
	size_t i;
	json_t *p;
	bool all = true;
	printf("%s (store %s)\nParts\n", client_text(status, "dir"), client_text(status, "store"));
	json_array_foreach(json_object_get(status, "parts"), i, p) all = print_part(p) && all;
	printf("Computes\n");
	json_array_foreach(json_object_get(status, "endpoints"), i, p)
	{
		bool up = strcmp(client_text(p, "state"), "running") == 0;
		printf("  %-20s %-8s %s\n", client_text(p, "branch"), client_text(p, "state"),
		       client_text(p, "url"));
		if (client_text(p, "error")[0])
			printf("      %s\n", client_text(p, "error"));
		if (!up && strcmp(client_text(p, "state"), "stopped") != 0)
			all = false;
	}
	print_branches(status);
	printf("Iceberg catalog %s\n", client_text(status, "catalog_url"));
	return all;
}

static bool all_running(const json_t *status)
{
	size_t i;
	json_t *p;
	bool all = true;
	json_array_foreach(json_object_get(status, "parts"), i, p) all =
		all && strcmp(client_text(p, "state"), "running") == 0;
	return all;
}

int cmd_status(int argc, char **argv)
{
	const char *dir_option = NULL;
	bool json = false;
	struct option_spec specs[] = {
		{"dir", &dir_option, NULL}, {"json", NULL, &json}, {NULL, NULL, NULL}};
	struct options o;
	struct tarn_error err = {0};
	json_t *status = NULL;
	char *dir = NULL;
	int code;
	if (!options_parse(argc, argv, specs, 0, &o, &code))
		return code;
	int rc = client_dir(dir_option, &dir, &err);
	if (rc == 0)
		rc = client_call(dir, "GET", "/v1/status", NULL, &status, &err);
	if (rc != 0) {
		code = report(&err);
	} else if (json) {
		client_print_json(status);
		code = all_running(status) ? 0 : 10;
	} else {
		code = print_status(status) ? 0 : 10;
	}
	json_decref(status);
	free(dir);
	return code;
}
