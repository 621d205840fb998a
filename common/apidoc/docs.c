#include "common/apidoc/docs.h"

#include <stdlib.h>
#include <string.h>

#include "common/apidoc/docs_call.h"
#include "common/apidoc/docs_table.h"
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
    /* By which the page logs in, goes on with it, and learns who it is; NULL: there is none. */
    const struct route *login, *refresh, *who;
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

/* As it is called in a sentence: "GET /posts". */
static const char *call_of(struct docs *d, const struct route *route)
{
    return arena_printf(d->a, "%s %s", method_word(d, route), route->path);
}

static void put_method(struct docs *d, const struct route *route)
{
    const char *word = method_word(d, route);
    html_printf(d->b, "<span class=\"method %s\">%s</span> ", word, word);
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
    if (!route->accepted)
        return;
    html_printf(d->b, "<p class=success><b>202</b> %s. The members of ", status_phrase(202));
    put_record_link(d, route->accepted);
    buf_puts(d->b, ".\n");
}

static void put_sample_reply(struct docs *d, const struct route *route)
{
    struct buf json;
    buf_init(&json, SCRATCH_MAX);
    form_sample_reply(&json, route);
    if (json.len) {
        html_printf(d->b, "<h4>What comes back</h4>\n<pre><code>");
        html_json(d->b, &json);
        buf_puts(d->b, "</code></pre>\n");
    }
    buf_release(&json);
}

