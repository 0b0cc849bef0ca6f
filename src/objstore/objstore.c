/* Implementation of objstore.h: what all stores share, and the directory store. README.md says how.
 */
#include "base/system.h"
#include "objstore/objstore.h"
#include "base/log.h"
#include "io/file.h"
#include <dirent.h>
#include <sys/stat.h>

#define KEY_MAX_BYTES 512
/* Names of our own inside the directory; no key part may begin so. */
#define OWN_PREFIX ".tarn-"
#define MARKER_NAME ".tarn-store"
#define TMP_PREFIX ".tarn-tmp-"
#define MARKER_TEXT "Tarn object store, directory format 1. Every file here belongs to it.\n"
#define COPY_CHUNK_BYTES (1 * MIB)
#define LIST_MAX_DEPTH 32

struct objstore {
	char *dir; /* absolute, no trailing '/' */
	char *url; /* file:// + dir, percent-encoded */
};

static bool key_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("._/=@+-", c) != NULL);
}

static int check_key(const char *key, struct tarn_error *err)
{
	size_t len = strnlen(key, KEY_MAX_BYTES + 1);
	if (len == 0 || len > KEY_MAX_BYTES)
		return tarn_fail(err, TARN_E_USAGE, "object key must have 1 to %d bytes: \"%.64s\"",
				 KEY_MAX_BYTES, key);
	for (size_t i = 0; i < len; i++)
		if (!key_char(key[i]))
			return tarn_fail(err, TARN_E_USAGE,
					 "object key \"%s\" has byte 0x%02x at %zu; allowed are "
					 "letters, digits and ._/=@+-",
					 key, (unsigned char)key[i], i);
	for (const char *part = key;; part++) {
		size_t n = strcspn(part, "/");
		if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && memcmp(part, "..", 2) == 0))
			return tarn_fail(err, TARN_E_USAGE,
					 "object key \"%s\" has an empty, \".\" or \"..\" part",
					 key);
		if (strncmp(part, OWN_PREFIX, strlen(OWN_PREFIX)) == 0)
			return tarn_fail(err, TARN_E_USAGE,
					 "object key \"%s\" has a part that begins with " OWN_PREFIX
					 ", which is reserved",
					 key);
		if (n > NAME_MAX)
			return tarn_fail(err, TARN_E_USAGE,
					 "object key \"%.64s…\" has a part of more than %d bytes",
					 key, NAME_MAX);
		part += n;
		if (!*part)
			return 0;
	}
}

/* The path of key; the text of a store's directory is limited at open so that this fits. */
static int key_path(const struct objstore *s, const char *key, char out[PATH_MAX],
		    struct tarn_error *err)
{
	TRY(check_key(key, err));
	TARN_CHECK(tarn_snprintf(out, PATH_MAX, "%s/%s", s->dir, key));
	return 0;
}

static char *percent_encode(const char *prefix, const char *path)
{
	struct tarn_buf b = TARN_BUF_INIT;
	tarn_buf_put_str(&b, prefix);
	for (const char *p = path; *p; p++) {
		if (key_char(*p) || *p == '~')
			tarn_buf_put_u8(&b, (uint8_t)*p);
		else
			tarn_buf_printf(&b, "%%%02X", (unsigned char)*p);
	}
	char *out = tarn_strdup(tarn_buf_cstr(&b));
	tarn_buf_release(&b);
	return out;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef0123456789ABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;
	return at ? (int)((at - digits) % 16) : -1;
}

/* The directory named by "file:///dir" (percent-encoded) or "/dir" (taken literally). */
static int parse_url(const char *url, char **dir, struct tarn_error *err)
{
	*dir = NULL;
	if (strnlen(url, PATH_MAX) > PATH_MAX - KEY_MAX_BYTES - 64)
		return tarn_fail(err, TARN_E_LIMIT, "object store URL is too long: %.64s…", url);
	if (url[0] == '/') {
		*dir = tarn_strdup(url);
	} else if (strncmp(url, "file:///", 8) == 0) {
		char *out = tarn_strdup(url + 7), *w = out;
		for (const char *r = out; *r; r++) {
			int hi = *r == '%' ? hex_digit(r[1]) : -1;
			int lo = hi >= 0 ? hex_digit(r[2]) : -1;
			if (*r == '%' && (lo < 0 || hi * 16 + lo == 0)) {
				free(out);
				return tarn_fail(err, TARN_E_USAGE,
						 "object store URL %s has a bad %%-escape", url);
			}
			bool escape = *r == '%';
			*w++ = (char)(escape ? hi * 16 + lo : *r);
			r += escape ? 2 : 0;
		}
		*w = '\0';
		*dir = out;
	} else {
		return tarn_fail(err, TARN_E_UNSUPPORTED,
				 "object store %.128s: give an absolute directory or file:///dir",
				 url);
	}
	size_t len = strlen(*dir);
	while (len > 1 && (*dir)[len - 1] == '/')
		(*dir)[--len] = '\0';
	if (len == 1) {
		free(*dir);
		*dir = NULL;
		return tarn_fail(err, TARN_E_USAGE, "object store cannot be the root directory");
	}
	return 0;
}

