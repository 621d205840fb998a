#include "tests/example/comments.h"

#include "common/db/counter.h"
#include "common/list/list.h"
#include "fcgi-app/owned.h"
#include "fcgi-app/posts/post_access.h"

struct comment {
    struct uuid id, post_id, author_id;
    struct text content;
    struct instant created_at, updated_at;
    int64_t version;
};

static const struct field comment_fields[] = {
    FIELD(struct comment, id, .use = FIELD_SHOWN, .doc = "The comment's id."),
    FIELD(struct comment, post_id, .use = FIELD_SHOWN, .doc = "What it is about."),
    FIELD(struct comment, author_id, .use = FIELD_SHOWN, .doc = "Who wrote it."),
    FIELD(struct comment, content, .use = FIELD_SHOWN | FIELD_REQUIRED | FIELD_CHANGE, .min = 1,
          .max = 2000, .example = "So they do.", .doc = "The text."),
    FIELD(struct comment, created_at, .use = FIELD_SHOWN, .doc = "When it was written."),
    FIELD(struct comment, updated_at, .use = FIELD_SHOWN, .doc = "When it was changed last."),
    FIELD(struct comment, version, .use = FIELD_VERSION, .doc = "Rises with every change."),
};
static const struct record comment_record =
    RECORD("Comment", struct comment, comment_fields, .rule = NULL);

static const struct problem_type problem_comment_not_found = {
    404, "Comment not found", "comment_not_found", "There is no comment with this id."};

/* The numbers are stored with the totals: no two are the same, and none changes. */
const struct counter comments_of_post = {.number = 100, .table = "comments", .owner = "post_id"};
const struct counter comments_of_user = {.number = 101, .table = "comments", .owner = "author_id"};

const struct table comment_table = {
    .name = "comments",
    .row = &comment_record,
    .missing = &problem_comment_not_found,
    .counters = COUNTERS(&comments_of_post, &comments_of_user),
};

/* ---- lists ---- */

enum { OF_POST, OF_AUTHOR };

static const struct list_path comment_paths[] = {
    {0, 1U << OF_POST, "ix_comments_post"}, {0, 1U << OF_AUTHOR, "ix_comments_author"}, {0}};
static const struct list_counter comment_totals[] = {
    {.counter = &comments_of_post, .owner = 1U << OF_POST, .kinds = 1},
    {.counter = &comments_of_user, .owner = 1U << OF_AUTHOR, .kinds = 1},
    {0},
};
static const struct list comment_list = {
    .table = "comments",
    .row = &comment_record,
    LIST_BY_TIME,
    .filters = {[OF_POST] = {.column = "post_id"}, [OF_AUTHOR] = {.column = "author_id"}},
    .paths = comment_paths,
    .counters = comment_totals,
};

static struct problem *list(struct app *app, struct request *rq, struct response *rs, unsigned of)
{
    struct list_scope scope = {0};
    int64_t written;
    list_filter_by(&scope, of, db_uuid(rq->path_ids[0]));
    return app_list(app, rq, rs, &comment_list, &scope, &written);
}

static struct problem *list_of_post(struct app *app, struct request *rq, struct response *rs)
{
    struct problem *p = post_require_visible(app, rq, rq->path_ids[0], false);
    return p ? p : list(app, rq, rs, OF_POST);
}

static struct problem *list_of_author(struct app *app, struct request *rq, struct response *rs)
{
    struct problem *p = require_owner_or_admin(rq, &rq->path_ids[0]);
    return p ? p : list(app, rq, rs, OF_AUTHOR);
}

/* ---- one comment ---- */

/* Its author and admins see it always, others where they see its post. */
static struct problem *check_visible(struct app *app, struct request *rq, const void *row)
{
    const struct comment *comment = row;
    if (!require_owner_or_admin(rq, &comment->author_id))
        return NULL;
    return post_require_visible(app, rq, comment->post_id, false);
}

static struct problem *check_new(struct app *app, struct request *rq, const void *row)
{
    return post_require_visible(app, rq, ((const struct comment *)row)->post_id, true);
}

static const struct owned comment_owned = {
    .table = &comment_table,
    .owner = "author_id",
    .parent = "post_id",
    .check_visible = check_visible,
    .check_new = check_new,
};

static const struct route routes[] = {
    OWNED_LIST(comment, "/posts/{id}/comments", "listCommentsOfPost",
               "List the comments on a post.", list_of_post, AUTH_OPTIONAL, &list_by_time_record,
               &problem_post_not_found),
    OWNED_LIST(comment, "/users/{id}/comments", "listCommentsOfUser",
               "List the comments of a user.", list_of_author, AUTH_USER, &list_by_time_record,
               &problem_forbidden),
    OWNED_CREATE(comment, "/posts/{id}/comments", "createComment", "Comment on a post.",
                 &problem_post_not_found),
    OWNED_SHOW(comment, "/comments/{id}", "getComment", "Read a comment."),
    OWNED_CHANGE(comment, "/comments/{id}", "updateComment", "Change a comment."),
    OWNED_DELETE(comment, "/comments/{id}", "deleteComment", "Delete a comment."),
};
const struct resource comment_resource =
    RESOURCE("comments", "What users say about posts.", routes);
