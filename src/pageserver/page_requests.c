/* The page protocol's requests: from a frame to the answers in the connection's buffer. */
#include "base/system.h"
#include "base/log.h"
#include "pageserver/basebackup.h"
#include "pageserver/page_service_internal.h"

#define WAIT_TIMEOUT_US (60 * (uint64_t)1000000)
#define WAIT_SLICE_MS 250
#define HISTORY_CHECK_US 1000000u
#define REQUEST_MAX_PAYLOAD_BYTES 256
#define FLUSH_BYTES (256 * KIB)

static int attach(struct page_conn *c, const struct frame *f, struct tarn_error *err)
{
	uint64_t system_identifier, ours = ps_store_system_identifier(c->ps->store);
	TRY(page_parse_attach(f, &c->timeline, &system_identifier, err));
	c->tl = ps_timeline_find(c->ps->store, &c->timeline);
	char id[TARN_ID_TEXT_BYTES];
	tarn_id_format(&c->timeline, id);
	if (!c->tl)
		return tarn_fail(err, TARN_E_NOT_FOUND, "this pageserver has no timeline %s", id);
	if (system_identifier != ours) {
		c->tl = NULL;
		return tarn_fail(err, TARN_E_CONFLICT,
				 "timeline %s belongs to system %" PRIu64
				 ", the client is of %" PRIu64
				 ": it was started on another project's data",
				 id, ours, system_identifier);
	}
	page_put_attached(&c->out, ps_timeline_last_record_lsn(c->tl));
	return 0;
}

static void put_error(struct page_conn *c, uint64_t id, const struct tarn_error *e)
{
	tarn_counter_add(c->errors, 1);
	if (e->code == TARN_E_CORRUPT || e->code == TARN_E_INTERNAL || e->code == TARN_E_IO)
		log_error("page request failed", "reason=\"%s\"", e->message);
	page_put_error(&c->out, id, e);
}

/* ---- the LSN at which a request is answered ---- */

/* Old versions of what lies behind the history window may be gone. */
static int check_history(struct page_conn *c, tarn_lsn lsn, struct tarn_error *err)
{
	uint64_t now_us = tarn_mono_us();
	if (now_us - c->history_checked_us > HISTORY_CHECK_US) {
		struct ps_timeline_info info;
		ps_timeline_info(c->tl, &info);
		c->history_lsn = info.history_lsn;
		c->history_checked_us = now_us;
	}
	if (lsn >= c->history_lsn)
		return 0;
	return tarn_fail(err, TARN_E_NOT_FOUND,
			 "LSN " TARN_LSN_FMT
			 " lies before the history kept, which begins at " TARN_LSN_FMT,
			 TARN_LSN_ARGS(lsn), TARN_LSN_ARGS(c->history_lsn));
}

/* Up to where the log must have been ingested. */
static tarn_lsn needed_lsn(const struct page_request *q)
{
	return TARN_MIN(q->not_modified_since, q->lsn);
}

static bool must_wait(const struct page_conn *c, const struct page_request *q)
{
	return needed_lsn(q) > ps_timeline_last_record_lsn(c->tl);
}

/* In slices, so that a stop or the end of the timeline does not wait with it. */
static int wait_for_lsn(struct page_conn *c, tarn_lsn lsn, struct tarn_error *err)
{
	uint64_t deadline_us = tarn_mono_us() + WAIT_TIMEOUT_US;
	for (;;) {
		if (c->ps->want_wal)
			c->ps->want_wal(c->ps->want_wal_arg, c->tl);
		int rc = ps_timeline_wait(c->tl, lsn, WAIT_SLICE_MS, err);
		if (rc != TARN_E_TIMEOUT)
			return rc;
		if (page_service_stopping(c->service))
			return tarn_fail(err, TARN_E_CANCELLED, "the pageserver is stopping");
		if (ps_timeline_find(c->ps->store, &c->timeline) != c->tl)
			return tarn_fail(err, TARN_E_NOT_FOUND, "the timeline has been deleted");
		if (tarn_mono_us() >= deadline_us)
			return tarn_fail(err, TARN_E_TIMEOUT,
					 "WAL up to " TARN_LSN_FMT
					 " did not arrive within %u s; the pageserver has it up "
					 "to " TARN_LSN_FMT ": are the safekeepers reachable?",
					 TARN_LSN_ARGS(lsn), (unsigned)(WAIT_TIMEOUT_US / 1000000),
					 TARN_LSN_ARGS(ps_timeline_last_record_lsn(c->tl)));
	}
}

static int settle_lsn(struct page_conn *c, const struct page_request *q, tarn_lsn *lsn,
		      struct tarn_error *err)
{
	if (must_wait(c, q)) {
		TRY(page_conn_flush(c, err));
		TRY(wait_for_lsn(c, needed_lsn(q), err));
	}
	*lsn = TARN_MIN(q->lsn, ps_timeline_last_record_lsn(c->tl));
	return q->lsn == PAGE_LSN_LATEST ? 0 : check_history(c, *lsn, err);
}

