/*
 * What tests of the compute need of safekeepers:
 *   sk_tool serve ID DIR LISTEN HTTP
 *   sk_tool create TIMELINE SYSTEM_ID LSN ADDRESS…
 *   sk_tool sync TIMELINE SYSTEM_ID ADDRESS…        takes a term, prints the end of the log
 */
#include "base/system.h"
#include "base/log.h"
#include "io/stop.h"
#include "quorum/sk_client.h"
#include "safekeeper/safekeeper.h"

#define TIMEOUT_MS 5000

static int serve(char **argv, struct tarn_error *err)
{
	struct safekeeper_config c = {.dir = argv[1], .listen = argv[2], .http = argv[3]};
	if (!tarn_parse_u64(argv[0], 1000, &c.node_id))
		return tarn_fail(err, TARN_E_USAGE, "bad id");
	tarn_log_init("safekeeper", TARN_LOG_INFO);
	TRY(stop_init(err));
	return safekeeper_run(&c, err);
}

static int create(char **argv, int count, struct tarn_error *err)
{
	struct tarn_id tl;
	uint64_t system_id;
	tarn_lsn lsn;
	if (!tarn_id_parse(argv[0], &tl) || !tarn_parse_u64(argv[1], UINT64_MAX, &system_id) ||
	    !tarn_lsn_parse(argv[2], &lsn))
		return tarn_fail(err, TARN_E_USAGE, "bad timeline, system identifier or LSN");
	for (int i = 3; i < count; i++)
		TRY(sk_timeline_create(argv[i], &tl, system_id, lsn, TIMEOUT_MS, err));
	return 0;
}

static int sync_log(char **argv, int count, struct tarn_error *err)
{
	struct tarn_id tl;
	uint64_t system_id;
	tarn_lsn end;
	if (!tarn_id_parse(argv[0], &tl) || !tarn_parse_u64(argv[1], UINT64_MAX, &system_id))
		return tarn_fail(err, TARN_E_USAGE, "bad timeline or system identifier");
	TRY(quorum_sync((const char *const *)argv + 2, (unsigned)(count - 2), &tl, system_id,
			TIMEOUT_MS, &end, err));
	printf(TARN_LSN_FMT "\n", TARN_LSN_ARGS(end));
	return 0;
}

int main(int argc, char **argv)
{
	struct tarn_error err = {0};
	int rc = tarn_fail(&err, TARN_E_USAGE, "usage: sk_tool serve|create|sync …");
	if (argc == 6 && strcmp(argv[1], "serve") == 0)
		rc = serve(argv + 2, &err);
	else if (argc >= 6 && strcmp(argv[1], "create") == 0)
		rc = create(argv + 2, argc - 2, &err);
	else if (argc >= 5 && strcmp(argv[1], "sync") == 0)
		rc = sync_log(argv + 2, argc - 2, &err);
	if (rc != 0)
		fprintf(stderr, "sk_tool: %s\n", err.message);
	return tarn_error_exit_code((enum tarn_error_code)rc);
}
