/*
 * Writes Parquet files whose values are a function of the row number; test/columnar/check_parquet.py
 * reads them with other engines and computes the same function. Arguments: the directory.
 */
#include "base/system.h"
#include <math.h>
#include "columnar/parquet_writer.h"
#include "io/file.h"

#define ROWS 30000u

static struct tarn_error err;

static void must(int rc)
{
	if (rc == 0)
		return;
	fprintf(stderr, "%s\n", err.message);
	exit(1);
}

static const struct pq_column element = {.name = "element", .field_id = 50001, .kind = PQ_INT32};
static const struct pq_column words = {.name = "element", .field_id = 50002, .kind = PQ_STRING};
static const struct pq_column overflow[] = {
	{.name = "a", .field_id = 100001, .kind = PQ_STRING},
	{.name = "b", .field_id = 100002, .kind = PQ_STRING},
};
static const struct pq_column columns[] = {
	{.name = "id", .field_id = 1, .kind = PQ_INT64, .required = true},
	{.name = "flag", .field_id = 2, .kind = PQ_BOOLEAN},
	{.name = "small", .field_id = 3, .kind = PQ_INT32},
	{.name = "wild", .field_id = 4, .kind = PQ_INT32},
	{.name = "wild64", .field_id = 5, .kind = PQ_INT64},
	{.name = "f", .field_id = 6, .kind = PQ_FLOAT},
	{.name = "d", .field_id = 7, .kind = PQ_DOUBLE},
	{.name = "d5", .field_id = 8, .kind = PQ_DECIMAL, .precision = 5, .scale = 2},
	{.name = "d15", .field_id = 9, .kind = PQ_DECIMAL, .precision = 15, .scale = 0},
	{.name = "d38", .field_id = 10, .kind = PQ_DECIMAL, .precision = 38, .scale = 10},
	{.name = "word", .field_id = 11, .kind = PQ_STRING},
	{.name = "text", .field_id = 12, .kind = PQ_STRING},
	{.name = "raw", .field_id = 13, .kind = PQ_BINARY},
	{.name = "uuid", .field_id = 14, .kind = PQ_UUID},
	{.name = "date", .field_id = 15, .kind = PQ_DATE},
	{.name = "time", .field_id = 16, .kind = PQ_TIME},
	{.name = "ts", .field_id = 17, .kind = PQ_TIMESTAMP},
	{.name = "tstz", .field_id = 18, .kind = PQ_TIMESTAMPTZ},
	{.name = "list", .field_id = 19, .kind = PQ_LIST, .children = &element, .nchildren = 1},
	{.name = "words", .field_id = 20, .kind = PQ_LIST, .children = &words, .nchildren = 1},
	{.name = "nothing", .field_id = 21, .kind = PQ_STRING},
	{.name = "_overflow",
	 .field_id = 100000,
	 .kind = PQ_STRUCT,
	 .children = overflow,
	 .nchildren = 2},
};

/* The same in the checker. */
static uint32_t mix(uint32_t i, uint32_t salt)
{
	uint64_t x = (uint64_t)i * 2654435761u + salt * 40503u;
	x = (x ^ (x >> 15)) * 2246822519u;
	return (uint32_t)(x ^ (x >> 13));
}

static int64_t signed_mix(uint32_t i, uint32_t salt, uint32_t modulus)
{
	return (int64_t)(mix(i, salt) % modulus) - modulus / 2;
}

static void put_numbers(struct pq_writer *w, uint32_t i)
{
	pq_put_int(w, 0, i);
	pq_put_bool(w, 1, mix(i, 1) % 2 == 0);
	pq_put_int(w, 2, mix(i, 2) % 100);
	pq_put_int(w, 3, (int32_t)mix(i, 3));
	pq_put_int(w, 4, (int64_t)((uint64_t)mix(i, 4) << 32 | mix(i, 5)));
	pq_put_float(w, 5, (float)signed_mix(i, 6, 1000) / 8);
	pq_put_double(w, 6, i % 1000 == 7 ? NAN : (double)signed_mix(i, 7, 100000) / 16);
	pq_put_decimal(w, 7, signed_mix(i, 8, 199999));
	pq_put_decimal(w, 8, signed_mix(i, 9, 2000000000) * 100000);
	pq_put_decimal(w, 9, (__int128)signed_mix(i, 10, 2000000000) * 1000000007 * 1000000007);
}

static void put_bytes(struct pq_writer *w, uint32_t i)
{
	char text[200];
	uint8_t raw[16];
	static const char *const some[] = {"alpha", "beta", "gamma", "", "δ"};
	const char *word = some[mix(i, 11) % 5];
	pq_put_bytes(w, 10, word, strlen(word));
	int n = tarn_snprintf(text, sizeof text, "row %u %0*d é", i, 1 + (int)(mix(i, 12) % 90), 0)
			? (int)strlen(text)
			: 0;
	pq_put_bytes(w, 11, text, (size_t)n);
	for (unsigned k = 0; k < 16; k++)
		raw[k] = (uint8_t)mix(i, 13 + k);
	pq_put_bytes(w, 12, raw, mix(i, 30) % 17);
	pq_put_bytes(w, 13, raw, 16);
	pq_put_int(w, 14, signed_mix(i, 31, 40000));
	pq_put_int(w, 15, (int64_t)mix(i, 32) * 20);
	pq_put_int(w, 16, signed_mix(i, 33, 4000000000u) * 1000);
	pq_put_int(w, 17, signed_mix(i, 34, 4000000000u) * 1000);
}

