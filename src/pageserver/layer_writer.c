/* Implementation of layer_writer.h. */
#include "base/system.h"
#include <zstd.h>
#include "base/crc.h"
#include "io/file.h"
#include "pageserver/layer_format.h"
#include "pageserver/layer_writer.h"

#define COMPRESSION_LEVEL 1

struct ps_layer_writer {
	char *path;
	int fd;
	struct ps_file_info info;
	uint64_t offset, entries;
	struct tarn_buf block, packed, index;
	struct ps_key block_key;
	tarn_lsn block_lsn;
	ZSTD_CCtx *zstd;
};

int ps_layer_writer_open(struct ps_file_env *env, const char *name, struct ps_layer_writer **out,
			 struct tarn_error *err)
{
	struct ps_layer_writer *w = tarn_calloc(1, sizeof *w);
	w->path = ps_file_local_path(env, name);
	tarn_strlcpy(w->info.name, name, sizeof w->info.name);
	w->info.lo = UINT64_MAX;
	w->zstd = ZSTD_createCCtx();
	int rc = file_open(w->path, O_WRONLY | O_CREAT | O_TRUNC, 0600, &w->fd, err);
	if (rc != 0) {
		ps_layer_writer_abort(w);
		return rc;
	}
	*out = w;
	return 0;
}

static void release(struct ps_layer_writer *w)
{
	file_close(w->fd);
	tarn_buf_release(&w->block);
	tarn_buf_release(&w->packed);
	tarn_buf_release(&w->index);
	ZSTD_freeCCtx(w->zstd);
	free(w->path);
	free(w);
}

void ps_layer_writer_abort(struct ps_layer_writer *w)
{
	if (!w)
		return;
	(void)file_unlink(w->path, NULL);
	release(w);
}

static int end_block(struct ps_layer_writer *w, struct tarn_error *err)
{
	if (w->block.len == 0)
		return 0;
	tarn_buf_clear(&w->packed);
	size_t bound = ZSTD_compressBound(w->block.len);
	uint8_t *room = tarn_buf_reserve(&w->packed, bound);
	size_t n = ZSTD_compressCCtx(w->zstd, room, bound, w->block.data, w->block.len,
				     COMPRESSION_LEVEL);
	if (ZSTD_isError(n))
		return tarn_fail(err, TARN_E_INTERNAL, "zstd: %s", ZSTD_getErrorName(n));
	TRY(file_pwrite(w->fd, room, n, w->offset, w->path, err));
	ps_key_put(&w->index, &w->block_key);
	tarn_buf_put_le64(&w->index, w->block_lsn);
	tarn_buf_put_le64(&w->index, w->offset);
	tarn_buf_put_le32(&w->index, (uint32_t)n);
	tarn_buf_put_le32(&w->index, (uint32_t)w->block.len);
	tarn_buf_put_le32(&w->index, tarn_crc32c(room, n));
	w->offset += n;
	tarn_buf_clear(&w->block);
	return 0;
}

int ps_layer_writer_add(struct ps_layer_writer *w, const struct ps_key *key, tarn_lsn lsn,
			enum ps_value_kind kind, const uint8_t *bytes, size_t len,
			struct tarn_error *err)
{
	if (w->entries == 0)
		w->info.first = *key;
	if (w->block.len == 0) {
		w->block_key = *key;
		w->block_lsn = lsn;
	}
	ps_key_put(&w->block, key);
	tarn_buf_put_le64(&w->block, lsn);
	tarn_buf_put_u8(&w->block, (uint8_t)kind);
	tarn_buf_put_le32(&w->block, (uint32_t)len);
	tarn_buf_put(&w->block, bytes, len);
	w->info.last = *key;
	w->info.lo = TARN_MIN(w->info.lo, lsn);
	w->info.hi = TARN_MAX(w->info.hi, lsn);
	w->entries++;
	return w->block.len >= LAYER_BLOCK_BYTES ? end_block(w, err) : 0;
}

uint64_t ps_layer_writer_bytes(const struct ps_layer_writer *w)
{
	return w->offset + w->block.len;
}

static int write_end(struct ps_layer_writer *w, struct tarn_error *err)
{
	struct tarn_buf f = TARN_BUF_INIT;
	TRY(end_block(w, err));
	TRY(file_pwrite(w->fd, w->index.data, w->index.len, w->offset, w->path, err));
	tarn_buf_put_le64(&f, w->offset);
	tarn_buf_put_le64(&f, w->index.len);
	tarn_buf_put_le64(&f, w->entries);
	ps_key_put(&f, &w->info.first);
	ps_key_put(&f, &w->info.last);
	tarn_buf_put_le64(&f, w->info.lo);
	tarn_buf_put_le64(&f, w->info.hi);
	tarn_buf_put_u8(&f, w->info.image);
	tarn_buf_put_le32(&f, tarn_crc32c(w->index.data, w->index.len));
	tarn_buf_put_le32(&f, LAYER_VERSION);
	tarn_buf_put_le32(&f, tarn_crc32c(f.data, f.len));
	tarn_buf_put_le64(&f, LAYER_MAGIC);
	TARN_CHECK(f.len == LAYER_FOOTER_BYTES);
	int rc = file_pwrite(w->fd, f.data, f.len, w->offset + w->index.len, w->path, err);
	w->info.bytes = w->offset + w->index.len + f.len;
	tarn_buf_release(&f);
	return rc == 0 ? file_fsync(w->fd, w->path, err) : rc;
}

int ps_layer_writer_finish(struct ps_layer_writer *w, struct ps_file_info *info,
			   struct tarn_error *err)
{
	TARN_CHECK(w->entries > 0);
	int rc = write_end(w, err);
	if (rc != 0) {
		ps_layer_writer_abort(w);
		return rc;
	}
	*info = w->info;
	release(w);
	return 0;
}