static int first_foreign_name(void *arg, const char *name, struct tarn_error *err)
{
	(void)err;
	char *found = arg;
	if (strncmp(name, OWN_PREFIX, strlen(OWN_PREFIX)) == 0 || strcmp(name, "lost+found") == 0)
		return 0;
	tarn_strlcpy(found, name, NAME_MAX + 1);
	return 1;
}

static void tmp_name(char out[64])
{
	uint64_t r[2];
	tarn_random_bytes(r, sizeof r);
	tarn_snprintf(out, 64, TMP_PREFIX "%016" PRIx64 "%016" PRIx64, r[0], r[1]);
}

/* Gives tmp the name path unless that is taken; removes tmp either way. */
static int publish(const char *tmp, const char *path, const char *key, struct tarn_error *err)
{
	int rc = 0;
	if (link(tmp, path) != 0) {
		int e = errno;
		if (e == EEXIST)
			rc = tarn_fail(err, TARN_E_EXISTS, "object %s exists already", key);
		else
			rc = tarn_fail_errno(err, e, "cannot name object %s", path);
	}
	unlink(tmp);
	return rc;
}

static int fsync_parent(const char *path, struct tarn_error *err)
{
	char dir[PATH_MAX];
	tarn_strlcpy(dir, path, sizeof dir);
	*strrchr(dir, '/') = '\0';
	return file_fsync_dir(dir, err);
}

/* Makes the directories above path and makes their names durable, as deep as any is new. */
static int make_parents(const struct objstore *s, const char *path, struct tarn_error *err)
{
	char dir[PATH_MAX];
	tarn_strlcpy(dir, path, sizeof dir);
	*strrchr(dir, '/') = '\0';
	if (access(dir, F_OK) == 0)
		return 0;
	size_t root = strlen(s->dir);
	for (char *p = dir + root + 1;; p++) {
		if (*p != '/' && *p != '\0')
			continue;
		char saved = *p;
		*p = '\0';
		if (mkdir(dir, 0755) == 0)
			TRY(fsync_parent(dir, err));
		else if (errno != EEXIST)
			return tarn_fail_errno(err, errno, "cannot create directory %s", dir);
		*p = saved;
		if (!saved)
			return 0;
	}
}

static int write_tmp(const char *tmp, const void *data, size_t len, struct tarn_error *err)
{
	int fd;
	TRY(file_open(tmp, O_WRONLY | O_CREAT | O_EXCL, 0644, &fd, err));
	int rc = file_pwrite(fd, data, len, 0, tmp, err);
	if (rc == 0)
		rc = file_fsync(fd, tmp, err);
	file_close(fd);
	if (rc)
		unlink(tmp);
	return rc;
}

static int tmp_beside(const char *path, char out[PATH_MAX])
{
	char name[64];
	tmp_name(name);
	size_t dir_len = (size_t)(strrchr(path, '/') - path) + 1;
	TARN_CHECK(tarn_snprintf(out, PATH_MAX, "%.*s%s", (int)dir_len, path, name));
	return 0;
}

static int prepare_dir(const char *dir, struct tarn_error *err)
{
	char marker[PATH_MAX], tmp[PATH_MAX], found[NAME_MAX + 1] = "";
	TRY(file_mkdir_p(dir, 0755, err));
	TARN_CHECK(tarn_snprintf(marker, sizeof marker, "%s/" MARKER_NAME, dir));
	if (file_exists(marker))
		return 0;
	int rc = file_list_dir(dir, first_foreign_name, found, err);
	/* Another process may have made the marker and its first object since we looked. */
	if (rc == 1 && file_exists(marker))
		return 0;
	if (rc == 1)
		return tarn_fail(
			err, TARN_E_CONFLICT,
			"%s is not a Tarn object store: it holds \"%s\" and no " MARKER_NAME
			"; choose an empty or new directory",
			dir, found);
	TRY(rc);
	tmp_beside(marker, tmp);
	TRY(write_tmp(tmp, MARKER_TEXT, strlen(MARKER_TEXT), err));
	rc = publish(tmp, marker, MARKER_NAME, err);
	if (rc && rc != TARN_E_EXISTS)
		return rc;
	TRY(file_fsync_dir(dir, err));
	return fsync_parent(dir, err);
}

