/*
 * The storage manager of a redo host: one target page in memory, every other page a decoy from the
 * future. Nothing here opens a file.
 */
#ifndef TARN_COMPUTE_REDO_SMGR_STUB_H
#define TARN_COMPUTE_REDO_SMGR_STUB_H

#include "storage/buf_internals.h"

/* Replaces the server's storage manager; FATAL unless exactly one table is found. */
void smgr_stub_install(void);

/* The page that redo may change: read from and written back to this memory. */
struct smgr_stub_target {
	BufferTag tag;
	char page[BLCKSZ];
};
extern struct smgr_stub_target smgr_stub_target;

#endif
