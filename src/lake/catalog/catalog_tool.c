/*
 * Not installed; for tests:
 *   catalog_tool write STORE STATE.json                            prints the metadata's URI
 *   catalog_tool run LISTEN PAGESERVER_URL STORE SYSTEM_ID SAFEKEEPERS    the daemon
 */
#include "base/system.h"
#include "base/log.h"
#include "io/file.h"
#include "io/stop.h"
#include "lake/catalog/catalog.h"
#include "lake/catalog/table_write.h"

static int write_table(const char *store_url, const char *state_path, struct tarn_error *err)
{
	struct objstore *store;
	struct tarn_buf text = TARN_BUF_INIT;
	struct table_state *s = NULL;
	struct table_answer *a = NULL;
	unsigned objects;
	TRY(objstore_open(store_url, &store, err));
	struct put_pool *pool = put_pool_new(store, 4);
	int rc = file_read_all(state_path, 64 * MIB, &text, err);
	if (rc == 0)
		rc = table_state_parse(text.data, text.len, store, &s, err);
	if (rc == 0)
		rc = table_write(store, pool, s, NULL, &a, &objects, err);
	if (rc == 0)
		printf("%s\n", a->metadata_uri);
	table_answer_unref(a);
	table_state_free(s);
	tarn_buf_release(&text);
	put_pool_free(pool);
	objstore_free(store);
	return rc;
}

static int run(char **argv, struct tarn_error *err)
{
	struct catalog_config c = {.listen = argv[0],
				   .pageserver_http = argv[1],
				   .store_url = argv[2],
				   .safekeepers = argv[4]};
	if (!tarn_parse_u64(argv[3], UINT64_MAX, &c.system_identifier))
		return tarn_fail(err, TARN_E_USAGE, "bad system identifier");
	tarn_log_init("catalog", TARN_LOG_INFO);
	TRY(stop_init(err));
	return catalog_run(&c, err);
}

int main(int argc, char **argv)
{
	struct tarn_error err = {0};
	int rc = TARN_E_USAGE;
	if (argc == 4 && strcmp(argv[1], "write") == 0)
		rc = write_table(argv[2], argv[3], &err);
	else if (argc == 7 && strcmp(argv[1], "run") == 0)
		rc = run(argv + 2, &err);
	else
		tarn_fail(&err, TARN_E_USAGE, "usage: catalog_tool write|run …");
	if (rc != 0)
		fprintf(stderr, "%s\n", err.message);
	return rc == 0 ? 0 : 1;
}
