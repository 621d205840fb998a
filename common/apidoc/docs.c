#include "common/apidoc/docs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/apidoc/docs_call.h"
#include "common/apidoc/html.h"
#include "common/apidoc/schema.h"
#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/encode.h"
#include "common/base/problem.h"
#include "common/crypto/digest.h"
#include "common/http/http_problems.h"
#include "common/http/page.h"

struct docs {
    struct buf *b;
    struct arena *a;
    const struct api *api;
    const struct docs_assets *assets;
    const struct route *login; /* NULL: there is none */
    /* Records with a table of their own, in the order of their first use. */
    const struct record *shown[ANSWERS_MAX];
    size_t shown_count;
};

static const char *method_word(struct docs *d, const struct route *route)
{
    return method_list(d->a, route->method);
}

/* Links lead here; an operation's id is unique. */
static void put_anchor(struct docs *d, const char *kind, const char *name)
{
    html_printf(d->b, "%s-%s", kind, name);
}

/* A path with its ids set off; a narrow page may break it after a slash. */
static void put_path(struct buf *b, const char *path)
{
    while (*path) {
        size_t len = strcspn(path + 1, "/") + 1;
        bool id = path[1] == '{';
        buf_puts(b, id ? "/<wbr><var>" : "/<wbr>");
        html_escape(b, path + 1, len - 1);
        buf_puts(b, id ? "</var>" : "");
        path += len;
    }
}

static void put_method(struct docs *d, const struct route *route)
{
    const char *word = method_word(d, route);
    html_printf(d->b, "<span class=\"method %s\">%s</span> ", word, word);
}

/* ---- fields ---- */

static const char *length_words(struct docs *d, const struct field *f)
{
    const char *unit = f->use & FIELD_BYTES ? "bytes" : "characters";
    int64_t min = field_min(f) ? field_min(f) : f->use & FIELD_NOT_EMPTY ? 1 : 0;
    if (min && f->max)
        return arena_printf(d->a, "%" PRId64 "–%" PRId64 " %s", min, f->max, unit);
    if (f->max)
        return arena_printf(d->a, "at most %" PRId64 " %s", f->max, unit);
    return min ? arena_printf(d->a, "at least %" PRId64, min) : "";
}

static const char *range_words(struct docs *d, const struct field *f)
{
    const int64_t most = INT64_C(9007199254740991); /* what JSON's numbers can count to */
    if (!f->max || f->max >= most)
        return arena_printf(d->a, "at least %" PRId64, field_min(f));
    return arena_printf(d->a, "%" PRId64 "–%" PRId64, field_min(f), f->max);
}

static const char *bounds_of(struct docs *d, const struct field *f)
{
    if (f->type == FIELD_TEXT)
        return length_words(d, f);
    return f->type == FIELD_INTEGER ? range_words(d, f) : "";
}

static void put_choices(struct docs *d, const struct field *f)
{
    for (size_t i = 0; f->choices && f->choices[i]; i++)
        html_printf(d->b, "%s<code>%s</code>", i ? " · " : " ", f->choices[i]);
}

static void put_type(struct docs *d, enum form form, const struct field *f)
{
    const char *bounds = form == FORM_REPLY ? "" : bounds_of(d, f);
    const char *default_value = form == FORM_CREATE ? f->default_value : NULL;
    html_printf(d->b, "<span class=type>%s%s</span>", field_type_word(f),
                form_may_be_null(form, f) ? " or null" : "");
    put_choices(d, f);
    if (*bounds || default_value)
        html_printf(d->b, " <span class=bounds>%s%s", bounds,
                    *bounds && default_value ? " · " : "");
    if (default_value)
        html_printf(d->b, "default <code>%s</code>", default_value);
    if (*bounds || default_value)
        buf_puts(d->b, "</span>");
}

static void put_field(struct docs *d, enum form form, const struct field *f)
{
    bool required = form == FORM_CREATE && form_requires(form, f);
    html_printf(d->b, "<tr><th scope=row><code>%s</code>", f->name);
    buf_puts(d->b, required ? " <span class=required>required</span>" : "");
    buf_puts(d->b, "<td>");
    put_type(d, form, f);
    buf_puts(d->b, "<td>");
    html_prose(d->b, f->doc ? f->doc : "");
    if (form == FORM_CHANGE && !(f->use & FIELD_CHANGE))
        buf_puts(d->b, " <em>Only an admin sets it.</em>");
    buf_puts(d->b, "\n");
}

static void begin_fields(struct docs *d, const char *title)
{
    html_printf(d->b, "<h4>%s</h4>\n<table class=fields>\n", title);
}

