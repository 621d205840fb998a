#include "fcgi-app/app.h"

#include <stdatomic.h>

#include "common/base/log.h"
#include "common/base/problem.h"
#include "common/http/page.h"
#include "common/db/counter_sweep.h"
#include "common/search/build.h"
#include "common/search/merge.h"
#include "common/search/sweep.h"

#define COMPLAIN_S 60

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

/* Once a minute for each worker: it is so for every search until somebody does something. */
static void complain_of_index(struct app *app, const struct list *list, int64_t blobs)
{
    int64_t now = monotonic_ns();
    if (app->complained_at && now - app->complained_at < COMPLAIN_S * INT64_C(1000000000))
        return;
    app->complained_at = now;
    LOG(LOG_LEVEL_ERROR, log_event("search_index_damaged"), log_text("table", list->table),
        log_number("blobs", blobs), log_text("advice", "postern reindex"));
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
    if (!p && total.unreadable)
        complain_of_index(app, list, total.unreadable);
    return p;
}

void app_answer(const struct request *rq, struct response *rs, const void *row)
{
    const struct reply *reply = &rq->route->reply;
    int64_t version =
        *(const int64_t *)record_value(reply->record, record_version(reply->record)->name, row);
    response_etag(rs, version);
    if (request_knows(rq, version))
        rs->status = 304;
    else
        response_record(rs, reply->key, reply->record, row);
}

void app_location(const struct request *rq, struct response *rs, const char *collection,
                  const struct uuid *id)
{
    char text[UUID_TEXT_SIZE];
    uuid_format(id, text);
    response_header(rs, "Location", "%s/%s/%s", rq->base, collection, text);
}

static struct problem *note_backlog(struct app *app, struct arena *a)
{
    struct backlog left = {0};
    struct problem *p = counter_backlog(app->db, a, &left);
    int64_t since_us = instant_now().us - left.age_s * 1000000;
    if (p)
        return p;
    atomic_store_explicit(&app->shared->unswept_since_us, since_us, memory_order_relaxed);
    atomic_store_explicit(&app->shared->unswept_rows, left.count, memory_order_relaxed);
    return NULL;
}

static struct problem *note_indexes(struct app *app, struct arena *a)
{
    struct problem *p = NULL;
    for (size_t i = 0; !p && search_indexes[i]; i++) {
        struct index_state state;
        p = search_look(app->db, a, search_indexes[i], &state);
        if (p)
            break;
        atomic_store_explicit(&app->shared->indexes[i].state,
                              state.is_live ? INDEX_BUILT : INDEX_MISSING, memory_order_relaxed);
        atomic_store_explicit(&app->shared->indexes[i].patch_bytes, state.patch_max,
                              memory_order_relaxed);
        atomic_store_explicit(&app->shared->indexes[i].lost_blobs, state.lost,
                              memory_order_relaxed);
    }
    return p;
}

bool app_sweep(struct app *app, struct arena *a)
{
    bool more = false, merges = false;
    app->swept_at = monotonic_ns();
    db_limit(app->db, SWEEP_LIMIT_MS);
    const struct sweep_hook hook = search_hook(search_indexes);
    struct problem *p = counter_sweep(app->db, a, &hook, &more);
    if (!p)
        p = search_tend(app->db, a, search_indexes, &merges);
    if (p && !db_is_conflict(p)) /* what another host was faster with is done */
        LOG(LOG_LEVEL_WARNING, log_event("sweep_failed"), log_text("cause", p->cause));
    more = more || merges;
    app->unswept = more ? SWEEP_WRITES : 0; /* after a failure, writes come first */
    p = note_backlog(app, a);
    if (!p)
        p = note_indexes(app, a);
    db_limit(app->db, 0);
    return more && !p;
}
