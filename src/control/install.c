/* Implementation of install.h. */
#include "base/system.h"
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include "control/install.h"
#include "io/file.h"

#define POSTGRES_MAJOR "15"
#define MODULE_MAX_BYTES (64 * MIB)

static int check_version(const char *bin, struct tarn_error *err)
{
	char command[512], line[256] = "";
	if (!tarn_snprintf(command, sizeof command, "'%s/postgres' --version 2>/dev/null", bin))
		return tarn_fail(err, TARN_E_LIMIT, "the path %s is too long", bin);
	FILE *f = popen(command, "re"); /* NOLINT: the path is the administrator's own */
	if (f) {
		if (!fgets(line, sizeof line, f))
			line[0] = '\0';
		pclose(f);
	}
	line[strcspn(line, "\n")] = '\0';
	if (line[0] == '\0')
		return tarn_fail(err, TARN_E_NOT_FOUND,
				 "no Postgres at %s: install the package postgresql-" POSTGRES_MAJOR
				 " or set TARN_POSTGRES_BIN to its bin directory",
				 bin);
	if (strncmp(line, "postgres (PostgreSQL) " POSTGRES_MAJOR ".", 25) != 0)
		return tarn_fail(err, TARN_E_UNSUPPORTED,
				 "%s is \"%s\"; this build of Tarn runs Postgres " POSTGRES_MAJOR
				 ": install postgresql-" POSTGRES_MAJOR " or set TARN_POSTGRES_BIN",
				 bin, line);
	return 0;
}

static bool has_modules(const char *dir)
{
	char path[640];
	return tarn_snprintf(path, sizeof path, "%s/tarn.so", dir) && file_exists(path) &&
	       tarn_snprintf(path, sizeof path, "%s/tarn_redo.so", dir) && file_exists(path);
}

/* The build tree keeps them apart: build/src/cli/tarn, build/compute/tarn.so, build/compute/redo/tarn_redo.so. */
static int find_modules(struct install *out, struct tarn_error *err)
{
	char self[512];
	const char *env = getenv("TARN_LIB_DIR");
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (env) {
		if (!tarn_strlcpy(out->lib_dir, env, sizeof out->lib_dir) || !has_modules(env))
			return tarn_fail(
				err, TARN_E_NOT_FOUND,
				"TARN_LIB_DIR is %s, but tarn.so or tarn_redo.so is not there",
				env);
		return 0;
	}
	if (n > 0) {
		self[n] = '\0';
		*strrchr(self, '/') = '\0';
		if (tarn_snprintf(out->lib_dir, sizeof out->lib_dir, "%s/../../compute", self) &&
		    file_exists(out->lib_dir))
			return 0;
		if (tarn_snprintf(out->lib_dir, sizeof out->lib_dir, "%s/../lib/tarn", self) &&
		    has_modules(out->lib_dir))
			return 0;
	}
	tarn_strlcpy(out->lib_dir, "/usr/lib/tarn", sizeof out->lib_dir);
	if (has_modules(out->lib_dir))
		return 0;
	return tarn_fail(
		err, TARN_E_NOT_FOUND,
		"tarn.so and tarn_redo.so are neither beside this program nor in /usr/lib/tarn: "
		"build them (./dev build) or set TARN_LIB_DIR");
}

int install_find(struct install *out, struct tarn_error *err)
{
	const char *bin = getenv("TARN_POSTGRES_BIN");
	memset(out, 0, sizeof *out);
	if (!bin)
		bin = "/usr/lib/postgresql/" POSTGRES_MAJOR "/bin";
	if (!tarn_strlcpy(out->postgres_bin, bin, sizeof out->postgres_bin))
		return tarn_fail(err, TARN_E_LIMIT, "the path %s is too long", bin);
	TRY(check_version(bin, err));
	TRY(find_modules(out, err));
	return file_open("/proc/self/exe", O_RDONLY, 0, &out->self_fd, err);
}

static int copy_module(const char *from_dir, const char *sub, const char *name, const char *to_dir,
		       struct tarn_error *err)
{
	struct tarn_buf bytes = TARN_BUF_INIT;
	char *from = tarn_asprintf("%s/%s%s", from_dir, sub, name);
	char *to = tarn_asprintf("%s/%s", to_dir, name);
	if (!file_exists(from)) {
		free(from);
		from = tarn_asprintf("%s/%s", from_dir, name);
	}
	int rc = file_read_all(from, MODULE_MAX_BYTES, &bytes, err);
	if (rc == 0)
		rc = file_write_atomic(to, bytes.data, bytes.len, err);
	if (rc == 0 && chmod(to, 0755) != 0)
		rc = tarn_fail_errno(err, errno, "cannot make %s executable", to);
	tarn_buf_release(&bytes);
	free(from);
	free(to);
	return rc;
}

