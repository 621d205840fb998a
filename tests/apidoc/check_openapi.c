/* needs: mariadb */
/* The document holds all that the tables hold, and nothing else. */
#include "fcgi-app/routes.h"
#include "tests/support/loopback.h"

#include <cJSON.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/apidoc/openapi.h"
#include "common/base/problem.h"
#include "common/http/idempotency.h"
#include "tests/support/suite.h"

static cJSON *served;

static void delete_tree(void *tree)
{
    cJSON_Delete(tree);
}

static void set_up(void)
{
    loopback_open();
    struct answer answer = api_get(NULL, "/openapi.json");
    ck_status(answer, 200);
    ck_assert_str_eq(answer_header(answer, "Content-Type"), "application/json");
    served = cJSON_Parse(answer.text);
    ck_assert_ptr_nonnull(served);
    arena_defer(the_arena, delete_tree, served);
}

static const cJSON *at(const cJSON *node, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(node, key);
}

static const char *method_key(const struct route *route)
{
    char *key = arena_strdup(the_arena, method_list(the_arena, route->method));
    for (char *c = key; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return key;
}

static const cJSON *operation_of(const struct route *route)
{
    return at(at(at(served, "paths"), route->path), method_key(route));
}

static bool lists(const cJSON *words, const char *word)
{
    const cJSON *each;
    cJSON_ArrayForEach(each, words) if (strcmp(each->valuestring, word) == 0) return true;
    return false;
}

/* ---- routes ---- */

static void ck_is_there_if_offered(void *context, const struct resource *resource,
                                   const struct route *route)
{
    const struct api api = routes_describe(the_app);
    const cJSON *operation = operation_of(route);
    size_t *count = context;
    if (!api_offers(&api, route)) {
        ck_assert_msg(operation == NULL, "%s is not offered", route->path);
        return;
    }
    ++*count;
    ck_assert_msg(operation != NULL, "%s %s is not there", method_key(route), route->path);
    ck_assert_str_eq(at(operation, "operationId")->valuestring, route->operation_id);
    ck_assert(lists(at(operation, "tags"), resource->name));
}

CASE("openapi", set_up, loopback_close);

TEST(every_route_that_is_offered_is_there_and_nothing_else)
{
    size_t expected = 0, found = 0;

    router_each(the_app->router.resources, ck_is_there_if_offered, &expected);

    const cJSON *path;
    cJSON_ArrayForEach(path, at(served, "paths")) found += (size_t)cJSON_GetArraySize(path);
    ck_assert_uint_gt(expected, 0);
    ck_assert_uint_eq(found, expected);
}

TEST(what_a_setting_offers_is_there_with_it)
{
    struct settings settings = *the_app->settings;
    settings.mail_command = TEXT("/bin/true");
    const struct app app = {.settings = &settings};
    const struct api with = routes_describe(&app), without = routes_describe(the_app);
    struct buf more, less;
    buf_init(&more, (size_t)8 * 1024 * 1024);
    buf_init(&less, (size_t)8 * 1024 * 1024);

    openapi_write(&more, &with);
    openapi_write(&less, &without);

    ck_assert_uint_gt(more.len, less.len);
    buf_release(&more);
    buf_release(&less);
}

static const char *written_with(const struct settings *settings)
{
    const struct app app = {.settings = settings};
    const struct api api = routes_describe(&app);
    struct buf text;
    buf_init(&text, (size_t)8 * 1024 * 1024);
    openapi_write(&text, &api);
    const char *copy = arena_copy(the_arena, text.data, text.len);
    buf_release(&text);
    return copy;
}

static size_t times(const char *text, const char *what)
{
    size_t n = 0;
    for (; (text = strstr(text, what)); text++)
        n++;
    return n;
}

TEST(a_password_s_least_length_is_the_setting_s)
{
    size_t eights = times(written_with(the_app->settings), "\"minLength\":8,\"maxLength\":128");

    loopback_set("PASSWORD_MIN=23");

    const char *text = written_with(the_app->settings);
    size_t others = times(text, "\"minLength\":8,\"maxLength\":128"); /* an Idempotency-Key */
    ck_assert_uint_ge(eights - others, 3);
    ck_assert_uint_eq(times(text, "\"minLength\":23,\"maxLength\":128"), eights - others);
}

TEST(who_may_list_users_is_what_the_setting_says)
{
    struct settings settings = *the_app->settings;
    const char *for_users = written_with(&settings);
    settings.users_visible = USERS_VISIBLE_ADMINS;
    const char *for_admins = written_with(&settings);

    ck_assert_uint_eq(times(for_admins, "Needs an admin's access token."),
                      times(for_users, "Needs an admin's access token.") + 1);
}

static void ck_takes_what_the_tables_say(void *context, const struct resource *resource,
                                         const struct route *route)
{
    const cJSON *operation = operation_of(route), *each;
    size_t query = 0;
    (void)context, (void)resource;
    if (!operation)
        return;
    cJSON_ArrayForEach(each, at(operation, "parameters"))
    {
        const cJSON *in = at(each, "in");
        query += in && strcmp(in->valuestring, "query") == 0;
        if (in && strcmp(in->valuestring, "path") == 0) /* whose id, not only that it is one */
            ck_assert_int_eq(strncmp(at(each, "description")->valuestring, "The ", 4), 0);
    }
    ck_assert_uint_eq(query, route->query ? route->query->count : 0);
    ck_assert_int_eq(at(operation, "requestBody") != NULL, route->body != NULL);
}

TEST(an_operation_takes_what_the_tables_say)
{
    router_each(the_app->router.resources, ck_takes_what_the_tables_say, NULL);
}

TEST(a_header_is_told_with_its_lengths)
{
    const cJSON *key = at(at(at(served, "components"), "parameters"), "Idempotency-Key");

    ck_assert_int_eq(at(at(key, "schema"), "minLength")->valueint, IDEMPOTENCY_KEY_MIN);
    ck_assert_int_eq(at(at(key, "schema"), "maxLength")->valueint, IDEMPOTENCY_KEY_MAX);
}

/* ---- failures ---- */

static const cJSON *codes_of(const cJSON *operation, int status)
{
    const cJSON *response = at(at(operation, "responses"), say("%d", status));
    const cJSON *ref = at(response, "$ref");
    if (ref)
        response = at(at(at(served, "components"), "responses"),
                      ref->valuestring + strlen("#/components/responses/"));
    const cJSON *schema = at(at(at(response, "content"), "application/json"), "schema");
    return at(at(at(cJSON_GetArrayItem(at(schema, "allOf"), 1), "properties"), "code"), "enum");
}

static void ck_lists_its_codes(void *context, const struct resource *resource,
                               const struct route *route)
{
    const struct api api = routes_describe(the_app);
    const cJSON *all = context, *operation = operation_of(route);
    struct answers answers;
    (void)resource;
    if (!operation)
        return;
    api_answers(&api, route, &answers);
    for (const struct problem_type *const *type = route->problems; type && *type; type++)
        ck_assert_msg(lists(codes_of(operation, (*type)->status), (*type)->code), "%s %s",
                      route->path, (*type)->code);
    for (size_t i = 0; i < answers.count; i++) {
        const struct problem_type *type = answers.types[i];
        ck_assert_msg(lists(codes_of(operation, type->status), type->code), "%s %s", route->path,
                      type->code);
        ck_assert_msg(lists(all, type->code), "%s is not among all codes", type->code);
    }
}

TEST(every_code_is_listed_where_it_may_come_and_among_all)
{
    const cJSON *schema = at(at(at(served, "components"), "schemas"), "ErrorCode");
    cJSON *all = cJSON_Duplicate(at(schema, "enum"), true);

    router_each(the_app->router.resources, ck_lists_its_codes, all);

    ck_assert(lists(all, "method_not_allowed"));
    ck_assert_ptr_nonnull(strstr(at(schema, "description")->valuestring, "`method_not_allowed`"));
    cJSON_Delete(all);
}

/* ---- the document itself ---- */

/* Of generators of clients, which make names of them. */
static void ck_is_a_name(const char *name)
{
    ck_assert_msg(isalpha((unsigned char)*name), "%s does not begin with a letter", name);
    for (const char *c = name; *c; c++)
        ck_assert_msg(isalnum((unsigned char)*c) || *c == '-', "%s is no name", name);
}

TEST(components_have_names_that_begin_with_a_letter)
{
    const cJSON *kind, *each;
    cJSON_ArrayForEach(kind, at(served, "components"))
    {
        cJSON_ArrayForEach(each, kind) ck_is_a_name(each->string);
    }
}

static void ck_failures_are_components(const cJSON *responses)
{
    const cJSON *each;
    cJSON_ArrayForEach(each, responses)
    {
        const cJSON *ref = at(each, "$ref");
        ck_assert_msg((atoi(each->string) >= 400) == (ref != NULL), "%s", each->string);
        ck_assert(!ref || strstr(ref->valuestring, say("/Error%s", each->string)));
    }
}

TEST(failures_are_described_once_for_each_set_of_codes)
{
    const cJSON *path, *operation, *one, *two;
    const cJSON *sets = at(at(served, "components"), "responses");

    cJSON_ArrayForEach(path, at(served, "paths"))
    {
        cJSON_ArrayForEach(operation, path) ck_failures_are_components(at(operation, "responses"));
    }

    cJSON_ArrayForEach(one, sets)
    {
        for (two = one->next; two; two = two->next)
            ck_assert_msg(strncmp(one->string, two->string, strlen("Error400")) != 0 ||
                              !cJSON_Compare(one, two, true),
                          "%s is %s", one->string, two->string);
    }
}

static size_t ck_scalars_have_examples(const cJSON *node, const char *name)
{
    const cJSON *child, *type = at(node, "type");
    const char *word = cJSON_IsArray(type) ? type->child->valuestring : cJSON_GetStringValue(type);
    size_t count = 0;
    bool scalar = word && strcmp(word, "object") != 0 && strcmp(word, "array") != 0;
    if (scalar) {
        ck_assert_msg(at(node, "examples") != NULL, "%s has no example", name);
        count++;
    }
    cJSON_ArrayForEach(child, node) if (cJSON_IsObject(child) || cJSON_IsArray(child)) count +=
        ck_scalars_have_examples(child, child->string ? child->string : name);
    return count;
}

TEST(each_scalar_has_an_example)
{
    static const char *const kinds[] = {"parameters", "headers", "responses", "schemas"};
    const cJSON *components = at(served, "components");
    size_t count = ck_scalars_have_examples(at(served, "paths"), "paths");

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        count += ck_scalars_have_examples(at(components, kinds[i]), kinds[i]);

    ck_assert_uint_gt(count, 100);
}

TEST(no_member_of_a_body_is_promised_by_a_default)
{
    const cJSON *schema, *member;
    cJSON_ArrayForEach(schema, at(at(served, "components"), "schemas"))
    {
        cJSON_ArrayForEach(member, at(schema, "properties"))
            ck_assert_msg(!at(member, "default"), "%s.%s", schema->string, member->string);
    }
    const cJSON *post = at(at(at(served, "components"), "schemas"), "NewPost");
    const cJSON *published = at(at(post, "properties"), "published");
    ck_assert(!lists(at(post, "required"), "published"));
    ck_assert_ptr_nonnull(strstr(at(published, "description")->valuestring, "By default `false`."));
}

TEST(a_word_that_is_the_only_one_is_a_constant)
{
    const cJSON *schemas = at(at(served, "components"), "schemas");

    const cJSON *type = at(at(at(schemas, "Tokens"), "properties"), "token_type");
    const cJSON *status = at(at(at(schemas, "Status"), "properties"), "status");

    ck_assert_str_eq(at(type, "const")->valuestring, "Bearer");
    ck_assert_str_eq(at(status, "const")->valuestring, "ok");
}

/* ---- where to go on ---- */

static const struct {
    const char *path, *reader, *id;
} made[] = {
    {"/auth/register", "getUser", "$response.body#/user/id"},
    {"/users", "getUser", "$response.body#/user/id"},
    {"/posts", "getPost", "$response.body#/post/id"},
};

TEST_EACH(what_was_made_leads_to_its_reading, made)
{
    const cJSON *post = at(at(at(served, "paths"), made[_i].path), "post");

    const cJSON *link = at(at(at(at(post, "responses"), "201"), "links"), made[_i].reader);

    ck_assert_ptr_nonnull(link);
    ck_assert_str_eq(at(link, "operationId")->valuestring, made[_i].reader);
    ck_assert_str_eq(at(at(link, "parameters"), "id")->valuestring, made[_i].id);
}

static const struct {
    const char *public_url, *base_path, *contact;
    const char *server, *key; /* of the contact; NULL: there is none */
} sites[] = {
    {"", "/api", "", "/api", NULL},
    {"", "", "", "/", NULL},
    {"https://api.example.org", "/api", "a@example.org", "https://api.example.org/api", "email"},
    {"https://api.example.org", "", "https://example.org/x", "https://api.example.org", "url"},
};

TEST_EACH(an_operator_says_where_it_is_and_whom_to_ask, sites)
{
    struct api api = routes_describe(the_app);
    api.public_url = sites[_i].public_url;
    api.base_path = sites[_i].base_path;
    api.contact = sites[_i].contact;
    struct buf text;
    buf_init(&text, (size_t)8 * 1024 * 1024);

    openapi_write(&text, &api);

    cJSON *document = cJSON_ParseWithLength(text.data, text.len);
    arena_defer(the_arena, delete_tree, document);
    buf_release(&text);
    const cJSON *contact = at(at(document, "info"), "contact");
    ck_assert_str_eq(at(at(document, "servers")->child, "url")->valuestring, sites[_i].server);
    ck_assert_int_eq(contact != NULL, sites[_i].key != NULL);
    if (sites[_i].key)
        ck_assert_str_eq(at(contact, sites[_i].key)->valuestring, sites[_i].contact);
}

TEST(settings_reach_the_document)
{
    struct settings settings = *the_app->settings;
    settings.public_url = TEXT("https://api.example.org");
    settings.contact = TEXT("api@example.org");
    const struct app app = {.settings = &settings};

    const struct api api = routes_describe(&app);

    ck_assert_str_eq(api.public_url, "https://api.example.org");
    ck_assert_str_eq(api.contact, "api@example.org");
}

/* ---- the whole ---- */

static size_t ck_refs_resolve(const cJSON *node)
{
    size_t count = 0;
    const cJSON *child, *ref = cJSON_IsObject(node) ? at(node, "$ref") : NULL;
    if (ref) {
        const cJSON *target = served;
        ck_assert_int_eq(strncmp(ref->valuestring, "#/", 2), 0);
        char *rest = arena_strdup(the_arena, ref->valuestring + 2), *saved = NULL;
        for (char *key = strtok_r(rest, "/", &saved); key; key = strtok_r(NULL, "/", &saved))
            target = at(target, key);
        ck_assert_msg(target != NULL, "%s leads to nothing", ref->valuestring);
        count++;
    }
    cJSON_ArrayForEach(child, node) count += ck_refs_resolve(child);
    return count;
}

TEST(every_reference_leads_somewhere)
{
    ck_assert_uint_gt(ck_refs_resolve(served), 10);
}

TEST(no_key_is_there_twice)
{
    /* Two records of one name, or two routes of one method and path. */
    struct answer answer = api_get(NULL, "/openapi.json");
    const struct json *document;

    const struct problem *p = json_parse(the_arena, answer.text, strlen(answer.text), &document);

    ck_assert_msg(p == NULL, "%s", p ? p->message : "");
}

TEST(the_command_prints_what_is_served)
{
    struct answer answer = api_get(NULL, "/openapi.json");
    size_t len = strlen(answer.text);
    char *printed = arena_alloc(the_arena, len + 100);

    FILE *pipe = popen("./postern openapi", "r");
    ck_assert_ptr_nonnull(pipe);
    size_t got = fread(printed, 1, len + 99, pipe);

    ck_assert_int_eq(pclose(pipe), 0);
    ck_assert_uint_eq(got, len + 1);
    ck_assert_int_eq(printed[len], '\n');
    ck_assert_int_eq(memcmp(printed, answer.text, len), 0);
}

TEST(it_is_written_once_and_stays_the_same)
{
    struct answer first = api_get(NULL, "/openapi.json");
    struct answer second = api_get(NULL, "/openapi.json");

    ck_assert_str_eq(first.text, second.text);
}
