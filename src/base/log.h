/*
 * Structured log: one line per event on stderr, key=value pairs (logfmt), levelled, quiet by
 * default (info). Example:
 *   2026-11-23T10:00:00.123Z info safekeeper "elected" term=3 timeline=…
 * tarn_log is safe from any thread; a line is written by one write().
 */
#ifndef TARN_BASE_LOG_H
#define TARN_BASE_LOG_H

#include "base/util.h"

enum tarn_log_level { TARN_LOG_DEBUG, TARN_LOG_INFO, TARN_LOG_WARN, TARN_LOG_ERROR };

/* Called once by main before threads start; part names the process ("pageserver"). */
void tarn_log_init(const char *part, enum tarn_log_level level);
bool tarn_log_enabled(enum tarn_log_level level);
bool tarn_log_level_parse(const char *text, enum tarn_log_level *out);
/* event: a short fixed phrase. fmt: the key=value pairs, may be "". */
void tarn_log(enum tarn_log_level level, const char *event, const char *fmt, ...) TARN_PRINTF(3, 4);

#define log_debug(event, ...) \
	(tarn_log_enabled(TARN_LOG_DEBUG) ? tarn_log(TARN_LOG_DEBUG, event, __VA_ARGS__) : (void)0)
#define log_info(event, ...) tarn_log(TARN_LOG_INFO, event, __VA_ARGS__)
#define log_warn(event, ...) tarn_log(TARN_LOG_WARN, event, __VA_ARGS__)
#define log_error(event, ...) tarn_log(TARN_LOG_ERROR, event, __VA_ARGS__)

#endif
