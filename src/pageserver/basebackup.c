/* Implementation of basebackup.h. */
#include "base/system.h"
#include "pageserver/basebackup.h"
#include "pageserver/boundary.h"
#include "pageserver/ingest.h"
#include "pageserver/pageserver_internal.h"
#include "pg/checkpoint.h"
#include "pg/wal_framer.h"

#define CHUNK_BYTES ((size_t)1 << 20)
#define FLUSH_BYTES ((size_t)256 << 10)
#define FORK_INIT 3
#define DEFAULT_TABLESPACE 1663u
#define GLOBAL_TABLESPACE 1664u
#define PATH_BYTES 128

struct backup {
	struct pageserver *ps;
	struct ps_timeline *tl;
	uint64_t id;
	tarn_lsn lsn;
	struct tarn_buf frames;
	int (*send)(void *arg, const struct tarn_buf *frames, struct tarn_error *e);
	void *send_arg;
};

static const char *const directories[] = {
	"global",
	"base",
	"pg_wal",
	"pg_wal/archive_status",
	"pg_xact",
	"pg_multixact",
	"pg_multixact/offsets",
	"pg_multixact/members",
	"pg_subtrans",
	"pg_twophase",
	"pg_tblspc",
	"pg_stat",
	"pg_stat_tmp",
	"pg_notify",
	"pg_serial",
	"pg_snapshots",
	"pg_commit_ts",
	"pg_dynshmem",
	"pg_logical",
	"pg_logical/snapshots",
	"pg_logical/mappings",
	"pg_replslot",
};

static int flush(struct backup *b, size_t at_least, struct tarn_error *err)
{
	if (b->frames.len <= at_least)
		return 0;
	int rc = b->send(b->send_arg, &b->frames, err);
	tarn_buf_clear(&b->frames);
	return rc;
}

static int put_file(struct backup *b, const char *path, const void *bytes, size_t len,
		    struct tarn_error *err)
{
	size_t done = 0;
	do {
		size_t n = TARN_MIN(len - done, CHUNK_BYTES);
		page_put_file(&b->frames, b->id, path, done, (const uint8_t *)bytes + done, n);
		done += n;
		TRY(flush(b, FLUSH_BYTES, err));
	} while (done < len);
	return 0;
}

static int put_directory(struct backup *b, const char *path, struct tarn_error *err)
{
	char with_slash[PATH_BYTES];
	tarn_snprintf(with_slash, sizeof with_slash, "%s/", path);
	return put_file(b, with_slash, "", 0, err);
}

/* ---- databases ---- */

static int put_database(void *arg, const struct ps_key *key, const uint8_t *bytes, size_t len,
			struct tarn_error *err)
{
	struct backup *b = arg;
	char path[PATH_BYTES];
	if (key->spc == GLOBAL_TABLESPACE)
		return put_file(b, "global/pg_filenode.map", bytes, len, err);
	if (key->spc != DEFAULT_TABLESPACE)
		return tarn_fail(err, TARN_E_UNSUPPORTED,
				 "database %u lies in tablespace %u; only pg_default is supported",
				 key->db, key->spc);
	tarn_snprintf(path, sizeof path, "base/%u", key->db);
	TRY(put_directory(b, path, err));
	tarn_snprintf(path, sizeof path, "base/%u/PG_VERSION", key->db);
	TRY(put_file(b, path, "15\n", 3, err));
	tarn_snprintf(path, sizeof path, "base/%u/pg_filenode.map", key->db);
	return put_file(b, path, bytes, len, err);
}

static int put_databases(struct backup *b, struct tarn_error *err)
{
	struct ps_key from = {.kind = PS_KIND_DATABASE}, to = {.kind = PS_KIND_DATABASE + 1};
	return ps_timeline_scan(b->tl, &from, &to, b->lsn, put_database, b, err);
}

/* ---- unlogged relations ---- */

struct init_forks {
	struct ps_key *keys; /* of relation sizes; block: the size */
	size_t count, cap;
};

