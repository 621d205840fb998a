/* counter.h -- totals kept beside the tables, and statements that answer with one number. */
#pragma once

#include <stdint.h>

#include "common/db/db.h"
#include "common/db/window.h"

/* A total is the sum of so many rows, so that writers seldom wait for each other. */
#define COUNT_SLOTS 16

#define SEARCH_COUNT_MAX 10000 /* where a search stops counting */

/* The row of this process: workers have different process ids. */
int64_t count_slot(void);

struct counted {
    int64_t n;
};

extern const struct record counted_record;

/** The number that `sql`, whose row is counted_record, answers with; 0 without a row. */
struct problem *count_read(struct db *db, struct arena *a, const struct sql *sql,
                           struct db_args args, int64_t *ret) MUST_USE;

/** How many rows `from` has: a table and all that follows it, constant SQL. Stops at 10,000, and
 *  says so in `ret->capped`. */
struct problem *count_matches(struct db *db, struct arena *a, const char *from, struct db_args args,
                              struct page_total *ret) MUST_USE;

/** Run `sql`, a locking read whose row is counted_record, for its locks alone. */
struct problem *count_lock(struct db *db, struct arena *a, const struct sql *sql) MUST_USE;
