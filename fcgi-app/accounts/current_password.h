/* current_password.h -- what only the owner of an account may do asks for its password. */
#pragma once

#include "common/field/field.h"
#include "fcgi-app/accounts/user_model.h"
#include "fcgi-app/app.h"

/* The field of a body, a struct that has it under this name. */
#define CURRENT_PASSWORD(struct_, example_)                                                        \
    FIELD(struct_, current_password, .use = FIELD_REQUIRED | FIELD_BYTES, .min = 1, .max = 1024,   \
          .example = (example_), .doc = "The password as it is now.")

/**
 * Is this the caller's password? If not, a problem of the field; RATE_LIMITED after too many that
 * were not; USER_INACTIVE for who is gone or disabled by now. For a route's `prepare`: takes the
 * time of a hash.
 *
 * `*ret` is the user as it was then, with its hash, also where the password is wrong. The caller
 * is held to that hash in the write's transaction (rq->verified_hash).
 */
struct problem *current_password_check(struct app *app, struct request *rq, struct text password,
                                       struct user *ret) MUST_USE;