static int note_init_fork(void *arg, const struct ps_key *key, const uint8_t *bytes, size_t len,
			  struct tarn_error *err)
{
	struct init_forks *f = arg;
	if (key->fork != FORK_INIT)
		return 0;
	if (len != 4)
		return tarn_fail(err, TARN_E_CORRUPT, "the size of relation %u/%u/%u has %zu bytes",
				 key->spc, key->db, key->rel, len);
	if (f->count == f->cap) {
		f->cap = f->cap ? f->cap * 2 : 64;
		f->keys = tarn_realloc(f->keys, f->cap * sizeof f->keys[0]);
	}
	f->keys[f->count] = *key;
	f->keys[f->count++].block = get_le32(bytes);
	return 0;
}

/* An init fork holds a page or two: a metapage, or nothing. */
static int put_init_fork(struct backup *b, const struct ps_key *key, struct tarn_error *err)
{
	struct ps_relation rel = {key->spc, key->db, key->rel};
	struct tarn_buf bytes = TARN_BUF_INIT;
	char path[PATH_BYTES];
	int rc = 0;
	tarn_snprintf(path, sizeof path, "base/%u/%u_init", key->db, key->rel);
	if (key->block > CHUNK_BYTES / PAGE_BYTES)
		return tarn_fail(err, TARN_E_LIMIT, "%s has %u pages; at most %zu are expected",
				 path, key->block, CHUNK_BYTES / PAGE_BYTES);
	for (uint32_t i = 0; rc == 0 && i < key->block; i++) {
		bool absent;
		uint8_t *page = tarn_buf_extend(&bytes, PAGE_BYTES);
		memset(page, 0, PAGE_BYTES);
		rc = ps_get_page(b->ps, b->tl, &rel, FORK_INIT, i, b->lsn, page, &absent, err);
	}
	if (rc == 0)
		rc = put_file(b, path, bytes.data, bytes.len, err);
	tarn_buf_release(&bytes);
	return rc;
}

static int put_init_forks(struct backup *b, struct tarn_error *err)
{
	struct init_forks f = {0};
	struct ps_key from = {.kind = PS_KIND_RELSIZE}, to = {.kind = PS_KIND_RELSIZE + 1};
	int rc = ps_timeline_scan(b->tl, &from, &to, b->lsn, note_init_fork, &f, err);
	for (size_t i = 0; rc == 0 && i < f.count; i++)
		rc = put_init_fork(b, &f.keys[i], err);
	free(f.keys);
	return rc;
}

/* ---- transactions ---- */

static int put_slru(struct backup *b, enum page_slru slru, const char *dir, uint32_t max_page,
		    struct tarn_error *err)
{
	uint32_t first, last;
	bool absent;
	struct tarn_buf bytes = TARN_BUF_INIT;
	TRY(ps_slru_range(b->ps, b->tl, slru, b->lsn, &first, &last, &absent, err));
	uint32_t end = last / SLRU_SEGMENT_PAGES, segment = first / SLRU_SEGMENT_PAGES;
	uint32_t max_segment = max_page / SLRU_SEGMENT_PAGES;
	int rc = 0;
	if (segment > max_segment || end > max_segment)
		return tarn_fail(err, TARN_E_CORRUPT, "%s reaches from page %u to %u", dir, first,
				 last);
	while (rc == 0 && !absent) {
		char path[PATH_BYTES];
		bool gone;
		tarn_snprintf(path, sizeof path, "%s/%04X", dir, segment);
		tarn_buf_clear(&bytes);
		rc = ps_slru_segment(b->ps, b->tl, slru, segment, b->lsn, &bytes, &gone, err);
		if (rc == 0 && !gone)
			rc = put_file(b, path, bytes.data, bytes.len, err);
		if (segment == end)
			break;
		segment = segment >= max_segment ? 0 : segment + 1; /* page numbers wrap */
	}
	tarn_buf_release(&bytes);
	return rc;
}

static int put_prepared(void *arg, const struct ps_key *key, const uint8_t *bytes, size_t len,
			struct tarn_error *err)
{
	char path[PATH_BYTES];
	tarn_snprintf(path, sizeof path, "pg_twophase/%08X", key->block);
	return put_file(arg, path, bytes, len, err);
}

