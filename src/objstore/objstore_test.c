/* Unit tests of the object store: durability rules that can be seen, races, hostile keys. */
#include "base/system.h"
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <sys/stat.h>
#include "io/file.h"
#include "objstore/objstore.h"

static char dir[] = "/tmp/objstore_test_XXXXXX";
static struct tarn_error err;

static struct objstore *open_at(const char *sub)
{
	struct objstore *s;
	char path[256];
	tarn_snprintf(path, sizeof path, "%s/%s", dir, sub);
	assert_int_equal(objstore_open(path, &s, &err), 0);
	return s;
}

static int count_visit(void *arg, const char *key, uint64_t size, struct tarn_error *e)
{
	(void)e;
	assert_true(strlen(key) > 0 && size > 0);
	(*(int *)arg)++;
	return 0;
}

static void test_put_get(void **state)
{
	(void)state;
	struct objstore *s = open_at("plain");
	struct tarn_buf b = TARN_BUF_INIT;
	char got[4];
	uint64_t size;
	int n = 0;
	assert_int_equal(objstore_put(s, "a/b/c.txt", "hello", 5, &err), 0);
	assert_int_equal(objstore_put(s, "a/b/c.txt", "other", 5, &err), TARN_E_EXISTS);
	assert_int_equal(objstore_put(s, "a/d", "1", 1, &err), 0);
	assert_int_equal(objstore_get(s, "a/b/c.txt", 100, &b, &err), 0);
	assert_string_equal(tarn_buf_cstr(&b), "hello");
	assert_int_equal(objstore_get(s, "a/b/c.txt", 4, &b, &err), TARN_E_LIMIT);
	assert_int_equal(objstore_get(s, "a/none", 4, &b, &err), TARN_E_NOT_FOUND);
	assert_int_equal(objstore_get_range(s, "a/b/c.txt", 1, 4, got, &err), 0);
	assert_memory_equal(got, "ello", 4);
	assert_int_equal(objstore_get_range(s, "a/b/c.txt", 2, 4, got, &err), TARN_E_CORRUPT);
	assert_int_equal(objstore_size(s, "a/b/c.txt", &size, &err), 0);
	assert_int_equal(size, 5);
	assert_int_equal(objstore_size(s, "a/b", &size, &err), TARN_E_NOT_FOUND);
	assert_int_equal(objstore_list(s, "a/", count_visit, &n, &err), 0);
	assert_int_equal(n, 2);
	assert_int_equal(objstore_list(s, "", count_visit, &n, &err), 0);
	assert_int_equal(n, 4);
	assert_int_equal(objstore_list(s, "nothing/", count_visit, &n, &err), 0);
	assert_int_equal(objstore_delete(s, "a/d", &err), 0);
	assert_int_equal(objstore_delete(s, "a/d", &err), 0);
	assert_int_equal(objstore_size(s, "a/d", &size, &err), TARN_E_NOT_FOUND);
	tarn_buf_release(&b);
	objstore_free(s);
}

static void test_put_file(void **state)
{
	(void)state;
	struct objstore *s = open_at("files");
	struct tarn_buf b = TARN_BUF_INIT;
	char path[256];
	tarn_snprintf(path, sizeof path, "%s/source", dir);
	assert_int_equal(file_write_atomic(path, "content", 7, &err), 0);
	assert_int_equal(objstore_put_file(s, "f/1", path, &err), 0);
	assert_int_equal(objstore_put_file(s, "f/1", path, &err), TARN_E_EXISTS);
	assert_int_equal(file_unlink(path, &err), 0);
	assert_int_equal(objstore_get(s, "f/1", 100, &b, &err), 0);
	assert_string_equal(tarn_buf_cstr(&b), "content");
	/* another file system: copied */
	tarn_snprintf(path, sizeof path, "/dev/shm/objstore_test_%d", (int)getpid());
	assert_int_equal(file_write_atomic(path, "shared", 6, &err), 0);
	assert_int_equal(objstore_put_file(s, "f/2", path, &err), 0);
	assert_int_equal(file_unlink(path, &err), 0);
	tarn_buf_clear(&b);
	assert_int_equal(objstore_get(s, "f/2", 100, &b, &err), 0);
	assert_string_equal(tarn_buf_cstr(&b), "shared");
	assert_int_equal(objstore_put_file(s, "f/3", "/nowhere/at/all", &err), TARN_E_NOT_FOUND);
	tarn_buf_release(&b);
	objstore_free(s);
}

