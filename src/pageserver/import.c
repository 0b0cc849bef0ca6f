/* Takes over a cleanly shut down data directory as a new root timeline (ingest.h). */
#include "base/system.h"
#include <sys/stat.h>
#include "base/log.h"
#include "io/file.h"
#include "pageserver/boundary.h"
#include "pageserver/ingest.h"
#include "pageserver/page_op_format.h"
#include "wire/page_wire.h"

#define SEGMENT_BLOCKS 131072u
#define GLOBAL_SPC 1664u
#define DEFAULT_SPC 1663u
#define RELMAP_BYTES 512u

struct import {
	struct ps_timeline *tl;
	tarn_lsn lsn;
	char dir[512];
	uint32_t spc, db;
	uint64_t blocks;
	/* SLRU being read */
	enum page_slru slru;
	bool any_page;
	uint32_t first_page, last_page;
};

static int put(struct import *im, const struct ps_key *k, const void *bytes, size_t len,
	       struct tarn_error *err)
{
	return ps_timeline_put(im->tl, k, im->lsn, PS_VALUE_IMAGE, bytes, len, err);
}

/* "16384", "16384_vm.2" → relfilenode, fork, segment. */
static bool parse_name(const char *name, uint32_t *rel, uint8_t *fork, uint32_t *segment)
{
	static const char *const forks[] = {"", "_fsm", "_vm", "_init"};
	char *end;
	if (*name < '1' || *name > '9')
		return false;
	unsigned long v = strtoul(name, &end, 10);
	if (v > UINT32_MAX)
		return false;
	*rel = (uint32_t)v;
	size_t len = strcspn(end, ".");
	for (*fork = 0; *fork < ARRAY_LEN(forks); ++*fork)
		if (strlen(forks[*fork]) == len && strncmp(forks[*fork], end, len) == 0)
			break;
	if (*fork == ARRAY_LEN(forks))
		return false;
	*segment = end[len] == '.' ? (uint32_t)strtoul(end + len + 1, NULL, 10) : 0;
	return true;
}

static int import_blocks(struct import *im, const char *path, struct ps_key *k, uint64_t bytes,
			 struct tarn_error *err)
{
	uint8_t page[PAGE_BYTES];
	int fd;
	TRY(file_open(path, O_RDONLY, 0, &fd, err));
	int rc = 0;
	for (uint64_t at = 0; rc == 0 && at < bytes; at += PAGE_BYTES, k->block++) {
		rc = file_pread(fd, page, sizeof page, at, path, err);
		if (rc == 0)
			rc = put(im, k, page, sizeof page, err);
		im->blocks++;
	}
	file_close(fd);
	return rc;
}

/* The size of all segments together is put with the last one. */
static int import_file(void *arg, const char *name, struct tarn_error *err)
{
	struct import *im = arg;
	struct ps_key k = {.kind = PS_KIND_REL, .spc = im->spc, .db = im->db};
	uint32_t segment;
	struct stat st;
	if (!parse_name(name, &k.rel, &k.fork, &segment))
		return 0;
	char *path = tarn_asprintf("%s/%s", im->dir, name);
	char *next = tarn_asprintf("%s/%u%s.%u", im->dir, k.rel,
				   k.fork == 1	 ? "_fsm"
				   : k.fork == 2 ? "_vm"
				   : k.fork == 3 ? "_init"
						 : "",
				   segment + 1);
	int rc = 0;
	if (stat(path, &st) != 0)
		rc = tarn_fail_errno(err, errno, "cannot read %s", path);
	else if (st.st_size % PAGE_BYTES)
		rc = tarn_fail(err, TARN_E_CORRUPT, "%s is no whole number of pages", path);
	uint64_t bytes = rc == 0 ? (uint64_t)st.st_size : 0;
	k.block = segment * SEGMENT_BLOCKS;
	if (rc == 0)
		rc = import_blocks(im, path, &k, bytes, err);
	if (rc == 0 && !file_exists(next)) {
		uint8_t size[4];
		put_le32(size, k.block);
		k.kind = PS_KIND_RELSIZE;
		k.block = 0;
		rc = put(im, &k, size, sizeof size, err);
	}
	free(path);
	free(next);
	return rc;
}

