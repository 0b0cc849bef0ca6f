/* Implementation of layer_file.h. */
#include "base/system.h"
#include <pthread.h>
#include <zstd.h>
#include "base/crc.h"
#include "base/log.h"
#include "io/file.h"
#include "pageserver/layer_file.h"
#include "pageserver/layer_format.h"

struct index_entry {
	struct ps_key key;
	tarn_lsn lsn;
	uint64_t offset;
	uint32_t stored_bytes, raw_bytes, crc;
};
struct ps_file {
	struct ps_file_env *env;
	struct ps_file_info info;
	uint64_t id;
	uint64_t last_use_us; /* atomic */
	pthread_mutex_t lock;
	int fd;		       /* of the local copy, or -1; under lock */
	bool local, forgotten; /* under lock */
	struct index_entry
		*index; /* loaded at the first use; under lock until set, then constant */
	uint32_t block_count;
};

void ps_key_put(struct tarn_buf *b, const struct ps_key *k)
{
	tarn_buf_put_u8(b, k->kind);
	tarn_buf_put_le32(b, k->spc);
	tarn_buf_put_le32(b, k->db);
	tarn_buf_put_le32(b, k->rel);
	tarn_buf_put_u8(b, k->fork);
	tarn_buf_put_le32(b, k->block);
}

void ps_key_get(struct tarn_reader *r, struct ps_key *k)
{
	k->kind = tarn_reader_u8(r);
	k->spc = tarn_reader_le32(r);
	k->db = tarn_reader_le32(r);
	k->rel = tarn_reader_le32(r);
	k->fork = tarn_reader_u8(r);
	k->block = tarn_reader_le32(r);
}

char *ps_file_local_path(const struct ps_file_env *env, const char *name)
{
	char *path = tarn_asprintf("%s/%s", env->dir, name);
	for (char *p = path + strlen(env->dir) + 1; *p; p++)
		if (*p == '/')
			*p = '_';
	return path;
}

struct ps_file *ps_file_new(struct ps_file_env *env, const struct ps_file_info *info)
{
	struct ps_file *f = tarn_calloc(1, sizeof *f);
	char *path = ps_file_local_path(env, info->name);
	f->env = env;
	f->info = *info;
	f->fd = -1;
	f->id = __atomic_add_fetch(&env->next_id, 1, __ATOMIC_RELAXED);
	f->last_use_us = tarn_mono_us();
	f->local = file_exists(path);
	if (f->local)
		__atomic_fetch_add(&env->local_bytes, info->bytes, __ATOMIC_RELAXED);
	pthread_mutex_init(&f->lock, NULL);
	free(path);
	return f;
}

const struct ps_file_info *ps_file_info(const struct ps_file *f)
{
	return &f->info;
}

static void remove_local(struct ps_file *f)
{
	if (!f->local)
		return;
	char *path = ps_file_local_path(f->env, f->info.name);
	struct tarn_error err;
	file_close(f->fd);
	f->fd = -1;
	f->local = false;
	__atomic_fetch_sub(&f->env->local_bytes, f->info.bytes, __ATOMIC_RELAXED);
	if (file_unlink(path, &err) != 0)
		log_warn("local layer file not removed", "reason=\"%s\"", err.message);
	free(path);
}

void ps_file_evict(struct ps_file *f)
{
	pthread_mutex_lock(&f->lock);
	remove_local(f);
	pthread_mutex_unlock(&f->lock);
}

void ps_file_forget(struct ps_file *f)
{
	pthread_mutex_lock(&f->lock);
	f->forgotten = true;
	pthread_mutex_unlock(&f->lock);
}

void ps_file_free(struct ps_file *f)
{
	if (!f)
		return;
	if (f->forgotten)
		remove_local(f);
	else if (f->local)
		__atomic_fetch_sub(&f->env->local_bytes, f->info.bytes, __ATOMIC_RELAXED);
	file_close(f->fd);
	pthread_mutex_destroy(&f->lock);
	free(f->index);
	free(f);
}

bool ps_file_is_local(const struct ps_file *f)
{
	return __atomic_load_n(&f->local, __ATOMIC_RELAXED);
}

