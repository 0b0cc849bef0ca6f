/* The writer's side of a timeline: put, advance, and waiting for what they make visible. */
#include "base/system.h"
#include "pageserver/store_internal.h"

#define EARLY_FREEZE_BYTES ((size_t)4 << 20)

struct ps_layer_set *ps_timeline_layers(struct ps_timeline *tl)
{
	pthread_mutex_lock(&tl->lock);
	struct ps_layer_set *set = ps_layer_set_ref(tl->set);
	pthread_mutex_unlock(&tl->lock);
	return set;
}

void ps_timeline_swap_layers(struct ps_timeline *tl, struct ps_layer_set *fresh)
{
	struct ps_layer_set *old = tl->set;
	tl->set = fresh;
	ps_layer_set_unref(old);
}

static void open_active(struct ps_timeline *tl)
{
	struct ps_layer *l = ps_layer_new_mem(tl->next_order++ * 2);
	pthread_mutex_lock(&tl->lock);
	size_t n = tl->set->count;
	struct ps_layer **all = tarn_calloc(n + 1, sizeof *all);
	memcpy(all, tl->set->layers, n * sizeof *all);
	all[n] = l;
	ps_timeline_swap_layers(tl, ps_layer_set_new(all, n + 1));
	pthread_mutex_unlock(&tl->lock);
	free(all);
	ps_layer_unref(l); /* the set's reference holds it */
	tl->active = l;
	tl->active_since_us = tarn_mono_us();
}

int ps_timeline_put(struct ps_timeline *tl, const struct ps_key *key, tarn_lsn lsn,
		    enum ps_value_kind kind, const void *value, size_t len, struct tarn_error *err)
{
	if (len > PS_MAX_VALUE_BYTES)
		return tarn_fail(err, TARN_E_LIMIT,
				 "a value of %zu bytes at " TARN_LSN_FMT
				 " is above the limit of %zu",
				 len, TARN_LSN_ARGS(lsn), PS_MAX_VALUE_BYTES);
	ps_store_throttle(tl->store);
	pthread_mutex_lock(&tl->writer);
	if (lsn < tl->last_record_lsn ||
	    (tl->active && ps_memlayer_last_lsn(tl->active->mem) > lsn)) {
		pthread_mutex_unlock(&tl->writer);
		return tarn_fail(err, TARN_E_INTERNAL,
				 "put at " TARN_LSN_FMT " after " TARN_LSN_FMT
				 " on timeline %s: LSNs must not decrease",
				 TARN_LSN_ARGS(lsn), TARN_LSN_ARGS(tl->last_record_lsn), tl->name);
	}
	if (!tl->active)
		open_active(tl);
	size_t before = ps_memlayer_bytes(tl->active->mem);
	ps_memlayer_put(tl->active->mem, key, lsn, kind, value, len);
	__atomic_fetch_add(&tl->store->mem_used_bytes, ps_memlayer_bytes(tl->active->mem) - before,
			   __ATOMIC_RELAXED);
	pthread_mutex_unlock(&tl->writer);
	return 0;
}

/* Early when memory runs short, so that the worker has something to write. */
static bool layer_is_full(const struct ps_timeline *tl)
{
	const struct ps_store_config *c = &tl->store->config;
	size_t bytes = ps_memlayer_bytes(tl->active->mem);
	size_t used = __atomic_load_n(&tl->store->mem_used_bytes, __ATOMIC_RELAXED);
	return (c->layer_target_bytes && bytes > c->layer_target_bytes) ||
	       (c->mem_limit_bytes && used > c->mem_limit_bytes / 2 && bytes > EARLY_FREEZE_BYTES);
}

void ps_timeline_advance(struct ps_timeline *tl, tarn_lsn last_record_lsn, tarn_lsn prev_record_lsn)
{
	pthread_mutex_lock(&tl->writer);
	TARN_CHECK(last_record_lsn >= tl->last_record_lsn);
	tl->prev_record_lsn = prev_record_lsn;
	/* Sequentially consistent with `waiters`: a waiter sees this LSN, or we see the waiter. */
	__atomic_store_n(&tl->last_record_lsn, last_record_lsn, __ATOMIC_SEQ_CST);
	if (tl->active && layer_is_full(tl))
		ps_timeline_freeze(tl);
	pthread_mutex_unlock(&tl->writer);
	if (__atomic_load_n(&tl->waiters, __ATOMIC_SEQ_CST) == 0)
		return;
	pthread_mutex_lock(&tl->lock);
	pthread_cond_broadcast(&tl->advanced);
	pthread_mutex_unlock(&tl->lock);
}

tarn_lsn ps_timeline_last_record_lsn(struct ps_timeline *tl)
{
	return __atomic_load_n(&tl->last_record_lsn, __ATOMIC_SEQ_CST);
}

int ps_timeline_wait(struct ps_timeline *tl, tarn_lsn lsn, int timeout_ms, struct tarn_error *err)
{
	if (ps_timeline_last_record_lsn(tl) >= lsn)
		return 0;
	uint64_t deadline_us = tarn_mono_us() + (uint64_t)timeout_ms * 1000;
	bool in_time = true;
	pthread_mutex_lock(&tl->lock);
	__atomic_fetch_add(&tl->waiters, 1, __ATOMIC_SEQ_CST);
	while (ps_timeline_last_record_lsn(tl) < lsn && in_time)
		in_time = ps_cond_wait_until(&tl->advanced, &tl->lock, deadline_us);
	__atomic_fetch_sub(&tl->waiters, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&tl->lock);
	tarn_lsn last = ps_timeline_last_record_lsn(tl);
	if (last >= lsn)
		return 0;
	return tarn_fail(err, TARN_E_TIMEOUT,
			 "WAL up to " TARN_LSN_FMT
			 " did not arrive within %d ms; the pageserver has it up to " TARN_LSN_FMT,
			 TARN_LSN_ARGS(lsn), timeout_ms, TARN_LSN_ARGS(last));
}
