/* buf.h -- text that grows up to a bound. Text only: JSON is written by common/field/json_write.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

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

/** Wipe it and make it empty again; memory above 1 MiB goes back to the system. */
void buf_reset(struct buf *b);

void buf_add(struct buf *b, const void *data, size_t len);
void buf_puts(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
