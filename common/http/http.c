#include "common/http/http.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/encode.h"
#include "common/base/problem.h"
#include "common/field/json_write.h"

#define HEADERS_MAX ((size_t)16 * 1024)
#define BODY_MAX ((size_t)64 * 1024 * 1024) /* 100 posts of 64 KiB, escaped at the worst */

static const struct {
    const char *name;
    size_t len;
} params_read[PARAM_COUNT] = {
#define X(slot, variable) [PARAM_##slot] = {variable, sizeof(variable) - 1},
    REQUEST_PARAMS(X)
#undef X
};

static const struct {
    const char *name;
    enum method method;
} methods_known[] = {{"GET", METHOD_GET},        {"HEAD", METHOD_HEAD},   {"POST", METHOD_POST},
                     {"PUT", METHOD_PUT},        {"PATCH", METHOD_PATCH}, {"DELETE", METHOD_DELETE},
                     {"OPTIONS", METHOD_OPTIONS}};

static const size_t method_count = sizeof methods_known / sizeof *methods_known;

/* ---- the request ---- */

static void take_param(struct request *rq, const char *pair)
{
    const char *equals = strchr(pair, '=');
    if (!equals)
        return;
    size_t len = (size_t)(equals - pair);
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        if (params_read[i].len == len && memcmp(params_read[i].name, pair, len) == 0) {
            rq->param[i] = equals + 1;
            return;
        }
    }
}

static enum method method_from_word(const char *word)
{
    for (size_t i = 0; word && i < method_count; i++)
        if (strcmp(methods_known[i].name, word) == 0)
            return methods_known[i].method;
    return METHOD_OTHER;
}

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

/* The path behind the base, without its trailing slash; NULL when it is not below the base. */
static const char *path_below(struct arena *a, const char *path, const char *base)
{
    size_t base_len = strlen(base);
    if (strncmp(path, base, base_len) != 0)
        return NULL;
    path += base_len;
    if (*path != '/')
        return *path ? NULL : "/";
    size_t len = strlen(path);
    if (len > 1 && path[len - 1] == '/')
        return arena_copy(a, path, len - 1);
    return path;
}

/* Where the path of REQUEST_URI begins: behind scheme and host, should they be there. */
static const char *path_of_uri(const char *uri)
{
    const char *scheme = *uri == '/' ? NULL : strstr(uri, "://");
    return scheme ? scheme + 3 + strcspn(scheme + 3, "/?#") : uri;
}

/* The path of an address, each segment decoded on its own (RFC 3986 section 2.2). What would then
 * be taken for an end of a segment, of the text or for an encoding stays encoded; so does what is
 * no encoding. */
static const char *decode_segments(struct arena *a, const char *uri)
{
    const char *path = path_of_uri(uri), *end = path + strcspn(path, "?#");
    char *text = arena_copy(a, path, (size_t)(end - path)), *to = text;
    for (; path < end; path++) {
        int byte = percent_byte(path, (size_t)(end - path));
        bool decodes = byte > 0 && byte != '/' && byte != '%';
        *to++ = decodes ? (char)byte : *path;
        path += decodes ? 2 : 0;
    }
    *to = '\0';
    return text;
}

/* The address as it came tells where a segment ends. The other variables are decoded, and so do
 * not: they are for servers that do not send it. */
static const char *find_path(const struct request *rq, const char *base)
{
    const char *uri = rq->param[PARAM_REQUEST_URI], *whole = rq->param[PARAM_DOCUMENT_URI];
    if (uri && *uri)
        return path_below(rq->arena, decode_segments(rq->arena, uri), base);
    if (!whole || !*whole)
        whole = arena_printf(rq->arena, "%s%s", or_empty(rq->param[PARAM_SCRIPT_NAME]),
                             or_empty(rq->param[PARAM_PATH_INFO]));
    return path_below(rq->arena, whole, base);
}

static bool is_request_id(const char *s)
{
    size_t len = s ? strlen(s) : 0;
    return len >= 8 && len <= 64 &&
           strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == len;
}

static const char *make_request_id(struct arena *a, struct instant now)
{
    struct uuid id = uuid_make(now);
    char *text = arena_alloc(a, UUID_TEXT_SIZE);
    uuid_format(&id, text);
    return text;
}

/* The server has taken what it could; a length that is no number counts as none. */
static size_t length_of(const char *s)
{
    if (!s || !isdigit((unsigned char)*s))
        return 0;
    return strtoull(s, NULL, 10);
}

