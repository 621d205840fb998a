#include "common/apidoc/openapi_reply.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/problem.h"
#include "common/field/json_write.h"
#include "common/http/http_problems.h"
#include "common/http/page.h"
#include "common/http/request.h"
#include "common/http/response.h"

/* ---- what is answered ---- */

/* Does an answer have the header? */
enum presence { NEVER, SOMETIMES, ALWAYS };

struct reply_header {
    const char *name;
    const char *doc;
    const char *example;
    enum presence usual; /* as the component says; else the header is written out */
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

/* What is accepted is not there yet. */
static enum presence if_versioned(const struct route *route, int status)
{
    if (!route)
        return status == 412 ? ALWAYS : NEVER;
    return (route->flags & ROUTE_ETAG) && status != 204 && status != 202 ? ALWAYS : NEVER;
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
    {"X-Request-Id", "What the log calls this request.", PROBLEM_SAMPLE_ID, ALWAYS, always_sent},
    {"Location", "The path of what was made.", "/api/users/019c1397-a600-7c3e-9d2f-3c5e8a7b6d41",
     ALWAYS, if_created},
    {"ETag", "The version of what is there, for If-None-Match and If-Match.", "\"1\"", ALWAYS,
     if_versioned},
    {"Link", "The first, previous, next and last page (RFC 8288).",
     "</api/posts?page=2>; rel=\"next\"", SOMETIMES, if_pages},
    {"Idempotency-Replayed", "`true` where an earlier answer is given again.", "true", SOMETIMES,
     if_replayed},
    {"WWW-Authenticate", "`Bearer` with the realm, and with the error when a token was sent.",
     "Bearer realm=\"postern\", error=\"invalid_token\"", ALWAYS, if_unauthenticated},
    {"Accept-Encoding", "`identity` where the body had a Content-Encoding.", "identity", SOMETIMES,
     if_encoded},
    {"Retry-After", "Seconds after which another try makes sense.", "1", ALWAYS, if_passing},
};

static const size_t reply_header_count = sizeof reply_headers / sizeof *reply_headers;

static void put_reply_header(struct document *d, const struct reply_header *h, bool required)
{
    json_object(d->b);
    json_member(d->b, "description", h->doc);
    if (required) {
        json_key(d->b, "required");
        json_boolean(d->b, true);
    }
    document_string_schema(d, NULL, 0, 0, h->example);
    json_object_end(d->b);
}

static void put_reply_headers(struct document *d, const struct route *route, int status)
{
    json_key_object(d->b, "headers");
    for (size_t i = 0; i < reply_header_count; i++) {
        const struct reply_header *h = &reply_headers[i];
        enum presence presence = h->sent(route, status);
        if (presence == NEVER)
            continue;
        json_key(d->b, h->name);
        if (presence == h->usual)
            document_ref(d, "headers", h->name);
        else
            put_reply_header(d, h, presence == ALWAYS);
    }
    json_object_end(d->b);
}

static const char *status_key(struct document *d, int status)
{
    return arena_printf(d->a, "%d", status);
}

/* In a list a thing that has a version tells it, which alone its ETag does. */
static void put_item_schema(struct document *d, const struct record *r)
{
    if (!record_version(r)) {
        document_record_ref(d, FORM_REPLY, r);
        return;
    }
    json_object(d->b);
    json_key_array(d->b, "allOf");
    document_record_ref(d, FORM_REPLY, r);
    document_object(d, (const char *const[]){ITEM_ETAG_KEY, NULL});
    json_key_object(d->b, ITEM_ETAG_KEY);
    json_member(d->b, "type", "string");
    json_member(d->b, "description", "Its ETag, for If-Match.");
    document_example(d, "\"1\"");
    json_object_end(d->b);
    document_object_end(d);
    json_array_end(d->b);
    json_object_end(d->b);
}

static void put_page_schema(struct document *d, const struct route *route)
{
    document_object(d, (const char *const[]){PAGE_DATA_KEY, PAGE_PAGINATION_KEY, NULL});
    json_key_object(d->b, PAGE_DATA_KEY);
    json_member(d->b, "type", "array");
    json_key(d->b, "items");
    put_item_schema(d, route->reply.record);
    json_object_end(d->b);
    json_key_object(d->b, PAGE_PAGINATION_KEY);
    json_key_array(d->b, "anyOf"); /* what a page by number has, a page by cursor may have */
    document_record_ref(d, FORM_REPLY, &pagination_record);
    document_record_ref(d, FORM_REPLY, &uncounted_pagination_record);
    document_record_ref(d, FORM_REPLY, &cursor_pagination_record);
    json_array_end(d->b);
    json_object_end(d->b);
    document_object_end(d);
}

/* `{"key": {…}}`, or a page. */
static void put_keyed_schema(struct document *d, const struct route *route)
{
    if (route->reply.pages) {
        put_page_schema(d, route);
        return;
    }
    document_object(d, (const char *const[]){route->reply.key, NULL});
    json_key(d->b, route->reply.key);
    document_record_ref(d, FORM_REPLY, route->reply.record);
    document_object_end(d);
}

static void put_reply_schema(struct document *d, const struct route *route)
{
    bool both = route->reply.members && route->reply.record;
    if (both) {
        json_object(d->b);
        json_key_array(d->b, "allOf");
    }
    if (route->reply.members)
        document_record_ref(d, FORM_REPLY, route->reply.members);
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
    bool is_json = strcmp(media_type, JSON_MEDIA_TYPE) == 0;
    json_object(d->b);
    json_member(d->b, "type", is_json ? "object" : "string");
    if (!is_json)
        document_example(d, "…");
    json_object_end(d->b);
}

static void put_success_content(struct document *d, const struct route *route)
{
    bool records = route->reply.members || route->reply.record;
    const char *media_type = records ? JSON_MEDIA_TYPE : route->reply.media_type;
    if (!media_type)
        return;
    json_key_object(d->b, "content");
    /* Parameters of a media type, such as its charset, are not its name. */
    json_key_object(d->b, arena_copy(d->a, media_type, strcspn(media_type, ";")));
    json_key(d->b, "schema");
    if (records) {
        put_reply_schema(d, route);
        json_key(d->b, "example");
        form_sample_reply(d->b, route);
    } else {
        put_media_schema(d, media_type);
    }
    json_object_end(d->b);
    json_object_end(d->b);
}

/* ---- where what was made is read ---- */

/* What Location leads to. */
static void put_links(struct document *d, const struct route *route)
{
    const struct record *r = route->reply.record;
    const struct route *reading =
        route_status(route) == 201 && r ? api_reading(d->api, r->name) : NULL;
    if (!reading)
        return;
    const char *id = strchr(reading->path, '{') + 1;
    json_key_object(d->b, "links");
    json_key_object(d->b, reading->operation_id);
    json_member(d->b, "operationId", reading->operation_id);
    json_member(d->b, "description", "What was made, where Location leads.");
    json_key_object(d->b, "parameters");
    json_member(d->b, arena_copy(d->a, id, strcspn(id, "}")),
                arena_printf(d->a, "$response.body#/%s/id", route->reply.key));
    json_object_end(d->b);
    json_object_end(d->b);
    json_object_end(d->b);
}

static void put_success(struct document *d, const struct route *route)
{
    json_key_object(d->b, status_key(d, route_status(route)));
    json_member(d->b, "description", status_phrase(route_status(route)));
    put_reply_headers(d, route, route_status(route));
    put_success_content(d, route);
    put_links(d, route);
    json_object_end(d->b);
}

static void put_accepted(struct document *d, const struct route *route)
{
    if (!route->accepted)
        return;
    json_key_object(d->b, status_key(d, 202));
    json_member(d->b, "description", status_phrase(202));
    put_reply_headers(d, route, 202);
    json_key_object(d->b, "content");
    json_key_object(d->b, JSON_MEDIA_TYPE);
    json_key(d->b, "schema");
    document_record_ref(d, FORM_REPLY, route->accepted);
    json_key(d->b, "example");
    form_sample(d->b, FORM_REPLY, route->accepted);
    json_object_end(d->b);
    json_object_end(d->b);
    json_object_end(d->b);
}

static void put_not_modified(struct document *d, const struct route *route)
{
    if (!api_may_be_known(route))
        return;
    json_key_object(d->b, status_key(d, 304));
    json_member(d->b, "description", status_phrase(304));
    put_reply_headers(d, route, 304);
    json_object_end(d->b);
}

/* ---- failures ---- */

static bool code_came_before(const struct answers *f, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (strcmp(f->types[i]->code, f->types[at]->code) == 0)
            return true;
    return false;
}

static const char *describe(struct document *d, const struct answers *f)
{
    const char *text = "";
    for (size_t i = 0; i < f->count; i++)
        text = arena_printf(d->a, "%s%s`%s`: %s", text, *text ? " " : "", f->types[i]->code,
                            f->types[i]->message);
    return text;
}

static void put_codes(struct document *d, const struct answers *f)
{
    json_key_object(d->b, PROBLEM_CODE_KEY);
    json_key_array(d->b, "enum");
    for (size_t i = 0; i < f->count; i++)
        if (!code_came_before(f, i))
            json_string(d->b, f->types[i]->code);
    json_array_end(d->b);
    json_object_end(d->b);
}

static void put_status(struct document *d, const struct answers *f)
{
    json_key_object(d->b, PROBLEM_STATUS_KEY);
    json_key(d->b, "const");
    json_integer(d->b, f->types[0]->status);
    json_object_end(d->b);
}

static void put_failure_schema(struct document *d, const struct answers *f, const struct record *r)
{
    json_key(d->b, "schema");
    json_object(d->b);
    json_key_array(d->b, "allOf");
    document_record_ref(d, FORM_REPLY, r);
    json_object(d->b);
    json_member(d->b, "type", "object");
    json_key_object(d->b, "properties");
    put_codes(d, f);
    if (record_find(r, PROBLEM_STATUS_KEY))
        put_status(d, f);
    json_object_end(d->b);
    json_object_end(d->b);
    json_array_end(d->b);
    json_object_end(d->b);
}

static void put_failure_examples(struct document *d, const struct answers *f)
{
    json_key_object(d->b, "examples");
    for (size_t i = 0; i < f->count; i++) {
        if (code_came_before(f, i))
            continue;
        json_key_object(d->b, f->types[i]->code);
        json_key(d->b, "value");
        form_sample_problem(d->b, f->types[i]);
        json_object_end(d->b);
    }
    json_object_end(d->b);
}

static bool is_of_front(const struct answers *f)
{
    for (size_t i = 0; i < f->count; i++)
        if (!api_is_of_front(f->types[i]))
            return false;
    return true;
}

static void put_failure(struct document *d, const struct answers *f)
{
    json_object(d->b);
    json_member(d->b, "description", describe(d, f));
    put_reply_headers(d, NULL, f->types[0]->status);
    json_key_object(d->b, "content");
    json_key_object(d->b, JSON_MEDIA_TYPE);
    put_failure_schema(d, f, &problem_record);
    put_failure_examples(d, f);
    json_object_end(d->b);
    if (!is_of_front(f)) {
        json_key_object(d->b, PROBLEM_MEDIA_TYPE);
        put_failure_schema(d, f, &problem_details_record);
        json_object_end(d->b);
    }
    json_object_end(d->b);
    json_object_end(d->b);
}

/* ---- failures that come together, described once ---- */

/* What all routes have comes last, else by the alphabet: one set has one order. */
static bool comes_before(const struct problem_type *type, const struct problem_type *other)
{
    if (api_is_everywhere(type) != api_is_everywhere(other))
        return api_is_everywhere(other);
    return strcmp(type->code, other->code) < 0;
}

static void add_type(struct answers *f, const struct problem_type *type)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->types[i] == type)
            return;
    size_t at = f->count++;
    for (; at && comes_before(type, f->types[at - 1]); at--)
        f->types[at] = f->types[at - 1];
    f->types[at] = type;
}

