#include "common/field/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cJSON.h>

#include "common/base/encode.h"
#include "common/base/problem.h"
#include "common/base/utf8.h"

#define NOT_JSON "The body is not JSON: "
/* Bytes of a number that cJSON looks at; it refuses valid texts with longer ones, as long as
 * CVE-2023-26819 is not fixed. */
#define NUMBER_MAX 63

/* How far the check has come. cJSON is lenient and has bounds of its own, so this check says
 * what is JSON, and cJSON only builds the tree of what has passed. */
struct scan {
    struct arena *arena;
    const char *text;
    size_t len, at;
    char *respelled; /* a copy of the text with short numbers, if it has long ones */
    unsigned depth;
    size_t values;    /* so far */
    uint32_t objects; /* bit n - 1: level n is an object, else an array */
    bool after_value; /* else a value comes next */
    const char *fault;
};

_Static_assert(JSON_DEPTH_MAX <= 32, "a level is a bit of `objects`");

/* The byte that comes next; -1 at the end. */
static int peek(const struct scan *s)
{
    return s->at < s->len ? (unsigned char)s->text[s->at] : -1;
}

static bool take(struct scan *s, char c)
{
    if (peek(s) != (unsigned char)c)
        return false;
    s->at++;
    return true;
}

static bool wrong(struct scan *s, const char *fault)
{
    s->fault = s->at < s->len ? fault : NOT_JSON "it ends unfinished";
    return false;
}

static bool wrong_at(struct scan *s, size_t at, const char *fault)
{
    s->at = at;
    return wrong(s, fault);
}

static void skip_space(struct scan *s)
{
    while (take(s, ' ') || take(s, '\n') || take(s, '\r') || take(s, '\t'))
        continue;
}

static bool is_surrogate(uint32_t c)
{
    return c >= 0xD800 && c <= 0xDFFF;
}

static bool character(struct scan *s)
{
    size_t len = utf8_sequence(s->text + s->at, s->len - s->at);
    if (len == 0)
        return wrong(s, NOT_JSON "bad UTF-8");
    s->at += len;
    return true;
}

/* The `u` and the four digits of an escape. */
static bool take_unit(struct scan *s, uint32_t *ret)
{
    uint32_t unit = 0;
    if (!take(s, 'u'))
        return false;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(peek(s));
        if (digit < 0)
            return false;
        unit = unit << 4 | (uint32_t)digit;
        s->at++;
    }
    *ret = unit;
    return true;
}

/* A character as one escape, or as two that are a surrogate pair (RFC 8259 section 7). */
static bool escaped_character(struct scan *s, size_t start)
{
    uint32_t unit, low;
    if (!take_unit(s, &unit))
        return wrong(s, NOT_JSON "four hexadecimal digits are missing");
    if (unit == 0) /* to C it would end the text here */
        return wrong_at(s, start, "The body holds the character U+0000");
    if (!is_surrogate(unit))
        return true;
    if (unit >= 0xDC00 || !take(s, '\\') || !take_unit(s, &low) || low < 0xDC00 || low > 0xDFFF)
        return wrong_at(s, start, NOT_JSON "half of a surrogate pair");
    return true;
}

static bool escape(struct scan *s)
{
    size_t start = s->at++;
    int c = peek(s);
    if (c == 'u')
        return escaped_character(s, start);
    if (c <= 0 || !strchr("\"\\/bfnrt", c))
        return wrong(s, NOT_JSON "an unknown escape");
    s->at++;
    return true;
}

static bool string_rest(struct scan *s)
{
    bool ok = true;
    while (ok && !take(s, '"')) {
        int c = peek(s);
        if (c < 0x20)
            return wrong(s, NOT_JSON "a control character in a string");
        ok = c == '\\' ? escape(s) : character(s);
    }
    return ok;
}

static bool digits(struct scan *s)
{
    size_t start = s->at;
    while (peek(s) >= '0' && peek(s) <= '9')
        s->at++;
    return s->at > start || wrong(s, NOT_JSON "a digit is missing");
}

/* Write the long number that ends here again, shorter and padded with spaces, so that cJSON sees
 * its whole value and all bytes keep their places. The decimal point is that of the C locale, which
 * the program never leaves. */
