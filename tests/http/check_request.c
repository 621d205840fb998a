#include "common/http/request.h"

#include <string.h>

#include "common/http/http_problems.h"
#include "tests/support/requests.h"
#include "tests/support/suite.h"

/* ---- the path ---- */

static const struct {
    const char *base, *uri, *path;
} paths[] = {
    {"/api", "/api/posts", "/posts"},
    {"/api", "/api/posts/", "/posts"},
    {"/api", "/api/posts//", "/posts/"}, /* one slash is tolerated, not two */
    {"/api", "/api/", "/"},
    {"/api", "/api", "/"},
    {"/api", "/apis/posts", NULL},
    {"/api", "/ap", NULL},
    {"/api", "/posts", NULL},
    {"/api", "/API/posts", NULL},
    {"/api", "/", NULL},
    {"/api", "", NULL},
    {"/a/b", "/a/b/c", "/c"},
    {"/a/b", "/a/c", NULL},
    {"", "/posts", "/posts"},
    {"", "/posts/", "/posts"},
    {"", "/", "/"},
    {"", "", "/"},
};

CASE("request", scratch_open, scratch_close);

TEST_EACH(the_path_is_what_follows_the_base, paths)
{
    request_of(paths[_i].base, arena_printf(a, "DOCUMENT_URI=%s", paths[_i].uri), NULL, NULL);

    ck_assert_pstr_eq(rq.path, paths[_i].path);
}

static const struct {
    const char *uri, *script, *info, *path;
} split_paths[] = {
    {NULL, "SCRIPT_NAME=/api", "PATH_INFO=/posts", "/posts"},
    {NULL, "SCRIPT_NAME=/api/posts", NULL, "/posts"},
    {NULL, "SCRIPT_NAME=", "PATH_INFO=/api/posts/", "/posts"},
    {NULL, NULL, "PATH_INFO=/api/posts", "/posts"},
    {NULL, "SCRIPT_NAME=/ap", "PATH_INFO=i/posts", "/posts"},
    {"DOCUMENT_URI=", "SCRIPT_NAME=/api", "PATH_INFO=/posts", "/posts"},
    {"DOCUMENT_URI=/api/users", "SCRIPT_NAME=/api", "PATH_INFO=/posts", "/users"},
    {NULL, "SCRIPT_NAME=/cgi", "PATH_INFO=/posts", NULL},
    {NULL, NULL, NULL, NULL},
};

TEST_EACH(the_path_may_come_as_script_name_and_path_info, split_paths)
{
    request_of("/api", split_paths[_i].uri, split_paths[_i].script, split_paths[_i].info);

    ck_assert_pstr_eq(rq.path, split_paths[_i].path);
}

/* ---- the path as it came ---- */

static const struct {
    const char *base, *uri, *path;
} raw_paths[] = {
    {"/api", "/api/posts", "/posts"},
    {"/api", "/api/posts/?page=2", "/posts"},
    {"/api", "/api/posts#x", "/posts"},
    {"/api", "/api?x=/y", "/"},
    {"/api", "http://api.example.org/api/posts", "/posts"},
    {"/api", "http://api.example.org?/api/posts", NULL},
    {"", "/posts?/x", "/posts"},
    /* What stands for a character is that character, in the base as well. */
    {"/api", "/%61pi/p%6Fsts/%7E", "/posts/~"},
    {"/api", "/api/caf%C3%A9%20%3F%23", "/caf\xC3\xA9 ?#"},
    /* But no end of a segment or of the text, and nothing is decoded twice. */
    {"/api", "/api/posts/..%2Fusers%2f1", "/posts/..%2Fusers%2f1"},
    {"/api", "/api%2Fposts", NULL},
    {"/api", "/api/posts%2F", "/posts%2F"},
    {"/api", "/api/posts%2F/", "/posts%2F"},
    {"/api", "/api/posts%00", "/posts%00"},
    {"/api", "/api/posts/..%252Fusers", "/posts/..%252Fusers"},
    {"/api", "/api/posts%", "/posts%"},
    {"/api", "/api/posts%2", "/posts%2"},
    {"/api", "/api/posts%zz", "/posts%zz"},
    /* Dots climb nowhere. */
    {"/api", "/api/posts/../users", "/posts/../users"},
    {"/api", "/api/posts/%2e%2E/users", "/posts/../users"},
    {"/api", "/x/../api/posts", NULL},
    {"/api", "/api/posts/..%5Cusers", "/posts/..\\users"},
    {"/api", "/api//posts", "//posts"},
    {"/api", "//api/posts", NULL},
    {"/api", "*", NULL},
};

