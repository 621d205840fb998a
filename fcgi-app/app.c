#include "fcgi-app/app.h"

#include "common/base/problem.h"
#include "common/http/page.h"

struct problem *require_owner_or_admin(struct request *rq, const struct uuid *id)
{
    if (rq->caller.known && uuid_equal(&rq->caller.id, id))
        return NULL;
    if (!rq->caller.admin)
        return problem(rq->arena, &problem_forbidden, NULL);
    rq->caller.refusal_unless_admin = &problem_forbidden;
    return NULL;
}

struct problem *app_confirm(struct app *app, struct request *rq)
{
    return router_confirm(&app->router, rq);
}

struct problem *app_stale(struct request *rq)
{
    rq->stale = true;
    return problem_because(rq->arena, &problem_unavailable,
                           "the password is replaced again and again");
}

struct problem *app_list(struct app *app, struct request *rq, struct response *rs,
                         const struct list *list, const struct list_scope *scope,
                         int64_t *ret_written)
{
    const struct page_source source = {.db = app->db,
                                       .keys = app->keys,
                                       .page_reach = app->settings->page_reach,
                                       .search_reach = app->settings->search_reach};
    struct list_total total;
    struct problem *p = page_list(&source, rq, rs, list, scope, &total, ret_written);
    if (!p && total.left_out)
        app->sweeps = true;
    return p;
}

void app_location(const struct request *rq, struct response *rs, const char *collection,
                  const struct uuid *id)
{
    char text[UUID_TEXT_SIZE];
    uuid_format(id, text);
    response_header(rs, "Location", "%s/%s/%s", rq->base, collection, text);
}
