/* uuid.h -- identifiers (RFC 9562): version 7 made, any version accepted. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/compiler.h"
#include "common/base/instant.h"

struct uuid {
    unsigned char bytes[16];
};

#define UUID_TEXT_SIZE 37 /* 36 characters and a NUL */

/**
 * A new version 7 id for time `now` (RFC 9562 section 5.7).
 *
 * Ids of one process rise strictly, also within a millisecond and when the clock steps
 * back (section 6.2, method 1: a counter after the time stamp); the rest is random, also
 * after a fork. For one thread. Ends the program when the system has no random bytes.
 */
struct uuid uuid_make(struct instant now);

/** Write the 36 characters in lower case and a NUL. */
void uuid_format(const struct uuid *id, char ret_text[UUID_TEXT_SIZE]);

/** Read the 36-character form, in either case; false for anything else, `ret` untouched. */
bool uuid_parse(const char *text, size_t len, struct uuid *ret) MUST_USE;

bool uuid_equal(const struct uuid *a, const struct uuid *b);

/** True for the zero value, which no row has. */
bool uuid_is_nil(const struct uuid *id);