void request_from_params(struct request *rq, struct arena *a, char *const *params,
                         const char *base_path, struct instant now)
{
    memset(rq, 0, sizeof *rq);
    rq->arena = a;
    rq->params = params;
    rq->now = now;
    for (char *const *at = params; *at; at++)
        take_param(rq, *at);
    rq->method = method_from_word(rq->param[PARAM_METHOD]);
    rq->base = base_path;
    rq->path = find_path(rq, base_path);
    rq->raw_query = or_empty(rq->param[PARAM_QUERY]);
    request_trust(rq, &(const struct address_list){0});
    rq->content_length = length_of(rq->param[PARAM_CONTENT_LENGTH]);
    rq->id = is_request_id(rq->param[PARAM_REQUEST_ID]) ? rq->param[PARAM_REQUEST_ID]
                                                        : make_request_id(a, now);
}

void request_trust(struct request *rq, const struct address_list *proxies)
{
    rq->client =
        address_behind(proxies, rq->param[PARAM_REMOTE_ADDR], rq->param[PARAM_FORWARDED_FOR]);
}

/* ---- the address of a script ---- */

/* The path of an address as it came, decoded; NULL where that is none, or has a NUL. */
static const char *decode_path(struct arena *a, const char *uri)
{
    char *path = arena_copy(a, uri, strcspn(uri, "?#"));
    return percent_decode(path) ? path : NULL;
}

/* What comes before PATH_INFO in REQUEST_URI, decoded; NULL where it does not end so. */
static const char *base_of_uri(const struct request *rq)
{
    const char *uri = rq->param[PARAM_REQUEST_URI], *info = rq->param[PARAM_PATH_INFO];
    const char *path = uri ? decode_path(rq->arena, uri) : NULL;
    size_t len = path ? strlen(path) : 0, tail = strlen(info);
    if (!path || len < tail || strcmp(path + len - tail, info) != 0)
        return NULL;
    return arena_copy(rq->arena, path, len - tail);
}

/* A base may be repeated in headers and on the page: then it must mean the same place there, and
 * neither another host (`//host`) nor another folder. */
static bool is_steady(const char *base)
{
    if (!base || strlen(base) * 3 >= BASE_SIZE)
        return false;
    while (*base == '/') {
        size_t len = strcspn(++base, "/");
        if (len == 0 || strncmp(base, ".", len) == 0 || strncmp(base, "..", len) == 0)
            return false;
        base += len;
    }
    return !*base;
}

static const char *encode_path(struct arena *a, const char *path)
{
    char *text = arena_alloc(a, strlen(path) * 3 + 1), *to = text;
    for (; *path; path++) {
        bool plain = isalnum((unsigned char)*path) || strchr("/-._~", *path);
        to += sprintf(to, plain ? "%c" : "%%%02X", (unsigned char)*path);
    }
    return text;
}

/* Is the segment another one, or several, once it is decoded? Or decoded again: what mod_rewrite
 * puts together is, so no percent sign may be left. */
static bool misleads(struct arena *a, const char *segment, size_t len)
{
    char *plain = arena_copy(a, segment, len);
    if (!memchr(segment, '%', len))
        return false;
    return !percent_decode(plain) || strpbrk(plain, "/%") || strcmp(plain, ".") == 0 ||
           strcmp(plain, "..") == 0;
}

/* Could the path, decoded by the server, have other segments than its client wrote? */
static bool is_misleading(struct arena *a, const char *uri)
{
    const char *path = path_of_uri(uri), *end = path + strcspn(path, "?#");
    while (path < end) {
        size_t len = strcspn(path, "/?#");
        if (misleads(a, path, len))
            return true;
        path += len + (path[len] == '/');
    }
    return false;
}

void request_follow_script(struct request *rq, bool find_base)
{
    const char *script = or_empty(rq->param[PARAM_SCRIPT_NAME]);
    const char *info = or_empty(rq->param[PARAM_PATH_INFO]);
    if (!*script || *info != '/')
        return;
    rq->path = is_misleading(rq->arena, or_empty(rq->param[PARAM_REQUEST_URI]))
                   ? NULL
                   : path_below(rq->arena, info, "");
    if (!find_base)
        return;
    const char *base = base_of_uri(rq);
    if (!is_steady(base))
        base = script;
    if (is_steady(base))
        rq->base = encode_path(rq->arena, base);
}

const char *request_param(const struct request *rq, const char *name)
{
    size_t len = strlen(name);
    for (char *const *at = rq->params; *at; at++)
        if (strncmp(*at, name, len) == 0 && (*at)[len] == '=')
            return *at + len + 1;
    return NULL;
}

