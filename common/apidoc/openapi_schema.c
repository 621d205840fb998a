#include "common/apidoc/openapi_schema.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/field/json_write.h"
#include "common/http/http_problems.h"

/* ---- references ---- */

void document_ref(struct document *d, const char *kind, const char *name)
{
    json_object(d->b);
    json_member(d->b, "$ref", arena_printf(d->a, "#/components/%s/%s", kind, name));
    json_object_end(d->b);
}

void document_key_ref(struct document *d, const char *key, const char *kind, const char *name)
{
    json_key(d->b, key);
    document_ref(d, kind, name);
}

static void use_schema(struct document *d, enum form form, const struct record *r)
{
    for (size_t i = 0; i < d->schema_count; i++)
        if (d->schemas[i].form == form && d->schemas[i].record == r)
            return;
    if (d->schema_count == FORMS_MAX)
        abort(); /* more records than any program of this kind has */
    d->schemas[d->schema_count++] = (struct schema){form, r};
}

void document_record_ref(struct document *d, enum form form, const struct record *r)
{
    use_schema(d, form, r);
    document_ref(d, "schemas", form_name(d->a, form, r));
}

/* ---- fields ---- */

static void put_type(struct buf *b, const struct field *f, bool nullable)
{
    static const char *const types[] = {
        [FIELD_TEXT] = "string", [FIELD_INTEGER] = "integer", [FIELD_BOOLEAN] = "boolean",
        [FIELD_ENUM] = "string", [FIELD_TIME] = "string",     [FIELD_UUID] = "string"};
    if (nullable)
        json_key_strings(b, "type", (const char *const[]){types[f->type], "null", NULL});
    else
        json_member(b, "type", types[f->type]);
}

static void put_format(struct buf *b, const struct field *f)
{
    static const char *const formats[] = {
        [FIELD_INTEGER] = "int64", [FIELD_TIME] = "date-time", [FIELD_UUID] = "uuid"};
    const char *format = f->format ? f->format->name : formats[f->type];
    if (format)
        json_member(b, "format", format);
}

static void put_number(struct buf *b, const char *key, int64_t n)
{
    json_key(b, key);
    json_integer(b, n);
}

/* A character takes up to four bytes, so a bound in bytes is written as the weakest one in
 * characters. */
static void put_length(struct buf *b, const struct field *f)
{
    int64_t min = f->use & FIELD_BYTES ? (field_min(f) + 3) / 4 : field_min(f);
    if (min == 0 && (f->use & FIELD_NOT_EMPTY))
        min = 1;
    if (min)
        put_number(b, "minLength", min);
    if (f->max)
        put_number(b, "maxLength", f->max);
}

/* For input only: replies may have rows that are older than a rule. */
static void put_bounds(struct buf *b, const struct field *f)
{
    if (f->type == FIELD_TEXT)
        put_length(b, f);
    if (f->type == FIELD_INTEGER) {
        put_number(b, "minimum", field_min(f));
        if (f->max)
            put_number(b, "maximum", f->max);
    }
    if (f->format && f->format->pattern)
        json_member(b, "pattern", f->format->pattern);
}

static void put_description(struct document *d, enum form form, const struct field *f)
{
    const char *text = f->doc ? f->doc : "";
    if (form != FORM_REPLY && (f->use & FIELD_BYTES) && f->max)
        text = arena_printf(d->a, "%s At most %lld bytes in UTF-8.", text, (long long)f->max);
    if (form == FORM_REPLY && (f->use & FIELD_PRIVATE))
        text = arena_printf(d->a, "%s Shown to its owner and to admins only.", text);
    if (form == FORM_CHANGE && (f->use & FIELD_NOT_OWN))
        text =
            arena_printf(d->a, "%s Only an admin sets it, of another; else it is ignored.", text);
    else if (form == FORM_CHANGE && !(f->use & FIELD_CHANGE))
        text = arena_printf(d->a, "%s Only an admin sets it; from others it is ignored.", text);
    if (form == FORM_CREATE && f->unless)
        text = arena_printf(d->a, "%s Required unless `%s` is true.", text, f->unless);
    if (form == FORM_CREATE && f->default_value)
        text = arena_printf(d->a, "%s By default `%s`.", text, f->default_value);
    if (*text)
        json_member(d->b, "description", text);
}

static void put_choices(struct buf *b, const struct field *f)
{
    if (f->choices && !f->choices[1])
        json_member(b, "const", f->choices[0]);
    else if (f->choices)
        json_key_strings(b, "enum", f->choices);
}

