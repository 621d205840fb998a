#include "fcgi-app/mail/message.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/problem.h"
#include "common/base/utf8.h"
#include "fcgi-app/mail/texts.h"
#include "fcgi-app/settings.h"

#define HOUR_US (INT64_C(3600) * 1000000)
#define DAY_US (24 * HOUR_US)
#define DATE_SIZE sizeof "Thu, 01 Jan 1970 00:00:00 +0000"
#define HEADER_MAX ((size_t)16 * 1024) /* bytes */
#define CODED_MAX 60                   /* of the 75 that an encoded word may have (RFC 2047) */

/* ---- words of headers ---- */

static bool is_plain(const char *text)
{
    for (const char *c = text; *c; c++)
        if (*c < ' ' || *c > '~')
            return false;
    return true;
}

static size_t put_coded(char *to, const char *from, size_t len)
{
    static const char hex[] = "0123456789ABCDEF";
    char *at = to;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)from[i];
        if (c < 0x80 && isalnum(c)) {
            *at++ = (char)c;
        } else if (c == ' ') {
            *at++ = '_';
        } else {
            *at++ = '=';
            *at++ = hex[c >> 4];
            *at++ = hex[c & 15];
        }
    }
    return (size_t)(at - to);
}

/* As encoded words, each in a line of its own (RFC 2047, the encoding "Q"). */
static const char *encode(struct arena *a, const char *text)
{
    struct buf b;
    size_t room = strlen(text), used = CODED_MAX + 1;
    const char *before = "=?UTF-8?Q?";
    buf_init(&b, HEADER_MAX);
    for (const char *at = text; room;) {
        char coded[12];
        size_t step = utf8_sequence(at, room);
        if (!step)
            step = 1; /* settings and texts are UTF-8, but what is not must not hang us */
        size_t len = put_coded(coded, at, step);
        if (used + len > CODED_MAX) {
            buf_puts(&b, before);
            before = "?=\n =?UTF-8?Q?";
            used = 0;
        }
        buf_add(&b, coded, len);
        used += len;
        at += step;
        room -= step;
    }
    buf_puts(&b, "?=");
    const char *encoded = arena_copy(a, b.data, b.len);
    buf_release(&b);
    return encoded;
}

/* Unstructured, as a subject is. */
static const char *header_text(struct arena *a, const char *text)
{
    return is_plain(text) ? text : encode(a, text);
}

/* As a quoted string. */
static const char *quoted(struct arena *a, struct text name)
{
    char *text = arena_alloc(a, 2 * name.len + 3), *at = text;
    *at++ = '"';
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] == '"' || name.data[i] == '\\')
            *at++ = '\\';
        *at++ = name.data[i];
    }
    *at = '"';
    return text;
}

