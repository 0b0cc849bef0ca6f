/*
 * The data directory of a redo host: the least that `postgres --single` asks for before it loads
 * shared_preload_libraries. Nothing in it is worth keeping; it is made anew for every start.
 */
#ifndef TARN_REDO_REDO_DATADIR_H
#define TARN_REDO_REDO_DATADIR_H

#include "base/error.h"

/* Removes what is at dir and makes it. uid, gid: its owner; (uid_t)-1 keeps the caller's. */
int redo_datadir_make(const char *dir, const char *module_path, uid_t uid, gid_t gid,
		      struct tarn_error *err);

#endif
