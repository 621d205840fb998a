/* app.h -- what one worker holds: settings, database, keys, and the way from a token to its user.
 */
#pragma once

#include "common/http/address.h"
#include "common/apidoc/api.h"
#include "common/base/buf.h"
#include "common/db/db.h"
#include "common/process/limiter.h"
#include "common/http/metrics.h"
#include "common/process/pool.h"
#include "common/http/router.h"
#include "fcgi-app/settings.h"
#include "fcgi-app/accounts/user_model.h"

struct keyring;

/* What the workers of a pool count together, and those that replace them after a reload. */
struct shared {
    struct limiter limiter; /* first, and so at the beginning of a cache line */
    struct metrics metrics;
    _Atomic uint64_t guesses_refused; /* with 429, see guess.h */
    _Atomic int64_t began_us;         /* when it was new, as in struct instant */
    struct db_hosts hosts;
};
#define SHARED_LAYOUT 5 /* another one whenever the struct means something else */

struct app {
    const struct settings *settings;
    struct shared *shared;
    const char *config_path; /* no request is answered that could be for this file; or NULL */
    const char *program;     /* where such a file would be found from; NULL where that is */
    const struct pool_worker *worker; /* what we are in a pool; NULL: nothing is known of it */
    struct db *db;
    struct keyring *keys;
    struct address_list proxies; /* that are trusted */
    struct router router;
    struct buf openapi, page;   /* made when first asked for, then kept */
    char shown_base[BASE_SIZE]; /* by these two */
    struct user caller;         /* the row behind rq->caller, while a request with a token runs */
    /* The hash that the caller's password has been found to match, which must be theirs still when
     * the write is made; null where no password counts. Lives as long as the request. */
    struct text verified_hash;
    bool sweeps; /* there is more for app_sweep() */
};

extern const struct problem_type problem_user_inactive;

/**
 * Map what all workers share: the file STATE_FILE, or memory without a name, whose descriptor is
 * `*fd` (-1 for new memory) and is left there.
 */
struct problem *app_share(struct arena *a, const struct settings *settings, int *fd,
                          struct shared **ret) MUST_USE;

/**
 * Open what a worker needs, without connecting yet. `settings` and `shared` must outlive the app;
 * with NULL for `shared` it counts for itself. INTERNAL with the reason in `cause` for a bad key or
 * database URL.
 */
struct problem *app_open(struct arena *a, const struct settings *settings, struct shared *shared,
                         struct app **ret) MUST_USE;

/** The same for a command, which answers no request: it needs no key, and `keys` stays NULL. */
struct problem *app_open_keyless(struct arena *a, const struct settings *settings,
                                 struct app **ret) MUST_USE;

/** NULL does nothing. */
void app_close(struct app *app);

/** Answer one request; the form that server.h wants. `context` is the app. */
void app_handle(void *context, struct request *rq, struct response *rs);

/** Let go of the database until it is needed again. `context` is the app. */
void app_rest(void *context);

/** Delete a few rows whose time is over, and some of users who left. To be left in `after` of a
 *  response whose request made a row of that kind, so that they never pile up. */
void app_purge(void *app, struct request *rq);

/** Go on with what app_purge() found to be much work, for some milliseconds; true when there is
 *  more. The form that server.h wants for `spare`. `context` is the app. */
bool app_sweep(void *context, struct arena *a);

/** Is the database one that we can serve with, and its schema at least the one that this program
 *  was built for? UNAVAILABLE with what is wrong. */
struct problem *app_check_schema(struct app *app, struct arena *a) MUST_USE;

/** What the API says of itself; borrows from `app`, which needs no more than its settings. */
struct api app_describe(const struct app *app);

/** NULL if the caller of `rq` is `id` or an admin, else FORBIDDEN. Where it takes an admin, the
 *  caller must be one still when a write is made. */
struct problem *require_owner_or_admin(struct request *rq, const struct uuid *id) MUST_USE;

/** router_confirm(), for handlers that must ask themselves. Where a password was verified before
 *  the transaction, its hash is compared as well. */
struct problem *app_confirm(struct app *app, struct request *rq) MUST_USE;

/** The problem of a write whose password was verified against a hash that is not there any more:
 *  the request begins again, and is answered as if it had come later. */
struct problem *app_stale(struct request *rq) MUST_USE;

/** Add `Location: BASE/COLLECTION/ID` for what was just made. */
void app_location(const struct request *rq, struct response *rs, const char *collection,
                  const struct uuid *id);