static void put_fields(struct docs *d, const char *title, enum form form, const struct record *r)
{
    begin_fields(d, title);
    for (size_t i = 0; i < r->count; i++)
        if (form_has(form, &r->fields[i]))
            put_field(d, form, &r->fields[i]);
    buf_puts(d->b, "</table>\n");
}

/* The fields of a query are all read, whatever their use. */
static void put_query(struct docs *d, const struct record *r)
{
    begin_fields(d, "Query");
    for (size_t i = 0; i < r->count; i++)
        put_field(d, FORM_CREATE, &r->fields[i]);
    buf_puts(d->b, "</table>\n");
}

static void put_headers(struct docs *d, const struct route *route)
{
    bool any = false;
    for (size_t i = 0; i < request_header_count; i++) {
        const struct request_header *h = &request_headers[i];
        if (!api_takes(route, h))
            continue;
        if (!any)
            begin_fields(d, "Headers");
        any = true;
        html_printf(d->b, "<tr><th scope=row><code>%s</code><td><span class=type>string</span><td>",
                    h->name);
        html_prose(d->b, h->doc);
        buf_puts(d->b, "\n");
    }
    buf_puts(d->b, any ? "</table>\n" : "");
}

/* ---- what is answered ---- */

static void put_record_link(struct docs *d, const struct record *r)
{
    size_t i = 0;
    while (i < d->shown_count && d->shown[i] != r)
        i++;
    if (i == d->shown_count && i < ANSWERS_MAX)
        d->shown[d->shown_count++] = r;
    html_printf(d->b, "<a href=\"#record-%s\">%s</a>", r->name, r->name);
}

static void put_reply_words(struct docs *d, const struct route *route)
{
    if (route->reply.members) {
        buf_puts(d->b, " The members of ");
        put_record_link(d, route->reply.members);
        buf_puts(d->b, route->reply.record ? ", and" : ".");
    }
    if (route->reply.pages) {
        html_printf(d->b, " <code>%s</code>, a list of ", PAGE_DATA_KEY);
        put_record_link(d, route->reply.record);
        html_printf(d->b, ", and <code>%s</code>, a ", PAGE_PAGINATION_KEY);
        put_record_link(d, &pagination_record);
        buf_puts(d->b, " or, with a cursor, a ");
        put_record_link(d, &cursor_pagination_record);
        buf_puts(d->b, ".");
    } else if (route->reply.record) {
        html_printf(d->b, " <code>%s</code>, a ", route->reply.key);
        put_record_link(d, route->reply.record);
        buf_puts(d->b, ".");
    } else if (route->reply.media_type) {
        html_printf(d->b, " <code>%s</code>", route->reply.media_type);
    }
}

static void put_success(struct docs *d, const struct route *route)
{
    html_printf(d->b, "<h4>Answers</h4>\n<p class=success><b>%s</b> %s.",
                arena_printf(d->a, "%d", route_status(route)), status_phrase(route_status(route)));
    put_reply_words(d, route);
    buf_puts(d->b, "\n");
}

static void put_sample_reply(struct docs *d, const struct route *route)
{
    struct buf json;
    buf_init(&json, SCRATCH_MAX);
    form_sample_reply(&json, route);
    if (json.len) {
        html_printf(d->b, "<h4>What comes back</h4>\n<pre tabindex=0><code>");
        html_json(d->b, &json);
        buf_puts(d->b, "</code></pre>\n");
    }
    buf_release(&json);
}

/* `id` where the row is the place that a problem's `type` leads to, else NULL. */
static void put_failure(struct docs *d, const struct problem_type *type, const char *id)
{
    if (id)
        html_printf(d->b, "<tr id=\"%s\">", id);
    else
        buf_puts(d->b, "<tr>");
    html_printf(d->b, "<th scope=row>%s <code>%s</code><td>%s<td>%s\n",
                arena_printf(d->a, "%d", type->status), type->code, type->error, type->message);
}

static void put_failures(struct docs *d, const struct route *route)
{
    struct answers answers;
    api_answers(d->api, route, &answers);
    buf_puts(d->b, "<table class=failures>\n");
    for (size_t i = 0; i < answers.count; i++)
        if (!api_is_everywhere(answers.types[i]))
            put_failure(d, answers.types[i], NULL);
    buf_puts(d->b, "</table>\n<p class=more>And <a href=\"#errors\">what every operation may "
                   "answer</a>.\n");
}

/* ---- the parts of the page ---- */

static void put_who(struct docs *d, const struct route *route)
{
    static const char *const who[] = {[AUTH_USER] = "Needs a token.",
                                      [AUTH_ADMIN] = "Needs an admin's token.",
                                      [AUTH_OPTIONAL] =
                                          "For anyone; a token that is sent is checked.",
                                      [AUTH_NONE] = "For anyone."};
    html_printf(d->b, "<p class=who>%s%s%s%s\n", who[route_auth(route, d->api->app)],
                (route->flags & ROUTE_RATE_LIMITED) ? " Only so often from one address." : "",
                (route->flags & ROUTE_PASSWORD_LIMITED) ? " Only so many wrong passwords." : "",
                api_limits(d->api, d->a, route));
}

