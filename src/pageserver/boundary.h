/*
 * Record boundaries: where a timeline may be branched, read by a new compute, or cut. An IMAGE under
 * PS_KIND_META/PS_META_BOUNDARY, put by ingest at the end of every record that ends a transaction
 * (and of others now and then), so that the newest one at or below an LSN is soon found and holds
 * all that was committed by then.
 */
#ifndef TARN_PAGESERVER_BOUNDARY_H
#define TARN_PAGESERVER_BOUNDARY_H

#include "base/error.h"
#include "base/lsn.h"

#define PS_BOUNDARY_BYTES 24

struct ps_boundary {
	tarn_lsn end_lsn;   /* of the record; the LSN the value is put at */
	tarn_lsn start_lsn; /* of the same record: the next one's xl_prev */
	int64_t time_us; /* since 1970: of the newest commit or abort at or before end_lsn; 0: unknown */
};

static inline void ps_boundary_encode(const struct ps_boundary *b, uint8_t out[PS_BOUNDARY_BYTES])
{
	put_le64(out, b->end_lsn);
	put_le64(out + 8, b->start_lsn);
	put_le64(out + 16, (uint64_t)b->time_us);
}

static inline int ps_boundary_decode(const uint8_t *bytes, size_t len, struct ps_boundary *out,
				     struct tarn_error *err)
{
	if (len != PS_BOUNDARY_BYTES)
		return tarn_fail(err, TARN_E_CORRUPT, "a record boundary of %zu bytes", len);
	out->end_lsn = get_le64(bytes);
	out->start_lsn = get_le64(bytes + 8);
	out->time_us = (int64_t)get_le64(bytes + 16);
	return 0;
}

struct ps_timeline;
/* The newest known boundary at or below lsn; the head counts as one. TARN_E_NOT_FOUND: none is known. */
int ps_boundary_before(struct ps_timeline *tl, tarn_lsn lsn, struct ps_boundary *out,
		       struct tarn_error *err);
/* The newest known boundary whose time is at or before time_us, inside the history kept. */
int ps_boundary_by_time(struct ps_timeline *tl, int64_t time_us, struct ps_boundary *out,
			struct tarn_error *err);

#endif
