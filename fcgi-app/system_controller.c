/* Is the program alive, and able to serve? What does it offer? */
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "docs_assets.h"
#include "routes.h"

#include "common/openapi.h"
#include "common/problem.h"

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

/* ---- what the API says of itself ---- */

/* The tables do not change while the program runs, so each is written once; but again when the API
 * is called by another address, where that is found from the request. */
static struct api describe(struct app *app, const struct request *rq)
{
    struct api api = app_describe(app);
    api.base_path = rq->base;
    if (strcmp(app->shown_base, rq->base) != 0) {
        buf_reset(&app->openapi);
        buf_reset(&app->page);
        (void)snprintf(app->shown_base, sizeof app->shown_base, "%s", rq->base);
    }
    return api;
}

static struct problem *send(const struct buf *document, struct request *rq, struct response *rs)
{
    if (document->full)
        return problem_because(rq->arena, &problem_internal, "the document is over its bound");
    rs->media_type = rq->route->media_type;
    buf_add(&rs->body, document->data, document->len);
    return NULL;
}

static struct problem *openapi(struct app *app, struct request *rq, struct response *rs)
{
    const struct api api = describe(app, rq);
    if (!app->openapi.len)
        openapi_write(&app->openapi, &api);
    return send(&app->openapi, rq, rs);
}

static struct problem *page(struct app *app, struct request *rq, struct response *rs)
{
    const struct api api = describe(app, rq);
    if (!app->page.len)
        docs_write(&app->page, &api, &docs_assets);
    response_header(rs, "Content-Security-Policy", "%s", docs_policy(rq->arena, &docs_assets));
    return send(&app->page, rq, rs);
}

static const struct route routes[] = {
    {METHOD_GET, "/health", health, AUTH_IGNORED, .status = 200, .reply = &status_record,
     .id = "getHealth", .summary = "Tell that the program is alive."},
    {METHOD_GET, "/ready", ready, AUTH_IGNORED, .status = 200, .reply = &status_record,
     .id = "getReady", .summary = "Tell whether the database is reachable and its schema current."},
    {METHOD_GET, "/openapi.json", openapi, AUTH_IGNORED, .status = 200,
     .media_type = JSON_MEDIA_TYPE, .id = "getOpenapi",
     .summary = "Describe the API for programs."},
    {METHOD_GET, "/docs", page, AUTH_IGNORED, .status = 200,
     .media_type = "text/html; charset=utf-8", .id = "getDocs",
     .summary = "Describe the API for people."},
};

const struct resource system_resource =
    RESOURCE("system", "How the service is, and what it offers.", routes);
