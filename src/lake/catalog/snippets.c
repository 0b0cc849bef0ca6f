/* Implementation of snippets.h. In the texts %U is the catalog's URL, %W the warehouse. */
#include "base/system.h"
#include "lake/catalog/snippets.h"

const char *const lake_engines[] = {"duckdb",	  "pyiceberg", "spark", "trino",
				    "clickhouse", "polars",    NULL};

/* In the order of lake_engines. */
static const char *const texts[] = {
	"INSTALL iceberg;\n"
	"LOAD iceberg;\n"
	"ATTACH '%W' AS lake (TYPE ICEBERG, ENDPOINT '%U', AUTHORIZATION_TYPE 'none');\n"
	"SHOW ALL TABLES;\n"
	"-- SELECT count(*) FROM lake.public.my_table;\n",

	"from pyiceberg.catalog import load_catalog\n"
	"lake = load_catalog(\"lake\", type=\"rest\", uri=\"%U\", warehouse=\"%W\")\n"
	"print(lake.list_tables(\"public\"))\n"
	"# lake.load_table(\"public.my_table\").scan().to_arrow()\n",

	"# spark-defaults.conf, with iceberg-spark-runtime among the packages\n"
	"spark.sql.extensions "
	"org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions\n"
	"spark.sql.catalog.lake org.apache.iceberg.spark.SparkCatalog\n"
	"spark.sql.catalog.lake.type rest\n"
	"spark.sql.catalog.lake.uri %U\n"
	"spark.sql.catalog.lake.warehouse %W\n"
	"# without this Spark shows the state of its first look\n"
	"spark.sql.catalog.lake.cache-enabled false\n"
	"# SELECT count(*) FROM lake.public.my_table\n",

	"# etc/catalog/lake.properties\n"
	"connector.name=iceberg\n"
	"iceberg.catalog.type=rest\n"
	"iceberg.rest-catalog.uri=%U\n"
	"iceberg.rest-catalog.warehouse=%W\n"
	"# for a store in a local directory\n"
	"fs.native-local.enabled=true\n"
	"local.location=/\n"
	"# SELECT count(*) FROM lake.public.my_table\n",

	"SET allow_experimental_database_iceberg = 1;\n"
	"CREATE DATABASE lake ENGINE = DataLakeCatalog('%U/v1')\n"
	"SETTINGS catalog_type = 'rest', warehouse = '%W', vended_credentials = false;\n"
	"-- SELECT count(*) FROM lake.`public.my_table`;\n",

	"import polars as pl\n"
	"from pyiceberg.catalog import load_catalog\n"
	"lake = load_catalog(\"lake\", type=\"rest\", uri=\"%U\", warehouse=\"%W\")\n"
	"# pl.scan_iceberg(lake.load_table(\"public.my_table\")).select(pl.len()).collect()\n",
};

static void put_filled(struct tarn_buf *out, const char *text, const char *url,
		       const char *warehouse)
{
	for (const char *p = text; *p; p++) {
		if (p[0] == '%' && (p[1] == 'U' || p[1] == 'W'))
			tarn_buf_put_str(out, *++p == 'U' ? url : warehouse);
		else
			tarn_buf_put(out, p, 1);
	}
}

void lake_engine_snippet(struct tarn_buf *out, const char *engine, const char *catalog_url,
			 const char *warehouse)
{
	_Static_assert(ARRAY_LEN(texts) + 1 == ARRAY_LEN(lake_engines), "a text for each engine");
	for (size_t i = 0; lake_engines[i] != NULL; i++)
		if (strcmp(engine, lake_engines[i]) == 0)
			put_filled(out, texts[i], catalog_url, warehouse);
}
