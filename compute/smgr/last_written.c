/* Implementation of last_written.h. */
#include "postgres.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogrecovery.h"
#include "common/hashfn.h"
#include "port/atomics.h"
#include "storage/shmem.h"
#include "last_written.h"

#define PLACES (128 * 1024)

struct last_written {
	pg_atomic_uint64 floor; /* no page needs less; at first where this compute began */
	pg_atomic_uint64 places[PLACES];
};
static struct last_written *table;

Size tarn_last_written_bytes(void)
{
	return sizeof(struct last_written);
}

void tarn_last_written_init(void)
{
	bool found;
	table = ShmemInitStruct("tarn last written", sizeof *table, &found);
	if (found)
		return;
	pg_atomic_init_u64(&table->floor, 0);
	for (int i = 0; i < PLACES; i++)
		pg_atomic_init_u64(&table->places[i], 0);
}

static pg_atomic_uint64 *place(const RelFileNode *rel, ForkNumber fork, BlockNumber block)
{
	uint32 h = hash_combine(hash_bytes((const unsigned char *)rel, sizeof *rel),
				murmurhash32((uint32)fork * 0x9e3779b9u ^ block));
	return &table->places[h % PLACES];
}

static void raise_to(pg_atomic_uint64 *to, XLogRecPtr lsn)
{
	uint64 old = pg_atomic_read_u64(to);
	while (old < lsn && !pg_atomic_compare_exchange_u64(to, &old, lsn))
		;
}

void tarn_last_written_raise(const RelFileNode *rel, ForkNumber fork, BlockNumber block,
			     XLogRecPtr lsn)
{
	raise_to(place(rel, fork, block), lsn);
}

void tarn_last_written_raise_all(XLogRecPtr lsn)
{
	raise_to(&table->floor, lsn);
}

XLogRecPtr tarn_last_written(const RelFileNode *rel, ForkNumber fork, BlockNumber block)
{
	XLogRecPtr floor = pg_atomic_read_u64(&table->floor);
	if (unlikely(floor == 0)) {
		/* The redo pointer of the first checkpoint is where this compute began; a later one
		 * only waits for more. */
		floor = GetRedoRecPtr();
		raise_to(&table->floor, floor);
	}
	return Max(floor, pg_atomic_read_u64(place(rel, fork, block)));
}

XLogRecPtr tarn_newest_record_end(void)
{
	if (RecoveryInProgress())
		return GetXLogReplayRecPtr(NULL);
	XLogRecPtr lsn = GetXLogInsertRecPtr();
	/* Where the next record would start lies behind the header of a new page; the last record
	 * ended before it. */
	if (XLogSegmentOffset(lsn, wal_segment_size) == SizeOfXLogLongPHD)
		lsn -= SizeOfXLogLongPHD;
	else if (lsn % XLOG_BLCKSZ == SizeOfXLogShortPHD)
		lsn -= SizeOfXLogShortPHD;
	return lsn;
}
