/* Users: list, make, read, change, delete. */
#include "account.h"
#include "app.h"
#include "routes.h"

#include "common/page.h"
#include "common/problem.h"
#include "reset_model.h"
#include "session_model.h"

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

static bool given(const struct request *rq, field_set fields)
{
    return rq->in_given & fields;
}

/* Lock the user, and where `rank` may go also the other admins, who come first. */
static struct problem *lock_user(struct app *app, struct request *rq, bool rank, struct user *ret,
                                 bool *ret_other_admins)
{
    struct uuid id = rq->path_ids[0];
    struct problem *p =
        rank ? user_lock_other_admins(app->db, rq->arena, id, ret_other_admins) : NULL;
    return p ? p : user_lock(app->db, rq->arena, id, ret);
}

static struct problem *change(struct app *app, struct request *rq, struct response *rs)
{
    const field_set rank =
        FIELD_AT(&user_record, struct user, role) | FIELD_AT(&user_record, struct user, is_active);
    struct user before = {0}, after;
    bool other_admins = true;
    struct problem *p = app_check_self(rq, &rq->path_ids[0]);
    if (!p)
        p = lock_user(app, rq, given(rq, rank), &before, &other_admins);
    if (!p)
        p = request_check_match(rq, before.version);
    if (p)
        return p;
    after = before;
    record_overlay(&user_record, rq->in_given, rq->in, &after);
    if (user_is_active_admin(&before) && !user_is_active_admin(&after) && !other_admins)
        return problem(rq->arena, &problem_last_admin, NULL);
    if (rq->in_given) {
        after.updated_at = rq->now;
        after.version++;
        p = user_update(app->db, rq->arena, &before, &after);
    }
    if (!p && !text_equal(before.email, after.email))
        p = reset_delete_all(app->db, rq->arena, after.id); /* mailed to the old address */
    if (!p && before.is_active && !after.is_active)
        p = session_delete_all(app->db, rq->arena, after.id, (struct uuid){{0}});
    if (!p)
        answer(rq, rs, &after);
    return p;
}

static struct problem *erase(struct app *app, struct request *rq, struct response *rs)
{
    (void)rs;
    return account_erase(app, rq, rq->path_ids[0]);
}

static struct problem *is_deleted(struct app *app, struct request *rq, bool *ret_yes)
{
    bool there;
    struct problem *p = user_is_there(app->db, rq->arena, rq->path_ids[0], &there);
    if (!p)
        *ret_yes = !there;
    return p;
}

static const struct problem_type *const make_problems[] = {&problem_invalid_email,
                                                           &problem_email_exists, NULL};
static const struct problem_type *const show_problems[] = {&problem_user_not_found, NULL};
static const struct problem_type *const change_problems[] = {
    &problem_forbidden,    &problem_user_not_found, &problem_invalid_email,
    &problem_email_exists, &problem_last_admin,     NULL};
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
     .transaction = true, .committed = router_run_again, .versioned = true, .status = 200,
     .reply_key = "user", .reply_record = &user_record, .problems = change_problems,
     .id = "updateUser", .summary = "Change oneself; an admin changes anyone."},
    {METHOD_DELETE, "/users/{id}", erase, AUTH_ADMIN, .transaction = true, .committed = is_deleted,
     .versioned = true, .status = 204, .problems = delete_problems, .id = "deleteUser",
     .summary = "Delete a user with posts and sessions."},
};

const struct resource user_resource =
    RESOURCE("users", "The accounts, for each other and for admins.", routes);
