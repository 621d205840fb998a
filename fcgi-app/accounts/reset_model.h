/* reset_model.h -- tokens to reset a forgotten password, in the database. */
#pragma once

#include "common/db/db.h"
#include "fcgi-app/accounts/user_model.h"

/* No token is good for longer, even if the clock was set. */
#define RESET_TTL_S (60 * 60)

/** Store a token's SHA-256 for a user; `expires_at` is RESET_TTL_S from now. */
struct problem *reset_insert(struct db *db, struct arena *a, const unsigned char token_hash[32],
                             struct uuid user_id, struct instant expires_at) MUST_USE;

/** The active user for whom a token is good at `now`: it has not expired, and was not made after
 *  `now`, as by a clock that was ahead and has been set back; it would be good for longer. */
struct problem *reset_find(struct db *db, struct arena *a, const unsigned char token_hash[32],
                           struct instant now, struct user *ret, bool *ret_found) MUST_USE;

/** Use up a token; `*ret_used` is false when it is not good any more. */
struct problem *reset_use(struct db *db, struct arena *a, const unsigned char token_hash[32],
                          struct instant now, bool *ret_used) MUST_USE;

/** Delete all tokens of a user, whose password has changed. */
struct problem *reset_delete_all(struct db *db, struct arena *a, struct uuid user_id) MUST_USE;

/** Delete up to `limit` tokens of a user; fewer only where no more were left. */
struct problem *reset_delete_some(struct db *db, struct arena *a, struct uuid user_id,
                                  int64_t limit, uint64_t *ret_deleted) MUST_USE;

/** Delete a few tokens that have expired, or expire later than any that is made now. */
struct problem *reset_purge(struct db *db, struct arena *a, struct instant now) MUST_USE;
