/* departure.h -- users who are deleted: gone at once, and their rows one batch after another.
 *
 * Posts, sessions and all else that refers to one user may be millions of rows, which no request
 * can wait for. So a deletion takes them out of the totals and hides the user, in a short
 * transaction; from then on nothing shows them, and the address is free. The rows are deleted in
 * batches, the newest posts first, by workers with time to spare: `user_departures` lists whose are
 * left. A batch is a transaction of its own, so that the work can be interrupted anywhere and
 * continued by any worker.
 *
 * What goes with a user stands in one table above all subjects, fcgi-app/belongings.c: a new
 * resource whose rows speak of a user adds one there, and nothing here.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/db/db.h"
#include "fcgi-app/accounts/user_model.h"

#define DEPARTURE_BATCH 500 /* rows, of all tables together */

/* One kind of rows that go with a user. */
struct belonging {
    /* Delete up to `limit` of them, the newest first; fewer only where no more were left. */
    struct problem *(*delete_newest)(struct db *db, struct arena *a, struct uuid user,
                                     int64_t limit, uint64_t *ret_deleted);
    /* Take all of them out of the totals, before they are deleted and once more after. NULL: they
     * are in none. */
    struct problem *(*uncount)(struct db *db, struct arena *a, struct uuid user);
};

/* All of them, in the order in which they are deleted; without functions at the end. */
extern const struct belonging belongings[];

/** Let `user` go, with as many rows as a batch has; the rest is left for
 *  departure_sweep(). In a transaction that holds the user locked. */
struct problem *departure_begin(struct db *db, struct arena *a, const struct user *user,
                                struct instant now) MUST_USE;

/**
 * Delete one batch of the user who left first, and with the last rows the user. Not in a
 * transaction.
 *
 * `*ret_more` is false when nobody's rows are left, or another worker is deleting them: only one
 * at a time does, of all workers on all hosts.
 */
struct problem *departure_sweep(struct db *db, struct arena *a, bool *ret_more) MUST_USE;
