/* Implementation of output.h. */
#include "base/system.h"
#include "base/id.h"
#include "io/file.h"
#include "lake/transcode/output.h"

int transcode_output_open(struct transcode_output *o, const struct transcode_place *place,
			  const char *folder, tarn_lsn lsn, const struct pq_column *columns,
			  uint32_t ncolumns, struct tarn_error *err)
{
	struct tarn_id id;
	char random[TARN_ID_TEXT_BYTES], text[TARN_LSN_TEXT_BYTES];
	*o = (struct transcode_output){.place = place, .fd = -1};
	tarn_id_random(&id);
	tarn_id_format(&id, random);
	random[16] = 0;
	tarn_lsn_format(lsn, text);
	char *path = tarn_asprintf("%s/%s.parquet", place->tmp_dir, random);
	int rc = file_open(path, O_RDWR | O_CREAT | O_EXCL, 0644, &o->fd, err);
	if (rc != 0) {
		free(path);
		return rc;
	}
	o->path = path;
	o->key = tarn_asprintf("%s/%s/%016" PRIX64 "-%s.parquet", place->location, folder, lsn,
			       random);
	rc = pq_writer_new(o->fd, path, columns, ncolumns, NULL, &o->writer, err);
	if (rc == 0)
		pq_metadata(o->writer, "tarn.lsn", text);
	else
		transcode_output_release(o);
	return rc;
}

int transcode_output_size(const struct transcode_output *o, uint64_t *bytes, struct tarn_error *err)
{
	return file_size(o->fd, bytes, o->path, err);
}

int transcode_output_finish(struct transcode_output *o, char **key, struct pq_summary *summary,
			    struct tarn_error *err)
{
	TRY(pq_finish(o->writer, summary, err));
	int rc = objstore_put_file(o->place->objects, o->key, o->path, err);
	if (rc != 0) {
		pq_summary_release(summary);
		return rc;
	}
	*key = o->key;
	o->key = NULL;
	transcode_output_release(o);
	return 0;
}

void transcode_output_release(struct transcode_output *o)
{
	if (o->path != NULL) {
		pq_writer_free(o->writer);
		file_close(o->fd);
		(void)file_unlink(o->path, NULL);
	}
	free(o->path);
	free(o->key);
	*o = (struct transcode_output){.fd = -1};
}
