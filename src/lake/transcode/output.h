/*
 * One Parquet file on its way into the object store: written to a local temporary file, put under a
 * new name when it is complete, gone locally afterwards.
 *
 * One thread. An output that was not finished leaves nothing behind.
 */
#ifndef TARN_LAKE_TRANSCODE_OUTPUT_H
#define TARN_LAKE_TRANSCODE_OUTPUT_H

#include "base/lsn.h"
#include "columnar/parquet_writer.h"
#include "objstore/objstore.h"

/* Where a table's files go. */
struct transcode_place {
	struct objstore *objects;
	const char *tmp_dir;  /* local, exists */
	const char *location; /* key prefix, no '/' at the end */
};
struct transcode_output {
	const struct transcode_place *place;
	struct pq_writer *writer;
	char *key;
	char *path; /* NULL: not open */
	int fd;
};

/* folder: "data" or "delete". */
int transcode_output_open(struct transcode_output *o, const struct transcode_place *place,
			  const char *folder, tarn_lsn lsn, const struct pq_column *columns,
			  uint32_t ncolumns, struct tarn_error *err);
/* Bytes in the local file by now; the row group in memory is not among them. */
int transcode_output_size(const struct transcode_output *o, uint64_t *bytes,
			  struct tarn_error *err);
/* Ends the file and stores it durably. *key and *summary are then the caller's. */
int transcode_output_finish(struct transcode_output *o, char **key, struct pq_summary *summary,
			    struct tarn_error *err);
/* In any state, also zeroed. */
void transcode_output_release(struct transcode_output *o);

#endif
