/* Implementation of boundary.h: looking up. */
#include "base/system.h"
#include "pageserver/boundary.h"
#include "pageserver/store.h"

static int look_up(struct ps_timeline *tl, tarn_lsn lsn, struct ps_boundary *out, bool *absent,
		   struct tarn_error *err)
{
	struct ps_key key = {.kind = PS_KIND_META, .rel = PS_META_BOUNDARY};
	struct tarn_buf value = TARN_BUF_INIT;
	int rc = ps_timeline_get(tl, &key, lsn, &value, absent, err);
	if (rc == 0 && !*absent)
		rc = ps_boundary_decode(value.data, value.len, out, err);
	tarn_buf_release(&value);
	return rc;
}

int ps_boundary_before(struct ps_timeline *tl, tarn_lsn lsn, struct ps_boundary *out,
		       struct tarn_error *err)
{
	struct ps_timeline_info info;
	bool absent;
	memset(out, 0, sizeof *out);
	ps_timeline_info(tl, &info);
	lsn = TARN_MIN(lsn, info.last_record_lsn);
	TRY(look_up(tl, lsn, out, &absent, err));
	/* a branch's own first and last LSN are boundaries even if ingest wrote no entry there */
	if (lsn >= info.last_record_lsn && (absent || out->end_lsn < info.last_record_lsn)) {
		out->end_lsn = info.last_record_lsn;
		out->start_lsn = info.prev_record_lsn;
		return 0;
	}
	if (absent)
		return tarn_fail(err, TARN_E_NOT_FOUND,
				 "no record boundary is known at or before " TARN_LSN_FMT
				 "; history begins at " TARN_LSN_FMT,
				 TARN_LSN_ARGS(lsn), TARN_LSN_ARGS(info.history_lsn));
	return 0;
}

int ps_boundary_by_time(struct ps_timeline *tl, int64_t time_us, struct ps_boundary *out,
			struct tarn_error *err)
{
	struct ps_timeline_info info;
	struct ps_boundary b, best = {0};
	bool absent;
	ps_timeline_info(tl, &info);
	tarn_lsn lo = info.history_lsn, hi = info.last_record_lsn;
	/* the newest entry at or below an LSN has a time that grows with the LSN */
	while (lo <= hi) {
		tarn_lsn mid = lo + (hi - lo) / 2;
		TRY(look_up(tl, mid, &b, &absent, err));
		if (!absent && b.time_us > time_us) {
			if (b.end_lsn == 0 || b.end_lsn <= lo)
				break;
			hi = b.end_lsn - 1;
			continue;
		}
		if (!absent && b.end_lsn > best.end_lsn && b.time_us != 0)
			best = b;
		lo = mid + 1;
	}
	if (best.end_lsn == 0)
		return tarn_fail(err, TARN_E_NOT_FOUND,
				 "no commit at or before that time is in the history kept, which "
				 "begins at " TARN_LSN_FMT,
				 TARN_LSN_ARGS(info.history_lsn));
	*out = best;
	return 0;
}
