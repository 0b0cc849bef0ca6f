/* tarn: finds the subcommand and runs it. */
#include "base/system.h"
#include "cli/commands.h"
#include "cli/options.h"

const struct command commands[] = {
	{"up", cmd_up, "start everything on this machine",
	 "[-D DIR] [--store URL] [--safekeepers N] [--detach]\n"
	 "\n"
	 "Starts safekeepers, pageserver, catalog and Postgres. The first start in an empty folder "
	 "makes\n"
	 "the project. Stays in the foreground (Ctrl-C stops in order), or returns when all "
	 "serves.\n"
	 "\n"
	 "  -D, --dir DIR        the project's folder (default: TARN_DIR or ./.tarn)\n"
	 "  --store URL          where tables live: file:///DIR (default: DIR/store); first start "
	 "only\n"
	 "  --safekeepers N      copies of the log: 1, 3, 5, 7, 9 (default 3); first start only\n"
	 "  --detach             return when everything serves; `tarn down` stops it\n"
	 "\n"
	 "Examples:\n"
	 "  tarn up\n"
	 "  tarn up -D /srv/shop --store file:///mnt/lake/shop --detach\n",
	 false},
	{"down", cmd_down, "stop everything in order",
	 "[-D DIR]\n\nStops the computes, then the other parts; returns when all have stopped.\n"
	 "\nExample:\n  tarn down -D /srv/shop\n",
	 false},
	{"status", cmd_status, "every part: state, address, LSNs, sizes",
	 "[-D DIR] [--json]\n\nExit code 0 if all parts run, 10 if one does not.\n\nExample:\n  "
	 "tarn status --json\n",
	 false},
	{"url", cmd_url, "print a branch's postgres:// string",
	 "[BRANCH] [-D DIR]\n\nExample:\n  psql \"$(tarn url)\"\n", false},
	{"psql", cmd_psql, "open psql on a branch",
	 "[BRANCH] [-D DIR] [-- PSQL-ARGUMENTS…]\n\nExample:\n  tarn psql main -- -c 'SELECT 1'\n",
	 false},
	{"branch", cmd_branch, "create, list, delete branches",
	 "create NAME [--from BRANCH] [--at LSN|TIME] [--no-endpoint]\n"
	 "       tarn branch list [--json]\n"
	 "       tarn branch delete NAME\n"
	 "\n"
	 "A branch is made in milliseconds and copies nothing. --at takes an LSN (0/1A2B3C8) or a "
	 "time\n"
	 "(2026-11-24T10:00:00Z) within the history; default: the head. A compute is started on "
	 "it.\n"
	 "\n"
	 "Examples:\n"
	 "  tarn branch create try-it\n"
	 "  tarn branch create before-the-mistake --at 2026-11-24T09:59:00Z\n"
	 "  tarn branch delete try-it\n",
	 false},
	{"endpoint", cmd_endpoint, "start, stop, list computes",
	 "start|stop BRANCH [-D DIR]\n       tarn endpoint list [--json]\n\nExample:\n  tarn "
	 "endpoint stop try-it\n",
	 false},
	{"lake", cmd_lake, "the tables as Iceberg",
	 "url [--engine duckdb|pyiceberg|spark|trino|clickhouse|polars] [--branch BRANCH]\n"
	 "       tarn lake tables [BRANCH] [--json]\n"
	 "\n"
	 "url prints the Iceberg REST address, or a snippet to paste for an engine. tables lists "
	 "what\n"
	 "engines see at this moment: rows, files, bytes, LSN.\n"
	 "\n"
	 "Examples:\n  tarn lake url --engine duckdb\n  tarn lake tables\n",
	 false},
	{"sql", cmd_sql, "ask the lake with DuckDB",
	 "[BRANCH] \"SELECT …\" [-D DIR]\n"
	 "\n"
	 "Runs the statement in DuckDB on the Parquet files, through the catalog. Tables are "
	 "schema.table.\n"
	 "Needs libduckdb.so (TARN_DUCKDB_LIB, or where the loader finds it); the message says how "
	 "to get it.\n"
	 "\nExample:\n  tarn sql \"SELECT carrier, count(*) FROM public.flights GROUP BY 1\"\n",
	 false},
	{"inspect", cmd_inspect, "print what a file of Tarn holds",
	 "FILE\n\nWAL segments, control files, Avro, JSON metadata, Parquet footers.\n"
	 "\nExample:\n  tarn inspect .tarn/safekeeper-1/TIMELINE/000000010000000000000001\n",
	 false},
	{"completion", cmd_completion, "shell completion",
	 "bash\n\nExample:\n  source <(tarn completion bash)\n", false},
	{"safekeeper", cmd_safekeeper, "daemon: a copy of the log",
	 "--id N --dir DIR --listen HOST:PORT --http HOST:PORT [--log-level LEVEL]\n", true},
	{"pageserver", cmd_pageserver, "daemon: log into pages and Parquet",
	 "--dir DIR --store URL --listen HOST:PORT --http HOST:PORT --safekeepers LIST\n"
	 "       [--system-identifier N] [--postgres-bin DIR] [--lib-dir DIR] [--memory-limit-mib "
	 "N]\n"
	 "       [--disk-limit-mib N] [--redo-hosts N] [--log-level LEVEL]\n",
	 true},
	{"catalog", cmd_catalog, "daemon: Iceberg REST catalog",
	 "--listen HOST:PORT --pageserver URL --store URL --safekeepers LIST --system-identifier "
	 "N\n"
	 "       [--log-level LEVEL]\n",
	 true},
	{NULL, NULL, NULL, NULL, false},
};

const struct command *command_find(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

static void print_help(FILE *f)
{
	fprintf(f, "Usage: tarn COMMAND [options]\n\nPostgres whose tables are, at the same "
		   "moment, Iceberg tables.\n\n");
	for (const struct command *c = commands; c->name; c++)
		if (!c->internal)
			fprintf(f, "  %-12s %s\n", c->name, c->summary);
	fprintf(f, "\nDaemons that `tarn up` starts:\n");
	for (const struct command *c = commands; c->name; c++)
		if (c->internal)
			fprintf(f, "  %-12s %s\n", c->name, c->summary);
	fprintf(f, "\n`tarn COMMAND --help` tells more. Exit codes: 0 well, 2 usage, 3 not found, "
		   "4 exists, 5 system,\n"
		   "6 corrupt, 7 protocol, 8 limit, 9 timeout, 10 unavailable, 11 conflict, 12 "
		   "unsupported, 70 defect.\n");
}

int main(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		print_help(argc < 2 ? stderr : stdout);
		return argc < 2 ? 2 : 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("tarn %s (for %s)\n", TARN_VERSION, TARN_BUILD_POSTGRES_VERSION);
		return 0;
	}
	const struct command *c = command_find(argv[1]);
	if (!c) {
		struct tarn_error err;
		tarn_fail(&err, TARN_E_USAGE, "no command \"%s\"; `tarn --help` lists them",
			  argv[1]);
		return report(&err);
	}
	return c->run(argc - 1, argv + 1);
}