int install_copy_modules(struct install *in, const char *dir, struct tarn_error *err)
{
	char *lib = tarn_asprintf("%s/lib", dir);
	int rc = file_mkdir_p(lib, 0755, err);
	if (rc == 0)
		rc = copy_module(in->lib_dir, "", "tarn.so", lib, err);
	if (rc == 0)
		rc = copy_module(in->lib_dir, "redo/", "tarn_redo.so", lib, err);
	if (rc == 0 && !tarn_strlcpy(in->lib_dir, lib, sizeof in->lib_dir))
		rc = tarn_fail(err, TARN_E_LIMIT, "the path %s is too long", lib);
	free(lib);
	return rc;
}

static int chown_tree(const char *dir, uid_t uid, gid_t gid, struct tarn_error *err);

struct chown_arg {
	const char *dir;
	uid_t uid;
	gid_t gid;
};

static int chown_entry(void *arg, const char *name, struct tarn_error *err)
{
	const struct chown_arg *a = arg;
	struct stat st;
	char *path = tarn_asprintf("%s/%s", a->dir, name);
	int rc = 0;
	if (lstat(path, &st) != 0 || lchown(path, a->uid, a->gid) != 0)
		rc = tarn_fail_errno(err, errno, "cannot give %s to user id %u", path, a->uid);
	else if (S_ISDIR(st.st_mode))
		rc = chown_tree(path, a->uid, a->gid, err);
	free(path);
	return rc;
}

static int chown_tree(const char *dir, uid_t uid, gid_t gid, struct tarn_error *err)
{
	struct chown_arg a = {dir, uid, gid};
	return file_list_dir(dir, chown_entry, &a, err);
}

static int find_user(struct passwd *pw, char *storage, size_t size, struct tarn_error *err)
{
	const char *name = getenv("TARN_USER");
	struct passwd *found = NULL;
	if (!name || !*name)
		name = "postgres";
	if (getpwnam_r(name, pw, storage, size, &found) != 0 || !found || pw->pw_uid == 0)
		return tarn_fail(err, TARN_E_USAGE,
				 "started by root, Tarn runs as user %s, and there is no such "
				 "ordinary user: "
				 "set TARN_USER to one, or start it as yourself",
				 name);
	return 0;
}

static int become(const struct passwd *pw, struct tarn_error *err)
{
	if (initgroups(pw->pw_name, pw->pw_gid) != 0 || setgid(pw->pw_gid) != 0 ||
	    setuid(pw->pw_uid) != 0)
		return tarn_fail_errno(err, errno, "cannot become user %s", pw->pw_name);
	setenv("HOME", pw->pw_dir, 1);
	setenv("USER", pw->pw_name, 1);
	return 0;
}

int install_drop_privileges(const char *dir, struct tarn_error *err)
{
	struct passwd pw;
	char storage[4096];
	TRY(file_mkdir_p(dir, 0700, err));
	if (geteuid() != 0)
		return 0;
	TRY(find_user(&pw, storage, sizeof storage, err));
	if (chown(dir, pw.pw_uid, pw.pw_gid) != 0)
		return tarn_fail_errno(err, errno, "cannot give %s to user %s", dir, pw.pw_name);
	TRY(chown_tree(dir, pw.pw_uid, pw.pw_gid, err));
	TRY(become(&pw, err));
	if (access(dir, R_OK | W_OK | X_OK) != 0)
		return tarn_fail(err, TARN_E_IO,
				 "started by root, Tarn runs as user %s, who cannot reach %s: "
				 "choose a folder "
				 "with -D (for example /var/lib/tarn) or set TARN_USER",
				 pw.pw_name, dir);
	fprintf(stderr,
		"Started by root: running everything as user %s (TARN_USER chooses another).\n",
		pw.pw_name);
	return 0;
}

int install_become_user(struct tarn_error *err)
{
	struct passwd pw;
	char storage[4096];
	if (geteuid() != 0)
		return 0;
	TRY(find_user(&pw, storage, sizeof storage, err));
	return become(&pw, err);
}
