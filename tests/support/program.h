/* program.h -- run the program under test as a shell would, and look at what it leaves. */
#pragma once

#include <stdio.h>
#include <string.h>

#include "tests/support/loopback.h"

#define PROGRAM "./postern"
#define PROGRAM_LIMIT_S 60

/* What a run of the program left; the texts live in the_arena. */
struct run {
    int status;
    const char *out, *err;
};

/** Fail the test unless the program is in the current folder. */
void program_expect(void);

/** Run the program with the words of `line`, cut at spaces; fails the test when a signal ends it.
 */
struct run run(const char *line);
struct run run_with_input(const char *input, const char *line);
struct run run_with_bytes(const void *input, size_t len, const char *line);

/** The words of `line` after the program's name, for program_become(). */
char **program_words(const char *line);

/** In a child: be the program, with these as its standard descriptors. */
_Noreturn void program_become(char *const *argv, FILE *in, FILE *out, FILE *err);

#define ck_run(run_, status_)                                                                      \
    do {                                                                                           \
        struct run seen_ = (run_);                                                                 \
        ck_assert_msg(seen_.status == (status_), "status %d instead of %d: %s%s", seen_.status,    \
                      (status_), seen_.out, seen_.err);                                            \
    } while (0)

#define ck_says(text_, part_)                                                                      \
    ck_assert_msg(strstr((text_), (part_)) != NULL, "no \"%s\" in: %s", (part_), (text_))
