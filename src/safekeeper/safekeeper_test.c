/* Three real safekeepers (forked), a real proposer, a log that the test writes: elections, crashes, a lost disk,
 * divergent tails, readers. */
#include "base/system.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "base/crc.h"
#include "base/log.h"
#include "io/file.h"
#include "io/net.h"
#include "io/stop.h"
#include "pg/wal_framer.h"
#include "quorum/history.h"
#include "quorum/proposer_io.h"
#include "quorum/sk_client.h"
#include "safekeeper/safekeeper.h"

#define MEMBERS 3
#define SYSTEM_ID 77
#define BASE ((tarn_lsn)0x1000000)
#define START (BASE + WAL_LONG_PAGE_HEADER_BYTES)

static struct tarn_error err;
static struct tarn_id timeline;
static char root[64];
static char address[MEMBERS][NET_ADDRESS_BYTES], http[MEMBERS][NET_ADDRESS_BYTES];
static const char *addresses[MEMBERS];
static pid_t pids[MEMBERS];

struct log { /* bytes of the segments from BASE on */
	struct tarn_buf bytes;
	tarn_lsn prev;
};

static tarn_lsn log_end(const struct log *l)
{
	return BASE + l->bytes.len;
}

static void put_page_header(struct log *l, uint32_t rem_len)
{
	tarn_lsn at = log_end(l);
	bool is_long = at % WAL_SEGMENT_BYTES == 0;
	tarn_buf_put_le16(&l->bytes, WAL_PAGE_MAGIC);
	tarn_buf_put_le16(&l->bytes, (uint16_t)((rem_len ? 1 : 0) | (is_long ? 2 : 0)));
	tarn_buf_put_le32(&l->bytes, 1);
	tarn_buf_put_le64(&l->bytes, at);
	tarn_buf_put_le64(&l->bytes, rem_len);
	if (is_long) {
		tarn_buf_put_le64(&l->bytes, SYSTEM_ID);
		tarn_buf_put_le32(&l->bytes, (uint32_t)WAL_SEGMENT_BYTES);
		tarn_buf_put_le32(&l->bytes, WAL_PAGE_BYTES);
	}
}

static void put_record(struct log *l, uint32_t payload, uint8_t fill)
{
	struct tarn_buf r = TARN_BUF_INIT;
	if (log_end(l) % WAL_PAGE_BYTES == 0)
		put_page_header(l, 0);
	tarn_lsn start = log_end(l);
	tarn_buf_put_le32(&r, WAL_RECORD_HEADER_BYTES + payload);
	tarn_buf_put_le32(&r, 9);
	tarn_buf_put_le64(&r, l->prev);
	tarn_buf_put_le32(&r, 10u << 8);
	tarn_buf_put_le32(&r, 0);
	for (uint32_t i = 0; i < payload; i++)
		tarn_buf_put_u8(&r, fill);
	uint32_t crc = tarn_crc32c(r.data + 24, payload);
	put_le32(r.data + 20, tarn_crc32c_extend(crc, r.data, 20));
	for (size_t done = 0; done < r.len;) {
		if (log_end(l) % WAL_PAGE_BYTES == 0)
			put_page_header(l, (uint32_t)(r.len - done));
		size_t n = TARN_MIN(r.len - done,
				    (size_t)(WAL_PAGE_BYTES - log_end(l) % WAL_PAGE_BYTES));
		tarn_buf_put(&l->bytes, r.data + done, n);
		done += n;
	}
	while (log_end(l) % 8)
		tarn_buf_put_u8(&l->bytes, 0);
	l->prev = start;
	tarn_buf_release(&r);
}

static void log_init(struct log *l)
{
	memset(l, 0, sizeof *l);
	put_page_header(l, 0);
}

static int read_log(void *arg, tarn_lsn from, size_t len, uint8_t *out, struct tarn_error *e)
{
	struct log *l = arg;
	if (from < BASE || from + len > log_end(l))
		return tarn_fail(e, TARN_E_NOT_FOUND, "not here");
	memcpy(out, l->bytes.data + (from - BASE), len);
	return 0;
}

static void start_member(int i)
{
	pids[i] = fork();
	if (pids[i] == 0) {
		char dir[96];
		struct tarn_error e = {0};
		tarn_snprintf(dir, sizeof dir, "%s/sk%d", root, i);
		struct safekeeper_config c = {.node_id = (uint64_t)i + 1,
					      .dir = dir,
					      .listen = address[i],
					      .http = http[i]};
		tarn_log_init("safekeeper", TARN_LOG_ERROR);
		_exit(stop_init(&e) == 0 && safekeeper_run(&c, &e) == 0
			      ? 0
			      : (fprintf(stderr, "%s\n", e.message), 1));
	}
	for (int tries = 0; tries < 500; tries++) {
		int fd;
		if (net_connect(address[i], 1000, &fd, NULL) == 0) {
			close(fd);
			return;
		}
		usleep(10000);
	}
	fail_msg("safekeeper %d does not listen", i);
}

