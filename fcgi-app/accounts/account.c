#include "fcgi-app/accounts/account.h"

#include <string.h>

#include "fcgi-app/app.h"
#include "common/crypto/password.h"
#include "common/base/problem.h"
#include "fcgi-app/accounts/departure_model.h"
#include "fcgi-app/accounts/reset_model.h"
#include "fcgi-app/accounts/session_model.h"

struct problem *account_prepare(struct request *rq, const struct user *user)
{
    const char *hash;
    struct problem *p = password_hash(rq->arena, user->password, &hash);
    if (p)
        return p;
    struct user *made = arena_alloc(rq->arena, sizeof *made);
    *made = *user;
    made->id = uuid_make(rq->now);
    made->password_hash = text_of(hash);
    made->created_at = made->updated_at = rq->now;
    made->version = 1;
    rq->prepared = made;
    return NULL;
}

struct problem *account_create(struct app *app, struct request *rq, struct response *rs)
{
    const struct user *user = rq->prepared;
    struct problem *p = app_confirm(app, rq); /* counters are locked last */
    if (!p)
        p = user_insert(app->db, rq->arena, user);
    if (p)
        return p;
    app_location(rq, rs, "users", &user->id);
    response_etag(rs, user->version);
    response_record(rs, "user", &user_record, user);
    rs->subject = user->id;
    return NULL;
}

/* Oneself is locked for writing first: two who share a lock would wait for each other. */
static struct problem *lock_and_confirm(struct app *app, struct request *rq, struct uuid id,
                                        struct user *ret)
{
    struct problem *p = user_lock(app->db, rq->arena, id, ret);
    if (p && p->type != &problem_user_not_found)
        return p;
    struct problem *refused = app_confirm(app, rq);
    return refused ? refused : p;
}

/* Admins are locked in the order of their ids, as user_lock_other_admins() does, and before all
 * others. Is this one that comes before the caller? It is not locked yet; should the answer be
 * wrong when it is, two may wait for each other, and one begins again. */
static struct problem *comes_first(struct app *app, struct request *rq, struct uuid id,
                                   bool *ret_yes)
{
    struct user user = {0};
    struct problem *p = user_find(app->db, rq->arena, id, &user);
    *ret_yes =
        !p && user_is_active_admin(&user) && memcmp(&user.id, &rq->caller.id, sizeof user.id) < 0;
    return p && p->type == &problem_user_not_found ? NULL : p;
}

struct problem *account_lock(struct app *app, struct request *rq, struct uuid id, struct user *ret)
{
    bool first = true;
    struct problem *p = NULL;
    if (rq->caller.known && !uuid_equal(&rq->caller.id, &id))
        p = comes_first(app, rq, id, &first);
    if (!p && first)
        return lock_and_confirm(app, rq, id, ret);
    if (!p)
        p = app_confirm(app, rq);
    return p ? p : user_lock(app->db, rq->arena, id, ret);
}

/* Lock the user, and where an active admin's rank may go also the other admins, who come first: no
 * other change may keep them waiting. */
static struct problem *lock_user(struct app *app, struct request *rq, struct uuid id, bool rank,
                                 struct user *ret, bool *ret_other_admins)
{
    struct user user = {0};
    bool others_too = false;
    struct problem *p = rank ? user_find(app->db, rq->arena, id, &user) : NULL;
    if (p && p->type == &problem_user_not_found)
        p = NULL; /* locking it tells, and judges the caller first */
    if (!p && rank && user_is_active_admin(&user)) {
        others_too = true;
        p = user_lock_other_admins(app->db, rq->arena, id, ret_other_admins);
    }
    if (!p)
        p = account_lock(app, rq, id, &user);
    /* Made an admin between the two: then they come in the wrong order for once, and who waits for
     * whom in a circle is found out by the database and tried again. */
    if (!p && rank && !others_too && user_is_active_admin(&user))
        p = user_lock_other_admins(app->db, rq->arena, id, ret_other_admins);
    if (!p)
        *ret = user;
    return p;
}

