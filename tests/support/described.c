#include "tests/support/described.h"

#include <cJSON.h>
#include <ctype.h>
#include <regex.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "common/base/arena.h"
#include "common/base/instant.h"
#include "common/base/encode.h"
#include "common/base/utf8.h"
#include "common/base/uuid.h"

struct described {
    cJSON *root;
};

static void delete_tree(void *tree)
{
    cJSON_Delete(tree);
}

struct described *described_open(struct arena *a, const char *document)
{
    struct described *d = arena_alloc(a, sizeof *d);
    d->root = cJSON_Parse(document);
    if (!d->root)
        return NULL;
    arena_defer(a, delete_tree, d->root);
    return d;
}

static const cJSON *get(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const char *string(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(get(object, key));
}

/* Follow `#/a/b`; NULL when nothing is there. */
static const cJSON *resolve(const struct described *d, struct arena *a, const char *ref)
{
    const cJSON *node = d->root;
    if (strncmp(ref, "#/", 2) != 0)
        return NULL;
    for (ref += 2; node && *ref;) {
        size_t len = strcspn(ref, "/");
        node = get(node, arena_copy(a, ref, len));
        ref += len + (ref[len] == '/');
    }
    return node;
}

static const cJSON *follow(const struct described *d, struct arena *a, const cJSON *node)
{
    const char *ref = string(node, "$ref");
    return ref ? resolve(d, a, ref) : node;
}

/* ---- schemas ---- */

struct check {
    const struct described *d;
    struct arena *a;
    const char *at;      /* where in the body, for the message */
    bool closed;         /* hold it to the members that are described; JSON Schema lets others be */
    const cJSON *object; /* the schema whose keyword is looked at */
};

static const char *check_value(const struct check *c, const cJSON *schema, const cJSON *value);

static const char *fault(const struct check *c, const char *what)
{
    return arena_printf(c->a, "%s %s", *c->at ? c->at : "the body", what);
}

static const char *type_name(const cJSON *value)
{
    if (cJSON_IsObject(value))
        return "object";
    if (cJSON_IsArray(value))
        return "array";
    if (cJSON_IsString(value))
        return "string";
    if (cJSON_IsBool(value))
        return "boolean";
    return cJSON_IsNumber(value) ? "number" : "null";
}

static bool is_whole(double n)
{
    return n >= -9007199254740992.0 && n <= 9007199254740992.0 && !(n < (double)(long long)n) &&
           !(n > (double)(long long)n);
}

static bool is_of_type(const char *type, const cJSON *value)
{
    if (strcmp(type, "integer") == 0)
        return cJSON_IsNumber(value) && is_whole(value->valuedouble);
    return strcmp(type, type_name(value)) == 0;
}

static const char *check_type(const struct check *c, const cJSON *type, const cJSON *value)
{
    bool good = cJSON_IsString(type) && is_of_type(type->valuestring, value);
    const cJSON *each;
    cJSON_ArrayForEach(each, type) good = good || is_of_type(each->valuestring, value);
    return good ? NULL : fault(c, arena_printf(c->a, "is of the wrong type, %s", type_name(value)));
}

static const char *check_enum(const struct check *c, const cJSON *words, const cJSON *value)
{
    const cJSON *each;
    cJSON_ArrayForEach(each, words) if (cJSON_Compare(each, value, true)) return NULL;
    return fault(c, arena_printf(c->a, "is none of those listed: %s",
                                 cJSON_IsString(value) ? value->valuestring : type_name(value)));
}

static const char *check_const(const struct check *c, const cJSON *word, const cJSON *value)
{
    return cJSON_Compare(word, value, true) ? NULL : fault(c, "is not the one value it may be");
}

static const char *check_format(const struct check *c, const cJSON *format, const cJSON *value)
{
    const char *name = format->valuestring, *s = cJSON_GetStringValue(value);
    struct uuid id;
    struct instant time;
    bool good = true;
    if (s && strcmp(name, "uuid") == 0)
        good = uuid_parse(s, strlen(s), &id) && strpbrk(s, "ABCDEF") == NULL;
    if (s && strcmp(name, "date-time") == 0)
        good = instant_parse(s, &time) && strlen(s) == strlen("2026-01-31T12:00:00.000000Z");
    if (s && strcmp(name, "email") == 0)
        good = strchr(s, '@') != NULL;
    return good ? NULL : fault(c, arena_printf(c->a, "is no %s: %s", name, s));
}

static const char *check_pattern(const struct check *c, const cJSON *pattern, const cJSON *value)
{
    regex_t regex;
    if (!cJSON_IsString(value))
        return NULL;
    if (regcomp(&regex, pattern->valuestring, REG_EXTENDED | REG_NOSUB) != 0)
        return fault(c, "has a pattern that cannot be read");
    bool good = regexec(&regex, value->valuestring, 0, NULL, 0) == 0;
    regfree(&regex);
    return good ? NULL : fault(c, "does not match its pattern");
}

static double length_of(const cJSON *value)
{
    return (double)utf8_length(value->valuestring, strlen(value->valuestring));
}

static const char *check_min_length(const struct check *c, const cJSON *min, const cJSON *value)
{
    return cJSON_IsString(value) && length_of(value) < min->valuedouble ? fault(c, "is too short")
                                                                        : NULL;
}

static const char *check_max_length(const struct check *c, const cJSON *max, const cJSON *value)
{
    return cJSON_IsString(value) && length_of(value) > max->valuedouble ? fault(c, "is too long")
                                                                        : NULL;
}

static const char *check_minimum(const struct check *c, const cJSON *min, const cJSON *value)
{
    return cJSON_IsNumber(value) && value->valuedouble < min->valuedouble ? fault(c, "is too small")
                                                                          : NULL;
}

static const char *check_maximum(const struct check *c, const cJSON *max, const cJSON *value)
{
    return cJSON_IsNumber(value) && value->valuedouble > max->valuedouble ? fault(c, "is too large")
                                                                          : NULL;
}

static const char *check_required(const struct check *c, const cJSON *names, const cJSON *value)
{
    const cJSON *each;
    if (!cJSON_IsObject(value))
        return NULL;
    cJSON_ArrayForEach(each, names) if (!get(value, each->valuestring)) return fault(
        c, arena_printf(c->a, "lacks \"%s\"", each->valuestring));
    return NULL;
}

static const char *check_properties(const struct check *c, const cJSON *schemas, const cJSON *value)
{
    const cJSON *schema;
    cJSON_ArrayForEach(schema, schemas)
    {
        const cJSON *member = cJSON_IsObject(value) ? get(value, schema->string) : NULL;
        const struct check inner = {c->d, c->a, arena_printf(c->a, "%s/%s", c->at, schema->string),
                                    c->closed};
        const char *wrong = member ? check_value(&inner, schema, member) : NULL;
        if (wrong)
            return wrong;
    }
    return NULL;
}

static const char *check_items(const struct check *c, const cJSON *schema, const cJSON *value)
{
    const cJSON *item;
    int n = 0;
    if (!cJSON_IsArray(value))
        return NULL;
    cJSON_ArrayForEach(item, value)
    {
        const struct check inner = {c->d, c->a, arena_printf(c->a, "%s/%d", c->at, n++), c->closed};
        const char *wrong = check_value(&inner, schema, item);
        if (wrong)
            return wrong;
    }
    return NULL;
}

static const char *check_open(const struct check *c, const cJSON *schema, const cJSON *value);

static const char *check_all_of(const struct check *c, const cJSON *schemas, const cJSON *value)
{
    const cJSON *each;
    const char *wrong = NULL;
    cJSON_ArrayForEach(each, schemas) wrong = wrong ? wrong : check_open(c, each, value);
    return wrong;
}

/* How many alternatives describe the whole; where none does, one's reason is in `*ret_wrong`. */
static int count_good(const struct check *c, const cJSON *schemas, const cJSON *value,
                      const char **ret_wrong)
{
    const cJSON *each;
    int good = 0;
    *ret_wrong = fault(c, "has no alternative");
    cJSON_ArrayForEach(each, schemas)
    {
        const char *wrong = check_value(c, each, value);
        good += wrong == NULL;
        *ret_wrong = wrong ? wrong : *ret_wrong;
    }
    return good;
}

static const char *check_any_of(const struct check *c, const cJSON *schemas, const cJSON *value)
{
    const char *wrong;
    return count_good(c, schemas, value, &wrong) ? NULL : wrong;
}

/* Exactly one, and members that it does not describe make it no other. */
static const char *check_one_of(const struct check *c, const cJSON *schemas, const cJSON *value)
{
    const char *wrong;
    int good = count_good(c, schemas, value, &wrong);
    return good == 1 ? NULL : good ? fault(c, "is more than one of its alternatives") : wrong;
}

/* Of the members that `properties` beside it does not name. */
static const char *check_additional(const struct check *c, const cJSON *schema, const cJSON *value)
{
    const cJSON *member, *named = get(c->object, "properties");
    if (!cJSON_IsObject(value))
        return NULL;
    cJSON_ArrayForEach(member, value)
    {
        if (get(named, member->string))
            continue;
        const char *wrong = cJSON_IsFalse(schema)
                                ? fault(c, arena_printf(c->a, "may not have %s", member->string))
                            : cJSON_IsObject(schema) ? check_value(c, schema, member)
                                                     : NULL;
        if (wrong)
            return wrong;
    }
    return NULL;
}

static const char *check_ref(const struct check *c, const cJSON *ref, const cJSON *value)
{
    const cJSON *schema = resolve(c->d, c->a, ref->valuestring);
    return schema ? check_open(c, schema, value)
                  : fault(c, arena_printf(c->a, "leads to nothing: %s", ref->valuestring));
}

static const char *check_nothing(const struct check *c, const cJSON *keyword, const cJSON *value)
{
    (void)c, (void)keyword, (void)value;
    return NULL;
}

static const struct {
    const char *keyword;
    const char *(*check)(const struct check *c, const cJSON *keyword, const cJSON *value);
} keywords[] = {
    {"type", check_type},
    {"enum", check_enum},
    {"const", check_const},
    {"format", check_format},
    {"pattern", check_pattern},
    {"minLength", check_min_length},
    {"minimum", check_minimum},
    {"maxLength", check_max_length},
    {"maximum", check_maximum},
    {"required", check_required},
    {"items", check_items},
    {"properties", check_properties},
    {"allOf", check_all_of},
    {"anyOf", check_any_of},
    {"oneOf", check_one_of},
    {"$ref", check_ref},
    {"additionalProperties", check_additional},
    {"description", check_nothing},
    {"examples", check_nothing},
    {"default", check_nothing},
};

static const char *check_keyword(const struct check *c, const cJSON *keyword, const cJSON *value)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (strcmp(keywords[i].keyword, keyword->string) == 0)
            return keywords[i].check(c, keyword, value);
    return fault(c, arena_printf(c->a, "has a keyword that is not known: %s", keyword->string));
}

