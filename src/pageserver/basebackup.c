/* Implementation of basebackup.h. */
#include "base/system.h"
#include "pageserver/basebackup.h"

int basebackup_send(struct pageserver *ps, struct ps_timeline *tl, uint64_t id, tarn_lsn lsn,
		    int (*send)(void *arg, const struct tarn_buf *frames, struct tarn_error *e),
		    void *arg, struct tarn_error *err)
{
	(void)ps;
	(void)tl;
	(void)id;
	(void)lsn;
	(void)send;
	(void)arg;
	return tarn_fail(err, TARN_E_UNSUPPORTED, "no base backups yet");
}
