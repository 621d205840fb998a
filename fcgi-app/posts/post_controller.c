/* Posts: list, write, read, change, delete. */
#include "fcgi-app/accounts/caller.h"
#include "fcgi-app/accounts/user_model.h"
#include "fcgi-app/app.h"
#include "fcgi-app/routes.h"

#include "common/base/problem.h"
#include "common/list/list.h"
#include "fcgi-app/posts/post_model.h"

/* ---- lists ---- */

static bool asks_for(const struct request *rq, bool published)
{
    const struct post_query *query = rq->query;
    field_set bit = FIELD_AT(rq->route->query, struct post_query, published);
    return (rq->query_given & bit) && query->published == published;
}

/* A caller sees their own drafts, an admin everybody's. */
static void narrow_to_drafts(const struct request *rq, struct list_scope *scope)
{
    const struct uuid *author = &scope->values[POST_AUTHOR].uuid;
    bool by_author = scope->filters & 1U << POST_AUTHOR;
    if (rq->caller.admin)
        return;
    scope->nothing = by_author && !uuid_equal(author, &rq->caller.id); /* another's */
    list_filter_by(scope, POST_AUTHOR, db_uuid(rq->caller.id));
}

static struct problem *list(struct app *app, struct request *rq, struct response *rs)
{
    const struct post_query *query = rq->query;
    struct list_scope scope = {0};
    bool drafts = asks_for(rq, false);
    int64_t written;
    if (drafts && !rq->caller.known)
        return problem(rq->arena, &problem_no_token, NULL);
    list_filter_by(&scope, POST_PUBLISHED, db_integer(!drafts));
    if (rq->query_given & FIELD_AT(&post_query_record, struct post_query, author_id))
        list_filter_by(&scope, POST_AUTHOR, db_uuid(query->author_id));
    if (drafts)
        narrow_to_drafts(rq, &scope);
    return app_list(app, rq, rs, &post_list, &scope, &written);
}

static struct problem *list_of_author(struct app *app, struct request *rq, struct response *rs)
{
    struct uuid author = rq->path_ids[0];
    bool own = rq->caller.admin || (rq->caller.known && uuid_equal(&rq->caller.id, &author));
    bool drafts = asks_for(rq, false);
    struct list_scope scope = {.nothing = drafts && !own};
    struct user user;
    int64_t written;
    if (drafts && !rq->caller.known)
        return problem(rq->arena, &problem_no_token, NULL);
    list_filter_by(&scope, POST_AUTHOR, db_uuid(author));
    if (!own || drafts || asks_for(rq, true))
        list_filter_by(&scope, POST_PUBLISHED, db_integer(!drafts));
    struct problem *p = app_list(app, rq, rs, &post_list, &scope, &written);
    /* An author of posts exists; only without any must we look. */
    return p || written ? p : user_find(app->db, rq->arena, author, &user);
}

/* ---- one post ---- */

/* One post as they all are answered: with an ETag. */
static void answer(struct request *rq, struct response *rs, const struct post *post)
{
    response_etag(rs, post->version);
    if (request_knows(rq, post->version))
        rs->status = 304;
    else
        response_record(rs, "post", &post_record, post);
}

static struct problem *prepare(struct app *app, struct request *rq)
{
    (void)app;
    struct post *post = arena_alloc(rq->arena, sizeof *post);
    *post = *(const struct post *)rq->body;
    post->id = uuid_make(rq->now);
    post->author_id = rq->caller.id;
    post->created_at = post->updated_at = rq->now;
    post->version = 1;
    rq->prepared = post;
    return NULL;
}

static void answer_created(struct request *rq, struct response *rs)
{
    const struct post *post = rq->prepared;
    app_location(rq, rs, "posts", &post->id);
    answer(rq, rs, post);
}

static struct problem *create(struct app *app, struct request *rq, struct response *rs)
{
    struct problem *p = post_insert(app->db, rq->arena, rq->prepared);
    if (!p)
        answer_created(rq, rs);
    return p;
}

static struct problem *create_at_once(struct app *app, struct request *rq, struct response *rs,
                                      bool *ret_done)
{
    struct problem *p = post_insert_by_caller(app->db, rq->arena, rq->prepared, rq->caller.session,
                                              rq->now, ret_done);
    if (!p && *ret_done)
        answer_created(rq, rs);
    return p;
}

/* For all but its author and admins a draft does not exist. */
static struct problem *check_visible(struct request *rq, const struct post *post)
{
    if (post->published || !require_owner_or_admin(rq, &post->author_id))
        return NULL;
    return problem(rq->arena, &problem_post_not_found, NULL);
}

static struct problem *show(struct app *app, struct request *rq, struct response *rs)
{
    struct post post;
    struct problem *p = post_find(app->db, rq->arena, rq->path_ids[0], &post);
    if (!p)
        p = check_visible(rq, &post);
    if (!p)
        answer(rq, rs, &post);
    return p;
}

/* Lock the post of the path for its author or an admin, if it is the version they know. */
static struct problem *lock_post(struct app *app, struct request *rq, struct post *ret)
{
    struct problem *p = post_lock(app->db, rq->arena, rq->path_ids[0], ret);
    if (!p)
        p = check_visible(rq, ret);
    if (!p)
        p = require_owner_or_admin(rq, &ret->author_id);
    return p ? p : request_check_match(rq, ret->version);
}

