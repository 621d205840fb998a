#include "fcgi-app/worker.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/base/problem.h"
#include "common/crypto/keyring.h"
#include "common/db/db_limits.h"
#include "common/field/config_find.h"
#include "common/process/shm.h"
#include "fcgi-app/accounts/caller.h"
#include "fcgi-app/accounts/purge.h"
#include "fcgi-app/accounts/user_model.h"
#include "fcgi-app/routes.h"

#define WRITES (METHOD_POST | METHOD_PUT | METHOD_PATCH | METHOD_DELETE)
#define DOCUMENT_MAX ((size_t)8 * 1024 * 1024)
#define NS_PER_S INT64_C(1000000000)
/* A hash takes less. One whose worker is killed, or who then waits for the database, keeps the
 * others out for no longer: they wait for PEERS_POSTPONED_S in all. */
#define HASH_TURN_S 1

/* Where the web server would hand the configuration out, should its own rules fail. It tells which
 * folder that is only with a request; and the file may have been moved or copied there since it was
 * read. */
static struct problem *check_place(struct app *app, struct request *rq)
{
    static const char *const names[] = {"DOCUMENT_ROOT", "CONTEXT_DOCUMENT_ROOT"};
    if (!app->config_path)
        return NULL;
    const char *const paths[] = {app->config_path,
                                 config_nearest(rq->arena, app->program, "postern.conf")};
    for (size_t i = 0; i < 2 * sizeof names / sizeof *names; i++) {
        const char *root = request_param(rq, names[i / 2]), *path = paths[i % 2];
        if (root && *root && path && config_is_below(path, root))
            return problem_because(rq->arena, &problem_unavailable,
                                   "%s lies in the document root %s: move it above that folder",
                                   path, root);
    }
    return NULL;
}

/* Of those that we may run on. */
static unsigned half_of_processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) / 2 : 1;
}

/* For router.admit_hash. */
static struct problem *admit_hash(struct app *app, struct request *rq)
{
    const int64_t until = monotonic_ns() + HASH_TURN_S * NS_PER_S;
    if (gate_enter(&app->hash_place, &app->shared->hash_gate, app->hash_limit, rq->came, until))
        return NULL;
    struct problem *p = problem_because(rq->arena, &problem_unavailable,
                                        "too many requests wait for a password hash");
    p->retry = RETRY_LATER;
    return p;
}

static void leave_hash(struct app *app, const struct request *rq)
{
    struct gate *gate = &app->shared->hash_gate;
    if (!route_takes_hash(rq->route))
        gate_note_other(gate);
    lease_end(&app->hash_place, gate->places);
}

static void begin(struct shared *shared)
{
    int64_t none = 0;
    atomic_compare_exchange_strong(&shared->began_us, &none, instant_now().us);
    limiter_begin(&shared->limiter, boot_number());
}

/* Numbers of routes mean nothing to a program with other tables. */
static uint32_t layout(void)
{
    return SHARED_LAYOUT ^ router_fingerprint(resources);
}

struct problem *app_share(struct arena *a, const struct settings *settings, int *fd,
                          struct shared **ret)
{
    const char *path = settings->state_file.len ? settings->state_file.data : NULL;
    void *at;
    struct problem *p = shm_map(a, path, layout(), sizeof(struct shared), fd, &at);
    if (p)
        return p;
    begin(at);
    *ret = at;
    return NULL;
}

static struct problem *open_keys(struct arena *a, const struct settings *settings,
                                 struct keyring **ret)
{
    if (!settings->jwt_secret_key.len)
        return problem_because(a, &problem_internal,
                               "JWT_SECRET_KEY is not set; `postern secret` makes one");
    return keyring_open(a, settings->jwt_secret_key.data, settings->jwt_previous_keys.data,
                        settings->jwt_issuer.data, ret);
}

/* Half of the workers are there for all else, whatever lists take; without another word as many are
 * slow at a time as hashes are made. A command has the time that its user has. */
static void limit_lists(struct app *app)
{
    const struct settings *s = app->settings;
    const unsigned half = (unsigned)s->workers / 2;
    unsigned few = s->slow_lists ? (unsigned)s->slow_lists : app->hash_limit.few;
    const struct budget_limits budget = {
        .ms = (unsigned)s->list_budget_ms, .places = half, .gate = {few < half ? few : half, half}};
    budget_set(app->db, budget, &app->shared->budget);
}

