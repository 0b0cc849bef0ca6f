/* Implementation of timeline.h. */
#include "base/system.h"
#include "base/crc.h"
#include "base/log.h"
#include "io/file.h"
#include "safekeeper/timeline.h"

#define CONTROL_MAGIC 0x4b534e54u /* "TNSK" */
#define CONTROL_VERSION 1u
#define CONTROL_MAX_BYTES ((size_t)64 << 10)
#define SCAN_BYTES ((size_t)256 << 10)
#define KEEP_SEGMENTS 4
#define ZERO_BYTES ((size_t)1 << 20)

static char *segment_path(const struct sk_timeline *t, tarn_lsn lsn)
{
	char name[25];
	wal_segment_name(lsn, name);
	return tarn_asprintf("%s/%s", t->dir, name);
}

static tarn_lsn segment_of(tarn_lsn lsn)
{
	return lsn - lsn % WAL_SEGMENT_BYTES;
}

int sk_timeline_save(struct sk_timeline *t, struct tarn_error *err)
{
	const struct acceptor_hard *h = &t->acceptor.hard;
	struct tarn_buf b = TARN_BUF_INIT;
	char *path = tarn_asprintf("%s/control", t->dir);
	tarn_buf_put_le32(&b, CONTROL_MAGIC);
	tarn_buf_put_le32(&b, CONTROL_VERSION);
	tarn_buf_put(&b, t->id.bytes, sizeof t->id.bytes);
	tarn_buf_put_le64(&b, t->system_identifier);
	tarn_buf_put_le64(&b, h->term);
	tarn_buf_put_le64(&b, h->voted_for);
	tarn_buf_put_le64(&b, h->start_lsn);
	tarn_buf_put_le64(&b, h->commit_lsn);
	tarn_buf_put_le64(&b, t->durable_lsn);
	tarn_buf_put_le64(&b, t->oldest_lsn);
	tarn_buf_put_le32(&b, h->recovering);
	tarn_buf_put_le32(&b, h->history.count);
	for (uint32_t i = 0; i < h->history.count; i++) {
		tarn_buf_put_le64(&b, h->history.entries[i].term);
		tarn_buf_put_le64(&b, h->history.entries[i].lsn);
	}
	tarn_buf_put_le32(&b, tarn_crc32c(b.data, b.len));
	int rc = file_write_atomic(path, b.data, b.len, err);
	if (rc == 0)
		t->control_commit_lsn = h->commit_lsn;
	tarn_buf_release(&b);
	free(path);
	return rc;
}

static int parse_control(struct sk_timeline *t, const struct tarn_buf *b, const char *path,
			 struct tarn_error *err)
{
	struct acceptor_hard *h = &t->acceptor.hard;
	struct tarn_reader r;
	struct tarn_id id;
	tarn_reader_init(&r, b->data, b->len);
	if (b->len < 8 || tarn_crc32c(b->data, b->len - 4) != get_le32(b->data + b->len - 4))
		return tarn_fail(err, TARN_E_CORRUPT,
				 "%s is damaged (checksum); delete this safekeeper's folder, it "
				 "will catch up from "
				 "the others",
				 path);
	uint32_t magic = tarn_reader_le32(&r), version = tarn_reader_le32(&r);
	if (magic != CONTROL_MAGIC || version != CONTROL_VERSION)
		return tarn_fail(err, TARN_E_UNSUPPORTED, "%s has format %u, this build reads %u",
				 path, version, CONTROL_VERSION);
	tarn_reader_copy(&r, id.bytes, sizeof id.bytes);
	t->system_identifier = tarn_reader_le64(&r);
	h->term = tarn_reader_le64(&r);
	h->voted_for = tarn_reader_le64(&r);
	h->start_lsn = tarn_reader_le64(&r);
	h->commit_lsn = tarn_reader_le64(&r);
	t->durable_lsn = tarn_reader_le64(&r);
	t->oldest_lsn = tarn_reader_le64(&r);
	h->recovering = tarn_reader_le32(&r) != 0;
	h->history.count = tarn_reader_le32(&r);
	for (uint32_t i = 0; i < h->history.count && i < QUORUM_MAX_HISTORY; i++) {
		h->history.entries[i].term = tarn_reader_le64(&r);
		h->history.entries[i].lsn = tarn_reader_le64(&r);
	}
	if (r.failed || h->history.count > QUORUM_MAX_HISTORY || !tarn_id_equal(&id, &t->id))
		return tarn_fail(err, TARN_E_CORRUPT, "%s does not belong to this timeline", path);
	t->control_commit_lsn = h->commit_lsn;
	return 0;
}

