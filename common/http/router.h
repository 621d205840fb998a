/* router.h -- from a table of routes to the handler: matching, access, decoding, transaction.
 *
 * The life of a request, with what is called on the way (`router.` a member of struct router,
 * `route.` a column of struct route):
 *
 *      router_handle()
 *        router.admit             may anything be answered at all?
 *        path, method             404, 405; OPTIONS gets its 204 with Allow and is done
 *        router.admit_hash        with ROUTE_HASH_POOL: do others come first? (5)
 *   +--> router.authenticate      the token by itself: 401
 *   |    router.find_caller       the caller's row: 401, 403 (1)
 *   |    router.limit             too often by network or account: 429 (4)
 *   |    query, body, key         media type, size and fields: 400, 413, 415
 *   |    route.prepare            slow work, before any lock: rq->prepared
 *   |    route.at_once            judges the caller and writes, in one statement (3): all is done,
 *   |                             or nothing, and the transaction tells why
 *   | +->  BEGIN (2)              on an empty response
 *   | |    router.find_caller     with a lock (1)
 *   | |    Idempotency-Key        router_confirm() first; a stored answer stands in for the handler
 *   | |    route.handle           which may call router_confirm() itself
 *   | |    router_confirm()       else now: the caller once more, locked
 *   | +--  COMMIT                 deadlock, lock wait, lost connection before it: runs again
 *   | |      connection lost during it: a commit in doubt
 *   | +----  route.in_doubt       resolves it: it took effect, or the transaction runs again (6)
 *   +--- rq->stale                what `prepare` read has changed: again, 4 tries in all
 *        rs->refusal, a problem   become JSON, with the headers that every answer has
 *        log line, metrics
 *      the server writes the answer
 *        rs->after                work that must not show in the answer's time
 *
 * (1) Once: within the transaction with ROUTE_LOCKS_CALLER and ROUTE_TRANSACTION, else before. With
 *     these, where query, body, key or `prepare` are at fault or there is too much of it, the
 * caller is looked up without a lock: 401 and 403 come before 400 and 429. (2) Only with
 * ROUTE_TRANSACTION; without, `handle` is called alone and nothing runs again. (3) Only with
 * ROUTE_LOCKS_CALLER and ROUTE_TRANSACTION; not with AUTH_ADMIN, nor for a request with an
 * Idempotency-Key, which is stored in the transaction. (4) Only for a route with `limits`, and
 * once, however often the request begins again. Whom the token names is known by then, though with
 * (1) nobody has looked whether they are there. (5) A slow read may say so later, too. A request
 * that may wait is postponed then: nothing is answered, logged or counted, and all begins again
 * when it is its turn. One that may not gets 503. (6) Should the next run fail, `in_doubt` is asked
 * once more; if it took effect after all, the answer is that of the run that wrote it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/field/field.h"
#include "common/http/http_problems.h"
#include "common/http/request.h"
#include "common/http/response.h"

struct app;   /* what the program's handlers share; the router only hands it on */
struct owned; /* and what they serve */
struct db;
struct keyring;
struct metrics;
struct problem;
struct problem_type;

/* Who may call. The zero value asks for a login: a forgotten column is a closed door. */
enum auth {
    AUTH_USER = 0,
    AUTH_ADMIN,
    AUTH_OPTIONAL, /* a token that is sent is checked, and so the caller may be known */
    AUTH_NONE,     /* Authorization is not looked at */
};

