/* Is the program alive, and able to serve? What does it offer? */
#include <stdio.h>
#include <string.h>

#include "fcgi-app/app.h"
#include "fcgi-app/docs_assets.h"
#include "fcgi-app/routes.h"
#include "fcgi-app/system/database_model.h"

#include "common/process/accept_queue.h"
#include "common/apidoc/openapi.h"
#include "common/base/problem.h"

#define READY_LIMIT_MS 2000 /* a load balancer waits no longer */

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
    db_limit(app->db, READY_LIMIT_MS);
    struct problem *p = database_check_schema(app->db, rq->arena);
    return p ? p : health(app, rq, rs);
}

/* ---- the description of the API ---- */

/* The tables do not change while the program runs, so each document is written once, and again when
 * the base path, where it is taken from the request, is another. */
static struct api describe(struct app *app, const struct request *rq)
{
    struct api api = routes_describe(app);
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
    rs->media_type = rq->route->reply.media_type;
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

/* ---- metrics ---- */

static struct pool_group group_of(const struct pool_worker *worker, size_t i)
{
    const struct pool_group alone = {.name = "single", .listen_fd = worker->listen_fd};
    return worker->pool ? worker->pool->groups[i] : alone;
}

static bool read_workers(const struct pool_worker *worker, size_t i, unsigned *ret)
{
    *ret = group_of(worker, i).workers;
    return worker->pool != NULL;
}

static bool read_busy(const struct pool_worker *worker, size_t i, unsigned *ret)
{
    if (worker->pool)
        *ret = pool_busy(worker, i);
    return worker->pool != NULL;
}

static bool read_queue(const struct pool_worker *worker, size_t i, unsigned *ret)
{
    return accept_queue_read(group_of(worker, i).listen_fd, ret);
}

/* What is told of each socket, where it is known. */
static const struct {
    const char *name, *help;
    bool (*read)(const struct pool_worker *worker, size_t i, unsigned *ret);
} gauges[] = {
    {"postern_workers", "Workers that a pool keeps.", read_workers},
    {"postern_workers_busy", "Workers that have a request in hand, this one too.", read_busy},
    {"postern_queue_connections", "Connections that wait for a worker.", read_queue},
};

static void put_gauges(struct buf *b, struct arena *a, const struct pool_worker *worker)
{
    size_t groups = worker->pool ? worker->pool->count : 1;
    unsigned value;
    for (size_t kind = 0; kind < sizeof gauges / sizeof *gauges; kind++) {
        metrics_put_head(b, gauges[kind].name, "gauge", gauges[kind].help);
        for (size_t i = 0; i < groups; i++)
            if (gauges[kind].read(worker, i, &value))
                metrics_put(b, gauges[kind].name,
                            arena_printf(a, "pool=\"%s\"", group_of(worker, i).name), value);
    }
}

/* Told from memory: asking the database would keep a connection of an idle pool open. */
static void put_backlog(struct buf *b, const struct shared *shared)
{
    static const char rows[] = "postern_totals_waiting_rows",
                      age[] = "postern_totals_waiting_seconds";
    int64_t waiting = shared->unswept_rows;
    int64_t age_us = waiting ? instant_now().us - shared->unswept_since_us : 0;
    metrics_put_head(b, rows, "gauge",
                     "Changes of totals that waited to be swept when a worker looked last.");
    metrics_put(b, rows, NULL, (uint64_t)waiting);
    metrics_put_head(b, age, "gauge", "For how long the oldest of them has waited by now.");
    metrics_put(b, age, NULL, age_us > 0 ? (uint64_t)age_us / 1000000 : 0);
}

/* Wrong passwords have a metric of their own. */
static void put_refusals(struct buf *b, struct arena *a, struct shared *shared)
{
    static const char limited[] = "postern_limited_total";
    metrics_put_head(
        b, limited, "counter",
        "Requests that came too often, by limit; of mailbox, mails that were not sent.");
    for (int which = 0; which < LIMIT_COUNT; which++)
        if (limits[which].by != LIMIT_BY_GUESS)
            metrics_put(b, limited, arena_printf(a, "limit=\"%s\"", limits[which].name),
                        shared->refused[which]);
}

static struct problem *metrics(struct app *app, struct request *rq, struct response *rs)
{
    static const char began[] = "postern_start_time_seconds", info[] = "postern_build_info",
                      refused[] = "postern_password_tries_refused_total";
    rs->media_type = rq->route->reply.media_type;
    response_header(rs, "Cache-Control", "no-store");
    router_write_metrics(&app->router, &rs->body);
    if (app->worker)
        put_gauges(&rs->body, rq->arena, app->worker);
    metrics_put_head(&rs->body, refused, "counter",
                     "Passwords that were not tried because too many had been wrong.");
    metrics_put(&rs->body, refused, NULL, app->shared->guesses_refused);
    put_refusals(&rs->body, rq->arena, app->shared);
    put_backlog(&rs->body, app->shared);
    metrics_put_head(&rs->body, began, "gauge", "When counting began, in seconds since 1970.");
    metrics_put(&rs->body, began, NULL, (uint64_t)app->shared->began_us / 1000000);
    metrics_put_head(&rs->body, info, "gauge", "The program; its value is always 1.");
    metrics_put(&rs->body, info, "version=\"" PACKAGE_VERSION "\"", 1);
    return NULL;
}

static const struct route routes[] = {
    {
        .method = METHOD_GET,
        .path = "/health",
        .handle = health,
        .auth = AUTH_NONE,
        .reply = {.members = &status_record},
        .operation_id = "getHealth",
        .summary = "Tell that the program is alive.",
    },
    {
        .method = METHOD_GET,
        .path = "/ready",
        .handle = ready,
        .auth = AUTH_NONE,
        .reply = {.members = &status_record},
        .operation_id = "getReady",
        .summary = "Tell whether the database is reachable and will do, and has the schema that is "
                   "needed.",
    },
    {
        .method = METHOD_GET,
        .path = "/openapi.json",
        .handle = openapi,
        .auth = AUTH_NONE,
        .reply = {.media_type = JSON_MEDIA_TYPE},
        .operation_id = "getOpenapi",
        .summary = "Describe the API for programs.",
    },
    {
        .method = METHOD_GET,
        .path = "/docs",
        .handle = page,
        .auth = AUTH_NONE,
        .reply = {.media_type = "text/html; charset=utf-8"},
        .operation_id = "getDocs",
        .summary = "Describe the API for people.",
    },
    {
        .method = METHOD_GET,
        .path = "/metrics",
        .handle = metrics,
        .auth = AUTH_NONE,
        .reply = {.media_type = METRICS_MEDIA_TYPE},
        .flags = ROUTE_LOOPBACK_ONLY,
        .operation_id = "getMetrics",
        .summary = "Tell Prometheus what was counted.",
    },
};

const struct resource system_resource =
    RESOURCE("system", "How the service is, and what it offers.", routes);
