#include "common/base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/exhausted.h"

#define KEEP ((size_t)1024 * 1024) /* bytes that stay with an idle buffer */

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_release(struct buf *b)
{
    if (b->data)
        wipe(b->data, b->room);
    free(b->data);
    *b = (struct buf){.max = b->max};
}

void buf_reset(struct buf *b)
{
    if (b->room > KEEP)
        buf_release(b);
    else if (b->len)
        wipe(b->data, b->len); /* passwords come in buffers, and tokens go out in them */
    b->len = 0;
    b->full = false;
}

/* Room for `len` more bytes and a NUL, or false with `full` set. The old memory is wiped,
 * because it may hold a token. */
static bool reserve(struct buf *b, size_t len)
{
    if (b->full || len > b->max - b->len) {
        b->full = true;
        return false;
    }
    if (len < b->room - b->len)
        return true;
    size_t room = b->room ? b->room : 4096;
    while (room - b->len <= len)
        room *= 2;
    struct buf old = *b;
    b->data = malloc(room);
    if (!b->data)
        exhausted("out of memory: a buffer of %zu bytes", room);
    if (old.len)
        memcpy(b->data, old.data, old.len);
    b->room = room;
    buf_release(&old);
    return true;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
    if (len == 0 || !reserve(b, len))
        return;
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

void buf_puts(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    if (len > 0 && reserve(b, (size_t)len)) {
        (void)vsnprintf(b->data + b->len, (size_t)len + 1, format, again); /* it fits */
        b->len += (size_t)len;
    }
    va_end(again);
    va_end(args);
}
