/*
 * The shutdown checkpoint that a compute starts from: a record made up at the end of a timeline's log,
 * with the true xl_prev, which becomes part of the log (architecture.md; method of spikes/synthetic_boot).
 */
#ifndef TARN_PG_CHECKPOINT_H
#define TARN_PG_CHECKPOINT_H

#include "base/buf.h"
#include "pg/control_file.h"

/* Where a record begins when the one before it ended at lsn: past the page header at a page's start. */
tarn_lsn pg_record_start(tarn_lsn end_lsn);
/*
 * Fills control's state, checkpoint LSN and checkpoint copy for a start at x, and appends to wal the
 * bytes of the log from *segment_start (the beginning of the 16 MiB segment of x) to the end of the
 * record, with zeros before it; they may reach into the next segment. Returns the record's end.
 */
tarn_lsn pg_checkpoint_make(struct pg_control *control, tarn_lsn x, tarn_lsn prev_lsn,
			    struct tarn_buf *wal, tarn_lsn *segment_start);

#endif
