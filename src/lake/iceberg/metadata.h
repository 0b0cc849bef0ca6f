/*
 * Iceberg table metadata, format version 2, as JSON. Every field that the spec calls optional and
 * an engine needs is written (docs/engines.md).
 */
#ifndef TARN_LAKE_ICEBERG_METADATA_H
#define TARN_LAKE_ICEBERG_METADATA_H

#include <jansson.h>
#include "base/util.h"

struct ice_snapshot {
	int64_t id, parent_id; /* parent 0: none */
	int64_t sequence_number, timestamp_ms;
	int32_t schema_id;
	const char *manifest_list; /* URI */
	json_t *summary;	   /* object of strings, with "operation"; borrowed */
};
struct ice_table {
	const char *uuid;
	const char *location; /* URI */
	int32_t last_column_id, schema_id;
	const json_t *schemas;		      /* array of Iceberg schemas; borrowed */
	const json_t *properties;	      /* object of strings; borrowed */
	const struct ice_snapshot *snapshots; /* oldest first; the last one is current */
	size_t snapshot_count;
};
/* A new reference to the metadata object; NULL only for text that is not UTF-8. */
json_t *ice_metadata(const struct ice_table *t);
/* schema.name-mapping.default for a schema: text that the caller frees; NULL as above. */
char *ice_name_mapping(const json_t *schema);

#endif
