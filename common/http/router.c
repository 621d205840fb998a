#include "common/http/router.h"

#include <string.h>

#include "common/base/instant.h"
#include "common/base/log.h"
#include "common/base/problem.h"
#include "common/crypto/digest.h"
#include "common/crypto/keyring.h"
#include "common/db/db.h"
#include "common/field/json.h"
#include "common/http/http_problems.h"
#include "common/http/idempotency.h"
#include "common/http/metrics.h"

#define STALE_TRIES 4 /* of a request for which `prepare` read what has changed since */

struct attempt {
    const struct router *router;
    struct request *rq;
    struct response *rs;
    const struct idempotency *key; /* or NULL */
    bool doubted; /* a commit was, and `rs` has the answer of the last run that came as far */
};

/* The chapters follow the picture in router.h. */

/* ---- path and method ---- */

/* Can the segment be an id? Not if it is empty, `.` or `..`. */
static bool is_name(const char *segment, size_t len)
{
    return len > 2 || (len > 0 && strncmp(segment, "..", len) != 0);
}

/* A segment in the place of an id. What is no UUID names nothing, just as an unknown id does. If
 * `lax`, it becomes a new id, so that all checks and handlers answer as for an unknown one. */
static bool read_id(const struct request *rq, const char *segment, size_t len, bool lax,
                    struct uuid *ret)
{
    if (uuid_parse(segment, len, ret))
        return true;
    if (lax && is_name(segment, len))
        *ret = uuid_make(rq->now);
    return lax && is_name(segment, len);
}

/* Compare the path with a route's, segment by segment; fills `ids` from its `{…}`s. */
static bool path_matches(const struct request *rq, const char *pattern, bool lax, struct uuid *ids)
{
    const char *path = rq->path;
    size_t id = 0;
    while (*pattern && *path) {
        size_t want = strcspn(pattern + 1, "/") + 1, have = strcspn(path + 1, "/") + 1;
        if (pattern[1] == '{') {
            if (id == PATH_IDS_MAX || !read_id(rq, path + 1, have - 1, lax, &ids[id++]))
                return false;
        } else if (want != have || memcmp(pattern, path, want) != 0) {
            return false;
        }
        pattern += want;
        path += have;
    }
    return !*pattern && !*path;
}

/* Is the caller on this machine? Nobody who came through a proxy is, wherever that runs. */
static bool is_local(const struct request *rq)
{
    return address_is_local(&rq->client) && !request_param(rq, "HTTP_X_FORWARDED_FOR") &&
           !request_param(rq, "HTTP_FORWARDED") && !request_param(rq, "HTTP_VIA");
}

static bool is_there(const struct router *router, const struct request *rq,
                     const struct route *route)
{
    return (!route->enabled || route->enabled(router->app)) &&
           (!(route->flags & ROUTE_LOOPBACK_ONLY) || is_local(rq));
}

/* Find the route for path and method; `*ret_methods` are those that the path has at all. */
static const struct route *match(const struct router *router, struct request *rq, bool lax,
                                 unsigned *ret_methods)
{
    unsigned asked = rq->method == METHOD_HEAD ? METHOD_GET : rq->method;
    const struct route *found = NULL;
    *ret_methods = 0;
    for (const struct resource *const *at = router->resources; *at; at++) {
        for (size_t i = 0; i < (*at)->count; i++) {
            const struct route *route = &(*at)->routes[i];
            struct uuid ids[PATH_IDS_MAX];
            if (!path_matches(rq, route->path, lax, ids) || !is_there(router, rq, route))
                continue;
            *ret_methods |= route->method;
            if (route->method == asked) {
                memcpy(rq->path_ids, ids, sizeof ids);
                found = route;
            }
        }
    }
    if (*ret_methods & METHOD_GET)
        *ret_methods |= METHOD_HEAD;
    return found;
}

