/* Parts that are not here yet. */
#include "base/system.h"
#include "lake/catalog/catalog.h"
#include "lake/catalog/snippets.h"
#include "io/stop.h"
#include "io/http.h"
int catalog_run(const struct catalog_config *c, struct tarn_error *err)
{
	struct http_server *h;
	struct tarn_metrics *m = tarn_metrics_new();
	struct http_server_config hc = {.address = c->listen,
					.threads = 1,
					.max_connections = 4,
					.metrics = m,
					.handler = NULL};
	int rc = http_server_start(&hc, &h, err);
	if (rc)
		return rc;
	while (!stop_wait_ms(1000))
		continue;
	http_server_stop(h);
	return 0;
}
void lake_engine_snippet(struct tarn_buf *out, const char *engine, const char *catalog_url,
			 const char *warehouse)
{
	(void)engine;
	(void)warehouse;
	tarn_buf_put_str(out, catalog_url);
}
