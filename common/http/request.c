#include "common/http/request.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/encode.h"
#include "common/http/http_problems.h"

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

/* ---- variables and path ---- */

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

/* The path after the base, without its trailing slash; NULL when it is not below the base. */
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

/* Where the path of REQUEST_URI begins: after scheme and host, if it has these. */
static const char *path_of_uri(const char *uri)
{
    const char *scheme = *uri == '/' ? NULL : strstr(uri, "://");
    return scheme ? scheme + 3 + strcspn(scheme + 3, "/?#") : uri;
}

/* The path of an address, each segment decoded on its own (RFC 3986 section 2.2). What would then
 * be taken for the end of a segment, the end of the text or an encoding stays encoded; what is no
 * encoding stays as it is. */
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

/* Only REQUEST_URI, as it came, shows where a segment ends: the other variables are decoded, and
 * used for servers that do not send it. */
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

bool request_is_id(const char *s)
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

/* A length that is no number counts as none: the server has read what was there. */
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
    rq->id = request_is_id(rq->param[PARAM_REQUEST_ID]) ? rq->param[PARAM_REQUEST_ID]
                                                        : make_request_id(a, now);
}

void request_trust(struct request *rq, const struct address_list *proxies)
{
    rq->client =
        address_behind(proxies, rq->param[PARAM_REMOTE_ADDR], rq->param[PARAM_FORWARDED_FOR]);
    rq->forwarded = address_is_told(proxies, &rq->client, rq->param[PARAM_FORWARDED_FOR]);
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

bool request_is_private(const struct request *rq)
{
    static const enum request_param told_by[] = {PARAM_AUTHORIZATION,
                                                 PARAM_REDIRECTED_AUTHORIZATION, PARAM_COOKIE};
    for (size_t i = 0; i < sizeof told_by / sizeof *told_by; i++)
        if (*or_empty(rq->param[told_by[i]]))
            return true;
    return false;
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

/* ---- conditions ---- */

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
    return arena_printf(a, ETAG_FORMAT, version);
}

bool request_knows_tag(const struct request *rq, const char *tag)
{
    const char *list = rq->param[PARAM_IF_NONE_MATCH];
    return list && (rq->method & (METHOD_GET | METHOD_HEAD)) && lists_tag(list, tag, true);
}

bool request_knows(const struct request *rq, int64_t version)
{
    return request_knows_tag(rq, tag_of(rq->arena, version));
}

static struct problem *fail_condition(const struct request *rq, const char *tag,
                                      const char *message)
{
    struct problem *p = problem(rq->arena, &problem_precondition_failed, message);
    p->header = "ETag";
    p->value = tag;
    return p;
}

struct problem *request_check_match(const struct request *rq, int64_t version)
{
    const char *match = rq->param[PARAM_IF_MATCH], *none_match = rq->param[PARAM_IF_NONE_MATCH];
    const char *tag = tag_of(rq->arena, version);
    if (match && !lists_tag(match, tag, false))
        return fail_condition(rq, tag, NULL);
    if (none_match && lists_tag(none_match, tag, true))
        return fail_condition(rq, tag, "If-None-Match names the version that is there.");
    return NULL;
}
