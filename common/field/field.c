#include "common/field/field.h"

#include <ctype.h>
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/encode.h"
#include "common/base/utf8.h"
#include "common/field/json.h"
#include "common/field/json_write.h"

static void *member(const struct field *f, void *row)
{
    return (char *)row + f->offset;
}

static const void *const_member(const struct field *f, const void *row)
{
    return (const char *)row + f->offset;
}

/* ---- checks ---- */

int64_t field_min(const struct field *f)
{
    return f->min_at ? *f->min_at : f->min;
}

static enum fault_code wrong_length(struct arena *a, const struct field *f, struct text t,
                                    const char **ret_message)
{
    bool bytes = f->use & FIELD_BYTES;
    int64_t length = (int64_t)(bytes ? t.len : utf8_length(t.data, t.len));
    const char *unit = bytes ? "bytes" : "characters";
    if (length < field_min(f)) {
        *ret_message = arena_printf(a, "Must have at least %" PRId64 " %s.", field_min(f), unit);
        return FAULT_TOO_SHORT;
    }
    if (f->max && length > f->max) {
        *ret_message = arena_printf(a, "Must have at most %" PRId64 " %s.", f->max, unit);
        return FAULT_TOO_LONG;
    }
    return FAULT_NONE;
}

static enum fault_code take_text(struct arena *a, const struct field *f, struct text t, void *row,
                                 const char **ret_message)
{
    if (!utf8_is_clean(t.data, t.len)) {
        *ret_message = "Must be UTF-8 without NUL.";
        return FAULT_FORMAT;
    }
    enum fault_code code = wrong_length(a, f, t, ret_message);
    if (code)
        return code;
    if (f->format && !f->format->valid(t)) {
        *ret_message = f->format->message;
        return f->format->code;
    }
    *(struct text *)member(f, row) = t;
    return FAULT_NONE;
}

static enum fault_code take_integer(struct arena *a, const struct field *f, int64_t n, void *row,
                                    const char **ret_message)
{
    int64_t min = field_min(f);
    if (n < min || (f->max && n > f->max)) {
        *ret_message =
            f->max ? arena_printf(a, "Must be from %" PRId64 " to %" PRId64 ".", min, f->max)
                   : arena_printf(a, "Must be at least %" PRId64 ".", min);
        return FAULT_RANGE;
    }
    *(int64_t *)member(f, row) = n;
    return FAULT_NONE;
}

static const char *list_choices(struct arena *a, const char *const *choices)
{
    const char *list = choices[0];
    for (size_t i = 1; choices[i]; i++)
        list = arena_printf(a, "%s, %s", list, choices[i]);
    return list;
}

static enum fault_code take_choice(struct arena *a, const struct field *f, struct text t, void *row,
                                   const char **ret_message)
{
    for (unsigned i = 0; f->choices[i]; i++) {
        if (text_equal(t, text_of(f->choices[i]))) {
            *(unsigned *)member(f, row) = i;
            return FAULT_NONE;
        }
    }
    *ret_message = arena_printf(a, "Must be one of: %s.", list_choices(a, f->choices));
    return FAULT_RANGE;
}

static enum fault_code take_uuid(const struct field *f, struct text t, void *row,
                                 const char **ret_message)
{
    if (uuid_parse(t.data, t.len, member(f, row)))
        return FAULT_NONE;
    *ret_message = "Must be a UUID.";
    return FAULT_FORMAT;
}

static enum fault_code take_time(struct arena *a, const struct field *f, struct text t, void *row,
                                 const char **ret_message)
{
    const char *text = arena_copy(a, t.data, t.len);
    if (strlen(text) == t.len && instant_parse(text, member(f, row)))
        return FAULT_NONE;
    *ret_message = "Must be a date and time as RFC 3339 writes it.";
    return FAULT_FORMAT;
}

/* ---- from text ---- */

static enum fault_code integer_from_text(struct arena *a, const struct field *f, struct text t,
                                         void *row, const char **ret_message)
{
    const char *digits = arena_copy(a, t.data, t.len);
    size_t sign = *digits == '-';
    char *end;
    errno = 0;
    long long n = strtoll(digits, &end, 10);
    if (t.len == sign || strspn(digits + sign, "0123456789") != t.len - sign || *end) {
        *ret_message = "Must be a whole number.";
        return FAULT_TYPE;
    }
    if (errno == ERANGE && n > 0 && f->max == 0) {
        *ret_message = "Is too large.";
        return FAULT_RANGE;
    }
    return take_integer(a, f, n, row, ret_message);
}

