/* tokens.h -- what a login hands out: refresh tokens, each one's successor, and access tokens. */
#pragma once

#include "fcgi-app/accounts/session_model.h"
#include "fcgi-app/app.h"

#define REFRESH_GRACE_S 10 /* a used token yields the live one for so long */

/* For the documentation. */
#define REFRESH_TOKEN_EXAMPLE "AZwTl6YAfD6dLzxei3ttQV9leGFtcGxlLXJlZnJlc2gtdG9rZW4"

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

/* What a login and a refresh answer. */
struct tokens {
    struct text access_token;
    unsigned token_type; /* there is one */
    int64_t expires_in;  /* seconds */
    struct text refresh_token;
};

extern const struct record tokens_record;

/** An access token for `session` that begins now, with the refresh token. Lives as long as `a`. */
struct tokens tokens_make(const struct app *app, struct arena *a, struct instant now,
                          const struct session *session, struct text refresh_token);
