/* secret.h -- the token of a message: made from its row's id whenever it is needed, stored nowhere.
 */
#pragma once

#include "common/base/compiler.h"
#include "common/base/text.h"
#include "common/base/uuid.h"

struct app;
struct arena;

/**
 * The token's text: HMAC-SHA-256 of the row's id, under a key that HKDF (RFC 5869) derives from the
 * signing key `kid`, in base64url: 43 characters. One of JWT_PREVIOUS_KEYS will do.
 *
 * NULL when there is no such key any more. Lives as long as `a`.
 */
const char *letter_secret(const struct app *app, struct arena *a, const struct uuid *id,
                          struct text kid) MUST_USE;

/** The kid that a new row has; borrowed from the app's keys, and null where it has none (a command
 *  that signs nothing). */
struct text letter_kid(const struct app *app);

/** The SHA-256 of the token under that kid: what the database has of it. The app must have keys. */
void letter_hash(const struct app *app, struct arena *a, const struct uuid *id,
                 unsigned char ret_hash[32]);
