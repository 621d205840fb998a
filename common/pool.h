/* pool.h -- a small parent that keeps workers alive. */
#pragma once

#include <stddef.h>

/* So many workers on one socket. */
struct pool_group {
    const char *name; /* for the log */
    int listen_fd;
    unsigned workers;
};

/**
 * Fork the workers of all groups, each running `work(context, listen_fd)`, and replace those
 * that end, until SIGTERM or SIGINT.
 *
 * A worker that ended is replaced at once; one that lived for less than a second waits 50 ms first,
 * doubled with every such death in a row up to 2 s, so that a crash loop
 * does not eat the machine. At the end workers get SIGTERM and finish what they have; those
 * left after `drain_s` seconds are killed. Workers end with their parent, also
 * when it is killed. Returns when no worker is left.
 */
void pool_run(const struct pool_group *groups, size_t count, unsigned drain_s,
              void (*work)(void *context, int listen_fd), void *context);
