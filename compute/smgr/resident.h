/*
 * The resident-pages rule: which pages must stay on this compute because redo of the log would not
 * give them back as they are (README.md has the table).
 */
#ifndef TARN_COMPUTE_RESIDENT_H
#define TARN_COMPUTE_RESIDENT_H

#include "postgres.h"
#include "common/relpath.h"

void tarn_resident_settings(void);
/* Must this page of a permanent relation stay? For any process that writes pages. */
bool tarn_page_must_stay(ForkNumber fork, const char *page);
/* The page of a sequence: one tuple and a magic number at its end. */
bool tarn_page_is_sequence(const char *page);

/* For tests: rules that are switched off, a comma-separated list of cid, zero_lsn, sequence, maps,
 * unlogged. */
bool tarn_rule_is_on(const char *rule);

#endif
