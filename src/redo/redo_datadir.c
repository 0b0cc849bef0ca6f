/* Implementation of redo_datadir.h. */
#include "base/system.h"
#include "base/buf.h"
#include "base/crc.h"
#include "io/file.h"
#include "redo/redo_datadir.h"
#include "redo/redo_shm_format.h"
#include <sys/stat.h>

/* Just enough memory for the code to run; nothing is logged, written or shared. */
static const char settings[] = "shared_buffers = 16\n"
			       "max_connections = 1\n"
			       "superuser_reserved_connections = 0\n"
			       "autovacuum_max_workers = 1\n"
			       "max_worker_processes = 0\n"
			       "max_wal_senders = 0\n"
			       "max_replication_slots = 0\n"
			       "max_prepared_transactions = 0\n"
			       "max_locks_per_transaction = 10\n"
			       "max_pred_locks_per_transaction = 10\n"
			       "wal_level = minimal\n"
			       "wal_buffers = 4\n"
			       "huge_pages = off\n"
			       "shared_memory_type = mmap\n"
			       "dynamic_shared_memory_type = mmap\n"
			       "log_min_messages = error\n"
			       "full_page_writes = off\n"
			       "wal_log_hints = off\n"
			       "wal_consistency_checking = ''\n"
			       "zero_damaged_pages = off\n"
			       "lc_messages = 'C'\n";

struct datadir {
	const char *dir;
	uid_t uid;
	gid_t gid;
};

static int give_away(const struct datadir *d, const char *path, struct tarn_error *err)
{
	if (d->uid != (uid_t)-1 && chown(path, d->uid, d->gid) != 0)
		return tarn_fail_errno(err, errno, "cannot give %s to user %u", path, d->uid);
	return 0;
}

static int make_dir(const struct datadir *d, const char *name, struct tarn_error *err)
{
	char *path = tarn_asprintf("%s%s%s", d->dir, *name ? "/" : "", name);
	int rc = 0;
	if (mkdir(path, 0700) != 0)
		rc = tarn_fail_errno(err, errno, "cannot make directory %s", path);
	else
		rc = give_away(d, path, err);
	free(path);
	return rc;
}

static int make_file(const struct datadir *d, const char *name, const void *bytes, size_t len,
		     struct tarn_error *err)
{
	char *path = tarn_asprintf("%s/%s", d->dir, name);
	int fd = -1, rc;
	TRY_GOTO(rc, file_open(path, O_WRONLY | O_CREAT | O_EXCL, 0600, &fd, err), done);
	TRY_GOTO(rc, file_pwrite(fd, bytes, len, 0, path, err), done);
	TRY_GOTO(rc, give_away(d, path, err), done);
done:
	if (fd >= 0)
		file_close(fd);
	free(path);
	return rc;
}

static int make_control_file(const struct datadir *d, struct tarn_error *err)
{
	uint8_t *bytes = tarn_calloc(1, REDO_CONTROL_FILE_BYTES);
#define X(field, offset, type, value)                              \
	{                                                          \
		type field##_ = (type)(value);                     \
		memcpy(bytes + (offset), &field##_, sizeof(type)); \
	}
	REDO_CONTROL_FIELDS(X)
#undef X
	put_le32(bytes + REDO_CONTROL_CRC_OFFSET, tarn_crc32c(bytes, REDO_CONTROL_CRC_OFFSET));
	int rc = make_file(d, "global/pg_control", bytes, REDO_CONTROL_FILE_BYTES, err);
	free(bytes);
	return rc;
}

static int make_settings(const struct datadir *d, const char *module_path, struct tarn_error *err)
{
	if (strpbrk(module_path, "'\"\n\\"))
		return tarn_fail(err, TARN_E_USAGE,
				 "the path of the redo module must hold no quote: %s", module_path);
	struct tarn_buf text = TARN_BUF_INIT;
	tarn_buf_put_str(&text, settings);
	tarn_buf_printf(&text, "shared_preload_libraries = '\"%s\"'\n", module_path);
	int rc = make_file(d, "postgresql.conf", text.data, text.len, err);
	tarn_buf_release(&text);
	return rc;
}

int redo_datadir_make(const char *dir, const char *module_path, uid_t uid, gid_t gid,
		      struct tarn_error *err)
{
	struct datadir d = {dir, uid, gid};
	if (file_exists(dir))
		TRY(file_remove_tree(dir, err));
	TRY(make_dir(&d, "", err));
	TRY(make_dir(&d, "global", err));
	TRY(make_dir(&d, "pg_dynshmem", err));
	TRY(make_dir(&d, "pg_notify", err));
	TRY(make_file(&d, "PG_VERSION", "15\n", 3, err));
	TRY(make_file(&d, "postgresql.auto.conf", "", 0, err));
	TRY(make_control_file(&d, err));
	return make_settings(&d, module_path, err);
}
