/* table.h -- the rows of a table, one by one: statements that follow from the fields of a record,
 * and the totals that count each row.
 *
 * For tables whose columns are the record's members. What a table does in another way keeps
 * statements of its own: these here are for what would say the same once more.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/db/db.h"
#include "common/field/field.h"

struct counter;
struct problem_type;

struct table {
    const char *name;
    const struct record *row;              /* a member for each column; `id` is the key */
    const struct problem_type *missing;    /* when there is no row with an id */
    const struct counter *const *counters; /* that count each row, by members that are called as
                                              their columns; NULL at the end; or NULL */
    const char *shown;      /* a condition: all others are missing; NULL: every row is there */
    const struct sql *find; /* in place of the one that follows from the fields; or NULL */
    bool noted;             /* the journal names every row that is written or goes, also where
                               nothing is to be counted: a search index follows it */
};

/* For the column `counters`. */
#define COUNTERS(...) ((const struct counter *const[]){__VA_ARGS__, NULL})

/** The columns of a record: "id, title". */
const char *table_columns(struct arena *a, const struct record *r);

/** Read a row; table.missing where there is none. */
struct problem *table_find(struct db *db, struct arena *a, const struct table *table,
                           struct uuid id, void *ret) MUST_USE;

/** The same, and keep others from writing the row until the transaction ends. */
struct problem *table_lock(struct db *db, struct arena *a, const struct table *table,
                           struct uuid id, void *ret) MUST_USE;

/** Is there one? A locking read, which waits for whoever writes it. */
struct problem *table_exists_locked(struct db *db, struct arena *a, const struct table *table,
                                    struct uuid id, bool *ret_yes) MUST_USE;

/* These in a transaction. */

/** Store a row and count it. */
struct problem *table_insert(struct db *db, struct arena *a, const struct table *table,
                             const void *row) MUST_USE;

/** Store what may change of a row that is locked and was `before`: the fields that a change may
 *  give, `updated_at` and the version. */
struct problem *table_update(struct db *db, struct arena *a, const struct table *table,
                             const void *before, const void *after) MUST_USE;

/** Delete a row that is locked, and count it out. */
struct problem *table_delete(struct db *db, struct arena *a, const struct table *table,
                             const void *row) MUST_USE;

/**
 * Delete the rows that `rows` selects, and count them out: "comments WHERE … ORDER BY … LIMIT ?",
 * constant SQL that follows "SELECT comments.id FROM", and its values. Nobody may insert a row that
 * belongs among them meanwhile. `*ret_deleted` tells how many they were.
 */
struct problem *table_delete_rows(struct db *db, struct arena *a, const struct table *table,
                                  const char *rows, struct db_args args,
                                  uint64_t *ret_deleted) MUST_USE;
