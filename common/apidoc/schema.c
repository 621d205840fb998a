#include "common/apidoc/schema.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/problem.h"
#include "common/field/json_write.h"
#include "common/http/http_problems.h"
#include "common/http/page.h"
#include "common/http/router.h"

/* ---- forms of a record ---- */

static enum record_mode mode_of(enum form form)
{
    return form == FORM_CHANGE ? RECORD_CHANGE : RECORD_CREATE;
}

enum form form_of_body(const struct route *route)
{
    return route->mode == RECORD_CHANGE ? FORM_CHANGE : FORM_CREATE;
}

bool form_has(enum form form, const struct field *f)
{
    if (form == FORM_REPLY)
        return f->use & FIELD_SHOWN;
    return field_lets_in(f, mode_of(form), RANK_ADMIN);
}

bool form_requires(enum form form, const struct field *f)
{
    if (form == FORM_REPLY)
        return !(f->use & (FIELD_OMIT_EMPTY | FIELD_PRIVATE));
    return form == FORM_CREATE && (f->use & FIELD_REQUIRED) && !f->unless;
}

bool form_may_be_null(enum form form, const struct field *f)
{
    return form == FORM_REPLY ? f->use & FIELD_NULLABLE : field_may_be_null(f, mode_of(form));
}

static bool is_shown(const struct record *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->fields[i].use & FIELD_SHOWN)
            return true;
    return false;
}

const char *form_name(struct arena *a, enum form form, const struct record *r)
{
    if (form == FORM_CHANGE)
        return arena_printf(a, "%sChange", r->name);
    return form == FORM_CREATE && is_shown(r) ? arena_printf(a, "New%s", r->name) : r->name;
}

/* ---- examples ---- */

void field_text_to_json(struct buf *b, const struct field *f, const char *text)
{
    if (f->type == FIELD_INTEGER)
        json_integer(b, strtoll(text, NULL, 10));
    else if (f->type == FIELD_BOOLEAN)
        json_boolean(b, strcmp(text, "true") == 0);
    else
        json_string(b, text);
}

const char *field_type_word(const struct field *f)
{
    static const char *const words[] = {
        [FIELD_TEXT] = "string", [FIELD_INTEGER] = "integer", [FIELD_BOOLEAN] = "boolean",
        [FIELD_ENUM] = "string", [FIELD_TIME] = "date-time",  [FIELD_UUID] = "uuid"};
    return f->format && f->format->name ? f->format->name : words[f->type];
}

static const char *sample_of(enum form form, const struct field *f)
{
    static const char *const samples[] = {[FIELD_TEXT] = "…",
                                          [FIELD_INTEGER] = "1",
                                          [FIELD_BOOLEAN] = "true",
                                          [FIELD_TIME] = "2026-01-31T12:00:00.000000Z",
                                          [FIELD_UUID] = "019c1397-a600-7c3e-9d2f-3c5e8a7b6d41"};
    if (form == FORM_CREATE && f->new_example)
        return f->new_example;
    if (f->example)
        return f->example;
    return f->type == FIELD_ENUM ? f->choices[0] : samples[f->type];
}

static bool is_sampled(enum form form, const struct field *f)
{
    if (!form_has(form, f))
        return false;
    if (form == FORM_CHANGE && !(f->use & FIELD_CHANGE))
        return false; /* an admin's */
    return form_requires(form, f) ||
           (f->example && (form != FORM_REPLY || (f->use & FIELD_PRIVATE)));
}

void form_sample_value(struct buf *b, enum form form, const struct field *f)
{
    if (!f->example && form_may_be_null(form, f))
        json_null(b);
    else
        field_text_to_json(b, f, sample_of(form, f));
}

void form_sample_members(struct buf *b, enum form form, const struct record *r)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct field *f = &r->fields[i];
        if (!is_sampled(form, f))
            continue;
        json_key(b, f->name);
        form_sample_value(b, form, f);
    }
}

void form_sample(struct buf *b, enum form form, const struct record *r)
{
    json_object(b);
    form_sample_members(b, form, r);
    json_object_end(b);
}

static void sample_page(struct buf *b, const struct route *route)
{
    json_key_array(b, PAGE_DATA_KEY);
    json_object(b);
    form_sample_members(b, FORM_REPLY, route->reply.record);
    if (record_version(route->reply.record))
        json_member(b, ITEM_ETAG_KEY, "\"1\"");
    json_object_end(b);
    json_array_end(b);
    json_key(b, PAGE_PAGINATION_KEY);
    form_sample(b, FORM_REPLY, &pagination_record);
}

void form_sample_reply(struct buf *b, const struct route *route)
{
    if (!route->reply.members && !route->reply.record)
        return;
    json_object(b);
    if (route->reply.members)
        form_sample_members(b, FORM_REPLY, route->reply.members);
    if (route->reply.pages) {
        sample_page(b, route);
    } else if (route->reply.record) {
        json_key(b, route->reply.key);
        form_sample(b, FORM_REPLY, route->reply.record);
    }
    json_object_end(b);
}

void form_sample_problem(struct buf *b, const struct problem_type *type)
{
    const struct problem sample = {.type = type, .message = type->message};
    problem_to_json(NULL, b, &sample, PROBLEM_SAMPLE_ID, NULL);
}