uint64_t ps_file_last_use_us(const struct ps_file *f)
{
	return __atomic_load_n(&f->last_use_us, __ATOMIC_RELAXED);
}

/* Under lock. */
static int read_range(struct ps_file *f, uint64_t offset, size_t len, void *out,
		      struct tarn_error *err)
{
	if (f->local && f->fd < 0) {
		char *path = ps_file_local_path(f->env, f->info.name);
		if (file_open(path, O_RDONLY, 0, &f->fd, NULL) != 0)
			f->local = false; /* somebody removed it: the store has it */
		free(path);
	}
	if (f->local)
		return file_pread(f->fd, out, len, offset, f->info.name, err);
	return objstore_get_range(f->env->objects, f->info.name, offset, len, out, err);
}

static int corrupt(const struct ps_file *f, const char *what, struct tarn_error *err)
{
	return tarn_fail(err, TARN_E_CORRUPT,
			 "layer %s is damaged (%s); remove its local copy, and if that does not "
			 "help restore the "
			 "object from a backup of the store",
			 f->info.name, what);
}

static int parse_index(struct ps_file *f, const uint8_t *bytes, size_t len)
{
	struct tarn_reader r;
	uint32_t n = (uint32_t)(len / LAYER_INDEX_ENTRY_BYTES);
	struct index_entry *index = tarn_calloc(n, sizeof *index);
	tarn_reader_init(&r, bytes, len);
	for (uint32_t i = 0; i < n; i++) {
		ps_key_get(&r, &index[i].key);
		index[i].lsn = tarn_reader_le64(&r);
		index[i].offset = tarn_reader_le64(&r);
		index[i].stored_bytes = tarn_reader_le32(&r);
		index[i].raw_bytes = tarn_reader_le32(&r);
		index[i].crc = tarn_reader_le32(&r);
	}
	f->block_count = n;
	__atomic_store_n(&f->index, index, __ATOMIC_RELEASE);
	return 0;
}

/* Under lock. */
static int load_index(struct ps_file *f, struct tarn_error *err)
{
	uint8_t footer[LAYER_FOOTER_BYTES];
	struct tarn_reader r;
	uint64_t size = f->info.bytes;
	if (size < LAYER_FOOTER_BYTES)
		return corrupt(f, "too short", err);
	TRY(read_range(f, size - LAYER_FOOTER_BYTES, LAYER_FOOTER_BYTES, footer, err));
	tarn_reader_init(&r, footer, sizeof footer);
	uint64_t offset = tarn_reader_le64(&r), len = tarn_reader_le64(&r);
	const uint8_t *end = footer + LAYER_FOOTER_BYTES - 20;
	if (get_le64(end + 12) != LAYER_MAGIC ||
	    get_le32(end + 8) != tarn_crc32c(footer, LAYER_FOOTER_BYTES - 12))
		return corrupt(f, "footer", err);
	if (get_le32(end + 4) != LAYER_VERSION)
		return tarn_fail(err, TARN_E_UNSUPPORTED,
				 "layer %s has format %u, this build reads %u", f->info.name,
				 get_le32(end + 4), LAYER_VERSION);
	if (len > LAYER_MAX_INDEX_BYTES || len % LAYER_INDEX_ENTRY_BYTES || len == 0 ||
	    offset > size || len > size - offset)
		return corrupt(f, "index range", err);
	uint8_t *bytes = tarn_malloc(len);
	int rc = read_range(f, offset, len, bytes, err);
	if (rc == 0 && tarn_crc32c(bytes, len) != get_le32(end))
		rc = corrupt(f, "index", err);
	if (rc == 0)
		rc = parse_index(f, bytes, len);
	free(bytes);
	return rc;
}

static int need_index(struct ps_file *f, struct tarn_error *err)
{
	int rc = 0;
	__atomic_store_n(&f->last_use_us, tarn_mono_us(), __ATOMIC_RELAXED);
	if (__atomic_load_n(&f->index, __ATOMIC_ACQUIRE))
		return 0;
	pthread_mutex_lock(&f->lock);
	if (!f->index)
		rc = load_index(f, err);
	pthread_mutex_unlock(&f->lock);
	return rc;
}

