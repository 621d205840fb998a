#include "common/db/budget.h"

#include <string.h>

#include "common/base/arena.h"
#include "common/base/instant.h"
#include "common/base/problem.h"
#include "common/db/db_failure.h"
#include "common/db/db_internal.h"

#define NS_PER_MS INT64_C(1000000)
#define GRACE_MS 1000 /* in which a server under load ends a statement, and we the answer */
#define HEAVY_PART 4  /* heavy is what takes that part of the budget */

/* One call of budget_each() or budget_find(). */
struct read {
    struct db *db;
    struct arena *arena;
    const struct sql *sql;
    uint64_t form; /* forms_hash() of its text */
    struct db_args args;
    struct problem *(*ask)(struct read *r, const struct sql *sql);
    void (*restart)(void *context); /* of budget_each() */
    void (*each)(void *context, const void *row);
    void *context;
    bool handed_out;
    void *ret_row; /* of budget_find() */
    bool *ret_found;
};

void budget_set(struct db *db, struct budget_limits limits, struct budget_shared *shared)
{
    struct budget *b = &db->budget;
    budget_end(db);
    *b = (struct budget){.limits = limits, .shared = shared};
    if (!limits.places || limits.places > BUDGET_PLACES_MAX)
        b->limits.places = limits.places ? BUDGET_PLACES_MAX : 1;
}

void budget_begin(struct db *db, int64_t came)
{
    db->budget.came = came;
    db->budget.is_late = false;
}

void budget_end(struct db *db)
{
    struct budget *b = &db->budget;
    if (!b->limits.ms)
        return;
    if (!b->turn.until && !b->place.until && !b->is_late)
        gate_note_other(&b->shared->gate);
    lease_end(&b->turn, b->shared->gate.places);
    lease_end(&b->place, b->shared->places);
    b->ends = b->came = 0;
}

unsigned budget_wait_ms(struct db *db, int64_t came)
{
    const struct budget *b = &db->budget;
    return b->limits.ms ? gate_wait_ms(&b->shared->gate, b->limits.gate, came) : 0;
}

/* ---- reading ---- */

static void hand_out(void *context, const void *row)
{
    struct read *r = context;
    r->handed_out = true;
    r->each(r->context, row);
}

static struct problem *ask_each(struct read *r, const struct sql *sql)
{
    return db_each(r->db, r->arena, sql, r->args, hand_out, r);
}

static struct problem *ask_find(struct read *r, const struct sql *sql)
{
    return db_find(r->db, r->arena, sql, r->args, r->ret_row, r->ret_found);
}

/* Where the time runs out while the server makes a plan, the statement ends well and has no rows,
 * without an error or a warning (MariaDB 10.11.19, of a long IN). So an answer that took as long as
 * it was given is not believed. */
static struct problem *doubt(struct read *r, uint64_t waited_ns, unsigned ms)
{
    bool has_rows = r->handed_out || (r->ret_found && *r->ret_found);
    if (has_rows || waited_ns < ms * (uint64_t)NS_PER_MS)
        return NULL;
    return db_statement_timeout(r->arena);
}

/* The limit goes with the statement: the session's would have to be set and set back, each on the
 * same connection. It takes the server some microseconds. */
static struct problem *ask_within(struct read *r, unsigned ms)
{
    const uint64_t waited_ns = r->db->counts.waited_ns;
    const struct sql limited = {arena_printf(r->arena,
                                             "SET STATEMENT max_statement_time = %u.%03u FOR %s",
                                             ms / 1000, ms % 1000, r->sql->text),
                                r->sql->row, r->sql->fresh};
    struct problem *p = r->ask(r, &limited);
    return p ? p : doubt(r, r->db->counts.waited_ns - waited_ns, ms);
}

static struct problem *refusal(struct read *r, const char *message, const char *why)
{
    struct problem *p = problem_because(r->arena, &problem_unavailable, "%s", why);
    p->message = message;
    return p;
}

static struct problem *no_place(struct read *r)
{
    return refusal(r, "Too many long lists or searches are asked for; try again soon.",
                   "no place is free for a slow read");
}

static struct problem *used_up(struct read *r)
{
    return refusal(r, "The list takes too long; narrow the search, by more words or filters.",
                   arena_printf(r->arena, "a list took longer than LIST_BUDGET_MS, at last with %s",
                                r->sql->text));
}

