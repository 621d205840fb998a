/* account.h -- change, lock and delete an account, for the API and for the command line. */
#pragma once

#include "fcgi-app/accounts/actor.h"
#include "fcgi-app/accounts/user_model.h"
#include "fcgi-app/app.h"

/** A copy of `user` with a new id, its times and the hash of its password, ready to be inserted;
 *  without a password, of one that nobody knows. Takes the time of a hash. */
struct problem *account_make(struct arena *a, struct instant now, const struct user *user,
                             struct user **ret) MUST_USE;

/** The hash of a password that nobody knows: logging in with it takes the same time as with any. */
struct problem *account_hash_unknown(struct arena *a, const char **ret) MUST_USE;

/** account_make() for a route's `prepare`: leaves it in rq->prepared. The settings say whether its
 *  address counts as verified. */
struct problem *account_prepare(struct app *app, struct request *rq,
                                const struct user *user) MUST_USE;

/** Store a user. problem_email_exists when somebody has the address, or had it and may have it
 *  again. In a transaction. */
struct problem *account_insert(struct actor by, const struct user *user) MUST_USE;

/** The handler of routes that make an account: store the prepared user, mail the token that it
 *  wants, and answer with it. */
struct problem *account_create(struct app *app, struct request *rq, struct response *rs);

/** Answer with a user as the caller sees them, and the ETag of that; 304 where the client has this
 *  already. */
void account_answer(struct request *rq, struct response *rs, const struct user *user);

/** The same as they see themselves, for a request that shows who they are without being a caller's.
 */
void account_answer_whole(struct request *rq, struct response *rs, const struct user *user);

/** For the column `in_doubt` of these: is the prepared user stored? */
struct problem *account_is_created(struct app *app, struct request *rq, bool *ret_yes) MUST_USE;

/**
 * Lock a user for writing, and confirm the caller (app_confirm()) before the write may end what
 * they were judged by; in the order that all keep: active admins by their ids, then others, and
 * sessions last. When all admins have to be locked, that comes before.
 */
struct problem *account_lock(struct actor by, struct uuid id, struct user *ret) MUST_USE;

/**
 * Set the `given` fields of a user to those of `in`: problem_last_admin when they would take the
 * last active admin's rank away, problem_precondition_failed when it is not the version that the
 * caller knows. Another address counts as not verified, and both mailboxes are told; it and
 * disabling end what account_end() says. `*ret` is the user as it is then. In a transaction.
 */
struct problem *account_change(struct actor by, struct uuid id, const struct user *in,
                               field_set given, struct user *ret) MUST_USE;

/** Is the user stored as `after` has it, which account_change() has left? A locking read. */
struct problem *account_is_changed(struct db *db, struct arena *a, const struct user *after,
                                   bool *ret_yes) MUST_USE;

/* What has happened to an account. */
enum account_event {
    EVENT_PASSWORD_CHANGED,
    EVENT_PASSWORD_RESET,
    EVENT_ADDRESS_CHANGED, /* by its owner; */
    EVENT_ADDRESS_SET,     /* by an admin */
    EVENT_DISABLED,
    EVENT_UNDONE,
    EVENT_COUNT
};

/** End what the event ends: the one list of it. `keep` is a session that goes on; nil: none. In a
 *  transaction that holds the user locked. */
struct problem *account_end(struct db *db, struct arena *a, struct uuid id,
                            enum account_event event, struct uuid keep) MUST_USE;

/** May the user have this address, which is written already? problem_email_exists when it is kept
 *  for somebody who had it. In the transaction of that write, after it. */
struct problem *account_check_address(struct actor by, struct uuid id, struct text email) MUST_USE;

/** Store another address of a locked user, with the rest of `after`. problem_email_exists as
 *  account_insert(). */
struct problem *account_move(struct actor by, const struct user *before,
                             const struct user *after) MUST_USE;

/** Replace the hash of the password, whatever it is, with that of a new one, and end what a reset
 *  of the password ends. In a transaction. */
struct problem *account_set_hash(struct db *db, struct arena *a, struct uuid id,
                                 struct text hash) MUST_USE;

/** Is this the user's hash? Its salt is random, and so nobody else's change looks like ours. A
 *  locking read. */
struct problem *account_has_hash(struct db *db, struct arena *a, struct uuid id, struct text hash,
                                 bool *ret_yes) MUST_USE;

/**
 * Delete a user with posts and sessions, and tell the mailbox: problem_last_admin when it is one,
 * problem_precondition_failed when it is not the version that the caller knows. In a transaction,
 * after which the user is gone; of many rows some are left for purge_departed().
 */
struct problem *account_delete(struct actor by, struct uuid id) MUST_USE;

/** Is the user gone? A locking read. */
struct problem *account_is_deleted(struct db *db, struct arena *a, struct uuid id,
                                   bool *ret_yes) MUST_USE;
