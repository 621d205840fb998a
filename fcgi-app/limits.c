#include "fcgi-app/limits.h"

#include <inttypes.h>

#include "common/base/fold.h"
#include "common/base/log.h"
#include "common/base/problem.h"
#include "fcgi-app/app.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

const struct limit_row limits[LIMIT_COUNT] = {
    /* Many people share the address of an office or a carrier's gateway, and some mistype. */
    [LIMIT_ADDRESS] = {"address", {.burst = 50, .interval_ms = 10 * SECOND}, LIMIT_BY_GUESS},
    /* By then, a person who does not remember is out of ideas; a program has 288 tries a day. */
    [LIMIT_PAIR] = {"pair", {.burst = 10, .interval_ms = 5 * MINUTE}, LIMIT_BY_GUESS},
    /* Two of the above, and then 1,440 a day, however many addresses they come from. */
    [LIMIT_ACCOUNT] = {"account", {.burst = 20, .interval_ms = MINUTE}, LIMIT_BY_GUESS},
    /* Past that: the owner may mistype once. */
    [LIMIT_SPARE] = {"spare", {.burst = 2, .interval_ms = HOUR}, LIMIT_BY_GUESS},
    /* A class that registers together; and 480 a day. An address that is taken was told. */
    [LIMIT_REGISTER] = {"register",
                        {.burst = 20, .interval_ms = 3 * MINUTE},
                        LIMIT_BY_NETWORK,
                        .conflicts = true},
    [LIMIT_MAIL] = {"mail",
                    {.burst = 20, .interval_ms = MINUTE},
                    LIMIT_BY_NETWORK,
                    .doc = ", together with all else that may send mail"},
    /* The first may be in the spam, and the second was asked for too soon. */
    [LIMIT_MAILBOX] = {"mailbox", {.burst = 3, .interval_ms = 20 * MINUTE}, LIMIT_BY_MAILBOX},
    /* An import by hand at once, and no table that is filled without end. */
    [LIMIT_POSTS] = {"posts", {.burst = 300, .interval_ms = SECOND}, LIMIT_BY_ACCOUNT},
};

bool limits_guesses(const struct settings *settings)
{
    return settings->limits != LIMITS_OFF && settings->login_limit == LOGIN_LIMIT_ON;
}

bool limits_all(const struct settings *settings)
{
    return settings->limits == LIMITS_ON && settings->login_limit == LOGIN_LIMIT_ON;
}

/* ---- whom ---- */

const char *limits_network(struct arena *a, const struct request *rq)
{
    const struct address network = address_network(&rq->client);
    const char *text = address_to_text(a, &network);
    return text ? text : "unknown";
}

static bool has_network(const struct request *rq)
{
    return rq->forwarded || !(address_is_local(&rq->client) || address_is_private(&rq->client));
}

static bool counts(const struct request *rq, int which)
{
    return (rq->route->limits & (1U << which)) &&
           (limits[which].by != LIMIT_BY_NETWORK || has_network(rq));
}

static uint64_t key_of(const struct app *app, const struct request *rq, int which)
{
    char account[UUID_TEXT_SIZE];
    const char *whom = account;
    uuid_format(&rq->caller.id, account);
    if (limits[which].by == LIMIT_BY_NETWORK)
        whom = limits_network(rq->arena, rq);
    return limiter_key(&app->shared->limiter, limits[which].name, text_of(whom));
}

/* ---- counting ---- */

static void note_refusal(struct app *app, const struct request *rq, int which, int64_t wait_s)
{
    bool by_network = limits[which].by == LIMIT_BY_NETWORK;
    char user[UUID_TEXT_SIZE];
    uuid_format(&rq->caller.id, user);
    atomic_fetch_add(&app->shared->refused[which], 1);
    LOG(LOG_LEVEL_WARNING, log_event("limited"), log_text("request_id", rq->id),
        log_text("route", rq->route->path), log_text("limit", limits[which].name),
        log_text("ip", by_network ? address_to_text(rq->arena, &rq->client) : NULL),
        log_text("user", limits[which].by == LIMIT_BY_ACCOUNT ? user : NULL),
        log_number("retry_after_s", wait_s));
}

static struct problem *refuse(struct app *app, const struct request *rq, int which, int64_t wait_ms)
{
    struct problem *p = problem(rq->arena, &problem_rate_limited, NULL);
    p->retry_after_s = (unsigned)((wait_ms + SECOND - 1) / SECOND);
    note_refusal(app, rq, which, p->retry_after_s);
    return p;
}

