/* tarn completion: a bash script made of the table of commands. */
#include "base/system.h"
#include "cli/commands.h"
#include "cli/options.h"

int cmd_completion(int argc, char **argv)
{
	struct option_spec specs[] = {{NULL, NULL, NULL}};
	struct options o;
	struct tarn_error err;
	int code;
	if (!options_parse(argc, argv, specs, 1, &o, &code))
		return code;
	if (o.count != 1 || strcmp(o.positional[0], "bash") != 0) {
		tarn_fail(&err, TARN_E_USAGE, "say for which shell: tarn completion bash");
		return report(&err);
	}
	printf("_tarn() {\n"
	       "  local cur=${COMP_WORDS[COMP_CWORD]} words=\n"
	       "  if [ \"$COMP_CWORD\" -eq 1 ]; then words=\"");
	for (const struct command *c = commands; c->name; c++)
		if (!c->internal)
			printf("%s ", c->name);
	printf("\"\n"
	       "  else case ${COMP_WORDS[1]} in\n"
	       "    branch) words=\"create list delete --from --at --no-endpoint --json --dir "
	       "--help\" ;;\n"
	       "    endpoint) words=\"start stop list --json --dir --help\" ;;\n"
	       "    lake) words=\"url tables --engine --branch --json --dir --help\" ;;\n"
	       "    up) words=\"--store --safekeepers --detach --dir --help\" ;;\n"
	       "    inspect) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
	       "    completion) words=bash ;;\n"
	       "    *) words=\"--dir --json --help\" ;;\n"
	       "  esac; fi\n"
	       "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	       "}\n"
	       "complete -F _tarn tarn\n");
	return 0;
}
