/* Manifests of manifest.h. The schemas are those of Iceberg's Java library, names included. */
#include "base/system.h"
#include "lake/iceberg/avro.h"
#include "lake/iceberg/manifest.h"

#define REQ(id, name, type) "{\"name\":\"" name "\",\"type\":\"" type "\",\"field-id\":" #id "}"
#define OPT(id, name, type) \
	"{\"name\":\"" name "\",\"type\":[\"null\"," type "],\"default\":null,\"field-id\":" #id "}"
#define MAP(key_id, value_id, type)                                                   \
	"{\"type\":\"array\",\"logicalType\":\"map\",\"items\":{\"type\":\"record\"," \
	"\"name\":\"k" #key_id "_v" #value_id                                         \
	"\",\"fields\":[" REQ(key_id, "key", "int") "," REQ(value_id, "value", type) "]}}"

/* clang-format off */
static const char entry_schema[] =
	"{\"type\":\"record\",\"name\":\"manifest_entry\",\"fields\":["
	REQ(0, "status", "int") ","
	OPT(1, "snapshot_id", "\"long\"") ","
	OPT(3, "sequence_number", "\"long\"") ","
	OPT(4, "file_sequence_number", "\"long\"") ","
	"{\"name\":\"data_file\",\"field-id\":2,\"type\":"
	"{\"type\":\"record\",\"name\":\"r2\",\"fields\":["
	REQ(134, "content", "int") ","
	REQ(100, "file_path", "string") ","
	REQ(101, "file_format", "string") ","
	"{\"name\":\"partition\",\"field-id\":102,\"type\":"
	"{\"type\":\"record\",\"name\":\"r102\",\"fields\":[]}},"
	REQ(103, "record_count", "long") ","
	REQ(104, "file_size_in_bytes", "long") ","
	OPT(108, "column_sizes", MAP(117, 118, "long")) ","
	OPT(109, "value_counts", MAP(119, 120, "long")) ","
	OPT(110, "null_value_counts", MAP(121, 122, "long")) ","
	OPT(125, "lower_bounds", MAP(126, 127, "bytes")) ","
	OPT(128, "upper_bounds", MAP(129, 130, "bytes")) ","
	OPT(140, "sort_order_id", "\"int\"") ","
	OPT(143, "referenced_data_file", "\"string\"")
	"]}}]}";

static const char list_schema[] =
	"{\"type\":\"record\",\"name\":\"manifest_file\",\"fields\":["
	REQ(500, "manifest_path", "string") ","
	REQ(501, "manifest_length", "long") ","
	REQ(502, "partition_spec_id", "int") ","
	REQ(517, "content", "int") ","
	REQ(515, "sequence_number", "long") ","
	REQ(516, "min_sequence_number", "long") ","
	REQ(503, "added_snapshot_id", "long") ","
	REQ(504, "added_files_count", "int") ","
	REQ(505, "existing_files_count", "int") ","
	REQ(506, "deleted_files_count", "int") ","
	REQ(512, "added_rows_count", "long") ","
	REQ(513, "existing_rows_count", "long") ","
	REQ(514, "deleted_rows_count", "long") ","
	OPT(507, "partitions",
	    "{\"type\":\"array\",\"element-id\":508,\"items\":"
	    "{\"type\":\"record\",\"name\":\"r508\",\"fields\":["
	    REQ(509, "contains_null", "boolean") ","
	    OPT(518, "contains_nan", "\"boolean\"") ","
	    OPT(510, "lower_bound", "\"bytes\"") ","
	    OPT(511, "upper_bound", "\"bytes\"") "]}}")
	"]}";
/* clang-format on */

enum map_kind { MAP_SIZES, MAP_VALUES, MAP_NULLS, MAP_LOWER, MAP_UPPER };

static int64_t count_of(const struct ice_stats *s, enum map_kind kind)
{
	return kind == MAP_SIZES ? s->bytes : kind == MAP_VALUES ? s->values : s->nulls;
}

static bool map_has(const struct ice_stats *s, enum map_kind kind)
{
	if (kind == MAP_LOWER)
		return s->lower.data != NULL;
	if (kind == MAP_UPPER)
		return s->upper.data != NULL;
	return count_of(s, kind) >= 0;
}

static void put_map(struct tarn_buf *b, const struct ice_stats *stats, size_t count,
		    enum map_kind kind)
{
	int64_t n = 0;
	for (size_t i = 0; i < count; i++)
		n += map_has(&stats[i], kind);
	if (n == 0) {
		avro_put_null(b);
		return;
	}
	avro_put_present(b);
	avro_put_long(b, n);
	for (size_t i = 0; i < count; i++) {
		const struct ice_stats *s = &stats[i];
		if (!map_has(s, kind))
			continue;
		avro_put_long(b, s->field_id);
		if (kind == MAP_LOWER)
			avro_put_bytes(b, s->lower.data, s->lower.len);
		else if (kind == MAP_UPPER)
			avro_put_bytes(b, s->upper.data, s->upper.len);
		else
			avro_put_long(b, count_of(s, kind));
	}
	avro_put_long(b, 0); /* end of the array */
}