const char *request_bearer(const struct request *rq)
{
    static const char scheme[] = "Bearer";
    const char *value = rq->param[PARAM_AUTHORIZATION];
    if (!value || !*value)
        value = rq->param[PARAM_REDIRECTED_AUTHORIZATION]; /* Apache's name after a rewrite */
    if (!value || strncasecmp(value, scheme, sizeof scheme - 1) != 0)
        return NULL;
    value += sizeof scheme - 1;
    if (*value && *value != ' ')
        return NULL; /* a scheme that only begins like ours */
    return value + strspn(value, " ");
}

bool request_is_json(const struct request *rq)
{
    static const char *const types[] = {JSON_MEDIA_TYPE, MERGE_PATCH_MEDIA_TYPE};
    const char *given = rq->param[PARAM_CONTENT_TYPE];
    if (!given)
        return false;
    size_t len = strcspn(given, "; \t");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (len == strlen(types[i]) && strncasecmp(given, types[i], len) == 0)
            return true;
    return false;
}

/* `identity` says that there is none (RFC 9110 section 8.4.1). */
bool request_is_encoded(const struct request *rq)
{
    const char *given = or_empty(rq->param[PARAM_CONTENT_ENCODING]);
    return *given && strcasecmp(given, "identity") != 0;
}

const char *method_name(enum method method)
{
    for (size_t i = 0; i < method_count; i++)
        if (methods_known[i].method == method)
            return methods_known[i].name;
    return "other";
}

const char *method_list(struct arena *a, unsigned methods)
{
    const char *list = "";
    for (size_t i = 0; i < method_count; i++)
        if (methods & methods_known[i].method)
            list = arena_printf(a, "%s%s%s", list, *list ? ", " : "", methods_known[i].name);
    return list;
}

/* ---- the response ---- */

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

struct problem_view {
    struct text error;
    struct text code;
    struct text message;
    struct text request_id;
};

static const struct field problem_fields[] = {
    FIELD(struct problem_view, error, .use = FIELD_SHOWN, .doc = "Short words for people."),
    FIELD(struct problem_view, code, .use = FIELD_SHOWN,
          .doc = "The machine's word; it never changes its meaning."),
    FIELD(struct problem_view, message, .use = FIELD_SHOWN, .doc = "One sentence."),
    FIELD(struct problem_view, request_id, .use = FIELD_SHOWN, .example = PROBLEM_SAMPLE_ID,
          .doc = "The X-Request-Id of the answer, for whoever looks into the log."),
};

const struct record problem_record =
    RECORD("Problem", struct problem_view, problem_fields, .rule = NULL);

struct problem_details {
    struct text type;
    struct text title;
    int64_t status;
    struct text detail;
    struct text code;
    struct text request_id;
};

static const struct field problem_details_fields[] = {
    FIELD(struct problem_details, type, .use = FIELD_SHOWN,
          .doc = "Where the code is described; a path."),
    FIELD(struct problem_details, title, .use = FIELD_SHOWN, .doc = "Short words for people."),
    FIELD(struct problem_details, status, .use = FIELD_SHOWN, .doc = "The status of HTTP."),
    FIELD(struct problem_details, detail, .use = FIELD_SHOWN, .doc = "One sentence."),
    FIELD(struct problem_details, code, .use = FIELD_SHOWN,
          .doc = "The machine's word; it never changes its meaning."),
    FIELD(struct problem_details, request_id, .use = FIELD_SHOWN, .example = PROBLEM_SAMPLE_ID,
          .doc = "The X-Request-Id of the answer, for whoever looks into the log."),
};

const struct record problem_details_record =
    RECORD("ProblemDetails", struct problem_details, problem_details_fields, .rule = NULL);

struct fault_view {
    struct text field;
    unsigned code; /* enum fault_code, less FAULT_REQUIRED */
    struct text message;
};

static const struct field fault_fields[] = {
    FIELD(struct fault_view, field, .use = FIELD_SHOWN, .doc = "The field that is at fault."),
    FIELD(struct fault_view, code, .use = FIELD_SHOWN, .choices = fault_words + FAULT_REQUIRED,
          .doc = "What is wrong with it."),
    FIELD(struct fault_view, message, .use = FIELD_SHOWN, .doc = "One sentence."),
};

const struct record fault_record = RECORD("Fault", struct fault_view, fault_fields, .rule = NULL);