static void put_example(struct buf *b, enum form form, const struct field *f)
{
    json_key_array(b, "examples");
    form_sample_value(b, form, f);
    json_array_end(b);
}

static void put_value(struct buf *b, enum form form, const struct field *f)
{
    put_type(b, f, form_may_be_null(form, f));
    put_format(b, f);
    put_choices(b, f);
    if (form != FORM_REPLY)
        put_bounds(b, f);
    put_example(b, form, f);
}

void document_field(struct document *d, enum form form, const struct field *f)
{
    put_description(d, form, f);
    put_value(d->b, form, f);
}

void document_parameter(struct document *d, const struct field *f)
{
    put_value(d->b, FORM_CREATE, f);
    if (f->default_value) {
        json_key(d->b, "default");
        field_text_to_json(d->b, f, f->default_value);
    }
}

static void put_properties(struct document *d, enum form form, const struct record *r)
{
    json_key_object(d->b, "properties");
    for (size_t i = 0; i < r->count; i++) {
        if (!form_has(form, &r->fields[i]))
            continue;
        json_key_object(d->b, r->fields[i].name);
        document_field(d, form, &r->fields[i]);
        json_object_end(d->b);
    }
    json_object_end(d->b);
}

static void put_required(struct document *d, enum form form, const struct record *r)
{
    bool any = false;
    for (size_t i = 0; i < r->count; i++) {
        if (!form_has(form, &r->fields[i]) || !form_requires(form, &r->fields[i]))
            continue;
        if (!any)
            json_key_array(d->b, "required");
        any = true;
        json_string(d->b, r->fields[i].name);
    }
    if (any)
        json_array_end(d->b);
}

static void put_record(struct document *d, enum form form, const struct record *r)
{
    json_object(d->b);
    json_member(d->b, "type", "object");
    put_required(d, form, r);
    put_properties(d, form, r);
    json_object_end(d->b);
}

/* ---- schemas of other kinds ---- */

void document_example(struct document *d, const char *text)
{
    json_key_strings(d->b, "examples", (const char *const[]){text, NULL});
}

void document_string_schema(struct document *d, const char *pattern, int64_t min, int64_t max,
                            const char *example)
{
    json_key_object(d->b, "schema");
    json_member(d->b, "type", "string");
    if (pattern)
        json_member(d->b, "pattern", pattern);
    if (min)
        put_number(d->b, "minLength", min);
    if (max)
        put_number(d->b, "maxLength", max);
    document_example(d, example);
    json_object_end(d->b);
}

void document_object(struct document *d, const char *const *keys)
{
    json_object(d->b);
    json_member(d->b, "type", "object");
    json_key_strings(d->b, "required", keys);
    json_key_object(d->b, "properties");
}

void document_object_end(struct document *d)
{
    json_object_end(d->b);
    json_object_end(d->b);
}

/* ---- components ---- */

static void put_problem_properties(struct document *d, const struct record *r)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct field *f = &r->fields[i];
        if (strcmp(f->name, PROBLEM_CODE_KEY) == 0) {
            document_key_ref(d, f->name, "schemas", CODE_SCHEMA);
            continue;
        }
        json_key_object(d->b, f->name);
        document_field(d, FORM_REPLY, f);
        json_object_end(d->b);
    }
}

/* The schemas with lists in them, which no record describes. */
static void put_problem_schema(struct document *d, const struct record *r)
{
    json_object(d->b);
    json_member(d->b, "type", "object");
    put_required(d, FORM_REPLY, r);
    json_key_object(d->b, "properties");
    put_problem_properties(d, r);
    json_key_object(d->b, PROBLEM_MISSING_KEY);
    json_member(d->b, "type", "array");
    json_member(d->b, "description", "The required fields that were not there.");
    json_key_object(d->b, "items");
    json_member(d->b, "type", "string");
    document_example(d, "title");
    json_object_end(d->b);
    json_object_end(d->b);
    json_key_object(d->b, PROBLEM_DETAILS_KEY);
    json_member(d->b, "type", "array");
    json_member(d->b, "description", "Every field that is at fault.");
    json_key(d->b, "items");
    document_record_ref(d, FORM_REPLY, &fault_record);
    json_object_end(d->b);
    document_object_end(d);
}

void document_schemas(struct document *d)
{
    for (size_t i = 0; i < d->schema_count; i++) { /* grows meanwhile */
        const struct schema *schema = &d->schemas[i];
        json_key(d->b, form_name(d->a, schema->form, schema->record));
        if (schema->record == &problem_record || schema->record == &problem_details_record)
            put_problem_schema(d, schema->record);
        else
            put_record(d, schema->form, schema->record);
    }
}