/* What the keywords say; members that no schema names are let through. */
static const char *check_open(const struct check *c, const cJSON *schema, const cJSON *value)
{
    const struct check here = {c->d, c->a, c->at, c->closed, schema};
    const cJSON *keyword;
    cJSON_ArrayForEach(keyword, schema)
    {
        const char *wrong = check_keyword(&here, keyword, value);
        if (wrong)
            return wrong;
    }
    return NULL;
}

/* Does the schema, or one that it is made of, name this member? */
static bool names_member(const struct check *c, const cJSON *schema, const char *name)
{
    const char *ref = string(schema, "$ref");
    const cJSON *each;
    if (get(get(schema, "properties"), name))
        return true;
    if (ref && resolve(c->d, c->a, ref))
        return names_member(c, resolve(c->d, c->a, ref), name);
    cJSON_ArrayForEach(each, get(schema, "allOf")) if (names_member(c, each, name)) return true;
    cJSON_ArrayForEach(each, get(schema, "anyOf")) if (names_member(c, each, name)) return true;
    cJSON_ArrayForEach(each, get(schema, "oneOf")) if (names_member(c, each, name)) return true;
    return false;
}

static bool is_free(const struct check *c, const cJSON *schema)
{
    const cJSON *whole = follow(c->d, c->a, schema);
    return cJSON_IsTrue(get(whole, "additionalProperties")) ||
           (!get(whole, "properties") && !get(whole, "allOf") && !get(whole, "anyOf") &&
            !get(whole, "oneOf"));
}

