/* The writer's side of a timeline: put, advance, and waiting for what they make visible. */
#include "base/system.h"
#include "pageserver/store_internal.h"

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
}

int ps_timeline_put(struct ps_timeline *tl, const struct ps_key *key, tarn_lsn lsn,
		    enum ps_value_kind kind, const void *value, size_t len, struct tarn_error *err)
{
	if (len > PS_MAX_VALUE_BYTES)
		return tarn_fail(err, TARN_E_LIMIT,
				 "a value of %zu bytes at " TARN_LSN_FMT
				 " is above the limit of %zu",
				 len, TARN_LSN_ARGS(lsn), PS_MAX_VALUE_BYTES);
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
	ps_memlayer_put(tl->active->mem, key, lsn, kind, value, len);
	pthread_mutex_unlock(&tl->writer);
	return 0;
}

void ps_timeline_advance(struct ps_timeline *tl, tarn_lsn last_record_lsn, tarn_lsn prev_record_lsn)
{
	pthread_mutex_lock(&tl->writer);
	TARN_CHECK(last_record_lsn >= tl->last_record_lsn);
	tl->prev_record_lsn = prev_record_lsn;
	/* Sequentially consistent with `waiters`: a waiter sees this LSN, or we see the waiter. */
	__atomic_store_n(&tl->last_record_lsn, last_record_lsn, __ATOMIC_SEQ_CST);
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

int ps_timeline_flush(struct ps_timeline *tl, struct tarn_error *err)
{
	(void)tl;
	(void)err;
	return 0;
}