struct problem *account_change(struct app *app, struct request *rq, struct uuid id,
                               const struct user *in, field_set given, struct user *ret)
{
    const field_set rank =
        FIELD_AT(&user_record, struct user, role) | FIELD_AT(&user_record, struct user, is_active);
    struct user before = {0}, after;
    bool other_admins = true;
    struct problem *p = lock_user(app, rq, id, given & rank, &before, &other_admins);
    if (!p)
        p = request_check_match(rq, before.version);
    if (p)
        return p;
    after = before;
    record_overlay(&user_record, given, in, &after);
    if (user_is_active_admin(&before) && !user_is_active_admin(&after) && !other_admins)
        return problem(rq->arena, &problem_last_admin, NULL);
    if (given) {
        after.updated_at = rq->now;
        after.version++;
        p = user_update(app->db, rq->arena, &before, &after);
    }
    if (!p && !text_equal(before.email, after.email))
        p = reset_delete_all(app->db, rq->arena, after.id); /* mailed to the old address */
    if (!p && before.is_active && !after.is_active)
        p = session_delete_all(app->db, rq->arena, after.id, (struct uuid){{0}});
    if (!p)
        *ret = after;
    return p;
}

struct problem *account_is_changed(struct app *app, struct request *rq, const struct user *after,
                                   bool *ret_yes)
{
    struct user now = {0};
    struct problem *p = user_lock(app->db, rq->arena, after->id, &now);
    bool gone = p && p->type == &problem_user_not_found;
    if (p && !gone)
        return p;
    /* The version alone could be a rival's. */
    *ret_yes = !gone && now.version == after->version && now.updated_at.us == after->updated_at.us;
    return NULL;
}

struct problem *account_set_hash(struct app *app, struct request *rq, struct uuid id,
                                 struct text hash)
{
    struct user user = {0};
    bool done;
    /* Locked, so that no login puts a hash of today's form in the old one's place meanwhile. */
    struct problem *p = user_lock(app->db, rq->arena, id, &user);
    if (!p)
        p = user_find_with_hash(app->db, rq->arena, id, &user);
    if (!p)
        p = user_replace_hash(app->db, rq->arena, id, user.password_hash, hash, &done);
    if (!p)
        p = reset_delete_all(app->db, rq->arena, id);
    return p ? p : session_delete_all(app->db, rq->arena, id, (struct uuid){{0}});
}

struct problem *account_has_hash(struct app *app, struct request *rq, struct uuid id,
                                 struct text hash, bool *ret_yes)
{
    struct user user = {0};
    bool there = false;
    struct problem *p = user_exists_locked(app->db, rq->arena, id, &there); /* locks */
    if (!p && there)
        p = user_find_with_hash(app->db, rq->arena, id, &user);
    if (!p)
        *ret_yes = there && text_equal(user.password_hash, hash);
    return p;
}

struct problem *account_delete(struct app *app, struct request *rq, struct uuid id)
{
    struct user user = {0};
    bool other_admins = true;
    struct problem *p = lock_user(app, rq, id, true, &user, &other_admins);
    if (!p)
        p = request_check_match(rq, user.version);
    if (p)
        return p;
    if (user_is_active_admin(&user) && !other_admins)
        return problem(rq->arena, &problem_last_admin, NULL);
    return departure_begin(app->db, rq->arena, &user, rq->now);
}

struct problem *account_is_deleted(struct app *app, struct request *rq, struct uuid id,
                                   bool *ret_yes)
{
    bool there;
    struct problem *p = user_exists_locked(app->db, rq->arena, id, &there);
    if (!p)
        *ret_yes = !there;
    return p;
}

struct problem *account_is_there(struct app *app, struct request *rq, bool *ret_yes)
{
    return user_exists_locked(app->db, rq->arena, ((const struct user *)rq->prepared)->id, ret_yes);
}
