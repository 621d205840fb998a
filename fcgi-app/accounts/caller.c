#include "fcgi-app/accounts/caller.h"

#include "common/base/problem.h"
#include "common/crypto/jwt.h"
#include "fcgi-app/accounts/user_model.h"

const struct problem_type problem_user_inactive = {
    401, "User not found or inactive", "user_inactive",
    "The account of this token is gone or disabled.", .of_token = true};

struct problem *caller_authenticate(struct app *app, struct request *rq, const char *token)
{
    struct claims claims;
    struct problem *p =
        jwt_verify(rq->arena, app->keys, token, rq->now.us / 1000000, CLOCK_LEEWAY_S, &claims);
    if (!p)
        rq->caller = (struct caller){.id = claims.subject, .session = claims.session};
    return p;
}

struct problem *caller_find(struct app *app, struct request *rq, bool lock)
{
    struct arena *a = rq->arena;
    struct user *user = arena_alloc(a, sizeof *user);
    bool found, lives;
    struct problem *p = user_find_with_session(app->db, a, rq->caller.id, rq->caller.session,
                                               rq->now, lock, user, &found, &lives);
    if (p)
        return p;
    if (!found || !user->is_active)
        return problem(a, &problem_user_inactive, NULL);
    if (!lives)
        return problem(a, &problem_invalid_token, "The session of this token has ended.");
    if (lock && rq->verified_hash.data && !text_equal(rq->verified_hash, user->password_hash))
        return app_stale(rq);
    rq->caller.row = user;
    rq->caller.known = true;
    rq->caller.admin = user->role == ROLE_ADMIN;
    return NULL;
}
