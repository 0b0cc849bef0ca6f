/* Implementation of quorum_wire.h. */
#include "base/system.h"
#include "wire/quorum_wire.h"

void quorum_put(struct tarn_buf *b, const struct quorum_msg *m)
{
	size_t start = frame_begin(b, FRAME_PROTO_QUORUM, QUORUM_WIRE_VERSION, m->type);
	TARN_CHECK(m->history.count <= QUORUM_MAX_HISTORY && m->bytes_len <= QUORUM_MAX_DATA_BYTES);
	tarn_buf_put(b, m->timeline.bytes, sizeof m->timeline.bytes);
	tarn_buf_put_le64(b, m->system_identifier);
	tarn_buf_put_le64(b, m->term);
	tarn_buf_put_le64(b, m->proposer);
	tarn_buf_put_le64(b, m->last_log_term);
	tarn_buf_put_le64(b, m->begin_lsn);
	tarn_buf_put_le64(b, m->flush_lsn);
	tarn_buf_put_le64(b, m->commit_lsn);
	tarn_buf_put_le64(b, m->start_lsn);
	tarn_buf_put_le32(b, m->flags);
	tarn_buf_put_le32(b, m->history.count);
	for (uint32_t i = 0; i < m->history.count; i++) {
		tarn_buf_put_le64(b, m->history.entries[i].term);
		tarn_buf_put_le64(b, m->history.entries[i].lsn);
	}
	tarn_buf_put(b, m->bytes, m->bytes_len);
	frame_end(b, start);
}

int quorum_parse(const struct frame *f, struct quorum_msg *out, struct tarn_error *err)
{
	struct tarn_reader r;
	tarn_reader_init(&r, f->payload, f->payload_len);
	out->type = f->type;
	tarn_reader_copy(&r, out->timeline.bytes, sizeof out->timeline.bytes);
	out->system_identifier = tarn_reader_le64(&r);
	out->term = tarn_reader_le64(&r);
	out->proposer = tarn_reader_le64(&r);
	out->last_log_term = tarn_reader_le64(&r);
	out->begin_lsn = tarn_reader_le64(&r);
	out->flush_lsn = tarn_reader_le64(&r);
	out->commit_lsn = tarn_reader_le64(&r);
	out->start_lsn = tarn_reader_le64(&r);
	out->flags = tarn_reader_le32(&r);
	out->history.count = tarn_reader_le32(&r);
	if (out->history.count > QUORUM_MAX_HISTORY)
		return tarn_fail(err, TARN_E_PROTOCOL, "a term history of %u entries is too long",
				 out->history.count);
	for (uint32_t i = 0; i < out->history.count; i++) {
		out->history.entries[i].term = tarn_reader_le64(&r);
		out->history.entries[i].lsn = tarn_reader_le64(&r);
	}
	if (r.failed)
		return tarn_fail(err, TARN_E_PROTOCOL, "message %u is cut short", f->type);
	for (uint32_t i = 1; i < out->history.count; i++)
		if (out->history.entries[i].term <= out->history.entries[i - 1].term ||
		    out->history.entries[i].lsn < out->history.entries[i - 1].lsn)
			return tarn_fail(err, TARN_E_PROTOCOL, "a term history is out of order");
	out->bytes_len = tarn_reader_left(&r);
	out->bytes = tarn_reader_bytes(&r, out->bytes_len);
	if (out->bytes_len > QUORUM_MAX_DATA_BYTES)
		return tarn_fail(err, TARN_E_PROTOCOL, "message %u carries %zu bytes", f->type,
				 out->bytes_len);
	return 0;
}

int quorum_error(const struct quorum_msg *m, struct tarn_error *err)
{
	enum tarn_error_code code = m->term > 0 && m->term <= TARN_E_INTERNAL
					    ? (enum tarn_error_code)m->term
					    : TARN_E_PROTOCOL;
	return tarn_fail(err, code, "safekeeper: %.*s", (int)TARN_MIN(m->bytes_len, 400),
			 (const char *)m->bytes);
}