static void respell_number(struct scan *s, size_t start)
{
    char spelled[32];
    if (!s->respelled)
        s->respelled = arena_copy(s->arena, s->text, s->len);
    char *number = s->respelled + start;
    double value = strtod(number, NULL);
    if (isfinite(value))
        (void)snprintf(spelled, sizeof spelled, "%.17g", value); /* 24 bytes at most */
    else
        (void)snprintf(spelled, sizeof spelled, "%s1e999", value < 0 ? "-" : "");
    memset(number, ' ', s->at - start);
    memcpy(number, spelled, strlen(spelled));
}

static bool number(struct scan *s)
{
    size_t start = s->at;
    (void)take(s, '-'); /* may be there */
    if (!take(s, '0') && !digits(s))
        return false;
    if (take(s, '.') && !digits(s))
        return false;
    if (take(s, 'e') || take(s, 'E')) {
        if (!take(s, '+'))
            (void)take(s, '-'); /* may be there */
        if (!digits(s))
            return false;
    }
    if (s->at - start > NUMBER_MAX)
        respell_number(s, start);
    return true;
}

static bool word(struct scan *s, const char *expected)
{
    size_t start = s->at;
    for (const char *c = expected; *c; c++)
        if (!take(s, *c))
            return wrong_at(s, start, NOT_JSON "an unknown word");
    return true;
}

static bool scalar(struct scan *s)
{
    s->after_value = true;
    int c = peek(s);
    if (c == 't')
        return word(s, "true");
    if (c == 'f')
        return word(s, "false");
    if (c == 'n')
        return word(s, "null");
    if (take(s, '"'))
        return string_rest(s);
    if (c == '-' || (c >= '0' && c <= '9'))
        return number(s);
    return wrong(s, NOT_JSON "a value is missing");
}

static bool in_object(const struct scan *s)
{
    return s->objects >> (s->depth - 1) & 1;
}

static bool take_close(struct scan *s)
{
    if (!take(s, in_object(s) ? '}' : ']'))
        return false;
    s->depth--;
    return true;
}

/* What leads up to a value: in an object its key and the colon. */
static bool lead(struct scan *s)
{
    skip_space(s);
    if (!in_object(s))
        return true;
    if (!take(s, '"'))
        return wrong(s, NOT_JSON "a key is missing");
    if (!string_rest(s))
        return false;
    skip_space(s);
    if (!take(s, ':'))
        return wrong(s, NOT_JSON "a colon is missing");
    skip_space(s);
    return true;
}

static bool open_level(struct scan *s, bool object)
{
    if (s->depth == JSON_DEPTH_MAX)
        return wrong(s, "The body is nested too deeply");
    uint32_t bit = (uint32_t)1 << s->depth++;
    s->objects = object ? s->objects | bit : s->objects & ~bit;
    s->at++;
    skip_space(s);
    s->after_value = take_close(s);
    return s->after_value || lead(s);
}

/* Counted before there is a tree: a value takes cJSON 64 bytes, and a byte or two of the text. */
static bool value(struct scan *s)
{
    int c = peek(s);
    if (s->values++ == JSON_VALUES_MAX)
        return wrong(s, "The body holds too many values");
    return c == '{' || c == '[' ? open_level(s, c == '{') : scalar(s);
}

/* After a value within a level: the next one, or the end of the level. */
static bool separator(struct scan *s)
{
    skip_space(s);
    if (take_close(s))
        return true;
    s->after_value = false;
    return take(s, ',') ? lead(s) : wrong(s, NOT_JSON "a comma or a closing bracket is missing");
}

/* A byte order mark may be ignored (RFC 8259 section 8.1), and programs of Windows write one. */
static size_t mark_length(const char *text, size_t len)
{
    return len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
}

/* One value and white space, in a loop rather than by recursion: hostile depth costs nothing. */
static bool document(struct scan *s)
{
    while (!s->after_value || s->depth)
        if (!(s->after_value ? separator(s) : value(s)))
            return false;
    skip_space(s);
    return s->at == s->len || wrong(s, NOT_JSON "something behind its end");
}

static bool is_nest(const cJSON *node)
{
    return cJSON_IsObject(node) || cJSON_IsArray(node);
}

/* Passwords come in through here; the arena wipes its own memory only. Recursion ends at
 * JSON_DEPTH_MAX. */
static void wipe_tree(cJSON *tree)
{
    cJSON *child;
    cJSON_ArrayForEach(child, tree)
    {
        if (child->valuestring)
            wipe(child->valuestring, strlen(child->valuestring));
        if (is_nest(child))
            wipe_tree(child);
    }
}