static struct problem *change(struct app *app, struct request *rq, struct response *rs)
{
    struct post before, *after = arena_alloc(rq->arena, sizeof *after);
    struct problem *p = lock_post(app, rq, &before);
    if (p)
        return p;
    *after = before;
    record_overlay(&post_record, rq->body_given, rq->body, after);
    if (rq->body_given) {
        after->updated_at = rq->now;
        after->version++;
        p = post_update(app->db, rq->arena, &before, after, rq->caller.id);
    }
    if (!p)
        answer(rq, rs, after);
    rq->prepared = after; /* for is_changed() */
    return p;
}

static struct problem *delete_post(struct app *app, struct request *rq, struct response *rs)
{
    struct post post;
    (void)rs;
    struct problem *p = lock_post(app, rq, &post);
    return p ? p : post_delete(app->db, rq->arena, &post, rq->caller.id);
}

/* ---- after an in-doubt commit ---- */

static struct problem *is_created(struct app *app, struct request *rq, bool *ret_yes)
{
    return post_exists_locked(app->db, rq->arena, ((const struct post *)rq->prepared)->id, ret_yes);
}

/* Its version is another then, for which an If-Match was not meant. */
static struct problem *is_changed(struct app *app, struct request *rq, bool *ret_yes)
{
    const struct post *after = rq->prepared;
    struct post now = {0};
    struct problem *p = post_lock(app->db, rq->arena, after->id, &now);
    bool gone = p && p->type == &problem_post_not_found;
    if (p && !gone)
        return p;
    *ret_yes = !gone && now.version == after->version && now.updated_at.us == after->updated_at.us;
    return NULL;
}

static struct problem *is_deleted(struct app *app, struct request *rq, bool *ret_yes)
{
    bool there;
    struct problem *p = post_exists_locked(app->db, rq->arena, rq->path_ids[0], &there);
    if (!p)
        *ret_yes = !there;
    return p;
}

static const struct problem_type *const list_problems[] = {&problem_no_token, NULL};
static const struct problem_type *const author_list_problems[] = {&problem_no_token,
                                                                  &problem_user_not_found, NULL};
static const struct problem_type *const create_problems[] = {&problem_user_inactive, NULL};
static const struct problem_type *const show_problems[] = {&problem_post_not_found, NULL};
static const struct problem_type *const change_problems[] = {&problem_forbidden,
                                                             &problem_post_not_found, NULL};

static const struct route routes[] = {
    {
        .method = METHOD_GET,
        .path = "/users/{id}/posts",
        .handle = list_of_author,
        .auth = AUTH_OPTIONAL,
        .query = &author_post_query_record,
        .reply = MANY(&post_record),
        .problems = author_list_problems,
        .operation_id = "listPostsOfUser",
        .summary = "List the posts of a user.",
    },
    {
        .method = METHOD_GET,
        .path = "/posts",
        .handle = list,
        .auth = AUTH_OPTIONAL,
        .query = &post_query_record,
        .reply = MANY(&post_record),
        .problems = list_problems,
        .operation_id = "listPosts",
        .summary = "List and search posts.",
    },
    {
        .method = METHOD_POST,
        .path = "/posts",
        .handle = create,
        .auth = AUTH_USER,
        .body = &post_record,
        .prepare = prepare,
        .in_doubt = is_created,
        .at_once = create_at_once,
        .reply = ONE("post", &post_record),
        .status = 201,
        .flags = ROUTE_IDEMPOTENCY_KEY | ROUTE_ETAG | ROUTE_TRANSACTION | ROUTE_LOCKS_CALLER,
        .limits = LIMITED_BY(POSTS),
        .problems = create_problems,
        .operation_id = "createPost",
        .summary = "Write a post.",
    },
    {
        .method = METHOD_GET,
        .path = "/posts/{id}",
        .handle = show,
        .auth = AUTH_OPTIONAL,
        .reply = ONE("post", &post_record),
        .flags = ROUTE_ETAG,
        .problems = show_problems,
        .operation_id = "getPost",
        .summary = "Read a post.",
    },
    {
        .method = METHOD_PATCH,
        .path = "/posts/{id}",
        .handle = change,
        .auth = AUTH_USER,
        .body = &post_record,
        .mode = RECORD_CHANGE,
        .in_doubt = is_changed,
        .reply = ONE("post", &post_record),
        .flags = ROUTE_ETAG | ROUTE_TRANSACTION | ROUTE_LOCKS_CALLER,
        .problems = change_problems,
        .operation_id = "updatePost",
        .summary = "Change a post.",
    },
    {
        .method = METHOD_DELETE,
        .path = "/posts/{id}",
        .handle = delete_post,
        .auth = AUTH_USER,
        .in_doubt = is_deleted,
        .flags = ROUTE_ETAG | ROUTE_TRANSACTION | ROUTE_LOCKS_CALLER,
        .problems = change_problems,
        .operation_id = "deletePost",
        .summary = "Delete a post.",
    },
};

const struct resource post_resource =
    RESOURCE("posts", "What users write, as drafts and published.", routes);