static enum fault_code boolean_from_text(const struct field *f, struct text t, void *row,
                                         const char **ret_message)
{
    bool yes = text_equal(t, TEXT("true"));
    if (!yes && !text_equal(t, TEXT("false"))) {
        *ret_message = "Must be true or false.";
        return FAULT_TYPE;
    }
    *(bool *)member(f, row) = yes;
    return FAULT_NONE;
}

enum fault_code field_from_text(struct arena *a, const struct field *f, struct text value,
                                void *row, const char **ret_message)
{
    switch (f->type) {
    case FIELD_TEXT:
        return take_text(a, f, value, row, ret_message);
    case FIELD_INTEGER:
        return integer_from_text(a, f, value, row, ret_message);
    case FIELD_BOOLEAN:
        return boolean_from_text(f, value, row, ret_message);
    case FIELD_ENUM:
        return take_choice(a, f, value, row, ret_message);
    case FIELD_TIME:
        return take_time(a, f, value, row, ret_message);
    case FIELD_UUID:
        return take_uuid(f, value, row, ret_message);
    }
    abort(); /* a type that the enum does not have */
}

const char *field_to_text(struct arena *a, const struct field *f, const void *row)
{
    const void *at = const_member(f, row);
    char *text;
    switch (f->type) {
    case FIELD_TEXT:
        return ((const struct text *)at)->data ? ((const struct text *)at)->data : "";
    case FIELD_INTEGER:
        return arena_printf(a, "%" PRId64, *(const int64_t *)at);
    case FIELD_BOOLEAN:
        return *(const bool *)at ? "true" : "false";
    case FIELD_ENUM:
        return f->choices[*(const unsigned *)at];
    case FIELD_TIME:
        text = arena_alloc(a, INSTANT_TEXT_SIZE);
        instant_format(*(const struct instant *)at, text);
        return text;
    case FIELD_UUID:
        text = arena_alloc(a, UUID_TEXT_SIZE);
        uuid_format(at, text);
        return text;
    }
    abort();
}

const char *field_heading(struct arena *a, const struct field *f)
{
    char *name = arena_strdup(a, f->name);
    for (char *c = name; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    return name;
}

/* ---- from JSON ---- */

static const char *const type_words[] = {
    [FIELD_TEXT] = "Must be a string.",     [FIELD_INTEGER] = "Must be a whole number.",
    [FIELD_BOOLEAN] = "Must be a boolean.", [FIELD_ENUM] = "Must be a string.",
    [FIELD_TIME] = "Must be a string.",     [FIELD_UUID] = "Must be a string."};

static enum fault_code wrong_type(const struct field *f, const char **ret_message)
{
    *ret_message = type_words[f->type];
    return FAULT_TYPE;
}

static enum fault_code field_from_json(struct arena *a, const struct field *f,
                                       const struct json *node, void *row, const char **ret_message)
{
    enum json_type type = json_type(node);
    int64_t n;
    switch (f->type) {
    case FIELD_INTEGER:
        if (type != JSON_NUMBER || !json_as_integer(node, &n))
            return wrong_type(f, ret_message);
        return take_integer(a, f, n, row, ret_message);
    case FIELD_BOOLEAN:
        if (type != JSON_BOOLEAN)
            return wrong_type(f, ret_message);
        *(bool *)member(f, row) = json_as_boolean(node);
        return FAULT_NONE;
    case FIELD_TEXT:
    case FIELD_ENUM:
    case FIELD_TIME:
    case FIELD_UUID:
        if (type != JSON_TEXT)
            return wrong_type(f, ret_message);
        return field_from_text(a, f, json_as_text(node), row, ret_message);
    }
    abort();
}

bool field_lets_in(const struct field *f, enum record_mode mode, enum rank rank)
{
    if (mode == RECORD_CREATE)
        return f->use & (FIELD_CREATE | FIELD_REQUIRED);
    if (f->use & FIELD_CHANGE)
        return true;
    return (f->use & FIELD_ADMIN_CHANGE) && rank != RANK_USER &&
           !(rank == RANK_ADMIN_OWN && (f->use & FIELD_NOT_OWN));
}

/* Does another member take the place of this one? */
static bool is_stood_in_for(const struct field *f, const struct json *object)
{
    const struct json *node = f->unless ? json_get(object, f->unless) : NULL;
    return node && json_type(node) == JSON_BOOLEAN && json_as_boolean(node);
}

static bool is_missing(const struct field *f, const struct json *node, enum record_mode mode)
{
    if (mode != RECORD_CREATE || !(f->use & FIELD_REQUIRED))
        return false;
    if (!node)
        return true;
    return (f->use & FIELD_NOT_EMPTY) &&
           (json_type(node) == JSON_NULL ||
            (json_type(node) == JSON_TEXT && json_as_text(node).len == 0));
}

bool field_may_be_null(const struct field *f, enum record_mode mode)
{
    bool required = mode == RECORD_CREATE && (f->use & FIELD_REQUIRED);
    return (f->use & FIELD_NULLABLE) && !required;
}

/* Note a fault; the first one makes the problem. A field whose rule has an answer of its own
 * lends it to a problem that has none better. */
static void note(struct arena *a, struct problem **p, const struct field *f, enum fault_code code,
                 const char *message)
{
    if (!*p)
        *p = problem(a, &problem_invalid, NULL);
    if (f->format && f->format->problem && code != FAULT_REQUIRED && code != FAULT_TYPE) {
        (*p)->type = f->format->problem;
        (*p)->message = f->format->problem->message;
    }
    problem_add_fault(a, *p, f->name, code, message);
}

static void name_missing(struct problem *p, const struct problem_type *missing)
{
    for (size_t i = 0; i < p->fault_count; i++) {
        if (p->faults[i].code == FAULT_REQUIRED) {
            p->type = missing ? missing : &problem_missing_fields;
            p->message = p->type->message;
        }
    }
}

static void default_value(struct arena *a, const struct record *r, field_set given, void *ret)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct field *f = &r->fields[i];
        const char *message;
        if (!f->default_value || (given & ((field_set)1 << i)))
            continue;
        enum fault_code code = field_from_text(a, f, text_of(f->default_value), ret, &message);
        assert(code == FAULT_NONE); /* a table that contradicts itself */
        (void)code;
    }
}

