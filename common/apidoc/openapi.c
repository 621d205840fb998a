#include "common/apidoc/openapi.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/problem.h"
#include "common/field/json_write.h"
#include "common/http/http_problems.h"
#include "common/http/page.h"

#define FORMS_MAX 256
#define CODE_SCHEMA "ErrorCode"
#define BEARER_SCHEME "bearer"

/* A record in one form, as a schema of the document. */
struct schema {
    enum form form;
    const struct record *record;
};

struct document {
    struct buf *b;
    struct arena *a;
    const struct api *api;
    struct schema schemas[FORMS_MAX]; /* those that something refers to */
    size_t schema_count;
    const struct problem_type *shared[ANSWERS_MAX]; /* likewise, of responses */
    size_t shared_count;
    const char *path; /* whose operations are written */
};

/* ---- small parts ---- */

static void key_object(struct buf *b, const char *key)
{
    json_key(b, key);
    json_object(b);
}

static void key_array(struct buf *b, const char *key)
{
    json_key(b, key);
    json_array(b);
}

static void put_ref(struct document *d, const char *kind, const char *name)
{
    json_object(d->b);
    json_member(d->b, "$ref", arena_printf(d->a, "#/components/%s/%s", kind, name));
    json_object_end(d->b);
}

static void key_ref(struct document *d, const char *key, const char *kind, const char *name)
{
    json_key(d->b, key);
    put_ref(d, kind, name);
}

