#include "common/apidoc/docs_call.h"

#include <ctype.h>
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

/* A refresh token (RFC 6749 section 6) as the shell's variable: its quotes end before, and begin
 * after it. */
static void put_variable(const struct route *route, struct buf *json)
{
    static const char variable[] = "\"'\"$REFRESH_TOKEN\"'\"";
    const struct field *f = record_find(route->body, "refresh_token");
    const char *value = f ? f->example : NULL;
    char *at = value ? strstr(json->data, value) : NULL;
    if (!at)
        return;
    struct buf plain = *json;
    size_t before = (size_t)(at - plain.data) - 1, after = before + strlen(value) + 2;
    buf_init(json, SCRATCH_MAX);
    buf_add(json, plain.data, before);
    buf_puts(json, variable);
    buf_add(json, plain.data + after, plain.len - after);
    buf_release(&plain);
}

/* What stands for an id: POST_ID. */
static const char *variable_of(struct arena *a, const struct api *api, const char *path,
                               const char *at)
{
    const struct record *r = api_record_of_id(api, path, at);
    char *name = arena_strdup(a, arena_printf(a, "%s%sID", r ? r->name : "", r ? "_" : ""));
    for (char *c = name; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    return name;
}

static void put_shell_path(struct buf *b, struct arena *a, const struct api *api, const char *path)
{
    for (const char *at = path; *at;) {
        size_t len = strcspn(at, "{");
        html_escape(b, at, len);
        at += len;
        if (!*at)
            break;
        html_printf(b, "$%s", variable_of(a, api, path, at));
        at += strcspn(at, "}") + 1;
    }
}

/* Who may call without a token does so when reading, but not when writing. */
static bool sends_token(const struct route *route)
{
    return route->auth == AUTH_USER || route->auth == AUTH_ADMIN ||
           (route->auth == AUTH_OPTIONAL && route->method != METHOD_GET);
}

void docs_curl(struct buf *b, struct arena *a, const struct api *api, const struct route *route)
{
    buf_puts(b, "<h4>Call it</h4>\n<div class=bar></div>\n<pre class=snippet><code>curl ");
    if (route->method != METHOD_GET && !(route->method == METHOD_POST && route->body))
        html_printf(b, "-X %s ", method_list(a, route->method));
    buf_puts(b, "&quot;$API");
    put_shell_path(b, a, api, route->path);
    buf_puts(b, "&quot;");
    if (sends_token(route))
        buf_puts(b, " \\\n  -H &quot;Authorization: Bearer $TOKEN&quot;");
    if (route->body) {
        struct buf json;
        make_sample_body(route, &json);
        spell_apostrophes(&json);
        put_variable(route, &json);
        html_printf(b, " \\\n  -H 'Content-Type: %s' \\\n  -d '", JSON_MEDIA_TYPE);
        html_json(b, &json);
        buf_puts(b, "'");
        buf_release(&json);
    }
    buf_puts(b, "</code></pre>\n");
}

static void put_input(struct buf *b, const char *kind, const char *name, const char *hint)
{
    html_printf(b,
                "<label><span>%s</span><input data-in=%s name=\"%s\" placeholder=\"%s\" "
                "autocomplete=off autocapitalize=off spellcheck=false></label>\n",
                name, kind, name, hint);
}

static void put_path_inputs(struct buf *b, struct arena *a, const struct api *api,
                            const struct route *route)
{
    for (const char *at = strchr(route->path, '{'); at; at = strchr(at + 1, '{')) {
        const char *name = arena_copy(a, at + 1, strcspn(at + 1, "}"));
        html_printf(b,
                    "<label><span>%s</span><input data-in=path name=\"%s\" data-as=\"%s\" "
                    "placeholder=\"uuid\" required autocomplete=off spellcheck=false></label>\n",
                    name, name, variable_of(a, api, route->path, at));
    }
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

/* Which operation reads what has the id that a reply has in this member: "id=getPost". */
static void put_lead(struct buf *b, const struct api *api, const char *member, const char *record)
{
    const struct route *route = api_reading(api, record);
    if (route)
        html_printf(b, "%s=%s ", member, route->operation_id);
}

static void put_leads(struct buf *b, const struct api *api, const struct record *r)
{
    buf_puts(b, " data-leads=\"");
    for (size_t i = 0; r && i < r->count; i++) {
        const struct field *f = &r->fields[i];
        if (f->type == FIELD_UUID && form_has(FORM_REPLY, f))
            put_lead(b, api, f->name, f->refers_to ? f->refers_to : r->name);
    }
    buf_puts(b, "\"");
}

static bool asks_first(const struct route *route)
{
    return route->method == METHOD_DELETE || (route->flags & ROUTE_NO_UNDO);
}

static void begin_form(struct buf *b, const struct api *api, const char *method,
                       const struct route *route)
{
    static const char *const tokens[] = {
        [AUTH_USER] = "yes", [AUTH_ADMIN] = "yes", [AUTH_OPTIONAL] = "may", [AUTH_NONE] = "no"};
    html_printf(b,
                "<details class=try>\n<summary>Try it<span class=vh>: %s %s</span></summary>\n"
                "<form data-method=\"%s\" data-path=\"%s\" data-token=%s",
                method, route->path, method, route->path,
                sends_token(route) ? "yes" : tokens[route->auth]);
    put_leads(b, api, route->reply.record);
    if (asks_first(route))
        html_printf(b, " data-ask=\"%s\"", route->summary ? route->summary : "");
    buf_puts(b, ">\n");
}

void docs_form(struct buf *b, struct arena *a, const struct api *api, const struct route *route)
{
    const char *method = method_list(a, route->method);
    begin_form(b, api, method, route);
    buf_puts(b, "<div class=inputs>\n");
    put_path_inputs(b, a, api, route);
    put_query_inputs(b, route->query);
    for (size_t i = 0; i < request_header_count; i++)
        if (api_takes(route, &request_headers[i]))
            put_input(b, "header", request_headers[i].name, "");
    put_body_input(b, route);
    html_printf(b,
                "</div>\n<p class=send><button>Send<span class=vh> %s %s</span></button> "
                "<span class=state role=status></span>\n<div class=answer hidden></div>\n"
                "</form>\n</details>\n",
                method, route->path);
}
