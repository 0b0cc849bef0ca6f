/*
 * Metrics in Prometheus form. A registry is made by main and handed down; each part registers its
 * counters, gauges and histograms at start and updates them from any thread without a lock.
 * Names: tarn_<part>_<what>_<unit>[_total]. Registering aborts on a duplicate name and label pair.
 */
#ifndef TARN_BASE_METRICS_H
#define TARN_BASE_METRICS_H

#include "base/buf.h"

#define TARN_HISTOGRAM_BUCKETS 28 /* powers of two microseconds: 1 us … 134 s */

struct tarn_metrics;
struct tarn_counter {
	uint64_t value; /* updated with relaxed atomics */
};
struct tarn_gauge {
	int64_t value;
};
struct tarn_histogram {
	uint64_t buckets[TARN_HISTOGRAM_BUCKETS + 1];
	uint64_t sum_us;
};

struct tarn_metrics *tarn_metrics_new(void);
void tarn_metrics_free(struct tarn_metrics *m);
/* labels: NULL or e.g. "kind=\"delta\"". The returned object lives as long as the registry. */
struct tarn_counter *tarn_metrics_counter(struct tarn_metrics *m, const char *name,
					  const char *labels, const char *help);
struct tarn_gauge *tarn_metrics_gauge(struct tarn_metrics *m, const char *name, const char *labels,
				      const char *help);
struct tarn_histogram *tarn_metrics_histogram(struct tarn_metrics *m, const char *name,
					      const char *labels, const char *help);
/* Appends the exposition text of everything registered. */
void tarn_metrics_render(struct tarn_metrics *m, struct tarn_buf *out);

static inline void tarn_counter_add(struct tarn_counter *c, uint64_t n)
{
	__atomic_fetch_add(&c->value, n, __ATOMIC_RELAXED);
}
static inline uint64_t tarn_counter_get(const struct tarn_counter *c)
{
	return __atomic_load_n(&c->value, __ATOMIC_RELAXED);
}
static inline void tarn_gauge_set(struct tarn_gauge *g, int64_t v)
{
	__atomic_store_n(&g->value, v, __ATOMIC_RELAXED);
}
static inline void tarn_gauge_add(struct tarn_gauge *g, int64_t n)
{
	__atomic_fetch_add(&g->value, n, __ATOMIC_RELAXED);
}
void tarn_histogram_observe_us(struct tarn_histogram *h, uint64_t us);

#endif
