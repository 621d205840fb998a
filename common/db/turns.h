/* turns.h -- of requests that are slow, a few at a time, in the order in which they came. */
#pragma once

#include "common/db/lease.h"

#define TURNS_MAX 128

/* What processes that use one database tell each other; zeroed it says nothing. */
struct turns_shared {
    _Atomic int64_t places[TURNS_MAX];
    /* When the first of those who wait came, and when its process said so last; by monotonic_ns().
     * It says so each time that it asks, for it may be killed meanwhile. */
    _Atomic int64_t first, told;
    _Atomic int64_t others; /* when a request was done that took no turn */
};

/* How many may have one at a time: while there are other requests, and while there are none. */
struct turns_limit {
    unsigned few, many;
};

/**
 * Take a turn until `until`, by monotonic_ns(), for a request that came at `came`, or keep the one
 * that is held. False when none is free, or it is somebody's turn who came before; then the request
 * is one of those who wait, as long as it asks.
 */
bool turns_take(struct lease *l, struct turns_shared *shared, struct turns_limit limit,
                int64_t came, int64_t until) MUST_USE;

/** For one that waits: 0 when it is its turn, else after how many ms to ask again. */
unsigned turns_wait_ms(struct turns_shared *shared, struct turns_limit limit, int64_t came);

/** A request was done that took none. */
void turns_note_other(struct turns_shared *shared);
