/*
 * Layers as readers see them: one interface over in-memory layers and layer files, and the set of
 * layers a timeline has at a moment.
 *
 * Order. Every delta layer holds what arrived between the one before and the one after it, so
 * layers have a total order of age, kept in `order`: (number of the newest in-memory layer whose
 * content it holds) * 2, and one more for an image layer, which stands just above the deltas it
 * summarizes. All layers of one order have disjoint key ranges and form a run. For one key, walking
 * runs from the highest order down meets its versions newest first.
 *
 * An image layer holds every key of its range that exists at its LSN: below it there is nothing to
 * look for, even if the key is not in it.
 *
 * Layers and sets are reference-counted (atomically) and do not change once in a set, except
 * that the newest in-memory layer grows.
 */
#ifndef TARN_PAGESERVER_LAYER_H
#define TARN_PAGESERVER_LAYER_H

#include "pageserver/layer_file.h"
#include "pageserver/memlayer.h"

enum ps_layer_type { PS_LAYER_MEM = 0, PS_LAYER_DELTA = 1, PS_LAYER_IMAGE = 2 };

struct ps_layer {
	uint32_t refs; /* atomic */
	enum ps_layer_type type;
	uint8_t level; /* 0: as flushed, 1: compacted or image */
	uint64_t order;
	struct ps_key first, last; /* inclusive; in memory: all keys */
	tarn_lsn lo, hi;	   /* LSNs inside, inclusive; the growing layer: hi = UINT64_MAX */
	struct ps_memlayer *mem;   /* owned; PS_LAYER_MEM */
	struct ps_file *file;	   /* owned; the others */
	/* Of a frozen layer: last_record_lsn and prev_record_lsn at the moment. */
	tarn_lsn advance_lsn, advance_prev_lsn;
	uint64_t frozen_us; /* tarn_mono_us */
};

struct ps_layer *ps_layer_new_mem(uint64_t order);
struct ps_layer *ps_layer_new_file(struct ps_file *file, uint8_t level, uint64_t order);
struct ps_layer *ps_layer_ref(struct ps_layer *l);
void ps_layer_unref(struct ps_layer *l);

/* All versions of a key range in one layer: keys ascending, each key's versions newest first. */
struct ps_cursor {
	struct ps_layer *layer; /* referenced by the cursor's owner */
	bool valid;		/* the fields below hold an entry */
	struct ps_key key;
	tarn_lsn lsn;
	enum ps_value_kind kind;
	const uint8_t *bytes; /* until the next move */
	size_t len;
	/* private */
	struct ps_mem_walk walk;
	const struct ps_mem_entry *entry;
	struct ps_file_cursor file;
};
void ps_cursor_init(struct ps_cursor *c, struct ps_layer *layer);
void ps_cursor_release(struct ps_cursor *c);
/* Moves to the first entry at or after (key, lsn) in the order (key up, lsn down). */
int ps_cursor_seek(struct ps_cursor *c, const struct ps_key *key, tarn_lsn lsn,
		   struct tarn_error *err);
int ps_cursor_next(struct ps_cursor *c, struct tarn_error *err);
/* To the next key's newest version. */
int ps_cursor_next_key(struct ps_cursor *c, struct tarn_error *err);

/* A run: layers of one order, by first key. */
struct ps_run {
	uint64_t order;
	bool image;
	tarn_lsn lo, hi;
	struct ps_layer **layers;
	size_t count;
};
struct ps_layer_set {
	uint32_t refs;		  /* atomic */
	struct ps_layer **layers; /* referenced; by order down, then first key */
	size_t count;
	struct ps_run *runs;
	size_t run_count;
};
/* Takes its own references. */
struct ps_layer_set *ps_layer_set_new(struct ps_layer *const *layers, size_t count);
struct ps_layer_set *ps_layer_set_ref(struct ps_layer_set *s);
void ps_layer_set_unref(struct ps_layer_set *s);
/* The run's layer whose range holds key, or NULL. */
struct ps_layer *ps_run_find(const struct ps_run *r, const struct ps_key *key);

extern const struct ps_key ps_key_min, ps_key_max;

#endif
