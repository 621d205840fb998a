/* faults.h -- every call that can fail, counted, and made to fail once.
 *
 * Calls are those of tests/faults/calls that it says to wrap; the linker leads all that the program
 * and the tests call by these names through here. Only between fault_begin() and fault_end() are
 * they counted, and may one of them fail.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define FAULT_CALLS_MAX 64

/** How many names there are, at most FAULT_CALLS_MAX; and the name of one. */
size_t fault_names(void);
const char *fault_name(size_t name);

/** In how many ways a call of that name can fail, and what one of them is called. The last is that
 *  the process is killed just before. */
size_t fault_ways(size_t name);
const char *fault_way(size_t name, size_t way);

/** Is it the last one? */
bool fault_kills(size_t name, size_t way);

/** Is it one that the program promises to try again, and with success? */
bool fault_passes(size_t name, size_t way);

/** Is it a host that does not let us in? */
bool fault_is_refusal(size_t name);

/** From now on the call number `at` of that name, from 0, fails in that way, once. */
void fault_plan(size_t name, unsigned at, size_t way);

void fault_begin(void);
void fault_end(void);

/** How often it was called since fault_plan() or the beginning. */
unsigned fault_count(size_t name);

/** Was it called so often, and failed? */
bool fault_was_met(void);