/* What is true of a route, one bit each. */
enum route_flag {
    ROUTE_RATE_LIMITED = 1 << 0,     /* nginx lets an address call it only so often */
    ROUTE_PASSWORD_LIMITED = 1 << 1, /* takes a password that may be wrong, but not too often */
    ROUTE_HASH_POOL = 1 << 2,       /* takes the time of a password hash; for the pool of its own */
    ROUTE_IDEMPOTENCY_KEY = 1 << 3, /* takes one; wants ROUTE_TRANSACTION */
    ROUTE_ETAG = 1 << 4,            /* has one, and looks at If-None-Match or If-Match */
    ROUTE_TRANSACTION = 1 << 5,     /* the handler runs in one, and again when it must */
    ROUTE_BODY_OPTIONAL = 1 << 6,
    ROUTE_LOOPBACK_ONLY =
        1 << 7, /* for callers on this machine, and in no description of the API */
    /* The caller is looked up within the transaction, with a lock, and so only once, unless
     * `at_once` comes first. For handlers that do not write the caller's own row. Until the handler
     * runs, rq->caller has the ids alone, and a body is read as from one who is no admin. */
    ROUTE_LOCKS_CALLER = 1 << 8,
    ROUTE_OUTLIVES_TOKEN = 1 << 9, /* a token that has expired counts as none */
    ROUTE_NO_UNDO = 1 << 10, /* cannot be undone, as a DELETE cannot: a page asks before it calls */
    ROUTE_BAD_TOKEN_IS_NONE = 1 << 11, /* and so is one whose user or session is not there */
};

/* What a success answers: an object with `members`, and in it `key` with a `record`, or with
 * `pages` a list of these and its pagination. All zero: no content. `media_type` is of what is no
 * JSON. */
struct reply {
    const struct record *members;
    const char *key;
    const struct record *record;
    bool pages;
    const char *media_type;
};

#define ONE(key_, record_)                                                                         \
    {                                                                                              \
        .key = (key_), .record = (record_)                                                         \
    }
#define MANY(record_)                                                                              \
    {                                                                                              \
        .record = (record_), .pages = true                                                         \
    }

/* One operation. Rows name their columns in this order and leave out what is zero. */
struct route {
    enum method method;
    /* Below the base path. `{id}` stands for a UUID; a segment that is none counts as an unknown
     * id. */
    const char *path;
    struct problem *(*handle)(struct app *app, struct request *rq, struct response *rs);
    enum auth auth;
    const struct record *query;                 /* NULL: none is read */
    const struct record *body;                  /* NULL: none is read */
    enum record_mode mode;                      /* how the body is read */
    const struct problem_type *missing_problem; /* instead of problem_missing_fields */
    /* What is wrong with a body that its table cannot tell, beside what that has told: `p`, or NULL
     * where nothing was. problem_with_fault() adds to it. */
    struct problem *(*judge_body)(struct app *app, const struct request *rq, struct problem *p);
    /* Slow work before the transaction, and ids of what is going to be made; sets rq->prepared.
     * What it read the handler must compare again under a lock; if it has changed, the handler sets
     * rq->stale. */
    struct problem *(*prepare)(struct app *app, struct request *rq);
    /* Resolves an in-doubt commit (see db_transaction()): did the write of the earlier try take
     * effect? Must read with a lock. NULL: it stays in doubt, and the caller gets a 503. */
    struct problem *(*in_doubt)(struct app *app, struct request *rq, bool *ret_yes);
    /* The same write with the same answer, in one statement that commits itself (see
     * db_execute_atomic()) and judges the caller as find_caller() with a lock does; rq->caller has
     * the ids alone. When they may not call `*ret_done` is false and nothing is written: then the
     * transaction finds out what to answer. NULL: always the transaction. */
    struct problem *(*at_once)(struct app *app, struct request *rq, struct response *rs,
                               bool *ret_done);
    struct reply reply;
    /* A handler may set the status 202 instead and write these members: it is not done yet. */
    const struct record *accepted;
    int status;      /* of success; 0: 200 with a reply, else 204 */
    unsigned flags;  /* of enum route_flag */
    unsigned limits; /* how often it may be called: a set of router.limit's own */
    const struct problem_type *const *problems; /* what else it may answer, NULL at the end */
    /* Is it there at all with these settings? NULL: always. */
    bool (*enabled)(const struct app *app);
    /* Is it as with AUTH_ADMIN with these settings? NULL: never. With AUTH_USER. */
    bool (*for_admins)(const struct app *app);
    const struct owned *owned; /* for handlers that serve more than one table; or NULL */
    const char *operation_id;  /* a stable word for what it does: "listPosts" */
    const char *summary;       /* one sentence */
};

