/* counter_sweep.h -- move what the journal of counter.h has into the counts, a step at a time.
 *
 * A step takes some rows that are committed, adds them up, and deletes them by their ids, in one
 * transaction: a row is in the journal or in the counts, never in both or neither, and a step that
 * is killed has not been. Rows whose transactions are under way are passed over, and nobody who
 * writes waits for a step. One at a time is made on one server. Two nodes of a cluster may each
 * make one: both write the row of turn.h, and the later one has not been.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/uuid.h"
#include "common/db/db.h"

#define SWEEP_ROWS 256    /* of one step, which takes some 10 ms */
#define BACKLOG_MAX 10000 /* where counting what is left stops */

/* A row of the journal. */
struct journal_row {
    int64_t id;
    int64_t total; /* counter.number */
    struct uuid owner;
    int64_t kind;
    int64_t n;
    struct uuid row_id; /* what was written; nil: nothing is left of it */
};

/* What else is kept in step with the rows: called with those that a step takes, in its transaction,
 * which may run again. Not called without rows. Where they are too much at once, it takes the first
 * of them and lowers `*count`, to 1 at least: the rest is left for the next step. */
struct sweep_hook {
    struct problem *(*take)(void *context, struct db *db, struct arena *a,
                            const struct journal_row *rows, size_t *count);
    void *context;
};

/** Make a step. Not in a transaction. `hook` may be NULL. `*ret_more` tells that rows are left; it
 *  is false when another process is at it. db_is_conflict() when other nodes' steps were faster,
 *  however often it was tried. */
struct problem *counter_sweep(struct db *db, struct arena *a, const struct sweep_hook *hook,
                              bool *ret_more) MUST_USE;

/* What waits to be swept. */
struct backlog {
    int64_t count; /* of rows; BACKLOG_MAX + 1 where there are more than BACKLOG_MAX */
    int64_t age_s; /* of the oldest of them, by the database's clock; 0 without */
};

struct problem *counter_backlog(struct db *db, struct arena *a, struct backlog *ret) MUST_USE;