/* Path and method. Without a problem, `rq->route` stays NULL where OPTIONS was answered. */
static struct problem *find_route(const struct router *router, struct request *rq,
                                  struct response *rs, unsigned *ret_methods)
{
    *ret_methods = 0;
    rq->route = rq->path ? match(router, rq, false, ret_methods) : NULL;
    if (rq->path && *ret_methods == 0)
        rq->route = match(router, rq, true, ret_methods);
    if (*ret_methods == 0)
        return problem(rq->arena, &problem_not_found, NULL);
    *ret_methods |= METHOD_OPTIONS;
    if (rq->route)
        return NULL;
    if (rq->method != METHOD_OPTIONS)
        return problem(rq->arena, &problem_method_not_allowed, NULL);
    rs->status = 204;
    response_header(rs, "Allow", "%s", method_list(rq->arena, *ret_methods));
    return NULL;
}

/* ---- who calls ---- */

/* Is this refusal of a token none, because the request may go on without? */
static bool is_none(const struct request *rq, const struct problem *p)
{
    return (rq->route->flags & ROUTE_BAD_TOKEN_IS_NONE) && p->type->of_token;
}

static struct problem *check_token(const struct router *router, struct request *rq)
{
    enum auth auth = rq->route->auth;
    if (auth == AUTH_NONE)
        return NULL;
    const char *token = request_bearer(rq);
    if (!token)
        return auth == AUTH_OPTIONAL ? NULL : problem(rq->arena, &problem_no_token, NULL);
    struct problem *p = router->authenticate(router->app, rq, token);
    rq->expired =
        p && p->type == &problem_token_expired && (rq->route->flags & ROUTE_OUTLIVES_TOKEN);
    if (rq->expired || (p && is_none(rq, p)))
        return NULL;
    if (!p)
        rq->caller.named = true;
    return p;
}

/* Is the caller looked up within the transaction? Without one nothing holds the lock. */
static bool is_found_later(const struct route *route)
{
    return (route->flags & ROUTE_LOCKS_CALLER) && (route->flags & ROUTE_TRANSACTION);
}

/* The key of a request that is carried out once per key, or NULL. */
static const char *key_of(const struct request *rq)
{
    return (rq->route->flags & ROUTE_IDEMPOTENCY_KEY) ? rq->param[PARAM_IDEMPOTENCY_KEY] : NULL;
}

static struct problem *find_caller(const struct router *router, struct request *rq, bool lock)
{
    if (!rq->caller.named)
        return NULL;
    struct problem *p = router->find_caller ? router->find_caller(router->app, rq, lock) : NULL;
    if (p && is_none(rq, p)) {
        rq->stale = lock; /* it counted as one before: the request begins again, without */
        rq->caller = (struct caller){0};
        return lock ? p : NULL;
    }
    if (p)
        return p;
    if (route_auth(rq->route, router->app) == AUTH_ADMIN)
        rq->caller.refusal_unless_admin = &problem_admin_required;
    if (rq->caller.refusal_unless_admin && !rq->caller.admin)
        return problem(rq->arena, rq->caller.refusal_unless_admin, NULL);
    rq->confirmed = lock;
    return NULL;
}

struct problem *router_confirm(const struct router *router, struct request *rq)
{
    return rq->confirmed ? NULL : find_caller(router, rq, true);
}

static struct problem *count_request_of(const struct router *router, struct request *rq)
{
    if (!rq->route->limits || rq->counted || !router->limit)
        return NULL;
    struct problem *p = router->limit(router->app, rq);
    rq->counted = !p;
    return p;
}

/* ---- what is asked, and the work before the transaction ---- */

static struct problem *read_query(struct request *rq)
{
    const struct record *r = rq->route->query;
    if (!r)
        return NULL;
    void *asked = arena_alloc(rq->arena, r->size);
    rq->query = asked;
    return record_from_query(rq->arena, r, rq->raw_query, asked, &rq->query_given);
}

/* Has the body set what only admins may? Then router_confirm() must find an admin, too. */
static void note_role(struct request *rq)
{
    const struct record *r = rq->route->body;
    for (size_t i = 0; i < r->count; i++)
        if ((rq->body_given & ((field_set)1 << i)) &&
            !field_lets_in(&r->fields[i], rq->route->mode, RANK_USER))
            rq->caller.refusal_unless_admin = &problem_admin_required;
}

