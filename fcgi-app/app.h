/* app.h -- what handlers see of the worker that they run in: settings, database, keys. */
#pragma once

#include "common/base/buf.h"
#include "common/db/budget.h"
#include "common/db/db.h"
#include "common/http/address.h"
#include "common/http/metrics.h"
#include "common/http/router.h"
#include "common/process/limiter.h"
#include "common/process/pool.h"
#include "common/search/index.h"
#include "fcgi-app/limits.h"
#include "fcgi-app/settings.h"

struct keyring;
struct list;
struct list_scope;

enum known_index { INDEX_UNKNOWN, INDEX_MISSING, INDEX_BUILT };

/* What was sent, and what a sender saw last. */
struct mail_numbers {
    _Atomic uint64_t sent, postponed, failed, given_up;
    _Atomic int64_t waiting, oldest_us; /* the latter as in struct instant; 0: none waits */
    /* Where workers have no parent, one of them at a time has a sender: until then, by
     * uptime_ms(). What is counted here when there is more for it. */
    _Atomic int64_t sender_until_ms;
    _Atomic uint64_t wanted;
};

/* What the workers of a pool count together, and those that replace them after a reload. */
struct shared {
    struct limiter limiter; /* first, and so at the beginning of a cache line */
    struct metrics metrics;
    _Atomic uint64_t guesses_refused;      /* with 429, see throttle.h */
    _Atomic uint64_t refused[LIMIT_COUNT]; /* by each of the others, see limits.h */
    _Atomic int64_t began_us;              /* when it was new, as in struct instant */
    struct db_hosts hosts;
    struct budget_shared budget;
    struct gate hash_gate; /* of requests that take a password hash */
    /* What waited to be swept when somebody looked last, and since when, as in struct instant. */
    _Atomic int64_t unswept_rows, unswept_since_us;
    /* Of each search index, as it was then. */
    struct {
        _Atomic int64_t state; /* enum known_index */
        _Atomic int64_t patch_bytes, lost_blobs;
    } indexes[SEARCH_INDEXES_MAX];
    struct mail_numbers mail;
};
#define SHARED_LAYOUT 11 /* another one whenever the struct means something else */

#define DOCUMENT_TAG_SIZE 48 /* bytes of a hash as an ETag, with its quotes and the NUL */

/* What the API says of itself. */
struct document {
    struct buf text;
    char tag[DOCUMENT_TAG_SIZE];
};

/* worker.h opens it. */
struct app {
    const struct settings *settings;
    struct shared *shared;
    const char *config_path; /* no request is answered that could be for this file; or NULL */
    const char *program;     /* where such a file would be found from; NULL where that is */
    const struct pool_worker *worker; /* what we are in a pool; NULL: nothing is known of it */
    struct db *db;
    /* A hash takes all of a processor. While there is nothing else to do, so many are made as there
     * are workers for it. */
    struct gate_limit hash_limit;
    struct lease hash_place;
    struct keyring *keys;        /* NULL for a command, which answers no request */
    struct address_list proxies; /* that are trusted */
    struct router router;
    struct document openapi, page; /* made when first asked for, then kept */
    char shown_base[BASE_SIZE];    /* by these two */
    bool sweeps;                   /* there is more for purge_departed(), see accounts/purge.h */
    unsigned unswept;              /* writes of this worker since it has swept totals, */
    int64_t swept_at;              /* which was then, by monotonic_ns(); see app_sweep() */
    int64_t complained_at;         /* of a damaged search index, in the same way */
    int mail_wake; /* wakes the pool's sender of mail, see mail/outbox.h; -1: it has none */
    int64_t mail_looked_at; /* when it was asked what is due, by monotonic_ns() */
    bool has_letters;       /* that were added since it was woken */
};

/** NULL if the caller of `rq` is `id` or an admin, else problem_forbidden. Where it takes an admin,
 * the caller must be one still when a write is made. */
struct problem *require_owner_or_admin(struct request *rq, const struct uuid *id) MUST_USE;

/** router_confirm(), for handlers that must ask themselves. Where a password was verified before
 *  the transaction, its hash is compared as well. */
struct problem *app_confirm(struct app *app, struct request *rq) MUST_USE;

/** The problem of a write whose password was verified against a hash that is not there any more:
 *  the request begins again, and is answered as if it had come later. */
struct problem *app_stale(struct request *rq) MUST_USE;

/** page_list() with the program's database, keys and settings. A list that met rows of deleted
 * users helps delete them when it is answered. */
struct problem *app_list(struct app *app, struct request *rq, struct response *rs,
                         const struct list *list, const struct list_scope *scope,
                         int64_t *ret_written) MUST_USE;

/** Answer with one thing, as the route's reply has it, and its ETag; 304 where the client has this
 *  version already. */
void app_answer(const struct request *rq, struct response *rs, const void *row);

/* A worker sweeps after so many writes, and after so long when there were fewer. */
#define SWEEP_WRITES 64
#define SWEEP_S 30
#define SWEEP_LIMIT_MS 2000 /* while a table is locked, a worker has better things to do */

/**
 * Move some of what the journal has into the totals (counter_sweep.h), and note what is left for
 * /api/metrics. Not in a transaction. Failures are logged, for the next one tries again. True when
 * there is more.
 */
bool app_sweep(struct app *app, struct arena *a);

/** Add `Location: BASE/COLLECTION/ID` for what was just made. */
void app_location(const struct request *rq, struct response *rs, const char *collection,
                  const struct uuid *id);