static void test_bad_keys(void **state)
{
	(void)state;
	struct objstore *s = open_at("keys");
	char longest[600];
	memset(longest, 'x', sizeof longest);
	longest[513] = '\0';
	const char *bad[] = {"",	 "/a",	   "a/",    "a//b",	   "a/./b",
			     "..",	 "a/../b", "a b",   "a%20b",	   "a\nb",
			     "\xc3\xa4", "a\\b",   ".",	    ".tarn-store", "a/.tarn-tmp-1",
			     "a?b",	 "a*",	   longest, longest + 200};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(objstore_put(s, bad[i], "x", 1, &err), TARN_E_USAGE);
		assert_int_equal(objstore_delete(s, bad[i], &err), TARN_E_USAGE);
	}
	assert_int_equal(objstore_put(s, "ok/A-Z.z_=@+-/.hidden", "x", 1, &err), 0);
	assert_int_equal(objstore_list(s, "a/..", count_visit, NULL, &err), TARN_E_USAGE);
	assert_int_equal(objstore_list(s, "../", count_visit, NULL, &err), TARN_E_USAGE);
	objstore_free(s);
}

static void test_open(void **state)
{
	(void)state;
	struct objstore *s;
	char path[256], *uri;
	assert_int_equal(objstore_open("relative", &s, &err), TARN_E_UNSUPPORTED);
	assert_int_equal(objstore_open("s3://bucket", &s, &err), TARN_E_UNSUPPORTED);
	assert_int_equal(objstore_open("/", &s, &err), TARN_E_USAGE);
	assert_int_equal(objstore_open("file:///a%zz", &s, &err), TARN_E_USAGE);
	tarn_snprintf(path, sizeof path, "file://%s/with%%20space/", dir);
	assert_int_equal(objstore_open(path, &s, &err), 0);
	uri = objstore_uri(s, "a/b=1");
	assert_non_null(strstr(uri, "/with%20space/a/b=1"));
	free(uri);
	assert_int_equal(objstore_put(s, "a/b=1", "x", 1, &err), 0);
	objstore_free(s);
	tarn_snprintf(path, sizeof path, "%s/with space/a/b=1", dir);
	assert_true(file_exists(path));
	/* a directory of somebody else is refused, ours opens again */
	tarn_snprintf(path, sizeof path, "%s/foreign/home", dir);
	assert_int_equal(file_mkdir_p(path, 0755, &err), 0);
	tarn_snprintf(path, sizeof path, "%s/foreign", dir);
	assert_int_equal(objstore_open(path, &s, &err), TARN_E_CONFLICT);
	assert_non_null(strstr(err.message, "home"));
	objstore_free(open_at("with space"));
}

#define RACERS 20
#define ROUNDS 50
struct racer {
	struct objstore *s;
	int id;
	int won[ROUNDS];
};
static pthread_barrier_t barrier;

static void *race(void *arg)
{
	struct racer *r = arg;
	for (int i = 0; i < ROUNDS; i++) {
		char key[64], text[16];
		tarn_snprintf(key, sizeof key, "race/%d/key", i);
		tarn_snprintf(text, sizeof text, "%d", r->id);
		pthread_barrier_wait(&barrier);
		int rc = objstore_put(r->s, key, text, strlen(text), NULL);
		TARN_CHECK(rc == 0 || rc == TARN_E_EXISTS);
		r->won[i] = rc == 0;
	}
	return NULL;
}

static void test_race(void **state)
{
	(void)state;
	struct objstore *s = open_at("race");
	struct racer r[RACERS];
	pthread_t t[RACERS];
	pthread_barrier_init(&barrier, NULL, RACERS);
	for (int i = 0; i < RACERS; i++) {
		r[i].s = s;
		r[i].id = i;
		pthread_create(&t[i], NULL, race, &r[i]);
	}
	for (int i = 0; i < RACERS; i++)
		pthread_join(t[i], NULL);
	for (int round = 0; round < ROUNDS; round++) {
		struct tarn_buf b = TARN_BUF_INIT;
		char key[64];
		int winners = 0, winner = -1;
		for (int i = 0; i < RACERS; i++)
			if (r[i].won[round]) {
				winners++;
				winner = i;
			}
		assert_int_equal(winners, 1);
		tarn_snprintf(key, sizeof key, "race/%d/key", round);
		assert_int_equal(objstore_get(s, key, 100, &b, &err), 0);
		assert_int_equal(atoi(tarn_buf_cstr(&b)), winner);
		tarn_buf_release(&b);
	}
	int n = 0;
	assert_int_equal(objstore_list(s, "", count_visit, &n, &err), 0);
	assert_int_equal(n, ROUNDS); /* and no temporary file is listed */
	objstore_free(s);
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return file_remove_tree(dir, &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_get),	 cmocka_unit_test(test_put_file),
		cmocka_unit_test(test_bad_keys), cmocka_unit_test(test_open),
		cmocka_unit_test(test_race),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
