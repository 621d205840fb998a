#include "common/apidoc/api.h"

#include <stdlib.h>
#include <string.h>

#include "common/apidoc/schema.h"
#include "common/base/arena.h"
#include "common/base/problem.h"
#include "common/http/http_problems.h"
#include "common/http/idempotency.h"

bool api_offers(const struct api *api, const struct route *route)
{
    return !(route->flags & ROUTE_LOOPBACK_ONLY) && (!route->enabled || route->enabled(api->app));
}

const char *api_limits(const struct api *api, struct arena *a, const struct route *route)
{
    return api->limits && route->limits ? api->limits(api->app, a, route) : "";
}

/* ---- failures ---- */

/* What the server in front or a bug may answer to anything. */
static const struct problem_type *const everywhere[] = {
    &problem_bad_request,  &problem_too_large,       &problem_uri_too_long,
    &problem_rate_limited, &problem_internal,        &problem_bad_gateway,
    &problem_unavailable,  &problem_gateway_timeout, NULL,
};

/* What is answered where no route is. */
static const struct problem_type *const nowhere[] = {&problem_not_found,
                                                     &problem_method_not_allowed, NULL};

static bool has(const struct answers *answers, const struct problem_type *type)
{
    for (size_t i = 0; i < answers->count; i++)
        if (answers->types[i] == type)
            return true;
    return false;
}

/* Once, after those of its status. */
static void add(struct answers *answers, const struct problem_type *type)
{
    if (has(answers, type))
        return;
    if (answers->count == ANSWERS_MAX)
        abort(); /* more kinds of failure than a client could handle */
    size_t at = answers->count++;
    for (; at && answers->types[at - 1]->status > type->status; at--)
        answers->types[at] = answers->types[at - 1];
    answers->types[at] = type;
}

static void add_list(struct answers *answers, const struct problem_type *const *types)
{
    for (; types && *types; types++)
        add(answers, *types);
}

static void add_formats(struct answers *answers, const struct record *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->fields[i].format && r->fields[i].format->problem)
            add(answers, r->fields[i].format->problem);
}

static bool can_miss_something(const struct route *route)
{
    for (size_t i = 0; i < route->body->count; i++)
        if (form_has(form_of_body(route), &route->body->fields[i]) &&
            form_requires(form_of_body(route), &route->body->fields[i]))
            return true;
    return false;
}

static void add_of_token(struct answers *answers, const struct api *api, const struct route *route)
{
    enum auth auth = route_auth(route, api->app);
    if (auth == AUTH_NONE || (route->flags & ROUTE_BAD_TOKEN_IS_NONE))
        return;
    if (auth != AUTH_OPTIONAL)
        add(answers, &problem_no_token);
    add(answers, &problem_invalid_token);
    add(answers, &problem_token_expired);
    add_list(answers, api->token_problems);
    if (auth == AUTH_ADMIN)
        add(answers, &problem_admin_required);
}

static void add_of_body(struct answers *answers, const struct route *route)
{
    add(answers, &problem_bad_json);
    add(answers, &problem_invalid);
    add(answers, &problem_not_json);
    add(answers, &problem_too_large);
    add_formats(answers, route->body);
    if (can_miss_something(route))
        add(answers, route->missing_problem ? route->missing_problem : &problem_missing_fields);
}

void api_answers(const struct api *api, const struct route *route, struct answers *ret)
{
    ret->count = 0;
    add_of_token(ret, api, route);
    if (strchr(route->path, '{'))
        add(ret, &problem_not_found); /* for dots, which are no id */
    if (route->query) {
        add(ret, &problem_invalid);
        add_formats(ret, route->query);
    }
    if (route->body)
        add_of_body(ret, route);
    if ((route->flags & ROUTE_IDEMPOTENCY_KEY)) {
        add(ret, &problem_invalid); /* the key */
        add(ret, &problem_idempotency_busy);
        add(ret, &problem_idempotency_mismatch);
    }
    if (api_checks_match(route))
        add(ret, &problem_precondition_failed);
    add_list(ret, route->problems);
    add_list(ret, everywhere);
}

struct collection {
    const struct api *api;
    struct answers *ret;
};

static void collect(void *context, const struct resource *resource, const struct route *route)
{
    const struct collection *c = context;
    struct answers answers;
    (void)resource;
    if (!api_offers(c->api, route))
        return;
    api_answers(c->api, route, &answers);
    for (size_t i = 0; i < answers.count; i++)
        add(c->ret, answers.types[i]);
}

