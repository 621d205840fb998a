/* scratch.h -- for each test an arena and a buffer of its own: CASE("…", scratch_open,
 * scratch_close). */
#pragma once

#include "common/base/arena.h"
#include "common/base/buf.h"

extern struct arena *a;
extern struct buf scratch;

void scratch_open(void);
void scratch_close(void);

/** Assert that the buffer is not full and holds just this. */
void ck_holds(const char *expected);

/** A copy in the arena in which every ' is a ", so that JSON is easier to read in a test. */
const char *unquote(const char *text);