/* ---- pages ---- */

struct batch {
	size_t count;
	struct page_request asked[PS_MAX_PAGES_PER_CALL];
	struct page_want wants[PS_MAX_PAGES_PER_CALL];
	struct tarn_error errors[PS_MAX_PAGES_PER_CALL];
	int rc[PS_MAX_PAGES_PER_CALL];
};

static struct page_want page_wanted(const struct page_request *q, tarn_lsn lsn)
{
	return (struct page_want){
		.key = {.kind = PS_KIND_REL,
			.spc = q->spc,
			.db = q->db,
			.rel = q->rel,
			.fork = q->fork,
			.block = q->block},
		.lsn = lsn,
		.check_size = true,
	};
}

/* All together; if that fails, one by one, so that a damaged page disturbs no other. */
static void rebuild_batch(struct page_conn *c, struct batch *b)
{
	struct tarn_error err = {0};
	uint64_t began_us = tarn_mono_us();
	tarn_buf_clear(&c->pages);
	uint8_t *to = tarn_buf_reserve(&c->pages, b->count * PAGE_BYTES);
	for (size_t i = 0; i < b->count; i++)
		b->wants[i].out = to + i * PAGE_BYTES;
	int rc = ps_get_pages(c->ps, c->tl, b->wants, b->count, &err);
	for (size_t i = 0; i < b->count; i++) {
		b->rc[i] = rc;
		if (rc != 0 && b->count > 1)
			b->rc[i] = ps_get_pages(c->ps, c->tl, &b->wants[i], 1, &b->errors[i]);
		else if (rc != 0)
			b->errors[i] = err;
	}
	tarn_histogram_observe_us(c->getpage_us, tarn_mono_us() - began_us);
}

static void answer_batch(struct page_conn *c, struct batch *b)
{
	for (size_t i = 0; i < b->count; i++) {
		uint64_t id = b->asked[i].id;
		if (b->rc[i] != 0)
			put_error(c, id, &b->errors[i]);
		else if (b->wants[i].absent)
			page_put_answer(&c->out, PAGE_MSG_ABSENT, id, 0, NULL, 0);
		else
			page_put_answer(&c->out, PAGE_MSG_PAGE, id, 0, b->wants[i].out, PAGE_BYTES);
	}
}

/* Adds a GETPAGE if it can be answered together with those in the batch. The first one may have to
 * wait for its LSN. A request that is answered with an error ends the batch. */
static bool add_to_batch(struct page_conn *c, struct batch *b, const struct page_request *q,
			 struct tarn_error *err)
{
	tarn_lsn lsn;
	if (b->count == PS_MAX_PAGES_PER_CALL || (b->count > 0 && must_wait(c, q)))
		return false;
	if (settle_lsn(c, q, &lsn, err) != 0)
		return false;
	b->asked[b->count] = *q;
	b->wants[b->count++] = page_wanted(q, lsn);
	return true;
}

static int next_frame(const uint8_t *data, size_t len, struct frame *f, size_t *used,
		      struct tarn_error *err)
{
	return frame_parse(data, len, FRAME_PROTO_PAGE, PAGE_WIRE_VERSION,
			   REQUEST_MAX_PAYLOAD_BYTES, f, used, err);
}

/* first is a GETPAGE whose frame took *used bytes; takes the GETPAGEs that follow it in data. */
static int handle_pages(struct page_conn *c, const struct page_request *first, const uint8_t *data,
			size_t len, size_t *used, struct tarn_error *err)
{
	struct batch b;
	struct page_request q = *first;
	struct frame f;
	struct tarn_error e = {0};
	size_t n;
	b.count = 0;
	if (!add_to_batch(c, &b, &q, &e)) {
		put_error(c, q.id, &e);
		return 0;
	}
	for (;;) {
		/* what is wrong with a later frame is said when its turn comes */
		if (next_frame(data + *used, len - *used, &f, &n, &e) != 0 || n == 0 ||
		    f.type != PAGE_MSG_GETPAGE || page_parse_request(&f, &q, &e) != 0 ||
		    !add_to_batch(c, &b, &q, &e))
			break;
		*used += n;
	}
	tarn_counter_add(c->requests[PAGE_MSG_GETPAGE], b.count);
	rebuild_batch(c, &b);
	answer_batch(c, &b);
	return c->out.len > FLUSH_BYTES ? page_conn_flush(c, err) : 0;
}

/* ---- the others ---- */

