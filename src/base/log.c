/* Implementation of log.h. The level and name are set once at start; afterwards only read. */
#include "base/system.h"
#include "base/log.h"

#define LINE_BYTES 2048

static const char *log_part = "tarn";
static enum tarn_log_level log_level = TARN_LOG_INFO;
static const char *const level_names[] = {"debug", "info", "warn", "error"};

void tarn_log_init(const char *part, enum tarn_log_level level)
{
	log_part = part;
	log_level = level;
}

bool tarn_log_enabled(enum tarn_log_level level)
{
	return level >= log_level;
}

bool tarn_log_level_parse(const char *text, enum tarn_log_level *out)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*out = (enum tarn_log_level)i;
			return true;
		}
	}
	return false;
}

void tarn_log(enum tarn_log_level level, const char *event, const char *fmt, ...)
{
	if (!tarn_log_enabled(level))
		return;
	char line[LINE_BYTES];
	struct timespec ts;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	size_t n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(line + n, sizeof line - n, ".%03ldZ %s %s \"%s\" ",
			      ts.tv_nsec / 1000000, level_names[level], log_part, event);
	va_list ap;
	va_start(ap, fmt);
	if (n < sizeof line - 2) {
		int more = vsnprintf(line + n, sizeof line - n - 1, fmt, ap);
		n = TARN_MIN(n + (size_t)TARN_MAX(more, 0), sizeof line - 2);
	}
	va_end(ap);
	for (size_t i = 0; i < n; i++) { /* a value from outside must not forge a second line */
		if (line[i] == '\n' || line[i] == '\r')
			line[i] = ' ';
	}
	line[n++] = '\n';
	ssize_t written = write(STDERR_FILENO, line, n);
	(void)written; /* nowhere left to report to */
}