int objstore_open(const char *url, struct objstore **out, struct tarn_error *err)
{
	char *dir;
	*out = NULL;
	TRY(parse_url(url, &dir, err));
	int rc = prepare_dir(dir, err);
	if (rc) {
		free(dir);
		return tarn_error_prefix(err, "object store %s", url);
	}
	struct objstore *s = tarn_calloc(1, sizeof *s);
	s->dir = dir;
	s->url = percent_encode("file://", dir);
	*out = s;
	return 0;
}

void objstore_free(struct objstore *s)
{
	if (!s)
		return;
	free(s->dir);
	free(s->url);
	free(s);
}

const char *objstore_url(const struct objstore *s)
{
	return s->url;
}

char *objstore_uri(const struct objstore *s, const char *key)
{
	struct tarn_error err;
	TARN_CHECK(check_key(key, &err) == 0);
	return tarn_asprintf("%s/%s", s->url, key);
}

int objstore_put(struct objstore *s, const char *key, const void *data, size_t len,
		 struct tarn_error *err)
{
	char path[PATH_MAX], tmp[PATH_MAX];
	TRY(key_path(s, key, path, err));
	if (file_exists(path)) /* the common loser; link() below decides the races */
		return tarn_fail(err, TARN_E_EXISTS, "object %s exists already", key);
	TRY(make_parents(s, path, err));
	tmp_beside(path, tmp);
	TRY(write_tmp(tmp, data, len, err));
	TRY(publish(tmp, path, key, err));
	return fsync_parent(path, err);
}

static int copy_file(const char *from, const char *tmp, struct tarn_error *err)
{
	int in = -1, out = -1, rc;
	uint8_t *chunk = tarn_malloc(COPY_CHUNK_BYTES);
	TRY_GOTO(rc, file_open(from, O_RDONLY, 0, &in, err), out);
	TRY_GOTO(rc, file_open(tmp, O_WRONLY | O_CREAT | O_EXCL, 0644, &out, err), out);
	for (uint64_t at = 0;;) {
		size_t got;
		TRY_GOTO(rc, file_pread_some(in, chunk, COPY_CHUNK_BYTES, at, &got, from, err),
			 out);
		if (got == 0)
			break;
		TRY_GOTO(rc, file_pwrite(out, chunk, got, at, tmp, err), out);
		at += got;
	}
	rc = file_fsync(out, tmp, err);
out:
	file_close(in);
	file_close(out);
	free(chunk);
	if (rc)
		unlink(tmp);
	return rc;
}

int objstore_put_file(struct objstore *s, const char *key, const char *from, struct tarn_error *err)
{
	char path[PATH_MAX], tmp[PATH_MAX];
	int fd;
	TRY(key_path(s, key, path, err));
	if (file_exists(path))
		return tarn_fail(err, TARN_E_EXISTS, "object %s exists already", key);
	TRY(make_parents(s, path, err));
	tmp_beside(path, tmp);
	if (link(from, tmp) == 0) {
		/* Same file system: the object is the caller's file under a second name. */
		int rc = file_open(tmp, O_RDONLY, 0, &fd, err);
		if (rc == 0) {
			rc = file_fsync(fd, tmp, err);
			file_close(fd);
		}
		if (rc) {
			unlink(tmp);
			return rc;
		}
	} else {
		TRY(copy_file(from, tmp, err));
	}
	TRY(publish(tmp, path, key, err));
	return fsync_parent(path, err);
}

static int open_object(struct objstore *s, const char *key, char path[PATH_MAX], int *fd,
		       struct tarn_error *err)
{
	TRY(key_path(s, key, path, err));
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*fd >= 0)
		return 0;
	if (errno == ENOENT || errno == ENOTDIR)
		return tarn_fail(err, TARN_E_NOT_FOUND, "no object %s in %s", key, s->url);
	return tarn_fail_errno(err, errno, "cannot open object %s", path);
}

