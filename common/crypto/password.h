/* password.h -- hash and verify passwords: Argon2id (RFC 9106), and hashes of other programs. */
#pragma once

#include <stdbool.h>

#include "common/base/arena.h"

struct problem;

/**
 * Hash `password` with Argon2id (19 MiB, t=2, p=1: OWASP's setting) and a fresh 16-byte salt, as a
 * PHC string.
 */
struct problem *password_hash(struct arena *a, struct text password, const char **ret) MUST_USE;

/**
 * Does `password` belong to `hash`? With NULL for a hash (an unknown user) it does the same
 * work as for a hash of our own and answers no, so that time does not tell who is registered.
 *
 * Verified are our own form, Argon2 of any variant and setting, Werkzeug's
 * (`scrypt:N:r:p$salt$hex`, `pbkdf2:sha256:rounds$salt$hex`, also sha512 and sha1) and bcrypt
 * (`$2b$…`, `$2a$…`, `$2y$…`). What a hash asks for may take about a second and 256 MiB (Argon2:
 * passes times memory 1 GiB, p 16; scrypt: 128 N r p 256 MiB; PBKDF2: two million rounds, of
 * SHA-512 one and a half; bcrypt cost 14): past that, or for a form that is none of these, or is
 * malformed, the answer is no, after the same work as for NULL. `*ret_outdated` is set when it
 * matches but is not in today's form, so that the caller can store a new hash. problem_unavailable
 * only if memory or a library fails.
 */
struct problem *password_verify(struct arena *a, struct text password, const char *hash,
                                bool *ret_match, bool *ret_outdated) MUST_USE;

/** Does `hash`, or its part before the salt, ask for more than password_verify() gives? */
bool password_costs_too_much(const char *hash) MUST_USE;
