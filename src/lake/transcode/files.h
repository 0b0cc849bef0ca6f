/*
 * The files of table states: data files with their block maps, and position-delete files. Each is
 * immutable once made, counted, and used by every state that lists it; any thread may take and give
 * back references. The object in the store outlives them all.
 */
#ifndef TARN_LAKE_TRANSCODE_FILES_H
#define TARN_LAKE_TRANSCODE_FILES_H

#include "lake/transcode/block_map.h"
#include "lake/transcode/output.h"
#include "lake/transcode/schema.h"

/* Values of a block that had no native form. */
struct overflow_entry {
	uint32_t block;
	int16_t attnum;
	uint16_t count;
};
struct transcode_file {
	char *key;
	char *json; /* members of its object in "data_files", all but first_row_id; no braces */
	uint64_t rows;
	bool columnar; /* else a tail */
	struct block_map map;
	struct overflow_entry *overflow; /* by block */
	uint32_t overflow_count;
	/* private */
	size_t memory_bytes;
	uint64_t *memory_used; /* atomic; of all files; may be NULL */
	int refs;
};
struct transcode_delete {
	char *json; /* its object in "delete_files" */
	int refs;
};

/* One reference. Takes over key, map and overflow; schema tells which leaves the lake knows. */
struct transcode_file *transcode_file_new(char *key, bool columnar, struct block_map *map,
					  struct overflow_entry *overflow, uint32_t overflow_count,
					  const struct pq_summary *summary,
					  const struct transcode_schema *schema,
					  uint64_t *memory_used);
/* The same from parts kept elsewhere (key, json, rows, columnar, map, overflow): takes them over. */
struct transcode_file *transcode_file_restore(const struct transcode_file *parts,
					      uint64_t *memory_used);
struct transcode_file *transcode_file_ref(struct transcode_file *f);
void transcode_file_release(struct transcode_file *f);
/* A number per entry of `overflow` of this block: calls add for each. */
void transcode_file_overflow(const struct transcode_file *f, uint32_t block,
			     void (*add)(void *arg, int16_t attnum, uint16_t count), void *arg);

/* Writes a file that deletes the rows of the given entries (ascending) of f. *out is NULL when
 * they have none. */
int transcode_delete_write(const struct transcode_place *place, tarn_lsn lsn,
			   const struct transcode_file *f, const uint32_t *entries, uint32_t count,
			   struct transcode_delete **out, struct tarn_error *err);
struct transcode_delete *transcode_delete_ref(struct transcode_delete *d);
void transcode_delete_release(struct transcode_delete *d);

#endif
