/*
 * Framing shared by Tarn's own protocols (compute ↔ pageserver, compute ↔ safekeeper, …).
 *
 *   u32 payload_len | u8 protocol | u8 version | u16 type | u32 crc32c | payload
 *
 * little-endian; the crc covers the first 8 bytes and the payload. The layout is pure (no socket):
 * frame_begin/frame_end build into a tarn_buf, frame_parse reads from bytes already received, so
 * event loops, threads, the compute module and the simulator share it.
 */
#ifndef TARN_IO_FRAME_H
#define TARN_IO_FRAME_H

#include "base/buf.h"
#include "base/error.h"

#define FRAME_HEADER_BYTES 12
#define FRAME_MAX_PAYLOAD_BYTES (16 * MIB)

enum frame_protocol {
	FRAME_PROTO_PAGE = 'P',	 /* compute ↔ pageserver, wire/page_wire.h */
	FRAME_PROTO_QUORUM = 'Q' /* proposer, readers ↔ safekeeper, wire/quorum_wire.h */
};

struct frame {
	uint8_t protocol;
	uint8_t version;
	uint16_t type;
	const uint8_t *payload; /* inside the parsed buffer */
	size_t payload_len;
};

/* Starts a frame at the end of b and returns its offset, to be given to frame_end. */
size_t frame_begin(struct tarn_buf *b, uint8_t protocol, uint8_t version, uint16_t type);
void frame_end(struct tarn_buf *b, size_t start);
/* Looks at the bytes: *consumed = 0 when more are needed. Fails with TARN_E_PROTOCOL on a length
 * above max_payload, a foreign protocol or version, or a wrong checksum. */
int frame_parse(const uint8_t *data, size_t len, uint8_t protocol, uint8_t version,
		size_t max_payload, struct frame *out, size_t *consumed, struct tarn_error *err);
/* Blocking: one whole frame from fd into storage (cleared first). eof_ok as in net_read_full. */
int frame_read(int fd, uint8_t protocol, uint8_t version, size_t max_payload,
	       struct tarn_buf *storage, struct frame *out, bool eof_ok, struct tarn_error *err);

#endif
