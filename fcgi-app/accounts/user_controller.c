/* Users: list, make, read, change, delete. */
#include "fcgi-app/accounts/account.h"
#include "fcgi-app/app.h"
#include "fcgi-app/routes.h"

#include "common/http/page.h"
#include "common/base/problem.h"

static struct problem *list(struct app *app, struct request *rq, struct response *rs)
{
    struct page page;
    struct page_total total;
    struct problem *p = page_open(&page, rq, rs, &user_record, "created_at", app->keys);
    if (!p)
        p = user_page(app->db, rq->arena, rq->asked, rq->asked_given, &page.window, page_add, &page,
                      &total);
    if (!p)
        page_close(&page, rq->base, total);
    return p;
}

/* One user as they all are answered: with an ETag. */
static void answer(struct request *rq, struct response *rs, const struct user *user)
{
    if (!response_is_known(rs, rq, user->version))
        response_record(rs, "user", &user_record, user);
}

static struct problem *prepare(struct app *app, struct request *rq)
{
    (void)app;
    return account_prepare(rq, rq->in);
}

static struct problem *show(struct app *app, struct request *rq, struct response *rs)
{
    struct user user;
    struct problem *p = user_find(app->db, rq->arena, rq->path_ids[0], &user);
    if (!p)
        answer(rq, rs, &user);
    return p;
}

static struct problem *change(struct app *app, struct request *rq, struct response *rs)
{
    struct user *after = arena_alloc(rq->arena, sizeof *after);
    struct problem *p = app_check_self(rq, &rq->path_ids[0]);
    if (!p)
        p = account_change(app, rq, rq->path_ids[0], rq->in, rq->in_given, after);
    if (!p)
        answer(rq, rs, after);
    rq->prepared = after; /* for is_changed() */
    return p;
}

/* Who has changed oneself may not be let do it again. */
static struct problem *is_changed(struct app *app, struct request *rq, bool *ret_yes)
{
    return account_is_changed(app, rq, rq->prepared, ret_yes);
}

static struct problem *erase(struct app *app, struct request *rq, struct response *rs)
{
    rs->after = app_purge; /* what is left */
    return account_erase(app, rq, rq->path_ids[0]);
}

static struct problem *is_deleted(struct app *app, struct request *rq, bool *ret_yes)
{
    return account_is_erased(app, rq, rq->path_ids[0], ret_yes);
}

static const struct problem_type *const make_problems[] = {&problem_invalid_email,
                                                           &problem_email_exists, NULL};
static const struct problem_type *const show_problems[] = {&problem_user_not_found, NULL};
static const struct problem_type *const change_problems[] = {&problem_forbidden,
                                                             &problem_admin_required,
                                                             &problem_user_not_found,
                                                             &problem_invalid_email,
                                                             &problem_email_exists,
                                                             &problem_last_admin,
                                                             NULL};
static const struct problem_type *const delete_problems[] = {&problem_user_not_found,
                                                             &problem_last_admin, NULL};

static const struct route routes[] = {
    {METHOD_GET, "/users", list, AUTH_USER, .query = &user_query_record, .status = 200,
     .pages = true, .reply_record = &user_record, .id = "listUsers",
     .summary = "List and search users."},
    {METHOD_POST, "/users", account_create, AUTH_ADMIN, .body = &user_record, .prepare = prepare,
     .hashes = true, .idempotent = true, .transaction = true, .committed = account_is_there,
     .versioned = true, .status = 201, .reply_key = "user", .reply_record = &user_record,
     .problems = make_problems, .id = "createUser", .summary = "Make a user."},
    {METHOD_GET, "/users/{id}", show, AUTH_USER, .versioned = true, .status = 200,
     .reply_key = "user", .reply_record = &user_record, .problems = show_problems, .id = "getUser",
     .summary = "Read a user."},
    {METHOD_PATCH, "/users/{id}", change, AUTH_USER, .body = &user_record, .mode = RECORD_CHANGE,
     .transaction = true, .committed = is_changed, .versioned = true, .status = 200,
     .reply_key = "user", .reply_record = &user_record, .problems = change_problems,
     .id = "updateUser", .summary = "Change oneself; an admin changes anyone."},
    {METHOD_DELETE, "/users/{id}", erase, AUTH_ADMIN, .transaction = true, .committed = is_deleted,
     .versioned = true, .status = 204, .problems = delete_problems, .id = "deleteUser",
     .summary = "Delete a user with posts and sessions."},
};

const struct resource user_resource =
    RESOURCE("users", "The accounts, for each other and for admins.", routes);
