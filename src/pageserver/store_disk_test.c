/* The store on disk against the store in memory: the same puts, the same answers; after flushes, compaction,
 * reopening, with the local folder gone, with files evicted or damaged. */
#include "base/system.h"
#include <setjmp.h>
#include <cmocka.h>
#include "io/file.h"
#include "pageserver/store.h"

#define KEYS 300
#define PUTS 60000

static struct tarn_error err;
static char root[64], store_dir[96], local_dir[96];
static struct objstore *objects;

static struct ps_store *open_disk(uint64_t disk_limit)
{
	struct ps_store *s = NULL;
	struct ps_store_config c = {.dir = local_dir,
				    .objects = objects,
				    .system_identifier = 7,
				    .mem_limit_bytes = 8 * MIB,
				    .layer_target_bytes = 128 * KIB,
				    .disk_limit_bytes = disk_limit};
	int rc = ps_store_open(&c, &s, &err);
	if (rc != 0)
		fail_msg("%s", err.message);
	return s;
}

static struct ps_timeline *make(struct ps_store *s, struct tarn_id *id, const char *name,
				struct ps_timeline *parent, tarn_lsn lsn)
{
	struct ps_timeline *tl;
	if (ps_timeline_create(s, id, name, parent, lsn, 1, &tl, &err) != 0)
		fail_msg("%s", err.message);
	return tl;
}

static struct ps_key key_of(uint32_t i)
{
	return (struct ps_key){
		.kind = PS_KIND_REL, .spc = 1663, .db = 5, .rel = i % 7, .block = i / 7};
}

static uint32_t seed = 1;
static uint32_t next_random(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8;
}

static void fill(struct ps_timeline *a, struct ps_timeline *b, tarn_lsn from, unsigned puts)
{
	uint8_t value[600];
	for (unsigned i = 0; i < puts; i++) {
		tarn_lsn lsn = from + i / 2 * 8; /* two puts at one LSN, sometimes of one key */
		struct ps_key k = key_of(next_random() % KEYS);
		uint32_t r = next_random() % 20;
		enum ps_value_kind kind = r == 0   ? PS_VALUE_IMAGE
					  : r == 1 ? PS_VALUE_RECORD_INIT
					  : r == 2 ? PS_VALUE_TOMBSTONE
						   : PS_VALUE_RECORD;
		size_t len = next_random() % sizeof value;
		memset(value, (int)(next_random() & 255), len);
		assert_int_equal(ps_timeline_put(a, &k, lsn, kind, value, len, &err), 0);
		assert_int_equal(ps_timeline_put(b, &k, lsn, kind, value, len, &err), 0);
		if (i % 2) {
			ps_timeline_advance(a, lsn, lsn - 8);
			ps_timeline_advance(b, lsn, lsn - 8);
		}
	}
}

static void same_chain(struct ps_timeline *a, struct ps_timeline *b, const struct ps_key *k,
		       tarn_lsn lsn)
{
	struct tarn_arena arena;
	struct ps_chain x, y;
	tarn_arena_init(&arena);
	if (ps_timeline_collect(a, k, lsn, &arena, &x, &err) != 0)
		fail_msg("%s", err.message);
	assert_int_equal(ps_timeline_collect(b, k, lsn, &arena, &y, &err), 0);
	assert_int_equal(x.count, y.count);
	for (size_t i = 0; i < x.count; i++) {
		assert_int_equal(x.versions[i].lsn, y.versions[i].lsn);
		assert_int_equal(x.versions[i].kind, y.versions[i].kind);
		assert_int_equal(x.versions[i].len, y.versions[i].len);
		assert_memory_equal(x.versions[i].bytes, y.versions[i].bytes, x.versions[i].len);
	}
	tarn_arena_release(&arena);
}

static int count_touched(void *arg, const struct ps_key *key, tarn_lsn newest, struct tarn_error *e)
{
	(void)e;
	*(uint64_t *)arg = *(uint64_t *)arg * 31 + key->rel * 1000003u + key->block + newest;
	return 0;
}

static void same(struct ps_timeline *a, struct ps_timeline *b, tarn_lsn upto)
{
	struct ps_key from = {0}, to = {.kind = 255};
	for (unsigned i = 0; i < KEYS; i++) {
		struct ps_key k = key_of(i);
		same_chain(a, b, &k, upto);
		same_chain(a, b, &k, next_random() % upto);
	}
	for (int i = 0; i < 5; i++) {
		uint64_t x = 0, y = 0;
		tarn_lsn after = next_random() % upto;
		assert_int_equal(
			ps_timeline_touched(a, &from, &to, after, upto, count_touched, &x, &err),
			0);
		assert_int_equal(
			ps_timeline_touched(b, &from, &to, after, upto, count_touched, &y, &err),
			0);
		assert_int_equal(x, y);
	}
}

