#include "fcgi-app/accounts/current_password.h"

#include "common/base/problem.h"
#include "common/crypto/password.h"
#include "fcgi-app/accounts/caller.h"
#include "fcgi-app/accounts/throttle.h"

struct problem *current_password_check(struct app *app, struct request *rq, struct text password,
                                       struct user *ret)
{
    struct throttle throttle;
    bool match = false, outdated;
    struct problem *p = throttle_session(app, rq, &throttle);
    if (p)
        return p;
    p = user_find_with_hash(app->db, rq->arena, rq->caller.id, ret);
    /* Since the caller was judged. */
    if ((p && p->type == &problem_user_not_found) || (!p && !ret->is_active))
        p = problem(rq->arena, &problem_user_inactive, NULL);
    if (!p)
        p = password_verify(rq->arena, password, ret->password_hash.data, &match, &outdated);
    if (p || match)
        throttle_take_back(app, &throttle);
    rq->verified_hash = ret->password_hash;
    if (p || match)
        return p;
    return problem_of_field(rq->arena, "current_password", FAULT_WRONG,
                            "Is not the current password.");
}