static void stop_member(int i, int signo)
{
	int status;
	kill(pids[i], signo);
	waitpid(pids[i], &status, 0);
	if (signo == SIGTERM)
		assert_int_equal(status, 0);
}

static struct proposer_io *new_proposer(struct log *l)
{
	struct proposer_io_config c = {.addresses = addresses,
				       .count = MEMBERS,
				       .timeline = timeline,
				       .system_identifier = SYSTEM_ID,
				       .read_wal = read_log,
				       .arg = l};
	return proposer_io_new(&c);
}

static void run_until_commit(struct proposer_io *p, struct log *l, tarn_lsn lsn)
{
	for (int i = 0; i < 4000; i++) {
		assert_int_equal(proposer_io_step(p, proposer_io_elected(p, NULL) ? log_end(l) : 0,
						  5, -1, &err),
				 0);
		if (proposer_io_elected(p, NULL) && proposer_io_commit_lsn(p) >= lsn)
			return;
	}
	fail_msg("not committed: %s", proposer_io_trouble(p));
}

/* Reads the member's log; meanwhile the proposer, if given, goes on feeding the member. */
static void expect_reader(int member, struct proposer_io *p, const struct log *l, tarn_lsn from,
			  tarn_lsn to)
{
	uint64_t deadline_us = tarn_mono_us() + 60 * (uint64_t)1000000;
	struct sk_reader *r;
	tarn_lsn at = from, lsn, commit;
	assert_int_equal(sk_reader_open(addresses[member], &timeline, SYSTEM_ID, from, "test", 5000,
					&r, &err),
			 0);
	while (at < to && tarn_mono_us() < deadline_us) {
		const uint8_t *bytes;
		size_t n;
		if (p)
			assert_int_equal(proposer_io_step(p, log_end(l), 5, -1, &err), 0);
		assert_int_equal(sk_reader_next(r, p ? 0 : 20, &bytes, &n, &lsn, &commit, &err), 0);
		if (n == 0)
			continue;
		assert_memory_equal(bytes, l->bytes.data + (at - BASE), n);
		at += n;
	}
	assert_true(at >= to);
	sk_reader_free(r);
}

