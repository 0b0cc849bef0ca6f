/* Implementation of metrics.h. The mutex guards the list only; values are relaxed atomics. */
#include "base/system.h"
#include "base/metrics.h"
#include <pthread.h>

enum metric_kind { KIND_COUNTER, KIND_GAUGE, KIND_HISTOGRAM };

struct metric {
	struct metric *next;
	enum metric_kind kind;
	char *name, *labels, *help;
	union {
		struct tarn_counter counter;
		struct tarn_gauge gauge;
		struct tarn_histogram histogram;
	} u;
};

struct tarn_metrics {
	pthread_mutex_t lock;
	struct metric *head, **tail;
};

struct tarn_metrics *tarn_metrics_new(void)
{
	struct tarn_metrics *m = tarn_calloc(1, sizeof *m);
	pthread_mutex_init(&m->lock, NULL);
	m->tail = &m->head;
	return m;
}

void tarn_metrics_free(struct tarn_metrics *m)
{
	if (!m)
		return;
	for (struct metric *e = m->head; e;) {
		struct metric *next = e->next;
		free(e->name);
		free(e->labels);
		free(e->help);
		free(e);
		e = next;
	}
	pthread_mutex_destroy(&m->lock);
	free(m);
}

static struct metric *add(struct tarn_metrics *m, enum metric_kind kind, const char *name,
			  const char *labels, const char *help)
{
	struct metric *e = tarn_calloc(1, sizeof *e);
	e->kind = kind;
	e->name = tarn_strdup(name);
	e->labels = tarn_strdup(labels ? labels : "");
	e->help = tarn_strdup(help);
	pthread_mutex_lock(&m->lock);
	for (struct metric *o = m->head; o; o = o->next)
		TARN_CHECK(strcmp(o->name, e->name) != 0 || strcmp(o->labels, e->labels) != 0);
	*m->tail = e;
	m->tail = &e->next;
	pthread_mutex_unlock(&m->lock);
	return e;
}

struct tarn_counter *tarn_metrics_counter(struct tarn_metrics *m, const char *name,
					  const char *labels, const char *help)
{
	return &add(m, KIND_COUNTER, name, labels, help)->u.counter;
}

struct tarn_gauge *tarn_metrics_gauge(struct tarn_metrics *m, const char *name, const char *labels,
				      const char *help)
{
	return &add(m, KIND_GAUGE, name, labels, help)->u.gauge;
}

struct tarn_histogram *tarn_metrics_histogram(struct tarn_metrics *m, const char *name,
					      const char *labels, const char *help)
{
	return &add(m, KIND_HISTOGRAM, name, labels, help)->u.histogram;
}

void tarn_histogram_observe_us(struct tarn_histogram *h, uint64_t us)
{
	size_t i = us <= 1 ? 0 : (size_t)(64 - __builtin_clzll(us - 1));
	if (i > TARN_HISTOGRAM_BUCKETS)
		i = TARN_HISTOGRAM_BUCKETS;
	__atomic_fetch_add(&h->buckets[i], 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&h->sum_us, us, __ATOMIC_RELAXED);
}

static void render_histogram(const struct metric *e, struct tarn_buf *out)
{
	const struct tarn_histogram *h = &e->u.histogram;
	const char *comma = *e->labels ? "," : "";
	uint64_t total = 0;
	for (size_t i = 0; i < TARN_HISTOGRAM_BUCKETS; i++) {
		total += __atomic_load_n(&h->buckets[i], __ATOMIC_RELAXED);
		tarn_buf_printf(out, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", e->name, e->labels,
				comma, (double)(1ULL << i) / 1e6, total);
	}
	total += __atomic_load_n(&h->buckets[TARN_HISTOGRAM_BUCKETS], __ATOMIC_RELAXED);
	tarn_buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", e->name, e->labels, comma,
			total);
	const char *open = *e->labels ? "{" : "", *close = *e->labels ? "}" : "";
	tarn_buf_printf(out, "%s_sum%s%s%s %.6f\n", e->name, open, e->labels, close,
			(double)__atomic_load_n(&h->sum_us, __ATOMIC_RELAXED) / 1e6);
	tarn_buf_printf(out, "%s_count%s%s%s %" PRIu64 "\n", e->name, open, e->labels, close,
			total);
}

void tarn_metrics_render(struct tarn_metrics *m, struct tarn_buf *out)
{
	static const char *const kinds[] = {"counter", "gauge", "histogram"};
	const char *last_name = "";
	pthread_mutex_lock(&m->lock);
	for (struct metric *e = m->head; e; e = e->next) {
		if (strcmp(last_name, e->name) != 0)
			tarn_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", e->name, e->help,
					e->name, kinds[e->kind]);
		last_name = e->name;
		const char *open = *e->labels ? "{" : "", *close = *e->labels ? "}" : "";
		if (e->kind == KIND_COUNTER)
			tarn_buf_printf(out, "%s%s%s%s %" PRIu64 "\n", e->name, open, e->labels,
					close, tarn_counter_get(&e->u.counter));
		else if (e->kind == KIND_GAUGE)
			tarn_buf_printf(out, "%s%s%s%s %" PRId64 "\n", e->name, open, e->labels,
					close,
					__atomic_load_n(&e->u.gauge.value, __ATOMIC_RELAXED));
		else
			render_histogram(e, out);
	}
	pthread_mutex_unlock(&m->lock);
}