TEST_EACH(the_path_is_split_before_it_is_decoded, raw_paths)
{
    request_of(raw_paths[_i].base, arena_printf(a, "REQUEST_URI=%s", raw_paths[_i].uri),
               "DOCUMENT_URI=/api/of/another", "PATH_INFO=/other");

    ck_assert_pstr_eq(rq.path, raw_paths[_i].path);
}

/* ---- the address of a script ---- */

static const struct {
    const char *script, *info, *uri, *base, *path;
} scripts[] = {
    /* after a rewrite, and without one */
    {"/api.fcgi", "/posts", "/api/posts", "/api", "/posts"},
    {"/api.fcgi", "/posts", "/api.fcgi/posts", "/api.fcgi", "/posts"},
    {"/~user/sub/api.fcgi", "/auth/login", "/~user/sub/api/auth/login", "/~user/sub/api",
     "/auth/login"},
    {"/api/api.fcgi", "/posts/", "/api/posts/?page=2#x", "/api", "/posts"},
    {"/api.fcgi", "/", "/api/", "/api", "/"},
    {"/api.fcgi", "/posts", "/posts", "", "/posts"},
    /* percent-encoded, which PATH_INFO is not */
    {"/api.fcgi", "/posts", "/%61pi/p%6Fsts", "/api", "/posts"},
    {"/api.fcgi", "/a b", "/x%20y/a%20b", "/x%20y", "/a b"},
    {"/api.fcgi", "/posts", "/caf\xC3\xA9/posts", "/caf%C3%A9", "/posts"},
    {"/a\"><b>/api.fcgi", "/posts", "/other", "/a%22%3E%3Cb%3E/api.fcgi", "/posts"},
    /* what does not fit, or would lead elsewhere */
    {"/api.fcgi", "/posts", NULL, "/api.fcgi", "/posts"},
    {"/api.fcgi", "/posts", "/api/users", "/api.fcgi", "/posts"},
    {"/api.fcgi", "/posts", "//evil.example/posts", "/api.fcgi", "/posts"},
    {"/api.fcgi", "/posts", "http://evil.example/posts", "/api.fcgi", "/posts"},
    {"/api.fcgi", "/posts", "/x/../api/posts", "/api.fcgi", "/posts"},
    {"/api.fcgi", "/posts", "/./posts", "/api.fcgi", "/posts"},
    {"/api.fcgi", "/posts", "/api//posts", "/api.fcgi", "/posts"},
    {"/api.fcgi", "/posts", "/x/...%2e/posts", "/x/....", "/posts"},
    /* what the server has decoded into other segments */
    {"/api.fcgi", "/posts", "/x/%2e%2e/posts", "/api.fcgi", NULL},
    {"/api.fcgi", "/posts", "/x/.%2E/posts", "/api.fcgi", NULL},
    {"/api.fcgi", "/posts", "/x/%2e/posts", "/api.fcgi", NULL},
    {"/api.fcgi", "/posts", "/api%2Fposts", "/api", NULL},
    {"/api.fcgi", "/users/1", "/api/posts/..%2Fusers%2f1", "/api.fcgi", NULL},
    {"/api.fcgi", "/users/1", "/api/posts/..%2f..%2fapi/users/1", "/api.fcgi", NULL},
    {"/api.fcgi", "/users/1", "/api/posts/..%252Fusers%252f1", "/api.fcgi", NULL},
    {"/api.fcgi", "/users/1", "/api/posts/%252e%252E/users/1", "/api/posts/%252e%252E", NULL},
    {"/api.fcgi", "/posts", "/api%00/posts", "/api.fcgi", NULL},
    {"/api.fcgi", "/posts", "/api%/posts", "/api.fcgi", NULL},
    {"/api.fcgi", "/posts", "/api%2/posts", "/api.fcgi", NULL},
    {"/api.fcgi", "/sts", "/po%0d%0aX: y/sts", "/po%0D%0AX%3A%20y", "/sts"},
    {"api.fcgi", "/posts", "/x", "/set", "/posts"},
    {"//evil.example", "/posts", "/x", "/set", "/posts"},
    /* nobody's script */
    {"", "/set/posts", "/set/posts", "/set", "/posts"},
    {"/set/posts", NULL, "/set/posts", "/set", "/posts"},
    {"/set/posts", "", "/set/posts", "/set", "/posts"},
};

