/* Is the program alive, and able to serve? */
#include "app.h"
#include "routes.h"

struct status {
    struct text status;
};

static const struct field status_fields[] = {
    FIELD(struct status, status, .use = FIELD_SHOWN, .example = "ok", .doc = "Always \"ok\"."),
};

static const struct record status_record = RECORD("Status", struct status, status_fields, 0);

static struct problem *health(struct app *app, struct request *rq, struct response *rs)
{
    const struct status ok = {TEXT("ok")};
    (void)app, (void)rq;
    record_to_json(&rs->body, &status_record, &ok);
    return NULL;
}

static struct problem *ready(struct app *app, struct request *rq, struct response *rs)
{
    struct problem *p = app_check_schema(app, rq->arena);
    return p ? p : health(app, rq, rs);
}

static const struct route routes[] = {
    {METHOD_GET, "/health", health, AUTH_IGNORED, .status = 200, .reply = &status_record,
     .id = "getHealth", .summary = "Tell that the program is alive."},
    {METHOD_GET, "/ready", ready, AUTH_IGNORED, .status = 200, .reply = &status_record,
     .id = "getReady",
     .summary = "Tell whether the database is reachable and its schema current."},
};

const struct resource system_resource = RESOURCE("system", routes);
