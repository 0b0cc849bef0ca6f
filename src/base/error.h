/*
 * Errors. Every function that can fail for a reason outside the program returns an int: 0, or a
 * TARN_E_* code, and takes `struct tarn_error *err` as its last argument. The message in it is
 * what a user will read: what failed, on what, and what to do next. err may be NULL when the
 * caller needs the code only. A struct tarn_error is a plain value: nothing to release.
 */
#ifndef TARN_BASE_ERROR_H
#define TARN_BASE_ERROR_H

#include "base/util.h"

/* name, exit code of the command line, what it means */
#define TARN_ERROR_CODES(X)                                                 \
	X(OK, 0, "no error")                                                \
	X(USAGE, 2, "the command or request is malformed")                  \
	X(NOT_FOUND, 3, "the named thing does not exist")                   \
	X(EXISTS, 4, "the named thing exists already")                      \
	X(IO, 5, "the operating system refused an operation")               \
	X(CORRUPT, 6, "bytes read back are not what was written")           \
	X(PROTOCOL, 7, "a peer sent something its protocol does not allow") \
	X(LIMIT, 8, "a stated limit would be exceeded")                     \
	X(TIMEOUT, 9, "no answer came in time")                             \
	X(UNAVAILABLE, 10, "a part that is needed cannot be reached now")   \
	X(CONFLICT, 11, "another owner or term has taken over")             \
	X(UNSUPPORTED, 12, "this build cannot do it")                       \
	X(CANCELLED, 13, "stopped on request")                              \
	X(INTERNAL, 70, "a defect in Tarn")

enum tarn_error_code {
#define X(name, exit_code, text) TARN_E_##name,
	TARN_ERROR_CODES(X)
#undef X
};

struct tarn_error {
	enum tarn_error_code code;
	char message[512]; /* UTF-8, one line, no trailing newline */
};

/* Sets code and message, returns the code so that `return tarn_fail(err, …)` reads well. */
int tarn_fail(struct tarn_error *err, enum tarn_error_code code, const char *fmt, ...)
	TARN_PRINTF(3, 4);
/* The same with ": " and the text of errno_value appended. */
int tarn_fail_errno(struct tarn_error *err, int errno_value, const char *fmt, ...)
	TARN_PRINTF(3, 4);
/* Puts "prefix: " before the message already in err and returns its code. */
int tarn_error_prefix(struct tarn_error *err, const char *fmt, ...) TARN_PRINTF(2, 3);
const char *tarn_error_name(enum tarn_error_code code);
int tarn_error_exit_code(enum tarn_error_code code);

/* Returns the error of a failed call to this function's caller. */
#define TRY(call)                       \
	do {                            \
		int try_rc_ = (call);   \
		if (try_rc_ != 0)       \
			return try_rc_; \
	} while (0)
/* The same where there is something to clean up: sets rc and jumps to the label. */
#define TRY_GOTO(rc, call, label)   \
	do {                        \
		(rc) = (call);      \
		if ((rc) != 0)      \
			goto label; \
	} while (0)

#endif