/* The answer says which encoding would do (RFC 9110 section 12.5.3). */
static struct problem *refuse_encoding(struct request *rq)
{
    struct problem *p = problem(rq->arena, &problem_not_json, "The body has a Content-Encoding.");
    p->header = "Accept-Encoding";
    p->value = "identity";
    return p;
}

/* Of the caller, towards what the path names first. */
static enum rank rank_of(const struct request *rq)
{
    if (!rq->caller.admin)
        return RANK_USER;
    return uuid_equal(&rq->path_ids[0], &rq->caller.id) ? RANK_ADMIN_OWN : RANK_ADMIN;
}

static struct problem *read_body(const struct router *router, struct request *rq)
{
    const struct route *route = rq->route;
    struct arena *a = rq->arena;
    const struct json *document;
    if (!route->body)
        return NULL;
    void *in = arena_alloc(a, route->body->size);
    rq->body = in;
    if ((route->flags & ROUTE_BODY_OPTIONAL) && !rq->content_length)
        return NULL;
    if (rq->content_length && !request_is_json(rq))
        return problem(a, &problem_not_json, NULL);
    if (rq->content_length && request_is_encoded(rq))
        return refuse_encoding(rq);
    if (rq->too_large)
        return problem(a, &problem_too_large, NULL);
    if (rq->raw_body.len < rq->content_length)
        return problem(a, &problem_bad_json, "The body ended before its announced length.");
    struct problem *p =
        json_parse(a, rq->raw_body.data ? rq->raw_body.data : "", rq->raw_body.len, &document);
    if (p)
        return p;
    p = record_from_json(a, route->body, document, route->mode, rank_of(rq), route->missing_problem,
                         in, &rq->body_given);
    if (route->judge_body)
        p = route->judge_body(router->app, rq, p);
    note_role(rq);
    return p;
}

/* Key and body become what is stored: nothing of either can be read there. */
/* What must be the same for an answer to be given again: the ids of the path, and the body. */
static struct text repeated_part(const struct request *rq)
{
    size_t ids = 0;
    for (const char *at = rq->route->path; (at = strchr(at, '{')); at++)
        ids += sizeof *rq->path_ids;
    if (!ids)
        return rq->raw_body;
    char *part = arena_alloc(rq->arena, ids + rq->raw_body.len + 1);
    memcpy(part, rq->path_ids, ids);
    if (rq->raw_body.len)
        memcpy(part + ids, rq->raw_body.data, rq->raw_body.len);
    return (struct text){part, ids + rq->raw_body.len};
}

static struct problem *read_key(const struct router *router, struct request *rq,
                                const struct idempotency **ret)
{
    static const char label[] = "idempotent body";
    const char *key = key_of(rq);
    size_t len = key ? strlen(key) : 0, count = keyring_count(router->keys);
    struct arena *a = rq->arena;
    if (!key)
        return NULL;
    for (size_t i = 0; i < len; i++)
        if (key[i] < '!' || key[i] > '~')
            len = 0;
    if (len < IDEMPOTENCY_KEY_MIN || len > IDEMPOTENCY_KEY_MAX)
        return problem_of_field(a, "Idempotency-Key", FAULT_FORMAT,
                                arena_printf(a, "Must have %d to %d characters from ! to ~.",
                                             IDEMPOTENCY_KEY_MIN, IDEMPOTENCY_KEY_MAX));
    struct idempotency *made = arena_alloc(a, sizeof *made);
    unsigned char(*prints)[32] = arena_array(a, count, sizeof *prints);
    char caller[UUID_TEXT_SIZE];
    uuid_format(&rq->caller.id, caller);
    const char *scope = arena_printf(a, "%s %s %s", caller, rq->route->operation_id, key);
    sha256(scope, strlen(scope), made->id);
    const struct text part = repeated_part(rq);
    for (size_t i = 0; i < count; i++)
        keyring_mac(router->keys, i, label, part.data, part.len, prints[i]);
    made->caller = rq->caller.id;
    made->fingerprints = prints;
    made->fingerprint_count = count;
    *ret = made;
    return NULL;
}