static void put_optional_long(struct tarn_buf *b, int64_t v)
{
	avro_put_present(b);
	avro_put_long(b, v);
}

static void put_entry(struct tarn_buf *b, const struct ice_manifest_head *h,
		      const struct ice_file *f)
{
	const struct ice_stats *stats = f->stats;
	size_t count = f->stats_count;
	struct ice_stats path = {.field_id = ICE_DELETE_PATH_ID, .bytes = -1, .nulls = -1};
	path.values = -1;
	if (f->content == ICE_DELETES && f->referenced_data_file) {
		path.lower.data = (const uint8_t *)f->referenced_data_file;
		path.lower.len = strlen(f->referenced_data_file);
		path.upper = path.lower;
		stats = &path;
		count = 1;
	}
	avro_put_long(b, 1); /* added */
	put_optional_long(b, h->snapshot_id);
	put_optional_long(b, h->sequence_number);
	put_optional_long(b, h->sequence_number);
	avro_put_long(b, f->content);
	avro_put_str(b, f->path);
	avro_put_str(b, "PARQUET");
	avro_put_long(b, f->rows);
	avro_put_long(b, f->bytes);
	for (int kind = MAP_SIZES; kind <= MAP_UPPER; kind++)
		put_map(b, stats, count, (enum map_kind)kind);
	avro_put_null(b); /* sort_order_id */
	if (f->referenced_data_file) {
		avro_put_present(b);
		avro_put_str(b, f->referenced_data_file);
	} else {
		avro_put_null(b);
	}
}

void ice_manifest_write(const struct ice_manifest_head *h, const struct ice_file *files,
			size_t count, struct tarn_buf *out)
{
	char schema_id[12];
	struct avro_file f;
	tarn_snprintf(schema_id, sizeof schema_id, "%d", h->schema_id);
	const struct avro_meta meta[] = {{"schema", h->schema_json},
					 {"schema-id", schema_id},
					 {"partition-spec", "[]"},
					 {"partition-spec-id", "0"},
					 {"format-version", "2"},
					 {"content", h->content == ICE_DATA ? "data" : "deletes"}};
	avro_file_begin(&f, entry_schema, meta, ARRAY_LEN(meta));
	for (size_t i = 0; i < count; i++) {
		TARN_CHECK(files[i].content == h->content);
		put_entry(&f.block, h, &files[i]);
		avro_file_record_done(&f);
	}
	avro_file_end(&f);
	tarn_buf_put(out, f.out.data, f.out.len);
	avro_file_release(&f);
}

static void put_manifest(struct tarn_buf *b, const struct ice_manifest *m)
{
	avro_put_str(b, m->path);
	avro_put_long(b, m->length);
	avro_put_long(b, 0); /* partition spec */
	avro_put_long(b, m->content);
	avro_put_long(b, m->sequence_number);
	avro_put_long(b, m->sequence_number);
	avro_put_long(b, m->snapshot_id);
	avro_put_long(b, m->files);
	avro_put_long(b, 0);
	avro_put_long(b, 0);
	avro_put_long(b, m->rows);
	avro_put_long(b, 0);
	avro_put_long(b, 0);
	avro_put_present(b);
	avro_put_long(b, 0); /* no partition fields: an empty array */
}

void ice_manifest_list_write(int64_t snapshot_id, int64_t parent_id, int64_t sequence_number,
			     const struct ice_manifest *manifests, size_t count,
			     struct tarn_buf *out)
{
	char id[24], parent[24] = "null", sequence[24];
	struct avro_file f;
	tarn_snprintf(id, sizeof id, "%" PRId64, snapshot_id);
	tarn_snprintf(sequence, sizeof sequence, "%" PRId64, sequence_number);
	if (parent_id)
		tarn_snprintf(parent, sizeof parent, "%" PRId64, parent_id);
	const struct avro_meta meta[] = {{"snapshot-id", id},
					 {"parent-snapshot-id", parent},
					 {"sequence-number", sequence},
					 {"format-version", "2"}};
	avro_file_begin(&f, list_schema, meta, ARRAY_LEN(meta));
	for (size_t i = 0; i < count; i++) {
		put_manifest(&f.block, &manifests[i]);
		avro_file_record_done(&f);
	}
	avro_file_end(&f);
	tarn_buf_put(out, f.out.data, f.out.len);
	avro_file_release(&f);
}
