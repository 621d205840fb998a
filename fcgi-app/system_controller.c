/* Is the program alive, and able to serve? */
#include "app.h"
#include "routes.h"

static struct problem *health(struct app *app, struct request *rq, struct response *rs)
{
    (void)app, (void)rq;
    json_object(&rs->body);
    json_member(&rs->body, "status", "ok");
    json_object_end(&rs->body);
    return NULL;
}

static struct problem *ready(struct app *app, struct request *rq, struct response *rs)
{
    struct problem *p = app_check_schema(app, rq->arena);
    return p ? p : health(app, rq, rs);
}

static const struct route routes[] = {
    {METHOD_GET, "/health", health, AUTH_IGNORED, .status = 200, .reply = REPLY_OWN,
     .summary = "Tell that the program is alive."},
    {METHOD_GET, "/ready", ready, AUTH_IGNORED, .status = 200, .reply = REPLY_OWN,
     .summary = "Tell whether the database is reachable and its schema current."},
};

const struct resource system_resource = RESOURCE("system", routes);