/* All that is asked for, and the work that comes before a transaction. */
static struct problem *read_request(struct attempt *t)
{
    struct request *rq = t->rq;
    struct problem *p = read_query(rq);
    if (!p)
        p = read_body(t->router, rq);
    if (!p)
        p = read_key(t->router, rq, &t->key);
    if (!p && rq->route->prepare)
        p = rq->route->prepare(t->router->app, rq);
    return p;
}

/* ---- at once ---- */

static void set_status(struct attempt *t)
{
    if (t->rs->status == 0)
        t->rs->status = route_status(t->rq->route);
}

static bool is_tried_at_once(const struct request *rq)
{
    return rq->route->at_once && is_found_later(rq->route) && rq->route->auth != AUTH_ADMIN &&
           !key_of(rq);
}

static struct problem *call_at_once(struct attempt *t, bool *ret_done)
{
    struct request *rq = t->rq;
    *ret_done = false;
    if (!is_tried_at_once(rq))
        return NULL;
    struct problem *p = rq->route->at_once(t->router->app, rq, t->rs, ret_done);
    if (p || !*ret_done)
        return p;
    rq->caller.known = rq->caller.named;
    set_status(t);
    return NULL;
}

/* ---- the transaction ---- */

static struct problem *run_handler(void *context)
{
    struct attempt *t = context;
    struct problem *p = t->rq->route->handle(t->router->app, t->rq, t->rs);
    if (!p)
        set_status(t);
    return p;
}

/* If an answer is stored under the key, it is replayed and the handler does not run. */
static struct problem *run_once_per_key(struct attempt *t)
{
    struct db *db = t->router->db;
    struct arena *a = t->rq->arena;
    bool replayed = false;
    struct problem *p = router_confirm(t->router, t->rq); /* callers are locked before keys */
    if (!p)
        p = idempotency_begin(db, a, t->key, t->rq->now, t->rs, &replayed);
    if (p || replayed)
        return p;
    p = run_handler(t);
    if (p)
        return p;
    return t->rs->refusal ? idempotency_delete(db, a, t->key)
                          : idempotency_finish(db, a, t->key, t->rs);
}

/* What the handler did, or a stored answer that is replayed, is only for a caller who may still
 * call at the end. */
static struct problem *run_once(struct attempt *t)
{
    struct request *rq = t->rq;
    rq->confirmed = rq->stale = false;
    struct problem *p = is_found_later(rq->route) ? find_caller(t->router, rq, true) : NULL;
    if (!p)
        p = t->key ? run_once_per_key(t) : run_handler(t);
    return p ? p : router_confirm(t->router, rq);
}

/* The write of the run whose commit was in doubt may stand after all, and a later run then fails
 * because of it. So what the former has left, its answer and rq->prepared, stays until another run
 * comes as far. */
static struct problem *run_after_doubt(struct attempt *t)
{
    struct response earlier = *t->rs;
    void *prepared = t->rq->prepared;
    response_init(t->rs);
    struct problem *p = run_once(t);
    if (!p) {
        response_release(&earlier);
        return NULL;
    }
    response_release(t->rs);
    *t->rs = earlier;
    t->rq->prepared = prepared;
    return p;
}

static struct problem *run_transaction(void *context)
{
    struct attempt *t = context;
    if (t->doubted)
        return run_after_doubt(t);
    response_reset(t->rs);
    return run_once(t);
}

static struct problem *resolve_in_doubt(void *context, bool *ret_yes)
{
    struct attempt *t = context;
    t->doubted = true;
    return t->rq->route->in_doubt(t->router->app, t->rq, ret_yes);
}

static struct problem *call(struct attempt *t)
{
    const struct route *route = t->rq->route;
    bool done;
    struct problem *p = call_at_once(t, &done);
    if (!p && !done)
        p = (route->flags & ROUTE_TRANSACTION)
                ? db_transaction(t->router->db, t->rq->arena, run_transaction,
                                 route->in_doubt ? resolve_in_doubt : NULL, t)
                : run_handler(t);
    return p ? p : t->rs->refusal;
}

