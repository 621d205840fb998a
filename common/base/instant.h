/* instant.h -- points in time: UTC, microseconds, RFC 3339 on the wire; and how much passes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct instant {
    int64_t us; /* since 1970-01-01T00:00:00Z */
};

/* Calendar form, for libraries that want the parts. */
struct civil {
    int year, month, day, hour, minute, second, us;
};

/* A stretch of time, both ends included. */
struct span {
    struct instant from, to;
};

#define CLOCK_LEEWAY_S 5 /* how far the clocks of the hosts may differ */

#define INSTANT_TEXT_SIZE sizeof "2026-01-01T00:00:00.000000Z"

struct instant instant_now(void);
struct instant instant_plus_s(struct instant t,
                              int64_t seconds); /* or the first or last there is */
struct civil instant_to_civil(struct instant t);
struct instant instant_from_civil(struct civil c);

/** Nanoseconds on a clock that is never set (CLOCK_MONOTONIC); only differences mean something. It
 *  stops while the machine sleeps: for durations within this process. */
int64_t monotonic_ns(void);

/** Milliseconds since the machine was started, including those that it slept (CLOCK_BOOTTIME);
 * never set either, and the same for all processes: for times in shared memory. */
int64_t uptime_ms(void);

/** A number for this boot of the machine, the same for all processes; another one after the next
 *  boot. 0 where the system has none. */
uint64_t boot_number(void);

/** Write RFC 3339 with six digits and `Z`; the first or last moment of the years 0 to 9999 for one
 *  that lies beyond these. */
void instant_format(struct instant t, char ret_text[INSTANT_TEXT_SIZE]);

/** Read RFC 3339 with any offset and fraction; false for anything else, leap seconds included,
 * `ret` untouched. What is between two microseconds is the later: of times that have six digits,
 * the same are before both. */
bool instant_parse(const char *text, struct instant *ret) __attribute__((warn_unused_result));
