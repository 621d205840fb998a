#include "log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "instant.h"

#define LINE_MAX_BYTES 8192
#define TAIL_ROOM 8 /* what always stays free, so that a cut line still ends well */

struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
};

struct log_pair log_event(const char *what)
{
    return (struct log_pair){"event", what, 0};
}

struct log_pair log_text(const char *name, const char *text)
{
    return (struct log_pair){name, text ? text : "", text ? 0 : -1};
}

struct log_pair log_number(const char *name, int64_t number)
{
    return (struct log_pair){name, NULL, number};
}

static void add(struct line *l, const char *s, size_t len)
{
    if (len <= sizeof l->text - TAIL_ROOM - l->len) {
        memcpy(l->text + l->len, s, len);
        l->len += len;
    }
}

static void add_string(struct line *l, const char *s)
{
    add(l, s, strlen(s));
}

/* Bytes outside printable ASCII are spelled out: whoever reads the log on a terminal shall
 * see what is there, and nothing that was sent can begin a new line. */
static void add_escaped(struct line *l, const char *s)
{
    for (; *s && l->len < sizeof l->text - 2 * TAIL_ROOM; s++) {
        unsigned char c = (unsigned char)*s;
        char escape[8];
        if (c >= 0x20 && c < 0x7F && c != '"' && c != '\\') {
            add(l, s, 1);
            continue;
        }
        int len = snprintf(escape, sizeof escape, "\\u%04x", c);
        add(l, escape, (size_t)len);
    }
}

static void add_pair(struct line *l, const struct log_pair *pair)
{
    if (pair->text && pair->number < 0)
        return;
    if (l->len + strlen(pair->name) + 32 > sizeof l->text - 2 * TAIL_ROOM)
        return; /* whole members only */
    add_string(l, ",\"");
    add_string(l, pair->name);
    add_string(l, "\":");
    if (pair->text) {
        add_string(l, "\"");
        add_escaped(l, pair->text);
        add_string(l, "\"");
    } else {
        char number[24];
        int len = snprintf(number, sizeof number, "%lld", (long long)pair->number);
        add(l, number, (size_t)len);
    }
}

void log_write(enum log_level level, const struct log_pair *pairs)
{
    static const char *const words[] = {
        [LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARNING] = "warning", [LOG_LEVEL_INFO] = "info"};
    char time[INSTANT_TEXT_SIZE];
    instant_format(instant_now(), time);
    struct line l;
    l.len = 0;
    add_string(&l, "{\"time\":\"");
    add_string(&l, time);
    add_string(&l, "\",\"level\":\"");
    add_string(&l, words[level]);
    add_string(&l, "\"");
    for (; pairs->name; pairs++)
        add_pair(&l, pairs);
    memcpy(l.text + l.len, "}\n", 2); /* TAIL_ROOM keeps this free */
    l.len += 2;
    ssize_t written = write(STDERR_FILENO, l.text, l.len);
    (void)written; /* there is nowhere left to tell it */
}
