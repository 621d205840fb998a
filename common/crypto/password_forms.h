/* password_forms.h -- inside password: the hashes that other programs have stored. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"

enum outcome {
    UNREADABLE, /* not a form or cost that we verify */
    MATCH,
    MISMATCH,
    BROKEN, /* memory or a library failed */
};

/* What the numbers before a salt ask for. */
enum price {
    PRICE_NONE, /* they are none that we know */
    PRICE_FAIR,
    PRICE_TOO_HIGH,
};

/** Does `hash` begin as bcrypt (`$2b$…`) or one of Werkzeug's forms (`scrypt:…`, `pbkdf2:…`) do? */
bool password_form_is_foreign(const char *hash);

/** Does `password` belong to `hash`, which begins so? */
enum outcome password_form_check(struct arena *a, struct text password, const char *hash);

/** What `hash`, which begins so, or as much of it as is before the salt, asks for. */
enum price password_form_price(const char *hash);

/* ---- for reading any form ---- */

/** Go past `expected`, if it is there. */
bool password_skip(const char **at, const char *expected);

/** Read a decimal number of 1 to `max`, in its one spelling, and go past it. */
bool password_number(const char **at, uint32_t max, uint32_t *ret);

/** PRICE_FAIR or PRICE_TOO_HIGH. */
enum price password_price(bool fair);
