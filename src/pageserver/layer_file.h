/* Layer files. This first version of the store keeps everything in memory: there are none yet. */
#ifndef TARN_PAGESERVER_LAYER_FILE_H
#define TARN_PAGESERVER_LAYER_FILE_H

#include "pageserver/store.h"

struct ps_file;
struct ps_file_info {
	bool image;
	struct ps_key first, last;
	tarn_lsn lo, hi;
};
struct ps_file_cursor {
	bool valid;
	struct ps_key key;
	tarn_lsn lsn;
	enum ps_value_kind kind;
	const uint8_t *bytes;
	size_t len;
};
const struct ps_file_info *ps_file_info(const struct ps_file *f);
void ps_file_free(struct ps_file *f);
void ps_file_cursor_init(struct ps_file_cursor *c, struct ps_file *f);
void ps_file_cursor_release(struct ps_file_cursor *c);
int ps_file_cursor_seek(struct ps_file_cursor *c, const struct ps_key *key, tarn_lsn lsn,
			struct tarn_error *err);
int ps_file_cursor_next(struct ps_file_cursor *c, struct tarn_error *err);

#endif