/* For the column `problems`. */
#define PROBLEMS(...) ((const struct problem_type *const[]){__VA_ARGS__, NULL})

/** Does a request take the time of a password hash? Not one without a route. */
bool route_takes_hash(const struct route *route);

/** Who may call it with the settings of `app`. */
enum auth route_auth(const struct route *route, const struct app *app);

/** The status of its success. */
int route_status(const struct route *route);

/* The routes of one controller. */
struct resource {
    const char *name;
    const char *doc; /* one sentence */
    const struct route *routes;
    size_t count;
};

#define RESOURCE(name_, doc_, routes_)                                                             \
    {                                                                                              \
        (name_), (doc_), (routes_), sizeof(routes_) / sizeof *(routes_)                            \
    }

struct router {
    const struct resource *const *resources; /* NULL at the end */
    struct app *app;
    struct db *db; /* for routes with a transaction */
    /* May a request be answered at all? Asked before everything else; NULL: all may. */
    struct problem *(*admit)(struct app *app, struct request *rq);
    /* Fill rq->caller from what a token says by itself, or say why not. */
    struct problem *(*authenticate)(struct app *app, struct request *rq, const char *token);
    /* Look up whom the token names, and see whether they may still call: fills the rest of
     * rq->caller. With `lock`, so that it stays so until the transaction ends. NULL: what
     * `authenticate` says is all there is to know. */
    struct problem *(*find_caller)(struct app *app, struct request *rq, bool lock);
    /* Count a request to a route with `limits`, or say that it comes too often; NULL: all may. */
    struct problem *(*limit)(struct app *app, struct request *rq);
    /* May a request to a route with ROUTE_HASH_POOL go on now? Asked when its path is known; with
     * RETRY_LATER if others come first. NULL: all may. */
    struct problem *(*admit_hash)(struct app *app, struct request *rq);
    const struct keyring *keys; /* for fingerprints of bodies */
    struct problem_form form;
    const char *no_store;    /* paths that begin so are never cached; NULL: none */
    bool quiet;              /* no line per request in the log */
    struct metrics *metrics; /* counts requests and what the database took; or NULL */
};

/**
 * Answer `rq` in `rs`, whatever it is, in the order of the picture above.
 *
 * HEAD is handled as GET. Failures become the JSON of response_problem(); their causes, and one
 * line per request, go to the log.
 */
void router_handle(const struct router *router, struct request *rq, struct response *rs);

/**
 * Within a write's transaction: may the caller still do what was judged before it?
 *
 * Caller and session are read again and stay locked, shared, until the transaction ends; 401 or 403
 * when they are gone, have ended, or are no admin any more where being one has counted. The router
 * asks after each handler; a handler asks itself, once and earlier, where it is going to end the
 * caller's own session, rank or account, or where its locks would come in another order: active
 * admins by their ids, other users, sessions, and all else. Nothing is done for a request without a
 * caller.
 */
struct problem *router_confirm(const struct router *router, struct request *rq) MUST_USE;

/** Write what the router has counted in `metrics` (metrics.h), with the routes' own paths. */
void router_write_metrics(const struct router *router, struct buf *b);

/** A number for these routes in this order; another table most likely has another one. */
uint32_t router_fingerprint(const struct resource *const *resources);

/** For the column `in_doubt` of routes whose handler may run twice with the same effect: always
 *  `no`, so that the transaction runs again. */
struct problem *in_doubt_repeat(struct app *app, struct request *rq, bool *ret_yes);

/** Call `each(context, resource, route)` for all routes, in the order of the tables. */
void router_each(const struct resource *const *resources,
                 void (*each)(void *context, const struct resource *resource,
                              const struct route *route),
                 void *context);
