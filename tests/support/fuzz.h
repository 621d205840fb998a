/* fuzz.h -- a target of libFuzzer, which is a test as well: `make fuzz` feeds it with what it makes
 * up, and `make check` with its seeds.
 *
 *     int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
 *     {
 *         return fuzz_in_arena(read_it, data, size);
 *     }
 *     FUZZ_REPLAY("json")   // tests/fuzz/seeds/json
 *
 * A file of seeds has one on each line, with \n, \0, \\ and \xHH for what a line cannot hold; lines
 * that begin with # are comments. What a fuzzer has found becomes a line there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** Abort unless this holds, in any build. */
void need(bool good);

/**
 * Run `body` on a copy of the input without a byte to spare, with an arena as large as that of a
 * request; returns 0. Where it wants a larger one, a worker would end and be replaced: that is no
 * fault, and in a fuzzer the input is given up there.
 */
int fuzz_in_arena(void (*body)(struct arena *a, const uint8_t *data, size_t size),
                  const uint8_t *data, size_t size);

/** The input as text in `a`, up to its first NUL. */
const char *fuzz_string(struct arena *a, const uint8_t *data, size_t size);

#ifdef LIBFUZZER
#define FUZZ_REPLAY(name_) struct fuzz_semicolon
#else
#include "tests/support/suite.h"

/** Feed the target with each seed of the file; fails the test when there is none. */
void fuzz_replay(const char *name);

#define FUZZ_REPLAY(name_)                                                                         \
    TEST(its_seeds_are_taken)                                                                      \
    {                                                                                              \
        fuzz_replay(name_);                                                                        \
    }                                                                                              \
    struct fuzz_semicolon
#endif