static void give_back(struct app *app, const uint64_t *keys, int which)
{
    limiter_give_back(&app->shared->limiter, keys[which], &limits[which].limit);
}

/* How long until all that count have room, and which has it last. */
static int64_t longest_wait(const struct app *app, const struct request *rq, const uint64_t *keys,
                            int *ret_which)
{
    int64_t longest = 0;
    for (int which = 0; which < LIMIT_COUNT; which++) {
        int64_t wait = !counts(rq, which) ? 0
                                          : limiter_wait_ms(&app->shared->limiter, keys[which],
                                                            &limits[which].limit, rq->uptime_ms);
        if (wait > longest) {
            longest = wait;
            *ret_which = which;
        }
    }
    return longest;
}

/* Take from all, or from none; false where one refuses. */
static bool take_all(struct app *app, const struct request *rq, uint64_t *keys)
{
    bool taken[LIMIT_COUNT] = {false}, refused = false;
    for (int which = 0; which < LIMIT_COUNT; which++) {
        if (!counts(rq, which))
            continue;
        keys[which] = key_of(app, rq, which);
        taken[which] = !refused && limiter_take_ms(&app->shared->limiter, keys[which],
                                                   &limits[which].limit, rq->uptime_ms) == 0;
        refused = refused || !taken[which];
    }
    for (int which = 0; refused && which < LIMIT_COUNT; which++)
        if (taken[which])
            give_back(app, keys, which);
    return !refused;
}

struct problem *limits_count(struct app *app, struct request *rq)
{
    uint64_t keys[LIMIT_COUNT];
    int which = 0;
    if (!limits_all(app->settings) || take_all(app, rq, keys))
        return NULL;
    int64_t wait = longest_wait(app, rq, keys, &which);
    return refuse(app, rq, which, wait ? wait : 1); /* one that was counted is back by now */
}

/* ---- mailboxes ---- */

static uint64_t key_of_mailbox(const struct app *app, const struct request *rq, struct text email)
{
    return limiter_key(&app->shared->limiter, limits[LIMIT_MAILBOX].name, fold(rq->arena, email));
}

bool limits_take_mailbox(struct app *app, struct request *rq, struct text email)
{
    if (!limits_all(app->settings))
        return true;
    if (rq->mailbox.data)
        return rq->mailbox_has_room;
    int64_t wait = limiter_take_ms(&app->shared->limiter, key_of_mailbox(app, rq, email),
                                   &limits[LIMIT_MAILBOX].limit, rq->uptime_ms);
    if (wait)
        note_refusal(app, rq, LIMIT_MAILBOX, (wait + SECOND - 1) / SECOND);
    rq->mailbox = arena_text(rq->arena, email);
    rq->mailbox_has_room = wait == 0;
    return wait == 0;
}

static void return_mailbox(struct app *app, const struct request *rq)
{
    if (rq->mailbox.data && rq->mailbox_has_room)
        limiter_give_back(&app->shared->limiter, key_of_mailbox(app, rq, rq->mailbox),
                          &limits[LIMIT_MAILBOX].limit);
}

/* ---- when it is answered ---- */

void limits_settle(struct app *app, const struct request *rq, const struct response *rs)
{
    bool done = rs->status < 300 && !rs->replayed;
    if (!limits_all(app->settings))
        return;
    if (!done)
        return_mailbox(app, rq);
    for (int which = 0; rq->counted && which < LIMIT_COUNT; which++)
        if (counts(rq, which) && !done && !(limits[which].conflicts && rs->status == 409))
            limiter_give_back(&app->shared->limiter, key_of(app, rq, which), &limits[which].limit);
}

/* ---- in words ---- */

/* As in "then once a minute". */
static const char *duration(struct arena *a, int64_t ms)
{
    if (ms == SECOND || ms == MINUTE)
        return ms == SECOND ? "a second" : "a minute";
    return arena_printf(a, "in %" PRId64 " minutes", ms / MINUTE);
}

const char *limits_describe(const struct app *app, struct arena *a, const struct route *route)
{
    static const char *const whose[] = {
        [LIMIT_BY_NETWORK] = "a network", [LIMIT_BY_ACCOUNT] = "an account"};
    const char *text = "";
    for (int which = 0; limits_all(app->settings) && which < LIMIT_COUNT; which++) {
        const struct limit_row *row = &limits[which];
        if (route->limits & (1U << which))
            text = arena_printf(a, "%s At most %" PRId64 " times at once from %s, then once %s%s.",
                                text, row->limit.burst, whose[row->by],
                                duration(a, row->limit.interval_ms), row->doc ? row->doc : "");
    }
    return text;
}