static void put_lists(struct pq_writer *w, uint32_t i)
{
	uint32_t n = mix(i, 40) % 5;
	pq_put_list(w, 18, n);
	for (uint32_t k = 0; k < n; k++) {
		if (mix(i, 50 + k) % 4 == 0)
			pq_put_null(w, 18);
		else
			pq_put_int(w, 18, (int32_t)(mix(i, 60 + k) % 1000));
	}
	pq_put_list(w, 19, i % 3);
	for (uint32_t k = 0; k < i % 3; k++)
		pq_put_bytes(w, 19, k ? "two" : "one", 3);
	pq_put_null(w, 20);
	pq_put_null(w, 21);
	if (i % 10 == 0)
		pq_put_bytes(w, 22, "NaN", 3);
	else
		pq_put_null(w, 22);
}

static void put_row(struct pq_writer *w, uint32_t i)
{
	if (i % 11 == 5) { /* all null but the key */
		pq_put_int(w, 0, i);
		for (uint32_t leaf = 1; leaf < pq_leaf_count(w); leaf++)
			pq_put_null(w, leaf);
	} else {
		put_numbers(w, i);
		put_bytes(w, i);
		put_lists(w, i);
	}
	must(pq_end_row(w, &err));
}

static void print_bounds(const struct pq_summary *s, FILE *out)
{
	fprintf(out, "rows %" PRIu64 " bytes %" PRIu64 "\n", s->rows, s->bytes);
	for (uint32_t i = 0; i < s->nleaves; i++) {
		const struct pq_bounds *b = &s->leaves[i];
		fprintf(out, "%d %" PRIu64 " %" PRIu64 " ", b->field_id, b->values, b->nulls);
		for (size_t k = 0; b->has_lower && k < b->lower.len; k++)
			fprintf(out, "%02x", b->lower.data[k]);
		fprintf(out, "%s ", b->has_lower ? "." : "-");
		for (size_t k = 0; b->has_upper && k < b->upper.len; k++)
			fprintf(out, "%02x", b->upper.data[k]);
		fprintf(out, "%s\n", b->has_upper ? "." : "-");
	}
}

static void write_file(const char *dir, const char *name, uint32_t rows,
		       const struct pq_options *options)
{
	struct pq_writer *w;
	struct pq_summary s;
	char path[512], bounds[520];
	int fd;
	tarn_snprintf(path, sizeof path, "%s/%s.parquet", dir, name);
	tarn_snprintf(bounds, sizeof bounds, "%s/%s.bounds", dir, name);
	must(file_open(path, O_RDWR | O_CREAT | O_TRUNC, 0644, &fd, &err));
	must(pq_writer_new(fd, path, columns, ARRAY_LEN(columns), options, &w, &err));
	pq_metadata(w, "tarn.lsn", "0/1234");
	for (uint32_t i = 0; i < rows; i++)
		put_row(w, i);
	must(pq_finish(w, &s, &err));
	FILE *out = fopen(bounds, "w");
	TARN_CHECK(out != NULL);
	print_bounds(&s, out);
	fclose(out);
	pq_summary_release(&s);
	pq_writer_free(w);
	file_close(fd);
}

/* Schemas that the writer refuses. */
static void expect_refusals(const char *dir)
{
	struct pq_writer *w;
	char path[512];
	int fd;
	struct pq_column bad = {.name = "x", .kind = PQ_DECIMAL, .precision = 39};
	tarn_snprintf(path, sizeof path, "%s/refused", dir);
	must(file_open(path, O_RDWR | O_CREAT, 0644, &fd, &err));
	TARN_CHECK(pq_writer_new(fd, path, &bad, 1, NULL, &w, &err) == TARN_E_USAGE);
	bad = (struct pq_column){.name = "x", .kind = PQ_LIST};
	TARN_CHECK(pq_writer_new(fd, path, &bad, 1, NULL, &w, &err) == TARN_E_USAGE);
	bad = (struct pq_column){
		.name = "x", .kind = PQ_LIST, .children = &columns[18], .nchildren = 1};
	TARN_CHECK(pq_writer_new(fd, path, &bad, 1, NULL, &w, &err) == TARN_E_USAGE);
	file_close(fd);
}

int main(int argc, char **argv)
{
	TARN_CHECK(argc == 2);
	must(file_mkdir_p(argv[1], 0755, &err));
	write_file(argv[1], "empty", 0, NULL);
	write_file(argv[1], "one", 1, NULL);
	write_file(argv[1], "all", ROWS, NULL);
	write_file(argv[1], "groups", ROWS,
		   &(struct pq_options){.max_row_group_rows = 9999, .page_bytes = 10000});
	write_file(argv[1], "bytes", ROWS, &(struct pq_options){.max_row_group_bytes = 1 << 20});
	expect_refusals(argv[1]);
	return 0;
}