static int set_up(void **state)
{
	(void)state;
	tarn_snprintf(root, sizeof root, "/tmp/tarn-sk-test-%d", (int)getpid());
	tarn_id_random(&timeline);
	for (int i = 0; i < MEMBERS; i++) {
		int a, b;
		assert_int_equal(net_listen("127.0.0.1:0", 1, &a, &err), 0);
		assert_int_equal(net_listen("127.0.0.1:0", 1, &b, &err), 0);
		net_local_address(a, address[i], &err);
		net_local_address(b, http[i], &err);
		close(a);
		close(b);
		addresses[i] = address[i];
		start_member(i);
		assert_int_equal(
			sk_timeline_create(address[i], &timeline, SYSTEM_ID, START, 5000, &err), 0);
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (int i = 0; i < MEMBERS; i++)
		stop_member(i, SIGTERM);
	return file_remove_tree(root, &err);
}

static void commits_survive(void **state)
{
	struct log l;
	tarn_lsn end, index, commit;
	bool alive;
	(void)state;
	log_init(&l);
	struct proposer_io *p = new_proposer(&l);
	put_record(&l, 100, 1);
	run_until_commit(p, &l, log_end(&l));
	for (uint8_t i = 0; i < 100; i++)
		put_record(&l, 20000u + i, i);
	run_until_commit(p, &l, log_end(&l));
	expect_reader(0, NULL, &l, START, log_end(&l));
	assert_int_equal(quorum_read_index(addresses, MEMBERS, &timeline, 2000, &index, &commit,
					   &alive, &err),
			 0);
	assert_int_equal(index, log_end(&l));
	assert_true(alive);

	/* One dies: commits go on. It returns: it catches up. */
	stop_member(2, SIGKILL);
	put_record(&l, 5000, 7);
	run_until_commit(p, &l, log_end(&l));
	start_member(2);
	for (int i = 0; i < 200; i++)
		assert_int_equal(proposer_io_step(p, log_end(&l), 5, -1, &err), 0);
	expect_reader(2, p, &l, START, log_end(&l));

	/* One loses its disk: it is made anew and catches up, over the segment's end. */
	for (int i = 0; i < 500; i++)
		put_record(&l, 40000, (uint8_t)i);
	stop_member(1, SIGKILL);
	char dir[96];
	tarn_snprintf(dir, sizeof dir, "%s/sk1", root);
	assert_int_equal(file_remove_tree(dir, &err), 0);
	start_member(1);
	run_until_commit(p, &l, log_end(&l));
	for (int i = 0; i < 300; i++)
		assert_int_equal(proposer_io_step(p, log_end(&l), 5, -1, &err), 0);
	expect_reader(1, p, &l, START, log_end(&l));

	/* All die at once; nothing committed is lost. */
	for (int i = 0; i < MEMBERS; i++)
		stop_member(i, SIGKILL);
	for (int i = 0; i < MEMBERS; i++)
		start_member(i);
	assert_int_equal(quorum_sync(addresses, MEMBERS, &timeline, SYSTEM_ID, 10000, &end, &err),
			 0);
	assert_int_equal(end, log_end(&l));

	/* The old proposer learns that it is over. */
	put_record(&l, 10, 1);
	int rc = 0;
	for (int i = 0; i < 400 && rc == 0; i++)
		rc = proposer_io_step(p, log_end(&l), 5, -1, &err);
	assert_int_equal(rc, TARN_E_CONFLICT);
	proposer_io_free(p);
	tarn_buf_release(&l.bytes);
}

/* A tail that reached one member only is replaced by what the next term writes. */
static void divergent_tail(void **state)
{
	struct log l, other;
	tarn_lsn end, fork;
	(void)state;
	tarn_id_random(&timeline);
	for (int i = 0; i < MEMBERS; i++)
		assert_int_equal(
			sk_timeline_create(address[i], &timeline, SYSTEM_ID, START, 5000, &err), 0);
	log_init(&l);
	struct proposer_io *p = new_proposer(&l);
	put_record(&l, 100, 1);
	run_until_commit(p, &l, log_end(&l));
	fork = log_end(&l);
	log_init(&other);
	put_record(&other, 100, 1);
	stop_member(1, SIGKILL);
	stop_member(2, SIGKILL);
	put_record(&l, 9000, 2);
	for (int i = 0; i < 100; i++)
		assert_int_equal(proposer_io_step(p, log_end(&l), 5, -1, &err), 0);
	assert_int_equal(proposer_io_commit_lsn(p), fork);
	proposer_io_free(p);
	stop_member(0, SIGKILL);
	start_member(1);
	start_member(2);
	assert_int_equal(quorum_sync(addresses, MEMBERS, &timeline, SYSTEM_ID, 10000, &end, &err),
			 0);
	assert_int_equal(end, fork);
	p = new_proposer(&other);
	put_record(&other, 3000, 9);
	run_until_commit(p, &other, log_end(&other));
	start_member(0);
	for (int i = 0; i < 200; i++)
		assert_int_equal(proposer_io_step(p, log_end(&other), 5, -1, &err), 0);
	put_record(&other, 3000, 10);
	stop_member(1, SIGKILL);
	run_until_commit(p, &other, log_end(&other));
	expect_reader(0, NULL, &other, START, log_end(&other));
	proposer_io_free(p);
	start_member(1);
	tarn_buf_release(&l.bytes);
	tarn_buf_release(&other.bytes);
}

static void forks(void **state)
{
	struct quorum_history a = {3, {{1, 100}, {2, 200}, {4, 300}}},
			      b = {3, {{1, 100}, {2, 200}, {5, 260}}}, c;
	(void)state;
	assert_int_equal(history_fork(&a, 400, 150, &b), 260);
	assert_int_equal(history_fork(&a, 250, 150, &b), 250);
	b.entries[2].lsn = 350;
	assert_int_equal(history_fork(&a, 400, 150, &b), 300);
	b = (struct quorum_history){1, {{9, 500}}};
	assert_int_equal(history_fork(&a, 400, 150, &b), 150);
	assert_int_equal(history_last_term(&a, 299), 2);
	assert_true(history_extend(&a, 7, 400, 250, &c));
	assert_int_equal(c.count, 3); /* term 1 ended below the commit LSN */
	assert_int_equal(c.entries[0].term, 2);
	assert_int_equal(c.entries[2].lsn, 400);
}

static void garbage_is_refused(void **state)
{
	int fd;
	char bytes[4096];
	size_t got = 1;
	(void)state;
	memset(bytes, 'x', sizeof bytes);
	assert_int_equal(net_connect(address[0], 1000, &fd, &err), 0);
	assert_int_equal(net_write_full(fd, bytes, sizeof bytes, &err), 0);
	net_set_timeout(fd, 3000, &err);
	while (got > 0 && net_read_some(fd, bytes, sizeof bytes, &got, &err) == 0)
		continue;
	close(fd);
	bool exists;
	assert_int_equal(sk_timeline_exists(address[0], &timeline, 2000, &exists, &err), 0);
	assert_true(exists);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forks), cmocka_unit_test(commits_survive),
		cmocka_unit_test(divergent_tail), cmocka_unit_test(garbage_is_refused)};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
