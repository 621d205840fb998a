/* throttle.h -- how often somebody may try a password. */
#pragma once

#include <stdint.h>

#include "fcgi-app/app.h"

/*
 * Each try is counted before its hash is computed, so that concurrent tries cannot slip through,
 * and taken back when the password was right or the try failed for another reason: wrong passwords
 * are what stays counted. A right one takes back no more than itself, or whoever has an account
 * would get fresh tries by logging in between. The price is that even of right ones no more than a
 * counter has room for are tried at the same moment.
 *
 * There are counters (limits.c has the figures) for all tries from an address (of IPv6, its /64);
 * for those at one account from one address; for those at one account from everywhere. The account
 * is the e-mail as it is compared, whether or not somebody has it, so that nothing is revealed.
 *
 * An account past its limit still allows each address a few tries of its own; otherwise anybody
 * could lock its owner out. So an attacker with many addresses gets a few tries an hour for each,
 * and the owner, whose address has made no wrong tries, gets in.
 *
 * With an access token it is the same, only that the session takes the place of the address and
 * that these tries are counted apart from logins: a stolen token neither guesses the password nor
 * keeps the owner, who has another session, from changing it.
 */
#define THROTTLE_COUNTERS (LIMIT_SPARE + 1) /* the first of enum limit_name */

/* A try that is counted. */
struct throttle {
    uint64_t keys[THROTTLE_COUNTERS];
    bool taken[THROTTLE_COUNTERS];
};

/**
 * Count a try at the account with this e-mail. RATE_LIMITED, which is counted and logged, when it
 * must not be made: then wait as long as Retry-After says. Nothing with LOGIN_LIMIT=off or
 * LIMITS=off.
 */
struct problem *throttle_login(struct app *app, const struct request *rq, struct text email,
                               struct throttle *ret) MUST_USE;

/** The same for the caller's own password. */
struct problem *throttle_session(struct app *app, const struct request *rq,
                                 struct throttle *ret) MUST_USE;

/** Count the try no longer: no password was tried, or a right one. */
void throttle_take_back(struct app *app, const struct throttle *throttle);
