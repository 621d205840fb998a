/* counts.h -- totals kept beside the tables, and statements that answer with one number. */
#pragma once

#include <stdint.h>

#include "common/db.h"

/* A total is the sum of so many rows, so that writers seldom wait for each other. */
#define COUNT_SLOTS 16

/* The row of this process: workers have different process ids. */
int64_t count_slot(void);

struct counted {
    int64_t n;
};

extern const struct record counted_record;

/** The number that `sql`, whose row is counted_record, answers with; 0 without a row. */
struct problem *count_read(struct db *db, struct arena *a, const struct sql *sql,
                           struct db_args args, int64_t *ret) MUST_USE;
