/*
 * Iceberg v2 manifests and manifest lists (design rules: every field id, the empty `partition`
 * record and the header keys must be there, some engines abort without them). Tables are
 * unpartitioned. Nothing here does I/O; the structs only point at the caller's memory.
 */
#ifndef TARN_LAKE_ICEBERG_MANIFEST_H
#define TARN_LAKE_ICEBERG_MANIFEST_H

#include "base/buf.h"

enum ice_content { ICE_DATA = 0, ICE_DELETES = 1 };

/* Reserved field ids of the columns of a position delete file. */
#define ICE_DELETE_PATH_ID 2147483546
#define ICE_DELETE_POS_ID 2147483545

struct ice_bytes { /* an Iceberg single-value serialization; data NULL: unknown */
	const uint8_t *data;
	size_t len;
};
struct ice_stats { /* of one column in one file; a negative count is unknown */
	int32_t field_id;
	int64_t bytes, values, nulls;
	struct ice_bytes lower, upper;
};
struct ice_file {
	enum ice_content content;
	const char *path; /* URI */
	int64_t rows, bytes;
	const struct ice_stats *stats;
	size_t stats_count;
	const char *referenced_data_file; /* of position deletes: URI, or NULL */
};
struct ice_manifest_head {
	enum ice_content content;
	int64_t snapshot_id, sequence_number;
	int32_t schema_id;
	const char *schema_json;
};
/* Appends a manifest that adds all of files. Bounds of a delete file's file_path are made from
 * referenced_data_file. */
void ice_manifest_write(const struct ice_manifest_head *h, const struct ice_file *files,
			size_t count, struct tarn_buf *out);

struct ice_manifest { /* as a manifest list shows it */
	enum ice_content content;
	const char *path; /* URI */
	int64_t length, snapshot_id, sequence_number, files, rows;
};
/* parent_id: 0 for none. */
void ice_manifest_list_write(int64_t snapshot_id, int64_t parent_id, int64_t sequence_number,
			     const struct ice_manifest *manifests, size_t count,
			     struct tarn_buf *out);

#endif
