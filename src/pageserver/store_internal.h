/*
 * What the files of the store share. Private: others include store.h.
 *
 * Locks, in the order in which they may be taken:
 *   timeline.writer   put, advance, freeze: who may change the growing layer and the record LSNs
 *   store.lock        the table of timelines and names
 *   timeline.lock     the pointer to the layer set, and the condition on which readers wait for an LSN
 *   store.work_lock   the worker's wake-up, its pause and its error; taken alone or last
 * Readers take timeline.lock for the time of one reference count and nothing else.
 *
 * The worker is one thread per store: it alone writes layer files, uploads, compacts, writes index objects and
 * evicts, so none of those needs a lock of its own. ps_timeline_create and _delete write their index object
 * under store.lock with the timeline's index_lock.
 */
#ifndef TARN_PAGESERVER_STORE_INTERNAL_H
#define TARN_PAGESERVER_STORE_INTERNAL_H

#include <pthread.h>
#include "pageserver/index.h"
#include "pageserver/layer.h"

struct ps_store {
	struct ps_store_config config;
	uint64_t system_identifier;
	pthread_mutex_t lock;
	struct ps_timeline **timelines; /* under lock; also deleted ones, which stay allocated */
	size_t timeline_count;
	size_t mem_used_bytes; /* atomic; in-memory layers that are not yet files */
	uint64_t generation;
	struct ps_file_env files;
	char *layer_dir;

	pthread_t worker;
	bool worker_started;
	pthread_mutex_t work_lock;
	pthread_cond_t work, worked; /* there is something to do; a round is done */
	bool stopping;		     /* under work_lock, as all below */
	bool kicked;
	uint64_t rounds_begun, rounds_done;
	bool failed; /* the last round could not finish; tried again later */
	struct tarn_error error;
	struct tarn_metrics *own_metrics; /* when the caller gave none */
	struct tarn_counter *flushed_layers, *compactions, *uploaded_bytes, *evictions;
};

struct ps_timeline {
	struct ps_store *store;
	struct tarn_id id;
	char name[64];		    /* under store.lock */
	struct ps_timeline *parent; /* or NULL */
	tarn_lsn start_lsn, start_prev_lsn;
	bool deleted; /* under store.lock */

	pthread_mutex_t writer;
	struct ps_layer *active; /* under writer; owned by the set; NULL before the first put */
	uint64_t next_order;	 /* under writer */

	pthread_mutex_t lock;
	pthread_cond_t advanced;
	struct ps_layer_set *set;
	uint32_t waiters;		      /* atomic */
	tarn_lsn last_record_lsn;	      /* atomic; written under writer */
	tarn_lsn prev_record_lsn;	      /* under writer */
	tarn_lsn remote_lsn, remote_prev_lsn; /* under lock */
	uint64_t active_since_us;	      /* under writer: when the growing layer was opened */

	pthread_mutex_t index_lock; /* one index object at a time */
	uint64_t index_seq;	    /* under index_lock */
	uint64_t next_layer;	    /* worker only */
};

/* store_flush.c */
int ps_worker_start(struct ps_store *s, struct tarn_error *err);
/* Lets it finish what is in memory, then stops it; err: what could not be made durable. */
int ps_worker_stop(struct ps_store *s, struct tarn_error *err);
void ps_worker_kick(struct ps_store *s);
/* Under writer, at a record boundary: the growing layer takes no more. */
void ps_timeline_freeze(struct ps_timeline *tl);
/* Writes the index object of the timeline's layers that are in the store. */
int ps_timeline_write_index(struct ps_timeline *tl, struct tarn_error *err);
/* Blocks while too much is in memory and the worker can make room. */
void ps_store_throttle(struct ps_store *s);
/* store_compact.c: merges runs of one level when there are many; *did tells. */
int ps_timeline_compact(struct ps_timeline *tl, bool *did, struct tarn_error *err);
/* A name for the next layer file of the timeline. Worker only. */
void ps_layer_name(struct ps_timeline *tl, char out[80]);
int ps_layer_upload(struct ps_store *s, const struct ps_file_info *info, struct tarn_error *err);

struct ps_layer_set *ps_timeline_layers(struct ps_timeline *tl);
/* Replaces the set; takes over the reference to fresh. Under tl->lock. */
void ps_timeline_swap_layers(struct ps_timeline *tl, struct ps_layer_set *fresh);
void ps_cond_init(pthread_cond_t *c);
/* Waits at most until deadline_us of tarn_mono_us; false: it has passed. */
bool ps_cond_wait_until(pthread_cond_t *c, pthread_mutex_t *m, uint64_t deadline_us);

#endif
