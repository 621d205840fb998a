#include "common/apidoc/openapi.h"

#include <ctype.h>
#include <string.h>

#include "common/apidoc/openapi_reply.h"
#include "common/apidoc/openapi_schema.h"
#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/field/json_write.h"
#include "common/http/request.h"

#define BEARER_SCHEME "bearer"

/* ---- what a request takes ---- */

static void put_path_ids(struct document *d, const struct route *route)
{
    for (const char *at = strchr(route->path, '{'); at; at = strchr(at + 1, '{')) {
        json_object(d->b);
        json_member(d->b, "name", arena_copy(d->a, at + 1, strcspn(at + 1, "}")));
        json_member(d->b, "in", "path");
        json_key(d->b, "required");
        json_boolean(d->b, true);
        json_member(d->b, "description", api_id_words(d->a, d->api, route->path, at));
        json_key_object(d->b, "schema");
        document_field(d, FORM_REPLY, &(const struct field){.type = FIELD_UUID});
        json_object_end(d->b);
        json_object_end(d->b);
    }
}

static void put_query(struct document *d, const struct record *r)
{
    for (size_t i = 0; r && i < r->count; i++) {
        const struct field *f = &r->fields[i];
        json_object(d->b);
        json_member(d->b, "name", f->name);
        json_member(d->b, "in", "query");
        if (f->doc)
            json_member(d->b, "description", f->doc);
        json_key_object(d->b, "schema");
        document_parameter(d, f);
        json_object_end(d->b);
        json_object_end(d->b);
    }
}

static void put_parameters(struct document *d, const struct route *route)
{
    json_key_array(d->b, "parameters");
    put_path_ids(d, route);
    put_query(d, route->query);
    for (size_t i = 0; i < request_header_count; i++)
        if (!request_headers[i].taken || request_headers[i].taken(route))
            document_ref(d, "parameters", request_headers[i].name);
    json_array_end(d->b);
}

static void put_body_content(struct document *d, const struct route *route, const char *media_type)
{
    json_key_object(d->b, media_type);
    json_key(d->b, "schema");
    document_record_ref(d, form_of_body(route), route->body);
    json_key(d->b, "example");
    form_sample(d->b, form_of_body(route), route->body);
    json_object_end(d->b);
}

static void put_body(struct document *d, const struct route *route)
{
    if (!route->body)
        return;
    json_key_object(d->b, "requestBody");
    json_key(d->b, "required");
    json_boolean(d->b, !(route->flags & ROUTE_BODY_OPTIONAL));
    json_key_object(d->b, "content");
    put_body_content(d, route, JSON_MEDIA_TYPE);
    put_body_content(d, route, MERGE_PATCH_MEDIA_TYPE);
    json_object_end(d->b);
    json_object_end(d->b);
}

static void put_security(struct document *d, enum auth auth)
{
    json_key_array(d->b, "security");
    if (auth == AUTH_OPTIONAL) { /* with or without */
        json_object(d->b);
        json_object_end(d->b);
    }
    if (auth != AUTH_NONE) {
        json_object(d->b);
        json_key_array(d->b, BEARER_SCHEME);
        json_array_end(d->b);
        json_object_end(d->b);
    }
    json_array_end(d->b);
}

/* ---- operations ---- */

static const char *describe_route(struct document *d, const struct route *route)
{
    static const char *const who[] = {
        [AUTH_USER] = "Needs an access token.",
        [AUTH_ADMIN] = "Needs an admin's access token.",
        [AUTH_OPTIONAL] = "Anyone may call it; a token that is sent is checked.",
        [AUTH_NONE] = "Anyone may call it; Authorization is not looked at."};
    return arena_printf(
        d->a, "%s%s%s%s", who[route_auth(route, d->api->app)],
        (route->flags & ROUTE_RATE_LIMITED) ? " An address may call it only so often." : "",
        (route->flags & ROUTE_PASSWORD_LIMITED)
            ? " After too many wrong passwords it refuses to try more."
            : "",
        api_limits(d->api, d->a, route));
}

