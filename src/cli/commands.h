/*
 * The subcommands of `tarn`. Each takes its own argv (argv[0] is the subcommand's name), prints its
 * result on stdout and messages on stderr, and returns an exit code (base/error.h lists them).
 */
#ifndef TARN_CLI_COMMANDS_H
#define TARN_CLI_COMMANDS_H

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
	const char *help; /* after "Usage: tarn NAME " */
	bool internal;	  /* a daemon that `tarn up` starts: listed apart */
};
extern const struct command commands[]; /* ends with a NULL name */
const struct command *command_find(const char *name);

int cmd_up(int argc, char **argv);
int cmd_down(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_url(int argc, char **argv);
int cmd_psql(int argc, char **argv);
int cmd_branch(int argc, char **argv);
int cmd_endpoint(int argc, char **argv);
int cmd_lake(int argc, char **argv);
int cmd_sql(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_completion(int argc, char **argv);
int cmd_safekeeper(int argc, char **argv);
int cmd_pageserver(int argc, char **argv);
int cmd_catalog(int argc, char **argv);

#endif
