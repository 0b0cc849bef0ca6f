/*
 * Options of a subcommand: a table of what it takes, one parser for all. Long options with a value as
 * "--name V" or "--name=V"; -D as short form of --dir; "--" ends them. --help is answered here.
 */
#ifndef TARN_CLI_OPTIONS_H
#define TARN_CLI_OPTIONS_H

#include "base/error.h"

#define OPTIONS_MAX_POSITIONAL 8

struct option_spec {
	const char *name;   /* without dashes; NULL ends the table */
	const char **value; /* takes a value if not NULL */
	bool *flag;
};
struct options {
	const char *positional[OPTIONS_MAX_POSITIONAL];
	int count;
	char **rest; /* after "--", or NULL */
	int rest_count;
};
/* Returns true to go on; otherwise *exit_code is what the command returns (help was printed, or an error). */
bool options_parse(int argc, char **argv, const struct option_spec *specs, int max_positional,
		   struct options *out, int *exit_code);
/* "1".."max" decimal, or an error that names the option. Leaves *out alone when text is NULL. */
int options_number(const char *name, const char *text, uint64_t max, uint64_t *out,
		   struct tarn_error *err);
/* Prints "tarn: message" to stderr and returns the exit code of the error. */
int report(const struct tarn_error *err);
/* TARN_LOG_* by name; exits the parse with an error otherwise. */
int options_log_level(const char *text, const char *part, struct tarn_error *err);

#endif
