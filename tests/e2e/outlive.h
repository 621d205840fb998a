/* outlive.h -- writes that go on while something fails: nothing is lost, nothing is done twice. */
#pragma once

#include <stdbool.h>

#include "tests/e2e/load.h"

/** Is this `make torture`, with 200 writes a second? */
bool writes_are_many(void);

/** Begin to write through own.h's front, each post under a name of its own until it is served. */
struct load *begin_writes(const char *token, unsigned content_len);

/**
 * The fault `name` is over since `ended_at`, by now_ms(): assert that all is served again and how
 * soon it was, that what was told holds, and that no worker ended, or that one did. Prints a line,
 * and frees `load`.
 */
void outlived(const char *name, long ended_at, struct load *load, bool dies);
