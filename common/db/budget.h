/* budget.h -- reads that may take long, as those of lists: how long, and how many at a time. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/gate.h"
#include "common/db/db.h"
#include "common/db/forms.h"

#define BUDGET_TURN_MS 4   /* what takes longer, twice in a row, waits for its turn */
#define BUDGET_QUICK_MS 20 /* what takes longer is a long read; or this part of the budget */
#define BUDGET_QUICK_PART 25
#define BUDGET_PLACES_MAX 128

/* What processes that use one database tell each other; zeroed it says nothing. A place is held a
 * little longer than the server lets the statement run, so that one of a killed process comes back
 * when the server has ended what that had asked for. */
struct budget_shared {
    _Atomic int64_t places[BUDGET_PLACES_MAX]; /* lease.h */
    struct forms heavy, slow;
    struct gate gate;
};

struct budget_limits {
    unsigned ms;            /* for all long reads of one request together, 8 at least */
    unsigned places;        /* processes that are at long reads; of 0 one, 128 of more */
    struct gate_limit gate; /* requests with slow reads */
};

/**
 * From now on, hold reads to these limits, together with all processes that have `shared` in their
 * memory; it must outlive `db`. Until this was called, or with 0 ms, the reads below are plain
 * ones, without another limit than that of db_limits.h.
 */
void budget_set(struct db *db, struct budget_limits limits, struct budget_shared *shared);

/** A request that came at `came`, by monotonic_ns(), is handled, perhaps not for the first time:
 *  its slow reads come after those of who came before. */
void budget_begin(struct db *db, int64_t came);

/**
 * As db_each(), for a SELECT that may take long.
 *
 * Statements that were slow the last two times, here or in another process, come in turn, so that
 * a crowd of them leaves processors to all else. Where it is not this request's turn, nothing is
 * read, and the problem, of problem_unavailable, has RETRY_LATER: the whole request may be handled
 * again when budget_wait_ms() says so. Not those that take a place first, see below: these do not
 * wait, for a queue of them would take minutes.
 *
 * It gets BUDGET_QUICK_MS at first, or a BUDGET_QUICK_PART of a long budget. One that is not done
 * by then takes a place and runs again, with what is left of the budget, which begins with the
 * first long read; before that, if rows were handed out, `restart(context)` is called to forget
 * them (NULL will do where there is no budget). A statement that took a quarter of the budget a
 * moment ago, or found no place, in this process or another, takes the place first and runs once,
 * until it is quick again: else a crowd of long reads would keep all workers, and the server, at
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

/** The list is read, or given up: give place and turn back, and begin the next budget from its
 *  start. To be called at the end of each request. */
void budget_end(struct db *db);

/** For a request that came at `came` and was refused with RETRY_LATER: 0 when it is its turn, else
 *  after how many ms to ask again. It loses its place among those who wait when nobody does. */
unsigned budget_wait_ms(struct db *db, int64_t came);