/* A sender's name: words, or what stands for them. */
static const char *header_name(struct arena *a, struct text name)
{
    static const char words[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 "
                                "!#$%&'*+-/=?^_`{|}~";
    const char *text = arena_copy(a, name.data, name.len);
    if (!is_plain(text))
        return encode(a, text);
    return text[strspn(text, words)] ? quoted(a, name) : text;
}

/* ---- who ---- */

static struct text trimmed(struct text t)
{
    while (t.len && t.data[0] == ' ')
        t = (struct text){t.data + 1, t.len - 1};
    while (t.len && t.data[t.len - 1] == ' ')
        t.len--;
    return t;
}

/* MAIL_FROM: "name <address>", the name in quotes or not, or an address. */
static void split_sender(struct text from, struct text *ret_name, struct text *ret_address)
{
    const char *open = memchr(from.data, '<', from.len);
    *ret_name = (struct text){from.data, 0};
    *ret_address = from;
    if (!open)
        return;
    struct text name = trimmed((struct text){from.data, (size_t)(open - from.data)});
    if (name.len >= 2 && name.data[0] == '"' && name.data[name.len - 1] == '"')
        name = (struct text){name.data + 1, name.len - 2};
    *ret_name = name;
    *ret_address = (struct text){open + 1, from.len - (size_t)(open - from.data) - 2};
}

static const char *domain_of(struct arena *a, struct text from)
{
    struct text name, address;
    split_sender(from, &name, &address);
    const char *at = memchr(address.data, '@', address.len);
    size_t before = at ? (size_t)(at - address.data) + 1 : address.len;
    return arena_copy(a, address.data + before, address.len - before);
}

static const char *sender(struct arena *a, struct text from)
{
    struct text name, address;
    split_sender(from, &name, &address);
    const char *text = arena_copy(a, address.data, address.len);
    return name.len ? arena_printf(a, "%s <%s>", header_name(a, name), text) : text;
}

/* Even if a row came here by another way than through our own checks. */
static bool is_address(struct text t)
{
    size_t ats = 0;
    for (size_t i = 0; i < t.len; i++) {
        if (t.data[i] <= ' ' || t.data[i] > '~' || strchr("\"(),:;<>[\\]", t.data[i]))
            return false;
        ats += t.data[i] == '@';
    }
    return ats == 1;
}

/* Dots that a local part has at an end or side by side are good only within quotes (RFC 5322,
 * section 3.4.1). is_address() has seen to it that nothing needs a backslash there. */
static const char *recipient(struct arena *a, struct text to)
{
    const char *text = arena_copy(a, to.data, to.len);
    const char *at = strchr(text, '@'), *pair = strstr(text, "..");
    if (*text != '.' && !(at > text && at[-1] == '.') && !(pair && pair < at))
        return text;
    return arena_printf(a, "\"%.*s\"%s", (int)(at - text), text, at);
}

/* ---- when ---- */

static void format_date(struct instant t, char ret[DATE_SIZE])
{
    static const char days[][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const struct civil c = instant_to_civil(t);
    int64_t day = t.us / DAY_US - (t.us % DAY_US < 0); /* since a Thursday */
    (void)snprintf(ret, DATE_SIZE, "%s, %02u %s %04u %02u:%02u:%02u +0000",
                   days[((day % 7) + 7) % 7], (unsigned)c.day % 100, months[(c.month - 1) % 12],
                   (unsigned)c.year % 10000, (unsigned)c.hour % 100, (unsigned)c.minute % 100,
                   (unsigned)c.second % 100);
}

/* ---- all of it ---- */

static struct text site_of(struct arena *a, const struct settings *settings)
{
    const char *after = settings->public_url.len ? strstr(settings->public_url.data, "://") : NULL;
    return text_of(after ? after + 3 : domain_of(a, settings->mail_from));
}

static struct mail_words words_of(struct arena *a, const struct settings *settings,
                                  const struct message *m)
{
    struct text url = letter_url(settings, m->kind);
    const char *token = m->token ? m->token : "";
    int64_t life_us = m->expires_at.us - m->created_at.us;
    return (struct mail_words){
        .link = text_of(arena_printf(a, "%s%s", url.data ? url.data : "", token)),
        .token = text_of(token),
        .address = m->to,
        .other = m->other,
        .hours = text_of(arena_printf(a, "%" PRId64, (life_us + HOUR_US / 2) / HOUR_US)),
        .site = site_of(a, settings)};
}

struct problem *message_write(struct arena *a, const struct settings *settings,
                              const struct mail_texts *texts, const struct message *message,
                              const char **ret)
{
    const struct mail_text *text = &texts->of[message->kind];
    char date[DATE_SIZE], id[UUID_TEXT_SIZE];
    if (!is_address(message->to))
        return problem_because(a, &problem_internal, "an address that cannot be written to");
    const struct mail_words words = words_of(a, settings, message);
    format_date(message->created_at, date);
    uuid_format(&message->id, id);
    *ret = arena_printf(a,
                        "From: %s\nTo: %s\nSubject: %s\nDate: %s\nMessage-ID: <%s@%s>\n"
                        "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
                        "Content-Transfer-Encoding: 8bit\nAuto-Submitted: auto-generated\n\n%s",
                        sender(a, settings->mail_from), recipient(a, message->to),
                        header_text(a, text_fill(a, text->subject, &words)), date, id,
                        domain_of(a, settings->mail_from), text_fill(a, text->body, &words));
    return NULL;
}
