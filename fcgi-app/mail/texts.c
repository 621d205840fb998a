#include "fcgi-app/mail/texts.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/problem.h"
#include "common/base/utf8.h"
#include "fcgi-app/settings.h"

#define FILE_MAX ((size_t)64 * 1024) /* bytes */
#define LINE_MAX_BYTES 998           /* of a message, RFC 5322 section 2.1.1 */
#define TEXT_MAX ((size_t)48 * 1024) /* bytes of one message with all that is put into it */
#define TOKEN_ROOM 43
#define ADDRESS_ROOM 254
#define SITE_ROOM 300

/* ---- what is built in ---- */

#define IF_NOT_YOU "\nIf it was not you, there is nothing to do: "
#define TELL_US                                                                                    \
    "\nIf it was not you, ask for a new password at once, and tell whoever runs {site}.\n"

static const struct {
    const char *subject, *body;
} built_in[LETTER_KINDS] = {
    [LETTER_RESET] = {"Your password at {site}",
                      "Somebody, probably you, asked for a new password at {site}.\n"
                      "To choose one, use this within an hour:\n\n{link}\n" IF_NOT_YOU
                      "your password stays.\n"},
    [LETTER_INVITE] = {"Your account at {site}",
                       "There is an account for {address} at {site}.\n"
                       "To choose its password, use this within 7 days:\n\n{link}\n"},
    [LETTER_VERIFY] =
        {"Confirm your address at {site}",
         "Somebody, probably you, registered {address} at {site}.\n"
         "To confirm that it is yours, use this within {hours} hours:\n\n{link}\n" IF_NOT_YOU
         "the address stays unconfirmed.\n"},
    [LETTER_CHANGE] =
        {"Confirm your new address at {site}",
         "Somebody, probably you, wants to have {address} as the address of an "
         "account\nat {site}. To confirm it, use this within an hour:\n\n{link}\n" IF_NOT_YOU
         "nothing changes.\n"},
    [LETTER_TAKEN] = {"Your account at {site}",
                      "Somebody, perhaps you, tried to have {address} for another account at\n"
                      "{site}. You have one with this address already: if you do not know its\n"
                      "password any more, ask for a new one.\n" IF_NOT_YOU
                      "nothing has changed.\n"},
    [LETTER_PASSWORD_CHANGED] = {"Your password at {site} was changed",
                                 "The password of your account at {site} was changed.\n" TELL_US},
    [LETTER_PASSWORD_RESET] = {"Your password at {site} was reset",
                               "The password of your account at {site} was reset with a message "
                               "to\nthis address.\n" TELL_US},
    [LETTER_EMAIL_CHANGED] = {"Your address at {site} was changed",
                              "The address of your account at {site} was changed from\n"
                              "{address} to\n{other}.\n\n"
                              "If it was not you, undo it within {hours} hours with this. It ends "
                              "all sessions,\nand you choose a new password:\n\n{link}\n"},
    [LETTER_EMAIL_CHANGED_BY_ADMIN] = {"Your address at {site} was changed",
                                       "An administrator of {site} has changed the address of "
                                       "your account.\nThis message goes to both addresses: "
                                       "{address} and\n{other}.\n"},
    [LETTER_UNDONE_RESET] = {"Choose a new password at {site}",
                             "The change of your address at {site} was undone, and your password "
                             "is void.\nTo choose a new one, use this within an hour:\n\n{link}\n"},
    [LETTER_ACCOUNT_DELETED] = {"Your account at {site} was deleted",
                                "Your account at {site} was deleted, with all that belonged to "
                                "it.\n\nIf it was not you, tell whoever runs {site}.\n"},
    [LETTER_TEST] = {"A test from {site}",
                     "This message was sent by `postern mail test`. It has arrived.\n"},
};

/* ---- variables ---- */

static const struct variable {
    const char *name;
    size_t offset;
} variables[] = {
#define X(name_) {#name_, offsetof(struct mail_words, name_)},
    MAIL_VARIABLES(X)
#undef X
};

/* The bytes that its value may have. */
static size_t room_of(const struct variable *v)
{
    if (v->offset == offsetof(struct mail_words, link))
        return SETTINGS_LINK_MAX + TOKEN_ROOM;
    if (v->offset == offsetof(struct mail_words, token))
        return TOKEN_ROOM;
    if (v->offset == offsetof(struct mail_words, site))
        return SITE_ROOM;
    return v->offset == offsetof(struct mail_words, hours) ? 20 : ADDRESS_ROOM;
}

/* The one that begins at `at`, a brace, with its own braces; NULL where there is none. */
static const struct variable *variable_at(const char *at, const char *end, size_t *ret_len)
{
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        size_t len = strlen(variables[i].name);
        if ((size_t)(end - at) < len + 2 || memcmp(at + 1, variables[i].name, len) != 0 ||
            at[len + 1] != '}')
            continue;
        *ret_len = len + 2;
        return &variables[i];
    }
    return NULL;
}

