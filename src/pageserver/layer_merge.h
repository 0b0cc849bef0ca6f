/*
 * Merge: the versions of a key range in several layers as one sequence, keys ascending, each
 * key's versions newest first. Layers are added from the newest to the oldest and opened when the
 * merge reaches them. Not thread-safe; the layers must stay referenced by the caller.
 */
#ifndef TARN_PAGESERVER_LAYER_MERGE_H
#define TARN_PAGESERVER_LAYER_MERGE_H

#include "pageserver/layer.h"

struct ps_merge_source;
struct ps_merge {
	bool valid; /* the fields below hold an entry */
	struct ps_key key;
	tarn_lsn lsn;
	enum ps_value_kind kind;
	const uint8_t *bytes; /* until the next move */
	size_t len;
	/* private */
	struct ps_key from, to; /* to is exclusive unless unbounded */
	bool unbounded;
	struct ps_merge_source *sources; /* by age, newest first */
	size_t source_count, source_cap;
	size_t *heap; /* indexes of sources that are not at their end */
	size_t heap_count;
};

/* [from, to); to NULL: to the end. */
void ps_merge_init(struct ps_merge *m, const struct ps_key *from, const struct ps_key *to);
void ps_merge_release(struct ps_merge *m);
/* Entries above lsn are left out. An image layer hides, in its key range, all layers added later.
 * Layers outside the range or above lsn are ignored. Before ps_merge_start. */
void ps_merge_add(struct ps_merge *m, struct ps_layer *layer, tarn_lsn lsn);
int ps_merge_start(struct ps_merge *m, struct tarn_error *err);
int ps_merge_next(struct ps_merge *m, struct tarn_error *err);
/* To the next key's newest version. */
int ps_merge_next_key(struct ps_merge *m, struct tarn_error *err);

#endif