static const char *check_closed(const struct check *c, const cJSON *schema, const cJSON *value)
{
    const cJSON *member;
    const char *wrong = check_open(c, schema, value);
    if (wrong || !cJSON_IsObject(value) || is_free(c, schema))
        return wrong;
    cJSON_ArrayForEach(member, value) if (!names_member(c, schema, member->string)) return fault(
        c, arena_printf(c->a, "has a member that is not described: %s", member->string));
    return NULL;
}

static const char *check_value(const struct check *c, const cJSON *schema, const cJSON *value)
{
    return c->closed ? check_closed(c, schema, value) : check_open(c, schema, value);
}

/* First as any validator of JSON Schema 2020-12 judges, then strictly: what we answer we describe.
 */
static const char *check_whole(const struct check *c, const cJSON *schema, const cJSON *value)
{
    const struct check open = {c->d, c->a, c->at, false, NULL};
    const struct check closed = {c->d, c->a, c->at, true, NULL};
    const char *wrong = check_value(&open, schema, value);
    return wrong ? wrong : check_value(&closed, schema, value);
}

/* ---- replies ---- */

/* An encoded character is that character, but a slash within a segment. */
static void decode(char *path)
{
    char *to = path;
    for (; *path; path++) {
        int byte = percent_byte(path, strlen(path));
        bool decodes = byte > 0 && byte != '/';
        *to++ = decodes ? (char)byte : *path;
        path += decodes ? 2 : 0;
    }
    *to = '\0';
}

