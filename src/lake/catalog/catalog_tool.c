/* Not installed; for tests: `catalog_tool write STORE STATE.json` prints the metadata's URI. */
#include "base/system.h"
#include "io/file.h"
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

int main(int argc, char **argv)
{
	struct tarn_error err = {0};
	int rc = TARN_E_USAGE;
	if (argc == 4 && strcmp(argv[1], "write") == 0)
		rc = write_table(argv[2], argv[3], &err);
	else
		tarn_fail(&err, TARN_E_USAGE, "usage: catalog_tool write STORE STATE.json");
	if (rc != 0)
		fprintf(stderr, "%s\n", err.message);
	return rc == 0 ? 0 : 1;
}
