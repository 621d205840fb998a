/* account.h -- making an account, which several ways lead to. */
#pragma once

#include "common/router.h"
#include "user_model.h"

/** Leave in rq->prepared a copy of `user` with a new id, its times and the hash of its password,
 *  ready to be inserted. Takes the time of a hash. */
struct problem *account_prepare(struct request *rq, const struct user *user) MUST_USE;

/** The handler of routes that make an account: store the prepared user and answer with it. */
struct problem *account_create(struct app *app, struct request *rq, struct response *rs);

/**
 * Delete a user with posts and sessions: LAST_ADMIN when it is one, PRECONDITION_FAILED when it is
 * not the version that the request knows. In a transaction.
 */
struct problem *account_erase(struct app *app, struct request *rq, struct uuid id) MUST_USE;

/** For the column `committed`: is the prepared user stored? */
struct problem *account_is_there(struct app *app, struct request *rq, bool *ret_yes) MUST_USE;
