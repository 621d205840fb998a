/* hash_model.h -- in what forms passwords are stored. */
#pragma once

#include <stdint.h>

#include "common/db/db.h"

#define HASHES_OF_EACH_END 10000

/* A form of hashes, and how many of those that were looked at have it. */
struct hash_form {
    struct text form; /* all before the salt: "pbkdf2:sha256:600000"; "" for unknown ones */
    int64_t n;
};

/**
 * Call `each` for the forms of stored password hashes, with one statement.
 *
 * Looks at the first and at the last HASHES_OF_EACH_END users by id, which is all of them where
 * they are fewer: the first are the oldest, and the last, beside the newest, are those who were
 * imported with random ids. No salt and nothing of a password leaves the database. At most a
 * thousand forms, the commonest first.
 */
struct problem *hash_forms(struct db *db, struct arena *a,
                           void (*each)(void *context, const void *form), void *context) MUST_USE;