static void put_operation(void *context, const struct resource *resource, const struct route *route)
{
    struct docs *d = context;
    (void)resource;
    buf_puts(d->b, "<article id=\"");
    put_anchor(d, "op", route->operation_id);
    buf_puts(d->b, "\">\n<h3><a class=op href=\"#");
    put_anchor(d, "op", route->operation_id);
    buf_puts(d->b, "\">");
    put_method(d, route);
    buf_puts(d->b, "<span class=path>");
    put_path(d->b, route->path);
    html_printf(d->b, "</span></a></h3>\n<p class=summary>%s\n",
                route->summary ? route->summary : "");
    put_who(d, route);
    buf_puts(d->b, "<div class=sides>\n<div class=facts>\n");
    if (route->query)
        put_query(d, route->query);
    if (route->body)
        put_fields(d, "Body", form_of_body(route), route->body);
    put_headers(d, route);
    put_success(d, route);
    put_failures(d, route);
    buf_puts(d->b, "</div>\n<div class=calls>\n");
    docs_curl(d->b, d->a, route);
    put_sample_reply(d, route);
    docs_form(d->b, d->a, route);
    buf_puts(d->b, "</div>\n</div>\n</article>\n");
}

static void put_link(void *context, const struct resource *resource, const struct route *route)
{
    struct docs *d = context;
    (void)resource;
    buf_puts(d->b, "<li><a href=\"#");
    put_anchor(d, "op", route->operation_id);
    buf_puts(d->b, "\">");
    put_method(d, route);
    buf_puts(d->b, "<span class=path>");
    put_path(d->b, route->path);
    buf_puts(d->b, "</span></a>\n");
}

/* Call `each` for what one resource offers. */
static void each_of(struct docs *d, const struct resource *resource,
                    void (*each)(void *context, const struct resource *resource,
                                 const struct route *route))
{
    for (size_t i = 0; i < resource->count; i++)
        if (api_offers(d->api, &resource->routes[i]))
            each(d, resource, &resource->routes[i]);
}

static void put_navigation(struct docs *d)
{
    for (const struct resource *const *at = d->api->resources; *at; at++) {
        html_printf(d->b, "<h2><a href=\"#%s\">%s</a></h2>\n<ul>\n", (*at)->name, (*at)->name);
        each_of(d, *at, put_link);
        buf_puts(d->b, "</ul>\n");
    }
}

static void put_operations(struct docs *d)
{
    for (const struct resource *const *at = d->api->resources; *at; at++) {
        html_printf(d->b, "<section id=\"%s\">\n<h2>%s</h2>\n<p>%s\n", (*at)->name, (*at)->name,
                    (*at)->doc);
        each_of(d, *at, put_operation);
        buf_puts(d->b, "</section>\n");
    }
}

static void put_records(struct docs *d)
{
    for (size_t i = 0; i < d->shown_count; i++) {
        html_printf(d->b,
                    "<article class=record id=\"record-%s\">\n<h3>%s</h3>\n<table class=fields>\n",
                    d->shown[i]->name, d->shown[i]->name);
        for (size_t n = 0; n < d->shown[i]->count; n++)
            if (form_has(FORM_REPLY, &d->shown[i]->fields[n]))
                put_field(d, FORM_REPLY, &d->shown[i]->fields[n]);
        buf_puts(d->b, "</table>\n</article>\n");
    }
}

static bool is_first_of_code(const struct answers *all, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (strcmp(all->types[i]->code, all->types[at]->code) == 0)
            return false;
    return true;
}

static void put_some_errors(struct docs *d, const struct answers *all, bool everywhere)
{
    buf_puts(d->b, "<table class=failures>\n");
    for (size_t i = 0; i < all->count; i++)
        if (api_is_everywhere(all->types[i]) == everywhere)
            put_failure(d, all->types[i], is_first_of_code(all, i) ? all->types[i]->code : NULL);
    buf_puts(d->b, "</table>\n");
}

