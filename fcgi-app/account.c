#include "account.h"

#include "app.h"
#include "common/password.h"

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

struct problem *account_is_there(struct app *app, struct request *rq, bool *ret_yes)
{
    return user_is_there(app->db, rq->arena, ((const struct user *)rq->prepared)->id, ret_yes);
}