/* The failures from `*at` on that have one status; they stand side by side. */
static struct answers next_failure(const struct answers *answers, size_t *at)
{
    struct answers f = {.count = 0};
    int status = answers->types[*at]->status;
    for (; *at < answers->count && answers->types[*at]->status == status; ++*at)
        add_type(&f, answers->types[*at]);
    return f;
}

/* "not_found" as "NotFound". */
static const char *in_one_word(struct document *d, const char *code)
{
    const char *word = "";
    while (*code) {
        size_t len = strcspn(code, "_");
        word = arena_printf(d->a, "%s%c%.*s", word, toupper((unsigned char)*code), (int)len - 1,
                            code + 1);
        code += len + (code[len] == '_');
    }
    return word;
}

/* Of its codes, but for those that every route has, unless it is all. */
static const char *failure_name(struct document *d, const struct answers *f)
{
    const char *name = arena_printf(d->a, "Error%d", f->types[0]->status);
    for (size_t i = 0; i < f->count; i++)
        if (!code_came_before(f, i) && (i == 0 || !api_is_everywhere(f->types[i])))
            name = arena_printf(d->a, "%s%s", name, in_one_word(d, f->types[i]->code));
    return name;
}

static struct failure *find_failure(struct document *d, const char *name)
{
    for (size_t i = 0; i < d->failure_count; i++)
        if (strcmp(d->failures[i].name, name) == 0)
            return &d->failures[i];
    if (d->failure_count == FAILURES_MAX)
        abort(); /* more than any program of this kind has */
    d->failures[d->failure_count] =
        (struct failure){name, arena_alloc(d->a, sizeof(struct answers))};
    return &d->failures[d->failure_count++];
}

