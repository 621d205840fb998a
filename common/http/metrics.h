/* metrics.h -- counters in memory that all workers share, written as Prometheus reads them. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "common/http/request.h"

/* How many routes have a number; those beyond share a place with no route at all. */
#define METRICS_ROUTES 128
#define METRICS_ANSWERS 48 /* pairs of method and status that one route answers */
#define METRICS_BUCKETS 15 /* of a histogram, the one without an upper bound among them */

/* What is counted besides requests. X(word, name, how many make one of its unit, help); to count
 * something else takes a row here and metrics_add() where it happens. */
#define METRICS_COUNTERS(X)                                                                        \
    X(DATABASE_NS, "postern_database_wait_seconds_total", 1000000000,                              \
      "Time that workers waited for the database.")                                                \
    X(DATABASE_STATEMENTS, "postern_database_statements_total", 1,                                 \
      "Statements sent to the database, those that begin and commit transactions among them.")     \
    X(DATABASE_RETRIES, "postern_database_retries_total", 1,                                       \
      "Statements and transactions tried again after a conflict or a lost connection.")            \
    X(DATABASE_RECONNECTS, "postern_database_reconnects_total", 1,                                 \
      "Connections to the database opened in the place of an earlier one.")                        \
    X(DATABASE_FAILED_CONNECTS, "postern_database_failed_connects_total", 1,                       \
      "Times that a database host did not let a worker in.")                                       \
    X(WORKER_RESTARTS, "postern_worker_restarts_total", 1,                                         \
      "Workers that ended unexpectedly and were replaced.")                                        \
    X(WORKER_HANGS, "postern_worker_hangs_total", 1,                                               \
      "Workers killed because a request took too long; each is a restart, too.")                   \
    X(RELOADS, "postern_reloads_total", 1, "Reloads of program and configuration.")                \
    X(REFUSED_RELOADS, "postern_refused_reloads_total", 1,                                         \
      "Reloads refused because the program would not have started.")

enum metric {
#define X(word, name, units, help) METRIC_##word,
    METRICS_COUNTERS(X)
#undef X
        METRIC_COUNT
};

struct metrics_route {
    _Atomic uint64_t took[METRICS_BUCKETS]; /* requests, each in one bucket only */
    _Atomic uint64_t duration_us;
    _Atomic uint64_t bytes;
    struct {
        _Atomic uint32_t what; /* method and status; 0: nobody's yet */
        _Atomic uint64_t count;
    } answers[METRICS_ANSWERS];
};

/* All zero at first. To be shared: a process may be killed at any line and leaves nothing
 * locked or half-done, except the request that it was counting. */
struct metrics {
    _Atomic uint64_t counters[METRIC_COUNT];
    struct metrics_route routes[METRICS_ROUTES + 1]; /* 0: none */
};

/* One request that was answered. */
struct metrics_request {
    size_t route; /* its number, from 1 on; 0: none */
    enum method method;
    int status;
    uint64_t bytes; /* of the body that is sent */
    uint64_t duration_us;
};

/* How a route is called. */
struct metrics_name {
    enum method method;
    const char *path;
};

void metrics_add(struct metrics *m, enum metric which, uint64_t n);
void metrics_count_request(struct metrics *m, const struct metrics_request *rq);

/**
 * Write all of `m` in Prometheus' text format, version 0.0.4, for METRICS_MEDIA_TYPE.
 *
 * `names` are those of the routes 1 to `count`. Whatever has no number, or a higher one, is called
 * "other". What a route has not answered yet is left out, and so no input makes the text longer
 * than the tables allow.
 */
void metrics_write(struct buf *b, const struct metrics *m, const struct metrics_name *names,
                   size_t count);
#define METRICS_MEDIA_TYPE "text/plain; version=0.0.4; charset=utf-8"

/** For numbers that are kept elsewhere: the head of what is called `name`, its `type` "counter" or
 *  "gauge", and after it each of its values, with `labels` as they are between the braces, or
 *  NULL. */
void metrics_put_head(struct buf *b, const char *name, const char *type, const char *help);
void metrics_put(struct buf *b, const char *name, const char *labels, uint64_t value);
