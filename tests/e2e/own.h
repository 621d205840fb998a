/* own.h -- a pool of the test's own, and what stands in front of it, which becomes the_front. */
#pragma once

#include "tests/e2e/world.h"

extern struct backend own;
extern struct front own_front;

void start_own(const char *const *names);

/** Where the pool was started in another way. */
void start_own_front(void);

/** Both; as backend_stop(), it fails the test unless the pool ends with status 0. */
void stop_own(void);
