/*
 * Replacing parts of the running server program that it offers no hook for. Each takeover verifies
 * what it found (exactly one match, the expected neighbours) and otherwise refuses to start, naming
 * the server's version. Done once, in the postmaster, before any other process is forked.
 */
#ifndef TARN_COMPUTE_TAKEOVER_H
#define TARN_COMPUTE_TAKEOVER_H

#include "fmgr.h"
#include "storage/relfilenode.h"
#include "storage/smgr.h"

/* The storage manager's table of functions: src/backend/storage/smgr/smgr.c of Postgres 15. */
struct smgr_table {
	void (*init)(void);
	void (*shutdown)(void);
	void (*open)(SMgrRelation);
	void (*close)(SMgrRelation, ForkNumber);
	void (*create)(SMgrRelation, ForkNumber, bool);
	bool (*exists)(SMgrRelation, ForkNumber);
	void (*unlink)(RelFileNodeBackend, ForkNumber, bool);
	void (*extend)(SMgrRelation, ForkNumber, BlockNumber, char *, bool);
	bool (*prefetch)(SMgrRelation, ForkNumber, BlockNumber);
	void (*read)(SMgrRelation, ForkNumber, BlockNumber, char *);
	void (*write)(SMgrRelation, ForkNumber, BlockNumber, char *, bool);
	void (*writeback)(SMgrRelation, ForkNumber, BlockNumber, BlockNumber);
	BlockNumber (*nblocks)(SMgrRelation, ForkNumber);
	void (*truncate)(SMgrRelation, ForkNumber, BlockNumber, BlockNumber);
	void (*immedsync)(SMgrRelation, ForkNumber);
};

/* Puts replacement in place of the server's own table. */
void tarn_take_over_smgr(const struct smgr_table *replacement);
/* Puts replacement in place of the built-in function of that oid, which must be called name. */
void tarn_take_over_function(Oid oid, const char *name, PGFunction replacement);

#endif
