/* Implementation of options.h. */
#include "base/system.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/options.h"

int report(const struct tarn_error *err)
{
	bool colour = isatty(2);
	fprintf(stderr, "%starn: %s%s\n", colour ? "\033[31m" : "", colour ? "\033[0m" : "",
		err->message);
	return tarn_error_exit_code(err->code);
}

static int usage_error(const char *command, const char *what, const char *arg)
{
	struct tarn_error err;
	tarn_fail(&err, TARN_E_USAGE, "%s %s; `tarn %s --help` lists what there is", what, arg,
		  command);
	return report(&err);
}

static const struct option_spec *find(const struct option_spec *specs, const char *name, size_t len)
{
	for (; specs->name; specs++)
		if (strlen(specs->name) == len && strncmp(specs->name, name, len) == 0)
			return specs;
	return NULL;
}

/* One option at argv[*i]; moves *i over its value. Returns 0, or the exit code. */
static int take_option(int argc, char **argv, int *i, const struct option_spec *specs)
{
	char *arg = argv[*i];
	const char *name = strcmp(arg, "-D") == 0 ? "dir" : arg + 2;
	size_t len = strcspn(name, "=");
	const char *inline_value = name[len] == '=' ? name + len + 1 : NULL;
	const struct option_spec *s = arg[0] == '-' && (arg[1] == '-' || strcmp(arg, "-D") == 0)
					      ? find(specs, name, len)
					      : NULL;
	if (!s)
		return usage_error(argv[0], "no such option:", arg);
	if (s->flag) {
		if (inline_value)
			return usage_error(argv[0], "takes no value:", arg);
		*s->flag = true;
		return 0;
	}
	if (!inline_value && *i + 1 >= argc)
		return usage_error(argv[0], "needs a value:", arg);
	*s->value = inline_value ? inline_value : argv[++*i];
	return 0;
}

bool options_parse(int argc, char **argv, const struct option_spec *specs, int max_positional,
		   struct options *out, int *exit_code)
{
	memset(out, 0, sizeof *out);
	*exit_code = 0;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			const struct command *c = command_find(argv[0]);
			printf("Usage: tarn %s %s", c->name, c->help);
			return false;
		}
		if (strcmp(argv[i], "--") == 0) {
			out->rest = argv + i + 1;
			out->rest_count = argc - i - 1;
			break;
		}
		if (argv[i][0] == '-' && argv[i][1] != '\0') {
			*exit_code = take_option(argc, argv, &i, specs);
			if (*exit_code)
				return false;
			continue;
		}
		if (out->count >= max_positional || out->count >= OPTIONS_MAX_POSITIONAL) {
			*exit_code = usage_error(argv[0], "one argument too many:", argv[i]);
			return false;
		}
		out->positional[out->count++] = argv[i];
	}
	return true;
}

int options_number(const char *name, const char *text, uint64_t max, uint64_t *out,
		   struct tarn_error *err)
{
	if (text && !tarn_parse_u64(text, max, out))
		return tarn_fail(err, TARN_E_USAGE,
				 "--%s must be a number up to %" PRIu64 ", not \"%s\"", name, max,
				 text);
	return 0;
}

int options_log_level(const char *text, const char *part, struct tarn_error *err)
{
	enum tarn_log_level level = TARN_LOG_INFO;
	if (text && !tarn_log_level_parse(text, &level))
		return tarn_fail(err, TARN_E_USAGE,
				 "--log-level must be debug, info, warn or error, not \"%s\"",
				 text);
	tarn_log_init(part, level);
	return 0;
}
