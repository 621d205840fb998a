#include "common/apidoc/html.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"

void html_escape(struct buf *b, const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const char *as = s[i] == '&'    ? "&amp;"
                         : s[i] == '<'  ? "&lt;"
                         : s[i] == '>'  ? "&gt;"
                         : s[i] == '"'  ? "&quot;"
                         : s[i] == '\'' ? "&#39;"
                                        : NULL;
        if (as)
            buf_puts(b, as);
        else
            buf_add(b, &s[i], 1);
    }
}

void html_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    for (;;) {
        size_t len = strcspn(format, "%");
        buf_add(b, format, len);
        if (!format[len])
            break;
        if (format[len + 1] != 's')
            abort(); /* a mistake in this file */
        const char *s = va_arg(args, const char *);
        html_escape(b, s, strlen(s));
        format += len + 2;
    }
    va_end(args);
}

void html_prose(struct buf *b, const char *s)
{
    bool code = false;
    for (; *s; code = !code, s += *s == '`') {
        size_t len = strcspn(s, "`");
        buf_puts(b, code ? "<code>" : "");
        html_escape(b, s, len);
        buf_puts(b, code ? "</code>" : "");
        s += len;
        if (!*s)
            break;
    }
}

static void put_line(struct buf *b, size_t depth)
{
    buf_puts(b, "\n");
    while (depth--)
        buf_puts(b, "  ");
}

void html_json(struct buf *b, const struct buf *json)
{
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < json->len; i++) {
        char c = json->data[i];
        bool empty = (c == '{' || c == '[') && strchr("}]", json->data[i + 1]);
        bool close = (c == '}' || c == ']') && !strchr("{[", json->data[i - 1]);
        if (!quoted && close)
            put_line(b, --depth);
        html_escape(b, &c, 1);
        if (quoted && c == '\\')
            html_escape(b, &json->data[++i], 1);
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && c == ',')
            put_line(b, depth);
        else if (!quoted && c == ':')
            buf_puts(b, " ");
        else if (!quoted && !empty && (c == '{' || c == '['))
            put_line(b, ++depth);
    }
}
