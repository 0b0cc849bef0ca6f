/*
 * A lake_source over a timeline of the pageserver in this process. Safe from several threads; there
 * is nothing to release. *arg must stay where it is while the source is used.
 */
#ifndef TARN_LAKE_SOURCE_PAGESERVER_H
#define TARN_LAKE_SOURCE_PAGESERVER_H

#include "lake/source.h"
#include "pageserver/pageserver.h"

struct lake_source_pageserver {
	struct pageserver *ps;
	struct ps_timeline *tl;
};
struct lake_source lake_source_pageserver(struct lake_source_pageserver *arg);

#endif