static void put_failures(struct docs *d, const struct route *route)
{
    struct answers answers;
    bool any = false;
    api_answers(d->api, route, &answers);
    for (size_t i = 0; i < answers.count; i++) {
        if (api_is_everywhere(answers.types[i]))
            continue;
        if (!any)
            docs_begin_table(d->b, "failures", "Failures", call_of(d, route));
        any = true;
        docs_failure(d->b, d->a, answers.types[i], NULL);
    }
    if (any)
        docs_end_table(d->b);
    html_printf(d->b, "<p class=more>%s <a href=\"#errors\">what every operation may answer</a>.\n",
                any ? "And" : "Only");
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

static void put_facts(struct docs *d, const struct route *route)
{
    const char *of = call_of(d, route);
    docs_path(d->b, d->a, d->api, route, of);
    if (route->query) {
        docs_begin_table(d->b, "fields", "Query", of);
        docs_query(d->b, d->a, route->query);
        docs_end_table(d->b);
    }
    if (route->body) {
        docs_begin_table(d->b, "fields", "Body", of);
        docs_fields(d->b, d->a, form_of_body(route), route->body);
        docs_end_table(d->b);
    }
    docs_headers(d->b, d->a, route, of);
    put_success(d, route);
    put_failures(d, route);
}

/* The rest of a link to an operation, which shows its method and path. */
static void put_href(struct docs *d, const struct route *route)
{
    buf_puts(d->b, " href=\"#");
    put_anchor(d, "op", route->operation_id);
    buf_puts(d->b, "\">");
    put_method(d, route);
    buf_puts(d->b, "<span class=path>");
    put_path(d->b, route->path);
    buf_puts(d->b, "</span></a>");
}

static void put_operation(void *context, const struct resource *resource, const struct route *route)
{
    struct docs *d = context;
    (void)resource;
    buf_puts(d->b, "<article id=\"");
    put_anchor(d, "op", route->operation_id);
    buf_puts(d->b, "\">\n<h3><a class=op");
    put_href(d, route);
    html_printf(d->b, "</h3>\n<p class=summary>%s\n", route->summary ? route->summary : "");
    put_who(d, route);
    buf_puts(d->b, "<div class=sides>\n<div class=facts>\n");
    put_facts(d, route);
    buf_puts(d->b, "</div>\n<div class=calls>\n<div class=samples>\n");
    docs_curl(d->b, d->a, d->api, route);
    put_sample_reply(d, route);
    buf_puts(d->b, "</div>\n");
    docs_form(d->b, d->a, d->api, route);
    buf_puts(d->b, "</div>\n</div>\n</article>\n");
}

static void put_link(void *context, const struct resource *resource, const struct route *route)
{
    struct docs *d = context;
    (void)resource;
    buf_puts(d->b, "<li><a");
    put_href(d, route);
    buf_puts(d->b, "\n");
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
        html_printf(d->b, "<div class=group>\n<h2><a href=\"#%s\">%s</a></h2>\n<ul>\n", (*at)->name,
                    (*at)->name);
        each_of(d, *at, put_link);
        buf_puts(d->b, "</ul>\n</div>\n");
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
        const char *name = d->shown[i]->name;
        html_printf(d->b, "<article class=record id=\"record-%s\">\n<h3>%s</h3>\n", name, name);
        docs_begin_table(d->b, "fields", "Members", name);
        docs_fields(d->b, d->a, FORM_REPLY, d->shown[i]);
        docs_end_table(d->b);
        buf_puts(d->b, "</article>\n");
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
    docs_begin_table(d->b, "failures",
                     everywhere ? "What every operation may answer" : "All others", NULL);
    for (size_t i = 0; i < all->count; i++)
        if (api_is_everywhere(all->types[i]) == everywhere)
            docs_failure(d->b, d->a, all->types[i],
                         is_first_of_code(all, i) ? all->types[i]->code : NULL);
    docs_end_table(d->b);
}

static void put_problem_members(struct docs *d)
{
    docs_begin_table(d->b, "fields", "Members of a failure", NULL);
    docs_fields(d->b, d->a, FORM_REPLY, &problem_record);
    docs_end_table(d->b);
    html_printf(d->b,
                "<p>And where they apply: <code>%s</code>, the names of required fields that were "
                "not there, and <code>%s</code>, a list of all fields that are at fault:\n",
                PROBLEM_MISSING_KEY, PROBLEM_DETAILS_KEY);
    docs_begin_table(d->b, "fields", "Each of the details", NULL);
    docs_fields(d->b, d->a, FORM_REPLY, &fault_record);
    docs_end_table(d->b);
}

static void put_errors(struct docs *d)
{
    struct answers all;
    struct buf json;
    api_all_answers(d->api, &all);
    buf_init(&json, SCRATCH_MAX);
    form_sample_problem(&json, &problem_not_found);
    buf_puts(d->b, "<pre><code>");
    html_json(d->b, &json);
    buf_puts(d->b, "</code></pre>\n");
    buf_release(&json);
    put_problem_members(d);
    put_some_errors(d, &all, true);
    put_some_errors(d, &all, false);
}

/* ---- the login of the page ---- */

/* Routes that hand out a token (RFC 6749 section 5.1): for a refresh token (section 6), or not. */
static void find_login(void *context, const struct resource *resource, const struct route *route)
{
    struct docs *d = context;
    (void)resource;
    if (!route->reply.members || !route->body || !api_offers(d->api, route) ||
        !record_find(route->reply.members, "access_token"))
        return;
    if (record_find(route->body, "refresh_token"))
        d->refresh = d->refresh ? d->refresh : route;
    else
        d->login = d->login ? d->login : route;
}

/* One's own account: what the login answers beside the token, for nothing but the token. */
static void find_who(void *context, const struct resource *resource, const struct route *route)
{
    struct docs *d = context;
    (void)resource;
    if (!d->who && d->login && d->login->reply.record && route->method == METHOD_GET &&
        route->auth == AUTH_USER && !route->reply.pages && !strchr(route->path, '{') &&
        route->reply.record == d->login->reply.record && api_offers(d->api, route))
        d->who = route;
}

/* What the page's script must know of them, as attributes. */
static void put_session(struct docs *d)
{
    if (d->refresh)
        html_printf(d->b, " data-refresh=\"%s\"", d->refresh->path);
    if (d->who)
        html_printf(d->b, " data-who=\"%s\" data-key=\"%s\"", d->who->path, d->who->reply.key);
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
    buf_puts(d->b,
             "</div>\n<label class=tick><input type=checkbox id=keep> Keep it when this page is "
             "loaded again, until the tab is closed</label>\n"
             "<p class=send><button>Log in</button> "
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

/* Without a script it is where the site is told to be. */
static void put_address(struct docs *d)
{
    if (d->api->public_url && *d->api->public_url)
        html_printf(d->b, "%s%s", d->api->public_url, d->api->base_path);
    else
        html_printf(d->b, "https://example.org%s", d->api->base_path);
}

/* "0.2.0, …" begins a version, "  - " an entry of it; other lines go on with an entry. */
static void put_changes(struct docs *d)
{
    bool open = false;
    for (const char *at = d->assets->changes, *next; *at; at = next) {
        size_t len = strcspn(at, "\n");
        const char *line = arena_copy(d->a, at, len);
        next = at + len + (at[len] == '\n');
        if (*line != ' ') {
            html_printf(d->b, open ? "</ul>\n<h3>%s</h3>\n<ul>\n" : "<h3>%s</h3>\n<ul>\n", line);
            open = true;
        }
        if (len < 4 || *line != ' ')
            continue;
        buf_puts(d->b, strncmp(line, "  - ", 4) == 0 ? "<li>" : "");
        html_prose(d->b, line + 4);
        buf_puts(d->b, "\n");
    }
    buf_puts(d->b, open ? "</ul>\n" : "");
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
    {"errors", put_errors},         {"session", put_session},
    {"address", put_address},       {"changes", put_changes},
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
    router_each(api->resources, find_who, &d);
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
