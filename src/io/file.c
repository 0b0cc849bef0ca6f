/* Implementation of file.h over the operating system. */
#include "base/system.h"
#include "io/file.h"
#include <dirent.h>
#include <ftw.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

int file_open(const char *path, int flags, mode_t mode, int *fd, struct tarn_error *err)
{
	do
		*fd = open(path, flags | O_CLOEXEC, mode);
	while (*fd < 0 && errno == EINTR);
	if (*fd < 0)
		return tarn_fail_errno(err, errno, "cannot open %s", path);
	return 0;
}

void file_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

int file_pread_some(int fd, void *out, size_t len, uint64_t offset, size_t *got, const char *path,
		    struct tarn_error *err)
{
	uint8_t *p = out;
	*got = 0;
	while (*got < len) {
		ssize_t n = pread(fd, p + *got, len - *got, (off_t)(offset + *got));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return tarn_fail_errno(err, errno, "cannot read %s at byte %" PRIu64, path,
					       offset + *got);
		if (n == 0)
			break;
		*got += (size_t)n;
	}
	return 0;
}

int file_pread(int fd, void *out, size_t len, uint64_t offset, const char *path,
	       struct tarn_error *err)
{
	size_t got;
	TRY(file_pread_some(fd, out, len, offset, &got, path, err));
	if (got != len)
		return tarn_fail(err, TARN_E_CORRUPT,
				 "%s ends at byte %" PRIu64
				 ", but %zu bytes were expected at %" PRIu64,
				 path, offset + got, len, offset);
	return 0;
}

int file_pwrite(int fd, const void *src, size_t len, uint64_t offset, const char *path,
		struct tarn_error *err)
{
	const uint8_t *p = src;
	size_t done = 0;
	while (done < len) {
		ssize_t n = pwrite(fd, p + done, len - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return tarn_fail_errno(err, errno,
					       "cannot write %zu bytes to %s at byte %" PRIu64,
					       len - done, path, offset + done);
		done += (size_t)n;
	}
	return 0;
}

int file_fsync(int fd, const char *path, struct tarn_error *err)
{
	if (fsync(fd) != 0)
		return tarn_fail_errno(err, errno, "fsync of %s failed, its content is in doubt",
				       path);
	return 0;
}

int file_fdatasync(int fd, const char *path, struct tarn_error *err)
{
	if (fdatasync(fd) != 0)
		return tarn_fail_errno(err, errno,
				       "fdatasync of %s failed, its content is in doubt", path);
	return 0;
}

int file_truncate(int fd, uint64_t len, const char *path, struct tarn_error *err)
{
	int rc;
	do
		rc = ftruncate(fd, (off_t)len);
	while (rc != 0 && errno == EINTR);
	if (rc != 0)
		return tarn_fail_errno(err, errno, "cannot set the size of %s", path);
	return 0;
}

int file_size(int fd, uint64_t *len, const char *path, struct tarn_error *err)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return tarn_fail_errno(err, errno, "cannot examine %s", path);
	*len = (uint64_t)st.st_size;
	return 0;
}

int file_rename(const char *from, const char *to, struct tarn_error *err)
{
	if (rename(from, to) != 0)
		return tarn_fail_errno(err, errno, "cannot rename %s to %s", from, to);
	return 0;
}

int file_unlink(const char *path, struct tarn_error *err)
{
	if (unlink(path) != 0 && errno != ENOENT)
		return tarn_fail_errno(err, errno, "cannot remove %s", path);
	return 0;
}

int file_fsync_dir(const char *dir, struct tarn_error *err)
{
	int fd;
	TRY(file_open(dir, O_RDONLY | O_DIRECTORY, 0, &fd, err));
	int rc = file_fsync(fd, dir, err);
	file_close(fd);
	return rc;
}

int file_mkdir_p(const char *dir, mode_t mode, struct tarn_error *err)
{
	char path[PATH_MAX];
	if (!tarn_strlcpy(path, dir, sizeof path) || !*path)
		return tarn_fail(err, TARN_E_LIMIT, "directory name is empty or too long: %.64s…",
				 dir);
	for (char *p = path + 1;; p++) {
		if (*p != '/' && *p != '\0')
			continue;
		char saved = *p;
		*p = '\0';
		if (mkdir(path, mode) != 0 && errno != EEXIST)
			return tarn_fail_errno(err, errno, "cannot create directory %s", path);
		*p = saved;
		if (!saved)
			return 0;
	}
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

int file_remove_tree(const char *dir, struct tarn_error *err)
{
	TARN_CHECK(*dir && strcmp(dir, "/") != 0);
	if (nftw(dir, remove_entry, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0 && errno != ENOENT)
		return tarn_fail_errno(err, errno, "cannot remove directory %s", dir);
	return 0;
}

bool file_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

int file_read_all(const char *path, size_t max_bytes, struct tarn_buf *out, struct tarn_error *err)
{
	int fd, rc;
	uint64_t size;
	size_t got;
	TRY(file_open(path, O_RDONLY, 0, &fd, err));
	TRY_GOTO(rc, file_size(fd, &size, path, err), out);
	if (size > max_bytes) {
		rc = tarn_fail(err, TARN_E_LIMIT,
			       "%s has %" PRIu64 " bytes, more than the limit of %zu", path, size,
			       max_bytes);
		goto out;
	}
	uint8_t *p = tarn_buf_reserve(out, (size_t)size);
	TRY_GOTO(rc, file_pread_some(fd, p, (size_t)size, 0, &got, path, err), out);
	out->len += got;
out:
	file_close(fd);
	return rc;
}

int file_write_atomic(const char *path, const void *data, size_t len, struct tarn_error *err)
{
	char tmp[PATH_MAX], dir[PATH_MAX];
	int fd, rc;
	if (!tarn_snprintf(tmp, sizeof tmp, "%s.tmp", path))
		return tarn_fail(err, TARN_E_LIMIT, "file name too long: %.64s…", path);
	tarn_strlcpy(dir, path, sizeof dir);
	char *slash = strrchr(dir, '/');
	if (slash)
		*(slash == dir ? slash + 1 : slash) = '\0';
	else
		tarn_strlcpy(dir, ".", sizeof dir);
	TRY(file_open(tmp, O_WRONLY | O_CREAT | O_TRUNC, 0600, &fd, err));
	rc = file_pwrite(fd, data, len, 0, tmp, err);
	if (rc == 0)
		rc = file_fsync(fd, tmp, err);
	file_close(fd);
	if (rc == 0)
		rc = file_rename(tmp, path, err);
	if (rc == 0)
		rc = file_fsync_dir(dir, err);
	return rc;
}

int file_list_dir(const char *dir, int (*visit)(void *arg, const char *name, struct tarn_error *e),
		  void *arg, struct tarn_error *err)
{
	DIR *d = opendir(dir);
	if (!d)
		return tarn_fail_errno(err, errno, "cannot list directory %s", dir);
	int rc = 0;
	for (;;) {
		errno = 0;
		struct dirent *e = readdir(d);
		if (!e) {
			if (errno)
				rc = tarn_fail_errno(err, errno, "cannot list directory %s", dir);
			break;
		}
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		rc = visit(arg, e->d_name, err);
		if (rc)
			break;
	}
	closedir(d);
	return rc;
}

int file_free_bytes(const char *path, uint64_t *free_bytes, struct tarn_error *err)
{
	struct statvfs v;
	if (statvfs(path, &v) != 0)
		return tarn_fail_errno(err, errno, "cannot examine the file system of %s", path);
	*free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
	return 0;
}
