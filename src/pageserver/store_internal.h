/*
 * What the files of the store share. Private: others include store.h.
 *
 * Locks, in the order in which they may be taken:
 *   timeline.writer   put, advance, freeze: who may change the growing layer and the record LSNs
 *   store.lock        the table of timelines and names
 *   timeline.lock     the pointer to the layer set, and the condition on which readers wait for an
 * LSN Readers take timeline.lock for the time of one reference count and nothing else.
 */
#ifndef TARN_PAGESERVER_STORE_INTERNAL_H
#define TARN_PAGESERVER_STORE_INTERNAL_H

#include <pthread.h>
#include "pageserver/layer.h"

struct ps_store {
	struct ps_store_config config;
	uint64_t system_identifier;
	pthread_mutex_t lock;
	struct ps_timeline **timelines; /* under lock; also deleted ones, which stay allocated */
	size_t timeline_count;
	size_t mem_used_bytes; /* atomic; in-memory layers that are not yet files */
};

struct ps_timeline {
	struct ps_store *store;
	struct tarn_id id;
	char name[64];		    /* under store.lock */
	struct ps_timeline *parent; /* or NULL */
	tarn_lsn start_lsn;
	bool deleted; /* under store.lock */

	pthread_mutex_t writer;
	struct ps_layer *active; /* under writer; owned by the set; NULL before the first put */
	uint64_t next_order;	 /* under writer */

	pthread_mutex_t lock;
	pthread_cond_t advanced;
	struct ps_layer_set *set;
	uint32_t waiters;	  /* atomic */
	tarn_lsn last_record_lsn; /* atomic; written under writer */
	tarn_lsn prev_record_lsn; /* under writer */
	tarn_lsn remote_lsn;	  /* under lock */
};

struct ps_layer_set *ps_timeline_layers(struct ps_timeline *tl);
/* Replaces the set; takes over the reference to fresh. Under tl->lock. */
void ps_timeline_swap_layers(struct ps_timeline *tl, struct ps_layer_set *fresh);
void ps_cond_init(pthread_cond_t *c);
/* Waits at most until deadline_us of tarn_mono_us; false: it has passed. */
bool ps_cond_wait_until(pthread_cond_t *c, pthread_mutex_t *m, uint64_t deadline_us);

#endif
