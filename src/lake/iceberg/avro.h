/*
 * Avro object container files, written by hand: only what Iceberg's manifests need (records of longs,
 * ints, booleans, strings, bytes, unions and arrays; codec null). The caller encodes each record with
 * the put functions in the order of its schema.
 */
#ifndef TARN_LAKE_ICEBERG_AVRO_H
#define TARN_LAKE_ICEBERG_AVRO_H

#include "base/buf.h"

struct avro_meta { /* one key of the file's header */
	const char *key, *value;
};
struct avro_file {
	struct tarn_buf out;   /* the finished part of the file */
	struct tarn_buf block; /* records are put here */
	int64_t block_count;
	uint8_t sync[16];
};

/* schema: Avro JSON; kept in the header with the meta keys. Release with avro_file_release. */
void avro_file_begin(struct avro_file *f, const char *schema, const struct avro_meta *meta,
		     size_t meta_count);
/* After each record put into f->block. */
void avro_file_record_done(struct avro_file *f);
/* Writes what is buffered; f->out is then the whole file. */
void avro_file_end(struct avro_file *f);
void avro_file_release(struct avro_file *f);

void avro_put_long(struct tarn_buf *b, int64_t v); /* int too */
void avro_put_bytes(struct tarn_buf *b, const void *data, size_t len);
void avro_put_str(struct tarn_buf *b, const char *s);
/* Branch of ["null", T]. */
void avro_put_null(struct tarn_buf *b);
void avro_put_present(struct tarn_buf *b);

#endif
