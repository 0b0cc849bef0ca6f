/* Implementation of relmap.h. */
#include "base/system.h"
#include "base/crc.h"
#include "pg/relmap.h"

#define MAGIC 0x592717u
#define HEADER_BYTES 8u
#define CRC_OFFSET (HEADER_BYTES + 8u * PG_RELMAP_MAX_MAPPINGS)

int pg_relmap_parse(const uint8_t bytes[PG_RELMAP_BYTES], struct pg_relmap *m,
		    struct tarn_error *err)
{
	m->count = 0;
	if (get_le32(bytes) != MAGIC)
		return tarn_fail(err, TARN_E_CORRUPT,
				 "a relation map begins with %08X instead of %08X", get_le32(bytes),
				 MAGIC);
	if (tarn_crc32c(bytes, CRC_OFFSET) != get_le32(bytes + CRC_OFFSET))
		return tarn_fail(err, TARN_E_CORRUPT, "a relation map's checksum is wrong");
	uint32_t count = get_le32(bytes + 4);
	if (count > PG_RELMAP_MAX_MAPPINGS)
		return tarn_fail(err, TARN_E_CORRUPT, "a relation map has %u mappings", count);
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *at = bytes + HEADER_BYTES + (size_t)i * 8;
		m->mappings[i].oid = get_le32(at);
		m->mappings[i].filenode = get_le32(at + 4);
	}
	m->count = count;
	return 0;
}

uint32_t pg_relmap_filenode(const struct pg_relmap *m, uint32_t oid)
{
	for (uint32_t i = 0; i < m->count; i++)
		if (m->mappings[i].oid == oid)
			return m->mappings[i].filenode;
	return 0;
}
