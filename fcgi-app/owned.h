/* owned.h -- what belongs to a user: handlers that make, show, change and delete a row of a table,
 * and their rows in a table of routes.
 *
 * A row that the caller may not see is missing: 404. One that they see, but do not own, only an
 * admin may write: 403. If-Match must name its version, and If-None-Match must not: 412. An
 * in-doubt commit is resolved by what the row is then. Where one of these does not fit, a
 * controller has a handler of its own, and takes from here what does.
 */
#pragma once

#include "common/db/table.h"
#include "fcgi-app/app.h"

struct owned {
    const struct table *table; /* its rows have `id`, `created_at`, `updated_at` and a version */
    const char *owner;         /* the member that names the user */
    const char *parent;        /* the one that names what a new row is put below, by the first id
                                  of the path; NULL: nothing */
    /* May the caller see this row? Who may not is told that it is missing. */
    struct problem *(*check_visible)(struct app *app, struct request *rq, const void *row);
    /* May the caller put this row there? In the transaction. NULL: who may call at all. */
    struct problem *(*check_new)(struct app *app, struct request *rq, const void *row);
    /* In place of table_update() and table_delete(), or NULL. */
    struct problem *(*update)(struct app *app, struct request *rq, const void *before,
                              const void *after);
    struct problem *(*remove)(struct app *app, struct request *rq, const void *row);
};

/* ---- rows of routes: `post` stands for post_owned, post_record, problem_post_not_found and the
 * key "post" of the answer ---- */

#define OWNED_ROUTE(name_, path_, id_, summary_)                                                   \
    .path = (path_), .owned = &name_##_owned, .operation_id = (id_), .summary = (summary_)
#define OWNED_WRITE ROUTE_ETAG | ROUTE_TRANSACTION | ROUTE_LOCKS_CALLER

/* A page of them: `handle_` is the controller's own, `…` what else it may answer. */
#define OWNED_LIST(name_, path_, id_, summary_, handle_, auth_, query_, ...)                       \
    {                                                                                              \
        OWNED_ROUTE(name_, path_, id_, summary_),                                                  \
            .method = METHOD_GET, .handle = (handle_), .auth = (auth_), .query = (query_),         \
            .reply = MANY(&name_##_record), .problems = PROBLEMS(__VA_ARGS__)                      \
    }
/* POST. */
#define OWNED_CREATE(name_, path_, id_, summary_, ...)                                             \
    {                                                                                              \
        OWNED_ROUTE(name_, path_, id_, summary_),                                                  \
            .method = METHOD_POST, .handle = owned_create, .body = &name_##_record,                \
            .prepare = owned_prepare, .in_doubt = owned_is_created,                                \
            .reply = ONE(#name_, &name_##_record), .status = 201,                                  \
            .flags = OWNED_WRITE | ROUTE_IDEMPOTENCY_KEY, .problems = PROBLEMS(__VA_ARGS__)        \
    }
/* GET, PATCH and DELETE of a path whose first id is the row's. */
#define OWNED_SHOW(name_, path_, id_, summary_)                                                    \
    {                                                                                              \
        OWNED_ROUTE(name_, path_, id_, summary_),                                                  \
            .method = METHOD_GET, .handle = owned_show, .auth = AUTH_OPTIONAL,                     \
            .reply = ONE(#name_, &name_##_record), .flags = ROUTE_ETAG,                            \
            .problems = PROBLEMS(&problem_##name_##_not_found)                                     \
    }
#define OWNED_CHANGE(name_, path_, id_, summary_)                                                  \
    {                                                                                              \
        OWNED_ROUTE(name_, path_, id_, summary_),                                                  \
            .method = METHOD_PATCH, .handle = owned_change, .body = &name_##_record,               \
            .mode = RECORD_CHANGE, .in_doubt = owned_is_changed,                                   \
            .reply = ONE(#name_, &name_##_record), .flags = OWNED_WRITE,                           \
            .problems = PROBLEMS(&problem_forbidden, &problem_##name_##_not_found)                 \
    }
#define OWNED_DELETE(name_, path_, id_, summary_)                                                  \
    {                                                                                              \
        OWNED_ROUTE(name_, path_, id_, summary_),                                                  \
            .method = METHOD_DELETE, .handle = owned_delete, .in_doubt = owned_is_deleted,         \
            .flags = OWNED_WRITE,                                                                  \
            .problems = PROBLEMS(&problem_forbidden, &problem_##name_##_not_found)                 \
    }

/* ---- the handlers ---- */

/** For `prepare`: what was sent, as a row with an id, its times, owner and parent. */
struct problem *owned_prepare(struct app *app, struct request *rq) MUST_USE;

/** Store the prepared row and answer with it. */
struct problem *owned_create(struct app *app, struct request *rq, struct response *rs) MUST_USE;

/** The answer to that, for who has stored it in another way. */
void owned_answer_created(const struct request *rq, struct response *rs);

struct problem *owned_show(struct app *app, struct request *rq, struct response *rs) MUST_USE;
struct problem *owned_change(struct app *app, struct request *rq, struct response *rs) MUST_USE;
struct problem *owned_delete(struct app *app, struct request *rq, struct response *rs) MUST_USE;

/** For the column `in_doubt`. */
struct problem *owned_is_created(struct app *app, struct request *rq, bool *ret_yes) MUST_USE;
struct problem *owned_is_changed(struct app *app, struct request *rq, bool *ret_yes) MUST_USE;
struct problem *owned_is_deleted(struct app *app, struct request *rq, bool *ret_yes) MUST_USE;
