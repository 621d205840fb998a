/* buf.h -- text that grows up to a bound, and a JSON writer on it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"

/* Owns its memory. Writing past `max` sets `full` and changes nothing else, so that a
 * caller writes freely and looks once at the end. */
struct buf {
    char *data; /* not NUL-terminated */
    size_t len, room, max;
    bool full;
};

/** An empty buffer of at most `max` bytes on the caller's storage. */
void buf_init(struct buf *b, size_t max);

/** Wipe and free the memory. */
void buf_release(struct buf *b);

/** Make it empty again; memory above 1 MiB goes back to the system. */
void buf_reset(struct buf *b);

void buf_add(struct buf *b, const void *data, size_t len);
void buf_puts(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);

/* The JSON writer: commas are placed by looking at the byte before, so that calls nest as
 * the document does. Text must be UTF-8; control characters, quotes and backslashes are
 * escaped as RFC 8259 section 7 wants it. */
void json_object(struct buf *b);
void json_object_end(struct buf *b);
void json_array(struct buf *b);
void json_array_end(struct buf *b);
void json_key(struct buf *b, const char *key);
void json_text(struct buf *b, struct text t);   /* null data: null */
void json_string(struct buf *b, const char *s); /* NULL: null */
void json_integer(struct buf *b, int64_t n);
void json_boolean(struct buf *b, bool yes);
void json_null(struct buf *b);

/** A key and its string in one; the most frequent pair by far. */
void json_member(struct buf *b, const char *key, const char *s);
