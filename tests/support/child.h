/* child.h -- a process that a test has started, until its end. */
#pragma once

#include <sys/types.h>

#include "tests/support/clock.h" /* PATIENCE_MS */

/** Wait for the end; the exit status, 128 and the signal, or -1 when it does not end in time. */
int end_of(pid_t pid);