static struct sk_timeline *allocate(const char *root, const struct tarn_id *id)
{
	struct sk_timeline *t = tarn_calloc(1, sizeof *t);
	char text[TARN_ID_TEXT_BYTES];
	tarn_id_format(id, text);
	t->id = *id;
	t->dir = tarn_asprintf("%s/%s", root, text);
	t->segment_fd = -1;
	return t;
}

static void release(struct sk_timeline *t)
{
	file_close(t->segment_fd);
	wal_framer_release(&t->framer);
	free(t->dir);
	free(t);
}

int sk_timeline_make(const char *root, const struct tarn_id *id, uint64_t system_identifier,
		     tarn_lsn start_lsn, bool recovering, struct sk_timeline **out,
		     struct tarn_error *err)
{
	struct sk_timeline *t = allocate(root, id);
	t->system_identifier = system_identifier;
	acceptor_create(&t->acceptor, start_lsn, recovering);
	t->oldest_lsn = segment_of(start_lsn);
	t->durable_lsn = start_lsn;
	wal_framer_init(&t->framer, start_lsn, 0, system_identifier);
	int rc = file_mkdir_p(t->dir, 0700, err);
	if (rc == 0)
		rc = sk_timeline_save(t, err);
	if (rc == 0)
		rc = file_fsync_dir(root, err);
	if (rc != 0) {
		release(t);
		return rc;
	}
	*out = t;
	return 0;
}

/* Frames the log from the committed end on, to where it stops being a log. */
static int find_end(struct sk_timeline *t, struct tarn_error *err)
{
	tarn_lsn at = t->acceptor.hard.commit_lsn;
	uint8_t *chunk = tarn_malloc(SCAN_BYTES);
	int rc = 0;
	wal_framer_init(&t->framer, at, 0, t->system_identifier);
	for (;;) {
		char *path = segment_path(t, at);
		size_t want = TARN_MIN(SCAN_BYTES,
				       (size_t)(segment_of(at) + WAL_SEGMENT_BYTES - at)),
		       got = 0;
		int fd = -1;
		if (!file_exists(path)) {
			free(path);
			break;
		}
		rc = file_open(path, O_RDONLY, 0, &fd, err);
		if (rc == 0)
			rc = file_pread_some(fd, chunk, want, at % WAL_SEGMENT_BYTES, &got, path,
					     err);
		file_close(fd);
		free(path);
		if (rc != 0 || got == 0 || wal_framer_skim(&t->framer, chunk, got, NULL) != 0)
			break;
		at += got;
	}
	free(chunk);
	t->acceptor.flush_lsn = t->acceptor.write_lsn = t->framer.record_end_lsn;
	return rc;
}

int sk_timeline_open(const char *root, const struct tarn_id *id, struct sk_timeline **out,
		     struct tarn_error *err)
{
	struct sk_timeline *t = allocate(root, id);
	struct tarn_buf b = TARN_BUF_INIT;
	char *path = tarn_asprintf("%s/control", t->dir);
	int rc = file_read_all(path, CONTROL_MAX_BYTES, &b, err);
	if (rc == 0)
		rc = parse_control(t, &b, path, err);
	if (rc == 0)
		rc = find_end(t, err);
	/* What follows the last whole record was never acknowledged; a later write must not meet it. */
	if (rc == 0)
		rc = sk_timeline_truncate(t, t->acceptor.flush_lsn, err);
	tarn_buf_release(&b);
	free(path);
	if (rc != 0) {
		release(t);
		return rc;
	}
	*out = t;
	return 0;
}