static struct problem *open_parts(struct arena *a, const struct settings *settings,
                                  struct shared *shared, bool with_keys, struct app **ret)
{
    struct app *app = arena_alloc(a, sizeof *app);
    struct problem *p = NULL;
    app->settings = settings;
    new_password_min = settings->password_min;
    app->mail_wake = -1;
    app->unswept = 1; /* of a worker that is not there any more, perhaps */
    app->shared = shared ? shared : arena_alloc(a, sizeof *shared);
    begin(app->shared);
    buf_init(&app->openapi.text, DOCUMENT_MAX);
    buf_init(&app->page.text, DOCUMENT_MAX);
    if (!address_list_parse(a, settings->trusted_proxies, &app->proxies))
        p = problem_because(a, &problem_internal, "TRUSTED_PROXIES is no list of addresses");
    else if (!settings->database_url.len)
        p = problem_because(a, &problem_internal, "DATABASE_URL is not set");
    else if (with_keys)
        p = open_keys(a, settings, &app->keys);
    if (!p && with_keys && settings->verify_email != VERIFY_EMAIL_OFF &&
        !settings->mail_command.len)
        p = problem_because(a, &problem_internal,
                            "VERIFY_EMAIL is not off, and without MAIL_COMMAND nobody could verify "
                            "an address");
    if (!p)
        p = db_open(a, settings->database_url.data, &app->db);
    if (p) {
        app_close(app);
        return p;
    }
    db_share(app->db, &app->shared->hosts);
    app->hash_limit = (struct gate_limit){half_of_processors(), GATE_PLACES_MAX};
    if (with_keys)
        limit_lists(app);
    app->router = (struct router){.resources = resources,
                                  .app = app,
                                  .db = app->db,
                                  .admit = check_place,
                                  .authenticate = caller_authenticate,
                                  .find_caller = caller_find,
                                  .limit = limits_count,
                                  .admit_hash = admit_hash,
                                  .keys = app->keys,
                                  .form = {.realm = "postern", .types = "/docs#"},
                                  .no_store = "/auth/",
                                  .quiet = !settings->log_requests,
                                  .metrics = &app->shared->metrics};
    *ret = app;
    return NULL;
}

struct problem *app_open(struct arena *a, const struct settings *settings, struct shared *shared,
                         struct app **ret)
{
    return open_parts(a, settings, shared, true, ret);
}

struct problem *app_open_keyless(struct arena *a, const struct settings *settings, struct app **ret)
{
    return open_parts(a, settings, NULL, false, ret);
}

void app_close(struct app *app)
{
    if (!app)
        return;
    db_close(app->db);
    keyring_close(app->keys);
    buf_release(&app->openapi.text);
    buf_release(&app->page.text);
}

/* Of a request's time what its wait for its turn has left; never 0, which would be no limit. */
static unsigned left_ms(const struct request *rq)
{
    const int64_t limit_ms = DB_REQUEST_LIMIT_S * 1000;
    int64_t waited_ms = rq->came ? (monotonic_ns() - rq->came) / 1000000 : 0;
    return waited_ms < limit_ms ? (unsigned)(limit_ms - waited_ms) : 1;
}

void app_handle(void *context, struct request *rq, struct response *rs)
{
    struct app *app = context;
    db_limit(app->db, left_ms(rq));
    budget_begin(app->db, rq->came);
    request_trust(rq, &app->proxies);
    router_handle(&app->router, rq, rs);
    limits_settle(app, rq, rs);
    budget_end(app->db);
    leave_hash(app, rq);
    db_limit(app->db, 0); /* nobody waits for what comes after it */
    app->unswept += rs->status < 300 && rq->method & WRITES;
    if (rq->route && (rq->route->flags & ROUTE_IDEMPOTENCY_KEY) && rs->status < 300 &&
        rq->param[PARAM_IDEMPOTENCY_KEY])
        rs->after = purge_expired;
}

unsigned app_wait_ms(void *context, enum postponed kind, int64_t came)
{
    struct app *app = context;
    if (kind == POSTPONED_HASH)
        return gate_wait_ms(&app->shared->hash_gate, app->hash_limit, came);
    return budget_wait_ms(app->db, came);
}

void app_rest(void *context)
{
    struct app *app = context;
    db_disconnect(app->db);
}

static bool sweep_if_due(struct app *app, struct arena *a)
{
    bool is_due = app->unswept >= SWEEP_WRITES ||
                  (app->unswept && monotonic_ns() - app->swept_at >= SWEEP_S * NS_PER_S);
    return is_due && app_sweep(app, a);
}

bool app_spare(void *context, struct arena *a)
{
    struct app *app = context;
    if (sweep_if_due(app, a))
        return true;
    bool departed = purge_departed(app, a);
    if (departed) /* what has gone is named in the journal, which must not grow by it */
        app->unswept = SWEEP_WRITES;
    return departed;
}