/* ---- one try, and the next ---- */

static struct problem *dispatch_once(const struct router *router, struct request *rq,
                                     struct response *rs)
{
    struct attempt t = {.router = router, .rq = rq, .rs = rs};
    bool later = is_found_later(rq->route);
    struct problem *p = check_token(router, rq);
    if (!p && !later)
        p = find_caller(router, rq, false);
    if (p)
        return p;
    p = count_request_of(router, rq);
    if (!p)
        p = read_request(&t);
    if (p && later) { /* what is wrong with a request is told to those who may make it */
        struct problem *refused = find_caller(router, rq, false);
        return refused ? refused : p;
    }
    return p ? p : call(&t);
}

static struct problem *dispatch(const struct router *router, struct request *rq,
                                struct response *rs)
{
    struct problem *p;
    for (unsigned tries = 1;; tries++) {
        p = dispatch_once(router, rq, rs);
        if (!p || !rq->stale || tries == STALE_TRIES)
            break;
        rq->caller = (struct caller){0};
        rq->body_given = rq->query_given = 0;
        rq->stale = false;
    }
    if (!p && (rs->body.full || rs->headers.full))
        p = problem_because(rq->arena, &problem_internal, "the answer is larger than its buffer");
    return p;
}

/* ---- what every answer has ---- */

static void log_problem(const struct request *rq, const struct problem *p)
{
    if (!p->cause)
        return;
    LOG(p->type->status >= 500 ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, log_event("problem"),
        log_text("request_id", rq->id), log_number("status", p->type->status),
        log_text("code", p->type->code), log_text("cause", p->cause));
}

static void add_cache_control(const struct router *router, const struct request *rq,
                              struct response *rs)
{
    const char *prefix = router->no_store;
    bool is_for_all = rq->route && rq->route->auth == AUTH_NONE;
    if (prefix && (!rq->path || strncmp(rq->path, prefix, strlen(prefix)) == 0))
        response_header(rs, "Cache-Control", "no-store");
    else if (!is_for_all && request_is_private(rq))
        response_header(rs, "Cache-Control", "private, no-cache");
    /* What can be read depends on who asks, and so does that it is not there: a draft is 404 to
     * strangers. */
    if (rq->route && !is_for_all && rq->route->method == METHOD_GET)
        response_header(rs, "Vary", "Authorization, Cookie");
}

/* Of the body, bytes. */
static size_t length_sent(const struct request *rq, const struct response *rs)
{
    return status_has_content(rs->status) && rq->method != METHOD_HEAD ? rs->body.len : 0;
}

static void log_request(const struct request *rq, const struct response *rs, int64_t took_us)
{
    char user[UUID_TEXT_SIZE];
    uuid_format(&rq->caller.id, user);
    LOG(LOG_LEVEL_INFO, log_event("request"), log_text("request_id", rq->id),
        log_text("method", rq->param[PARAM_METHOD]),
        log_text("route", rq->route ? rq->route->path : NULL), log_number("status", rs->status),
        log_number("duration_us", took_us), log_text("user", rq->caller.known ? user : NULL),
        log_number("bytes", (int64_t)length_sent(rq, rs)));
}

/* From 1 on, in the order of the tables; 0 for none. */
static size_t number_of(const struct resource *const *resources, const struct route *route)
{
    size_t number = 0;
    for (; route && *resources; resources++) {
        for (size_t i = 0; i < (*resources)->count; i++) {
            number++;
            if (&(*resources)->routes[i] == route)
                return number;
        }
    }
    return 0;
}

/* What the database takes after the answer is counted with the next request. */
static void count_database(struct metrics *m, struct db *db)
{
    const struct db_counts counts = db_take_counts(db);
    metrics_add(m, METRIC_DATABASE_NS, counts.waited_ns);
    metrics_add(m, METRIC_DATABASE_STATEMENTS, counts.statements);
    metrics_add(m, METRIC_DATABASE_RETRIES, counts.retries);
    metrics_add(m, METRIC_DATABASE_RECONNECTS, counts.reconnects);
    metrics_add(m, METRIC_DATABASE_FAILED_CONNECTS, counts.failed_connects);
}

