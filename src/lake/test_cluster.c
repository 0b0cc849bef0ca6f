/* Implementation of test_cluster.h. */
#include "base/system.h"
#include <setjmp.h>
#include <cmocka.h>
#include "io/file.h"
#include "lake/test_cluster.h"

#define MAX_OUTPUT_BYTES (64 * MIB)

/* The server's programs refuse to run as root. */
static bool run(struct test_cluster *c, const char *command)
{
	char *line = tarn_asprintf("%s%s/%s >>%s/log 2>&1",
				   geteuid() == 0 ? "runuser -u postgres -- " : "", c->bin_dir,
				   command, c->dir);
	int rc = system(line);
	free(line);
	return rc == 0;
}

static bool run_free(struct test_cluster *c, char *command)
{
	bool ok = run(c, command);
	free(command);
	return ok;
}

static bool prepare_directory(struct test_cluster *c)
{
	char dir[] = "/tmp/tarn-cluster-XXXXXX";
	if (mkdtemp(dir) == NULL)
		return false;
	c->dir = tarn_strdup(dir);
	c->data = tarn_asprintf("%s/data", dir);
	if (geteuid() != 0)
		return true;
	char *command = tarn_asprintf("chown postgres %s", dir);
	int rc = system(command);
	free(command);
	return rc == 0;
}

static bool start(struct test_cluster *c)
{
	return run_free(c, tarn_asprintf("pg_ctl -D %s -w -o \"-k %s -c listen_addresses= "
					 "-c fsync=off -c autovacuum=off "
					 "-c max_prepared_transactions=5\" start",
					 c->data, c->dir));
}

bool test_cluster_start(struct test_cluster *c, const char *bin_dir)
{
	memset(c, 0, sizeof *c);
	if (bin_dir == NULL)
		return false;
	c->bin_dir = tarn_strdup(bin_dir);
	c->running = prepare_directory(c) &&
		     run_free(c, tarn_asprintf("initdb -D %s -U postgres -A trust -N -E UTF8 "
					       "--no-locale",
					       c->data)) &&
		     start(c);
	if (!c->running)
		test_cluster_release(c);
	return c->running;
}

static char *psql(struct test_cluster *c, const char *db, const char *options, const char *sql)
{
	struct tarn_error err;
	struct tarn_buf out = TARN_BUF_INIT;
	char *script = tarn_asprintf("%s/script.sql", c->dir);
	char *result = tarn_asprintf("%s/result", c->dir);
	char *command = tarn_asprintf("%s/psql -X -q -v ON_ERROR_STOP=1 -h %s -U postgres -d %s %s "
				      "-f %s >%s",
				      c->bin_dir, c->dir, db, options, script, result);
	FILE *f = fopen(script, "w");
	assert_non_null(f);
	fputs(sql, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(system(command), 0);
	assert_int_equal(file_read_all(result, MAX_OUTPUT_BYTES, &out, &err), 0);
	char *text = tarn_strdup(tarn_buf_cstr(&out));
	tarn_buf_release(&out);
	free(command);
	free(result);
	free(script);
	return text;
}

void test_cluster_sql(struct test_cluster *c, const char *db, const char *sql)
{
	free(psql(c, db, "", sql));
}

char *test_cluster_query(struct test_cluster *c, const char *db, const char *sql)
{
	return psql(c, db, "-A -t", sql);
}

void test_cluster_stop(struct test_cluster *c)
{
	if (!c->running)
		return;
	c->running = false;
	assert_true(run_free(c, tarn_asprintf("pg_ctl -D %s -w -m fast stop", c->data)));
}

void test_cluster_restart(struct test_cluster *c)
{
	TARN_CHECK(!c->running);
	c->running = start(c);
	assert_true(c->running);
}

void test_cluster_release(struct test_cluster *c)
{
	if (c->running)
		(void)run_free(c, tarn_asprintf("pg_ctl -D %s -w -m immediate stop", c->data));
	if (c->dir != NULL)
		file_remove_tree(c->dir, NULL);
	free(c->bin_dir);
	free(c->dir);
	free(c->data);
	memset(c, 0, sizeof *c);
}

uint32_t test_random(void)
{
	static uint64_t seed = 1;
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 32);
}

void test_expect_lines(struct tarn_buf *got, const char *want)
{
	const char *g = tarn_buf_cstr(got);
	const int shown = 400;
	size_t lines = 0;
	while (*g != 0 && *want != 0) {
		size_t g_len = strcspn(g, "\n"), want_len = strcspn(want, "\n");
		if (g_len != want_len || memcmp(g, want, g_len) != 0)
			fail_msg("line %zu: got %zu bytes, wanted %zu\ngot  %.*s\nwant %.*s",
				 lines + 1, g_len, want_len, TARN_MIN((int)g_len, shown), g,
				 TARN_MIN((int)want_len, shown), want);
		g += g_len + (g[g_len] != 0);
		want += want_len + (want[want_len] != 0);
		lines++;
	}
	assert_string_equal(g, want);
	assert_true(lines > 0);
	tarn_buf_release(got);
}