static void put_errors(struct docs *d)
{
    struct answers all;
    struct buf json;
    api_all_answers(d->api, &all);
    buf_init(&json, SCRATCH_MAX);
    form_sample_problem(&json, &problem_not_found);
    buf_puts(d->b, "<pre tabindex=0><code>");
    html_json(d->b, &json);
    buf_puts(d->b, "</code></pre>\n");
    buf_release(&json);
    put_fields(d, "Members", FORM_REPLY, &problem_record);
    html_printf(d->b,
                "<p>And where they apply: <code>%s</code>, the names of required fields that were "
                "not there, and <code>%s</code>, a list of all fields that are at fault:\n",
                PROBLEM_MISSING_KEY, PROBLEM_DETAILS_KEY);
    put_fields(d, "Details", FORM_REPLY, &fault_record);
    buf_puts(d->b, "<h4>What every operation may answer</h4>\n");
    put_some_errors(d, &all, true);
    buf_puts(d->b, "<h4>All others</h4>\n");
    put_some_errors(d, &all, false);
}

static void find_login(void *context, const struct resource *resource, const struct route *route)
{
    struct docs *d = context;
    (void)resource;
    if (!d->login && route->reply.members && route->body &&
        record_find(route->reply.members, "access_token") && api_offers(d->api, route))
        d->login = route;
}

static void put_login_input(struct docs *d, const struct field *f)
{
    bool secret = strstr(f->name, "password") != NULL;
    html_printf(d->b, "<label><span>%s</span><input name=\"%s\" type=%s autocomplete=%s></label>\n",
                f->name, f->name, secret ? "password" : "text",
                secret ? "current-password" : "username");
}

static void put_login(struct docs *d)
{
    if (!d->login)
        return;
    const struct record *r = d->login->body;
    html_printf(d->b,
                "<form id=login-form data-method=\"%s\" data-path=\"%s\" data-type=\"%s\">\n"
                "<div class=inputs>\n",
                method_word(d, d->login), d->login->path, JSON_MEDIA_TYPE);
    for (size_t i = 0; i < r->count; i++)
        if (form_has(form_of_body(d->login), &r->fields[i]))
            put_login_input(d, &r->fields[i]);
    buf_puts(d->b, "</div>\n<p class=send><button>Log in</button> "
                   "<button type=button id=forget hidden>Forget the token</button> "
                   "<span class=state role=status></span>\n</form>\n");
}

static void put_title(struct docs *d)
{
    html_printf(d->b, "%s", d->api->title);
}

static void put_version(struct docs *d)
{
    html_printf(d->b, "%s", d->api->version);
}

static void put_about(struct docs *d)
{
    html_prose(d->b, d->api->description);
}

static void put_base(struct docs *d)
{
    html_printf(d->b, "%s", d->api->base_path);
}

/* These two are ours, and their bytes are what the policy has the hashes of. */
static void put_style(struct docs *d)
{
    buf_puts(d->b, d->assets->style);
}

static void put_script(struct docs *d)
{
    buf_puts(d->b, d->assets->script);
}

static const struct {
    const char *name;
    void (*put)(struct docs *d);
} parts[] = {
    {"title", put_title},           {"version", put_version},
    {"description", put_about},     {"base", put_base},
    {"style", put_style},           {"script", put_script},
    {"navigation", put_navigation}, {"login", put_login},
    {"operations", put_operations}, {"records", put_records},
    {"errors", put_errors},
};

static void put_part(struct docs *d, const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strlen(parts[i].name) == len && memcmp(parts[i].name, name, len) == 0) {
            parts[i].put(d);
            return;
        }
    }
    abort(); /* the template and this file disagree */
}

void docs_write(struct buf *b, const struct api *api, const struct docs_assets *assets)
{
    struct docs d = {
        .b = b, .a = arena_open((size_t)16 * 1024 * 1024), .api = api, .assets = assets};
    const char *at = assets->page;
    router_each(api->resources, find_login, &d);
    for (const char *mark = strstr(at, "{{"); mark; mark = strstr(at, "{{")) {
        const char *end = strstr(mark, "}}");
        buf_add(b, at, (size_t)(mark - at));
        if (!end)
            abort();
        put_part(&d, mark + 2, (size_t)(end - mark - 2));
        at = end + 2;
    }
    buf_puts(b, at);
    arena_close(d.a);
}

/* The hash of an inline element, as a policy names it (CSP level 3, section 2.3.1). */
static const char *source_hash(struct arena *a, const char *text)
{
    unsigned char hash[32];
    sha256(text, strlen(text), hash);
    char *base64 = arena_strdup(a, base64url(a, hash, sizeof hash));
    for (char *c = base64; *c; c++)
        *c = (char)(*c == '-' ? '+' : *c == '_' ? '/' : *c);
    return arena_printf(a, "'sha256-%s='", base64);
}

const char *docs_policy(struct arena *a, const struct docs_assets *assets)
{
    return arena_printf(a,
                        "default-src 'none'; style-src %s; script-src %s; connect-src 'self'; "
                        "img-src data:; base-uri 'none'; form-action 'none'; "
                        "frame-ancestors 'none'",
                        source_hash(a, assets->style), source_hash(a, assets->script));
}
