/* limiter.h -- how often something may happen, counted in memory that many processes share. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "common/base/arena.h"

#define LIMITER_SETS 8192
#define LIMITER_WAYS 8

/*
 * A table of 64k counters in 512 KiB, all zero when it is new. A counter is one word: which key it
 * is of, and the time at which all that was counted will have leaked out (the theoretical arrival
 * time of GCRA, ITU-T I.371). So it is changed by one compare-and-swap: there is no lock that
 * a killed process could leave held, and nothing to sweep. Where a key may be is a set of eight
 * words, one cache line; when all eight are taken, the one that leaks out first makes room.
 *
 * Time is what has passed while the machine was up, which no setting of its clock changes. It goes
 * on after a restart of the machine, if the memory outlives that: from the last time that something
 * was counted, for it is not known how long the machine was off.
 */
struct limiter {
    _Atomic uint64_t words[LIMITER_SETS][LIMITER_WAYS];
    _Atomic uint64_t secret[4];
    _Atomic uint64_t origin; /* which start of the machine this is, and its time on our scale */
    _Atomic uint64_t latest; /* when something was counted last, on our scale */
};

/* `burst` times at once, and then once more each time that an interval has passed; all together
 * within a week. */
struct limit {
    int64_t burst;
    int64_t interval_ms;
};

/** To be called by each process before anything else: the first one chooses the secret that decides
 *  where keys are, so that nobody can search for two that share a counter. `boot` is boot_number(),
 *  whose `uptime_ms` all functions below are given. */
void limiter_begin(struct limiter *l, uint64_t boot);

/** The key of the counter for `what` of `whom`. Nothing of either can be read from it. */
uint64_t limiter_key(const struct limiter *l, const char *what, struct text whom);

/** How long until one more fits, in ms, if nothing else is counted; 0: it does now. */
int64_t limiter_wait_ms(const struct limiter *l, uint64_t key, const struct limit *limit,
                        int64_t uptime_ms);

/**
 * Count one, unless that is too many: then nothing is counted, and it returns how long to wait
 * in ms.
 *
 * Of processes that count at the same time no more than the limit get a 0, also if they come a few
 * minutes late with their time. A counter that says more than can be, since the time went back all
 * the same, is as good as none.
 */
int64_t limiter_take_ms(struct limiter *l, uint64_t key, const struct limit *limit,
                        int64_t uptime_ms) MUST_USE;

/** Undo what limiter_take_ms() has counted, for what must not count after all. */
void limiter_give_back(struct limiter *l, uint64_t key, const struct limit *limit);
