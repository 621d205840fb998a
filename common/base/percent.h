/* percent.h -- percent-encoding (RFC 3986 section 2.1), undone. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/compiler.h"

/** The byte that `%xx` at `at` spells, or -1 for anything else; `room` bytes may be looked at. */
int percent_byte(const char *at, size_t room);

/** Undo the encoding in place. False, with the text spoilt, for a `%` that no two digits follow
 *  and for a NUL, which would cut it. */
bool percent_decode(char *text) MUST_USE;
