/* Implementation of local_log.h. */
#include "postgres.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include <fcntl.h>
#include <unistd.h>
#include "local_log.h"

void local_log_init(struct local_log *l)
{
	l->fd = -1;
	l->segment = 0;
}

static int open_segment(struct local_log *l, XLogSegNo segment, char path[MAXPGPATH],
			struct tarn_error *err)
{
	XLogFilePath(path, GetWALInsertionTimeLine(), segment, wal_segment_size);
	if (l->fd >= 0 && l->segment == segment)
		return 0;
	if (l->fd >= 0)
		close(l->fd);
	l->segment = segment;
	l->fd = open(path, O_RDONLY | O_CLOEXEC);
	return l->fd >= 0 ? 0 : tarn_fail_errno(err, errno, "cannot open %s", path);
}

/* A recycled segment keeps its file: what an open descriptor then reads is another segment. */
static int check_not_recycled(struct local_log *l, XLogSegNo segment, const char *path,
			      struct tarn_error *err)
{
	if (segment > XLogGetLastRemovedSegno())
		return 0;
	close(l->fd);
	l->fd = -1;
	return tarn_fail(err, TARN_E_NOT_FOUND, "%s has been removed", path);
}

static int read_part(struct local_log *l, tarn_lsn from, size_t len, uint8_t *out,
		     struct tarn_error *err)
{
	char path[MAXPGPATH];
	XLogSegNo segment;
	XLByteToSeg(from, segment, wal_segment_size);
	TRY(open_segment(l, segment, path, err));
	off_t at = (off_t)XLogSegmentOffset(from, wal_segment_size);
	while (len > 0) {
		ssize_t n = pread(l->fd, out, len, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return tarn_fail_errno(err, errno, "cannot read %s", path);
		if (n == 0)
			return tarn_fail(err, TARN_E_CORRUPT, "%s is too short", path);
		out += n;
		at += n;
		len -= (size_t)n;
	}
	return check_not_recycled(l, segment, path, err);
}

int local_log_read(void *arg, tarn_lsn from, size_t len, uint8_t *out, struct tarn_error *err)
{
	while (len > 0) {
		size_t segment_left =
			(size_t)wal_segment_size - XLogSegmentOffset(from, wal_segment_size);
		size_t part = Min(len, segment_left);
		TRY(read_part(arg, from, part, out, err));
		from += part;
		out += part;
		len -= part;
	}
	return 0;
}
