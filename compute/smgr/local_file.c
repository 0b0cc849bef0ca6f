/* Implementation of local_file.h. */
#include "postgres.h"
#include "storage/fd.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>
#include "local_file.h"

/* Segments as the server cuts them: its own fsync of a new relation, which the compiler bound to the
 * server's storage manager for good, must find what it expects. */
static char *segment_path(const RelFileNode *rel, ForkNumber fork, BlockNumber block)
{
	char *path = relpathperm(*rel, fork);
	if (block < RELSEG_SIZE)
		return path;
	char *segment = psprintf("%s.%u", path, block / RELSEG_SIZE);
	pfree(path);
	return segment;
}

static off_t offset_of(BlockNumber block)
{
	return (off_t)(block % RELSEG_SIZE) * BLCKSZ;
}

/* -1: there is no such file, and it was not to be made. */
static int open_segment(const char *path, int flags)
{
	int fd = BasicOpenFile(path, O_RDWR | flags);
	if (fd < 0 && ((flags & O_CREAT) || errno != ENOENT))
		ereport(ERROR, (errcode_for_file_access(),
				errmsg("could not open file \"%s\": %m", path)));
	return fd;
}

/* Like the server, which only warns: the relation is gone anyway. */
static void remove_segment(const RelFileNode *rel, ForkNumber fork, BlockNumber block)
{
	char *path = segment_path(rel, fork, block);
	if (unlink(path) != 0 && errno != ENOENT)
		ereport(WARNING, (errcode_for_file_access(),
				  errmsg("could not remove the local file \"%s\": %m", path)));
	pfree(path);
}

void tarn_local_create(const RelFileNode *rel, ForkNumber fork)
{
	tarn_local_remove(rel, fork, 0);
	char *path = segment_path(rel, fork, 0);
	close(open_segment(path, O_CREAT));
	pfree(path);
}

void tarn_local_write(const RelFileNode *rel, ForkNumber fork, BlockNumber block, const char *page)
{
	char *path = segment_path(rel, fork, block);
	int fd = open_segment(path, O_CREAT);
	errno = 0;
	ssize_t n = pwrite(fd, page, BLCKSZ, offset_of(block));
	int error = n >= 0 && n != BLCKSZ ? ENOSPC : errno;
	close(fd);
	if (n != BLCKSZ) {
		errno = error;
		ereport(ERROR, (errcode_for_file_access(),
				errmsg("could not write block %u of the local file \"%s\": %m",
				       block, path),
				errhint("Free some disk space on this compute's machine.")));
	}
	pfree(path);
}

static bool is_zero(const char *page)
{
	const uint64 *words = (const uint64 *)page;
	for (size_t i = 0; i < BLCKSZ / sizeof *words; i++)
		if (words[i] != 0)
			return false;
	return true;
}

bool tarn_local_read(const RelFileNode *rel, ForkNumber fork, BlockNumber block, char *page)
{
	char *path = segment_path(rel, fork, block);
	int fd = open_segment(path, 0);
	ssize_t n = 0;
	if (fd >= 0) {
		n = pread(fd, page, BLCKSZ, offset_of(block));
		int error = errno;
		close(fd);
		errno = error;
	}
	if (n < 0)
		ereport(ERROR, (errcode_for_file_access(),
				errmsg("could not read block %u of the local file \"%s\": %m",
				       block, path)));
	pfree(path);
	if (n < BLCKSZ)
		memset(page + n, 0, (size_t)(BLCKSZ - n));
	return !is_zero(page);
}

void tarn_local_drop(const RelFileNode *rel, ForkNumber fork, BlockNumber block)
{
	char *path = segment_path(rel, fork, block);
	int fd = open_segment(path, 0);
	static const char zeros[BLCKSZ];
	bool done = true;
	if (fd >= 0) {
		done = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset_of(block),
				 BLCKSZ) == 0 ||
		       pwrite(fd, zeros, BLCKSZ, offset_of(block)) == BLCKSZ;
		int error = errno;
		close(fd);
		errno = error;
	}
	if (!done)
		ereport(ERROR, (errcode_for_file_access(),
				errmsg("could not clear block %u of the local file \"%s\": %m",
				       block, path)));
	pfree(path);
}

void tarn_local_truncate(const RelFileNode *rel, ForkNumber fork, BlockNumber old_nblocks,
			 BlockNumber nblocks)
{
	char *path = segment_path(rel, fork, nblocks);
	if (truncate(path, offset_of(nblocks)) != 0 && errno != ENOENT)
		ereport(ERROR, (errcode_for_file_access(),
				errmsg("could not truncate the local file \"%s\": %m", path)));
	pfree(path);
	/* Any of the segments may be missing: the file is sparse. */
	for (uint64 b = (uint64)nblocks + RELSEG_SIZE - nblocks % RELSEG_SIZE; b < old_nblocks;
	     b += RELSEG_SIZE)
		remove_segment(rel, fork, (BlockNumber)b);
}

void tarn_local_remove(const RelFileNode *rel, ForkNumber fork, BlockNumber nblocks)
{
	remove_segment(rel, fork, 0);
	for (uint64 b = RELSEG_SIZE; b < nblocks; b += RELSEG_SIZE)
		remove_segment(rel, fork, (BlockNumber)b);
}
