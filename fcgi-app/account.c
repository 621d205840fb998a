#include "account.h"

#include "app.h"
#include "common/password.h"
#include "common/problem.h"

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
    struct problem *p = user_insert(app->db, rq->arena, user);
    if (p)
        return p;
    app_location(rq, rs, "users", &user->id);
    (void)response_is_known(rs, rq, user->version); /* for its ETag; it is a POST */
    response_record(rs, "user", &user_record, user);
    return NULL;
}

struct problem *account_erase(struct app *app, struct request *rq, struct uuid id)
{
    struct user user = {0};
    bool other_admins;
    struct problem *p = user_lock_other_admins(app->db, rq->arena, id, &other_admins);
    if (!p)
        p = user_lock(app->db, rq->arena, id, &user);
    if (!p)
        p = request_check_match(rq, user.version);
    if (p)
        return p;
    if (user_is_active_admin(&user) && !other_admins)
        return problem(rq->arena, &problem_last_admin, NULL);
    return user_delete(app->db, rq->arena, &user);
}

struct problem *account_is_there(struct app *app, struct request *rq, bool *ret_yes)
{
    return user_is_there(app->db, rq->arena, ((const struct user *)rq->prepared)->id, ret_yes);
}
