/*
 * Writes one layer file into the local folder, entry by entry in the file's order. One thread.
 */
#ifndef TARN_PAGESERVER_LAYER_WRITER_H
#define TARN_PAGESERVER_LAYER_WRITER_H

#include "pageserver/layer_file.h"

struct ps_layer_writer;
/* name: the object key it will have. */
int ps_layer_writer_open(struct ps_file_env *env, const char *name, struct ps_layer_writer **out,
			 struct tarn_error *err);
int ps_layer_writer_add(struct ps_layer_writer *w, const struct ps_key *key, tarn_lsn lsn,
			enum ps_value_kind kind, const uint8_t *bytes, size_t len,
			struct tarn_error *err);
/* Bytes written so far. */
uint64_t ps_layer_writer_bytes(const struct ps_layer_writer *w);
/* Completes and fsyncs the file; *info describes it. Frees w, also on failure (the file is removed then). */
int ps_layer_writer_finish(struct ps_layer_writer *w, struct ps_file_info *info,
			   struct tarn_error *err);
/* Gives up and removes the file. NULL is fine. */
void ps_layer_writer_abort(struct ps_layer_writer *w);

#endif
