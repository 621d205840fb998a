/* jwt.h -- sign and verify HS256 access tokens (RFC 7515, RFC 7519, RFC 8725, RFC 9068's typ). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/uuid.h"

struct arena;
struct problem;
struct keyring;

/* What a token says. */
struct claims {
    struct uuid subject; /* sub: the user */
    struct uuid session; /* sid */
    struct uuid id;      /* jti */
    int64_t issued_s;    /* iat, Unix seconds */
    int64_t expires_s;   /* exp, Unix seconds */
};

/** Sign `claims` with the first key: header alg, typ "at+jwt", kid; all claims and iss. */
const char *jwt_sign(struct arena *a, struct keyring *keys, const struct claims *claims);

/**
 * Verify `token` and fill `ret` with its claims (RFC 7519 section 7.2).
 *
 * Accepts only what jwt_sign() makes: one header per key, compared as text, so that neither
 * alg nor kid can be forged (RFC 8725 section 3.1). The MAC is compared in constant
 * time. `now_s` is Unix seconds; `leeway_s` is allowed on iat, exp and nbf. Other
 * registered claims are checked where a token has them (RFC 7519 section 4.1); one with an audience
 * is not for us.
 * problem_token_expired where all is right but exp; problem_invalid_token for any token we would
 * not have issued, with the reason in `cause` only.
 */
struct problem *jwt_verify(struct arena *a, struct keyring *keys, const char *token, int64_t now_s,
                           int64_t leeway_s, struct claims *ret) MUST_USE;
