/*
 * tarn sql: one statement in DuckDB, reading the lake through the catalog. libduckdb is opened at run time;
 * its C API is stable, and only what is used is declared here (duckdb.h of version 1.5).
 */
#include "base/system.h"
#include <dlfcn.h>
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "io/file.h"

typedef void *duck_handle;
struct duck_result { /* duckdb_result */
	uint64_t deprecated[5];
	void *internal;
};
struct duck {
	void *lib;
	int (*create_config)(duck_handle *);
	int (*set_config)(duck_handle, const char *, const char *);
	int (*open_ext)(const char *, duck_handle *, duck_handle, char **);
	int (*connect)(duck_handle, duck_handle *);
	int (*query)(duck_handle, const char *, struct duck_result *);
	const char *(*result_error)(struct duck_result *);
	uint64_t (*column_count)(struct duck_result *);
	uint64_t (*row_count)(struct duck_result *);
	const char *(*column_name)(struct duck_result *, uint64_t);
	char *(*value_varchar)(struct duck_result *, uint64_t, uint64_t);
	void (*free_value)(void *);
	void (*destroy_result)(struct duck_result *);
	duck_handle database, connection;
};

static const char how_to_get[] =
	"libduckdb.so was not found. Get it from https://duckdb.org/docs/installation (C/C++ "
	"library, version 1.5), put it "
	"where the loader looks or name it in TARN_DUCKDB_LIB";

#define SYMBOL(d, field, name) ((*(void **)&(d)->field = dlsym((d)->lib, name)) != NULL)

static int load(struct duck *d, struct tarn_error *err)
{
	const char *path = getenv("TARN_DUCKDB_LIB");
	d->lib = dlopen(path ? path : "libduckdb.so", RTLD_NOW | RTLD_LOCAL);
	if (!d->lib)
		return tarn_fail(err, TARN_E_NOT_FOUND, "%s (%s)", how_to_get, dlerror());
	if (SYMBOL(d, create_config, "duckdb_create_config") &&
	    SYMBOL(d, set_config, "duckdb_set_config") && SYMBOL(d, open_ext, "duckdb_open_ext") &&
	    SYMBOL(d, connect, "duckdb_connect") && SYMBOL(d, query, "duckdb_query") &&
	    SYMBOL(d, result_error, "duckdb_result_error") &&
	    SYMBOL(d, column_count, "duckdb_column_count") &&
	    SYMBOL(d, row_count, "duckdb_row_count") &&
	    SYMBOL(d, column_name, "duckdb_column_name") &&
	    SYMBOL(d, value_varchar, "duckdb_value_varchar") &&
	    SYMBOL(d, free_value, "duckdb_free") &&
	    SYMBOL(d, destroy_result, "duckdb_destroy_result"))
		return 0;
	return tarn_fail(err, TARN_E_UNSUPPORTED,
			 "%s is no DuckDB library of a version this build knows (1.5)",
			 path ? path : "libduckdb.so");
}

static int run(struct duck *d, const char *sql, struct duck_result *result, struct tarn_error *err)
{
	memset(result, 0, sizeof *result);
	if (d->query(d->connection, sql, result) == 0)
		return 0;
	const char *why = d->result_error(result);
	int rc = tarn_fail(err, TARN_E_USAGE, "%s", why ? why : "DuckDB refused the statement");
	d->destroy_result(result);
	return rc;
}

static int run_quietly(struct duck *d, const char *sql, struct tarn_error *err)
{
	struct duck_result result;
	TRY(run(d, sql, &result, err));
	d->destroy_result(&result);
	return 0;
}

static int load_extension(struct duck *d, const char *name, struct tarn_error *err)
{
	const char *dir = getenv("TARN_DUCKDB_EXTENSIONS");
	char sql[640];
	if (dir)
		tarn_snprintf(sql, sizeof sql, "LOAD '%s/%s.duckdb_extension'", dir, name);
	else
		tarn_snprintf(sql, sizeof sql, "LOAD %s", name);
	int rc = run_quietly(d, sql, err);
	if (rc != 0 && !dir) {
		tarn_snprintf(sql, sizeof sql, "INSTALL %s; LOAD %s", name, name);
		rc = run_quietly(d, sql, err);
	}
	if (rc != 0)
		return tarn_error_prefix(
			err,
			"DuckDB's extension %s (TARN_DUCKDB_EXTENSIONS names a folder with it)",
			name);
	return 0;
}

static int attach(struct duck *d, const char *url, const char *branch, struct tarn_error *err)
{
	duck_handle config = NULL;
	char *why = NULL;
	char sql[512];
	if (d->create_config(&config) != 0 ||
	    d->set_config(config, "allow_unsigned_extensions", "true") != 0 ||
	    d->open_ext(NULL, &d->database, config, &why) != 0 ||
	    d->connect(d->database, &d->connection) != 0)
		return tarn_fail(err, TARN_E_INTERNAL, "DuckDB does not open: %s",
				 why ? why : "no reason given");
	TRY(load_extension(d, "avro", err));
	TRY(load_extension(d, "httpfs", err));
	TRY(load_extension(d, "iceberg", err));
	if (strpbrk(branch, "'\\") ||
	    !tarn_snprintf(sql, sizeof sql,
			   "ATTACH '%s' AS lake (TYPE ICEBERG, ENDPOINT '%s', AUTHORIZATION_TYPE "
			   "'none'); USE lake.public",
			   branch, url))
		return tarn_fail(err, TARN_E_USAGE, "no branch has such a name");
	return run_quietly(d, sql, err);
}

static void print_rows(struct duck *d, struct duck_result *r)
{
	uint64_t columns = d->column_count(r), rows = d->row_count(r);
	for (uint64_t c = 0; c < columns; c++)
		printf("%s%s", c ? "\t" : "", d->column_name(r, c));
	printf("\n");
	for (uint64_t i = 0; i < rows; i++) {
		for (uint64_t c = 0; c < columns; c++) {
			char *v = d->value_varchar(r, c, i);
			printf("%s%s", c ? "\t" : "", v ? v : "");
			d->free_value(v);
		}
		printf("\n");
	}
}

int cmd_sql(int argc, char **argv)
{
	const char *dir_option = NULL;
	struct option_spec specs[] = {{"dir", &dir_option, NULL}, {NULL, NULL, NULL}};
	struct options o;
	struct tarn_error err = {0};
	struct duck d = {0};
	struct duck_result result;
	char *dir = NULL;
	json_t *status = NULL;
	int code;
	if (!options_parse(argc, argv, specs, 2, &o, &code))
		return code;
	int rc = 0;
	if (o.count == 0)
		rc = tarn_fail(&err, TARN_E_USAGE, "say what to ask: tarn sql \"SELECT …\"");
	if (rc == 0)
		rc = client_dir(dir_option, &dir, &err);
	if (rc == 0)
		rc = load(&d, &err);
	if (rc == 0)
		rc = client_call(dir, "GET", "/v1/status", NULL, &status, &err);
	if (rc == 0)
		rc = attach(&d, client_text(status, "catalog_url"),
			    o.count > 1 ? o.positional[0] : "main", &err);
	if (rc == 0)
		rc = run(&d, o.positional[o.count - 1], &result, &err);
	if (rc == 0) {
		print_rows(&d, &result);
		d.destroy_result(&result);
	}
	json_decref(status);
	free(dir);
	return rc == 0 ? 0 : report(&err);
}