int objstore_get(struct objstore *s, const char *key, size_t max_bytes, struct tarn_buf *out,
		 struct tarn_error *err)
{
	char path[PATH_MAX];
	int fd, rc;
	uint64_t size;
	TRY(open_object(s, key, path, &fd, err));
	TRY_GOTO(rc, file_size(fd, &size, path, err), out);
	if (size > max_bytes) {
		rc = tarn_fail(err, TARN_E_LIMIT,
			       "object %s has %" PRIu64 " bytes, more than the limit of %zu", key,
			       size, max_bytes);
		goto out;
	}
	uint8_t *p = tarn_buf_reserve(out, (size_t)size);
	rc = file_pread(fd, p, (size_t)size, 0, path, err);
	if (rc == 0)
		out->len += (size_t)size;
out:
	file_close(fd);
	return rc;
}

int objstore_get_range(struct objstore *s, const char *key, uint64_t offset, size_t len, void *out,
		       struct tarn_error *err)
{
	char path[PATH_MAX];
	int fd;
	TRY(open_object(s, key, path, &fd, err));
	int rc = file_pread(fd, out, len, offset, path, err);
	file_close(fd);
	return rc;
}

int objstore_size(struct objstore *s, const char *key, uint64_t *len, struct tarn_error *err)
{
	char path[PATH_MAX];
	struct stat st;
	TRY(key_path(s, key, path, err));
	if (stat(path, &st) != 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return tarn_fail(err, TARN_E_NOT_FOUND, "no object %s in %s", key, s->url);
		return tarn_fail_errno(err, errno, "cannot examine object %s", path);
	}
	if (!S_ISREG(st.st_mode))
		return tarn_fail(err, TARN_E_NOT_FOUND, "no object %s in %s", key, s->url);
	*len = (uint64_t)st.st_size;
	return 0;
}

struct listing {
	int (*visit)(void *arg, const char *key, uint64_t size_bytes, struct tarn_error *e);
	void *arg;
};

/* path: the directory with prefix appended, both with a trailing '/'. */
static int list_dir(const struct listing *l, const char *root, const char *prefix, int depth,
		    struct tarn_error *err)
{
	char path[PATH_MAX];
	if (depth > LIST_MAX_DEPTH || !tarn_snprintf(path, sizeof path, "%s/%s", root, prefix))
		return tarn_fail(err, TARN_E_LIMIT, "object store %s is nested too deeply at %s",
				 root, prefix);
	DIR *d = opendir(path);
	if (!d)
		return errno == ENOENT || errno == ENOTDIR
			       ? 0
			       : tarn_fail_errno(err, errno, "cannot list %s", path);
	int rc = 0;
	for (struct dirent *e; rc == 0 && (errno = 0, e = readdir(d)) != NULL;) {
		char key[PATH_MAX];
		struct stat st;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    strncmp(e->d_name, OWN_PREFIX, strlen(OWN_PREFIX)) == 0)
			continue;
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue; /* deleted meanwhile */
		if (S_ISDIR(st.st_mode)) {
			if (tarn_snprintf(key, sizeof key, "%s%s/", prefix, e->d_name))
				rc = list_dir(l, root, key, depth + 1, err);
			continue;
		}
		if (!S_ISREG(st.st_mode) ||
		    !tarn_snprintf(key, sizeof key, "%s%s", prefix, e->d_name) ||
		    check_key(key, NULL) != 0)
			continue; /* not ours: no put could have made it */
		rc = l->visit(l->arg, key, (uint64_t)st.st_size, err);
	}
	closedir(d);
	return rc;
}

int objstore_list(struct objstore *s, const char *prefix,
		  int (*visit)(void *arg, const char *key, uint64_t size_bytes,
			       struct tarn_error *e),
		  void *arg, struct tarn_error *err)
{
	struct listing l = {visit, arg};
	size_t len = strlen(prefix);
	if (len > KEY_MAX_BYTES || (len > 0 && prefix[len - 1] != '/'))
		return tarn_fail(err, TARN_E_USAGE, "list prefix must end with '/': \"%.64s\"",
				 prefix);
	if (len > 0) {
		char key[KEY_MAX_BYTES + 1];
		tarn_strlcpy(key, prefix, sizeof key);
		key[len - 1] = '\0';
		TRY(check_key(key, err));
	}
	return list_dir(&l, s->dir, prefix, 0, err);
}

int objstore_delete(struct objstore *s, const char *key, struct tarn_error *err)
{
	char path[PATH_MAX];
	TRY(key_path(s, key, path, err));
	if (unlink(path) != 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		return tarn_fail_errno(err, errno, "cannot delete object %s", path);
	}
	return fsync_parent(path, err);
}
