/* text.h -- a stretch of bytes that somebody else owns. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A stretch of bytes that somebody else owns; `data` is NULL for SQL's and JSON's null.
 * What comes out of an arena has a NUL after its `len` bytes. */
struct text {
    const char *data;
    size_t len;
};

#define TEXT(literal) ((struct text){literal, sizeof(literal) - 1})

/** The text that the C string `s` holds, borrowed; NULL gives null. */
struct text text_of(const char *s);

bool text_equal(struct text a, struct text b);
