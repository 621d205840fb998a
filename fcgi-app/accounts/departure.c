#include "fcgi-app/accounts/departure.h"

#include <string.h>

#include "common/field/field.h"
#include "common/http/idempotency.h"

struct departure {
    struct uuid user_id;
    bool is_leftover; /* no user, but what belonging.h has noted */
};

static const struct field departure_fields[] = {
    FIELD(struct departure, user_id, .doc = "Who left."),
    FIELD(struct departure, is_leftover, .doc = "Or what, if it was no user."),
};
static const struct record departure_record =
    RECORD("Departure", struct departure, departure_fields, .rule = NULL);

static const struct sql sql_insert = {
    "INSERT INTO user_departures (user_id, left_at) VALUES (?, ?)", NULL};
/* Users come first. */
static const struct sql sql_first = {
    "(SELECT user_id, FALSE AS is_leftover FROM user_departures ORDER BY left_at, user_id LIMIT 1) "
    "UNION ALL (SELECT owner, TRUE FROM leftovers ORDER BY left_at, owner LIMIT 1) LIMIT 1",
    &departure_record};
static const struct sql sql_claim = {
    "SELECT user_id FROM user_departures WHERE user_id = ? FOR UPDATE SKIP LOCKED",
    &departure_record};
static const struct sql sql_delete = {"DELETE FROM user_departures WHERE user_id = ?", NULL};

#define OF_USERS "users"

static bool is_of_users(const struct belonging *b)
{
    return strcmp(b->of, OF_USERS) == 0;
}

static struct problem *uncount(struct db *db, struct arena *a, struct uuid user)
{
    struct problem *p = NULL;
    for (const struct belonging *b = belongings; !p && b->of; b++)
        p = b->uncount && is_of_users(b) ? b->uncount(db, a, user) : NULL;
    return p;
}

/* Delete one batch; `*ret_all` tells whether nothing is left. */
static struct problem *delete_some(struct db *db, struct arena *a, struct uuid user, bool *ret_all)
{
    uint64_t deleted = 0;
    struct problem *p =
        belonging_delete(db, a, belongings, OF_USERS, user, DEPARTURE_BATCH, &deleted);
    *ret_all = !p && deleted < DEPARTURE_BATCH;
    return p;
}

struct problem *departure_begin(struct db *db, struct arena *a, const struct user *user,
                                struct instant now)
{
    bool all = false;
    struct problem *p = uncount(db, a, user->id);
    if (!p)
        p = user_uncount(db, a, user);
    if (!p)
        p = idempotency_forget_subject(db, a, user->id);
    if (!p)
        p = delete_some(db, a, user->id, &all);
    if (!p && all)
        return user_delete(db, a, user->id);
    if (!p)
        p = user_hide(db, a, user->id, now);
    return p ? p : db_execute(db, a, &sql_insert, DB_ARGS(db_uuid(user->id), db_time(now)), NULL);
}

struct sweep {
    struct db *db;
    struct arena *arena;
    struct uuid user;
    bool claimed;
};

static struct problem *sweep_one(void *context)
{
    struct sweep *s = context;
    struct departure departure;
    bool all = false;
    struct problem *p =
        db_find(s->db, s->arena, &sql_claim, DB_ARGS(db_uuid(s->user)), &departure, &s->claimed);
    if (!p && s->claimed)
        p = delete_some(s->db, s->arena, s->user, &all);
    if (!p && all) /* a recount that began before may have counted them in again */
        p = uncount(s->db, s->arena, s->user);
    if (!p && all)
        p = db_execute(s->db, s->arena, &sql_delete, DB_ARGS(db_uuid(s->user)), NULL);
    if (!p && all)
        p = user_delete(s->db, s->arena, s->user);
    return p;
}

struct problem *departure_sweep(struct db *db, struct arena *a, bool *ret_more)
{
    struct sweep s = {.db = db, .arena = a};
    struct departure departure;
    bool found;
    struct problem *p = db_find(db, a, &sql_first, DB_NO_ARGS, &departure, &found);
    if (p)
        return p;
    if (found && departure.is_leftover)
        return belonging_sweep(db, a, belongings, departure.user_id, ret_more);
    s.user = departure.user_id;
    if (found)
        p = db_transaction(db, a, sweep_one, db_in_doubt_repeat, &s); /* none goes twice */
    if (!p)
        *ret_more = found && s.claimed;
    return p;
}
