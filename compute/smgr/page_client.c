/* Implementation of page_client.h. */
#include "postgres.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "io/net.h"
#include "wire/page_wire.h"
#include "last_written.h"
#include "page_client.h"
#include "tarn.h"

#define CONNECT_TIMEOUT_MS 2000
#define RETRY_US 50000L
#define POLL_SLICE_MS 100
#define READ_BYTES (256 * 1024)

/* A request in flight, or one whose answer lies here. */
struct slot {
	struct page_request q;
	XLogRecPtr last_written; /* when it was asked */
	bool answered;
	bool absent;
	bool wanted; /* false: the answer is to be thrown away */
	char *page;  /* BLCKSZ; allocated with the first use of the slot */
};

static int timeout_s;

static struct {
	int fd;
	uint64_t next_id;
	struct tarn_buf out, in;
	size_t in_done; /* bytes of in already parsed */
	/* A ring of pages asked ahead: [head, head + count) modulo its size. */
	struct slot ring[TARN_PREFETCH_MAX];
	uint32 head, count;
} client = {.fd = -1, .next_id = 1};

void tarn_page_client_settings(void)
{
	DefineCustomIntVariable("tarn.pageserver_timeout",
				"How long a read waits for a pageserver that cannot be reached.",
				NULL, &timeout_s, 60, 1, 86400, PGC_USERSET, GUC_UNIT_S, NULL, NULL,
				NULL);
}

/* ---- the connection ---- */

static void disconnect(void)
{
	if (client.fd >= 0)
		close(client.fd);
	client.fd = -1;
	tarn_buf_clear(&client.out);
	tarn_buf_clear(&client.in);
	client.in_done = 0;
	client.head = client.count = 0;
}

static void wait_for(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	pgstat_report_wait_start(WAIT_EVENT_DATA_FILE_READ);
	int rc = poll(&p, 1, POLL_SLICE_MS);
	pgstat_report_wait_end();
	if (rc == 0 && IsUnderPostmaster && !PostmasterIsAlive())
		proc_exit(1);
	CHECK_FOR_INTERRUPTS();
}

