/* refresh.h -- refresh tokens: made, told apart, and each one's successor. */
#pragma once

#include "common/base/arena.h"
#include "common/base/uuid.h"

struct keyring;

#define REFRESH_GRACE_S 10 /* a used token yields the live one for so long */

/* A token as it travels is base64url of a secret of 256 bits, its session's id, and a tag that
 * shows that we made it. Only its SHA-256 is stored. */
struct refresh_token {
    unsigned char secret[32];
    struct uuid session;
    unsigned char tag[16];
    unsigned char hash[32]; /* SHA-256 of the text */
    struct text text;
};

/** A new token for a session. Its text lives as long as `a`. */
struct refresh_token refresh_make(struct arena *a, const struct keyring *keys, struct uuid session);

/** Take a token apart; false unless it has the form of one. Says nothing about whose it is. */
bool refresh_read(struct arena *a, struct text text, struct refresh_token *ret) MUST_USE;

/** Did we make this token, under a key that we still have? */
bool refresh_is_ours(const struct keyring *keys, const struct refresh_token *token);

/**
 * The token that follows on `used`, derived from it under key number `key` (0: today's).
 *
 * Whoever has only an old token cannot derive it, and we can give it again without storing it.
 */
struct refresh_token refresh_successor(struct arena *a, const struct keyring *keys, size_t key,
                                       const struct refresh_token *used);
