/* The lake inside the pageserver: not yet. */
#include "base/system.h"
#include "lake/lake_service.h"
int lake_service_start(struct pageserver *ps, void **out, struct tarn_error *err)
{
	(void)ps;
	(void)err;
	*out = NULL;
	return 0;
}
void lake_service_handle(void *arg, const struct http_request *q, struct http_response *r)
{
	struct tarn_error e;
	(void)arg;
	(void)q;
	tarn_fail(&e, TARN_E_UNSUPPORTED, "not yet");
	http_response_error(r, &e);
}
void lake_service_stop(void *arg)
{
	(void)arg;
}