static void put_strings(struct buf *b, const char *key, const char *const *strings)
{
    key_array(b, key);
    for (; *strings; strings++)
        json_string(b, *strings);
    json_array_end(b);
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

/* A reference to the record's schema, which must be among the components. */
static void put_record_ref(struct document *d, enum form form, const struct record *r)
{
    use_schema(d, form, r);
    put_ref(d, "schemas", form_name(d->a, form, r));
}

/* ---- fields ---- */

static void put_type(struct buf *b, const struct field *f, bool nullable)
{
    static const char *const types[] = {
        [FIELD_TEXT] = "string", [FIELD_INTEGER] = "integer", [FIELD_BOOLEAN] = "boolean",
        [FIELD_ENUM] = "string", [FIELD_TIME] = "string",     [FIELD_UUID] = "string"};
    if (nullable)
        put_strings(b, "type", (const char *const[]){types[f->type], "null", NULL});
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

/* A character takes up to four bytes, so bounds in bytes are told as far as they hold. */
static void put_length(struct buf *b, const struct field *f)
{
    int64_t min = f->use & FIELD_BYTES ? (f->min + 3) / 4 : f->min;
    if (min == 0 && (f->use & FIELD_NOT_EMPTY))
        min = 1;
    if (min)
        put_number(b, "minLength", min);
    if (f->max)
        put_number(b, "maxLength", f->max);
}

/* What holds for input only: replies may bring rows from before a rule. */
static void put_bounds(struct buf *b, const struct field *f)
{
    if (f->type == FIELD_TEXT)
        put_length(b, f);
    if (f->type == FIELD_INTEGER) {
        put_number(b, "minimum", f->min);
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
    if (form == FORM_CHANGE && !(f->use & FIELD_CHANGE))
        text = arena_printf(d->a, "%s Only an admin sets it; from others it is ignored.", text);
    if (*text)
        json_member(d->b, "description", text);
}

static void put_example(struct buf *b, const struct field *f)
{
    key_array(b, "examples");
    field_text_to_json(b, f, f->example);
    json_array_end(b);
}

/* The members of a field's schema, in the object that is open. */
static void put_field(struct document *d, enum form form, const struct field *f)
{
    struct buf *b = d->b;
    put_type(b, f, form_may_be_null(form, f));
    put_format(b, f);
    put_description(d, form, f);
    if (f->choices)
        put_strings(b, "enum", f->choices);
    if (form != FORM_REPLY)
        put_bounds(b, f);
    if (form == FORM_CREATE && f->default_value) {
        json_key(b, "default");
        field_text_to_json(b, f, f->default_value);
    }
    if (f->example)
        put_example(b, f);
}

static void put_properties(struct document *d, enum form form, const struct record *r)
{
    key_object(d->b, "properties");
    for (size_t i = 0; i < r->count; i++) {
        if (!form_has(form, &r->fields[i]))
            continue;
        key_object(d->b, r->fields[i].name);
        put_field(d, form, &r->fields[i]);
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
            key_array(d->b, "required");
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

/* ---- what a request takes ---- */

static void put_path_ids(struct document *d, const struct route *route)
{
    for (const char *at = strchr(route->path, '{'); at; at = strchr(at + 1, '{')) {
        json_object(d->b);
        json_member(d->b, "name", arena_copy(d->a, at + 1, strcspn(at + 1, "}")));
        json_member(d->b, "in", "path");
        json_key(d->b, "required");
        json_boolean(d->b, true);
        json_member(d->b, "description", "A UUID, in upper or lower case.");
        key_object(d->b, "schema");
        put_type(d->b, &(const struct field){.type = FIELD_UUID}, false);
        put_format(d->b, &(const struct field){.type = FIELD_UUID});
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
        key_object(d->b, "schema");
        put_field(d, FORM_CREATE, f);
        json_object_end(d->b);
        json_object_end(d->b);
    }
}

static void put_parameters(struct document *d, const struct route *route)
{
    key_array(d->b, "parameters");
    put_path_ids(d, route);
    put_query(d, route->query);
    for (size_t i = 0; i < request_header_count; i++)
        if (!request_headers[i].taken || request_headers[i].taken(route))
            put_ref(d, "parameters", request_headers[i].name);
    json_array_end(d->b);
}

static void put_body_content(struct document *d, const struct route *route, const char *media_type)
{
    key_object(d->b, media_type);
    json_key(d->b, "schema");
    put_record_ref(d, api_body_form(route), route->body);
    json_key(d->b, "example");
    form_sample(d->b, api_body_form(route), route->body);
    json_object_end(d->b);
}

static void put_body(struct document *d, const struct route *route)
{
    if (!route->body)
        return;
    key_object(d->b, "requestBody");
    json_key(d->b, "required");
    json_boolean(d->b, !(route->flags & ROUTE_BODY_OPTIONAL));
    key_object(d->b, "content");
    put_body_content(d, route, JSON_MEDIA_TYPE);
    put_body_content(d, route, MERGE_PATCH_MEDIA_TYPE);
    json_object_end(d->b);
    json_object_end(d->b);
}

static void put_security(struct document *d, enum auth auth)
{
    key_array(d->b, "security");
    if (auth == AUTH_OPTIONAL) { /* with or without */
        json_object(d->b);
        json_object_end(d->b);
    }
    if (auth != AUTH_NONE) {
        json_object(d->b);
        key_array(d->b, BEARER_SCHEME);
        json_array_end(d->b);
        json_object_end(d->b);
    }
    json_array_end(d->b);
}

/* ---- what is answered ---- */

/* Has an answer the header? */
enum presence { NEVER, SOMETIMES, ALWAYS };

struct reply_header {
    const char *name;
    const char *doc;
    /* `route` is NULL for a failure. */
    enum presence (*sent)(const struct route *route, int status);
};

static enum presence always_sent(const struct route *route, int status)
{
    (void)route, (void)status;
    return ALWAYS;
}

static enum presence if_created(const struct route *route, int status)
{
    return route && status == 201 ? ALWAYS : NEVER;
}

static enum presence if_versioned(const struct route *route, int status)
{
    if (!route)
        return status == 412 ? ALWAYS : NEVER;
    return (route->flags & ROUTE_ETAG) && status != 204 ? ALWAYS : NEVER;
}

static enum presence if_pages(const struct route *route, int status)
{
    (void)status;
    return route && route->reply.pages ? SOMETIMES : NEVER;
}

static enum presence if_replayed(const struct route *route, int status)
{
    (void)status;
    return route && (route->flags & ROUTE_IDEMPOTENCY_KEY) ? SOMETIMES : NEVER;
}

static enum presence if_unauthenticated(const struct route *route, int status)
{
    return !route && status == 401 ? ALWAYS : NEVER;
}

static enum presence if_encoded(const struct route *route, int status)
{
    return !route && status == 415 ? SOMETIMES : NEVER;
}

static enum presence if_passing(const struct route *route, int status)
{
    if (route || status == 500)
        return NEVER;
    return status == 429 || status > 500 ? ALWAYS : status == 409 ? SOMETIMES : NEVER;
}

static const struct reply_header reply_headers[] = {
    {"X-Request-Id", "What the log calls this request.", always_sent},
    {"Location", "The path of what was made.", if_created},
    {"ETag", "The version of what is there, for If-None-Match and If-Match.", if_versioned},
    {"Link", "The first, previous, next and last page (RFC 8288).", if_pages},
    {"Idempotency-Replayed", "`true` where an earlier answer is given again.", if_replayed},
    {"WWW-Authenticate", "`Bearer` with the realm, and with the error when a token was sent.",
     if_unauthenticated},
    {"Accept-Encoding", "`identity` where the body had a Content-Encoding.", if_encoded},
    {"Retry-After", "Seconds after which another try makes sense.", if_passing},
};

static const size_t reply_header_count = sizeof reply_headers / sizeof *reply_headers;

static void put_string_schema(struct document *d, const char *pattern)
{
    key_object(d->b, "schema");
    json_member(d->b, "type", "string");
    if (pattern)
        json_member(d->b, "pattern", pattern);
    json_object_end(d->b);
}

static void put_reply_header(struct document *d, const struct reply_header *h, bool required)
{
    key_object(d->b, h->name);
    json_member(d->b, "description", h->doc);
    if (required) {
        json_key(d->b, "required");
        json_boolean(d->b, true);
    }
    put_string_schema(d, NULL);
    json_object_end(d->b);
}

static void put_reply_headers(struct document *d, const struct route *route, int status)
{
    key_object(d->b, "headers");
    for (size_t i = 0; i < reply_header_count; i++) {
        enum presence presence = reply_headers[i].sent(route, status);
        if (presence != NEVER)
            put_reply_header(d, &reply_headers[i], presence == ALWAYS);
    }
    json_object_end(d->b);
}

static const char *status_key(struct document *d, int status)
{
    return arena_printf(d->a, "%d", status);
}

/* An object with required members only; what is inside follows. */
static void begin_object_schema(struct document *d, const char *const *keys)
{
    json_object(d->b);
    json_member(d->b, "type", "object");
    put_strings(d->b, "required", keys);
    key_object(d->b, "properties");
}

static void end_object_schema(struct document *d)
{
    json_object_end(d->b);
    json_object_end(d->b);
}

static void put_page_schema(struct document *d, const struct route *route)
{
    begin_object_schema(d, (const char *const[]){PAGE_DATA_KEY, PAGE_PAGINATION_KEY, NULL});
    key_object(d->b, PAGE_DATA_KEY);
    json_member(d->b, "type", "array");
    json_key(d->b, "items");
    put_record_ref(d, FORM_REPLY, route->reply.record);
    json_object_end(d->b);
    key_object(d->b, PAGE_PAGINATION_KEY);
    key_array(d->b, "anyOf"); /* what a page by number has, a page by cursor may have */
    put_record_ref(d, FORM_REPLY, &pagination_record);
    put_record_ref(d, FORM_REPLY, &cursor_pagination_record);
    json_array_end(d->b);
    json_object_end(d->b);
    end_object_schema(d);
}

/* `{"key": {…}}`, or a page. */
static void put_keyed_schema(struct document *d, const struct route *route)
{
    if (route->reply.pages) {
        put_page_schema(d, route);
        return;
    }
    begin_object_schema(d, (const char *const[]){route->reply.key, NULL});
    json_key(d->b, route->reply.key);
    put_record_ref(d, FORM_REPLY, route->reply.record);
    end_object_schema(d);
}

static void put_reply_schema(struct document *d, const struct route *route)
{
    bool both = route->reply.members && route->reply.record;
    if (both) {
        json_object(d->b);
        key_array(d->b, "allOf");
    }
    if (route->reply.members)
        put_record_ref(d, FORM_REPLY, route->reply.members);
    if (route->reply.record)
        put_keyed_schema(d, route);
    if (both) {
        json_array_end(d->b);
        json_object_end(d->b);
    }
}

/* A reply that no record describes: any object where it is JSON, else text. */
static void put_media_schema(struct document *d, const char *media_type)
{
    json_object(d->b);
    json_member(d->b, "type", strcmp(media_type, JSON_MEDIA_TYPE) == 0 ? "object" : "string");
    json_object_end(d->b);
}

static void put_success_content(struct document *d, const struct route *route)
{
    bool records = route->reply.members || route->reply.record;
    const char *media_type = records ? JSON_MEDIA_TYPE : route->reply.media_type;
    if (!media_type)
        return;
    key_object(d->b, "content");
    /* Parameters of a media type, such as its charset, are not its name. */
    key_object(d->b, arena_copy(d->a, media_type, strcspn(media_type, ";")));
    json_key(d->b, "schema");
    if (records)
        put_reply_schema(d, route);
    else
        put_media_schema(d, media_type);
    if (records) {
        json_key(d->b, "example");
        api_sample_reply(d->b, route);
    }
    json_object_end(d->b);
    json_object_end(d->b);
}

static void put_success(struct document *d, const struct route *route)
{
    key_object(d->b, status_key(d, route_status(route)));
    json_member(d->b, "description", status_phrase(route_status(route)));
    put_reply_headers(d, route, route_status(route));
    put_success_content(d, route);
    json_object_end(d->b);
}

static void put_not_modified(struct document *d, const struct route *route)
{
    if (!api_may_be_known(route))
        return;
    key_object(d->b, status_key(d, 304));
    json_member(d->b, "description", status_phrase(304));
    put_reply_headers(d, route, 304);
    json_object_end(d->b);
}

/* ---- failures ---- */

/* Some of a route's failures: those of one status. */
struct failure {
    const struct problem_type *const *types;
    size_t count;
};

static bool code_came_before(const struct failure *f, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (strcmp(f->types[i]->code, f->types[at]->code) == 0)
            return true;
    return false;
}

static const char *describe(struct document *d, const struct failure *f)
{
    const char *text = "";
    for (size_t i = 0; i < f->count; i++)
        text = arena_printf(d->a, "%s%s`%s`: %s", text, *text ? " " : "", f->types[i]->code,
                            f->types[i]->message);
    return text;
}

static void put_failure_schema(struct document *d, const struct failure *f, const struct record *r)
{
    json_key(d->b, "schema");
    json_object(d->b);
    key_array(d->b, "allOf");
    put_record_ref(d, FORM_REPLY, r);
    json_object(d->b);
    json_member(d->b, "type", "object");
    key_object(d->b, "properties");
    key_object(d->b, PROBLEM_CODE_KEY);
    key_array(d->b, "enum");
    for (size_t i = 0; i < f->count; i++)
        if (!code_came_before(f, i))
            json_string(d->b, f->types[i]->code);
    json_array_end(d->b);
    json_object_end(d->b);
    json_object_end(d->b);
    json_object_end(d->b);
    json_array_end(d->b);
    json_object_end(d->b);
}

static void put_failure_examples(struct document *d, const struct failure *f)
{
    key_object(d->b, "examples");
    for (size_t i = 0; i < f->count; i++) {
        if (code_came_before(f, i))
            continue;
        key_object(d->b, f->types[i]->code);
        json_key(d->b, "value");
        api_sample_problem(d->b, f->types[i]);
        json_object_end(d->b);
    }
    json_object_end(d->b);
}

static bool is_of_front(const struct failure *f)
{
    for (size_t i = 0; i < f->count; i++)
        if (!api_is_of_front(f->types[i]))
            return false;
    return true;
}

static void put_failure(struct document *d, const struct failure *f)
{
    json_object(d->b);
    json_member(d->b, "description", describe(d, f));
    put_reply_headers(d, NULL, f->types[0]->status);
    key_object(d->b, "content");
    key_object(d->b, JSON_MEDIA_TYPE);
    put_failure_schema(d, f, &problem_record);
    put_failure_examples(d, f);
    json_object_end(d->b);
    if (!is_of_front(f)) {
        key_object(d->b, PROBLEM_MEDIA_TYPE);
        put_failure_schema(d, f, &problem_details_record);
        json_object_end(d->b);
    }
    json_object_end(d->b);
    json_object_end(d->b);
}

/* The failures from `at` on that have one status; they stand side by side. */
static struct failure failure_at(const struct answers *answers, size_t at)
{
    size_t end = at;
    while (end < answers->count && answers->types[end]->status == answers->types[at]->status)
        end++;
    return (struct failure){&answers->types[at], end - at};
}

/* A status that means the same everywhere is described once. */
static bool is_shared(const struct failure *f)
{
    return f->count == 1 && api_is_everywhere(f->types[0]);
}

static const char *shared_name(struct document *d, const struct problem_type *type)
{
    return arena_printf(d->a, "%d.%s", type->status, type->code);
}

static void put_shared_ref(struct document *d, const struct problem_type *type)
{
    size_t i = 0;
    while (i < d->shared_count && d->shared[i] != type)
        i++;
    if (i == d->shared_count)
        d->shared[d->shared_count++] = type;
    put_ref(d, "responses", shared_name(d, type));
}

static void put_responses(struct document *d, const struct route *route)
{
    struct answers answers;
    struct failure f;
    key_object(d->b, "responses");
    put_success(d, route);
    put_not_modified(d, route);
    api_answers(d->api, route, &answers);
    for (size_t at = 0; at < answers.count; at += f.count) {
        f = failure_at(&answers, at);
        json_key(d->b, status_key(d, f.types[0]->status));
        if (is_shared(&f))
            put_shared_ref(d, f.types[0]);
        else
            put_failure(d, &f);
    }
    json_object_end(d->b);
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
        d->a, "%s%s%s", who[route->auth],
        (route->flags & ROUTE_RATE_LIMITED) ? " An address may call it only so often." : "",
        (route->flags & ROUTE_PASSWORD_LIMITED)
            ? " After too many wrong passwords it refuses to try more."
            : "");
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
    key_object(d->b, method_key(d, route->method));
    json_member(d->b, "operationId", route->operation_id);
    put_strings(d->b, "tags", (const char *const[]){resource->name, NULL});
    json_member(d->b, "summary", title_of(d, route));
    json_member(d->b, "description", describe_route(d, route));
    put_security(d, route->auth);
    put_parameters(d, route);
    put_body(d, route);
    put_responses(d, route);
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
    key_object(d->b, route->path);
    d->path = route->path;
    router_each(d->api->resources, put_if_at_path, d);
    json_object_end(d->b);
}

/* ---- components ---- */

static void put_code_schema(struct document *d, const struct answers *all)
{
    const struct failure f = {all->types, all->count};
    const char *text = "Every word that `code` may be:\n";
    for (size_t i = 0; i < all->count; i++)
        text = arena_printf(d->a, "%s\n- `%s` (%d, %s): %s", text, all->types[i]->code,
                            all->types[i]->status, all->types[i]->error, all->types[i]->message);
    key_object(d->b, CODE_SCHEMA);
    json_member(d->b, "type", "string");
    json_member(d->b, "description", text);
    key_array(d->b, "enum");
    for (size_t i = 0; i < all->count; i++)
        if (!code_came_before(&f, i))
            json_string(d->b, all->types[i]->code);
    json_array_end(d->b);
    json_object_end(d->b);
}

static void put_problem_properties(struct document *d, const struct record *r)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct field *f = &r->fields[i];
        if (strcmp(f->name, PROBLEM_CODE_KEY) == 0) {
            key_ref(d, f->name, "schemas", CODE_SCHEMA);
            continue;
        }
        key_object(d->b, f->name);
        put_field(d, FORM_REPLY, f);
        json_object_end(d->b);
    }
}

/* The schemas with lists in them, which no record describes. */
static void put_problem_schema(struct document *d, const struct record *r)
{
    json_object(d->b);
    json_member(d->b, "type", "object");
    put_required(d, FORM_REPLY, r);
    key_object(d->b, "properties");
    put_problem_properties(d, r);
    key_object(d->b, PROBLEM_MISSING_KEY);
    json_member(d->b, "type", "array");
    json_member(d->b, "description", "The required fields that were not there.");
    key_object(d->b, "items");
    json_member(d->b, "type", "string");
    json_object_end(d->b);
    json_object_end(d->b);
    key_object(d->b, PROBLEM_DETAILS_KEY);
    json_member(d->b, "type", "array");
    json_member(d->b, "description", "Every field that is at fault.");
    json_key(d->b, "items");
    put_record_ref(d, FORM_REPLY, &fault_record);
    json_object_end(d->b);
    end_object_schema(d);
}

static void put_schemas(struct document *d, const struct answers *all)
{
    key_object(d->b, "schemas");
    for (size_t i = 0; i < d->schema_count; i++) { /* grows meanwhile */
        const struct schema *schema = &d->schemas[i];
        json_key(d->b, form_name(d->a, schema->form, schema->record));
        if (schema->record == &problem_record || schema->record == &problem_details_record)
            put_problem_schema(d, schema->record);
        else
            put_record(d, schema->form, schema->record);
    }
    put_code_schema(d, all);
    json_object_end(d->b);
}

static void put_shared_responses(struct document *d)
{
    key_object(d->b, "responses");
    for (size_t i = 0; i < d->shared_count; i++) {
        json_key(d->b, shared_name(d, d->shared[i]));
        put_failure(d, &(const struct failure){&d->shared[i], 1});
    }
    json_object_end(d->b);
}

static void put_header_components(struct document *d)
{
    key_object(d->b, "parameters");
    for (size_t i = 0; i < request_header_count; i++) {
        key_object(d->b, request_headers[i].name);
        json_member(d->b, "name", request_headers[i].name);
        json_member(d->b, "in", "header");
        json_member(d->b, "description", request_headers[i].doc);
        put_string_schema(d, request_headers[i].pattern);
        json_object_end(d->b);
    }
    json_object_end(d->b);
}

static void put_security_schemes(struct buf *b)
{
    key_object(b, "securitySchemes");
    key_object(b, BEARER_SCHEME);
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
    key_object(d->b, "components");
    put_security_schemes(d->b);
    put_header_components(d);
    put_shared_responses(d);
    put_schemas(d, &all);
    json_object_end(d->b);
}

/* ---- the whole ---- */

static void put_info(struct document *d)
{
    key_object(d->b, "info");
    json_member(d->b, "title", d->api->title);
    json_member(d->b, "version", d->api->version);
    json_member(d->b, "description", d->api->description);
    key_object(d->b, "license");
    json_member(d->b, "name", d->api->license);
    json_member(d->b, "identifier", d->api->license);
    json_object_end(d->b);
    json_object_end(d->b);
}

static void put_servers(struct document *d)
{
    key_array(d->b, "servers");
    json_object(d->b);
    json_member(d->b, "url", *d->api->base_path ? d->api->base_path : "/");
    json_object_end(d->b);
    json_array_end(d->b);
}

static void put_tags(struct document *d)
{
    key_array(d->b, "tags");
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
    key_object(b, "paths");
    router_each(api->resources, put_path, &d);
    json_object_end(b);
    put_components(&d);
    json_object_end(b);
    arena_close(d.a);
}