static void request_of_script(int row)
{
    const char *info = scripts[row].info, *uri = scripts[row].uri;
    request_of("/set", arena_printf(a, "SCRIPT_NAME=%s", scripts[row].script),
               info ? arena_printf(a, "PATH_INFO=%s", info) : NULL,
               uri ? arena_printf(a, "REQUEST_URI=%s", uri) : NULL);
}

TEST_EACH(a_script_finds_its_base_in_the_address, scripts)
{
    request_of_script(_i);

    request_follow_script(&rq, true);

    ck_assert_str_eq(rq.base, scripts[_i].base);
    ck_assert_pstr_eq(rq.path, scripts[_i].path);
}

TEST_EACH(a_base_that_was_set_stays, scripts)
{
    request_of_script(_i);

    request_follow_script(&rq, false);

    ck_assert_str_eq(rq.base, "/set");
    ck_assert_pstr_eq(rq.path, scripts[_i].path);
}

TEST(a_base_of_any_length_is_within_its_bound)
{
    for (size_t len = 1; len < 1000; len += 7) {
        char *name = arena_alloc(a, len + 1);
        memset(name, '"', len);
        request_of("/set", "SCRIPT_NAME=/api.fcgi", "PATH_INFO=/posts",
                   arena_printf(a, "REQUEST_URI=/%s/posts", name));

        request_follow_script(&rq, true);

        ck_assert_uint_lt(strlen(rq.base), BASE_SIZE);
        ck_assert(strchr(rq.base, '"') == NULL);
    }
}

/* ---- the rest of the request ---- */

static const struct {
    const char *word;
    enum method method;
} methods[] = {
    {"GET", METHOD_GET},         {"HEAD", METHOD_HEAD},   {"POST", METHOD_POST},
    {"PUT", METHOD_PUT},         {"PATCH", METHOD_PATCH}, {"DELETE", METHOD_DELETE},
    {"OPTIONS", METHOD_OPTIONS}, {"TRACE", METHOD_OTHER}, {"get", METHOD_OTHER},
    {"GETS", METHOD_OTHER},      {"GE", METHOD_OTHER},    {"", METHOD_OTHER},
};

TEST_EACH(methods_are_told_by_their_exact_word, methods)
{
    request_with(arena_printf(a, "REQUEST_METHOD=%s", methods[_i].word));

    ck_assert_int_eq(rq.method, methods[_i].method);
}

TEST(a_request_without_variables_is_harmless)
{
    request_of("/api", NULL, NULL, NULL);

    ck_assert_int_eq(rq.method, METHOD_OTHER);
    ck_assert_ptr_null(rq.path);
    ck_assert_str_eq(rq.raw_query, "");
    ck_assert_uint_eq(rq.content_length, 0);
    ck_assert_uint_eq(rq.raw_body.len, 0);
    ck_assert(!rq.too_large);
    ck_assert(!rq.caller.known);
    ck_assert(!rq.caller.admin);
    ck_assert_ptr_null(rq.route);
    ck_assert_ptr_null(request_bearer(&rq));
    ck_assert(!request_is_json(&rq));
}

