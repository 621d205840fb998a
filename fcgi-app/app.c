#include "fcgi-app/app.h"

#include "common/base/problem.h"

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

void app_location(const struct request *rq, struct response *rs, const char *collection,
                  const struct uuid *id)
{
    char text[UUID_TEXT_SIZE];
    uuid_format(id, text);
    response_header(rs, "Location", "%s/%s/%s", rq->base, collection, text);
}
