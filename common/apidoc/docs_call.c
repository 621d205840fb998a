#include "common/apidoc/docs_call.h"

#include <string.h>

#include "common/apidoc/api.h"
#include "common/apidoc/html.h"
#include "common/apidoc/schema.h"
#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/http/request.h"
#include "common/http/router.h"

static void make_sample_body(const struct route *route, struct buf *json)
{
    buf_init(json, SCRATCH_MAX);
    if (route->body)
        form_sample(json, form_of_body(route), route->body);
}

/* An apostrophe as \u0027, so that the JSON can be quoted with apostrophes in a shell. */
static void spell_apostrophes(struct buf *json)
{
    struct buf plain = *json;
    buf_init(json, SCRATCH_MAX);
    for (size_t i = 0; i < plain.len; i++) {
        if (plain.data[i] == '\'')
            buf_puts(json, "\\u0027");
        else
            buf_add(json, &plain.data[i], 1);
    }
    buf_release(&plain);
}

void docs_curl(struct buf *b, struct arena *a, const struct route *route)
{
    struct buf json;
    make_sample_body(route, &json);
    spell_apostrophes(&json);
    buf_puts(b, "<h4>On the command line</h4>\n<pre tabindex=0><code>curl ");
    if (route->method != METHOD_GET && !(route->method == METHOD_POST && route->body))
        html_printf(b, "-X %s ", method_list(a, route->method));
    html_printf(b, "&quot;$API%s&quot;", route->path);
    if (route->auth == AUTH_USER || route->auth == AUTH_ADMIN)
        buf_puts(b, " \\\n  -H &quot;Authorization: Bearer $TOKEN&quot;");
    if (route->body) {
        html_printf(b, " \\\n  -H 'Content-Type: %s' \\\n  -d '", JSON_MEDIA_TYPE);
        html_json(b, &json);
        buf_puts(b, "'");
    }
    buf_puts(b, "</code></pre>\n");
    buf_release(&json);
}

static void put_input(struct buf *b, const char *kind, const char *name, const char *hint)
{
    html_printf(b,
                "<label><span>%s</span><input data-in=%s name=\"%s\" placeholder=\"%s\" "
                "autocomplete=off autocapitalize=off spellcheck=false></label>\n",
                name, kind, name, hint);
}

static void put_path_inputs(struct buf *b, struct arena *a, const struct route *route)
{
    for (const char *at = strchr(route->path, '{'); at; at = strchr(at + 1, '{'))
        put_input(b, "path", arena_copy(a, at + 1, strcspn(at + 1, "}")), "uuid");
}

static void put_select(struct buf *b, const struct field *f)
{
    static const char *const yes_or_no[] = {"true", "false", NULL};
    const char *const *choices = f->choices ? f->choices : yes_or_no;
    html_printf(b, "<label><span>%s</span><select data-in=query name=\"%s\"><option value=\"\">–",
                f->name, f->name);
    for (; *choices; choices++)
        html_printf(b, "<option>%s", *choices);
    buf_puts(b, "</select></label>\n");
}

static void put_query_inputs(struct buf *b, const struct record *r)
{
    for (size_t i = 0; r && i < r->count; i++) {
        const struct field *f = &r->fields[i];
        if (f->type == FIELD_ENUM || f->type == FIELD_BOOLEAN)
            put_select(b, f);
        else
            put_input(b, "query", f->name,
                      f->default_value ? f->default_value : field_type_word(f));
    }
}

static void put_body_input(struct buf *b, const struct route *route)
{
    struct buf json;
    if (!route->body)
        return;
    make_sample_body(route, &json);
    html_printf(b,
                "<label class=wide><span>Body</span><textarea name=\"body\" data-in=body "
                "data-type=\"%s\" rows=7 spellcheck=false>\n",
                JSON_MEDIA_TYPE);
    html_json(b, &json);
    buf_puts(b, "</textarea></label>\n");
    buf_release(&json);
}

void docs_form(struct buf *b, struct arena *a, const struct route *route)
{
    html_printf(b,
                "<details class=try>\n<summary>Try it</summary>\n<form data-method=\"%s\" "
                "data-path=\"%s\" data-token=\"%s\">\n",
                method_list(a, route->method), route->path,
                route->auth == AUTH_NONE ? "no" : "yes");
    buf_puts(b, "<div class=inputs>\n");
    put_path_inputs(b, a, route);
    put_query_inputs(b, route->query);
    for (size_t i = 0; i < request_header_count; i++)
        if (api_takes(route, &request_headers[i]))
            put_input(b, "header", request_headers[i].name, "");
    put_body_input(b, route);
    buf_puts(b, "</div>\n<p class=send><button>Send</button> "
                "<span class=state role=status></span>\n"
                "<pre class=reply hidden tabindex=0></pre>\n</form>\n</details>\n");
}
