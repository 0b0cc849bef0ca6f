/*
 * The store: versioned key → value, the pageserver's heart. WAL ingest puts (key, LSN, value);
 * readers collect, for a key at an LSN, the newest base at or below it and what came after.
 *
 * Everything the pageserver knows of a timeline lives here, so that branches, history and starting
 * from the object store alone hold for all of it:
 *
 *   kind          spc db rel fork block           value
 *   META          what (enum ps_meta) in rel      IMAGE: singletons (checkpoint state, record boundary)
 *   DATABASE      spc db                          IMAGE: its pg_filenode.map (spc 1664, db 0: the global one)
 *   RELSIZE       spc db rel fork                 IMAGE: u32 blocks; its existence is the fork's existence
 *   SLRU_RANGE    – – enum page_slru              IMAGE: u32 first page, u32 last page
 *   SLRU          – – enum page_slru – page       IMAGE / OP
 *   TWOPHASE      – – – – xid                     IMAGE: the state file's bytes
 *   REL           spc db rel fork block           IMAGE / RECORD / OP
 *
 * Layers: one in-memory layer taking writes, frozen ones being flushed, L0 delta files (all keys, an
 * LSN range), L1 delta files (a key range, an LSN range), image files (a key range at one LSN). Each is
 * uploaded under an immutable name; an index object per generation and sequence lists them. A
 * branch falls through to its parent at the branch LSN. See README.md for formats and bounds.
 *
 * Threads: one writer per timeline calls put/advance; any number of threads call the readers, even
 * while layers are flushed, compacted and evicted by the store's own background thread.
 */
#ifndef TARN_PAGESERVER_STORE_H
#define TARN_PAGESERVER_STORE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/id.h"
#include "base/lsn.h"
#include "base/metrics.h"
#include "objstore/objstore.h"

enum ps_kind {
	PS_KIND_META = 1,
	PS_KIND_DATABASE = 2,
	PS_KIND_RELSIZE = 3,
	PS_KIND_SLRU_RANGE = 4,
	PS_KIND_SLRU = 5,
	PS_KIND_TWOPHASE = 6,
	PS_KIND_REL = 7
};
enum ps_meta { PS_META_CHECKPOINT = 1, PS_META_BOUNDARY = 2, PS_META_COUNTERS = 3 };

/* Ordered by the fields in this order; absent fields are 0. */
struct ps_key {
	uint8_t kind;
	uint32_t spc, db, rel;
	uint8_t fork;
	uint32_t block;
};
int ps_key_compare(const struct ps_key *a, const struct ps_key *b);

enum ps_value_kind {
	PS_VALUE_IMAGE = 1,	  /* the whole value; older versions are not needed */
	PS_VALUE_RECORD = 2,	  /* a WAL record (whole) to be applied by the redo host */
	PS_VALUE_RECORD_INIT = 3, /* the same, and it needs no base (will-init or full image) */
	PS_VALUE_OP = 4,	  /* an operation of our own, applied by pageserver/page_op.h */
	PS_VALUE_TOMBSTONE = 5	  /* the key ceases to exist */
};
#define PS_MAX_VALUE_BYTES ((size_t)1 << 30)

struct ps_store;
struct ps_timeline;

struct ps_store_config {
	const char *dir; /* local cache; may be empty or lost at any start */
	struct objstore *objects;
	uint64_t system_identifier; /* 0: read from the store's project.json */
	size_t mem_limit_bytes;	    /* in-memory and frozen layers of all timelines together */
	size_t layer_target_bytes;  /* an in-memory layer is frozen at this size */
	uint64_t disk_limit_bytes;  /* local files beyond this are evicted, oldest use first */
	uint64_t history_bytes; /* WAL kept readable behind the head before GC may drop versions */
	struct tarn_metrics *metrics;
	/* Rebuilds one page from base and deltas (the redo host); used to make image layers. */
	int (*reconstruct)(void *arg, struct ps_timeline *tl, const struct ps_key *key,
			   tarn_lsn lsn, uint8_t out[8192], bool *absent, struct tarn_error *err);
	void *reconstruct_arg;
};

/* Opens the store: claims the next generation, loads every timeline's newest index object. */
int ps_store_open(const struct ps_store_config *c, struct ps_store **out, struct tarn_error *err);
/* Flushes and uploads everything first; err reports the first part that could not be. */
int ps_store_close(struct ps_store *s, struct tarn_error *err);
uint64_t ps_store_system_identifier(const struct ps_store *s);
/* What it was opened with: the local directory, and where the objects are. */
const char *ps_store_dir(const struct ps_store *s);
struct objstore *ps_store_objects(const struct ps_store *s);