static const char *method_key(struct document *d, enum method method)
{
    char *key = arena_strdup(d->a, method_list(d->a, method));
    for (char *c = key; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return key;
}

/* Summaries are sentences; here they are titles. */
static const char *title_of(struct document *d, const struct route *route)
{
    const char *text = route->summary ? route->summary : route->operation_id;
    size_t len = strlen(text);
    return len && text[len - 1] == '.' ? arena_copy(d->a, text, len - 1) : text;
}

static void put_operation(struct document *d, const struct resource *resource,
                          const struct route *route)
{
    json_key_object(d->b, method_key(d, route->method));
    json_member(d->b, "operationId", route->operation_id);
    json_key_strings(d->b, "tags", (const char *const[]){resource->name, NULL});
    json_member(d->b, "summary", title_of(d, route));
    json_member(d->b, "description", describe_route(d, route));
    put_security(d, route->auth);
    put_parameters(d, route);
    put_body(d, route);
    document_responses(d, route);
    json_object_end(d->b);
}

static void put_if_at_path(void *context, const struct resource *resource,
                           const struct route *route)
{
    struct document *d = context;
    if (strcmp(route->path, d->path) == 0 && api_offers(d->api, route))
        put_operation(d, resource, route);
}

struct search {
    const struct api *api;
    const struct route *route, *first;
};

static void find_first(void *context, const struct resource *resource, const struct route *route)
{
    struct search *search = context;
    (void)resource;
    if (!search->first && strcmp(route->path, search->route->path) == 0 &&
        api_offers(search->api, route))
        search->first = route;
}

/* All operations of a path, when the first of its routes comes by. */
static void put_path(void *context, const struct resource *resource, const struct route *route)
{
    struct document *d = context;
    struct search search = {d->api, route, NULL};
    (void)resource;
    router_each(d->api->resources, find_first, &search);
    if (search.first != route)
        return;
    json_key_object(d->b, route->path);
    d->path = route->path;
    router_each(d->api->resources, put_if_at_path, d);
    json_object_end(d->b);
}

/* ---- components ---- */

static void put_header_components(struct document *d)
{
    json_key_object(d->b, "parameters");
    for (size_t i = 0; i < request_header_count; i++) {
        const struct request_header *h = &request_headers[i];
        json_key_object(d->b, h->name);
        json_member(d->b, "name", h->name);
        json_member(d->b, "in", "header");
        json_member(d->b, "description", h->doc);
        document_string_schema(d, h->pattern, h->min, h->max, h->example);
        json_object_end(d->b);
    }
    json_object_end(d->b);
}

static void put_security_schemes(struct buf *b)
{
    json_key_object(b, "securitySchemes");
    json_key_object(b, BEARER_SCHEME);
    json_member(b, "type", "http");
    json_member(b, "scheme", "bearer");
    json_member(b, "bearerFormat", "JWT");
    json_object_end(b);
    json_object_end(b);
}

static void put_components(struct document *d)
{
    struct answers all;
    api_all_answers(d->api, &all);
    json_key_object(d->b, "components");
    put_security_schemes(d->b);
    put_header_components(d);
    document_reply_headers(d);
    document_failures(d);
    json_key_object(d->b, "schemas");
    document_schemas(d);
    document_code_schema(d, &all);
    json_object_end(d->b);
    json_object_end(d->b);
}

/* ---- the whole ---- */

static void put_contact(struct document *d)
{
    const char *contact = d->api->contact;
    if (!contact || !*contact)
        return;
    json_key_object(d->b, "contact");
    json_member(d->b, strstr(contact, "://") ? "url" : "email", contact);
    json_object_end(d->b);
}

static void put_info(struct document *d)
{
    json_key_object(d->b, "info");
    json_member(d->b, "title", d->api->title);
    json_member(d->b, "version", d->api->version);
    json_member(d->b, "description", d->api->description);
    put_contact(d);
    json_key_object(d->b, "license");
    json_member(d->b, "name", d->api->license);
    json_member(d->b, "identifier", d->api->license);
    json_object_end(d->b);
    json_object_end(d->b);
}

static void put_servers(struct document *d)
{
    const char *site = d->api->public_url ? d->api->public_url : "";
    const char *url = arena_printf(d->a, "%s%s", site, d->api->base_path);
    json_key_array(d->b, "servers");
    json_object(d->b);
    json_member(d->b, "url", *url ? url : "/");
    json_object_end(d->b);
    json_array_end(d->b);
}

static void put_tags(struct document *d)
{
    json_key_array(d->b, "tags");
    for (const struct resource *const *at = d->api->resources; *at; at++) {
        json_object(d->b);
        json_member(d->b, "name", (*at)->name);
        json_member(d->b, "description", (*at)->doc);
        json_object_end(d->b);
    }
    json_array_end(d->b);
}

void openapi_write(struct buf *b, const struct api *api)
{
    struct document d = {.b = b, .a = arena_open((size_t)16 * 1024 * 1024), .api = api};
    json_object(b);
    json_member(b, "openapi", "3.1.1");
    put_info(&d);
    put_servers(&d);
    put_tags(&d);
    json_key_object(b, "paths");
    router_each(api->resources, put_path, &d);
    json_object_end(b);
    put_components(&d);
    json_object_end(b);
    arena_close(d.a);
}
