/* belonging.h -- rows that go with another row: a user's posts, a post's comments.
 *
 * There may be millions of them, for which no request can wait, and each stands in totals. So they
 * go in batches, the newest first, each batch in one transaction with what it takes out of the
 * totals: at every moment a total is what the rows are. The first batch goes with the row that they
 * belong to. If that was not all, the row goes nevertheless, `leftovers` names it, and workers with
 * time to spare go on, one at a time; therefore no foreign key may stand in the way.
 *
 * Nobody may add a row that belongs to one that goes: who adds one must lock that first.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/db/counter_sweep.h"
#include "common/db/table.h"

/* One kind of them. Either a table is declared, or functions do the same in their own way. */
struct belonging {
    const char *of; /* the table of what they belong to; NULL: the end */
    const struct table *table;
    const char *column; /* that names the row they belong to */
    const char *index;  /* of that column, `created_at` and `id` */

    /* Delete up to `limit` of them, the newest first; fewer only where no more were left. */
    struct problem *(*delete_newest)(struct db *db, struct arena *a, struct uuid owner,
                                     int64_t limit, uint64_t *ret_deleted);
    /* Take all of them out of the totals, before they are deleted and once more after. NULL: they
     * are in none. */
    struct problem *(*uncount)(struct db *db, struct arena *a, struct uuid owner);
};

/* Rows, of all tables together. The journal may name each of them: no more than a sweep takes at
 * once. */
#define BELONGING_BATCH SWEEP_ROWS

/** Does anything belong to rows of that table? */
bool belonging_any(const struct belonging *all, const char *of);

/** Delete up to `limit` rows that belong to one, which is locked; fewer only where no more are
 * left. In a transaction. */
struct problem *belonging_delete(struct db *db, struct arena *a, const struct belonging *all,
                                 const char *of, struct uuid owner, int64_t limit,
                                 uint64_t *ret_deleted) MUST_USE;

/** The same for several, which are locked here: `owners` selects their ids, constant SQL. Only of
 *  what is declared by tables. */
struct problem *belonging_delete_of(struct db *db, struct arena *a, const struct belonging *all,
                                    const char *of, const char *owners, struct db_args args,
                                    int64_t limit, uint64_t *ret_deleted) MUST_USE;

/** Delete what belongs to a locked row that is about to go, or note what is left of it, which
 *  `*ret_left` tells. In that row's transaction. */
struct problem *belonging_leave(struct db *db, struct arena *a, const struct belonging *all,
                                const char *of, struct uuid owner, bool *ret_left) MUST_USE;

/** Delete a batch of what a row of `leftovers` has left. Not in a transaction. `*ret_more` is false
 *  when it is none any more, or another worker is at it. */
struct problem *belonging_sweep(struct db *db, struct arena *a, const struct belonging *all,
                                struct uuid owner, bool *ret_more) MUST_USE;
