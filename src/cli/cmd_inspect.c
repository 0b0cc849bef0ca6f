/* tarn inspect: what a file holds. WAL segments, pg_control, layer files, JSON; others by their magic. */
#include "base/system.h"
#include <jansson.h>
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "io/file.h"
#include "pageserver/layer_file.h"
#include "pageserver/layer_format.h"
#include "pg/control_file.h"
#include "pg/wal_framer.h"
#include "pg/wal_record.h"

#define MAX_FILE_BYTES ((size_t)1 << 30)

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static int print_records(const struct tarn_buf *b, tarn_lsn start, size_t offset, uint64_t *count,
			 struct tarn_error *err)
{
	struct wal_framer f;
	struct wal_record_bytes rec;
	struct wal_record *r = tarn_malloc(sizeof *r);
	int rc = 0;
	wal_framer_init(&f, start + offset, 0, 0);
	while (rc == 0 && offset < b->len) {
		size_t used;
		bool complete;
		rc = wal_framer_feed(&f, b->data + offset, b->len - offset, &used, &complete, &rec,
				     err);
		offset += used;
		if (rc != 0 || !complete)
			break;
		rc = wal_record_decode(rec.bytes, rec.len, r, err);
		if (rc != 0)
			break;
		++*count;
		printf(TARN_LSN_FMT " len %zu rmgr %u info 0x%02X xid %u",
		       TARN_LSN_ARGS(rec.start_lsn), rec.len, r->rmgr, r->info, r->xid);
		for (int i = 0; i <= r->max_block; i++)
			if (r->blocks[i].used)
				printf(" | %u/%u/%u.%u block %u%s%s", r->blocks[i].spc,
				       r->blocks[i].db, r->blocks[i].rel, r->blocks[i].fork,
				       r->blocks[i].block, r->blocks[i].will_init ? " init" : "",
				       r->blocks[i].has_image ? " image" : "");
		printf("\n");
	}
	wal_framer_release(&f);
	free(r);
	return rc;
}

/* A timeline's first segment holds nothing before the LSN at which it began: no page header tells. */
static size_t first_byte_used(const struct tarn_buf *b)
{
	size_t i = 0;
	while (i < b->len && b->data[i] == 0)
		i++;
	return i / 8 * 8;
}

static int inspect_begun_segment(const struct tarn_buf *b, tarn_lsn start, struct tarn_error *err)
{
	uint64_t count = 0;
	size_t offset = first_byte_used(b);
	printf("WAL segment of a timeline that begins in it, at " TARN_LSN_FMT "\n",
	       TARN_LSN_ARGS(start + offset));
	int rc = print_records(b, start, offset, &count, err);
	printf("%" PRIu64 " records; the log ends or goes on in the next segment here%s%s\n", count,
	       rc == 0 ? "" : ": ", rc == 0 ? "" : err->message);
	return 0;
}

static int inspect_wal(const char *path, const struct tarn_buf *b, struct tarn_error *err)
{
	uint64_t count = 0;
	unsigned log, seg;
	if (b->len < WAL_LONG_PAGE_HEADER_BYTES ||
	    (get_le16(b->data) != WAL_PAGE_MAGIC &&
	     first_byte_used(b) < WAL_LONG_PAGE_HEADER_BYTES) ||
	    sscanf(base_name(path) + 8, "%8X%8X", &log, &seg) != 2)
		return tarn_fail(err, TARN_E_CORRUPT, "%s is no WAL segment of Postgres 15", path);
	tarn_lsn start = (tarn_lsn)log << 32 | (tarn_lsn)seg << 24;
	if (first_byte_used(b) > 0)
		return inspect_begun_segment(b, start, err);
	/* The first page may begin with the rest of a record. */
	size_t rest = get_le32(b->data + 16);
	size_t offset = WAL_LONG_PAGE_HEADER_BYTES;
	if (get_le16(b->data + 2) & 1) {
		size_t room = WAL_PAGE_BYTES - WAL_LONG_PAGE_HEADER_BYTES;
		while (rest > room) {
			rest -= room;
			offset = align_up_u64(offset + 1, WAL_PAGE_BYTES) + WAL_PAGE_HEADER_BYTES;
			room = WAL_PAGE_BYTES - WAL_PAGE_HEADER_BYTES;
		}
		offset = align_up_u64(offset + rest, 8);
	}
	printf("WAL segment, system %" PRIu64 ", from " TARN_LSN_FMT "\n", get_le64(b->data + 24),
	       TARN_LSN_ARGS(start));
	int rc = print_records(b, start, offset, &count, err);
	printf("%" PRIu64 " records; the log ends or goes on in the next segment here%s%s\n", count,
	       rc ? ": " : "", rc ? err->message : "");
	return 0;
}

