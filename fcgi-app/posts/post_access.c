#include "fcgi-app/posts/post_access.h"

#include "common/base/problem.h"

struct problem *post_check_visible(struct app *app, struct request *rq, const void *row)
{
    const struct post *post = row;
    (void)app;
    if (post->published || !require_owner_or_admin(rq, &post->author_id))
        return NULL;
    return problem(rq->arena, &problem_post_not_found, NULL);
}

struct problem *post_require_visible(struct app *app, struct request *rq, struct uuid id,
                                     bool to_add)
{
    struct post post = {0};
    struct problem *p = post_look(app->db, rq->arena, id, to_add, &post);
    return p ? p : post_check_visible(app, rq, &post);
}
