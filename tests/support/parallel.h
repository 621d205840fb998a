/* parallel.h -- several processes at once, each with a connection of its own. */
#pragma once

#include "tests/support/loopback.h"

#define PARALLEL_MAX 20

struct parallel {
    int n;
    pid_t pids[PARALLEL_MAX];
};

/** Run body(0, context) to body(n - 1, context), which begin together once all have connected. */
void parallel(int n, void (*body)(int i, void *context), void *context);

/** The same while the caller does something else: what is begun must be ended, which asserts that
 *  every process ended well. */
struct parallel parallel_begin(int n, void (*body)(int i, void *context), void *context);
void parallel_end(const struct parallel *all);

/** Does a transaction wait for a row that another has locked? As the server's root sees it, after a
 *  pause of its own. */
bool somebody_waits(void);
