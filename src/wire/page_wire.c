/* Implementation of page_wire.h. */
#include "base/system.h"
#include "wire/page_wire.h"

static size_t begin(struct tarn_buf *b, uint16_t type)
{
	return frame_begin(b, FRAME_PROTO_PAGE, PAGE_WIRE_VERSION, type);
}

static int finish(struct tarn_reader *r, struct tarn_error *err)
{
	if (r->failed || tarn_reader_left(r) != 0)
		return tarn_fail(err, TARN_E_PROTOCOL,
				 "a message of the page protocol has the wrong length");
	return 0;
}

void page_put_attach(struct tarn_buf *b, const struct tarn_id *timeline, uint64_t system_identifier)
{
	size_t s = begin(b, PAGE_MSG_ATTACH);
	tarn_buf_put(b, timeline->bytes, sizeof timeline->bytes);
	tarn_buf_put_le64(b, system_identifier);
	frame_end(b, s);
}

int page_parse_attach(const struct frame *f, struct tarn_id *timeline, uint64_t *system_identifier,
		      struct tarn_error *err)
{
	struct tarn_reader r;
	tarn_reader_init(&r, f->payload, f->payload_len);
	if (f->type != PAGE_MSG_ATTACH)
		return tarn_fail(err, TARN_E_PROTOCOL,
				 "the first message must attach a timeline, got type %u", f->type);
	tarn_reader_copy(&r, timeline->bytes, sizeof timeline->bytes);
	*system_identifier = tarn_reader_le64(&r);
	return finish(&r, err);
}

void page_put_request(struct tarn_buf *b, const struct page_request *q)
{
	size_t s = begin(b, q->type);
	tarn_buf_put_le64(b, q->id);
	tarn_buf_put_le64(b, q->lsn);
	tarn_buf_put_le64(b, q->not_modified_since);
	tarn_buf_put_le32(b, q->spc);
	tarn_buf_put_le32(b, q->db);
	tarn_buf_put_le32(b, q->rel);
	tarn_buf_put_u8(b, q->fork);
	tarn_buf_put_le32(b, q->block);
	frame_end(b, s);
}

int page_parse_request(const struct frame *f, struct page_request *q, struct tarn_error *err)
{
	struct tarn_reader r;
	tarn_reader_init(&r, f->payload, f->payload_len);
	if (f->type < PAGE_MSG_GETPAGE || f->type > PAGE_MSG_SLRU)
		return tarn_fail(err, TARN_E_PROTOCOL, "unknown request type %u", f->type);
	q->type = f->type;
	q->id = tarn_reader_le64(&r);
	q->lsn = tarn_reader_le64(&r);
	q->not_modified_since = tarn_reader_le64(&r);
	q->spc = tarn_reader_le32(&r);
	q->db = tarn_reader_le32(&r);
	q->rel = tarn_reader_le32(&r);
	q->fork = tarn_reader_u8(&r);
	q->block = tarn_reader_le32(&r);
	return finish(&r, err);
}

void page_put_basebackup(struct tarn_buf *b, uint64_t id, tarn_lsn lsn)
{
	size_t s = begin(b, PAGE_MSG_BASEBACKUP);
	tarn_buf_put_le64(b, id);
	tarn_buf_put_le64(b, lsn);
	tarn_buf_put_le64(b, 0);
	frame_end(b, s);
}

int page_parse_basebackup(const struct frame *f, uint64_t *id, tarn_lsn *lsn,
			  struct tarn_error *err)
{
	struct tarn_reader r;
	tarn_reader_init(&r, f->payload, f->payload_len);
	*id = tarn_reader_le64(&r);
	*lsn = tarn_reader_le64(&r);
	if (tarn_reader_le64(&r) != 0)
		return tarn_fail(err, TARN_E_PROTOCOL, "unknown basebackup flags");
	return finish(&r, err);
}

void page_put_attached(struct tarn_buf *b, tarn_lsn last_record_lsn)
{
	size_t s = begin(b, PAGE_MSG_ATTACHED);
	tarn_buf_put_le64(b, last_record_lsn);
	frame_end(b, s);
}

void page_put_answer(struct tarn_buf *b, uint16_t type, uint64_t id, uint64_t number,
		     const void *bytes, size_t len)
{
	size_t s = begin(b, type);
	tarn_buf_put_le64(b, id);
	tarn_buf_put_le64(b, number);
	tarn_buf_put(b, bytes, len);
	frame_end(b, s);
}

void page_put_error(struct tarn_buf *b, uint64_t id, const struct tarn_error *e)
{
	page_put_answer(b, PAGE_MSG_ERROR, id, (uint64_t)e->code, e->message, strlen(e->message));
}

void page_put_base_info(struct tarn_buf *b, uint64_t id, tarn_lsn lsn, tarn_lsn prev_lsn)
{
	size_t s = begin(b, PAGE_MSG_BASE_INFO);
	tarn_buf_put_le64(b, id);
	tarn_buf_put_le64(b, lsn);
	tarn_buf_put_le64(b, prev_lsn);
	frame_end(b, s);
}

void page_put_file(struct tarn_buf *b, uint64_t id, const char *path, uint64_t offset,
		   const void *bytes, size_t len)
{
	size_t s = begin(b, PAGE_MSG_FILE);
	size_t path_len = strlen(path);
	TARN_CHECK(path_len < sizeof((struct page_response *)0)->path);
	tarn_buf_put_le64(b, id);
	tarn_buf_put_le64(b, offset);
	tarn_buf_put_le16(b, (uint16_t)path_len);
	tarn_buf_put(b, path, path_len);
	tarn_buf_put(b, bytes, len);
	frame_end(b, s);
}

static void parse_file(struct tarn_reader *r, struct page_response *out)
{
	size_t path_len = tarn_reader_le16(r);
	if (path_len == 0 || path_len >= sizeof out->path) {
		r->failed = true;
		return;
	}
	tarn_reader_copy(r, out->path, path_len);
	out->path[path_len] = '\0';
	if (strlen(out->path) != path_len)
		r->failed = true;
}

int page_parse_response(const struct frame *f, struct page_response *out, struct tarn_error *err)
{
	struct tarn_reader r;
	memset(out, 0, sizeof *out);
	tarn_reader_init(&r, f->payload, f->payload_len);
	out->type = f->type;
	if (f->type < PAGE_MSG_ATTACHED || f->type > PAGE_MSG_ERROR)
		return tarn_fail(err, TARN_E_PROTOCOL, "unknown response type %u", f->type);
	if (f->type == PAGE_MSG_ATTACHED) {
		out->number = tarn_reader_le64(&r);
		return finish(&r, err);
	}
	out->id = tarn_reader_le64(&r);
	out->number = tarn_reader_le64(&r);
	if (f->type == PAGE_MSG_BASE_INFO) {
		out->lsn = out->number;
		out->prev_lsn = tarn_reader_le64(&r);
		return finish(&r, err);
	}
	if (f->type == PAGE_MSG_FILE)
		parse_file(&r, out);
	out->bytes_len = tarn_reader_left(&r);
	out->bytes = tarn_reader_bytes(&r, out->bytes_len);
	if (f->type == PAGE_MSG_PAGE && out->bytes_len != PAGE_BYTES)
		r.failed = true;
	return finish(&r, err);
}