TEST(the_client_is_the_peer_unless_that_is_trusted)
{
    struct address_list proxies;
    ck_assert(address_list_parse(a, TEXT("10.0.0.0/8"), &proxies));
    request_of("/api", "REMOTE_ADDR=10.0.0.1", "HTTP_X_FORWARDED_FOR=203.0.113.9", NULL);
    ck_assert_str_eq(address_to_text(a, &rq.client), "10.0.0.1");

    request_trust(&rq, &proxies);

    ck_assert_str_eq(address_to_text(a, &rq.client), "203.0.113.9");
}

TEST(a_request_of_nobody_knows_no_client)
{
    request_of("/api", NULL, NULL, NULL);

    ck_assert_int_eq(rq.client.kind, ADDRESS_UNKNOWN);
    ck_assert_ptr_null(address_to_text(a, &rq.client));
}

TEST(variables_are_borrowed_and_time_and_arena_kept)
{
    char *params[] = {arena_strdup(a, "QUERY_STRING=a=b&c"), arena_strdup(a, "CONTENT_LENGTH=42"),
                      arena_strdup(a, "nonsense without a sign"), NULL};

    request_from_params(&rq, a, params, "/api", request_time);

    ck_assert_ptr_eq(rq.raw_query, params[0] + strlen("QUERY_STRING="));
    ck_assert_uint_eq(rq.content_length, 42);
    ck_assert_int_eq(rq.now.us, request_time.us);
    ck_assert_ptr_eq(rq.arena, a);
    ck_assert_ptr_eq(rq.params, params);
}

