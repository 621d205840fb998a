/* lease.h -- a few places in memory that processes share, each of which one of them may have. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/compiler.h"

/*
 * A place is taken by writing into it until when, by monotonic_ns(), it is taken at the latest. So
 * there is no owner that must be alive, and the place of a killed process comes back. Zeroed it is
 * free.
 */
struct lease {
    unsigned place;
    int64_t until; /* 0: none is held */
};

/** Have one of `count` places until then: the one that is held, unless that was given to another
 *  since it ended, or any that is free. False when there is none. */
bool lease_take(struct lease *l, _Atomic int64_t *places, unsigned count, int64_t until) MUST_USE;

/** Give it back, if there is one and it is not another's by now. */
void lease_end(struct lease *l, _Atomic int64_t *places);

/** Would lease_take() find one for who holds none? */
bool lease_is_free(const _Atomic int64_t *places, unsigned count);
