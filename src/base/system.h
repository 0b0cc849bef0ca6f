/*
 * The one header every Tarn source includes first: the C library, the POSIX pieces we use,
 * and the list of functions that must not be used.
 *
 * The compute module and the redo host include postgres.h instead; they may include any other
 * header of src/base after it.
 */
#ifndef TARN_BASE_SYSTEM_H
#define TARN_BASE_SYSTEM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "base/banned.h"
#include "base/util.h"

#endif
