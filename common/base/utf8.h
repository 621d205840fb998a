/* utf8.h -- look at UTF-8 (RFC 3629): is it well-formed, how long is it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/** The number of bytes of the well-formed sequence at `at`, of which `room` bytes may be
 *  looked at; 0 for overlong forms, surrogates, values past U+10FFFF and cut sequences. */
size_t utf8_sequence(const char *at, size_t room);

/** True when all `len` bytes are well-formed and none is NUL. */
bool utf8_is_clean(const char *text, size_t len);

/** How many bytes a byte order mark at the beginning of `text` has, 3 or 0. Editors and shells of
 *  Windows put one before text, of which it is no part. */
size_t utf8_mark(const char *text, size_t len);

/** The number of code points in well-formed text. */
size_t utf8_length(const char *text, size_t len);
