/*
 * A lake_source over the files of a stopped, vanilla Postgres 15 data directory: for tests and
 * tools. There is one version of each page, so LSNs are ignored; `touched` gives every block.
 * Safe from several threads.
 */
#ifndef TARN_LAKE_SOURCE_DATADIR_H
#define TARN_LAKE_SOURCE_DATADIR_H

#include "lake/source.h"

/* Fills *out; lake_source_datadir_close it. */
int lake_source_datadir_open(const char *data_directory, struct lake_source *out,
			     struct tarn_error *err);
void lake_source_datadir_close(struct lake_source *s);

#endif