static int import_database(struct import *im, uint32_t spc, uint32_t db, struct tarn_error *err)
{
	struct ps_key k = {.kind = PS_KIND_DATABASE, .spc = spc, .db = db};
	struct tarn_buf map = TARN_BUF_INIT;
	char *path = tarn_asprintf("%s/pg_filenode.map", im->dir);
	im->spc = spc;
	im->db = db;
	int rc = file_read_all(path, RELMAP_BYTES, &map, err);
	if (rc == 0 && map.len != RELMAP_BYTES)
		rc = tarn_fail(err, TARN_E_CORRUPT, "%s has %zu bytes", path, map.len);
	if (rc == 0)
		rc = put(im, &k, map.data, map.len, err);
	if (rc == 0)
		rc = file_list_dir(im->dir, import_file, im, err);
	tarn_buf_release(&map);
	free(path);
	return rc;
}

struct base_arg {
	struct import *im;
	const char *data_dir;
};

static int import_base(void *arg, const char *name, struct tarn_error *err)
{
	struct base_arg *a = arg;
	uint64_t db;
	if (!tarn_parse_u64(name, UINT32_MAX, &db))
		return 0;
	tarn_snprintf(a->im->dir, sizeof a->im->dir, "%s/base/%s", a->data_dir, name);
	return import_database(a->im, DEFAULT_SPC, (uint32_t)db, err);
}

static int import_slru_file(void *arg, const char *name, struct tarn_error *err)
{
	struct import *im = arg;
	struct ps_key k = {.kind = PS_KIND_SLRU, .rel = im->slru};
	struct stat st;
	if (strlen(name) != 4 || strspn(name, "0123456789ABCDEF") != 4)
		return 0;
	char *path = tarn_asprintf("%s/%s", im->dir, name);
	int rc = 0;
	k.block = (uint32_t)strtoul(name, NULL, 16) * SLRU_PAGES_PER_SEGMENT;
	if (stat(path, &st) != 0 || st.st_size % PAGE_BYTES)
		rc = tarn_fail(err, TARN_E_CORRUPT, "%s is no whole number of pages", path);
	uint32_t first = k.block;
	if (rc == 0 && st.st_size > 0) {
		rc = import_blocks(im, path, &k, (uint64_t)st.st_size, err);
		im->first_page = im->any_page ? TARN_MIN(im->first_page, first) : first;
		im->last_page = im->any_page ? TARN_MAX(im->last_page, k.block - 1) : k.block - 1;
		im->any_page = true;
	}
	free(path);
	return rc;
}

static int import_slru(struct import *im, const char *data_dir, enum page_slru slru,
		       const char *name, struct tarn_error *err)
{
	struct ps_key k = {.kind = PS_KIND_SLRU_RANGE, .rel = slru};
	uint8_t range[8];
	im->slru = slru;
	im->any_page = false;
	tarn_snprintf(im->dir, sizeof im->dir, "%s/%s", data_dir, name);
	TRY(file_list_dir(im->dir, import_slru_file, im, err));
	if (!im->any_page)
		return 0;
	put_le32(range, im->first_page);
	put_le32(range + 4, im->last_page);
	return put(im, &k, range, sizeof range, err);
}

/* Where the shutdown checkpoint's record ends. */
static int find_end(const char *data_dir, const struct pg_control *c, tarn_lsn *end,
		    struct tarn_error *err)
{
	struct wal_framer f;
	struct wal_record_bytes rec;
	struct tarn_buf segment = TARN_BUF_INIT;
	char name[25];
	size_t used, offset = (size_t)(c->checkpoint_lsn % WAL_SEGMENT_BYTES);
	bool complete = false;
	wal_segment_name(c->checkpoint_lsn, name);
	char *path = tarn_asprintf("%s/pg_wal/%s", data_dir, name);
	int rc = file_read_all(path, WAL_SEGMENT_BYTES, &segment, err);
	wal_framer_init(&f, c->checkpoint_lsn, 0, c->system_identifier);
	if (rc == 0 && segment.len > offset)
		rc = wal_framer_feed(&f, segment.data + offset, segment.len - offset, &used,
				     &complete, &rec, err);
	if (rc == 0 && !complete)
		rc = tarn_fail(err, TARN_E_CORRUPT,
			       "%s does not hold the checkpoint that pg_control names", path);
	if (rc == 0)
		*end = rec.end_lsn;
	wal_framer_release(&f);
	tarn_buf_release(&segment);
	free(path);
	return rc;
}

