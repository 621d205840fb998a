#include "common/db/budget.h"

#include <string.h>

#include "common/base/arena.h"
#include "common/base/instant.h"
#include "common/base/problem.h"
#include "common/db/db_failure.h"
#include "common/db/db_internal.h"

#define NS_PER_MS INT64_C(1000000)
#define GRACE_MS 1000      /* in which a server under load ends a statement, and we the answer */
#define LEASE_MAX_MS 60000 /* longer ones are none: the memory may be from another boot */
#define HEAVY_FOR_MS 2000  /* so long a statement that was heavy is taken for heavy */
#define HEAVY_PART 4       /* heavy is what takes that part of the budget */

#define TIME_BITS 42 /* ms, 139 years; the bits above tell texts apart */
#define TIME_MASK ((UINT64_C(1) << TIME_BITS) - 1)

/* A lock in the library would be one for each process. */
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics take a lock");

/* One call of budget_each() or budget_find(). */
struct read {
    struct db *db;
    struct arena *arena;
    const struct sql *sql;
    struct db_args args;
    struct problem *(*ask)(struct read *r, const struct sql *sql);
    void (*restart)(void *context); /* of budget_each() */
    void (*each)(void *context, const void *row);
    void *context;
    bool handed_out;
    void *ret_row; /* of budget_find() */
    bool *ret_found;
};

void budget_set(struct db *db, unsigned limit_ms, struct budget_shared *shared, unsigned places)
{
    budget_end(db);
    if (!places || places > BUDGET_PLACES_MAX)
        places = places ? BUDGET_PLACES_MAX : 1;
    db->budget = (struct budget){.limit_ms = limit_ms, .shared = shared, .places = places};
}

/* ---- places ---- */

static bool is_free(int64_t until, int64_t now)
{
    return until <= now || until > now + LEASE_MAX_MS * NS_PER_MS;
}

static bool replace(struct budget *b, unsigned place, int64_t before, int64_t until)
{
    if (!atomic_compare_exchange_strong(&b->shared->places[place], &before, until))
        return false;
    b->place = place;
    b->held_until = until;
    return true;
}

static bool take_place(struct budget *b, int64_t now, int64_t until)
{
    for (unsigned i = 0; i < b->places; i++) {
        int64_t seen = atomic_load(&b->shared->places[i]);
        if (is_free(seen, now) && replace(b, i, seen, until))
            return true;
    }
    return false;
}

/* Have a place until then: the one that we hold, unless we were so late that it is another's. */
static bool hold_place(struct budget *b, int64_t now, int64_t until)
{
    return (b->held_until && replace(b, b->place, b->held_until, until)) ||
           take_place(b, now, until);
}

void budget_end(struct db *db)
{
    struct budget *b = &db->budget;
    if (b->held_until)
        (void)replace(b, b->place, b->held_until, 0); /* false: another's by now */
    b->held_until = b->ends = 0;
}

/* ---- what was heavy ---- */

/* FNV-1a, of 64 bits. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return hash;
}

static _Atomic uint64_t *word_of(const struct budget *b, uint64_t hash)
{
    return &b->shared->heavy[hash % BUDGET_FORMS];
}

static uint64_t now_ms(void)
{
    return (uint64_t)(monotonic_ns() / NS_PER_MS) & TIME_MASK;
}

static bool was_heavy(const struct budget *b, const struct sql *sql)
{
    uint64_t hash = hash_of(sql->text), word = atomic_load(word_of(b, hash));
    uint64_t age = now_ms() - (word & TIME_MASK); /* huge for a time that is to come */
    return word && (word & ~TIME_MASK) == (hash & ~TIME_MASK) && age < HEAVY_FOR_MS;
}

/* Texts of the same word push each other out; then one is tried first that need not be. */
static void note_heavy(const struct budget *b, const struct sql *sql)
{
    uint64_t hash = hash_of(sql->text);
    atomic_store(word_of(b, hash), (hash & ~TIME_MASK) | now_ms());
}

static void forget_heavy(const struct budget *b, const struct sql *sql)
{
    if (was_heavy(b, sql))
        atomic_store(word_of(b, hash_of(sql->text)), 0);
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
    unsigned part = b->limit_ms / BUDGET_QUICK_PART;
    return part > BUDGET_QUICK_MS ? part : BUDGET_QUICK_MS;
}

/* What is left of the budget, in one of few steps; 0: nothing. */
static unsigned left_ms(const struct budget *b, int64_t now)
{
    int64_t left = (b->ends - now) / NS_PER_MS;
    for (unsigned part = 1; part <= 8; part *= 2)
        if (left >= b->limit_ms / part)
            return b->limit_ms / part;
    return 0;
}

static struct problem *read_slowly(struct read *r)
{
    struct budget *b = &r->db->budget;
    int64_t now = monotonic_ns();
    if (!b->ends)
        b->ends = now + b->limit_ms * NS_PER_MS;
    unsigned ms = left_ms(b, now);
    if (!ms)
        return used_up(r);
    if (!hold_place(b, now, now + (ms + GRACE_MS) * NS_PER_MS)) {
        note_heavy(b, r->sql); /* as long as it is asked for in vain */
        return no_place(r);
    }
    struct problem *p = ask_within(r, ms);
    int64_t took_ms = (monotonic_ns() - now) / NS_PER_MS;
    if (took_ms >= b->limit_ms / HEAVY_PART)
        note_heavy(b, r->sql);
    else if (took_ms < quick_ms(b))
        forget_heavy(b, r->sql);
    return db_is_statement_timeout(p) ? used_up(r) : p;
}

static struct problem *read_in_budget(struct read *r)
{
    struct budget *b = &r->db->budget;
    if (!b->limit_ms)
        return r->ask(r, r->sql);
    if (b->held_until || was_heavy(b, r->sql))
        return read_slowly(r);
    struct problem *p = ask_within(r, quick_ms(b));
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