static int inspect_control(const struct tarn_buf *b, struct tarn_error *err)
{
	struct pg_control c;
	TRY(pg_control_parse(b->data, b->len, &c, err));
	printf("pg_control of system %" PRIu64 "\n  state %u\n  checkpoint " TARN_LSN_FMT
	       "\n  next xid %" PRIu64 "\n  next oid %u\n  next multixact %u\n",
	       c.system_identifier, c.state, TARN_LSN_ARGS(c.checkpoint_lsn), c.checkpoint.next_xid,
	       c.checkpoint.next_oid, c.checkpoint.next_multi);
	return 0;
}

static void print_key(const char *what, struct tarn_reader *r)
{
	struct ps_key k;
	ps_key_get(r, &k);
	printf("  %s kind %u %u/%u/%u.%u block %u\n", what, k.kind, k.spc, k.db, k.rel, k.fork,
	       k.block);
}

static int inspect_layer(const struct tarn_buf *b)
{
	struct tarn_reader r;
	tarn_reader_init(&r, b->data + b->len - LAYER_FOOTER_BYTES, LAYER_FOOTER_BYTES);
	tarn_reader_le64(&r);
	uint64_t index = tarn_reader_le64(&r), entries = tarn_reader_le64(&r);
	printf("layer: %" PRIu64 " versions in %" PRIu64 " blocks, %zu bytes\n", entries,
	       index / LAYER_INDEX_ENTRY_BYTES, b->len);
	print_key("first", &r);
	print_key("last ", &r);
	tarn_lsn lo = tarn_reader_le64(&r), hi = tarn_reader_le64(&r);
	printf("  LSNs  " TARN_LSN_FMT " to " TARN_LSN_FMT "\n", TARN_LSN_ARGS(lo),
	       TARN_LSN_ARGS(hi));
	return 0;
}

static int inspect(const char *path, struct tarn_error *err)
{
	struct tarn_buf b = TARN_BUF_INIT;
	json_error_t je;
	json_t *json = NULL;
	int rc = file_read_all(path, MAX_FILE_BYTES, &b, err);
	const char *name = base_name(path);
	if (rc != 0)
		tarn_buf_clear(&b);
	else if (strlen(name) == 24 && strspn(name, "0123456789ABCDEF") == 24)
		rc = inspect_wal(path, &b, err);
	else if (strcmp(name, "pg_control") == 0)
		rc = inspect_control(&b, err);
	else if (b.len >= LAYER_FOOTER_BYTES && get_le64(b.data + b.len - 8) == LAYER_MAGIC)
		rc = inspect_layer(&b);
	else if (b.len >= 12 && memcmp(b.data, "PAR1", 4) == 0 &&
		 memcmp(b.data + b.len - 4, "PAR1", 4) == 0)
		printf("Parquet file, %zu bytes, footer of %u bytes\n", b.len,
		       get_le32(b.data + b.len - 8));
	else if (b.len >= 4 && memcmp(b.data, "Obj\1", 4) == 0)
		printf("Avro container file, %zu bytes\n", b.len);
	else if ((json = json_loadb((const char *)b.data, b.len, 0, &je)))
		client_print_json(json);
	else
		rc = tarn_fail(
			err, TARN_E_UNSUPPORTED,
			"%s is none of the files of Tarn that this command knows: WAL segment, "
			"pg_control, layer, Parquet, Avro, JSON",
			path);
	json_decref(json);
	tarn_buf_release(&b);
	return rc;
}

int cmd_inspect(int argc, char **argv)
{
	struct option_spec specs[] = {{NULL, NULL, NULL}};
	struct options o;
	struct tarn_error err = {0};
	int code;
	if (!options_parse(argc, argv, specs, 1, &o, &code))
		return code;
	int rc = o.count == 1 ? inspect(o.positional[0], &err)
			      : tarn_fail(&err, TARN_E_USAGE, "say which file: tarn inspect FILE");
	return rc == 0 ? 0 : report(&err);
}