static int send_all(struct tarn_error *err)
{
	size_t done = 0;
	while (done < client.out.len) {
		ssize_t n = send(client.fd, client.out.data + done, client.out.len - done,
				 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			done += (size_t)n;
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			wait_for(client.fd, POLLOUT);
		else if (errno != EINTR)
			return tarn_fail_errno(err, errno, "the pageserver closed the connection");
	}
	tarn_buf_clear(&client.out);
	return 0;
}

/* The next response; its bytes are valid until the next call. */
static int receive(struct page_response *r, struct tarn_error *err)
{
	struct frame f;
	size_t used;
	for (;;) {
		TRY(frame_parse(client.in.data + client.in_done, client.in.len - client.in_done,
				FRAME_PROTO_PAGE, PAGE_WIRE_VERSION, FRAME_MAX_PAYLOAD_BYTES, &f,
				&used, err));
		if (used > 0) {
			client.in_done += used;
			return page_parse_response(&f, r, err);
		}
		tarn_buf_consume(&client.in, client.in_done);
		client.in_done = 0;
		uint8_t *to = tarn_buf_reserve(&client.in, READ_BYTES);
		ssize_t n = recv(client.fd, to, READ_BYTES, MSG_DONTWAIT);
		if (n > 0)
			client.in.len += (size_t)n;
		else if (n == 0)
			return tarn_fail(err, TARN_E_UNAVAILABLE,
					 "the pageserver closed the connection");
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			wait_for(client.fd, POLLIN);
		else if (errno != EINTR)
			return tarn_fail_errno(err, errno, "cannot read from the pageserver");
	}
}

static int response_error(const struct page_response *r, struct tarn_error *err)
{
	return tarn_fail(err, (enum tarn_error_code)r->number, "%.*s", (int)r->bytes_len,
			 (const char *)r->bytes);
}

static int connect_once(struct tarn_error *err)
{
	struct tarn_id timeline;
	struct page_response r;
	if (!tarn_id_parse(tarn_timeline, &timeline))
		return tarn_fail(err, TARN_E_USAGE,
				 "tarn.timeline must be 32 hexadecimal digits, not \"%s\"",
				 tarn_timeline);
	TRY(net_connect(tarn_pageserver, CONNECT_TIMEOUT_MS, &client.fd, err));
	page_put_attach(&client.out, &timeline, GetSystemIdentifier());
	TRY(send_all(err));
	TRY(receive(&r, err));
	if (r.type == PAGE_MSG_ERROR)
		return response_error(&r, err);
	return r.type == PAGE_MSG_ATTACHED
		       ? 0
		       : tarn_fail(err, TARN_E_PROTOCOL, "the pageserver answered out of turn");
}

pg_attribute_noreturn() static void give_up(const struct tarn_error *e)
{
	int sqlstate =
		e->code == TARN_E_CORRUPT ? ERRCODE_DATA_CORRUPTED : ERRCODE_CONNECTION_FAILURE;
	ereport(ERROR, (errcode(sqlstate), errmsg("pageserver %s: %s", tarn_pageserver, e->message),
			errhint("Nothing is lost. `tarn status` shows the parts that are down.")));
}

static bool can_pass(const struct tarn_error *e)
{
	return e->code == TARN_E_UNAVAILABLE || e->code == TARN_E_IO || e->code == TARN_E_TIMEOUT ||
	       e->code == TARN_E_CANCELLED;
}

/* What an interrupted exchange left behind must not be taken for the next one's answer. */
static void ensure_connected(void)
{
	struct tarn_error err = {0};
	TimestampTz began = GetCurrentTimestamp();
	bool told = false;
	while (client.fd < 0) {
		int rc;
		PG_TRY();
		{
			rc = connect_once(&err);
		}
		PG_CATCH();
		{
			disconnect();
			PG_RE_THROW();
		}
		PG_END_TRY();
		if (rc == 0)
			return;
		disconnect();
		if (!can_pass(&err) ||
		    TimestampDifferenceExceeds(began, GetCurrentTimestamp(), timeout_s * 1000))
			give_up(&err);
		if (!told)
			ereport(LOG, (errmsg("tarn: waiting for the pageserver: %s", err.message)));
		told = true;
		pg_usleep(RETRY_US);
		CHECK_FOR_INTERRUPTS();
	}
}

/* ---- requests ---- */

/* The log up to there must be on its way, or the pageserver would wait for what nobody sends. */
static XLogRecPtr flushed_up_to(XLogRecPtr lsn)
{
	if (!RecoveryInProgress() && lsn > GetFlushRecPtr(NULL))
		XLogFlush(lsn);
	return lsn;
}

static struct page_request make_request(uint16_t type, const RelFileNode *rel, ForkNumber fork,
					BlockNumber block, XLogRecPtr not_modified_since)
{
	return (struct page_request){.type = type,
				     .id = client.next_id++,
				     .lsn = PAGE_LSN_LATEST,
				     .not_modified_since = not_modified_since,
				     .spc = rel->spcNode,
				     .db = rel->dbNode,
				     .rel = rel->relNode,
				     .fork = (uint8_t)fork,
				     .block = block};
}

static struct slot *slot_at(uint32 i)
{
	return &client.ring[(client.head + i) % TARN_PREFETCH_MAX];
}

static struct slot *find_slot(const RelFileNode *rel, ForkNumber fork, BlockNumber block)
{
	for (uint32 i = 0; i < client.count; i++) {
		struct slot *s = slot_at(i);
		if (s->wanted && s->q.block == block && s->q.fork == (uint8_t)fork &&
		    s->q.rel == rel->relNode && s->q.db == rel->dbNode && s->q.spc == rel->spcNode)
			return s;
	}
	return NULL;
}

static void drop_finished_slots(void)
{
	while (client.count > 0 && slot_at(0)->answered && !slot_at(0)->wanted) {
		client.head = (client.head + 1) % TARN_PREFETCH_MAX;
		client.count--;
	}
}

static struct slot *first_unanswered(void)
{
	for (uint32 i = 0; i < client.count; i++)
		if (!slot_at(i)->answered)
			return slot_at(i);
	return NULL;
}

/* An error about a page asked ahead is not told now: the page will be asked for again if needed. */
static int take_page(struct slot *s, const struct page_response *r, struct tarn_error *err)
{
	if (r->id != s->q.id)
		return tarn_fail(err, TARN_E_PROTOCOL, "the pageserver answered out of order");
	s->answered = true;
	s->absent = r->type == PAGE_MSG_ABSENT;
	if (r->type == PAGE_MSG_PAGE)
		memcpy(s->page, r->bytes, BLCKSZ);
	else if (r->type != PAGE_MSG_ABSENT)
		s->wanted = false;
	return 0;
}

/* Receives answers of pages asked ahead up to slot s, or all when NULL. */
static int drain(const struct slot *s, struct tarn_error *err)
{
	struct page_response r;
	struct slot *next;
	TRY(send_all(err));
	while ((s == NULL || !s->answered) && (next = first_unanswered()) != NULL) {
		TRY(receive(&r, err));
		TRY(take_page(next, &r, err));
	}
	return 0;
}

/* One request and its answer, after those in flight. */
static int exchange(const struct page_request *q, char *page, uint64_t *number, bool *absent,
		    struct tarn_error *err)
{
	struct page_response r;
	page_put_request(&client.out, q);
	TRY(drain(NULL, err));
	TRY(receive(&r, err));
	if (r.type == PAGE_MSG_ERROR)
		return response_error(&r, err);
	if (r.id != q->id)
		return tarn_fail(err, TARN_E_PROTOCOL, "the pageserver answered out of order");
	*absent = r.type == PAGE_MSG_ABSENT;
	*number = r.number;
	if (page && r.type == PAGE_MSG_PAGE)
		memcpy(page, r.bytes, BLCKSZ);
	return 0;
}

/* Again on a new connection when the old one broke; an error answered by the pageserver is final,
 * but for those that pass. */
static void ask(struct page_request *q, char *page, uint64_t *number, bool *absent)
{
	TimestampTz began = GetCurrentTimestamp();
	struct tarn_error err = {0};
	for (;;) {
		int rc;
		ensure_connected();
		PG_TRY();
		{
			rc = exchange(q, page, number, absent, &err);
		}
		PG_CATCH();
		{
			disconnect();
			PG_RE_THROW();
		}
		PG_END_TRY();
		if (rc == 0)
			return;
		disconnect();
		if (!can_pass(&err) ||
		    TimestampDifferenceExceeds(began, GetCurrentTimestamp(), timeout_s * 1000))
			give_up(&err);
		pg_usleep(RETRY_US);
		CHECK_FOR_INTERRUPTS();
	}
}

/* The answer of a page asked ahead, if there is one and it is still good. */
static bool take_prefetched(const RelFileNode *rel, ForkNumber fork, BlockNumber block,
			    XLogRecPtr last_written, char *page, bool *absent)
{
	struct slot *s = find_slot(rel, fork, block);
	struct tarn_error err;
	int rc = 0;
	if (!s)
		return false;
	PG_TRY();
	{
		rc = drain(s, &err);
	}
	PG_CATCH();
	{
		disconnect();
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (rc != 0) {
		disconnect();
		return false;
	}
	bool good = s->wanted && s->last_written == last_written;
	if (good && !s->absent)
		memcpy(page, s->page, BLCKSZ);
	*absent = s->absent;
	s->wanted = false;
	drop_finished_slots();
	return good;
}

bool tarn_page_get(const RelFileNode *rel, ForkNumber fork, BlockNumber block, char *page)
{
	XLogRecPtr last_written = tarn_last_written(rel, fork, block);
	bool absent;
	uint64_t number;
	if (take_prefetched(rel, fork, block, last_written, page, &absent))
		return !absent;
	struct page_request q =
		make_request(PAGE_MSG_GETPAGE, rel, fork, block, flushed_up_to(last_written));
	ask(&q, page, &number, &absent);
	drop_finished_slots();
	return !absent;
}

bool tarn_page_asked(const RelFileNode *rel, ForkNumber fork, BlockNumber block)
{
	return find_slot(rel, fork, block) != NULL;
}

/* Room for one more: an answered page that nobody came for is the first to go. */
static bool make_room(void)
{
	drop_finished_slots();
	if (client.count < TARN_PREFETCH_MAX)
		return true;
	if (!slot_at(0)->answered)
		return false;
	slot_at(0)->wanted = false;
	drop_finished_slots();
	return true;
}

bool tarn_page_prefetch(const RelFileNode *rel, ForkNumber fork, BlockNumber block)
{
	if (client.fd < 0 || !make_room())
		return false;
	XLogRecPtr last_written = tarn_last_written(rel, fork, block);
	struct slot *s = slot_at(client.count);
	if (!s->page)
		s->page = MemoryContextAlloc(TopMemoryContext, BLCKSZ);
	s->last_written = last_written;
	s->answered = s->absent = false;
	s->wanted = true;
	s->q = make_request(PAGE_MSG_GETPAGE, rel, fork, block, flushed_up_to(last_written));
	page_put_request(&client.out, &s->q);
	client.count++;
	/* What the socket does not take now goes with the next exchange. */
	ssize_t n = send(client.fd, client.out.data, client.out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0)
		tarn_buf_consume(&client.out, (size_t)n);
	return true;
}

bool tarn_page_nblocks(const RelFileNode *rel, ForkNumber fork, BlockNumber *nblocks)
{
	bool absent;
	uint64_t number;
	XLogRecPtr lsn = tarn_last_written(rel, fork, InvalidBlockNumber);
	struct page_request q = make_request(PAGE_MSG_NBLOCKS, rel, fork, 0, flushed_up_to(lsn));
	ask(&q, NULL, &number, &absent);
	if (!absent && number >= InvalidBlockNumber)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("the pageserver says that relation %u/%u/%u has more blocks "
				       "than a relation can have",
				       rel->spcNode, rel->dbNode, rel->relNode)));
	*nblocks = absent ? 0 : (BlockNumber)number;
	return !absent;
}

uint64 tarn_page_database_bytes(Oid spc, Oid db)
{
	RelFileNode rel = {spc, db, 0};
	bool absent;
	uint64_t number;
	/* The newest log counts: the size of a database has no LSN of its own. */
	struct page_request q = make_request(PAGE_MSG_DBSIZE, &rel, MAIN_FORKNUM, 0,
					     flushed_up_to(tarn_newest_record_end()));
	ask(&q, NULL, &number, &absent);
	return absent ? 0 : number;
}
