/* account.h -- change, lock and delete an account, for the API and for the command line. */
#pragma once

#include "fcgi-app/accounts/user_model.h"
#include "fcgi-app/app.h"

/* Who changes an account, and when. */
struct actor {
    struct app *app;
    struct arena *arena;
    struct instant now;
    struct request *rq; /* whose caller and If-Match count; NULL: an operator, who may do all */
};

/** The caller of `rq`, from which it borrows. */
struct actor actor_of(struct app *app, struct request *rq);

/** A copy of `user` with a new id, its times and the hash of its password, ready to be inserted.
 *  Takes the time of a hash. */
struct problem *account_make(struct arena *a, struct instant now, const struct user *user,
                             struct user **ret) MUST_USE;

/** The same for a route's `prepare`: leaves it in rq->prepared. */
struct problem *account_prepare(struct request *rq, const struct user *user) MUST_USE;

/** The handler of routes that make an account: store the prepared user and answer with it. */
struct problem *account_create(struct app *app, struct request *rq, struct response *rs);

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
 * caller knows. Disabling ends all sessions. `*ret` is the user as it is then. In a transaction.
 */
struct problem *account_change(struct actor by, struct uuid id, const struct user *in,
                               field_set given, struct user *ret) MUST_USE;

/** Is the user stored as `after` has it, which account_change() has left? A locking read. */
struct problem *account_is_changed(struct db *db, struct arena *a, const struct user *after,
                                   bool *ret_yes) MUST_USE;

/** Replace the hash of the password, whatever it is, with that of a new one; ends all sessions, and
 *  what was mailed to reset it. In a transaction. */
struct problem *account_set_hash(struct db *db, struct arena *a, struct uuid id,
                                 struct text hash) MUST_USE;

/** Is this the user's hash? Its salt is random, and so nobody else's change looks like ours. A
 *  locking read. */
struct problem *account_has_hash(struct db *db, struct arena *a, struct uuid id, struct text hash,
                                 bool *ret_yes) MUST_USE;

/**
 * Delete a user with posts and sessions: problem_last_admin when it is one,
 * problem_precondition_failed when it is not the version that the caller knows. In a transaction,
 * after which the user is gone; of many rows some are left for purge_departed().
 */
struct problem *account_delete(struct actor by, struct uuid id) MUST_USE;

/** Is the user gone? A locking read. */
struct problem *account_is_deleted(struct db *db, struct arena *a, struct uuid id,
                                   bool *ret_yes) MUST_USE;
