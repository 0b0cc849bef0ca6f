/* Implementation of smgr_stub.h. */
#include "postgres.h"
#include "miscadmin.h"
#include "storage/bufpage.h"
#include "storage/md.h"
#include "storage/smgr.h"
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>
#include "smgr_stub.h"

/* Postgres 15, storage/smgr/smgr.c: the type is private to that file. */
struct smgr_table {
	void (*smgr_init)(void);
	void (*smgr_shutdown)(void);
	void (*smgr_open)(SMgrRelation);
	void (*smgr_close)(SMgrRelation, ForkNumber);
	void (*smgr_create)(SMgrRelation, ForkNumber, bool);
	bool (*smgr_exists)(SMgrRelation, ForkNumber);
	void (*smgr_unlink)(RelFileNodeBackend, ForkNumber, bool);
	void (*smgr_extend)(SMgrRelation, ForkNumber, BlockNumber, char *, bool);
	bool (*smgr_prefetch)(SMgrRelation, ForkNumber, BlockNumber);
	void (*smgr_read)(SMgrRelation, ForkNumber, BlockNumber, char *);
	void (*smgr_write)(SMgrRelation, ForkNumber, BlockNumber, char *, bool);
	void (*smgr_writeback)(SMgrRelation, ForkNumber, BlockNumber, BlockNumber);
	BlockNumber (*smgr_nblocks)(SMgrRelation, ForkNumber);
	void (*smgr_truncate)(SMgrRelation, ForkNumber, BlockNumber, BlockNumber);
	void (*smgr_immedsync)(SMgrRelation, ForkNumber);
};

static const struct smgr_table stock = {
	mdinit,	    NULL,   mdopen,  mdclose,	  mdcreate,  mdexists,	 mdunlink,    mdextend,
	mdprefetch, mdread, mdwrite, mdwriteback, mdnblocks, mdtruncate, mdimmedsync,
};

struct smgr_stub_target smgr_stub_target;
static char decoy[BLCKSZ];

static bool is_target(SMgrRelation rel, ForkNumber fork, BlockNumber block)
{
	const BufferTag *t = &smgr_stub_target.tag;
	return block == t->blockNum && fork == t->forkNum &&
	       RelFileNodeEquals(rel->smgr_rnode.node, t->rnode);
}

static void stub_open(SMgrRelation rel)
{
	(void)rel;
}
static void stub_close(SMgrRelation rel, ForkNumber fork)
{
	(void)rel, (void)fork;
}
static void stub_create(SMgrRelation rel, ForkNumber fork, bool redo)
{
	(void)rel, (void)fork, (void)redo;
}
static bool stub_exists(SMgrRelation rel, ForkNumber fork)
{
	(void)rel, (void)fork;
	return true;
}
static void stub_unlink(RelFileNodeBackend node, ForkNumber fork, bool redo)
{
	(void)node, (void)fork, (void)redo;
}
static bool stub_prefetch(SMgrRelation rel, ForkNumber fork, BlockNumber block)
{
	(void)rel, (void)fork, (void)block;
	return true;
}
static void stub_read(SMgrRelation rel, ForkNumber fork, BlockNumber block, char *page)
{
	memcpy(page, is_target(rel, fork, block) ? smgr_stub_target.page : decoy, BLCKSZ);
}
/* A buffer is evicted only by a record that touches more pages than there are buffers. */
static void stub_write(SMgrRelation rel, ForkNumber fork, BlockNumber block, char *page, bool skip)
{
	(void)skip;
	if (is_target(rel, fork, block))
		memcpy(smgr_stub_target.page, page, BLCKSZ);
}
static void stub_extend(SMgrRelation rel, ForkNumber fork, BlockNumber block, char *page, bool skip)
{
	stub_write(rel, fork, block, page, skip);
}
static void stub_writeback(SMgrRelation rel, ForkNumber fork, BlockNumber block, BlockNumber count)
{
	(void)rel, (void)fork, (void)block, (void)count;
}
/* Every page exists, so redo never extends. */
static BlockNumber stub_nblocks(SMgrRelation rel, ForkNumber fork)
{
	(void)rel, (void)fork;
	return InvalidBlockNumber - 1;
}
static void stub_truncate(SMgrRelation rel, ForkNumber fork, BlockNumber old, BlockNumber blocks)
{
	(void)rel, (void)fork, (void)old, (void)blocks;
}
static void stub_immedsync(SMgrRelation rel, ForkNumber fork)
{
	(void)rel, (void)fork;
}

static const struct smgr_table stub = {
	NULL,	     NULL,	     stub_open,	   stub_close,	  stub_create,
	stub_exists, stub_unlink,    stub_extend,  stub_prefetch, stub_read,
	stub_write,  stub_writeback, stub_nblocks, stub_truncate, stub_immedsync,
};

struct search {
	struct smgr_table *found;
	int count;
};

static void search_segment(struct search *s, uintptr_t begin, uintptr_t end)
{
	for (uintptr_t p = (begin + 7) & ~(uintptr_t)7; p + sizeof stock <= end; p += 8)
		if (memcmp((void *)p, &stock, sizeof stock) == 0) {
			s->found = (struct smgr_table *)p;
			s->count++;
		}
}

/* The first object listed is the program itself. */
static int search_program(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];
		if (h->p_type == PT_LOAD && !(h->p_flags & PF_X))
			search_segment(arg, info->dlpi_addr + h->p_vaddr,
				       info->dlpi_addr + h->p_vaddr + h->p_memsz);
	}
	return 1;
}

void smgr_stub_install(void)
{
	struct search s = {NULL, 0};
	dl_iterate_phdr(search_program, &s);
	if (s.count != 1)
		ereport(FATAL, (errmsg("tarn: the storage manager table was found %d times in this "
				       "server, "
				       "want 1",
				       s.count),
				errhint("This tarn_redo was built for Postgres %s.", PG_VERSION)));
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t begin = (uintptr_t)s.found & ~(page - 1);
	uintptr_t end = ((uintptr_t)s.found + sizeof stub + page - 1) & ~(page - 1);
	if (mprotect((void *)begin, end - begin, PROT_READ | PROT_WRITE) != 0)
		ereport(FATAL,
			(errmsg("tarn: cannot make the storage manager table writable: %m")));
	*s.found = stub;

	/* An initialised page, so that redo takes it for existing, newer than any record. */
	PageInit((Page)decoy, BLCKSZ, 0);
	PageSetLSN((Page)decoy, ~(XLogRecPtr)0);
}
