/* Parts that are not here yet. */
#include "base/system.h"
#include "lake/catalog/snippets.h"

void lake_engine_snippet(struct tarn_buf *out, const char *engine, const char *catalog_url,
			 const char *warehouse)
{
	(void)engine;
	(void)warehouse;
	tarn_buf_put_str(out, catalog_url);
}
