/*
 * What a start needs from the machine: Postgres's programs, our own binary and modules, and a user
 * that Postgres accepts.
 */
#ifndef TARN_CONTROL_INSTALL_H
#define TARN_CONTROL_INSTALL_H

#include "base/error.h"

struct install {
	char postgres_bin[256]; /* …/bin: postgres, initdb, psql */
	char lib_dir[512];	/* where tarn.so and tarn_redo.so are */
	int self_fd; /* this program, so that it can be run where its path is out of reach */
};
/*
 * Finds them: TARN_POSTGRES_BIN or Debian's /usr/lib/postgresql/15/bin, which must be version 15;
 * TARN_LIB_DIR, or beside this program (build tree), or /usr/lib/tarn.
 */
int install_find(struct install *out, struct tarn_error *err);
/* Copies the modules to DIR/lib, where every user can read them, and makes that the lib_dir. */
int install_copy_modules(struct install *in, const char *dir, struct tarn_error *err);

/*
 * Makes dir. Started by root: gives dir to an unprivileged user (TARN_USER, default postgres), becomes
 * that user for good and says so on stderr. Postgres refuses to run as root.
 */
int install_drop_privileges(const char *dir, struct tarn_error *err);
/* Only becomes that user, for commands that touch the project's files. */
int install_become_user(struct tarn_error *err);

#endif
