#include "common/base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

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
    b->len = 0;
    b->full = false;
}

/* Room for `len` more bytes and a NUL, or false with `full` set. What is left behind is wiped,
 * for it may hold a token. */
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
    if (!b->data) {
        fprintf(stderr, "postern: out of memory: a buffer of %zu bytes\n", room);
        exit(EX_SOFTWARE);
    }
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

static void put(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

/* A value follows: it wants a comma unless it opens the document, a container or a pair. No
 * value ends in one of these three bytes, since text ends in its quote. */
static void separate(struct buf *b)
{
    if (b->len && !strchr("{[:", b->data[b->len - 1]))
        put(b, ',');
}

void json_object(struct buf *b)
{
    separate(b);
    put(b, '{');
}

void json_object_end(struct buf *b)
{
    put(b, '}');
}

void json_array(struct buf *b)
{
    separate(b);
    put(b, '[');
}

void json_array_end(struct buf *b)
{
    put(b, ']');
}

static bool needs_escape(unsigned char c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

static void put_escape(struct buf *b, unsigned char c)
{
    static const char shorts[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                  ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};
    if (c < sizeof shorts && shorts[c])
        buf_add(b, (char[]){'\\', shorts[c]}, 2);
    else
        buf_printf(b, "\\u%04x", c);
}

static void put_quoted(struct buf *b, const char *data, size_t len)
{
    put(b, '"');
    size_t run = 0; /* where the bytes not yet copied begin */
    for (size_t i = 0; i < len; i++) {
        if (!needs_escape((unsigned char)data[i]))
            continue;
        buf_add(b, data + run, i - run);
        put_escape(b, (unsigned char)data[i]);
        run = i + 1;
    }
    buf_add(b, data + run, len - run);
    put(b, '"');
}

void json_key(struct buf *b, const char *key)
{
    separate(b);
    put_quoted(b, key, strlen(key));
    put(b, ':');
}

void json_text(struct buf *b, struct text t)
{
    if (!t.data) {
        json_null(b);
        return;
    }
    separate(b);
    put_quoted(b, t.data, t.len);
}

void json_string(struct buf *b, const char *s)
{
    json_text(b, text_of(s));
}

void json_integer(struct buf *b, int64_t n)
{
    separate(b);
    buf_printf(b, "%lld", (long long)n);
}

void json_boolean(struct buf *b, bool yes)
{
    separate(b);
    buf_puts(b, yes ? "true" : "false");
}

void json_null(struct buf *b)
{
    separate(b);
    buf_puts(b, "null");
}

void json_member(struct buf *b, const char *key, const char *s)
{
    json_key(b, key);
    json_string(b, s);
}