void sk_timeline_free(struct sk_timeline *t)
{
	struct tarn_error err;
	if (!t)
		return;
	if (t->acceptor.hard.commit_lsn != t->control_commit_lsn && sk_timeline_save(t, &err) != 0)
		log_warn("commit LSN not saved", "reason=\"%s\"", err.message);
	release(t);
}

/* A fresh segment is written with zeros, so that later small fsyncs change no file metadata. */
static int fill_zeros(int fd, const char *path, struct tarn_error *err)
{
	uint8_t *zeros = tarn_calloc(1, ZERO_BYTES);
	int rc = 0;
	for (uint64_t at = 0; rc == 0 && at < WAL_SEGMENT_BYTES; at += ZERO_BYTES)
		rc = file_pwrite(fd, zeros, ZERO_BYTES, at, path, err);
	free(zeros);
	return rc;
}

static int open_segment(struct sk_timeline *t, tarn_lsn lsn, struct tarn_error *err)
{
	uint64_t size;
	tarn_lsn start = segment_of(lsn);
	if (t->segment_fd >= 0 && t->segment_start == start)
		return 0;
	if (t->segment_fd >= 0) {
		/* Leaving a segment: its bytes must be on disk before sync looks at the next one only. */
		TRY(file_fdatasync(t->segment_fd, t->dir, err));
		file_close(t->segment_fd);
		t->segment_fd = -1;
	}
	char *path = segment_path(t, lsn);
	int rc = file_open(path, O_RDWR | O_CREAT, 0600, &t->segment_fd, err);
	if (rc == 0)
		rc = file_size(t->segment_fd, &size, path, err);
	if (rc == 0 && size < WAL_SEGMENT_BYTES) {
		rc = fill_zeros(t->segment_fd, path, err);
		if (rc == 0)
			rc = file_fsync(t->segment_fd, path, err);
		if (rc == 0)
			rc = file_fsync_dir(t->dir, err);
	}
	t->segment_start = start;
	if (rc == 0 && t->acceptor.hard.commit_lsn != t->control_commit_lsn)
		rc = sk_timeline_save(t, err); /* so that recovery need not read the whole log */
	free(path);
	return rc;
}

int sk_timeline_write(struct sk_timeline *t, const uint8_t *bytes, size_t len,
		      struct tarn_error *err)
{
	TRY(wal_framer_skim(&t->framer, bytes, len, err));
	while (len > 0) {
		tarn_lsn at = t->acceptor.write_lsn;
		size_t n =
			(size_t)TARN_MIN((uint64_t)len, WAL_SEGMENT_BYTES - at % WAL_SEGMENT_BYTES);
		TRY(open_segment(t, at, err));
		TRY(file_pwrite(t->segment_fd, bytes, n, at % WAL_SEGMENT_BYTES, t->dir, err));
		t->dirty = true;
		t->acceptor.write_lsn += n;
		bytes += n;
		len -= n;
	}
	return 0;
}

int sk_timeline_sync(struct sk_timeline *t, struct tarn_error *err)
{
	if (t->dirty)
		TRY(file_fdatasync(t->segment_fd, t->dir, err));
	t->dirty = false;
	t->acceptor.flush_lsn = t->framer.record_end_lsn;
	return 0;
}

struct later_arg {
	const struct sk_timeline *t;
	char first_gone[25]; /* segments from this name on go */
};

static int remove_later(void *arg, const char *name, struct tarn_error *err)
{
	const struct later_arg *a = arg;
	if (strlen(name) != 24 || strspn(name, "0123456789ABCDEF") != 24 ||
	    strcmp(name, a->first_gone) < 0)
		return 0;
	char *path = tarn_asprintf("%s/%s", a->t->dir, name);
	int rc = file_unlink(path, err);
	free(path);
	return rc;
}

