/* child.h -- start another program, which inherits only what it needs. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "common/base/compiler.h"

struct arena;

struct child {
    char *const *words;       /* NULL at the end; the first is looked for in PATH, or has a slash */
    char *const *environment; /* of child_environment() */
    int in, out, err;         /* its only descriptors */
    bool alone;               /* in a session of its own, so that it outlives us */
};

/**
 * What a program may know of our surroundings: where programs and files are, who runs it, language,
 * time zone, and how the network is reached. None of our settings is in it, and no secret.
 * Borrows from `a` and from environ.
 */
char *const *child_environment(struct arena *a) MUST_USE;

/**
 * Start it, with all signals as they are usually, whatever we ignore or hold back. -1, with the
 * reason in errno, when it cannot be started; else the caller has to wait for it.
 */
pid_t child_start(const struct child *child) MUST_USE;

/** In a child that was forked: let all signals in again, but ignore SIGHUP, which its parent acts
 * on and a terminal that closes sends to both. */
void child_reset_signals(void);
