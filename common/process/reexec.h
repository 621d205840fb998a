/* reexec.h -- start a new version of the program in our place: first a trial, then exec(2) with the
 * sockets open. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#include "common/base/compiler.h"

/* ---- the descriptors that stay open ---- */

/** Remember for a re-exec that `fd` listens on `address`, a text without commas, or is something
 *  else of that name that must stay open. At most eight. */
void reexec_keep_fd(const char *address, int fd);

/** The descriptor that the program had before a re-exec for `address`, or -1. */
int reexec_inherited_fd(const char *address);

/** Close what the program had before a re-exec and has not kept since. A socket that stayed open
 *  would take connections that nobody answers. */
void reexec_close_the_rest(void);

/* ---- the new program ---- */

/** The first half: would the program, called so, start with what is there now? If not, the log
 *  tells, with the last line that it has said. */
bool reexec_trial(char *const *argv) MUST_USE;

/** Is this the trial? Then do all that a start takes, but serve nobody, and exit. */
bool reexec_is_trial(void);

/** The second half: start it in the same process, with the descriptors that were kept and 0, 1 and
 *  2; so nobody who waits on a socket is refused. */
_Noreturn void reexec_become(char *const *argv);

/* ---- a program that serves alone, and so looks itself whether it is time ---- */

#define REEXEC_FILES 2

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
    struct reexec_file files[REEXEC_FILES];
};

/** Take note of how the files are now. Paths are borrowed; NULL is no file. */
void reexec_init(struct reexec *r, char **argv, const char *program, const char *config);

/** Is there a file whose change asks for a re-exec? */
bool reexec_watches(const struct reexec *r);

/**
 * Is a file another one than when this was last asked? One that is missing just now is not: whoever
 * writes a file by a rename, or uploads it, has not finished.
 */
bool reexec_is_due(struct reexec *r);

/**
 * reexec_trial() of its program. False where it failed; then all stays as it is.
 *
 * When it returns true, SIGHUP, SIGINT and SIGTERM are held back for the new program. One that came
 * during the trial was the caller's, who may have to end instead.
 */
bool reexec_try(const struct reexec *r) MUST_USE;