static void count_request(const struct router *router, const struct request *rq,
                          const struct response *rs, int64_t took_us)
{
    const struct metrics_request counted = {.route = number_of(router->resources, rq->route),
                                            .method = rq->method,
                                            .status = rs->status,
                                            .bytes = length_sent(rq, rs),
                                            .duration_us = (uint64_t)took_us};
    metrics_count_request(router->metrics, &counted);
    if (router->db)
        count_database(router->metrics, router->db);
}

/* Of what was done, nothing shows. */
static void postpone(const struct request *rq, struct response *rs)
{
    response_reset(rs);
    rs->status = problem_unavailable.status;
    rs->postponed = route_takes_hash(rq->route) ? POSTPONED_HASH : POSTPONED_READ;
}

void router_handle(const struct router *router, struct request *rq, struct response *rs)
{
    int64_t began = rq->came ? rq->came : monotonic_ns();
    unsigned methods = 0;
    response_reset(rs);
    struct problem *p = router->admit ? router->admit(router->app, rq) : NULL;
    if (!p)
        p = find_route(router, rq, rs, &methods);
    if (!p && route_takes_hash(rq->route) && router->admit_hash)
        p = router->admit_hash(router->app, rq);
    if (!p && rq->route)
        p = dispatch(router, rq, rs);
    if (p && p->retry == RETRY_LATER && rq->may_wait) {
        postpone(rq, rs);
        return;
    }
    if (p) {
        log_problem(rq, p);
        response_problem(rs, rq, p, router->form);
    }
    if (p && p->type == &problem_method_not_allowed)
        response_header(rs, "Allow", "%s", method_list(rq->arena, methods));
    add_cache_control(router, rq, rs);
    int64_t took_us = (monotonic_ns() - began) / 1000;
    if (router->metrics)
        count_request(router, rq, rs, took_us);
    if (!router->quiet)
        log_request(rq, rs, took_us);
}

struct names {
    struct metrics_name list[METRICS_ROUTES];
    size_t count;
};

static void note_name(void *context, const struct resource *resource, const struct route *route)
{
    struct names *names = context;
    (void)resource;
    if (names->count < METRICS_ROUTES)
        names->list[names->count++] = (struct metrics_name){route->method, route->path};
}

void router_write_metrics(const struct router *router, struct buf *b)
{
    struct names names = {.count = 0};
    router_each(router->resources, note_name, &names);
    metrics_write(b, router->metrics, names.list, names.count);
}

/* ---- the tables ---- */

void router_each(const struct resource *const *resources,
                 void (*each)(void *context, const struct resource *resource,
                              const struct route *route),
                 void *context)
{
    for (; *resources; resources++)
        for (size_t i = 0; i < (*resources)->count; i++)
            each(context, *resources, &(*resources)->routes[i]);
}

bool route_takes_hash(const struct route *route)
{
    return route && route->flags & ROUTE_HASH_POOL;
}

enum auth route_auth(const struct route *route, const struct app *app)
{
    return route->for_admins && route->for_admins(app) ? AUTH_ADMIN : route->auth;
}

int route_status(const struct route *route)
{
    const struct reply *reply = &route->reply;
    if (route->status)
        return route->status;
    return reply->members || reply->record || reply->media_type ? 200 : 204;
}

struct problem *in_doubt_repeat(struct app *app, struct request *rq, bool *ret_yes)
{
    (void)app, (void)rq;
    *ret_yes = false;
    return NULL;
}

/* FNV-1a, of 32 bits. */
static void mix(uint32_t *hash, unsigned char byte)
{
    *hash = (*hash ^ byte) * 16777619U;
}

static void mix_route(void *context, const struct resource *resource, const struct route *route)
{
    (void)resource;
    mix(context, (unsigned char)route->method);
    for (const char *c = route->path; *c; c++)
        mix(context, (unsigned char)*c);
}

uint32_t router_fingerprint(const struct resource *const *resources)
{
    uint32_t hash = 2166136261U;
    router_each(resources, mix_route, &hash);
    return hash;
}
