/* ada_and_bob.h -- two users that a test begins with: Ada, logged in twice, and Bob. */
#pragma once

#include "tests/support/people.h"

extern const char *ada_id;
extern struct login ada, elsewhere, bob;

/** Open the loop-back, and make them: CASE("…", meet_ada_and_bob, loopback_close). */
void meet_ada_and_bob(void);