/* A machine that is given more time in all is slower at each step, too. */
static unsigned quick_ms(const struct budget *b)
{
    unsigned part = b->limits.ms / BUDGET_QUICK_PART;
    return part > BUDGET_QUICK_MS ? part : BUDGET_QUICK_MS;
}

/* What is left of the budget, in one of few steps; 0: nothing. */
static unsigned left_ms(const struct budget *b, int64_t now)
{
    int64_t left = (b->ends - now) / NS_PER_MS;
    for (unsigned part = 1; part <= 8; part *= 2)
        if (left >= b->limits.ms / part)
            return b->limits.ms / part;
    return 0;
}

/* At the latest, what takes so long is ended by the server. */
static int64_t until_after(int64_t now, unsigned ms)
{
    return now + (ms + GRACE_MS) * NS_PER_MS;
}

static struct problem *read_slowly(struct read *r)
{
    struct budget *b = &r->db->budget;
    int64_t now = monotonic_ns();
    if (!b->ends)
        b->ends = now + b->limits.ms * NS_PER_MS;
    unsigned ms = left_ms(b, now);
    if (!ms)
        return used_up(r);
    if (!lease_take(&b->place, b->shared->places, b->limits.places, until_after(now, ms))) {
        forms_note(&b->shared->heavy, r->form); /* as long as it is asked for in vain */
        return no_place(r);
    }
    struct problem *p = ask_within(r, ms);
    int64_t took_ms = (monotonic_ns() - now) / NS_PER_MS;
    if (took_ms >= b->limits.ms / HEAVY_PART)
        forms_note(&b->shared->heavy, r->form);
    else if (took_ms < quick_ms(b))
        forms_forget(&b->shared->heavy, r->form);
    return db_is_statement_timeout(p) ? used_up(r) : p;
}

/* The turn lasts to the end of the request, and for what follows in it. */
static bool take_turn(struct budget *b)
{
    int64_t now = monotonic_ns();
    if (!b->came)
        b->came = now;
    return gate_enter(&b->turn, &b->shared->gate, b->limits.gate, b->came,
                      until_after(now, b->limits.ms));
}

static struct problem *not_its_turn(struct read *r)
{
    struct problem *p = no_place(r);
    forms_note(&r->db->budget.shared->slow, r->form); /* still */
    r->db->budget.is_late = true;
    p->retry = RETRY_LATER;
    return p;
}

/* The first try. */
static struct problem *read_quickly(struct read *r)
{
    struct budget *b = &r->db->budget;
    const int64_t began = monotonic_ns();
    struct problem *p = ask_within(r, quick_ms(b));
    if (monotonic_ns() - began >= BUDGET_TURN_MS * NS_PER_MS)
        forms_note(&b->shared->slow, r->form);
    else if (!p)
        forms_forget(&b->shared->slow, r->form);
    return p;
}

static struct problem *read_in_budget(struct read *r)
{
    struct budget *b = &r->db->budget;
    if (!b->limits.ms)
        return r->ask(r, r->sql);
    r->form = forms_hash(r->sql->text);
    if (b->place.until || forms_noted(&b->shared->heavy, r->form))
        return read_slowly(r);
    if (forms_noted(&b->shared->slow, r->form) > 1 && !take_turn(b))
        return not_its_turn(r);
    struct problem *p = read_quickly(r);
    if (!db_is_statement_timeout(p))
        return p;
    if (r->handed_out)
        r->restart(r->context);
    return read_slowly(r);
}

struct problem *budget_each(struct db *db, struct arena *a, const struct sql *sql,
                            struct db_args args, void (*restart)(void *context),
                            void (*each)(void *context, const void *row), void *context)
{
    struct read r = {.db = db,
                     .arena = a,
                     .sql = sql,
                     .args = args,
                     .ask = ask_each,
                     .restart = restart,
                     .each = each,
                     .context = context};
    return read_in_budget(&r);
}

struct problem *budget_find(struct db *db, struct arena *a, const struct sql *sql,
                            struct db_args args, void *ret_row, bool *ret_found)
{
    struct read r = {.db = db,
                     .arena = a,
                     .sql = sql,
                     .args = args,
                     .ask = ask_find,
                     .ret_row = ret_row,
                     .ret_found = ret_found};
    return read_in_budget(&r);
}