static bool is_twice(const char *at, const char *end)
{
    return (*at == '{' || *at == '}') && end - at >= 2 && at[1] == *at;
}

const char *text_fill(struct arena *a, struct text text, const struct mail_words *words)
{
    struct buf b;
    const char *end = text.data + text.len;
    buf_init(&b, TEXT_MAX);
    for (const char *at = text.data; at < end;) {
        size_t len = 1;
        const struct variable *v = *at == '{' ? variable_at(at, end, &len) : NULL;
        if (v) {
            const struct text *word =
                (const struct text *)(const void *)((const char *)words + v->offset);
            buf_add(&b, word->data ? word->data : "", word->len);
        } else {
            buf_add(&b, at, 1);
            len = is_twice(at, end) ? 2 : 1;
        }
        at += len;
    }
    const char *filled = arena_copy(a, b.data ? b.data : "", b.len);
    buf_release(&b);
    return filled;
}

/* ---- is a text as it must be? ---- */

/* Where it is. */
struct place {
    struct arena *arena;
    const char *path;
    size_t line;
};

static struct problem *wrong(const struct place *place, const char *format, ...) PRINTF_LIKE(2, 3);

static struct problem *wrong(const struct place *place, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *what = arena_vprintf(place->arena, format, args);
    va_end(args);
    return problem_because(place->arena, &problem_internal, "MAIL_TEXTS: %s:%zu: %s", place->path,
                           place->line, what);
}

/* Does a message of this kind have it, in its subject or its body? */
static bool has_variable(enum letter_kind kind, bool is_subject, const struct variable *v)
{
    switch (v->offset) {
    case offsetof(struct mail_words, link):
    case offsetof(struct mail_words, token):
        return letter_has_token(kind) && !is_subject;
    case offsetof(struct mail_words, hours):
        return letter_has_token(kind);
    case offsetof(struct mail_words, other):
        return letters[kind].has_other;
    default:
        return true;
    }
}

static struct problem *check_brace(const struct place *place, enum letter_kind kind,
                                   bool is_subject, const char *at, const char *end,
                                   const struct variable **ret, size_t *ret_len)
{
    const struct variable *v = *at == '{' ? variable_at(at, end, ret_len) : NULL;
    size_t shown = strcspn(at, "} \n") + 1;
    if (v && !has_variable(kind, is_subject, v))
        return wrong(place, "{%s} is in no %s of [%s]", v->name, is_subject ? "subject" : "message",
                     letters[kind].name);
    *ret = v;
    if (v || is_twice(at, end)) {
        *ret_len = v ? *ret_len : 2;
        return NULL;
    }
    if (shown > (size_t)(end - at))
        shown = (size_t)(end - at);
    return wrong(place, "%s is no variable; a brace that is none is written twice",
                 arena_copy(place->arena, at, shown));
}

/* One line of it, without its end. */
static struct problem *check_line(const struct place *place, enum letter_kind kind, bool is_subject,
                                  struct text line)
{
    size_t most = 0, len;
    const char *end = line.data + line.len;
    for (const char *at = line.data; at < end; at += len) {
        const struct variable *v = NULL;
        len = 1;
        if ((unsigned char)*at < ' ' && *at != '\t')
            return wrong(place, "has a control character");
        struct problem *p = *at == '{' || *at == '}'
                                ? check_brace(place, kind, is_subject, at, end, &v, &len)
                                : NULL;
        if (p)
            return p;
        most += v ? room_of(v) : len;
    }
    /* A subject that is not ASCII is coded and folded. */
    if (most > LINE_MAX_BYTES)
        return wrong(place, "the line may become longer than %d bytes; break it", LINE_MAX_BYTES);
    return NULL;
}

static bool says(struct text t, const char *what)
{
    return memmem(t.data, t.len, what, strlen(what)) != NULL;
}

static struct problem *check_whole(const struct place *place, enum letter_kind kind,
                                   const struct mail_text *text)
{
    if (!text->subject.len)
        return wrong(place, "[%s] has no line `Subject: …` after it", letters[kind].name);
    if (!text->body.len)
        return wrong(place, "[%s] has no message", letters[kind].name);
    if (letter_has_token(kind) && !says(text->body, "{link}") && !says(text->body, "{token}"))
        return wrong(place, "[%s] has neither {link} nor {token}", letters[kind].name);
    return NULL;
}

/* ---- the file ---- */

struct reading {
    struct place place;
    const char *at, *end;     /* what is left */
    struct mail_texts *texts; /* of LETTER_KINDS that were not there before */
    bool seen[LETTER_KINDS];
};