static int put_transactions(struct backup *b, struct tarn_error *err)
{
	/* xids and multixact ids per page, and members, as in clog.c and multixact.c of Postgres 15 */
	static const struct {
		enum page_slru slru;
		const char *dir;
		uint32_t max_page;
	} slrus[] = {{PAGE_SLRU_XACT, "pg_xact", UINT32_MAX / 32768},
		     {PAGE_SLRU_MULTI_OFFSETS, "pg_multixact/offsets", UINT32_MAX / 2048},
		     {PAGE_SLRU_MULTI_MEMBERS, "pg_multixact/members", UINT32_MAX / 1636}};
	struct ps_key from = {.kind = PS_KIND_TWOPHASE}, to = {.kind = PS_KIND_TWOPHASE + 1};
	for (size_t i = 0; i < ARRAY_LEN(slrus); i++)
		TRY(put_slru(b, slrus[i].slru, slrus[i].dir, slrus[i].max_page, err));
	return ps_timeline_scan(b->tl, &from, &to, b->lsn, put_prepared, b, err);
}

/* ---- the checkpoint ---- */

/* Pages of zeros are left out: the client's file has a hole there. The record may reach into a second
 * segment, rarely. */
static int put_wal(struct backup *b, tarn_lsn segment_start, const struct tarn_buf *wal,
		   struct tarn_error *err)
{
	static const uint8_t zeros[WAL_PAGE_BYTES];
	for (size_t done = 0; done < wal->len; done += WAL_PAGE_BYTES) {
		char name[25], path[PATH_BYTES];
		size_t n = TARN_MIN(wal->len - done, WAL_PAGE_BYTES);
		if (memcmp(wal->data + done, zeros, n) == 0)
			continue;
		wal_segment_name(segment_start + done, name);
		tarn_snprintf(path, sizeof path, "pg_wal/%s", name);
		page_put_file(&b->frames, b->id, path, done % WAL_SEGMENT_BYTES, wal->data + done,
			      n);
	}
	return flush(b, FLUSH_BYTES, err);
}

static int put_checkpoint(struct backup *b, tarn_lsn prev_lsn, struct tarn_error *err)
{
	struct pg_control control;
	struct tarn_buf wal = TARN_BUF_INIT;
	uint8_t bytes[PG_CONTROL_FILE_BYTES];
	tarn_lsn segment_start;
	TRY(ps_control_at(b->tl, b->lsn, &control, err));
	pg_checkpoint_make(&control, b->lsn, prev_lsn, &wal, &segment_start);
	pg_control_build(&control, bytes);
	int rc = put_file(b, "global/pg_control", bytes, sizeof bytes, err);
	if (rc == 0)
		rc = put_wal(b, segment_start, &wal, err);
	tarn_buf_release(&wal);
	return rc;
}

static int put_all(struct backup *b, struct tarn_error *err)
{
	struct ps_boundary at;
	TRY(ps_boundary_before(b->tl, b->lsn, &at, err));
	if (at.end_lsn != b->lsn)
		return tarn_fail(err, TARN_E_USAGE,
				 "LSN " TARN_LSN_FMT
				 " is not known as the end of a log record; the "
				 "one before it is " TARN_LSN_FMT,
				 TARN_LSN_ARGS(b->lsn), TARN_LSN_ARGS(at.end_lsn));
	page_put_base_info(&b->frames, b->id, b->lsn, at.start_lsn);
	TRY(put_file(b, "PG_VERSION", "15\n", 3, err));
	for (size_t i = 0; i < ARRAY_LEN(directories); i++)
		TRY(put_directory(b, directories[i], err));
	TRY(put_databases(b, err));
	TRY(put_transactions(b, err));
	TRY(put_init_forks(b, err));
	TRY(put_checkpoint(b, at.start_lsn, err));
	page_put_answer(&b->frames, PAGE_MSG_BASE_END, b->id, 0, NULL, 0);
	return flush(b, 0, err);
}

int basebackup_send(struct pageserver *ps, struct ps_timeline *tl, uint64_t id, tarn_lsn lsn,
		    int (*send)(void *arg, const struct tarn_buf *frames, struct tarn_error *e),
		    void *arg, struct tarn_error *err)
{
	struct backup b = {.ps = ps, .tl = tl, .id = id, .lsn = lsn, .send = send, .send_arg = arg};
	int rc = put_all(&b, err);
	tarn_buf_release(&b.frames);
	return rc;
}
