/* Implementation of control_file.h. */
#include "base/system.h"
#include "base/crc.h"
#include "io/file.h"
#include "pg/control_file.h"

#define CRC_OFFSET offsetof(struct pg_control, crc)
_Static_assert(CRC_OFFSET == 288 && sizeof(struct pg_control) == 296, "layout of Postgres 15");
_Static_assert(sizeof(struct pg_checkpoint) == 88, "layout of Postgres 15");

int pg_control_parse(const uint8_t *bytes, size_t len, struct pg_control *out,
		     struct tarn_error *err)
{
	if (len < sizeof *out)
		return tarn_fail(err, TARN_E_CORRUPT, "a control file of %zu bytes is cut short",
				 len);
	memcpy(out, bytes, sizeof *out);
	if (out->control_version != PG_CONTROL_VERSION_15)
		return tarn_fail(err, TARN_E_UNSUPPORTED,
				 "control file version %u is not that of Postgres 15 (%u): another "
				 "major version "
				 "wrote it",
				 out->control_version, PG_CONTROL_VERSION_15);
	if (tarn_crc32c(bytes, CRC_OFFSET) != out->crc)
		return tarn_fail(err, TARN_E_CORRUPT, "the control file's checksum is wrong");
	return 0;
}

int pg_control_read(const char *data_dir, struct pg_control *out, struct tarn_error *err)
{
	struct tarn_buf bytes = TARN_BUF_INIT;
	char *path = tarn_asprintf("%s/global/pg_control", data_dir);
	int rc = file_read_all(path, PG_CONTROL_FILE_BYTES, &bytes, err);
	if (rc == 0) {
		rc = pg_control_parse(bytes.data, bytes.len, out, err);
		if (rc != 0)
			tarn_error_prefix(err, "%s", path);
	}
	if (rc == 0 && out->catalog_version != PG_CATALOG_VERSION_15)
		rc = tarn_fail(err, TARN_E_UNSUPPORTED,
			       "%s: catalog version %u, this build knows %u", path,
			       out->catalog_version, PG_CATALOG_VERSION_15);
	if (rc == 0 && (out->block_bytes != 8192 || out->wal_block_bytes != 8192 ||
			out->segment_blocks != 131072 || out->wal_segment_bytes != 16u << 20))
		rc = tarn_fail(
			err, TARN_E_UNSUPPORTED,
			"%s: block or segment sizes are not the defaults (8 KiB, 1 GiB, 16 MiB)",
			path);
	if (rc == 0 && out->data_checksum_version != 0)
		rc = tarn_fail(
			err, TARN_E_UNSUPPORTED,
			"%s: data checksums are on; stop the server and run pg_checksums --disable",
			path);
	tarn_buf_release(&bytes);
	free(path);
	return rc;
}

int pg_control_read_system_identifier(const char *data_dir, uint64_t *out, struct tarn_error *err)
{
	struct pg_control c;
	TRY(pg_control_read(data_dir, &c, err));
	*out = c.system_identifier;
	return 0;
}

void pg_control_build(const struct pg_control *c, uint8_t out[PG_CONTROL_FILE_BYTES])
{
	memset(out, 0, PG_CONTROL_FILE_BYTES);
	memcpy(out, c, sizeof *c);
	put_le32(out + CRC_OFFSET, tarn_crc32c(out, CRC_OFFSET));
	memset(out + CRC_OFFSET + 4, 0, sizeof *c - CRC_OFFSET - 4);
}