/* Timelines. Names: 1..63 bytes of [A-Za-z0-9_.-]; unique among live ones. parent NULL: a root. A
 * branch starts at lsn with the parent's content; prev_lsn is the start of the parent's last record
 * before lsn. The returned pointer stays valid until ps_store_close. */
int ps_timeline_create(struct ps_store *s, const struct tarn_id *id, const char *name,
		       struct ps_timeline *parent, tarn_lsn lsn, tarn_lsn prev_lsn,
		       struct ps_timeline **out, struct tarn_error *err);
/* Refused while it has children (TARN_E_CONFLICT, names one). Objects nobody needs are removed later. */
int ps_timeline_delete(struct ps_store *s, struct ps_timeline *tl, struct tarn_error *err);
struct ps_timeline *ps_timeline_find(struct ps_store *s, const struct tarn_id *id);
struct ps_timeline *ps_timeline_find_name(struct ps_store *s, const char *name);
/* Fills up to max pointers, returns how many there are. */
size_t ps_timeline_list(struct ps_store *s, struct ps_timeline **out, size_t max);

struct ps_timeline_info {
	struct tarn_id id;
	char name[64];
	bool has_parent;
	struct tarn_id parent;
	tarn_lsn start_lsn;	  /* branch point, or the first LSN of a root */
	tarn_lsn last_record_lsn; /* end of the last record put; readers see up to here */
	tarn_lsn prev_record_lsn; /* start of that record */
	tarn_lsn remote_lsn;	  /* durable in the object store up to here: WAL before it may go */
	tarn_lsn history_lsn;	  /* oldest LSN still readable */
	uint64_t layer_bytes, local_bytes;
	uint32_t layers, l0_layers;
};
void ps_timeline_info(struct ps_timeline *tl, struct ps_timeline_info *out);

/* Writer. LSNs never decrease; a value becomes visible to readers with the advance that covers it.
 * put blocks (back-pressure) while mem_limit_bytes is exhausted. */
int ps_timeline_put(struct ps_timeline *tl, const struct ps_key *key, tarn_lsn lsn,
		    enum ps_value_kind kind, const void *value, size_t len, struct tarn_error *err);
void ps_timeline_advance(struct ps_timeline *tl, tarn_lsn last_record_lsn,
			 tarn_lsn prev_record_lsn);
/* Flush and upload everything up to the current last_record_lsn now; returns when durable. */
int ps_timeline_flush(struct ps_timeline *tl, struct tarn_error *err);
/* Waits until last_record_lsn >= lsn. */
int ps_timeline_wait(struct ps_timeline *tl, tarn_lsn lsn, int timeout_ms, struct tarn_error *err);
tarn_lsn ps_timeline_last_record_lsn(struct ps_timeline *tl);

/* What a page is made of: the newest IMAGE or RECORD_INIT at or below lsn comes first (if there is
 * one; a chain that reaches back to nothing begins with whatever is oldest), later ones follow in
 * LSN order. count = 0: no such key, or a tombstone. Bytes live in the arena. */
struct ps_version {
	tarn_lsn lsn;
	enum ps_value_kind kind;
	const uint8_t *bytes;
	size_t len;
};
struct ps_chain {
	struct ps_version *versions;
	size_t count;
};
int ps_timeline_collect(struct ps_timeline *tl, const struct ps_key *key, tarn_lsn lsn,
			struct tarn_arena *arena, struct ps_chain *out, struct tarn_error *err);
/* Newest IMAGE at or below lsn appended to out; *absent for none. For the IMAGE-only kinds. */
int ps_timeline_get(struct ps_timeline *tl, const struct ps_key *key, tarn_lsn lsn,
		    struct tarn_buf *out, bool *absent, struct tarn_error *err);
/* Every key in [from, to) that exists at lsn with its newest value (IMAGE kinds), in key order. */
int ps_timeline_scan(struct ps_timeline *tl, const struct ps_key *from, const struct ps_key *to,
		     tarn_lsn lsn,
		     int (*visit)(void *arg, const struct ps_key *key, const uint8_t *bytes,
				  size_t len, struct tarn_error *e),
		     void *arg, struct tarn_error *err);
/* Every key in [from, to) with a version in (after, upto], once each, in key order, with the newest such LSN. */
int ps_timeline_touched(struct ps_timeline *tl, const struct ps_key *from, const struct ps_key *to,
			tarn_lsn after, tarn_lsn upto,
			int (*visit)(void *arg, const struct ps_key *key, tarn_lsn newest,
				     struct tarn_error *e),
			void *arg, struct tarn_error *err);

#endif
