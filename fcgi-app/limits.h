/* limits.h -- how often something may be done: the one table of it, and counting by it. */
#pragma once

#include "common/base/compiler.h"
#include "common/base/text.h"
#include "common/process/limiter.h"

struct app;
struct arena;
struct problem;
struct request;
struct response;
struct route;
struct settings;

/* All of them count in one limiter, which all workers share. */
enum limit_name {
    LIMIT_ADDRESS, /* wrong passwords, which throttle.h counts: from an address; */
    LIMIT_PAIR,    /* at an account from an address, or with a session; */
    LIMIT_ACCOUNT, /* at an account from everywhere; */
    LIMIT_SPARE,   /* of a pair, past the account's limit */
    LIMIT_REGISTER,
    LIMIT_MAIL,    /* what may send mail to somebody else */
    LIMIT_MAILBOX, /* mail that is sent to an address */
    LIMIT_POSTS,
    LIMIT_COUNT
};

/* For the column `limits` of routes. */
#define LIMITED_BY(name_) (1U << LIMIT_##name_)

/* Whose count it is. */
enum limit_by { LIMIT_BY_GUESS, LIMIT_BY_NETWORK, LIMIT_BY_MAILBOX, LIMIT_BY_ACCOUNT };

struct limit_row {
    const char *name; /* of counter, metric and log */
    struct limit limit;
    unsigned by;     /* enum limit_by */
    bool conflicts;  /* an answer 409 counts as well, for it tells of others */
    const char *doc; /* what its sentence ends with; or NULL */
};

extern const struct limit_row limits[LIMIT_COUNT];

/** Do these settings limit wrong passwords? All of it? */
bool limits_guesses(const struct settings *settings);
bool limits_all(const struct settings *settings);

/** What stands for the network of the request's client, as address_network() has it. Callers
 *  without an address share one. */
const char *limits_network(struct arena *a, const struct request *rq);

/**
 * For router.limit: count the request by the limits of its route. RATE_LIMITED, which is counted
 * and logged, when one of them is reached; then no other has counted it.
 *
 * By account is by whom the token names, who is not looked up in the database for it. A client on
 * this machine or in a private network is not counted by network, unless a trusted proxy has told
 * its address: it may be a proxy that we do not know of, and then all clients together.
 */
struct problem *limits_count(struct app *app, struct request *rq) MUST_USE;

/**
 * When the answer is known: take back what limits_count() has counted for a request that was not
 * carried out. So concurrent requests are no way past a limit, but only what was done stays
 * counted: a form that was filled in wrongly does not use up a network's registrations, and a token
 * whose session has ended writes nothing, and so does not keep its user from writing.
 */
void limits_settle(struct app *app, const struct request *rq, const struct response *rs);

/** Count one message to a mailbox, which is the address as it is compared; once for a request.
 *  False, counted and logged, when it must not be sent. It is counted no longer when the request
 *  fails. */
bool limits_take_mailbox(struct app *app, struct request *rq, struct text email) MUST_USE;

/** How often a route may be called with these settings, in sentences for its description, each
 *  with a blank before it. */
const char *limits_describe(const struct app *app, struct arena *a, const struct route *route);
