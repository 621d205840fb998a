#include "common/field/json_write.h"

#include <stdio.h>
#include <string.h>

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

void json_key_object(struct buf *b, const char *key)
{
    json_key(b, key);
    json_object(b);
}

void json_key_array(struct buf *b, const char *key)
{
    json_key(b, key);
    json_array(b);
}

void json_key_strings(struct buf *b, const char *key, const char *const *strings)
{
    json_key_array(b, key);
    for (; *strings; strings++)
        json_string(b, *strings);
    json_array_end(b);
}