static int decompress(struct ps_file *f, const struct index_entry *e, const uint8_t *stored,
		      struct ps_block **out, struct tarn_error *err)
{
	if (tarn_crc32c(stored, e->stored_bytes) != e->crc)
		return corrupt(f, "block checksum", err);
	struct ps_block *b = ps_block_new(e->raw_bytes);
	size_t n = ZSTD_decompress(b->bytes, e->raw_bytes, stored, e->stored_bytes);
	if (ZSTD_isError(n) || n != e->raw_bytes) {
		ps_block_unref(b);
		return corrupt(f, "block", err);
	}
	*out = b;
	return 0;
}

static int read_block(struct ps_file *f, uint32_t no, struct ps_block **out, struct tarn_error *err)
{
	const struct index_entry *e = &f->index[no];
	*out = ps_block_cache_get(f->env->blocks, f->id, no);
	if (*out)
		return 0;
	if (e->offset > f->info.bytes || e->stored_bytes > f->info.bytes - e->offset ||
	    e->raw_bytes > PS_MAX_VALUE_BYTES + LAYER_BLOCK_BYTES + LAYER_ENTRY_HEADER_BYTES)
		return corrupt(f, "block range", err);
	uint8_t *stored = tarn_malloc(e->stored_bytes);
	pthread_mutex_lock(&f->lock);
	int rc = read_range(f, e->offset, e->stored_bytes, stored, err);
	pthread_mutex_unlock(&f->lock);
	if (rc == 0)
		rc = decompress(f, e, stored, out, err);
	if (rc == 0)
		ps_block_cache_put(f->env->blocks, f->id, no, *out);
	free(stored);
	return rc;
}

void ps_file_cursor_init(struct ps_file_cursor *c, struct ps_file *f)
{
	memset(c, 0, sizeof *c);
	c->file = f;
}

void ps_file_cursor_release(struct ps_file_cursor *c)
{
	ps_block_unref(c->block);
	c->block = NULL;
}

static int enter_block(struct ps_file_cursor *c, uint32_t no, struct tarn_error *err)
{
	ps_block_unref(c->block);
	c->block = NULL;
	c->pos = 0;
	c->block_no = no;
	return no < c->file->block_count ? read_block(c->file, no, &c->block, err) : 0;
}

int ps_file_cursor_next(struct ps_file_cursor *c, struct tarn_error *err)
{
	struct tarn_reader r;
	if (c->block && c->pos == c->block->len)
		TRY(enter_block(c, c->block_no + 1, err));
	c->valid = c->block != NULL;
	if (!c->valid)
		return 0;
	tarn_reader_init(&r, c->block->bytes + c->pos, c->block->len - c->pos);
	ps_key_get(&r, &c->key);
	c->lsn = tarn_reader_le64(&r);
	uint8_t kind = tarn_reader_u8(&r);
	c->len = tarn_reader_le32(&r);
	c->bytes = tarn_reader_bytes(&r, c->len);
	if (r.failed || kind < PS_VALUE_IMAGE || kind > PS_VALUE_TOMBSTONE)
		return corrupt(c->file, "entry", err);
	c->kind = (enum ps_value_kind)kind;
	c->pos += r.pos;
	return 0;
}

/* Order of entries: key up, LSN down. */
static int compare(const struct ps_key *a, tarn_lsn a_lsn, const struct ps_key *b, tarn_lsn b_lsn)
{
	int k = ps_key_compare(a, b);
	if (k)
		return k;
	return a_lsn > b_lsn ? -1 : a_lsn < b_lsn;
}

int ps_file_cursor_seek(struct ps_file_cursor *c, const struct ps_key *key, tarn_lsn lsn,
			struct tarn_error *err)
{
	TRY(need_index(c->file, err));
	/* The last block that begins strictly before the target: equals may lie at its end. */
	uint32_t lo = 0, hi = c->file->block_count;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		const struct index_entry *e = &c->file->index[mid];
		if (compare(&e->key, e->lsn, key, lsn) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	TRY(enter_block(c, lo > 0 ? lo - 1 : 0, err));
	do
		TRY(ps_file_cursor_next(c, err));
	while (c->valid && compare(&c->key, c->lsn, key, lsn) < 0);
	return 0;
}
