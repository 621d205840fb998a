/* gate.h -- of requests that are slow, a few at a time, in the order in which they came. */
#pragma once

#include "common/base/lease.h"

#define GATE_PLACES_MAX 128

/* What processes that use one database tell each other; zeroed it says nothing. */
struct gate {
    _Atomic int64_t places[GATE_PLACES_MAX];
    /* When the first of those who wait came, and when its process said so last; by monotonic_ns().
     * It says so each time that it asks, for it may be killed meanwhile. */
    _Atomic int64_t first, told;
    _Atomic int64_t others; /* when a request was done that need not come through */
};

/* How many may be inside at a time: while there are other requests, and while there are none. */
struct gate_limit {
    unsigned few, many;
};

/**
 * Let a request in that came at `came`, until lease_end(), or `until` at the latest, both by
 * monotonic_ns(); with a lease that is held it is in already. False when there is no room, or
 * somebody waits who came before; then this one is one of those who wait, as long as it asks.
 */
bool gate_enter(struct lease *l, struct gate *gate, struct gate_limit limit, int64_t came,
                int64_t until) MUST_USE;

/** For one that waits: 0 when it is its turn, else after how many ms to ask again. */
unsigned gate_wait_ms(struct gate *gate, struct gate_limit limit, int64_t came);

/** A request was done that need not come through. */
void gate_note_other(struct gate *gate);
