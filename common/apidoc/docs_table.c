#include "common/apidoc/docs_table.h"

#include <inttypes.h>
#include <string.h>

#include "common/apidoc/api.h"
#include "common/apidoc/html.h"
#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/problem.h"

void docs_begin_table(struct buf *b, const char *kind, const char *caption, const char *of)
{
    html_printf(b, "<table class=%s><caption>%s", kind, caption);
    if (of)
        html_printf(b, "<span class=vh> of %s</span>", of);
    buf_puts(b, "</caption>\n");
}

void docs_end_table(struct buf *b)
{
    buf_puts(b, "</table>\n");
}

/* ---- fields ---- */

static const char *length_words(struct arena *a, int64_t min, int64_t max, const char *unit)
{
    if (min && max)
        return arena_printf(a, "%" PRId64 "–%" PRId64 " %s", min, max, unit);
    if (max)
        return arena_printf(a, "at most %" PRId64 " %s", max, unit);
    return min ? arena_printf(a, "at least %" PRId64, min) : "";
}

static const char *length_of(struct arena *a, const struct field *f)
{
    int64_t min = field_min(f) ? field_min(f) : f->use & FIELD_NOT_EMPTY ? 1 : 0;
    return length_words(a, min, f->max, f->use & FIELD_BYTES ? "bytes" : "characters");
}

static const char *range_words(struct arena *a, const struct field *f)
{
    const int64_t most = INT64_C(9007199254740991); /* what JSON's numbers can count to */
    if (!f->max || f->max >= most)
        return arena_printf(a, "at least %" PRId64, field_min(f));
    return arena_printf(a, "%" PRId64 "–%" PRId64, field_min(f), f->max);
}

static const char *bounds_of(struct arena *a, const struct field *f)
{
    if (f->type == FIELD_TEXT)
        return length_of(a, f);
    return f->type == FIELD_INTEGER ? range_words(a, f) : "";
}

static void put_choices(struct buf *b, const struct field *f)
{
    for (size_t i = 0; f->choices && f->choices[i]; i++)
        html_printf(b, "%s<code>%s</code>", i ? " · " : " ", f->choices[i]);
}

static void put_type(struct buf *b, struct arena *a, enum form form, const struct field *f)
{
    const char *bounds = form == FORM_REPLY ? "" : bounds_of(a, f);
    const char *default_value = form == FORM_CREATE ? f->default_value : NULL;
    html_printf(b, "<span class=type>%s%s</span>", field_type_word(f),
                form_may_be_null(form, f) ? " or null" : "");
    put_choices(b, f);
    if (*bounds || default_value)
        html_printf(b, " <span class=bounds>%s%s", bounds, *bounds && default_value ? " · " : "");
    if (default_value)
        html_printf(b, "default <code>%s</code>", default_value);
    if (*bounds || default_value)
        buf_puts(b, "</span>");
}

/* Long names may break after an underline. */
static void put_name(struct buf *b, const char *name)
{
    buf_puts(b, "<code>");
    while (*name) {
        size_t len = strcspn(name, "_");
        len += name[len] == '_';
        html_escape(b, name, len);
        name += len;
        buf_puts(b, *name ? "<wbr>" : "");
    }
    buf_puts(b, "</code>");
}

static void begin_row(struct buf *b, const char *name, bool required)
{
    buf_puts(b, "<tr><th scope=row>");
    put_name(b, name);
    buf_puts(b, required ? " <span class=required>required</span>" : "");
    buf_puts(b, "<td>");
}

static void put_field(struct buf *b, struct arena *a, enum form form, const struct field *f)
{
    begin_row(b, f->name, form == FORM_CREATE && form_requires(form, f));
    put_type(b, a, form, f);
    buf_puts(b, "<p>");
    html_prose(b, f->doc ? f->doc : "");
    if (form == FORM_CHANGE && !(f->use & FIELD_CHANGE))
        buf_puts(b, f->use & FIELD_NOT_OWN ? " <em>Only an admin sets it, of another.</em>"
                                           : " <em>Only an admin sets it.</em>");
    if (form == FORM_CREATE && f->unless)
        buf_printf(b, " <em>Required unless %s is true.</em>", f->unless);
    buf_puts(b, "\n");
}

void docs_fields(struct buf *b, struct arena *a, enum form form, const struct record *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (form_has(form, &r->fields[i]))
            put_field(b, a, form, &r->fields[i]);
}

void docs_query(struct buf *b, struct arena *a, const struct record *r)
{
    for (size_t i = 0; i < r->count; i++)
        put_field(b, a, FORM_CREATE, &r->fields[i]);
}

/* ---- path and headers ---- */

void docs_path(struct buf *b, struct arena *a, const struct api *api, const struct route *route,
               const char *of)
{
    const char *at = strchr(route->path, '{');
    if (!at)
        return;
    docs_begin_table(b, "fields", "Path", of);
    for (; at; at = strchr(at + 1, '{')) {
        begin_row(b, arena_copy(a, at + 1, strcspn(at + 1, "}")), true);
        html_printf(b, "<span class=type>uuid</span><p>%s", api_id_words(a, api, route->path, at));
        buf_puts(b, "\n");
    }
    docs_end_table(b);
}

void docs_headers(struct buf *b, struct arena *a, const struct route *route, const char *of)
{
    bool any = false;
    for (size_t i = 0; i < request_header_count; i++) {
        const struct request_header *h = &request_headers[i];
        if (!api_takes(route, h))
            continue;
        if (!any)
            docs_begin_table(b, "fields", "Headers", of);
        any = true;
        begin_row(b, h->name, false);
        html_printf(b, "<span class=type>string</span> <span class=bounds>%s</span><p>",
                    length_words(a, h->min, h->max, "characters"));
        html_prose(b, h->doc);
        buf_puts(b, "\n");
    }
    if (any)
        docs_end_table(b);
}

/* ---- failures ---- */

void docs_failure(struct buf *b, struct arena *a, const struct problem_type *type, const char *id)
{
    if (id)
        html_printf(b, "<tr id=\"%s\">", id);
    else
        buf_puts(b, "<tr>");
    html_printf(b, "<th scope=row>%s ", arena_printf(a, "%d", type->status));
    put_name(b, type->code);
    html_printf(b, "<td>%s<p>%s\n", type->error, type->message);
}