static int no_entry(void *arg, const char *name, struct tarn_error *err)
{
	(void)name;
	return tarn_fail(err, TARN_E_UNSUPPORTED,
			 "%s has tablespaces of its own; move their tables to pg_default first",
			 (const char *)arg);
}

static int check(const char *data_dir, const struct pg_control *c, struct tarn_error *err)
{
	char *tablespaces = tarn_asprintf("%s/pg_tblspc", data_dir);
	int rc = 0;
	if (c->state != PG_CONTROL_STATE_SHUTDOWNED)
		rc = tarn_fail(err, TARN_E_CONFLICT,
			       "the server of %s was not shut down cleanly: start and stop it once",
			       data_dir);
	if (rc == 0)
		rc = file_list_dir(tablespaces, no_entry, (void *)(uintptr_t)data_dir, err);
	free(tablespaces);
	return rc;
}

static int import_all(struct import *im, const char *data_dir, const struct pg_control *c,
		      struct tarn_error *err)
{
	struct base_arg a = {im, data_dir};
	struct ps_key k = {.kind = PS_KIND_META, .rel = PS_META_CHECKPOINT};
	uint8_t bytes[PS_BOUNDARY_BYTES];
	struct ps_boundary b = {
		.end_lsn = im->lsn, .start_lsn = c->checkpoint_lsn, .time_us = c->time * 1000000};
	TRY(put(im, &k, c, sizeof *c, err));
	k.rel = PS_META_BOUNDARY;
	ps_boundary_encode(&b, bytes);
	TRY(put(im, &k, bytes, sizeof bytes, err));
	tarn_snprintf(im->dir, sizeof im->dir, "%s/global", data_dir);
	TRY(import_database(im, GLOBAL_SPC, 0, err));
	char *base = tarn_asprintf("%s/base", data_dir);
	int rc = file_list_dir(base, import_base, &a, err);
	free(base);
	TRY(rc);
	TRY(import_slru(im, data_dir, PAGE_SLRU_XACT, "pg_xact", err));
	TRY(import_slru(im, data_dir, PAGE_SLRU_MULTI_OFFSETS, "pg_multixact/offsets", err));
	return import_slru(im, data_dir, PAGE_SLRU_MULTI_MEMBERS, "pg_multixact/members", err);
}

int ps_import_data_dir(struct ps_store *s, const char *data_dir, const char *name,
		       const struct tarn_id *id, struct ps_timeline **out, struct tarn_error *err)
{
	struct pg_control c;
	struct import im = {0};
	if (strlen(data_dir) > 400)
		return tarn_fail(err, TARN_E_LIMIT, "the path %s is too long", data_dir);
	TRY(pg_control_read(data_dir, &c, err));
	if (c.system_identifier != ps_store_system_identifier(s))
		return tarn_fail(err, TARN_E_CONFLICT,
				 "%s is system %" PRIu64 ", the store is for %" PRIu64, data_dir,
				 c.system_identifier, ps_store_system_identifier(s));
	TRY(check(data_dir, &c, err));
	TRY(find_end(data_dir, &c, &im.lsn, err));
	TRY(ps_timeline_create(s, id, name, NULL, im.lsn, c.checkpoint_lsn, &im.tl, err));
	TRY(import_all(&im, data_dir, &c, err));
	ps_timeline_advance(im.tl, im.lsn, c.checkpoint_lsn);
	log_info("imported", "branch=%s lsn=" TARN_LSN_FMT " blocks=%" PRIu64, name,
		 TARN_LSN_ARGS(im.lsn), im.blocks);
	*out = im.tl;
	return 0;
}
