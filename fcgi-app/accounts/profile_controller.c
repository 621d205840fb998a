/* One's own account: read it, delete it. */
#include "fcgi-app/accounts/account.h"
#include "fcgi-app/accounts/current_password.h"
#include "fcgi-app/accounts/purge.h"
#include "fcgi-app/app.h"
#include "fcgi-app/routes.h"

static struct problem *profile(struct app *app, struct request *rq, struct response *rs)
{
    (void)app;
    account_answer(rq, rs, rq->caller.row);
    return NULL;
}

/* ---- leaving ---- */

struct leaving {
    struct text current_password;
};

static const struct field leaving_fields[] = {
    CURRENT_PASSWORD(struct leaving, "weaver of patterns")}; /* as changePassword has left it */
static const struct record leaving_record =
    RECORD("Leaving", struct leaving, leaving_fields, .rule = NULL);

static struct problem *prepare_leaving(struct app *app, struct request *rq)
{
    const struct leaving *in = rq->body;
    struct user user = {0};
    return current_password_check(app, rq, in->current_password, &user);
}

static struct problem *leave(struct app *app, struct request *rq, struct response *rs)
{
    rs->after = purge_expired; /* what is left */
    return account_delete(actor_of(app, rq), rq->caller.id);
}

static struct problem *has_left(struct app *app, struct request *rq, bool *ret_yes)
{
    return account_is_deleted(app->db, rq->arena, rq->caller.id, ret_yes);
}

static const struct problem_type *const leave_problems[] = {&problem_last_admin, NULL};

static const struct route routes[] = {
    {
        .method = METHOD_GET,
        .path = "/auth/profile",
        .handle = profile,
        .auth = AUTH_USER,
        .reply = ONE("user", &user_record),
        .flags = ROUTE_ETAG,
        .operation_id = "getProfile",
        .summary = "Read one's own account.",
    },
    {
        .method = METHOD_DELETE,
        .path = "/auth/profile",
        .handle = leave,
        .auth = AUTH_USER,
        .body = &leaving_record,
        .prepare = prepare_leaving,
        .in_doubt = has_left,
        .flags = ROUTE_RATE_LIMITED | ROUTE_PASSWORD_LIMITED | ROUTE_ETAG | ROUTE_HASH_POOL |
                 ROUTE_TRANSACTION,
        .problems = leave_problems,
        .operation_id = "deleteProfile",
        .summary = "Delete one's own account with its posts.",
    },
};

const struct resource profile_resource = RESOURCE("profile", "One's own account.", routes);