static struct problem *read_file(struct arena *a, const char *path, struct text *ret)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return problem_because(a, &problem_internal, "MAIL_TEXTS: %s: %s", path, strerror(errno));
    char *text = arena_alloc(a, FILE_MAX + 1);
    size_t len = fread(text, 1, FILE_MAX + 1, file);
    bool failed = ferror(file) != 0;
    (void)fclose(file);
    if (failed)
        return problem_because(a, &problem_internal, "MAIL_TEXTS: %s cannot be read", path);
    if (len > FILE_MAX)
        return problem_because(a, &problem_internal, "MAIL_TEXTS: %s is larger than 64 KiB", path);
    if (!utf8_is_clean(text, len))
        return problem_because(a, &problem_internal, "MAIL_TEXTS: %s is not UTF-8", path);
    size_t mark = utf8_mark(text, len);
    *ret = (struct text){text + mark, len - mark};
    return NULL;
}

/* The next line, without its end; false after the last. */
static bool next_line(struct reading *r, struct text *ret)
{
    if (r->at >= r->end)
        return false;
    const char *newline = memchr(r->at, '\n', (size_t)(r->end - r->at));
    const char *end = newline ? newline : r->end;
    size_t len = (size_t)(end - r->at);
    *ret = (struct text){r->at, len && end[-1] == '\r' ? len - 1 : len};
    r->at = newline ? newline + 1 : r->end;
    r->place.line++;
    return true;
}

/* `[name]`, and nothing else in its line. */
static bool is_head(struct text line, struct text *ret_name)
{
    if (line.len < 3 || line.data[0] != '[' || line.data[line.len - 1] != ']')
        return false;
    *ret_name = (struct text){line.data + 1, line.len - 2};
    return strspn(ret_name->data, "abcdefghijklmnopqrstuvwxyz_") == ret_name->len;
}

static bool is_blank(struct text line)
{
    return strspn(line.data, " \t\r") >= line.len;
}

static struct problem *read_subject(struct reading *r, enum letter_kind kind, struct text *ret)
{
    static const char label[] = "Subject:";
    struct text line;
    if (!next_line(r, &line) || line.len < sizeof label - 1 ||
        memcmp(line.data, label, sizeof label - 1) != 0)
        return wrong(&r->place, "[%s] has no line `Subject: …` after it", letters[kind].name);
    line = (struct text){line.data + sizeof label - 1, line.len - (sizeof label - 1)};
    while (line.len && *line.data == ' ')
        line = (struct text){line.data + 1, line.len - 1};
    *ret = line;
    return check_line(&r->place, kind, true, line);
}

/* Up to the next head, which is left there. Blank lines around it are left out. */
static struct problem *read_body(struct reading *r, enum letter_kind kind, struct text *ret)
{
    struct buf body;
    struct text line, name;
    struct problem *p = NULL;
    size_t len = 0; /* to the last line that is not blank */
    buf_init(&body, FILE_MAX);
    for (struct reading before = *r; !p && next_line(r, &line); before = *r) {
        if (is_head(line, &name)) {
            *r = before;
            break;
        }
        p = check_line(&r->place, kind, false, line);
        if (!body.len && is_blank(line))
            continue;
        buf_add(&body, line.data, line.len);
        buf_puts(&body, "\n");
        len = is_blank(line) ? len : body.len;
    }
    *ret = (struct text){arena_copy(r->place.arena, body.data ? body.data : "", len), len};
    buf_release(&body);
    return p;
}

static struct problem *read_letter(struct reading *r, struct text name)
{
    enum letter_kind kind = letter_find(name);
    struct mail_text text = {0};
    if (kind == LETTER_KINDS || kind == LETTER_NOBODY)
        return wrong(&r->place, "[%.*s] is no kind of message", (int)name.len, name.data);
    if (r->seen[kind])
        return wrong(&r->place, "[%s] is there twice", letters[kind].name);
    struct place head = r->place;
    struct problem *p = read_subject(r, kind, &text.subject);
    if (!p)
        p = read_body(r, kind, &text.body);
    if (!p)
        p = check_whole(&head, kind, &text);
    r->seen[kind] = true;
    r->texts->of[kind] = text;
    return p;
}

static struct problem *read_letters(struct reading *r)
{
    struct text line, name;
    struct problem *p = NULL;
    while (!p && next_line(r, &line)) {
        if (is_head(line, &name))
            p = read_letter(r, name);
        else if (!is_blank(line) && *line.data != '#')
            p = wrong(&r->place, "is before the first name in brackets");
    }
    return p;
}

struct problem *texts_load(struct arena *a, struct text path, struct mail_texts *ret)
{
    struct mail_texts texts = {0};
    struct text file = {0};
    for (int kind = 0; kind < LETTER_KINDS; kind++)
        texts.of[kind] =
            (struct mail_text){text_of(built_in[kind].subject), text_of(built_in[kind].body)};
    if (path.len) {
        struct problem *p = read_file(a, path.data, &file);
        struct reading r = {.place = {a, path.data, 0}, .texts = &texts};
        if (!p) {
            r.at = file.data;
            r.end = file.data + file.len;
            p = read_letters(&r);
        }
        if (p)
            return p;
    }
    *ret = texts;
    return NULL;
}
