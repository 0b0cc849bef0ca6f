/*
 * pg_filenode.map: where the catalogs lie that cannot say it in pg_class, for they are needed to
 * read it (pg_class, pg_attribute, pg_type, pg_proc; in the shared map pg_database and others).
 *
 * Source of the layout: Postgres 15, utils/cache/relmapper.c.
 *
 * Pure: no I/O. Any thread.
 */
#ifndef TARN_PG_RELMAP_H
#define TARN_PG_RELMAP_H

#include "base/error.h"

#define PG_RELMAP_BYTES 512u
#define PG_RELMAP_MAX_MAPPINGS 62u

struct pg_relmap {
	uint32_t count;
	struct {
		uint32_t oid, filenode;
	} mappings[PG_RELMAP_MAX_MAPPINGS];
};

/* TARN_E_CORRUPT: not a map, of another version, or its checksum is wrong. */
int pg_relmap_parse(const uint8_t bytes[PG_RELMAP_BYTES], struct pg_relmap *m,
		    struct tarn_error *err);
/* The relation's file; 0: it is not mapped. */
uint32_t pg_relmap_filenode(const struct pg_relmap *m, uint32_t oid);

#endif
