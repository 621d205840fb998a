#include "fcgi-app/app.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/problem.h"
#include "common/crypto/jwt.h"
#include "common/crypto/keyring.h"
#include "common/db/db_limits.h"
#include "common/field/config_find.h"
#include "common/http/idempotency.h"
#include "common/process/shm.h"
#include "fcgi-app/accounts/departure_model.h"
#include "fcgi-app/accounts/reset_model.h"
#include "fcgi-app/accounts/session_model.h"
#include "fcgi-app/migrations.h"
#include "fcgi-app/routes.h"
#include "fcgi-app/system/database_model.h"

#define DOCUMENT_MAX ((size_t)8 * 1024 * 1024)

const struct problem_type problem_user_inactive = {
    401, "User not found or inactive", "user_inactive",
    "The account of this token is gone or disabled.", .of_token = true};

static struct problem *authenticate(struct app *app, struct request *rq, const char *token)
{
    struct claims claims;
    struct problem *p =
        jwt_verify(rq->arena, app->keys, token, rq->now.us / 1000000, CLOCK_LEEWAY_S, &claims);
    if (!p)
        rq->caller = (struct caller){.id = claims.subject, .session = claims.session};
    return p;
}

/* One statement finds session and user, so that a logout, a changed role, a disabled and a
 * deleted account take effect at the next request; and with `lock` at the next commit. */
static struct problem *find_caller(struct app *app, struct request *rq, bool lock)
{
    struct arena *a = rq->arena;
    bool found, lives;
    struct problem *p = user_find_with_session(app->db, a, rq->caller.id, rq->caller.session,
                                               rq->now, lock, &app->caller, &found, &lives);
    if (p)
        return p;
    if (!found || !app->caller.is_active)
        return problem(a, &problem_user_inactive, NULL);
    if (!lives)
        return problem(a, &problem_invalid_token, "The session of this token has ended.");
    if (lock && app->verified_hash.data &&
        !text_equal(app->verified_hash, app->caller.password_hash))
        return app_stale(rq);
    rq->caller.known = true;
    rq->caller.admin = app->caller.role == ROLE_ADMIN;
    return NULL;
}

struct problem *app_stale(struct request *rq)
{
    rq->stale = true;
    return problem_because(rq->arena, &problem_unavailable,
                           "the password is replaced again and again");
}

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

static struct problem *open_parts(struct arena *a, const struct settings *settings,
                                  struct shared *shared, bool with_keys, struct app **ret)
{
    struct app *app = arena_alloc(a, sizeof *app);
    struct problem *p = NULL;
    app->settings = settings;
    app->shared = shared ? shared : arena_alloc(a, sizeof *shared);
    begin(app->shared);
    buf_init(&app->openapi, DOCUMENT_MAX);
    buf_init(&app->page, DOCUMENT_MAX);
    if (!address_list_parse(a, settings->trusted_proxies, &app->proxies))
        p = problem_because(a, &problem_internal, "TRUSTED_PROXIES is no list of addresses");
    else if (!settings->database_url.len)
        p = problem_because(a, &problem_internal, "DATABASE_URL is not set");
    else if (with_keys)
        p = open_keys(a, settings, &app->keys);
    if (!p)
        p = db_open(a, settings->database_url.data, &app->db);
    if (p) {
        app_close(app);
        return p;
    }
    db_share(app->db, &app->shared->hosts);
    app->router = (struct router){.resources = resources,
                                  .app = app,
                                  .db = app->db,
                                  .admit = check_place,
                                  .authenticate = authenticate,
                                  .find_caller = find_caller,
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
    buf_release(&app->openapi);
    buf_release(&app->page);
}

void app_handle(void *context, struct request *rq, struct response *rs)
{
    struct app *app = context;
    app->verified_hash = (struct text){0};
    db_limit(app->db, DB_REQUEST_LIMIT_S * 1000);
    request_trust(rq, &app->proxies);
    router_handle(&app->router, rq, rs);
    db_limit(app->db, 0); /* what comes after it is for nobody who waits */
    if (rq->route && (rq->route->flags & ROUTE_IDEMPOTENCY_KEY) && rs->status < 300 &&
        rq->param[PARAM_IDEMPOTENCY_KEY])
        rs->after = app_purge;
    wipe(&app->caller, sizeof app->caller); /* its texts go with the request */
}

void app_rest(void *context)
{
    struct app *app = context;
    db_disconnect(app->db);
}

static void note_failed_purge(const struct problem *p)
{
    if (p) /* somebody tries again */
        LOG(LOG_LEVEL_WARNING, log_event("purge_failed"), log_text("cause", p->cause));
}

static bool sweep(struct app *app, struct arena *a)
{
    app->sweeps = false;
    note_failed_purge(departure_sweep(app->db, a, &app->sweeps));
    return app->sweeps;
}

bool app_sweep(void *context, struct arena *a)
{
    struct app *app = context;
    return app->sweeps && sweep(app, a);
}

void app_purge(void *context, struct request *rq)
{
    struct app *app = context;
    struct problem *p = session_purge(app->db, rq->arena, rq->now);
    if (!p)
        p = reset_purge(app->db, rq->arena, rq->now);
    if (!p)
        p = idempotency_purge(app->db, rq->arena, rq->now);
    note_failed_purge(p);
    if (!p)
        (void)sweep(app, rq->arena); /* who has time goes on with it */
}

struct problem *app_check_schema(struct app *app, struct arena *a)
{
    struct problem *p = database_check(app->db, a);
    return p ? p : migrate_check(app->db, a, migrations, migration_count);
}

struct api app_describe(const struct app *app)
{
    static const struct problem_type *const token_problems[] = {&problem_user_inactive, NULL};
    return (struct api){
        .title = "Postern",
        .version = PACKAGE_VERSION,
        .license = "MIT",
        .description =
            "Users, auth and posts over HTTP. Bodies are JSON in UTF-8, times are RFC 3339 in "
            "UTC, ids are UUIDs. Unknown members and parameters are ignored. Every failure has "
            "one form, `Problem`; clients tell failures apart by its `code`.",
        .base_path = app->settings->base_path.data,
        .resources = resources,
        .app = app,
        .token_problems = token_problems,
    };
}

struct problem *require_owner_or_admin(struct request *rq, const struct uuid *id)
{
    if (rq->caller.known && uuid_equal(&rq->caller.id, id))
        return NULL;
    if (!rq->caller.admin)
        return problem(rq->arena, &problem_forbidden, NULL);
    rq->caller.unless_admin = &problem_forbidden;
    return NULL;
}

struct problem *app_confirm(struct app *app, struct request *rq)
{
    return router_confirm(&app->router, rq);
}

void app_location(const struct request *rq, struct response *rs, const char *collection,
                  const struct uuid *id)
{
    char text[UUID_TEXT_SIZE];
    uuid_format(id, text);
    response_header(rs, "Location", "%s/%s/%s", rq->base, collection, text);
}
