/* Users: list, make, read, change, delete. */
#include "fcgi-app/accounts/account.h"
#include "fcgi-app/accounts/mailing.h"
#include "fcgi-app/accounts/purge.h"
#include "fcgi-app/app.h"
#include "fcgi-app/routes.h"

#include "common/base/problem.h"
#include "common/list/list.h"

static bool are_for_admins(const struct app *app)
{
    return app->settings->users_visible == USERS_VISIBLE_ADMINS;
}

static struct problem *list(struct app *app, struct request *rq, struct response *rs)
{
    const struct user_query *query = rq->query;
    struct list_scope scope = {0};
    int64_t written;
    if (rq->query_given & FIELD_AT(&user_query_record, struct user_query, role))
        list_filter_by(&scope, USER_ROLE, db_integer(query->role));
    return app_list(app, rq, rs, &user_list, &scope, &written);
}

static struct problem *judge_invite(struct app *app, const struct request *rq, struct problem *p)
{
    const struct user *in = rq->body;
    const char *fault = NULL;
    if (in->invite && in->password.data)
        fault = "Is in place of a password: only one of the two can be given.";
    else if (in->invite && !mailing_is_on(app))
        fault = "Takes mail, which is not set up here.";
    return fault ? problem_with_fault(rq->arena, p, "invite", FAULT_RANGE, fault) : p;
}

static struct problem *prepare(struct app *app, struct request *rq)
{
    return account_prepare(app, rq, rq->body);
}

static struct problem *show(struct app *app, struct request *rq, struct response *rs)
{
    struct user user;
    struct problem *p = NULL;
    if (are_for_admins(app) && require_owner_or_admin(rq, &rq->path_ids[0]))
        p = problem(rq->arena, &problem_user_not_found, NULL);
    if (!p)
        p = user_find(app->db, rq->arena, rq->path_ids[0], &user);
    if (!p)
        account_answer(rq, rs, &user);
    return p;
}

static struct problem *change(struct app *app, struct request *rq, struct response *rs)
{
    struct user *after = arena_alloc(rq->arena, sizeof *after);
    struct problem *p = require_owner_or_admin(rq, &rq->path_ids[0]);
    if (!p)
        p = account_change(actor_of(app, rq), rq->path_ids[0], rq->body, rq->body_given, after);
    if (p)
        return p;
    account_answer(rq, rs, after);
    rq->prepared = after; /* for is_changed() */
    return NULL;
}

/* Who has changed oneself may not be let do it again. */
static struct problem *is_changed(struct app *app, struct request *rq, bool *ret_yes)
{
    return account_is_changed(app->db, rq->arena, rq->prepared, ret_yes);
}

static struct problem *delete_user(struct app *app, struct request *rq, struct response *rs)
{
    rs->after = purge_expired; /* what is left */
    return account_delete(actor_of(app, rq), rq->path_ids[0]);
}

static struct problem *is_deleted(struct app *app, struct request *rq, bool *ret_yes)
{
    return account_is_deleted(app->db, rq->arena, rq->path_ids[0], ret_yes);
}

static const struct route routes[] = {
    {
        .method = METHOD_GET,
        .path = "/users",
        .handle = list,
        .auth = AUTH_USER,
        .query = &user_query_record,
        .reply = MANY(&user_record),
        .for_admins = are_for_admins,
        .operation_id = "listUsers",
        .summary = "List and search users.",
    },
    {
        .method = METHOD_POST,
        .path = "/users",
        .handle = account_create,
        .auth = AUTH_ADMIN,
        .body = &user_record,
        .judge_body = judge_invite,
        .prepare = prepare,
        .in_doubt = account_is_created,
        .reply = ONE("user", &user_record),
        .status = 201,
        .flags = ROUTE_IDEMPOTENCY_KEY | ROUTE_ETAG | ROUTE_HASH_POOL | ROUTE_TRANSACTION,
        .problems = PROBLEMS(&problem_invalid_email, &problem_email_exists),
        .operation_id = "createUser",
        .summary = "Make a user.",
    },
    {
        .method = METHOD_GET,
        .path = "/users/{id}",
        .handle = show,
        .auth = AUTH_USER,
        .reply = ONE("user", &user_record),
        .flags = ROUTE_ETAG,
        .problems = PROBLEMS(&problem_user_not_found),
        .operation_id = "getUser",
        .summary = "Read a user.",
    },
    {
        .method = METHOD_PATCH,
        .path = "/users/{id}",
        .handle = change,
        .auth = AUTH_USER,
        .body = &user_record,
        .mode = RECORD_CHANGE,
        .in_doubt = is_changed,
        .reply = ONE("user", &user_record),
        .flags = ROUTE_ETAG | ROUTE_TRANSACTION,
        .problems = PROBLEMS(&problem_forbidden, &problem_admin_required, &problem_user_not_found,
                             &problem_invalid_email, &problem_email_exists, &problem_last_admin),
        .operation_id = "updateUser",
        .summary = "Change oneself; an admin changes anyone.",
    },
    {
        .method = METHOD_DELETE,
        .path = "/users/{id}",
        .handle = delete_user,
        .auth = AUTH_ADMIN,
        .in_doubt = is_deleted,
        .flags = ROUTE_ETAG | ROUTE_TRANSACTION,
        .problems = PROBLEMS(&problem_user_not_found, &problem_last_admin),
        .operation_id = "deleteUser",
        .summary = "Delete a user with posts and sessions.",
    },
};

const struct resource user_resource =
    RESOURCE("users", "The accounts, for each other and for admins.", routes);