static void delete_tree(void *tree)
{
    wipe_tree(tree);
    cJSON_Delete(tree);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A key that `object` has twice, or NULL. Sorting keeps many keys cheap. */
static const char *repeated_key_of(struct arena *a, const cJSON *object)
{
    size_t n = 0;
    const char **keys = arena_array(a, (size_t)cJSON_GetArraySize(object), sizeof *keys);
    const cJSON *member;
    cJSON_ArrayForEach(member, object) keys[n++] = member->string;
    qsort(keys, n, sizeof *keys, by_text);
    for (size_t i = 1; i < n; i++)
        if (strcmp(keys[i - 1], keys[i]) == 0)
            return keys[i];
    return NULL;
}

/* The same for all objects of the tree; recursion ends at JSON_DEPTH_MAX. */
static const char *repeated_key(struct arena *a, const cJSON *tree)
{
    const char *key = cJSON_IsObject(tree) ? repeated_key_of(a, tree) : NULL;
    const cJSON *child = tree->child;
    for (; !key && child; child = child->next)
        if (is_nest(child))
            key = repeated_key(a, child);
    return key;
}

static struct problem *refuse_repeated(struct arena *a, const char *key)
{
    int shown = (int)strnlen(key, 64);
    while (((unsigned char)key[shown] & 0xC0) == 0x80) /* not within a character */
        shown--;
    return problem(
        a, &problem_bad_json,
        arena_printf(a, "The body has the key \"%.*s\" twice in an object.", shown, key));
}

struct problem *json_parse(struct arena *a, const char *text, size_t len, const struct json **ret)
{
    size_t mark = mark_length(text, len);
    struct scan s = {.arena = a, .text = text, .len = len, .at = mark};
    skip_space(&s);
    if (s.at == len)
        return problem(a, &problem_bad_json, "The body is empty.");
    bool object = peek(&s) == '{';
    if (!document(&s))
        return problem(a, &problem_bad_json, arena_printf(a, "%s at byte %zu.", s.fault, s.at + 1));
    if (!object)
        return problem(a, &problem_bad_json, NULL);
    const char *checked = s.respelled ? s.respelled : text;
    errno = 0;
    cJSON *tree = cJSON_ParseWithLengthOpts(checked + mark, len - mark, NULL, 0);
    if (!tree && errno == ENOMEM)
        return problem_because(a, &problem_unavailable, "cJSON has no memory");
    if (!tree)
        return problem_because(a, &problem_internal, "cJSON differs on JSON");
    arena_defer(a, delete_tree, tree);
    const char *key = repeated_key(a, tree);
    if (key)
        return refuse_repeated(a, key);
    *ret = (const struct json *)tree;
    return NULL;
}

/* To its users a node is opaque, so that a successor of cJSON changes this file only. */
static const cJSON *tree_of(const struct json *node)
{
    return (const cJSON *)node;
}

const struct json *json_get(const struct json *object, const char *key)
{
    return (const struct json *)cJSON_GetObjectItemCaseSensitive(tree_of(object), key);
}

const struct json *json_item(const struct json *array, size_t index)
{
    const cJSON *item = tree_of(array)->child;
    while (item && index--)
        item = item->next;
    return (const struct json *)item;
}

enum json_type json_type(const struct json *node)
{
    const cJSON *tree = tree_of(node);
    if (cJSON_IsObject(tree))
        return JSON_OBJECT;
    if (cJSON_IsArray(tree))
        return JSON_ARRAY;
    if (cJSON_IsString(tree))
        return JSON_TEXT;
    if (cJSON_IsNumber(tree))
        return JSON_NUMBER;
    return cJSON_IsBool(tree) ? JSON_BOOLEAN : JSON_NULL;
}

struct text json_as_text(const struct json *node)
{
    return text_of(cJSON_GetStringValue(tree_of(node)));
}

bool json_as_boolean(const struct json *node)
{
    return cJSON_IsTrue(tree_of(node));
}

bool json_as_integer(const struct json *node, int64_t *ret)
{
    const double most = 9007199254740991; /* 2^53 - 1: above it neighbours become one */
    if (!cJSON_IsNumber(tree_of(node)))
        return false;
    double value = tree_of(node)->valuedouble; /* valueint saturates at 2^31 */
    if (!(fabs(value) <= most) || trunc(value) < value || trunc(value) > value)
        return false;
    *ret = (int64_t)value;
    return true;
}
