/*
 * Object store: immutable blobs under text keys. One interface, several stores; the local directory
 * is the first, S3-compatible stores follow. Keys: 1 to 512 bytes of [A-Za-z0-9._/=@+-], no empty,
 * "." or ".." part, and no key is a '/'-prefix of another (some stores cannot hold both).
 *
 * All calls block, may be made from any thread, and return only what the store has made durable
 * (the directory store fsyncs file and directory). Objects are never overwritten: put fails with
 * TARN_E_EXISTS if the key is taken (one winner in every race) and with TARN_E_IO / UNAVAILABLE
 * when the outcome is unknown; the caller may then read back and compare.
 */
#ifndef TARN_OBJSTORE_OBJSTORE_H
#define TARN_OBJSTORE_OBJSTORE_H

#include "base/buf.h"
#include "base/error.h"

struct objstore;

/* url: "file:///abs/dir" or "/abs/dir". The directory is made if missing. */
int objstore_open(const char *url, struct objstore **out, struct tarn_error *err);
void objstore_free(struct objstore *s);
/* The URI a reader of the lake uses for key, e.g. file:///abs/dir/key. Caller frees. */
char *objstore_uri(const struct objstore *s, const char *key);
const char *objstore_url(const struct objstore *s);

int objstore_put(struct objstore *s, const char *key, const void *data, size_t len,
		 struct tarn_error *err);
/* Streams a finished local file in (it is copied or linked; the caller keeps its file). */
int objstore_put_file(struct objstore *s, const char *key, const char *path,
		      struct tarn_error *err);
/* Whole object, appended to out; TARN_E_LIMIT if larger than max_bytes. */
int objstore_get(struct objstore *s, const char *key, size_t max_bytes, struct tarn_buf *out,
		 struct tarn_error *err);
/* Exactly len bytes at offset, or TARN_E_CORRUPT when the object is shorter. */
int objstore_get_range(struct objstore *s, const char *key, uint64_t offset, size_t len, void *out,
		       struct tarn_error *err);
int objstore_size(struct objstore *s, const char *key, uint64_t *len, struct tarn_error *err);
/* Calls visit with each key that begins with prefix (ends with '/'), any order. */
int objstore_list(struct objstore *s, const char *prefix,
		  int (*visit)(void *arg, const char *key, uint64_t size_bytes,
			       struct tarn_error *e),
		  void *arg, struct tarn_error *err);
/* Deleting what is not there is no error. */
int objstore_delete(struct objstore *s, const char *key, struct tarn_error *err);

#endif
