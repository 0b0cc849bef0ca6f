/* base_tool PAGESERVER TIMELINE SYSTEM-ID LSN DIR: a base backup at the LSN, for the page oracle. */
#include "base/system.h"
#include "control/control_internal.h"

int main(int argc, char **argv)
{
	struct tarn_error err = {0};
	struct tarn_id timeline;
	uint64_t system_identifier;
	tarn_lsn lsn;
	if (argc != 6 || !tarn_id_parse(argv[2], &timeline) ||
	    !tarn_parse_u64(argv[3], UINT64_MAX, &system_identifier) ||
	    !tarn_lsn_parse(argv[4], &lsn)) {
		fprintf(stderr, "base_tool PAGESERVER TIMELINE SYSTEM-ID LSN DIR\n");
		return 2;
	}
	if (basebackup_fetch(argv[1], &timeline, system_identifier, lsn, argv[5], &err) != 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	return 0;
}
