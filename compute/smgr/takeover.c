/* Implementation of takeover.h. */
#include "postgres.h"
#include "storage/md.h"
#include "utils/fmgrtab.h"
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>
#include "takeover.h"

static const struct smgr_table stock = {
	mdinit,	    NULL,   mdopen,  mdclose,	  mdcreate,  mdexists,	 mdunlink,    mdextend,
	mdprefetch, mdread, mdwrite, mdwriteback, mdnblocks, mdtruncate, mdimmedsync,
};

struct search {
	char *found;
	int count;
};

static void search_segment(struct search *s, char *from, size_t bytes)
{
	if (bytes < sizeof stock)
		return;
	char *aligned = (char *)(((uintptr_t)from + sizeof(void *) - 1) & ~(sizeof(void *) - 1));
	for (char *p = aligned; p + sizeof stock <= from + bytes; p += sizeof(void *))
		if (memcmp(p, &stock, sizeof stock) == 0 &&
		    (const void *)p != (const void *)&stock) {
			s->found = p;
			s->count++;
		}
}

/* The first object is the program itself; the others are libraries. */
static int visit_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];
		if (h->p_type == PT_LOAD && !(h->p_flags & PF_X))
			search_segment(arg, (char *)(info->dlpi_addr + h->p_vaddr), h->p_memsz);
	}
	return 1;
}

/* The table lies in memory that the loader made read-only after relocation. */
static void overwrite(void *to, const void *from, size_t bytes)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t begin = (uintptr_t)to & ~(page - 1);
	size_t span = (uintptr_t)to + bytes - begin;
	if (mprotect((void *)begin, span, PROT_READ | PROT_WRITE) != 0)
		ereport(FATAL, (errmsg("tarn: cannot make the server's tables writable: %m")));
	memcpy(to, from, bytes);
	if (mprotect((void *)begin, span, PROT_READ) != 0)
		ereport(FATAL, (errmsg("tarn: cannot protect the server's tables again: %m")));
}

void tarn_take_over_smgr(const struct smgr_table *replacement)
{
	struct search s = {0};
	dl_iterate_phdr(visit_object, &s);
	if (s.count != 1)
		ereport(FATAL,
			(errmsg("tarn: this build of Postgres %s is unknown: its storage manager "
				"was found %d times, not once",
				PG_VERSION, s.count),
			 errhint("Use Debian's own postgresql-15 package.")));
	overwrite(s.found, replacement, sizeof *replacement);
}

void tarn_take_over_function(Oid oid, const char *name, PGFunction replacement)
{
	const FmgrBuiltin *found = NULL;
	for (int i = 0; i < fmgr_nbuiltins; i++)
		if (fmgr_builtins[i].foid == oid)
			found = &fmgr_builtins[i];
	if (!found || strcmp(found->funcName, name) != 0)
		ereport(FATAL,
			(errmsg("tarn: this build of Postgres %s is unknown: function %u is not %s",
				PG_VERSION, oid, name),
			 errhint("Use Debian's own postgresql-15 package.")));
	overwrite((char *)found + offsetof(FmgrBuiltin, func), &replacement, sizeof replacement);
}
