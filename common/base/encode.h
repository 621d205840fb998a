/* encode.h -- bytes as text and back: hexadecimal, percent-encoding, base64url. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/compiler.h"

struct arena;

/** The value of a digit in either case; -1 for any other character. */
static inline int hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Percent-encoding (RFC 3986 section 2.1), undone. */

/** The byte that `%xx` at `at` spells, or -1 for anything else; `room` bytes may be looked at. */
int percent_byte(const char *at, size_t room);

/** Undo the encoding in place. False, with the text partly changed, for a `%` without two digits
 *  after it, and for a NUL, which would end the text. */
bool percent_decode(char *text) MUST_USE;

/** `len` bytes as base64url without padding (RFC 4648 section 5). */
const char *base64url(struct arena *a, const void *data, size_t len);

/** Read `len` characters of base64url; `ret` has room for three quarters of them. False unless it
 * is the one right spelling: no padding, no strange character, no stray bits. */
bool base64url_read(const char *text, size_t len, unsigned char *ret, size_t *ret_len) MUST_USE;

/** Read base64url of exactly `size` bytes; false for anything else, `ret` then undefined. */
bool base64url_decode(const char *text, size_t len, void *ret, size_t size) MUST_USE;
