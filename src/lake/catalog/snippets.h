#ifndef TARN_LAKE_CATALOG_SNIPPETS_H
#define TARN_LAKE_CATALOG_SNIPPETS_H

#include "base/buf.h"

void lake_engine_snippet(struct tarn_buf *out, const char *engine, const char *catalog_url,
			 const char *warehouse);

#endif
