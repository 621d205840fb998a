/* account.h -- what becomes of an account, by API and by command line. */
#pragma once

#include "common/http/router.h"
#include "fcgi-app/accounts/user_model.h"

/** Leave in rq->prepared a copy of `user` with a new id, its times and the hash of its password,
 *  ready to be inserted. Takes the time of a hash. */
struct problem *account_prepare(struct request *rq, const struct user *user) MUST_USE;

/** The handler of routes that make an account: store the prepared user and answer with it. */
struct problem *account_create(struct app *app, struct request *rq, struct response *rs);

/**
 * Lock a user for writing, and confirm the caller (app_confirm()) before the write may end what
 * they were judged by; in the order that all keep: active admins by their ids, then others, and
 * sessions last. When all admins have to be locked, that comes before.
 */
struct problem *account_lock(struct app *app, struct request *rq, struct uuid id,
                             struct user *ret) MUST_USE;

/**
 * Set the `given` fields of a user to those of `in`: LAST_ADMIN when they would take the last
 * active admin's rank away, PRECONDITION_FAILED when it is not the version that the request knows.
 * Disabling ends all sessions. `*ret` is the user as it is then. In a transaction.
 */
struct problem *account_change(struct app *app, struct request *rq, struct uuid id,
                               const struct user *in, field_set given, struct user *ret) MUST_USE;

/** Is the user stored as `after` has it, which account_change() has left? A locking read. */
struct problem *account_is_changed(struct app *app, struct request *rq, const struct user *after,
                                   bool *ret_yes) MUST_USE;

/** Put the hash of a new password in the old one's place, whatever that is; ends all sessions, and
 *  what was mailed to reset it. In a transaction. */
struct problem *account_set_hash(struct app *app, struct request *rq, struct uuid id,
                                 struct text hash) MUST_USE;

/** Is this the user's hash? Its salt is random, and so nobody else's change looks like ours. A
 *  locking read. */
struct problem *account_has_hash(struct app *app, struct request *rq, struct uuid id,
                                 struct text hash, bool *ret_yes) MUST_USE;

/**
 * Delete a user with posts and sessions: LAST_ADMIN when it is one, PRECONDITION_FAILED when it is
 * not the version that the request knows. In a transaction, after which the user is gone; of many
 * rows some are left for app_sweep().
 */
struct problem *account_delete(struct app *app, struct request *rq, struct uuid id) MUST_USE;

/** Is the user gone? A locking read. */
struct problem *account_is_deleted(struct app *app, struct request *rq, struct uuid id,
                                   bool *ret_yes) MUST_USE;

/** For the column `committed`: is the prepared user stored? */
struct problem *account_is_there(struct app *app, struct request *rq, bool *ret_yes) MUST_USE;
