/* registration_model.h -- who has registered where an address must be verified first: apart from
 * the users until then, each with a password of their own, several for one address. They go with
 * their tokens, mailed_purge(). */
#pragma once

#include "common/db/db.h"
#include "fcgi-app/accounts/user_model.h"

/** Let `user`, as account_make() has it, wait until `expires_at`. */
struct problem *registration_insert(struct db *db, struct arena *a, const struct user *user,
                                    struct instant expires_at) MUST_USE;

/** The registration that waits at `now` under this id, which its user will have: address, password
 *  hash, names. With `lock` nobody else uses it until the transaction ends. */
struct problem *registration_find(struct db *db, struct arena *a, struct uuid id,
                                  struct instant now, bool lock, struct user *ret,
                                  bool *ret_found) MUST_USE;

/** It is a user now, or has waited too long. */
struct problem *registration_delete(struct db *db, struct arena *a, struct uuid id) MUST_USE;
