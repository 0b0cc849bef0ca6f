/* Implementation of error.h. */
#include "base/system.h"
#include "base/error.h"

int tarn_fail(struct tarn_error *err, enum tarn_error_code code, const char *fmt, ...)
{
	if (err) {
		va_list ap;
		err->code = code;
		va_start(ap, fmt);
		vsnprintf(err->message, sizeof err->message, fmt, ap);
		va_end(ap);
	}
	return (int)code;
}

int tarn_fail_errno(struct tarn_error *err, int errno_value, const char *fmt, ...)
{
	enum tarn_error_code code = errno_value == ENOENT   ? TARN_E_NOT_FOUND
				    : errno_value == EEXIST ? TARN_E_EXISTS
							    : TARN_E_IO;
	if (err) {
		char text[256];
		va_list ap;
		err->code = code;
		va_start(ap, fmt);
		vsnprintf(text, sizeof text, fmt, ap);
		va_end(ap);
		char reason[128];
		snprintf(err->message, sizeof err->message, "%s: %s", text,
			 strerror_r(errno_value, reason, sizeof reason));
	}
	return (int)code;
}

int tarn_error_prefix(struct tarn_error *err, const char *fmt, ...)
{
	if (!err)
		return TARN_E_INTERNAL;
	char prefix[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(prefix, sizeof prefix, fmt, ap);
	va_end(ap);
	char old[sizeof err->message];
	memcpy(old, err->message, sizeof old);
	/* the end of a very long message is cut, on purpose */
	(void)tarn_snprintf(err->message, sizeof err->message, "%s: %s", prefix, old);
	return (int)err->code;
}

const char *tarn_error_name(enum tarn_error_code code)
{
	switch (code) {
#define X(name, exit_code, text) \
	case TARN_E_##name:      \
		return #name;
		TARN_ERROR_CODES(X)
#undef X
	}
	return "UNKNOWN";
}

int tarn_error_exit_code(enum tarn_error_code code)
{
	switch (code) {
#define X(name, exit_code, text) \
	case TARN_E_##name:      \
		return exit_code;
		TARN_ERROR_CODES(X)
#undef X
	}
	return 70;
}
