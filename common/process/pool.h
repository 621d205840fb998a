/* pool.h -- a small parent that keeps workers alive, and replaces them without a gap. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct metrics;

/* So many workers on one socket. */
struct pool_group {
    const char *name; /* one word, for the log */
    int listen_fd;
    unsigned workers;
    int nice; /* see nice(2): above 0, all else on this machine comes first */
};

/* What a worker shares with its parent and the other workers. */
struct pool_worker {
    int listen_fd;
    _Atomic int64_t *busy_since; /* the worker's to set: monotonic ns, 0 when it waits */
    const struct pool *pool;     /* which it is of; NULL: none */
    const _Atomic int64_t *all;  /* `busy_since` of all its workers, group after group */
};

struct pool {
    const struct pool_group *groups;
    size_t count;
    unsigned drain_s; /* what running requests get at the end */
    unsigned hang_s;  /* a worker that is busy for longer is killed; 0: never */
    char **argv;      /* how the program was called, for SIGHUP */
    void (*work)(void *context, const struct pool_worker *worker); /* until SIGTERM */
    void (*help)(void *context); /* of one process beside them, until SIGTERM; or NULL */
    void *context;
    struct metrics *metrics; /* counts deaths, hangs and reloads; or NULL */
};

/**
 * Fork the workers of all groups and replace those that end, until SIGTERM or SIGINT.
 *
 * A worker that ended is replaced at once; one that lived for less than a second waits 50 ms
 * first, doubled with every such death in a row up to 2 s, so that a crash loop does not
 * eat the machine. At the end workers get SIGTERM and finish what they have; those left after
 * `drain_s` are killed. Workers end with their parent, also when it is killed. Returns when
 * no worker is left.
 *
 * SIGHUP starts the program again in the same process, with the sockets open and the old
 * workers at work; each new worker that is ready replaces an old one. So it takes a new
 * configuration and a new binary, and no request is refused. First comes a trial (reexec.h); when
 * it fails, all stays as it is. A descriptor of the old program that the new one has not kept is
 * closed.
 *
 * The helper is started before any worker, is replaced as workers are, and ends with them: told to
 * when they have ended, or when the program starts again. It has none of the listening sockets.
 *
 * SIGPIPE is ignored from here on, in workers too: a log whose reader has ended stops no worker. A
 * program that is started has it as usual.
 *
 * ps(1) shows a worker by its group, "PROGRAM: fast worker", after title_keep().
 *
 * Tells a service manager READY, RELOADING, STOPPING and WATCHDOG (systemd.h).
 */
void pool_run(const struct pool *pool);

/** How many workers of a group are busy just now; to be asked by any worker of the pool. */
unsigned pool_busy(const struct pool_worker *worker, size_t group);

/** To be called by a worker when it is about to accept. */
void pool_worker_is_ready(void);