static int answer_nblocks(struct page_conn *c, const struct page_request *q, tarn_lsn lsn,
			  struct tarn_error *err)
{
	struct ps_relation rel = {q->spc, q->db, q->rel};
	uint32_t nblocks;
	bool absent;
	TRY(ps_rel_nblocks(c->ps, c->tl, &rel, q->fork, lsn, &nblocks, &absent, err));
	page_put_answer(&c->out, absent ? PAGE_MSG_ABSENT : PAGE_MSG_NUMBER, q->id, nblocks, NULL,
			0);
	return 0;
}

static int answer_dbsize(struct page_conn *c, const struct page_request *q, tarn_lsn lsn,
			 struct tarn_error *err)
{
	uint64_t bytes;
	TRY(ps_database_bytes(c->ps, c->tl, q->spc, q->db, lsn, &bytes, err));
	page_put_answer(&c->out, PAGE_MSG_NUMBER, q->id, bytes, NULL, 0);
	return 0;
}

static int answer_slru(struct page_conn *c, const struct page_request *q, tarn_lsn lsn,
		       struct tarn_error *err)
{
	struct tarn_buf segment = TARN_BUF_INIT;
	bool absent;
	if (q->rel > PAGE_SLRU_MULTI_MEMBERS)
		return tarn_fail(err, TARN_E_USAGE, "there is no SLRU %u", q->rel);
	int rc = ps_slru_segment(c->ps, c->tl, (enum page_slru)q->rel, q->block, lsn, &segment,
				 &absent, err);
	if (rc == 0)
		page_put_answer(&c->out, absent ? PAGE_MSG_ABSENT : PAGE_MSG_BLOB, q->id, 0,
				segment.data, segment.len);
	tarn_buf_release(&segment);
	return rc;
}

static int handle_other(struct page_conn *c, const struct page_request *q, struct tarn_error *err)
{
	tarn_lsn lsn;
	struct tarn_error e = {0};
	int rc = settle_lsn(c, q, &lsn, &e);
	tarn_counter_add(c->requests[q->type], 1);
	if (rc == 0 && q->type == PAGE_MSG_NBLOCKS)
		rc = answer_nblocks(c, q, lsn, &e);
	else if (rc == 0 && q->type == PAGE_MSG_DBSIZE)
		rc = answer_dbsize(c, q, lsn, &e);
	else if (rc == 0)
		rc = answer_slru(c, q, lsn, &e);
	if (rc != 0)
		put_error(c, q->id, &e);
	return c->out.len > FLUSH_BYTES ? page_conn_flush(c, err) : 0;
}

static int send_part(void *arg, const struct tarn_buf *frames, struct tarn_error *err)
{
	struct page_conn *c = arg;
	tarn_buf_put(&c->out, frames->data, frames->len);
	if (page_service_stopping(c->service))
		return tarn_fail(err, TARN_E_CANCELLED, "the pageserver is stopping");
	return c->out.len > FLUSH_BYTES ? page_conn_flush(c, err) : 0;
}

static int handle_basebackup(struct page_conn *c, const struct frame *f, struct tarn_error *err)
{
	struct page_request q = {.type = PAGE_MSG_BASEBACKUP};
	struct tarn_error e = {0};
	tarn_lsn lsn;
	TRY(page_parse_basebackup(f, &q.id, &q.lsn, err));
	tarn_counter_add(c->requests[PAGE_MSG_BASEBACKUP], 1);
	q.not_modified_since = q.lsn == PAGE_LSN_LATEST ? 0 : q.lsn;
	int rc = settle_lsn(c, &q, &lsn, &e);
	if (rc == 0)
		rc = basebackup_send(c->ps, c->tl, q.id, lsn, send_part, c, &e);
	if (rc != 0)
		put_error(c, q.id, &e);
	return page_conn_flush(c, err);
}

int page_conn_handle(struct page_conn *c, const uint8_t *data, size_t len, size_t *used,
		     struct tarn_error *err)
{
	struct frame f;
	struct page_request q;
	TRY(next_frame(data, len, &f, used, err));
	if (*used == 0)
		return 0;
	if (!c->tl || f.type == PAGE_MSG_ATTACH) {
		struct tarn_error e = {0};
		tarn_counter_add(c->requests[PAGE_MSG_ATTACH], 1);
		if (c->tl)
			return tarn_fail(err, TARN_E_PROTOCOL,
					 "a second timeline was attached on one connection");
		int rc = attach(c, &f, &e);
		if (rc == 0)
			return 0;
		/* told, then the end: nothing else can be asked here */
		put_error(c, 0, &e);
		TRY(page_conn_flush(c, err));
		if (err)
			*err = e;
		return rc;
	}
	if (f.type == PAGE_MSG_BASEBACKUP)
		return handle_basebackup(c, &f, err);
	TRY(page_parse_request(&f, &q, err));
	if (q.type == PAGE_MSG_GETPAGE)
		return handle_pages(c, &q, data, len, used, err);
	return handle_other(c, &q, err);
}
