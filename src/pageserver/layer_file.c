/* Implementation of layer_file.h: no file exists yet, so none can be reached. */
#include "base/system.h"
#include "pageserver/layer_file.h"

const struct ps_file_info *ps_file_info(const struct ps_file *f)
{
	(void)f;
	TARN_CHECK(false);
}
void ps_file_free(struct ps_file *f)
{
	TARN_CHECK(!f);
}
void ps_file_cursor_init(struct ps_file_cursor *c, struct ps_file *f)
{
	(void)c;
	TARN_CHECK(!f);
}
void ps_file_cursor_release(struct ps_file_cursor *c)
{
	(void)c;
	TARN_CHECK(false);
}
int ps_file_cursor_seek(struct ps_file_cursor *c, const struct ps_key *key, tarn_lsn lsn,
			struct tarn_error *err)
{
	(void)c;
	(void)key;
	(void)lsn;
	return tarn_fail(err, TARN_E_INTERNAL, "no layer files yet");
}
int ps_file_cursor_next(struct ps_file_cursor *c, struct tarn_error *err)
{
	(void)c;
	return tarn_fail(err, TARN_E_INTERNAL, "no layer files yet");
}