static void put_missing(struct buf *b, const struct problem *p)
{
    json_key(b, PROBLEM_MISSING_KEY);
    json_array(b);
    for (size_t i = 0; i < p->fault_count; i++)
        if (p->faults[i].code == FAULT_REQUIRED)
            json_string(b, p->faults[i].field);
    json_array_end(b);
}

static void put_details(struct buf *b, const struct problem *p)
{
    json_key(b, PROBLEM_DETAILS_KEY);
    json_array(b);
    for (size_t i = 0; i < p->fault_count; i++) {
        const struct fault *fault = &p->faults[i];
        const struct fault_view view = {text_of(fault->field), fault->code - FAULT_REQUIRED,
                                        text_of(fault->message)};
        record_to_json(b, &fault_record, &view);
    }
    json_array_end(b);
}

static bool has_missing(const struct problem *p)
{
    for (size_t i = 0; i < p->fault_count; i++)
        if (p->faults[i].code == FAULT_REQUIRED)
            return true;
    return false;
}

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

/* `1`, `0`, or either with up to three digits behind a point (RFC 9110 section 12.4.2), times
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

/* Only who names the form knows it: a type with a star in it asks for nothing. */
static bool wants_rfc9457(const struct request *rq)
{
    int weight = weight_of(rq, PROBLEM_MEDIA_TYPE);
    return weight > 0 && weight >= weight_of(rq, JSON_MEDIA_TYPE);
}

static void put_words(struct buf *b, const struct problem *p, const char *request_id)
{
    const struct problem_view view = {text_of(p->type->error), text_of(p->type->code),
                                      text_of(p->message), text_of(request_id)};
    record_members_to_json(b, &problem_record, &view);
}

static void put_rfc9457(struct arena *a, struct buf *b, const struct problem *p,
                        const char *request_id, const char *types)
{
    const struct problem_details details = {
        .type = text_of(arena_printf(a, "%s%s", types, p->type->code)),
        .title = text_of(p->type->error),
        .status = p->type->status,
        .detail = text_of(p->message),
        .code = text_of(p->type->code),
        .request_id = text_of(request_id)};
    record_members_to_json(b, &problem_details_record, &details);
}

void problem_to_json(struct arena *a, struct buf *b, const struct problem *p,
                     const char *request_id, const char *types)
{
    json_object(b);
    if (types)
        put_rfc9457(a, b, p, request_id, types);
    else
        put_words(b, p, request_id);
    if (has_missing(p))
        put_missing(b, p);
    if (p->fault_count)
        put_details(b, p);
    json_object_end(b);
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

/* ---- versions ---- */

/* Is `tag` in the list (RFC 9110 section 13.1)? A weak one only where `weak` will do. */
static bool lists_tag(const char *list, const char *tag, bool weak)
{
    for (;;) {
        list += strspn(list, " \t,");
        if (*list == '*')
            return true;
        bool is_weak = strncmp(list, "W/", 2) == 0;
        list += is_weak ? 2 : 0;
        if (*list != '"')
            return false;
        size_t len = strcspn(list + 1, "\"") + 2;
        if (len == strlen(tag) && strncmp(list, tag, len) == 0 && (weak || !is_weak))
            return true;
        if (list[len - 1] != '"')
            return false;
        list += len;
    }
}

static const char *tag_of(struct arena *a, int64_t version)
{
    return arena_printf(a, "\"%" PRId64 "\"", version);
}

bool response_is_known(struct response *rs, const struct request *rq, int64_t version)
{
    const char *tag = tag_of(rq->arena, version), *list = rq->param[PARAM_IF_NONE_MATCH];
    response_header(rs, "ETag", "%s", tag);
    if (!list || !(rq->method & (METHOD_GET | METHOD_HEAD)) || !lists_tag(list, tag, true))
        return false;
    rs->status = 304;
    return true;
}

struct problem *request_check_match(const struct request *rq, int64_t version)
{
    const char *list = rq->param[PARAM_IF_MATCH], *tag = tag_of(rq->arena, version);
    if (!list || lists_tag(list, tag, false))
        return NULL;
    struct problem *p = problem(rq->arena, &problem_precondition_failed, NULL);
    p->header = "ETag";
    p->value = tag;
    return p;
}

void response_record(struct response *rs, const char *key, const struct record *r, const void *row)
{
    json_object(&rs->body);
    json_key(&rs->body, key);
    record_to_json(&rs->body, r, row);
    json_object_end(&rs->body);
}

bool status_has_content(int status)
{
    return status >= 200 && status != 204 && status != 304;
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
