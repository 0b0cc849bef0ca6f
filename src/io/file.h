/*
 * Files: the one seam under every read, write and fsync of the daemons. Fault injection replaces
 * file.c at link time; callers contain no #ifdef for it.
 *
 * All calls retry EINTR, never retry a failed fsync, and put path and operation into the error.
 * A failed fsync leaves the file's state unknown: the caller must stop using it (invariant 7).
 */
#ifndef TARN_IO_FILE_H
#define TARN_IO_FILE_H

#include "base/buf.h"
#include "base/error.h"

/* Opens with open(2) flags (O_CLOEXEC is added); *fd is -1 on failure. */
int file_open(const char *path, int flags, mode_t mode, int *fd, struct tarn_error *err);
void file_close(int fd);
/* Exactly len bytes or an error; file_pread_some returns fewer at end of file. path: for messages. */
int file_pread(int fd, void *out, size_t len, uint64_t offset, const char *path,
	       struct tarn_error *err);
int file_pread_some(int fd, void *out, size_t len, uint64_t offset, size_t *got, const char *path,
		    struct tarn_error *err);
int file_pwrite(int fd, const void *src, size_t len, uint64_t offset, const char *path,
		struct tarn_error *err);
int file_fsync(int fd, const char *path, struct tarn_error *err);
int file_fdatasync(int fd, const char *path, struct tarn_error *err);
int file_truncate(int fd, uint64_t len, const char *path, struct tarn_error *err);
int file_size(int fd, uint64_t *len, const char *path, struct tarn_error *err);
int file_rename(const char *from, const char *to, struct tarn_error *err);
/* Removing what is not there is no error. */
int file_unlink(const char *path, struct tarn_error *err);
/* fsync of a directory, so that names in it are durable. */
int file_fsync_dir(const char *dir, struct tarn_error *err);
int file_mkdir_p(const char *dir, mode_t mode, struct tarn_error *err);
/* Removes a tree; refuses "" and "/". */
int file_remove_tree(const char *dir, struct tarn_error *err);
bool file_exists(const char *path);

/* Whole file; max_bytes guards against hostile sizes. Appends to out. */
int file_read_all(const char *path, size_t max_bytes, struct tarn_buf *out, struct tarn_error *err);
/* Write to PATH.tmp, fsync, rename, fsync the directory: PATH holds the old bytes or the new. */
int file_write_atomic(const char *path, const void *data, size_t len, struct tarn_error *err);

/* Calls visit for each entry but "." and ".."; stops at the first non-zero return and returns it. */
int file_list_dir(const char *dir, int (*visit)(void *arg, const char *name, struct tarn_error *e),
		  void *arg, struct tarn_error *err);
/* Bytes free to an unprivileged user on the file system of path. */
int file_free_bytes(const char *path, uint64_t *free_bytes, struct tarn_error *err);

#endif
