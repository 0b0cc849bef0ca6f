/* Reads over key ranges: scan and touched. Both merge the layers of a timeline and its ancestors.
 */
#include "base/system.h"
#include "pageserver/layer_merge.h"
#include "pageserver/store_internal.h"

#define MAX_ANCESTORS 1024

/* Adds the layers seen from tl at lsn; the sets stay referenced in held. */
static size_t add_layers(struct ps_merge *m, struct ps_timeline *tl, tarn_lsn lsn, tarn_lsn after,
			 bool images, struct ps_layer_set *held[MAX_ANCESTORS])
{
	size_t n = 0;
	lsn = TARN_MIN(lsn, ps_timeline_last_record_lsn(tl));
	for (; tl && lsn > after; tl = tl->parent) {
		TARN_CHECK(n < MAX_ANCESTORS);
		struct ps_layer_set *set = held[n++] = ps_timeline_layers(tl);
		for (size_t i = 0; i < set->count; i++)
			if (set->layers[i]->hi > after &&
			    (images || set->layers[i]->type != PS_LAYER_IMAGE))
				ps_merge_add(m, set->layers[i], lsn);
		lsn = TARN_MIN(lsn, tl->start_lsn);
	}
	return n;
}

static void drop_sets(struct ps_layer_set **held, size_t n)
{
	while (n > 0)
		ps_layer_set_unref(held[--n]);
}

int ps_timeline_scan(struct ps_timeline *tl, const struct ps_key *from, const struct ps_key *to,
		     tarn_lsn lsn,
		     int (*visit)(void *arg, const struct ps_key *key, const uint8_t *bytes,
				  size_t len, struct tarn_error *e),
		     void *arg, struct tarn_error *err)
{
	struct ps_layer_set *held[MAX_ANCESTORS];
	struct ps_merge m;
	ps_merge_init(&m, from, to);
	size_t n = add_layers(&m, tl, lsn, 0, true, held);
	int rc = ps_merge_start(&m, err);
	while (rc == 0 && m.valid) {
		if (m.kind == PS_VALUE_IMAGE)
			rc = visit(arg, &m.key, m.bytes, m.len, err);
		if (rc == 0)
			rc = ps_merge_next_key(&m, err);
	}
	ps_merge_release(&m);
	drop_sets(held, n);
	return rc;
}

int ps_timeline_touched(struct ps_timeline *tl, const struct ps_key *from, const struct ps_key *to,
			tarn_lsn after, tarn_lsn upto,
			int (*visit)(void *arg, const struct ps_key *key, tarn_lsn newest,
				     struct tarn_error *e),
			void *arg, struct tarn_error *err)
{
	struct ps_layer_set *held[MAX_ANCESTORS];
	struct ps_merge m;
	ps_merge_init(&m, from, to);
	size_t n = add_layers(&m, tl, upto, after, false, held);
	int rc = ps_merge_start(&m, err);
	while (rc == 0 && m.valid) {
		if (m.lsn > after)
			rc = visit(arg, &m.key, m.lsn, err);
		if (rc == 0)
			rc = ps_merge_next_key(&m, err);
	}
	ps_merge_release(&m);
	drop_sets(held, n);
	return rc;
}
