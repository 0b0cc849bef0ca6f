/*
 * Index objects: what a timeline consists of in the object store. Written after the layers it names,
 * under a new name each time, so nothing is ever overwritten:
 *
 *   project.json                          {"format":1,"system_identifier":"…"}: whose store it is
 *   generations/<gen>                     one winner per generation: who may write from then on
 *   timelines/<id>/index/<gen>-<seq>      JSON; the highest (gen, seq) counts
 *   timelines/<id>/layers/<gen>-<number>  layer files
 *
 * A new owner claims a higher generation, so what an old one still writes is never the newest, and names
 * carry the generation, so they never collide.
 */
#ifndef TARN_PAGESERVER_INDEX_H
#define TARN_PAGESERVER_INDEX_H

#include "pageserver/layer_file.h"

#define PS_INDEX_MAX_BYTES ((size_t)64 << 20)

struct ps_index_layer {
	struct ps_file_info info;
	uint8_t level;
	uint64_t order;
};
struct ps_index {
	struct tarn_id id;
	char name[64];
	bool has_parent, deleted;
	struct tarn_id parent;
	tarn_lsn start_lsn, start_prev_lsn;
	tarn_lsn last_record_lsn, prev_record_lsn; /* of what the layers hold */
	uint64_t next_order;
	struct ps_index_layer *layers; /* owned */
	size_t layer_count;
};
void ps_index_release(struct ps_index *x);
void ps_index_encode(const struct ps_index *x, uint64_t system_identifier, uint64_t generation,
		     struct tarn_buf *out);
int ps_index_decode(const uint8_t *bytes, size_t len, const char *name, uint64_t system_identifier,
		    struct ps_index *out, struct tarn_error *err);
/* Checks or writes project.json. *system_identifier 0 takes the store's. */
int ps_project_claim(struct objstore *objects, uint64_t *system_identifier, struct tarn_error *err);
/* A generation above all others; one winner. */
int ps_generation_claim(struct objstore *objects, uint64_t *generation, struct tarn_error *err);
/* Calls visit with the newest index of every timeline; takes no ownership of it. */
int ps_index_load_all(struct objstore *objects, uint64_t system_identifier,
		      int (*visit)(void *arg, struct ps_index *x, struct tarn_error *e), void *arg,
		      struct tarn_error *err);
/* "timelines/<id>/index/<gen>-<seq>" */
void ps_index_name(char out[96], const struct tarn_id *id, uint64_t generation, uint64_t seq);

#endif
