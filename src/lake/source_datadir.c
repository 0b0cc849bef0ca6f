/* Implementation of source_datadir.h. */
#include "base/system.h"
#include <sys/stat.h>
#include "lake/source_datadir.h"
#include "pg/heap_page.h"
#include "wire/page_wire.h"

#define SEGMENT_BLOCKS (1u << 17)
#define SLRU_SEGMENT_PAGES 32u
#define SPC_DEFAULT 1663u
#define SPC_GLOBAL 1664u
#define TABLESPACE_VERSION "PG_15_202209061"
#define DATADIR_LSN ((tarn_lsn)1)

struct datadir {
	char *path;
};

static char *database_path(const struct datadir *d, uint32_t spc, uint32_t db)
{
	if (spc == SPC_GLOBAL)
		return tarn_asprintf("%s/global", d->path);
	if (spc == SPC_DEFAULT)
		return tarn_asprintf("%s/base/%u", d->path, db);
	return tarn_asprintf("%s/pg_tblspc/%u/" TABLESPACE_VERSION "/%u", d->path, spc, db);
}

static char *segment_path(const struct datadir *d, const struct lake_rel *rel, uint8_t fork,
			  uint32_t segment)
{
	static const char *const suffix[] = {"", "_fsm", "_vm", "_init"};
	char *dir = database_path(d, rel->spc, rel->db);
	char *path = segment == 0 ? tarn_asprintf("%s/%u%s", dir, rel->rel, suffix[fork & 3])
				  : tarn_asprintf("%s/%u%s.%u", dir, rel->rel, suffix[fork & 3],
						  segment);
	free(dir);
	return path;
}

/* Takes path. *absent: no file, or it ends before. */
static int read_at(char *path, off_t offset, void *out, size_t len, bool *absent,
		   struct tarn_error *err)
{
	int rc = 0, fd = open(path, O_RDONLY | O_CLOEXEC);
	*absent = false;
	if (fd < 0) {
		if (errno == ENOENT)
			*absent = true;
		else
			rc = tarn_fail_errno(err, errno, "cannot open %s", path);
	} else {
		ssize_t n = pread(fd, out, len, offset);
		if (n < 0)
			rc = tarn_fail_errno(err, errno, "cannot read %s", path);
		else if (n == 0)
			*absent = true;
		else if ((size_t)n != len)
			rc = tarn_fail(err, TARN_E_CORRUPT, "%s ends within a block", path);
		close(fd);
	}
	free(path);
	return rc;
}

static int get_page(void *arg, const struct lake_rel *rel, uint8_t fork, uint32_t block,
		    tarn_lsn lsn, uint8_t out[8192], bool *absent, struct tarn_error *err)
{
	(void)lsn;
	return read_at(segment_path(arg, rel, fork, block / SEGMENT_BLOCKS),
		       (off_t)(block % SEGMENT_BLOCKS) * PG_PAGE_BYTES, out, PG_PAGE_BYTES, absent,
		       err);
}

static int nblocks(void *arg, const struct lake_rel *rel, uint8_t fork, tarn_lsn lsn, uint32_t *out,
		   bool *absent, struct tarn_error *err)
{
	(void)lsn;
	*absent = false;
	*out = 0;
	for (uint32_t segment = 0;; segment++) {
		struct stat st;
		char *path = segment_path(arg, rel, fork, segment);
		if (stat(path, &st) != 0) {
			int rc = errno == ENOENT
					 ? 0
					 : tarn_fail_errno(err, errno, "cannot read %s", path);
			*absent = rc == 0 && segment == 0;
			free(path);
			return rc;
		}
		free(path);
		*out += (uint32_t)((uint64_t)st.st_size / PG_PAGE_BYTES);
		if ((uint64_t)st.st_size < (uint64_t)SEGMENT_BLOCKS * PG_PAGE_BYTES)
			return 0;
	}
}

static int slru_page(void *arg, int slru, uint32_t page, tarn_lsn lsn, uint8_t out[8192],
		     bool *absent, struct tarn_error *err)
{
	(void)lsn;
	const struct datadir *d = arg;
	static const char *const names[] = {"pg_xact", "pg_multixact/offsets",
					    "pg_multixact/members"};
	if (slru < 0 || slru >= (int)ARRAY_LEN(names))
		return tarn_fail(err, TARN_E_INTERNAL, "no SLRU %d", slru);
	return read_at(tarn_asprintf("%s/%s/%04X", d->path, names[slru], page / SLRU_SEGMENT_PAGES),
		       (off_t)(page % SLRU_SEGMENT_PAGES) * PG_PAGE_BYTES, out, PG_PAGE_BYTES,
		       absent, err);
}

static int relmap(void *arg, uint32_t spc, uint32_t db, tarn_lsn lsn, uint8_t out[512],
		  bool *absent, struct tarn_error *err)
{
	(void)lsn;
	char *dir = database_path(arg, spc, db);
	char *path = tarn_asprintf("%s/pg_filenode.map", dir);
	free(dir);
	return read_at(path, 0, out, 512, absent, err);
}

static int touched(void *arg, const struct lake_rel *rel, uint8_t fork, tarn_lsn after,
		   tarn_lsn upto,
		   int (*visit)(void *visit_arg, uint32_t block, struct tarn_error *e),
		   void *visit_arg, struct tarn_error *err)
{
	(void)upto;
	uint32_t count;
	bool absent;
	if (after >= DATADIR_LSN)
		return 0;
	TRY(nblocks(arg, rel, fork, DATADIR_LSN, &count, &absent, err));
	for (uint32_t block = 0; block < count; block++)
		TRY(visit(visit_arg, block, err));
	return 0;
}

static int wait_for(void *arg, tarn_lsn lsn, int timeout_ms, struct tarn_error *err)
{
	(void)arg;
	(void)lsn;
	(void)timeout_ms;
	(void)err;
	return 0;
}

static tarn_lsn last_lsn(void *arg)
{
	(void)arg;
	return DATADIR_LSN;
}

int lake_source_datadir_open(const char *data_directory, struct lake_source *out,
			     struct tarn_error *err)
{
	char version[4] = {0};
	bool absent;
	TRY(read_at(tarn_asprintf("%s/PG_VERSION", data_directory), 0, version, 3, &absent, err));
	if (absent || strcmp(version, "15\n") != 0)
		return tarn_fail(err, TARN_E_USAGE, "%s is not a data directory of Postgres 15",
				 data_directory);
	struct datadir *d = tarn_calloc(1, sizeof *d);
	d->path = tarn_strdup(data_directory);
	*out = (struct lake_source){.arg = d,
				    .get_page = get_page,
				    .nblocks = nblocks,
				    .slru_page = slru_page,
				    .relmap = relmap,
				    .touched = touched,
				    .wait = wait_for,
				    .last_lsn = last_lsn};
	return 0;
}

void lake_source_datadir_close(struct lake_source *s)
{
	struct datadir *d = s->arg;
	if (d == NULL)
		return;
	free(d->path);
	free(d);
	s->arg = NULL;
}
