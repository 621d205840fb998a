/* mailing.h -- a message about an account: into the outbox, with the token that it carries. */
#pragma once

#include "fcgi-app/accounts/actor.h"
#include "fcgi-app/accounts/mailed_tokens.h"
#include "fcgi-app/mail/letters.h"

struct mailing {
    enum letter_kind letter;
    struct text to, other; /* as in struct letter */
    /* Of the token that the message carries; MAILED_NOBODY: none. With a message that carries none,
     * a row is written nevertheless: for answers that must take the same time with and without. */
    enum mailed_kind token;
    struct uuid user_id; /* whose it is */
    int64_t sequence;    /* of MAILED_UNDO */
    bool for_nobody; /* it must not be sent, or there is nobody to send it to: nothing but rows */
    bool uncounted;  /* its mailbox's limit does not hold for it */
};

/** Is mail set up? Else mailing_add() does nothing, and the routes that need it are not there. */
bool mailing_is_on(const struct app *app);

/**
 * Write a message, and the token that is in it, in the transaction of its cause. Its token is bound
 * to `to`, and is good for as long as its kind says.
 *
 * Where a stranger may cause it, messages to a mailbox are counted (limits.h): one too many is for
 * nobody. A request has one message of that kind at most, which is counted once however often its
 * transaction runs.
 */
struct problem *mailing_add(struct actor by, const struct mailing *mailing) MUST_USE;

/**
 * For a message to an address that somebody claims: where it is another's, it becomes LETTER_TAKEN
 * to its owner; where it is kept for who had it (mailed_keeps()), it is for nobody. `user_id`
 * claims.
 */
struct problem *mailing_judge_claim(struct actor by, struct mailing *mailing) MUST_USE;

/** mailing_add() for a notice, which has no token. */
struct problem *mailing_notice(struct actor by, enum letter_kind letter, struct text to,
                               struct text other) MUST_USE;
