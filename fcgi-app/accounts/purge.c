#include "fcgi-app/accounts/purge.h"

#include "common/base/log.h"
#include "common/base/problem.h"
#include "common/http/idempotency.h"
#include "fcgi-app/accounts/departure.h"
#include "fcgi-app/accounts/mailed_tokens.h"
#include "fcgi-app/accounts/session_model.h"

static void note_failed_purge(const struct problem *p)
{
    if (p) /* the next one tries again */
        LOG(LOG_LEVEL_WARNING, log_event("purge_failed"), log_text("cause", p->cause));
}

static bool sweep(struct app *app, struct arena *a)
{
    app->sweeps = false;
    note_failed_purge(departure_sweep(app->db, a, &app->sweeps));
    return app->sweeps;
}

bool purge_departed(void *context, struct arena *a)
{
    struct app *app = context;
    return app->sweeps && sweep(app, a);
}

void purge_expired(void *context, struct request *rq)
{
    struct app *app = context;
    struct problem *p = session_purge(app->db, rq->arena, rq->now);
    if (!p)
        p = mailed_purge(app->db, rq->arena, rq->now);
    if (!p)
        p = idempotency_purge(app->db, rq->arena, rq->now);
    note_failed_purge(p);
    if (!p)
        (void)sweep(app, rq->arena); /* a worker with time to spare goes on with it */
}
