/* Posts: list, write, read, change, delete. */
#include "fcgi-app/accounts/caller.h"
#include "fcgi-app/accounts/user_model.h"
#include "fcgi-app/app.h"
#include "fcgi-app/routes.h"

#include "common/base/problem.h"
#include "common/list/list.h"
#include "fcgi-app/owned.h"
#include "fcgi-app/posts/post_access.h"
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

static struct problem *create(struct app *app, struct request *rq, struct response *rs)
{
    struct problem *p = post_insert(app->db, rq->arena, rq->prepared);
    if (!p)
        owned_answer_created(rq, rs);
    return p;
}

static struct problem *create_at_once(struct app *app, struct request *rq, struct response *rs,
                                      bool *ret_done)
{
    struct problem *p = post_insert_by_caller(app->db, rq->arena, rq->prepared, rq->caller.session,
                                              rq->now, ret_done);
    if (!p && *ret_done)
        owned_answer_created(rq, rs);
    return p;
}

static struct problem *update(struct app *app, struct request *rq, const void *before,
                              const void *after)
{
    return post_update(app->db, rq->arena, before, after, rq->caller.id);
}

static struct problem *remove_post(struct app *app, struct request *rq, const void *post)
{
    bool left = false;
    struct problem *p = post_delete(app->db, rq->arena, post, rq->caller.id, &left);
    app->sweeps |= left;
    return p;
}

static const struct owned post_owned = {
    .table = &post_table,
    .owner = "author_id",
    .check_visible = post_check_visible,
    .update = update,
    .remove = remove_post,
};

static const struct route routes[] = {
    OWNED_LIST(post, "/users/{id}/posts", "listPostsOfUser", "List the posts of a user.",
               list_of_author, AUTH_OPTIONAL, &author_post_query_record, &problem_no_token,
               &problem_user_not_found),
    OWNED_LIST(post, "/posts", "listPosts", "List and search posts.", list, AUTH_OPTIONAL,
               &post_query_record, &problem_no_token),
    {
        .method = METHOD_POST,
        .path = "/posts",
        .handle = create,
        .auth = AUTH_USER,
        .body = &post_record,
        .prepare = owned_prepare,
        .in_doubt = owned_is_created,
        .at_once = create_at_once,
        .reply = ONE("post", &post_record),
        .status = 201,
        .flags = ROUTE_IDEMPOTENCY_KEY | ROUTE_ETAG | ROUTE_TRANSACTION | ROUTE_LOCKS_CALLER,
        .problems = PROBLEMS(&problem_user_inactive),
        .owned = &post_owned,
        .limits = LIMITED_BY(POSTS),
        .operation_id = "createPost",
        .summary = "Write a post.",
    },
    OWNED_SHOW(post, "/posts/{id}", "getPost", "Read a post."),
    OWNED_CHANGE(post, "/posts/{id}", "updatePost", "Change a post."),
    OWNED_DELETE(post, "/posts/{id}", "deletePost", "Delete a post."),
};

const struct resource post_resource =
    RESOURCE("posts", "What users write, as drafts and published.", routes);