TEST(every_variable_that_is_read_gets_its_slot)
{
#define X(slot, variable)                                                                          \
    request_with(variable "=value");                                                               \
    ck_assert_str_eq(rq.param[PARAM_##slot], "value");                                             \
    request_with("X" variable "=value");                                                           \
    ck_assert_ptr_null(rq.param[PARAM_##slot]);                                                    \
    request_with(variable "X=value");                                                              \
    ck_assert_ptr_null(rq.param[PARAM_##slot]);
    REQUEST_PARAMS(X)
#undef X
}

TEST(a_length_that_is_no_number_counts_as_none)
{
    static const char *const lengths[] = {"", "x", "-1", "+1", " 1"};
    for (int i = 0; i < COUNT(lengths); i++) {
        request_with(arena_printf(a, "CONTENT_LENGTH=%s", lengths[i]));
        ck_assert_msg(rq.content_length == 0, "%s", lengths[i]);
    }
}

TEST(any_variable_is_found_by_its_name)
{
    request_of("/api", "HTTP_ACCEPT_LANGUAGE=de", "HTTP_ACCEPT=*/*", "HTTP_EMPTY=");

    ck_assert_str_eq(request_param(&rq, "HTTP_ACCEPT"), "*/*");
    ck_assert_str_eq(request_param(&rq, "HTTP_ACCEPT_LANGUAGE"), "de");
    ck_assert_str_eq(request_param(&rq, "HTTP_EMPTY"), "");
    ck_assert_ptr_null(request_param(&rq, "HTTP_ACCEP"));
    ck_assert_ptr_null(request_param(&rq, "http_accept"));
    ck_assert_ptr_null(request_param(&rq, "HTTP_ACCEPT_"));
}

/* ---- the request id ---- */

#define SIXTY_FOUR "0123456789abcdef0123456789ABCDEF0123456789._-xyz0123456789abcdef"

static const struct {
    const char *id;
    bool kept;
} ids[] = {
    {"12345678", true},
    {SIXTY_FOUR, true},
    {"a.b_c-D9", true},
    {"--------", true},
    {"1234567", false},
    {SIXTY_FOUR "x", false},
    {"", false},
    {"1234 5678", false},
    {"1234\t5678", false},
    {"1234\r\nX: y", false},
    {"1234/5678", false},
    {"1234\"5678", false},
    {"1234\xC3\xA9"
     "678",
     false},
};

TEST_EACH(a_clients_request_id_is_kept_when_it_is_well_formed, ids)
{
    request_with(arena_printf(a, "HTTP_X_REQUEST_ID=%s", ids[_i].id));

    struct uuid made;
    ck_assert_int_eq(strcmp(rq.id, ids[_i].id) == 0, ids[_i].kept);
    ck_assert_int_eq(uuid_parse(rq.id, strlen(rq.id), &made), !ids[_i].kept);
}

TEST(every_request_without_an_id_gets_a_new_one)
{
    request_of("/api", NULL, NULL, NULL);
    const char *first = rq.id;
    request_of("/api", NULL, NULL, NULL);

    ck_assert_str_ne(first, rq.id);
}

/* ---- the token ---- */

static const struct {
    const char *one, *two, *token;
} bearers[] = {
    {"HTTP_AUTHORIZATION=Bearer abc.def", NULL, "abc.def"},
    {"HTTP_AUTHORIZATION=bearer abc", NULL, "abc"}, /* RFC 9110 section 11.1: any case */
    {"HTTP_AUTHORIZATION=BEARER abc", NULL, "abc"},
    {"HTTP_AUTHORIZATION=Bearer   abc", NULL, "abc"},
    {"HTTP_AUTHORIZATION=Bearer abc def", NULL, "abc def"},
    {"HTTP_AUTHORIZATION=Bearer", NULL, ""}, /* one was meant, and it is not good */
    {"HTTP_AUTHORIZATION=Bearer ", NULL, ""},
    {"HTTP_AUTHORIZATION=Basic YTpi", NULL, NULL},
    {"HTTP_AUTHORIZATION=Bearerabc", NULL, NULL},
    {"HTTP_AUTHORIZATION=Bear abc", NULL, NULL},
    {"HTTP_AUTHORIZATION= Bearer abc", NULL, NULL},
    {"HTTP_AUTHORIZATION=", NULL, NULL},
    {"REDIRECT_HTTP_AUTHORIZATION=Bearer abc", NULL, "abc"},
    {"HTTP_AUTHORIZATION=", "REDIRECT_HTTP_AUTHORIZATION=Bearer abc", "abc"},
    {"REDIRECT_HTTP_AUTHORIZATION=Bearer old", "HTTP_AUTHORIZATION=Bearer abc", "abc"},
    {"AUTHORIZATION=Bearer abc", NULL, NULL},
};

TEST_EACH(the_token_is_what_follows_the_scheme, bearers)
{
    request_of("/api", bearers[_i].one, bearers[_i].two, NULL);

    ck_assert_pstr_eq(request_bearer(&rq), bearers[_i].token);
}

/* ---- the media type ---- */

static const struct {
    const char *type;
    bool json;
} types[] = {
    {"application/json", true},
    {"Application/JSON", true},
    {"application/json; charset=utf-8", true},
    {"application/json;charset=utf-8", true},
    {"application/json ; x=y", true},
    {"application/merge-patch+json", true},
    {"application/merge-patch+json; x", true},
    {"application/json-patch+json", false},
    {"application/jsonp", false},
    {"application/jso", false},
    {"application/problem+json", false},
    {"text/json", false},
    {"text/plain; application/json", false},
    {"application/x-www-form-urlencoded", false},
    {"", false},
};

TEST_EACH(two_media_types_mean_json, types)
{
    request_with(arena_printf(a, "CONTENT_TYPE=%s", types[_i].type));

    ck_assert_int_eq(request_is_json(&rq), types[_i].json);
}

/* ---- methods as words ---- */

static const struct {
    unsigned set;
    const char *words;
} sets[] = {
    {0, ""},
    {METHOD_GET, "GET"},
    {METHOD_GET | METHOD_HEAD | METHOD_OPTIONS, "GET, HEAD, OPTIONS"},
    {METHOD_DELETE | METHOD_PATCH | METHOD_POST | METHOD_PUT, "POST, PUT, PATCH, DELETE"},
    {METHOD_OTHER, ""},
};

TEST_EACH(methods_are_listed_for_allow, sets)
{
    ck_assert_str_eq(method_list(a, sets[_i].set), sets[_i].words);
}

/* ---- conditions ---- */

/* Lists of tags (RFC 9110 section 13.1), held against version 7, whose tag is "7". */
static const struct {
    const char *list;
    bool weakly, strongly; /* whether it is there, compared as section 8.8.3.2 says */
} tag_lists[] = {
    {"\"7\"", true, true},
    {"*", true, true},
    {" *", true, true},
    {"\"6\", \"7\"", true, true},
    {"\"6\",\"7\",\"8\"", true, true},
    {" , \"6\" ,\t\"7\" , ", true, true},
    {"W/\"6\", \"7\"", true, true},
    {"\"a, \", \"7\"", true, true}, /* a comma inside a tag parts nothing */
    {"W/\"7\"", true, false},
    {"\"6\", W/\"7\"", true, false},
    {"W/\"7\", \"7\"", true, true},
    {"\"6\"", false, false},
    {"\"77\"", false, false},
    {"\"\"", false, false},
    {"\"7", false, false},
    {"7", false, false},
    {"7\"", false, false},
    {"'7'", false, false},
    {"w/\"7\"", false, false},
    {"W/7", false, false},
    {"W/", false, false},
    {"\"6\", 7", false, false},
    {"\" 7\"", false, false},
    {"\"6, \"7", false, false},
    {"\"", false, false},
    {",", false, false},
    {"", false, false},
};

TEST_EACH(if_none_match_of_a_reader_compares_weakly, tag_lists)
{
    static const char *const readers[] = {"REQUEST_METHOD=GET", "REQUEST_METHOD=HEAD"};
    for (int i = 0; i < COUNT(readers); i++) {
        request_of("/api", readers[i], arena_printf(a, "HTTP_IF_NONE_MATCH=%s", tag_lists[_i].list),
                   NULL);

        ck_assert_int_eq(request_knows(&rq, 7), tag_lists[_i].weakly);
    }
}

TEST_EACH(if_match_compares_strongly, tag_lists)
{
    request_of("/api", "REQUEST_METHOD=PATCH",
               arena_printf(a, "HTTP_IF_MATCH=%s", tag_lists[_i].list), NULL);

    const struct problem *p = request_check_match(&rq, 7);

    ck_assert_int_eq(p == NULL, tag_lists[_i].strongly);
    if (p)
        ck_assert_ptr_eq(p->type, &problem_precondition_failed);
}

TEST(without_conditions_nothing_is_conditional)
{
    request_of("/api", "REQUEST_METHOD=GET", NULL, NULL);

    ck_assert(!request_knows(&rq, INT64_MAX));
    ck_assert_ptr_null(request_check_match(&rq, 1));
}

TEST_EACH(if_none_match_of_a_writer_compares_weakly, tag_lists)
{
    static const char *const writers[] = {"REQUEST_METHOD=PATCH", "REQUEST_METHOD=DELETE"};
    for (int i = 0; i < COUNT(writers); i++) {
        request_of("/api", writers[i], arena_printf(a, "HTTP_IF_NONE_MATCH=%s", tag_lists[_i].list),
                   NULL);

        const struct problem *p = request_check_match(&rq, 7);

        ck_assert(!request_knows(&rq, 7));
        ck_assert_int_eq(p != NULL, tag_lists[_i].weakly);
        if (!p)
            continue;
        ck_assert_ptr_eq(p->type, &problem_precondition_failed);
        ck_assert_str_eq(p->header, "ETag");
        ck_assert_str_eq(p->value, "\"7\"");
    }
}

static const struct {
    const char *match, *none_match;
    bool holds;
} both_conditions[] = {
    {"\"7\"", "\"6\"", true},
    {"\"7\"", "\"7\"", false},
    {"\"6\"", "\"6\"", false},
    {"*", "*", false},
};

TEST_EACH(both_conditions_must_hold, both_conditions)
{
    request_of("/api", "REQUEST_METHOD=PATCH",
               arena_printf(a, "HTTP_IF_MATCH=%s", both_conditions[_i].match),
               arena_printf(a, "HTTP_IF_NONE_MATCH=%s", both_conditions[_i].none_match));

    ck_assert_int_eq(request_check_match(&rq, 7) == NULL, both_conditions[_i].holds);
}
