/* guess.h -- how often somebody may try a password. */
#pragma once

#include <stdint.h>

#include "fcgi-app/app.h"

/*
 * Each try is counted before its hash is computed, so that tries at the same time cannot slip
 * through, and taken back when the password was right or the try failed for another reason. What
 * is left are wrong passwords. A right one takes back no more than itself: whoever has an account
 * gets no fresh tries by logging in between. The price is that of right ones, too, no more than a
 * counter has room for are tried at the same moment.
 *
 * Counted are, as guess.c has the figures: all tries from an address (of IPv6, its /64); those at
 * one account from one address; those at one account from everywhere. The account is the e-mail as
 * it is compared, whether somebody has it or not, so that nothing is told.
 *
 * An account past its limit still lets each address have a few tries of its own. Otherwise anybody
 * could lock its owner out. So guessing from many addresses pays a few guesses an hour for each,
 * and the owner, at an address that has not guessed, gets in.
 *
 * With an access token it is the same, only that the session stands for the address and that these
 * tries are apart from logins: a stolen token neither guesses the password nor keeps the owner, who
 * has another session, from changing it.
 */
enum guess_counter { GUESS_ADDRESS, GUESS_PAIR, GUESS_ACCOUNT, GUESS_SPARE, GUESS_COUNTERS };

/* A try that is counted. */
struct throttle {
    uint64_t keys[GUESS_COUNTERS];
    bool taken[GUESS_COUNTERS];
};

/**
 * Count a try at the account with this e-mail. RATE_LIMITED, which is counted and logged, when it
 * must not be made: then wait as long as Retry-After says. Nothing with LOGIN_LIMIT=off.
 */
struct problem *throttle_login(struct app *app, const struct request *rq, struct text email,
                               struct throttle *ret) MUST_USE;

/** The same for the caller's own password. */
struct problem *throttle_session(struct app *app, const struct request *rq,
                                 struct throttle *ret) MUST_USE;

/** It was none, or a right one. */
void throttle_take_back(struct app *app, const struct throttle *guess);
