/* counter.h -- totals kept beside the tables, exact at any moment; and statements that answer with
 * one number.
 *
 * A write leaves a row in `list_journal`, in its own transaction: so many more, or fewer, of this
 * kind for this owner. No two writers meet. From time to time the rows are moved into
 * `list_counts` (counter_sweep.h). A total is what both have together, read by one statement: its
 * cost does not grow with the table, for counts are found by key and the journal is kept short.
 */
#pragma once

#include <stdint.h>

#include "common/db/db.h"

#define COUNTER_KINDS 256 /* 0 to 255 */

/* What is counted. The texts are constant SQL, for counting the rows themselves. */
struct counter {
    unsigned char number; /* from 1, and no two have the same; stored, so never changed */
    const char *table;
    const char *owner; /* the column that says whose a row is, a UUID; NULL: nobody asks */
    const char *kind;  /* of a row, a small number: what totals are told apart by; NULL: nothing */
    const char *where; /* which rows count; NULL: all */
};

/** `by` more of a kind. `owner` is nil where the counter has none. `row` names what was written,
 *  nil where nothing is left of it. To be called in the write's own transaction. */
struct problem *counter_add(struct db *db, struct arena *a, const struct counter *counter,
                            struct uuid owner, unsigned kind, int64_t by, struct uuid row) MUST_USE;

/* The same as a part of a DB_ATOMIC(), and its values. */
#define COUNTER_ADD                                                                                \
    "INSERT INTO list_journal (total, owner, kind, n, row_id) VALUES (?, ?, ?, ?, ?)"
#define COUNTER_ADD_ARGS(counter_, owner_, kind_, by_, row_)                                       \
    db_integer((counter_)->number), db_uuid(owner_), db_integer(kind_), db_integer(by_),           \
        db_uuid(row_)

/** A row was changed, and perhaps its kind, in the same way. */
struct problem *counter_change(struct db *db, struct arena *a, const struct counter *counter,
                               struct uuid owner, unsigned before, unsigned after,
                               struct uuid row) MUST_USE;

/** How many an owner has of the kinds `lowest` to `highest`; NULL for all owners together. The nil
 *  id has nothing. */
struct problem *counter_read(struct db *db, struct arena *a, const struct counter *counter,
                             const struct uuid *owner, unsigned lowest, unsigned highest,
                             int64_t *ret) MUST_USE;

/** Take all that an owner has out of the totals, in a transaction that keeps others from writing
 *  rows of that owner. Costs the same for a million rows. */
struct problem *counter_clear(struct db *db, struct arena *a, const struct counter *counter,
                              struct uuid owner) MUST_USE;

/* ---- one number ---- */

struct counted {
    int64_t n;
};

extern const struct record counted_record;

/** The number that `sql`, whose row is counted_record, answers with; 0 without a row. */
struct problem *count_read(struct db *db, struct arena *a, const struct sql *sql,
                           struct db_args args, int64_t *ret) MUST_USE;
