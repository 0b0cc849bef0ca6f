/* The module's entry: settings, then each part in turn. See README.md. */
#include "postgres.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "smgr/database.h"
#include "smgr/keeper.h"
#include "smgr/smgr.h"
#include "tarn.h"
#include "walproposer.h"

PG_MODULE_MAGIC;
PGDLLEXPORT void _PG_init(void);

char *tarn_timeline;
char *tarn_safekeepers;
char *tarn_pageserver;

static void define_settings(void)
{
	DefineCustomStringVariable("tarn.timeline",
				   "The timeline (branch) that this compute serves.", NULL,
				   &tarn_timeline, "", PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("tarn.safekeepers", "Addresses of the safekeepers.", NULL,
				   &tarn_safekeepers, "", PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("tarn.pageserver", "Address of the pageserver.", NULL,
				   &tarn_pageserver, "", PGC_POSTMASTER, 0, NULL, NULL, NULL);
}

void _PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		ereport(ERROR, (errmsg("tarn must be loaded by shared_preload_libraries")));
	define_settings();
	tarn_smgr_init();
	tarn_database_init();
	tarn_walproposer_init();
	tarn_keeper_init();
	MarkGUCPrefixReserved("tarn");
}
