/* Implementation of frame.h. */
#include "base/system.h"
#include "base/crc.h"
#include "io/frame.h"
#include "io/net.h"

size_t frame_begin(struct tarn_buf *b, uint8_t protocol, uint8_t version, uint16_t type)
{
	size_t start = b->len;
	tarn_buf_put_le32(b, 0);
	tarn_buf_put_u8(b, protocol);
	tarn_buf_put_u8(b, version);
	tarn_buf_put_le16(b, type);
	tarn_buf_put_le32(b, 0);
	return start;
}

static uint32_t frame_crc(const uint8_t *header, const void *payload, size_t len)
{
	return tarn_crc32c_extend(tarn_crc32c(header, 8), payload, len);
}

void frame_end(struct tarn_buf *b, size_t start)
{
	uint8_t *h = b->data + start;
	size_t len = b->len - start - FRAME_HEADER_BYTES;
	TARN_CHECK(len <= FRAME_MAX_PAYLOAD_BYTES);
	put_le32(h, (uint32_t)len);
	put_le32(h + 8, frame_crc(h, h + FRAME_HEADER_BYTES, len));
}

static int check_header(const uint8_t *h, uint8_t protocol, uint8_t version, size_t max_payload,
			struct tarn_error *err)
{
	if (h[4] != protocol)
		return tarn_fail(err, TARN_E_PROTOCOL,
				 "these bytes are not Tarn's protocol '%c'; is the address right?",
				 protocol);
	if (h[5] != version)
		return tarn_fail(err, TARN_E_PROTOCOL,
				 "the peer speaks version %u of protocol '%c', this build version "
				 "%u: run the same version of Tarn everywhere",
				 h[5], protocol, version);
	if (get_le32(h) > max_payload)
		return tarn_fail(err, TARN_E_PROTOCOL,
				 "a message of %" PRIu32 " bytes exceeds the limit of %zu",
				 get_le32(h), max_payload);
	return 0;
}

int frame_parse(const uint8_t *data, size_t len, uint8_t protocol, uint8_t version,
		size_t max_payload, struct frame *out, size_t *consumed, struct tarn_error *err)
{
	*consumed = 0;
	if (len < FRAME_HEADER_BYTES)
		return 0;
	TRY(check_header(data, protocol, version, max_payload, err));
	size_t payload_len = get_le32(data);
	if (len - FRAME_HEADER_BYTES < payload_len)
		return 0;
	const uint8_t *payload = data + FRAME_HEADER_BYTES;
	if (frame_crc(data, payload, payload_len) != get_le32(data + 8))
		return tarn_fail(err, TARN_E_PROTOCOL,
				 "a message arrived damaged (checksum mismatch)");
	*out = (struct frame){.protocol = data[4],
			      .version = data[5],
			      .type = get_le16(data + 6),
			      .payload = payload,
			      .payload_len = payload_len};
	*consumed = FRAME_HEADER_BYTES + payload_len;
	return 0;
}

int frame_read(int fd, uint8_t protocol, uint8_t version, size_t max_payload,
	       struct tarn_buf *storage, struct frame *out, bool eof_ok, struct tarn_error *err)
{
	size_t consumed;
	tarn_buf_clear(storage);
	TRY(net_read_full(fd, tarn_buf_extend(storage, FRAME_HEADER_BYTES), FRAME_HEADER_BYTES,
			  eof_ok, err));
	TRY(check_header(storage->data, protocol, version, max_payload, err));
	size_t payload_len = get_le32(storage->data);
	TRY(net_read_full(fd, tarn_buf_extend(storage, payload_len), payload_len, false, err));
	TRY(frame_parse(storage->data, storage->len, protocol, version, max_payload, out, &consumed,
			err));
	TARN_CHECK(consumed == storage->len);
	return 0;
}
