#include "fcgi-app/accounts/throttle.h"

#include <inttypes.h>

#include "common/base/log.h"
#include "common/base/problem.h"
#include "common/base/fold.h"

/* Which password is tried, and from where. */
struct target {
    const char *what; /* "login" or "token": they do not share counters */
    struct text account;
    const char *place; /* what stands for the caller in the pair: network or session */
};

static void make_keys(const struct limiter *l, const struct request *rq,
                      const struct target *target, struct throttle *ret)
{
    struct arena *a = rq->arena;
    uint64_t account = limiter_key(l, target->what, target->account);
    struct text pair = text_of(arena_printf(a, "%" PRIx64 " %s", account, target->place));
    *ret = (struct throttle){.keys = {
                                 [LIMIT_ADDRESS] = limiter_key(l, limits[LIMIT_ADDRESS].name,
                                                               text_of(limits_network(a, rq))),
                                 [LIMIT_PAIR] = limiter_key(l, limits[LIMIT_PAIR].name, pair),
                                 [LIMIT_ACCOUNT] = account,
                                 [LIMIT_SPARE] = limiter_key(l, limits[LIMIT_SPARE].name, pair),
                             }};
}

static int64_t wait_of(const struct limiter *l, const struct throttle *throttle, int which,
                       int64_t uptime_ms)
{
    return limiter_wait_ms(l, throttle->keys[which], &limits[which].limit, uptime_ms);
}

/* How long until the address and the pair let it through, and either the account or what the pair
 * may have beyond that. */
static int64_t wait_for_all(const struct limiter *l, const struct throttle *throttle,
                            int64_t uptime_ms)
{
    int64_t wait = wait_of(l, throttle, LIMIT_ACCOUNT, uptime_ms);
    int64_t spare = wait_of(l, throttle, LIMIT_SPARE, uptime_ms);
    int64_t address = wait_of(l, throttle, LIMIT_ADDRESS, uptime_ms);
    int64_t pair = wait_of(l, throttle, LIMIT_PAIR, uptime_ms);
    if (spare < wait)
        wait = spare;
    if (address > wait)
        wait = address;
    return pair > wait ? pair : wait;
}

static int64_t take(struct limiter *l, struct throttle *throttle, int which, int64_t uptime_ms)
{
    int64_t wait = limiter_take_ms(l, throttle->keys[which], &limits[which].limit, uptime_ms);
    throttle->taken[which] = wait == 0;
    return wait;
}

/* A refused try is counted nowhere, or an address could fill an account's counter with it. */
static int64_t count(struct app *app, struct throttle *throttle, int64_t uptime_ms)
{
    struct limiter *l = &app->shared->limiter;
    int64_t wait = wait_for_all(l, throttle, uptime_ms);
    if (wait)
        return wait;
    wait = take(l, throttle, LIMIT_ADDRESS, uptime_ms);
    if (!wait)
        wait = take(l, throttle, LIMIT_PAIR, uptime_ms);
    if (!wait && take(l, throttle, LIMIT_ACCOUNT, uptime_ms))
        wait = take(l, throttle, LIMIT_SPARE, uptime_ms);
    if (wait) /* others were faster just now */
        throttle_take_back(app, throttle);
    return wait;
}

static struct problem *refuse(struct app *app, const struct request *rq, int64_t wait_ms)
{
    struct problem *p = problem(rq->arena, &problem_rate_limited, NULL);
    p->retry_after_s = (unsigned)((wait_ms + 999) / 1000);
    atomic_fetch_add(&app->shared->guesses_refused, 1);
    LOG(LOG_LEVEL_WARNING, log_event("login_limited"), log_text("request_id", rq->id),
        log_text("route", rq->route->path), log_text("ip", address_to_text(rq->arena, &rq->client)),
        log_number("retry_after_s", p->retry_after_s));
    return p;
}

static struct problem *count_try(struct app *app, const struct request *rq,
                                 const struct target *target, struct throttle *ret)
{
    struct throttle throttle = {0};
    if (limits_guesses(app->settings)) {
        make_keys(&app->shared->limiter, rq, target, &throttle);
        int64_t wait_ms = count(app, &throttle, rq->uptime_ms);
        if (wait_ms)
            return refuse(app, rq, wait_ms);
    }
    *ret = throttle;
    return NULL;
}

struct problem *throttle_login(struct app *app, const struct request *rq, struct text email,
                               struct throttle *ret)
{
    const struct target target = {"login", fold(rq->arena, email), limits_network(rq->arena, rq)};
    return count_try(app, rq, &target, ret);
}

struct problem *throttle_session(struct app *app, const struct request *rq, struct throttle *ret)
{
    char account[UUID_TEXT_SIZE], session[UUID_TEXT_SIZE];
    uuid_format(&rq->caller.id, account);
    uuid_format(&rq->caller.session, session);
    return count_try(app, rq, &(const struct target){"token", text_of(account), session}, ret);
}

void throttle_take_back(struct app *app, const struct throttle *throttle)
{
    for (int which = 0; which < THROTTLE_COUNTERS; which++)
        if (throttle->taken[which])
            limiter_give_back(&app->shared->limiter, throttle->keys[which], &limits[which].limit);
}