/* Two failures with one code may have words of their own; the component tells both. */
static void put_failure_ref(struct document *d, const struct answers *f)
{
    struct failure *component = find_failure(d, failure_name(d, f));
    for (size_t i = 0; i < f->count; i++)
        add_type(component->answers, f->types[i]);
    document_ref(d, "responses", component->name);
}

void document_responses(struct document *d, const struct route *route)
{
    struct answers answers;
    json_key_object(d->b, "responses");
    put_success(d, route);
    put_accepted(d, route);
    put_not_modified(d, route);
    api_answers(d->api, route, &answers);
    for (size_t at = 0; at < answers.count;) {
        const struct answers f = next_failure(&answers, &at);
        json_key(d->b, status_key(d, f.types[0]->status));
        put_failure_ref(d, &f);
    }
    json_object_end(d->b);
}

/* ---- components ---- */

void document_code_schema(struct document *d, const struct answers *all)
{
    const char *text = "Every word that `code` may be:\n";
    for (size_t i = 0; i < all->count; i++)
        text = arena_printf(d->a, "%s\n- `%s` (%d, %s): %s", text, all->types[i]->code,
                            all->types[i]->status, all->types[i]->error, all->types[i]->message);
    json_key_object(d->b, CODE_SCHEMA);
    json_member(d->b, "type", "string");
    json_member(d->b, "description", text);
    json_key_array(d->b, "enum");
    for (size_t i = 0; i < all->count; i++)
        if (!code_came_before(all, i))
            json_string(d->b, all->types[i]->code);
    json_array_end(d->b);
    document_example(d, problem_not_found.code);
    json_object_end(d->b);
}

void document_reply_headers(struct document *d)
{
    json_key_object(d->b, "headers");
    for (size_t i = 0; i < reply_header_count; i++) {
        json_key(d->b, reply_headers[i].name);
        put_reply_header(d, &reply_headers[i], reply_headers[i].usual == ALWAYS);
    }
    json_object_end(d->b);
}

void document_failures(struct document *d)
{
    json_key_object(d->b, "responses");
    for (size_t i = 0; i < d->failure_count; i++) {
        json_key(d->b, d->failures[i].name);
        put_failure(d, d->failures[i].answers);
    }
    json_object_end(d->b);
}