/* Zeros from lsn to the end of its segment. */
static int zero_tail(struct sk_timeline *t, tarn_lsn lsn, struct tarn_error *err)
{
	char *path = segment_path(t, lsn);
	int rc = 0;
	if (file_exists(path)) {
		rc = open_segment(t, lsn, err);
		if (rc == 0)
			rc = file_truncate(t->segment_fd, lsn % WAL_SEGMENT_BYTES, path, err);
		if (rc == 0)
			rc = file_truncate(t->segment_fd, WAL_SEGMENT_BYTES, path, err);
		if (rc == 0)
			rc = file_fsync(t->segment_fd, path, err);
	}
	free(path);
	return rc;
}

int sk_timeline_truncate(struct sk_timeline *t, tarn_lsn lsn, struct tarn_error *err)
{
	struct later_arg a = {.t = t};
	TARN_CHECK(lsn >= t->acceptor.hard.commit_lsn);
	TRY(sk_timeline_sync(t, err));
	if (t->segment_fd >= 0 && t->segment_start >= lsn) {
		file_close(t->segment_fd);
		t->segment_fd = -1;
	}
	wal_segment_name(lsn % WAL_SEGMENT_BYTES ? segment_of(lsn) + WAL_SEGMENT_BYTES : lsn,
			 a.first_gone);
	TRY(file_list_dir(t->dir, remove_later, &a, err));
	if (lsn % WAL_SEGMENT_BYTES)
		TRY(zero_tail(t, lsn, err));
	TRY(file_fsync_dir(t->dir, err));
	/* Where the record before it began is known only if nothing was cut. */
	wal_framer_reset(&t->framer, lsn, lsn == t->framer.record_end_lsn ? t->framer.prev_lsn : 0);
	t->acceptor.write_lsn = t->acceptor.flush_lsn = lsn;
	t->dirty = false;
	return 0;
}

int sk_timeline_read(const struct sk_timeline *t, tarn_lsn from, size_t len, uint8_t *out,
		     struct tarn_error *err)
{
	if (from < t->oldest_lsn || from < segment_of(t->acceptor.hard.start_lsn))
		return tarn_fail(
			err, TARN_E_NOT_FOUND, "the log begins at " TARN_LSN_FMT " here",
			TARN_LSN_ARGS(TARN_MAX(t->oldest_lsn, t->acceptor.hard.start_lsn)));
	while (len > 0) {
		size_t n = (size_t)TARN_MIN((uint64_t)len,
					    WAL_SEGMENT_BYTES - from % WAL_SEGMENT_BYTES);
		char *path = segment_path(t, from);
		int fd = -1;
		int rc = file_open(path, O_RDONLY, 0, &fd, err);
		if (rc == 0)
			rc = file_pread(fd, out, n, from % WAL_SEGMENT_BYTES, path, err);
		file_close(fd);
		free(path);
		TRY(rc);
		out += n;
		from += n;
		len -= n;
	}
	return 0;
}

int sk_timeline_trim(struct sk_timeline *t, tarn_lsn keep_lsn, struct tarn_error *err)
{
	tarn_lsn limit = TARN_MIN(TARN_MIN(keep_lsn, t->durable_lsn), t->acceptor.hard.commit_lsn);
	limit = segment_of(limit);
	limit = limit > KEEP_SEGMENTS * WAL_SEGMENT_BYTES
			? limit - KEEP_SEGMENTS * WAL_SEGMENT_BYTES
			: 0;
	if (limit <= t->oldest_lsn)
		return 0;
	tarn_lsn from = t->oldest_lsn;
	t->oldest_lsn = limit;
	TRY(sk_timeline_save(t, err));
	for (tarn_lsn s = from; s < limit; s += WAL_SEGMENT_BYTES) {
		char *path = segment_path(t, s);
		int rc = file_unlink(path, err);
		free(path);
		TRY(rc);
	}
	return 0;
}
