/*
 * For tests: a vanilla Postgres in a directory of its own, driven with psql, whose files are read
 * once it is stopped.
 *
 * Failures that are the test's fault end the test through cmocka. One thread.
 */
#ifndef TARN_LAKE_TEST_CLUSTER_H
#define TARN_LAKE_TEST_CLUSTER_H

#include "base/buf.h"

struct test_cluster {
	char *bin_dir;
	char *dir;  /* everything, socket and logs too */
	char *data; /* the data directory */
	bool running;
};

/* initdb and start. false: Postgres cannot be run here, the test should be skipped. */
bool test_cluster_start(struct test_cluster *c, const char *bin_dir);
/* Runs a script. */
void test_cluster_sql(struct test_cluster *c, const char *db, const char *sql);
/* The unaligned output, lines ended with \n; free it. */
char *test_cluster_query(struct test_cluster *c, const char *db, const char *sql);
/* Checkpoints and stops: the files then say everything. */
void test_cluster_stop(struct test_cluster *c);
/* Starts a stopped one again. */
void test_cluster_restart(struct test_cluster *c);
/* Stops, and removes the files. */
void test_cluster_release(struct test_cluster *c);

/* The next of always the same random numbers. */
uint32_t test_random(void);
/* That got is want, line by line, so that a failure names the line. Releases got. */
void test_expect_lines(struct tarn_buf *got, const char *want);

#endif
