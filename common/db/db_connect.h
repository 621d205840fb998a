/* db_connect.h -- inside db: be connected to one of several hosts, and wait for it with limits. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"

struct arena;
struct db;
struct problem;

/* A host that did not answer, by monotonic_ns(); all zero for one that did not fail yet. Until
 * `until` the others come first. */
struct backed_off {
    int64_t since, until;
};

/* One call to the library. It asks await() to wait. */
struct wait {
    const struct db *db;
    int64_t end;      /* by monotonic_ns() */
    int64_t probe_at; /* when to look whether the host is frozen; FOREVER: never */
    enum {
        WAIT_GOES_ON,
        WAIT_TOO_LONG, /* by our limit; the host is alive, as far as we know */
        WAIT_FROZEN,   /* the host does not answer others either */
    } outcome;
};
#define FOREVER INT64_MAX

/** To be called before the first connection: from then on a forked child knows that it is one, and
 *  opens connections of its own. */
void db_count_forks(void);

/** Be connected, or say why no statement may run now. */
struct problem *db_ready(struct db *db, struct arena *a) MUST_USE;

/** Around each call to the library that may wait for the server: it waits no longer than the limits
 *  allow, and `wait.outcome` tells how that ended. The first returns when it began. */
int64_t db_wait_begin(struct db *db);
void db_wait_end(struct db *db, int64_t began);

/** Leave a host alone for a while. It failed to answer, and kept us waiting for `cost` ns. `hangs`:
 *  it said nothing at all. */
void db_back_off(struct db *db, size_t host, int64_t cost, bool hangs);
