/* Implementation of source_pageserver.h. */
#include "base/system.h"
#include "lake/source_pageserver.h"

static struct ps_relation relation(const struct lake_rel *rel)
{
	return (struct ps_relation){rel->spc, rel->db, rel->rel};
}

static int get_page(void *arg, const struct lake_rel *rel, uint8_t fork, uint32_t block,
		    tarn_lsn lsn, uint8_t out[8192], bool *absent, struct tarn_error *err)
{
	struct lake_source_pageserver *s = arg;
	struct ps_relation r = relation(rel);
	return ps_get_page(s->ps, s->tl, &r, fork, block, lsn, out, absent, err);
}

static int get_pages(void *arg, const struct lake_rel *rel, uint8_t fork, const uint32_t *blocks,
		     uint32_t count, tarn_lsn lsn, uint8_t *out, bool *absent,
		     struct tarn_error *err)
{
	struct lake_source_pageserver *s = arg;
	struct ps_relation r = relation(rel);
	_Static_assert(LAKE_SOURCE_MAX_PAGES <= PS_MAX_BLOCKS_PER_CALL, "one call");
	return ps_get_blocks(s->ps, s->tl, &r, fork, blocks, count, lsn, out, absent, err);
}

static int nblocks(void *arg, const struct lake_rel *rel, uint8_t fork, tarn_lsn lsn, uint32_t *out,
		   bool *absent, struct tarn_error *err)
{
	struct lake_source_pageserver *s = arg;
	struct ps_relation r = relation(rel);
	return ps_rel_nblocks(s->ps, s->tl, &r, fork, lsn, out, absent, err);
}

static int slru_page(void *arg, int slru, uint32_t page, tarn_lsn lsn, uint8_t out[8192],
		     bool *absent, struct tarn_error *err)
{
	struct lake_source_pageserver *s = arg;
	struct ps_key key = {.kind = PS_KIND_SLRU, .rel = (uint32_t)slru, .block = page};
	return ps_get_key_page(s->ps, s->tl, &key, lsn, out, absent, err);
}

static int relmap(void *arg, uint32_t spc, uint32_t db, tarn_lsn lsn, uint8_t out[512],
		  bool *absent, struct tarn_error *err)
{
	struct lake_source_pageserver *s = arg;
	return ps_relmap(s->ps, s->tl, spc, db, lsn, out, absent, err);
}

struct touched_visit {
	int (*visit)(void *visit_arg, uint32_t block, struct tarn_error *e);
	void *arg;
};

static int visit_key(void *arg, const struct ps_key *key, tarn_lsn newest, struct tarn_error *e)
{
	const struct touched_visit *v = arg;
	(void)newest;
	return v->visit(v->arg, key->block, e);
}

static int touched(void *arg, const struct lake_rel *rel, uint8_t fork, tarn_lsn after,
		   tarn_lsn upto,
		   int (*visit)(void *visit_arg, uint32_t block, struct tarn_error *e),
		   void *visit_arg, struct tarn_error *err)
{
	struct lake_source_pageserver *s = arg;
	struct touched_visit v = {visit, visit_arg};
	struct ps_timeline_info info;
	struct ps_key from = {
		.kind = PS_KIND_REL, .spc = rel->spc, .db = rel->db, .rel = rel->rel, .fork = fork};
	struct ps_key to = from;
	to.fork++;
	ps_timeline_info(s->tl, &info);
	if (after < info.history_lsn)
		return tarn_fail(err, TARN_E_NOT_FOUND, "history begins at " TARN_LSN_FMT,
				 TARN_LSN_ARGS(info.history_lsn));
	return ps_timeline_touched(s->tl, &from, &to, after, upto, visit_key, &v, err);
}

static int wait_lsn(void *arg, tarn_lsn lsn, int timeout_ms, struct tarn_error *err)
{
	struct lake_source_pageserver *s = arg;
	return ps_wait(s->ps, s->tl, lsn, timeout_ms, err);
}

static tarn_lsn last_lsn(void *arg)
{
	struct lake_source_pageserver *s = arg;
	return ps_timeline_last_record_lsn(s->tl);
}

struct lake_source lake_source_pageserver(struct lake_source_pageserver *arg)
{
	return (struct lake_source){.arg = arg,
				    .get_page = get_page,
				    .get_pages = get_pages,
				    .nblocks = nblocks,
				    .slru_page = slru_page,
				    .relmap = relmap,
				    .touched = touched,
				    .wait = wait_lsn,
				    .last_lsn = last_lsn};
}
