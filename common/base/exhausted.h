/* exhausted.h -- the end of a program that lacks what it cannot do without, such as memory. */
#pragma once

#include "common/base/compiler.h"

/**
 * Tell standard error what is missing, run the function of on_exhausted(), and end with status 70:
 * a pool then replaces the worker, which gives back what it had, and what it has not committed is
 * rolled back. It goes on nowhere, for half of something would be left behind.
 */
_Noreturn void exhausted(const char *format, ...) PRINTF_LIKE(1, 2);

/** What to do before the end, once; it must not allocate. NULL: nothing. */
void on_exhausted(void (*last)(void));
