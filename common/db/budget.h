/* budget.h -- reads that may take long, as those of lists: how long, and how many at a time. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/db/db.h"

#define BUDGET_QUICK_MS 20 /* what takes longer is a slow read; or this part of the budget */
#define BUDGET_QUICK_PART 25
#define BUDGET_PLACES_MAX 128
#define BUDGET_FORMS 64

/*
 * What processes that use one database tell each other; zeroed it says nothing.
 *
 * A place is taken by writing into it until when, by monotonic_ns(), it is taken at the latest: a
 * little longer than the server lets the statement run. So there is no owner that must be alive,
 * and the place of a killed process comes back when the server has ended what that had asked for.
 */
struct budget_shared {
    _Atomic int64_t places[BUDGET_PLACES_MAX];
    _Atomic uint64_t heavy[BUDGET_FORMS]; /* texts of statements that were so, and when */
};

/**
 * From now on, give all slow reads of one request `limit_ms` together, 8 at least, and let at most
 * `places` processes (of 0 one, BUDGET_PLACES_MAX of more than those) that have `shared` in their
 * memory be at slow reads at the same time. `shared` must outlive `db`. Until this was called, or
 * with 0 ms, the reads below are plain ones, without another limit than that of db_limits.h.
 */
void budget_set(struct db *db, unsigned limit_ms, struct budget_shared *shared, unsigned places);

/**
 * As db_each(), for a SELECT that may take long.
 *
 * It gets BUDGET_QUICK_MS at first, or a BUDGET_QUICK_PART of a long budget. One that is not done
 * by then takes a place and runs again, with what is left of the budget, which begins with the
 * first slow read; before that, if rows were handed out, `restart(context)` is called to forget
 * them (NULL will do where there is no budget). A statement that took a quarter of the budget a
 * moment ago, or found no place, in this process or another, takes the place first and runs once,
 * until it is quick again: else a crowd of slow reads would keep all workers, and the server, at
 * first tries. So what is quick and what is not had better be different texts.
 *
 * problem_unavailable at once when no place is free, and when the budget is used up; `message` says
 * what the client can do. What was handed out by then must not be answered with.
 *
 * What is left is rounded down to a half, a quarter or an eighth of the budget, so that a statement
 * has five texts at most, four of them rare. The first tries of other reads of the same list come
 * on top of the budget.
 */
struct problem *budget_each(struct db *db, struct arena *a, const struct sql *sql,
                            struct db_args args, void (*restart)(void *context),
                            void (*each)(void *context, const void *row), void *context) MUST_USE;

/** As db_find(), in the same way. */
struct problem *budget_find(struct db *db, struct arena *a, const struct sql *sql,
                            struct db_args args, void *ret_row, bool *ret_found) MUST_USE;

/** The list is read, or given up: give the place back, and begin the next budget from its start. To
 * be called at the end of each request; does nothing where all was quick. */
void budget_end(struct db *db);
