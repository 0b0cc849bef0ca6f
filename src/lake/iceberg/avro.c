/* Avro container files of avro.h. */
#include "base/system.h"
#include "lake/iceberg/avro.h"

#define BLOCK_BYTES (64 * KIB)

void avro_put_long(struct tarn_buf *b, int64_t v)
{
	tarn_buf_put_uvarint(b, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63)); /* zigzag */
}

void avro_put_bytes(struct tarn_buf *b, const void *data, size_t len)
{
	avro_put_long(b, (int64_t)len);
	tarn_buf_put(b, data, len);
}

void avro_put_str(struct tarn_buf *b, const char *s)
{
	avro_put_bytes(b, s, strlen(s));
}

void avro_put_null(struct tarn_buf *b)
{
	avro_put_long(b, 0);
}

void avro_put_present(struct tarn_buf *b)
{
	avro_put_long(b, 1);
}

void avro_file_begin(struct avro_file *f, const char *schema, const struct avro_meta *meta,
		     size_t meta_count)
{
	memset(f, 0, sizeof *f);
	tarn_random_bytes(f->sync, sizeof f->sync);
	tarn_buf_put(&f->out, "Obj\1", 4);
	avro_put_long(&f->out, (int64_t)meta_count + 2);
	avro_put_str(&f->out, "avro.schema");
	avro_put_str(&f->out, schema);
	avro_put_str(&f->out, "avro.codec");
	avro_put_str(&f->out, "null");
	for (size_t i = 0; i < meta_count; i++) {
		avro_put_str(&f->out, meta[i].key);
		avro_put_str(&f->out, meta[i].value);
	}
	avro_put_long(&f->out, 0);
	tarn_buf_put(&f->out, f->sync, sizeof f->sync);
}

static void end_block(struct avro_file *f)
{
	if (f->block_count == 0)
		return;
	avro_put_long(&f->out, f->block_count);
	avro_put_bytes(&f->out, f->block.data, f->block.len);
	tarn_buf_put(&f->out, f->sync, sizeof f->sync);
	tarn_buf_clear(&f->block);
	f->block_count = 0;
}

void avro_file_record_done(struct avro_file *f)
{
	f->block_count++;
	if (f->block.len >= BLOCK_BYTES)
		end_block(f);
}

void avro_file_end(struct avro_file *f)
{
	end_block(f);
}

void avro_file_release(struct avro_file *f)
{
	tarn_buf_release(&f->out);
	tarn_buf_release(&f->block);
}