/* Does the path fit, segment by segment? What is in braces stands for anything. */
static bool fits(const char *pattern, const char *path)
{
    while (*pattern && *path) {
        size_t want = strcspn(pattern + 1, "/") + 1, have = strcspn(path + 1, "/") + 1;
        if (pattern[1] != '{' && (want != have || memcmp(pattern, path, want) != 0))
            return false;
        pattern += want;
        path += have;
    }
    return !*pattern && !*path;
}

/* The path item; one without braces comes first. */
static const cJSON *find_path(const struct described *d, const char *path)
{
    const cJSON *item, *paths = get(d->root, "paths");
    if (get(paths, path))
        return get(paths, path);
    cJSON_ArrayForEach(item, paths) if (fits(item->string, path)) return item;
    return NULL;
}

static const cJSON *find_operation(const struct described *d, struct arena *a,
                                   const struct seen *seen)
{
    char *path = arena_copy(a, seen->path, strcspn(seen->path, "?"));
    char *method = arena_strdup(a, strcmp(seen->method, "HEAD") == 0 ? "GET" : seen->method);
    decode(path);
    size_t len = strlen(path);
    if (len > 1 && path[len - 1] == '/')
        path[len - 1] = '\0';
    for (char *c = method; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return get(find_path(d, path), method);
}

static const char *header(struct arena *a, const char *lines, const char *name)
{
    size_t len = strlen(name);
    while (*lines) {
        if (strncasecmp(lines, name, len) == 0 && lines[len] == ':')
            return arena_copy(a, lines + len + 1 + strspn(lines + len + 1, " "),
                              strcspn(lines + len + 1 + strspn(lines + len + 1, " "), "\r\n"));
        lines += strcspn(lines, "\n");
        lines += *lines == '\n';
    }
    return NULL;
}

static const char *check_headers(const struct check *c, const cJSON *response,
                                 const struct seen *seen)
{
    const cJSON *each;
    cJSON_ArrayForEach(each, get(response, "headers"))
    {
        bool required = cJSON_IsTrue(get(follow(c->d, c->a, each), "required"));
        if (required && !header(c->a, seen->headers, each->string))
            return arena_printf(c->a, "the header %s is not there", each->string);
    }
    return NULL;
}

static const char *check_json(const struct check *c, const cJSON *schema, const char *text)
{
    cJSON *value = cJSON_Parse(text);
    if (!value)
        return "the body is no JSON";
    arena_defer(c->a, delete_tree, value);
    return check_whole(c, schema, value);
}

static bool is_json(const char *media_type)
{
    size_t len = strlen(media_type);
    return strcmp(media_type, "application/json") == 0 ||
           (len > 5 && strcmp(media_type + len - 5, "+json") == 0);
}

static const char *check_body(const struct check *c, const cJSON *response, const struct seen *seen)
{
    const cJSON *content = get(response, "content");
    const char *type = header(c->a, seen->headers, "Content-Type");
    if (!content)
        return *seen->body ? "there is a body, and none is described" : NULL;
    if (!type)
        return "the header Content-Type is not there";
    type = arena_copy(c->a, type, strcspn(type, "; "));
    const cJSON *media = get(content, type);
    if (!media)
        return arena_printf(c->a, "the media type %s is not described", type);
    return is_json(type) ? check_json(c, get(media, "schema"), seen->body) : NULL;
}

static const char *check_response(const struct check *c, const cJSON *response,
                                  const struct seen *seen)
{
    const char *wrong = check_headers(c, response, seen);
    if (wrong || strcmp(seen->method, "HEAD") == 0)
        return wrong;
    return check_body(c, response, seen);
}

/* A call that is no operation. */
static const char *check_elsewhere(const struct check *c, const struct seen *seen)
{
    if (seen->status == 204 && strcmp(seen->method, "OPTIONS") == 0)
        return *seen->body ? "there is a body after 204" : NULL;
    if (strcmp(seen->method, "HEAD") == 0)
        return seen->status == 404 ? NULL : "it is no operation";
    cJSON *body = cJSON_Parse(seen->body);
    if (!body)
        return "it is no operation, and the body is no JSON";
    arena_defer(c->a, delete_tree, body);
    const char *code = string(body, "code");
    const char *name = arena_printf(c->a, "%d.%s", seen->status, code ? code : "");
    const cJSON *shared =
        resolve(c->d, c->a, arena_printf(c->a, "#/components/responses/%s", name));
    if (shared)
        return check_response(c, shared, seen);
    if (strcmp(name, "404.not_found") != 0 && strcmp(name, "405.method_not_allowed") != 0)
        return arena_printf(c->a, "it is no operation, and may not answer %s", name);
    const char *type = header(c->a, seen->headers, "Content-Type");
    bool is_rfc9457 = type && strcmp(type, "application/problem+json") == 0;
    const char *form =
        is_rfc9457 ? "#/components/schemas/ProblemDetails" : "#/components/schemas/Problem";
    return check_whole(c, resolve(c->d, c->a, form), body);
}

static const char *check_reply(const struct check *c, const struct seen *seen)
{
    const cJSON *operation = find_operation(c->d, c->a, seen);
    if (!operation)
        return check_elsewhere(c, seen);
    const cJSON *response =
        get(get(operation, "responses"), arena_printf(c->a, "%d", seen->status));
    response = follow(c->d, c->a, response);
    return response ? check_response(c, response, seen) : "this status is not described";
}

const char *described_fault(const struct described *d, struct arena *a, const struct seen *seen)
{
    const struct check c = {d, a, "", true, NULL};
    const char *wrong = check_reply(&c, seen);
    return wrong ? arena_printf(a, "%s %s, status %d: %s: %s", seen->method, seen->path,
                                seen->status, wrong, seen->body)
                 : NULL;
}
