#include "common/apidoc/openapi_reply.h"

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

static void put_reply_header(struct document *d, const struct reply_header *h, bool required)
{
    json_key_object(d->b, h->name);
    json_member(d->b, "description", h->doc);
    if (required) {
        json_key(d->b, "required");
        json_boolean(d->b, true);
    }
    document_string_schema(d, NULL);
    json_object_end(d->b);
}

static void put_reply_headers(struct document *d, const struct route *route, int status)
{
    json_key_object(d->b, "headers");
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
        json_object(d->b);
        json_member(d->b, "type", strcmp(media_type, JSON_MEDIA_TYPE) == 0 ? "object" : "string");
        json_object_end(d->b);
    }
    json_object_end(d->b);
    json_object_end(d->b);
}

static void put_success(struct document *d, const struct route *route)
{
    json_key_object(d->b, status_key(d, route_status(route)));
    json_member(d->b, "description", status_phrase(route_status(route)));
    put_reply_headers(d, route, route_status(route));
    put_success_content(d, route);
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
    json_key_array(d->b, "allOf");
    document_record_ref(d, FORM_REPLY, r);
    json_object(d->b);
    json_member(d->b, "type", "object");
    json_key_object(d->b, "properties");
    json_key_object(d->b, PROBLEM_CODE_KEY);
    json_key_array(d->b, "enum");
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

/* The failures from `at` on that have one status; they stand side by side. */
static struct failure failure_at(const struct answers *answers, size_t at)
{
    size_t end = at;
    while (end < answers->count && answers->types[end]->status == answers->types[at]->status)
        end++;
    return (struct failure){&answers->types[at], end - at};
}

/* A status that means the same everywhere is described once. */
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
    document_ref(d, "responses", shared_name(d, type));
}

void document_responses(struct document *d, const struct route *route)
{
    struct answers answers;
    struct failure f;
    json_key_object(d->b, "responses");
    put_success(d, route);
    put_not_modified(d, route);
    api_answers(d->api, route, &answers);
    for (size_t at = 0; at < answers.count; at += f.count) {
        f = failure_at(&answers, at);
        json_key(d->b, status_key(d, f.types[0]->status));
        if (f.count == 1 && api_is_everywhere(f.types[0]))
            put_shared_ref(d, f.types[0]);
        else
            put_failure(d, &f);
    }
    json_object_end(d->b);
}

/* ---- components ---- */

void document_code_schema(struct document *d, const struct answers *all)
{
    const struct failure f = {all->types, all->count};
    const char *text = "Every word that `code` may be:\n";
    for (size_t i = 0; i < all->count; i++)
        text = arena_printf(d->a, "%s\n- `%s` (%d, %s): %s", text, all->types[i]->code,
                            all->types[i]->status, all->types[i]->error, all->types[i]->message);
    json_key_object(d->b, CODE_SCHEMA);
    json_member(d->b, "type", "string");
    json_member(d->b, "description", text);
    json_key_array(d->b, "enum");
    for (size_t i = 0; i < all->count; i++)
        if (!code_came_before(&f, i))
            json_string(d->b, all->types[i]->code);
    json_array_end(d->b);
    json_object_end(d->b);
}

void document_shared_responses(struct document *d)
{
    json_key_object(d->b, "responses");
    for (size_t i = 0; i < d->shared_count; i++) {
        json_key(d->b, shared_name(d, d->shared[i]));
        put_failure(d, &(const struct failure){&d->shared[i], 1});
    }
    json_object_end(d->b);
}
