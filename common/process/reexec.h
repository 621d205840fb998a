/* renew.h -- a program that serves alone takes new versions of itself and of its configuration. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#include "common/base/compiler.h"

#define RENEWAL_FILES 2

/* What tells one state of a file from the next. */
struct reexec_file {
    const char *path; /* NULL: none */
    dev_t device;
    ino_t inode;
    off_t size;
    mode_t mode;             /* others who can read it now are a reason to say so */
    struct timespec changed; /* by its content, or by touch(1) */
};

struct reexec {
    char **argv; /* how the program is started; the first is a path with a slash in it */
    struct reexec_file files[RENEWAL_FILES];
};

/** Is there a file whose change asks for a renewal? */
bool reexec_watches(const struct reexec *r);

/** Take note of how the files are now. Paths are borrowed; NULL is no file. */
void reexec_init(struct reexec *r, char **argv, const char *program, const char *config);

/**
 * Is a file another one than when this was last asked? One that is gone just now is not: whoever
 * writes a file by a rename, or uploads it, is still at it.
 */
bool reexec_is_due(struct reexec *r);

/**
 * The first half of a renewal, a trial (pool.h): would what the program and its configuration are
 * now start? False where not; then the log tells so, and all stays as it is.
 *
 * When it returns true, SIGHUP, SIGINT and SIGTERM are held back for the new program. One that came
 * during the trial was the caller's, who may have to end instead.
 */
bool reexec_try(const struct reexec *r) MUST_USE;

/**
 * The second: become that in the same process, with the descriptors that pool_keep_fd() knows and
 * 0, 1 and 2; so nobody who waits on the socket is refused.
 */
_Noreturn void reexec_become(const struct reexec *r);
