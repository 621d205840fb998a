/* departure.h -- users who are deleted: gone at once, and their rows one batch after another.
 *
 * Posts, sessions and all else that refers to one user may be millions of rows, which no request
 * can wait for. So a deletion takes them out of the totals and hides the user, in a short
 * transaction; from then on nothing shows them, and the address is free. The rows are deleted in
 * batches, the newest posts first, by workers with time to spare: `user_departures` lists whose are
 * left. A batch is a transaction of its own, so that the work can be interrupted anywhere and
 * continued by any worker.
 *
 * What goes with a user stands in one table above all subjects, fcgi-app/resources.c: a new
 * resource whose rows speak of a user adds one there, and nothing here.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/db/belonging.h"
#include "common/db/db.h"
#include "fcgi-app/accounts/user_model.h"

#define DEPARTURE_BATCH BELONGING_BATCH

/* All that goes with a user or another row, in the order in which it is deleted; without `of` at
 * the end. */
extern const struct belonging belongings[];

/** Let `user` go, with as many rows as a batch has; the rest is left for
 *  departure_sweep(). In a transaction that holds the user locked. */
struct problem *departure_begin(struct db *db, struct arena *a, const struct user *user,
                                struct instant now) MUST_USE;

/**
 * Delete one batch of the user who left first, and with the last rows the user; without any, one of
 * what another row has left behind (belonging.h). Not in a transaction.
 *
 * `*ret_more` is false when nobody's rows are left, or another worker is deleting them: only one
 * at a time does, of all workers on all hosts.
 */
struct problem *departure_sweep(struct db *db, struct arena *a, bool *ret_more) MUST_USE;
