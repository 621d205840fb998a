#include "common/http/response.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/field/field.h"
#include "common/field/json_write.h"
#include "common/http/http_problems.h"
#include "common/http/request.h"

#define HEADERS_MAX ((size_t)16 * 1024)
#define BODY_MAX ((size_t)64 * 1024 * 1024) /* 100 posts of 64 KiB, escaped at the worst */

/* ---- statuses ---- */

static const struct {
    int status;
    const char *phrase;
} phrases[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {409, "Conflict"},
    {412, "Precondition Failed"},
    {405, "Method Not Allowed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {500, "Internal Server Error"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
};

const char *status_phrase(int status)
{
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "Status"; /* HTTP gives the phrase no meaning (RFC 9112 section 4) */
}

bool status_has_content(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

/* ---- headers and body ---- */

void response_init(struct response *rs)
{
    *rs = (struct response){.media_type = JSON_MEDIA_TYPE};
    buf_init(&rs->headers, HEADERS_MAX);
    buf_init(&rs->body, BODY_MAX);
}

void response_release(struct response *rs)
{
    buf_release(&rs->headers);
    buf_release(&rs->body);
}

void response_reset(struct response *rs)
{
    rs->replayed = false;
    rs->postponed = POSTPONED_NO;
    rs->status = 0;
    rs->media_type = JSON_MEDIA_TYPE;
    buf_reset(&rs->headers);
    buf_reset(&rs->body);
    rs->refusal = NULL;
    rs->subject = (struct uuid){{0}};
    rs->after = NULL;
}

void response_header(struct response *rs, const char *name, const char *format, ...)
{
    char value[HEADER_VALUE_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(value, sizeof value, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof value || strpbrk(value, "\r\n"))
        return; /* no header rather than half of one, or two */
    buf_puts(&rs->headers, name);
    buf_puts(&rs->headers, ": ");
    buf_add(&rs->headers, value, (size_t)len);
    buf_puts(&rs->headers, "\r\n");
}

void response_etag(struct response *rs, int64_t version)
{
    response_header(rs, "ETag", ETAG_FORMAT, version);
}

void response_record(struct response *rs, const char *key, const struct record *r, const void *row)
{
    json_object(&rs->body);
    json_key(&rs->body, key);
    record_to_json(&rs->body, r, row);
    json_object_end(&rs->body);
}

static void put_item_etag(struct buf *b, int64_t version)
{
    char tag[ETAG_SIZE];
    snprintf(tag, sizeof tag, ETAG_FORMAT, version);
    json_member(b, ITEM_ETAG_KEY, tag);
}

void response_item(struct response *rs, const struct record *r, const void *row)
{
    const struct field *version = record_version(r);
    json_object(&rs->body);
    record_members_to_json(&rs->body, r, row);
    if (version)
        put_item_etag(&rs->body,
                      *(const int64_t *)(const void *)((const char *)row + version->offset));
    json_object_end(&rs->body);
}

void response_head(const struct response *rs, const struct request *rq, struct buf *head)
{
    buf_printf(head, "Status: %d %s\r\n", rs->status, status_phrase(rs->status));
    if (status_has_content(rs->status) && rs->body.len)
        buf_printf(head, "Content-Type: %s\r\n", rs->media_type);
    if (status_has_content(rs->status))
        buf_printf(head, "Content-Length: %zu\r\n", rs->body.len);
    buf_printf(head, "X-Request-Id: %s\r\nX-Content-Type-Options: nosniff\r\n", rq->id);
    buf_add(head, rs->headers.data, rs->headers.len);
    buf_puts(head, "\r\n");
}

/* ---- problems ---- */

static void put_problem_headers(struct response *rs, const struct request *rq,
                                const struct problem *p, const char *realm)
{
    if (p->type->status == 401)
        response_header(rs, "WWW-Authenticate", "Bearer realm=\"%s\"%s", realm,
                        p->type->of_token && request_bearer(rq) ? ", error=\"invalid_token\"" : "");
    if (p->retry_after_s)
        response_header(rs, "Retry-After", "%u", p->retry_after_s);
    if (p->header)
        response_header(rs, p->header, "%s", p->value);
    /* It has two forms (RFC 9110 section 12.5.5). */
    response_header(rs, "Vary", "Accept");
}

/* `1`, `0`, or either with up to three digits after a point (RFC 9110 section 12.4.2), times
 * 1000; anything else counts as 0. */
static int read_weight(const char *s)
{
    int weight = *s == '1' ? 1000 : 0;
    if (*s != '0' || s[1] != '.')
        return weight;
    s += 2;
    for (int unit = 100; unit && isdigit((unsigned char)*s); unit /= 10)
        weight += (*s++ - '0') * unit;
    return weight;
}

/* The weight among the parameters that follow a media type; 1000 without one. */
static int find_weight(const char *at)
{
    while (*at == ';' || *at == ' ' || *at == '\t') {
        at += strspn(at, "; \t");
        if (strncasecmp(at, "q=", 2) == 0)
            return read_weight(at + 2);
        at += strcspn(at, ";,");
    }
    return 1000;
}

/* The weight that Accept gives to a media type by its name; -1 where it does not name it. */
static int weight_of(const struct request *rq, const char *type)
{
    const char *at = rq->param[PARAM_ACCEPT];
    size_t len = strlen(type);
    while (at && *at) {
        at += strspn(at, " \t,");
        if (strncasecmp(at, type, len) == 0 && strchr("; \t,", at[len])) /* or the end */
            return find_weight(at + len);
        at += strcspn(at, ",");
    }
    return -1;
}

/* Only a client that names the media type gets it: one with a star in it does not count. */
static bool wants_rfc9457(const struct request *rq)
{
    int weight = weight_of(rq, PROBLEM_MEDIA_TYPE);
    return weight > 0 && weight >= weight_of(rq, JSON_MEDIA_TYPE);
}

void response_problem(struct response *rs, const struct request *rq, const struct problem *p,
                      struct problem_form form)
{
    bool rfc9457 = wants_rfc9457(rq);
    const char *types = rfc9457 ? arena_printf(rq->arena, "%s%s", rq->base, form.types) : NULL;
    response_reset(rs);
    rs->status = p->type->status;
    if (rfc9457)
        rs->media_type = PROBLEM_MEDIA_TYPE;
    put_problem_headers(rs, rq, p, form.realm);
    problem_to_json(rq->arena, &rs->body, p, rq->id, types);
}
