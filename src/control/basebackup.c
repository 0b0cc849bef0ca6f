/* Fetches a compute's data directory from the pageserver (wire/page_wire.h, BASEBACKUP). */
#include "base/system.h"
#include <sys/stat.h>
#include "control/control_internal.h"
#include "io/file.h"
#include "io/net.h"
#include "wire/page_wire.h"

#define CALL_TIMEOUT_MS 60000
#define WAL_SEGMENT_FILE_BYTES ((uint64_t)16 << 20)

struct fetch {
	const char *data_dir;
	int fd; /* of the file being written, or -1 */
	char path[256];
};

/* A path from the network stays inside the data directory. */
static bool path_is_safe(const char *p)
{
	if (p[0] == '/' || p[0] == '\0' || strstr(p, "//"))
		return false;
	for (const char *part = p; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
		if (strncmp(part, "..", 2) == 0)
			return false;
	return true;
}

static int close_file(struct fetch *f, struct tarn_error *err)
{
	int rc = 0;
	/* The log's segment arrives up to the end of its record; Postgres wants it whole. */
	if (f->fd >= 0 && strncmp(f->path, "pg_wal/0", 8) == 0)
		rc = file_truncate(f->fd, WAL_SEGMENT_FILE_BYTES, f->path, err);
	if (f->fd >= 0)
		file_close(f->fd);
	f->fd = -1;
	return rc;
}

static int take_file(struct fetch *f, const struct page_response *r, struct tarn_error *err)
{
	size_t n = strlen(r->path);
	int rc = 0;
	if (!path_is_safe(r->path))
		return tarn_fail(err, TARN_E_PROTOCOL,
				 "the pageserver sent a file outside of the data directory");
	char *full = tarn_asprintf("%s/%s", f->data_dir, r->path);
	if (r->path[n - 1] == '/') {
		rc = close_file(f, err);
		if (rc == 0)
			rc = file_mkdir_p(full, 0700, err);
	} else {
		if (f->fd < 0 || strcmp(f->path, r->path) != 0) {
			rc = close_file(f, err);
			tarn_strlcpy(f->path, r->path, sizeof f->path);
			if (rc == 0)
				rc = file_open(full, O_WRONLY | O_CREAT, 0600, &f->fd, err);
		}
		if (rc == 0 && r->bytes_len > 0)
			rc = file_pwrite(f->fd, r->bytes, r->bytes_len, r->number, full, err);
	}
	free(full);
	return rc;
}

static int read_response(int fd, struct tarn_buf *storage, struct page_response *r,
			 struct tarn_error *err)
{
	struct frame frame;
	TRY(frame_read(fd, FRAME_PROTO_PAGE, PAGE_WIRE_VERSION, FRAME_MAX_PAYLOAD_BYTES, storage,
		       &frame, false, err));
	TRY(page_parse_response(&frame, r, err));
	if (r->type == PAGE_MSG_ERROR)
		return tarn_fail(err, (enum tarn_error_code)r->number, "pageserver: %.*s",
				 (int)TARN_MIN(r->bytes_len, 400), (const char *)r->bytes);
	return 0;
}

static int receive(int fd, struct fetch *f, struct tarn_buf *storage, struct tarn_error *err)
{
	struct page_response r;
	TRY(read_response(fd, storage, &r, err));
	if (r.type != PAGE_MSG_ATTACHED)
		return tarn_fail(err, TARN_E_PROTOCOL,
				 "the pageserver did not attach the timeline");
	for (;;) {
		TRY(read_response(fd, storage, &r, err));
		if (r.type == PAGE_MSG_BASE_END)
			return close_file(f, err);
		if (r.type == PAGE_MSG_FILE)
			TRY(take_file(f, &r, err));
		else if (r.type != PAGE_MSG_BASE_INFO)
			return tarn_fail(err, TARN_E_PROTOCOL,
					 "unexpected message %u in a base backup", r.type);
	}
}

int basebackup_fetch(const char *pageserver, const struct tarn_id *timeline,
		     uint64_t system_identifier, tarn_lsn lsn, const char *data_dir,
		     struct tarn_error *err)
{
	struct tarn_buf b = TARN_BUF_INIT;
	struct fetch f = {.data_dir = data_dir, .fd = -1};
	int fd = -1;
	int rc = net_connect(pageserver, 5000, &fd, err);
	if (rc != 0)
		return rc;
	page_put_attach(&b, timeline, system_identifier);
	page_put_basebackup(&b, 1, lsn);
	rc = net_set_timeout(fd, CALL_TIMEOUT_MS, err);
	if (rc == 0)
		rc = net_write_full(fd, b.data, b.len, err);
	if (rc == 0)
		rc = receive(fd, &f, &b, err);
	if (f.fd >= 0)
		file_close(f.fd);
	close(fd);
	tarn_buf_release(&b);
	return rc;
}
