/* Is the program alive, and able to serve? What does it offer? */
#include <stdio.h>
#include <string.h>

#include "fcgi-app/app.h"
#include "fcgi-app/docs_assets.h"
#include "fcgi-app/routes.h"
#include "fcgi-app/system/database_model.h"

#include "common/process/accept_queue.h"
#include "common/apidoc/openapi.h"
#include "common/base/encode.h"
#include "common/base/problem.h"
#include "common/crypto/digest.h"

#define READY_LIMIT_MS 2000 /* a load balancer waits no longer */

struct status {
    unsigned status; /* there is one */
};

static const char *const status_words[] = {"ok", NULL};

static const struct field status_fields[] = {
    FIELD(struct status, status, .use = FIELD_SHOWN, .choices = status_words,
          .doc = "Always \"ok\"."),
};

static const struct record status_record = RECORD("Status", struct status, status_fields, 0);

static struct problem *health(struct app *app, struct request *rq, struct response *rs)
{
    const struct status ok = {0};
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
        buf_reset(&app->openapi.text);
        buf_reset(&app->page.text);
        (void)snprintf(app->shown_base, sizeof app->shown_base, "%s", rq->base);
    }
    return api;
}

static void make_tag(struct arena *a, struct document *document)
{
    unsigned char hash[32];
    sha256(document->text.data, document->text.len, hash);
    (void)snprintf(document->tag, sizeof document->tag, "\"%s\"", base64url(a, hash, sizeof hash));
}

/* Who has it already is told so: it changes with the release and the settings alone. */
static struct problem *send(struct document *document, struct request *rq, struct response *rs)
{
    const struct buf *text = &document->text;
    if (text->full)
        return problem_because(rq->arena, &problem_internal, "the document is over its bound");
    rs->media_type = rq->route->reply.media_type;
    response_header(rs, "ETag", "%s", document->tag);
    if (request_knows_tag(rq, document->tag))
        rs->status = 304;
    else
        buf_add(&rs->body, text->data, text->len);
    return NULL;
}

static struct problem *openapi(struct app *app, struct request *rq, struct response *rs)
{
    const struct api api = describe(app, rq);
    if (!app->openapi.text.len) {
        openapi_write(&app->openapi.text, &api);
        make_tag(rq->arena, &app->openapi);
    }
    return send(&app->openapi, rq, rs);
}

static struct problem *page(struct app *app, struct request *rq, struct response *rs)
{
    const struct api api = describe(app, rq);
    if (!app->page.text.len) {
        docs_write(&app->page.text, &api, &docs_assets);
        make_tag(rq->arena, &app->page);
    }
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

/* What is gauged a sender has seen when it looked last. */
static void put_mail(struct buf *b, const struct mail_numbers *mail)
{
    static const char messages[] = "postern_mail_messages_total",
                      waiting[] = "postern_mail_waiting", age[] = "postern_mail_waiting_seconds";
    int64_t age_us = mail->oldest_us ? instant_now().us - mail->oldest_us : 0;
    metrics_put_head(b, messages, "counter", "Attempts to send a message, by what became of it.");
    metrics_put(b, messages, "result=\"sent\"", mail->sent);
    metrics_put(b, messages, "result=\"postponed\"", mail->postponed);
    metrics_put(b, messages, "result=\"failed\"", mail->failed);
    metrics_put(b, messages, "result=\"given_up\"", mail->given_up);
    metrics_put_head(b, waiting, "gauge", "Messages that wait to be sent, 1000 at most.");
    metrics_put(b, waiting, NULL, (uint64_t)mail->waiting);
    metrics_put_head(b, age, "gauge", "For how long the oldest of them has waited by now.");
    metrics_put(b, age, NULL, age_us > 0 ? (uint64_t)age_us / 1000000 : 0);
}

static void put_of_indexes(struct buf *b, struct arena *a, const struct shared *shared,
                           const char *name, const char *help,
                           const int64_t values[SEARCH_INDEXES_MAX])
{
    metrics_put_head(b, name, "gauge", help);
    for (size_t i = 0; search_indexes[i]; i++)
        if (shared->indexes[i].state)
            metrics_put(b, name, arena_printf(a, "list=\"%s\"", search_indexes[i]->counter->table),
                        (uint64_t)values[i]);
}

static void put_indexes(struct buf *b, struct arena *a, const struct shared *shared)
{
    int64_t built[SEARCH_INDEXES_MAX], patches[SEARCH_INDEXES_MAX], lost[SEARCH_INDEXES_MAX];
    for (size_t i = 0; i < SEARCH_INDEXES_MAX; i++) {
        built[i] = shared->indexes[i].state == INDEX_BUILT;
        patches[i] = shared->indexes[i].patch_bytes;
        lost[i] = shared->indexes[i].lost_blobs;
    }
    put_of_indexes(b, a, shared, "postern_search_index_built",
                   "Whether there was a search index when a worker looked last.", built);
    put_of_indexes(b, a, shared, "postern_search_patch_bytes",
                   "What the longest of its parts had that changed rows go to.", patches);
    put_of_indexes(b, a, shared, "postern_search_lost_blobs", "Parts of it that could not be read.",
                   lost);
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
    put_indexes(&rs->body, rq->arena, app->shared);
    if (app->settings->mail_command.len)
        put_mail(&rs->body, &app->shared->mail);
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
        .flags = ROUTE_ETAG,
        .operation_id = "getOpenapi",
        .summary = "Describe the API for programs.",
    },
    {
        .method = METHOD_GET,
        .path = "/docs",
        .handle = page,
        .auth = AUTH_NONE,
        .reply = {.media_type = "text/html; charset=utf-8"},
        .flags = ROUTE_ETAG,
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