static void disk_equals_memory(void **state)
{
	struct ps_store *mem, *disk;
	struct ps_store_config mc = {0};
	struct tarn_id main_id, branch_id;
	struct ps_timeline_info info;
	tarn_lsn head = 1000 + PUTS / 2 * 8 - 8, fork = 1000 + 8 * 10000;
	(void)state;
	tarn_id_random(&main_id);
	tarn_id_random(&branch_id);
	assert_int_equal(ps_store_open(&mc, &mem, &err), 0);
	disk = open_disk(0);
	struct ps_timeline *m = make(mem, &main_id, "main", NULL, 900),
			   *d = make(disk, &main_id, "main", NULL, 900);
	fill(d, m, 1000, PUTS);
	struct ps_timeline *mb = make(mem, &branch_id, "b", m, fork),
			   *db = make(disk, &branch_id, "b", d, fork);
	fill(db, mb, fork + 8, 5000);
	same(d, m, head);
	same(db, mb, fork + 5000 / 2 * 8);
	assert_int_equal(ps_timeline_flush(d, &err), 0);
	ps_timeline_info(d, &info);
	assert_int_equal(info.remote_lsn, head);
	assert_true(info.layers > 0 && info.l0_layers < 8);
	same(d, m, head);
	assert_int_equal(ps_store_close(disk, &err), 0);

	/* The local folder is gone: everything comes from the object store. */
	assert_int_equal(file_remove_tree(local_dir, &err), 0);
	disk = open_disk(64 * KIB);
	d = ps_timeline_find_name(disk, "main");
	db = ps_timeline_find_name(disk, "b");
	assert_non_null(d);
	assert_non_null(db);
	ps_timeline_info(d, &info);
	assert_int_equal(info.last_record_lsn, head);
	assert_int_equal(info.prev_record_lsn, head - 8);
	same(d, m, head);
	same(db, mb, fork + 5000 / 2 * 8);

	/* It goes on where it was, with little local disk. */
	fill(d, m, head + 8, 20000);
	assert_int_equal(ps_timeline_flush(d, &err), 0);
	ps_timeline_info(d, &info);
	assert_true(info.local_bytes <= 64 * KIB);
	same(d, m, head + 20000 / 2 * 8);
	assert_int_equal(ps_timeline_delete(disk, db, &err), 0);
	assert_int_equal(ps_store_close(disk, &err), 0);
	disk = open_disk(0);
	assert_null(ps_timeline_find_name(disk, "b"));
	same(ps_timeline_find_name(disk, "main"), m, head + 20000 / 2 * 8);
	assert_int_equal(ps_store_close(disk, &err), 0);
	assert_int_equal(ps_store_close(mem, &err), 0);
}

static int damage(void *arg, const char *key, uint64_t size, struct tarn_error *e)
{
	char *path = tarn_asprintf("%s/%s", store_dir, key);
	int fd;
	(void)arg;
	assert_int_equal(file_open(path, O_RDWR, 0, &fd, e), 0);
	uint8_t byte;
	assert_int_equal(file_pread(fd, &byte, 1, size / 3, path, e), 0);
	byte ^= 0x55;
	assert_int_equal(file_pwrite(fd, &byte, 1, size / 3, path, e), 0);
	file_close(fd);
	free(path);
	return 0;
}

static int damage_layers(void *arg, const char *key, uint64_t size, struct tarn_error *e)
{
	return strstr(key, "/layers/") ? damage(arg, key, size, e) : 0;
}

static void damage_is_noticed(void **state)
{
	int corrupt = 0;
	(void)state;
	assert_int_equal(objstore_list(objects, "timelines/", damage_layers, NULL, &err), 0);
	assert_int_equal(file_remove_tree(local_dir, &err), 0);
	struct ps_store *disk = open_disk(0);
	struct ps_timeline *d = ps_timeline_find_name(disk, "main");
	for (unsigned i = 0; i < KEYS; i++) {
		struct ps_key k = key_of(i);
		struct tarn_arena arena;
		struct ps_chain c;
		tarn_arena_init(&arena);
		if (ps_timeline_collect(d, &k, UINT64_MAX, &arena, &c, &err) == TARN_E_CORRUPT)
			corrupt++;
		tarn_arena_release(&arena);
	}
	assert_true(corrupt > 0);
	assert_non_null(strstr(err.message, "timelines/"));
	assert_int_equal(ps_store_close(disk, &err), 0);
}

static void foreign_store_is_refused(void **state)
{
	struct ps_store *s;
	struct objstore *foreign;
	char dir[96];
	(void)state;
	struct ps_store_config c = {.dir = local_dir, .objects = objects, .system_identifier = 8};
	assert_int_equal(ps_store_open(&c, &s, &err), TARN_E_CONFLICT);
	tarn_snprintf(dir, sizeof dir, "%s/foreign", root);
	assert_int_equal(objstore_open(dir, &foreign, &err), 0);
	assert_int_equal(objstore_put(foreign, "data/x", "y", 1, &err), 0);
	c.objects = foreign;
	assert_int_equal(ps_store_open(&c, &s, &err), TARN_E_CONFLICT);
	objstore_free(foreign);
}

static int set_up(void **state)
{
	(void)state;
	tarn_snprintf(root, sizeof root, "/tmp/tarn-store-test-%d", (int)getpid());
	tarn_snprintf(store_dir, sizeof store_dir, "%s/store", root);
	tarn_snprintf(local_dir, sizeof local_dir, "%s/local", root);
	assert_int_equal(file_mkdir_p(root, 0700, &err), 0);
	return objstore_open(store_dir, &objects, &err);
}

static int tear_down(void **state)
{
	(void)state;
	objstore_free(objects);
	return file_remove_tree(root, &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(disk_equals_memory),
					   cmocka_unit_test(damage_is_noticed),
					   cmocka_unit_test(foreign_store_is_refused)};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
