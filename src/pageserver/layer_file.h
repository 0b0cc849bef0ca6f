/*
 * Layer files: immutable, sorted, compressed in blocks (layer_format.h). A file lies in the object
 * store and, as long as there is room, in the local folder; a block is read from whichever is nearer
 * and kept in the block cache. All calls may come from any thread; a cursor belongs to one.
 */
#ifndef TARN_PAGESERVER_LAYER_FILE_H
#define TARN_PAGESERVER_LAYER_FILE_H

#include "pageserver/block_cache.h"
#include "pageserver/store.h"

struct ps_file_env {
	struct objstore *objects;
	const char *dir; /* of local copies */
	struct ps_block_cache *blocks;
	uint64_t local_bytes; /* atomic: of all local copies */
	uint64_t next_id;     /* atomic */
};
struct ps_file;
struct ps_file_info {
	char name[80]; /* object key */
	bool image;
	struct ps_key first, last; /* inclusive */
	tarn_lsn lo, hi;	   /* inclusive */
	uint64_t bytes;
};

/* What is in the store (or in the local folder and on its way there). Reads nothing yet. */
struct ps_file *ps_file_new(struct ps_file_env *env, const struct ps_file_info *info);
const struct ps_file_info *ps_file_info(const struct ps_file *f);
/* NULL is fine. The local copy stays for the next start unless ps_file_forget was called. */
void ps_file_free(struct ps_file *f);
/* The file is no longer part of any timeline: its local copy goes when the last reader has. */
void ps_file_forget(struct ps_file *f);
/* Removes the local copy; what is in the store remains. */
void ps_file_evict(struct ps_file *f);
bool ps_file_is_local(const struct ps_file *f);
uint64_t ps_file_last_use_us(const struct ps_file *f);
/* Local path of an object key; caller frees. */
char *ps_file_local_path(const struct ps_file_env *env, const char *name);

struct ps_file_cursor {
	bool valid;
	struct ps_key key;
	tarn_lsn lsn;
	enum ps_value_kind kind;
	const uint8_t *bytes; /* until the next move */
	size_t len;
	/* private */
	struct ps_file *file;
	struct ps_block *block;
	uint32_t block_no;
	size_t pos; /* of the next entry */
};
void ps_file_cursor_init(struct ps_file_cursor *c, struct ps_file *f);
void ps_file_cursor_release(struct ps_file_cursor *c);
/* To the first entry at or after (key up, lsn down). TARN_E_CORRUPT names the file. */
int ps_file_cursor_seek(struct ps_file_cursor *c, const struct ps_key *key, tarn_lsn lsn,
			struct tarn_error *err);
int ps_file_cursor_next(struct ps_file_cursor *c, struct tarn_error *err);

/* Shared by reader and writer. */
void ps_key_put(struct tarn_buf *b, const struct ps_key *k);
void ps_key_get(struct tarn_reader *r, struct ps_key *k);

#endif
