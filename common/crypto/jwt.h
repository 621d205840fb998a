/* jwt.h -- sign and verify HS256 access tokens (RFC 7515, RFC 7519, RFC 8725, RFC 9068's typ). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/uuid.h"

struct arena;
struct problem;
struct jwt_keys; /* one key that signs, and older ones that still verify */

#define JWT_KEY_MIN 32 /* bytes, RFC 7518 section 3.2 */

/* What a token says. */
struct claims {
    struct uuid subject; /* sub: the user */
    struct uuid session; /* sid */
    struct uuid id;      /* jti */
    int64_t issued_s;    /* iat, Unix seconds */
    int64_t expires_s;   /* exp, Unix seconds */
};

/**
 * Read the signing key and the older keys, separated by spaces (may be empty or NULL).
 *
 * Each is used as the bytes of the text. INTERNAL, with the reason in `cause`, when one is
 * shorter than JWT_KEY_MIN bytes or is a well-known sample ("change-me…", "secret" repeated,
 * one character repeated, and the like), or when `issuer` is not 1 to 255 bytes of printable
 * ASCII without quotes and backslashes. All is copied and stays until jwt_close().
 */
struct problem *jwt_open(struct arena *a, const char *key, const char *previous_keys,
                         const char *issuer, struct jwt_keys **ret) MUST_USE;

/** Wipe and free. NULL does nothing. */
void jwt_close(struct jwt_keys *keys);

/** Sign `claims` with the first key: header alg, typ "at+jwt", kid; all claims and iss. */
const char *jwt_sign(struct arena *a, struct jwt_keys *keys, const struct claims *claims);

/**
 * Verify `token` and fill `ret` with its claims (RFC 7519 section 7.2).
 *
 * Accepts only what jwt_sign() makes: one header per key, compared as text, so that neither
 * alg nor kid can be played with (RFC 8725 section 3.1). The MAC is compared in constant
 * time. `now_s` is Unix seconds; `leeway_s` is allowed on iat, exp and nbf. The registered claims
 * are checked where they are there (RFC 7519 section 4.1): we are no audience.
 * problem_token_expired where all is right but exp; problem_invalid_token for any token we would
 * not have issued, with the reason in `cause` only.
 */
struct problem *jwt_verify(struct arena *a, struct jwt_keys *keys, const char *token, int64_t now_s,
                           int64_t leeway_s, struct claims *ret) MUST_USE;

/**
 * HMAC-SHA-256 of `data` for another purpose than tokens, told apart by `label`, under key
 * number `key` (0 signs). What was made before a change of keys is found by trying all.
 */
void jwt_mac(const struct jwt_keys *keys, size_t key, const char *label, const void *data,
             size_t len, unsigned char ret_mac[32]);
size_t jwt_key_count(const struct jwt_keys *keys);