void api_all_answers(const struct api *api, struct answers *ret)
{
    ret->count = 0;
    router_each(api->resources, collect, &(struct collection){api, ret});
    add_list(ret, everywhere);
    add_list(ret, nowhere);
}

bool api_is_everywhere(const struct problem_type *type)
{
    for (size_t i = 0; everywhere[i]; i++)
        if (everywhere[i] == type)
            return true;
    return false;
}

bool api_is_of_front(const struct problem_type *type)
{
    return type == &problem_bad_request || type == &problem_uri_too_long ||
           type == &problem_bad_gateway || type == &problem_gateway_timeout;
}

/* ---- ids ---- */

struct id_search {
    const struct api *api;
    const char *path;
    size_t one, all; /* lengths of the paths of the thing, and of the list that it is in */
    const struct record *record;
};

static bool is_path(const struct route *route, const char *path, size_t len)
{
    return strlen(route->path) == len && strncmp(route->path, path, len) == 0;
}

static void find_record(void *context, const struct resource *resource, const struct route *route)
{
    struct id_search *search = context;
    const struct record *r = route->reply.record;
    (void)resource;
    if (!search->record && r && record_find(r, "id") && api_offers(search->api, route) &&
        is_path(route, search->path, route->reply.pages ? search->all : search->one))
        search->record = r;
}

const struct record *api_record_of_id(const struct api *api, const char *path, const char *at)
{
    size_t before = (size_t)(at - path);
    struct id_search search = {api, path, before + strcspn(at, "/"), before - 1, NULL};
    router_each(api->resources, find_record, &search);
    return search.record;
}

const char *api_id_words(struct arena *a, const struct api *api, const char *path, const char *at)
{
    const struct record *r = api_record_of_id(api, path, at);
    const char *doc = r ? record_find(r, "id")->doc : NULL;
    return arena_printf(a, "%s%sA UUID, in upper or lower case.", doc ? doc : "", doc ? " " : "");
}

struct reading_search {
    const struct api *api;
    const char *record;
    const struct route *route;
};

/* `/posts/{id}`, with one thing in the answer. */
static bool reads_by_id(const struct route *route, const char *record)
{
    const char *brace = strchr(route->path, '{');
    return route->method == METHOD_GET && route->reply.record && !route->reply.pages && brace &&
           !strchr(brace, '/') && strcmp(route->reply.record->name, record) == 0;
}

static void find_reading(void *context, const struct resource *resource, const struct route *route)
{
    struct reading_search *search = context;
    (void)resource;
    if (!search->route && reads_by_id(route, search->record) && api_offers(search->api, route))
        search->route = route;
}

const struct route *api_reading(const struct api *api, const char *record)
{
    struct reading_search search = {api, record, NULL};
    router_each(api->resources, find_reading, &search);
    return search.route;
}

/* ---- headers of requests ---- */

bool api_may_be_known(const struct route *route)
{
    return (route->flags & ROUTE_ETAG) && route->method == METHOD_GET;
}

bool api_checks_match(const struct route *route)
{
    return (route->flags & ROUTE_ETAG) && !(route->method & (METHOD_GET | METHOD_POST));
}

static bool is_idempotent(const struct route *route)
{
    return (route->flags & ROUTE_IDEMPOTENCY_KEY);
}

const struct request_header request_headers[] = {
    {"If-None-Match", .doc = "The ETag of what is known already.", .taken = api_may_be_known,
     .example = "\"1\""},
    {"If-Match", .doc = "The ETag of what is meant; anything else is not touched.",
     .taken = api_checks_match, .example = "\"1\""},
    {"Idempotency-Key", "^[!-~]+$",
     "A word of one's own: sent again with it, the same request is answered as it was.",
     IDEMPOTENCY_KEY_MIN, IDEMPOTENCY_KEY_MAX, is_idempotent, "7f3c2a9e-1"},
    {"X-Request-Id",
     .doc = "An id for the log and for the answer; kept when it has 8 to 64 characters of "
            "`A-Z a-z 0-9 . _ -`, otherwise replaced.",
     .example = "7f3c2a9e-1"},
};

const size_t request_header_count = sizeof request_headers / sizeof *request_headers;

bool api_takes(const struct route *route, const struct request_header *h)
{
    return h->taken && h->taken(route);
}