struct problem *record_from_json(struct arena *a, const struct record *r, const struct json *object,
                                 enum record_mode mode, enum rank rank,
                                 const struct problem_type *missing, void *ret,
                                 field_set *ret_given)
{
    struct problem *p = NULL;
    field_set given = 0;
    for (size_t i = 0; i < r->count; i++) {
        const struct field *f = &r->fields[i];
        if (!field_lets_in(f, mode, rank))
            continue;
        const struct json *node = json_get(object, f->name);
        if (is_missing(f, node, mode) && !(!node && is_stood_in_for(f, object))) {
            note(a, &p, f, FAULT_REQUIRED, "Is required.");
            continue;
        }
        if (!node)
            continue;
        given |= (field_set)1 << i;
        if (json_type(node) == JSON_NULL && field_may_be_null(f, mode))
            continue; /* the struct is zeroed, and zero is null */
        const char *message = NULL;
        enum fault_code code = field_from_json(a, f, node, ret, &message);
        if (code)
            note(a, &p, f, code, message);
    }
    if (mode == RECORD_CREATE)
        default_value(a, r, given, ret);
    if (r->rule && r->rule->broken(ret))
        note(a, &p, record_find(r, r->rule->field), r->rule->code, r->rule->message);
    if (p)
        name_missing(p, missing);
    else
        *ret_given = given;
    return p;
}

/* ---- from a query string ---- */

/* Decode one part as the URL standard does: a `%` that no two digits follow stays as it is. */
static struct text decode(struct arena *a, const char *part, size_t len)
{
    char *text = arena_alloc(a, len + 1);
    size_t out = 0;
    for (size_t i = 0; i < len; i++) {
        int byte = percent_byte(part + i, len - i);
        text[out++] = byte >= 0 ? (char)byte : part[i] == '+' ? ' ' : part[i];
        if (byte >= 0)
            i += 2;
    }
    return (struct text){text, out};
}

static const struct field *find_by_text(const struct record *r, struct text name)
{
    for (size_t i = 0; i < r->count; i++)
        if (text_equal(text_of(r->fields[i].name), name))
            return &r->fields[i];
    return NULL;
}

/* One `name=value`; of a name given twice the first counts. */
static void take_pair(struct arena *a, const struct record *r, const char *pair, size_t len,
                      void *ret, field_set *given, struct problem **p)
{
    const char *equals = memchr(pair, '=', len);
    size_t name_len = equals ? (size_t)(equals - pair) : len;
    const struct field *f = find_by_text(r, decode(a, pair, name_len));
    if (!f)
        return;
    field_set bit = (field_set)1 << (f - r->fields);
    if (*given & bit)
        return;
    *given |= bit;
    struct text value = equals ? decode(a, equals + 1, len - name_len - 1) : TEXT("");
    const char *message = NULL;
    enum fault_code code = field_from_text(a, f, value, ret, &message);
    if (code)
        note(a, p, f, code, message);
}

