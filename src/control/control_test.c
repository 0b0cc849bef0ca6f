/* Unit tests of the control plane's parts that need no daemons: configuration, state, children, ports. */
#include "base/system.h"
#include <setjmp.h>
#include <signal.h>
#include <cmocka.h>
#include "control/child.h"
#include "control/config.h"
#include "control/state.h"
#include "io/file.h"
#include "io/net.h"

static struct tarn_error err;
static char dir[64];

static void write_conf(const char *text)
{
	char path[96];
	tarn_snprintf(path, sizeof path, "%s/tarn.conf", dir);
	assert_int_equal(file_write_atomic(path, text, strlen(text), &err), 0);
}

static void config(void **state)
{
	struct config c;
	(void)state;
	assert_int_equal(config_load(dir, NULL, 5, &c, &err), 0);
	assert_int_equal(c.safekeepers, 5);
	config_release(&c);
	assert_int_equal(config_load(dir, "file:///elsewhere", 0, &c, &err), TARN_E_CONFLICT);
	write_conf("[safekeepers]\ncount = 3\n[postgres]\nset.work_mem = 64MB\nport = 6000\n");
	assert_int_equal(config_load(dir, NULL, 0, &c, &err), 0);
	assert_int_equal(c.postgres_port, 6000);
	assert_string_equal(c.postgres_settings, "work_mem = '64MB'\n");
	config_release(&c);
	write_conf("[safekeepers]\ncount = 4\n");
	assert_int_equal(config_load(dir, NULL, 0, &c, &err), TARN_E_USAGE);
	write_conf("[postgres]\nspeed = 11\n");
	assert_int_equal(config_load(dir, NULL, 0, &c, &err), TARN_E_USAGE);
	assert_non_null(strstr(err.message, "speed"));
	write_conf("[postgres\n");
	assert_int_equal(config_load(dir, NULL, 0, &c, &err), TARN_E_USAGE);
	assert_non_null(strstr(err.message, "line 1"));
}

static void state_file(void **unused)
{
	struct state s = {.system_identifier = UINT64_MAX - 5, .control_port = 77}, back;
	char path[96];
	(void)unused;
	state_endpoint(&s, "main", true)->port = 5432;
	assert_int_equal(state_save(dir, &s, &err), 0);
	assert_int_equal(state_load(dir, &back, &err), 0);
	assert_true(back.system_identifier == s.system_identifier);
	assert_int_equal(state_endpoint(&back, "main", false)->port, 5432);
	tarn_snprintf(path, sizeof path, "%s/state.json", dir);
	assert_int_equal(file_write_atomic(path, "{", 1, &err), 0);
	assert_int_equal(state_load(dir, &back, &err), TARN_E_CORRUPT);
}

static int sleeper(void *arg, struct child_command *out, struct tarn_error *e)
{
	(void)e;
	out->log_path = arg;
	out->stop_signal = SIGTERM;
	child_command_arg(out, "/bin/sleep");
	child_command_arg(out, "100");
	return 0;
}

static int always_ready(void *arg, struct tarn_error *e)
{
	(void)arg;
	(void)e;
	return 0;
}

static int fails(void *arg, struct child_command *out, struct tarn_error *e)
{
	(void)arg;
	(void)out;
	return tarn_fail(e, TARN_E_NOT_FOUND, "nothing to run");
}

static void children(void **unused)
{
	char log[96];
	struct child_status s;
	(void)unused;
	tarn_snprintf(log, sizeof log, "%s/log", dir);
	struct child_config cc = {.name = "x",
				  .prepare = sleeper,
				  .ready = always_ready,
				  .arg = log,
				  .ready_timeout_ms = 5000,
				  .stop_timeout_ms = 5000};
	struct child *c = child_new(&cc);
	assert_int_equal(child_start(c, true, &err), 0);
	child_get_status(c, &s);
	assert_int_equal(s.state, CHILD_RUNNING);
	pid_t first = s.pid;
	kill(first, SIGKILL); /* it is started again */
	for (int i = 0; i < 500 && (s.pid == first || s.state != CHILD_RUNNING); i++) {
		usleep(10000);
		child_get_status(c, &s);
	}
	assert_int_equal(s.state, CHILD_RUNNING);
	assert_int_equal(s.restarts, 1);
	assert_int_equal(child_stop(c, &err), 0);
	assert_int_not_equal(kill(s.pid, 0), 0);
	child_free(c);
	cc.prepare = fails;
	c = child_new(&cc);
	assert_int_equal(child_start(c, true, &err), TARN_E_NOT_FOUND);
	child_free(c);
}

static void ports(void **unused)
{
	unsigned port, next;
	char address[NET_ADDRESS_BYTES];
	int fd;
	(void)unused;
	assert_int_equal(port_choose("127.0.0.1", 0, true, &port, &err), 0);
	tarn_snprintf(address, sizeof address, "127.0.0.1:%u", port);
	assert_int_equal(net_listen(address, 1, &fd, &err), 0);
	assert_int_not_equal(port_choose("127.0.0.1", port, true, &next, &err), 0);
	assert_non_null(strstr(err.message, "port"));
	assert_int_equal(port_choose("127.0.0.1", port, false, &next, &err), 0);
	assert_int_not_equal(port, next);
	close(fd);
}

static int set_up(void **unused)
{
	(void)unused;
	tarn_snprintf(dir, sizeof dir, "/tmp/tarn-control-test-%d", (int)getpid());
	return file_mkdir_p(dir, 0700, &err);
}

static int tear_down(void **unused)
{
	(void)unused;
	return file_remove_tree(dir, &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(config), cmocka_unit_test(state_file),
					   cmocka_unit_test(children), cmocka_unit_test(ports)};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