static bool has_name(struct arena *a, const char *query, const char *name)
{
    while (*query) {
        if (text_equal(decode(a, query, strcspn(query, "=&")), text_of(name)))
            return true;
        query += strcspn(query, "&");
        query += *query == '&';
    }
    return false;
}

/* Fields that are not looked at, since the query has the ones that replace them. */
static field_set replaced_fields(struct arena *a, const struct record *r, const char *query)
{
    field_set replaced = 0;
    for (size_t i = 0; i < r->count; i++)
        if (r->fields[i].replaced_by && has_name(a, query, r->fields[i].replaced_by))
            replaced |= (field_set)1 << i;
    return replaced;
}

struct problem *record_from_query(struct arena *a, const struct record *r, const char *query,
                                  void *ret, field_set *ret_given)
{
    struct problem *p = NULL;
    const field_set replaced = replaced_fields(a, r, query);
    field_set given = replaced; /* so take_pair() leaves them out */
    while (*query) {
        size_t len = strcspn(query, "&");
        if (len)
            take_pair(a, r, query, len, ret, &given, &p);
        query += len + (query[len] == '&');
    }
    if (p)
        return p;
    given &= ~replaced;
    default_value(a, r, given, ret);
    *ret_given = given;
    return NULL;
}

/* ---- to JSON, and between structs ---- */

static void value_to_json(struct buf *b, const struct field *f, const void *at)
{
    char text[UUID_TEXT_SIZE > INSTANT_TEXT_SIZE ? UUID_TEXT_SIZE : INSTANT_TEXT_SIZE];
    switch (f->type) {
    case FIELD_TEXT:
        json_text(b, *(const struct text *)at);
        return;
    case FIELD_INTEGER:
        json_integer(b, *(const int64_t *)at);
        return;
    case FIELD_BOOLEAN:
        json_boolean(b, *(const bool *)at);
        return;
    case FIELD_ENUM:
        json_string(b, f->choices[*(const unsigned *)at]);
        return;
    case FIELD_TIME:
        instant_format(*(const struct instant *)at, text);
        json_string(b, text);
        return;
    case FIELD_UUID:
        uuid_format(at, text);
        json_string(b, text);
        return;
    }
    abort();
}

static size_t size_of(enum field_type type)
{
    static const size_t sizes[] = {
        [FIELD_TEXT] = sizeof(struct text),    [FIELD_INTEGER] = sizeof(int64_t),
        [FIELD_BOOLEAN] = sizeof(bool),        [FIELD_ENUM] = sizeof(unsigned),
        [FIELD_TIME] = sizeof(struct instant), [FIELD_UUID] = sizeof(struct uuid)};
    return sizes[type];
}

/* Every type's zero is its null, false or 0. */
static bool is_left_out(const struct field *f, const void *at)
{
    static const char
        zero[sizeof(struct text) > sizeof(struct uuid) ? sizeof(struct text) : sizeof(struct uuid)];
    return (f->use & FIELD_OMIT_EMPTY) && memcmp(at, zero, size_of(f->type)) == 0;
}

void record_members_to_json(struct buf *b, const struct record *r, const void *row)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct field *f = &r->fields[i];
        if (!(f->use & FIELD_SHOWN) || (f->use & r->hidden) || is_left_out(f, const_member(f, row)))
            continue;
        json_key(b, f->name);
        value_to_json(b, f, const_member(f, row));
    }
}

void record_to_json(struct buf *b, const struct record *r, const void *row)
{
    json_object(b);
    record_members_to_json(b, r, row);
    json_object_end(b);
}

void record_overlay(const struct record *r, field_set given, const void *from, void *to)
{
    for (size_t i = 0; i < r->count; i++)
        if (given & ((field_set)1 << i))
            memcpy(member(&r->fields[i], to), const_member(&r->fields[i], from),
                   size_of(r->fields[i].type));
}

field_set record_field_at(const struct record *r, size_t offset)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->fields[i].offset == offset)
            return (field_set)1 << i;
    abort(); /* a member that the record does not describe */
}

const struct field *record_find(const struct record *r, const char *name)
{
    return find_by_text(r, text_of(name));
}

const struct field *record_version(const struct record *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->fields[i].use & FIELD_VERSION)
            return &r->fields[i];
    return NULL;
}

const void *record_value(const struct record *r, const char *name, const void *row)
{
    const struct field *f = record_find(r, name);
    if (!f)
        abort();
    return (const char *)row + f->offset;
}

void *record_member(const struct record *r, const char *name, void *row)
{
    const char *at = record_value(r, name, row);
    return (char *)row + (at - (const char *)row);
}
