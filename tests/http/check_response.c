#include "common/http/response.h"

#include <string.h>

#include "common/http/http_problems.h"
#include "tests/support/requests.h"
#include "tests/support/suite.h"

/* What every problem has. */
#define VARY "Vary: Accept\r\n"

static struct response rs;
static const struct problem_form form = {.realm = "r", .types = "/docs#"};

static void set_up(void)
{
    scratch_open();
    response_init(&rs);
    request_with("HTTP_X_REQUEST_ID=request-1");
}

static void tear_down(void)
{
    response_release(&rs);
    scratch_close();
}

/* ---- the response ---- */

static const char *headers(void)
{
    return arena_copy(a, rs.headers.data, rs.headers.len);
}

static const char *body(void)
{
    return arena_copy(a, rs.body.data, rs.body.len);
}

static void ck_body(const char *expected)
{
    ck_assert_str_eq(body(), unquote(expected));
}

CASE("response", set_up, tear_down);

TEST(a_new_response_is_empty_json)
{
    ck_assert_int_eq(rs.status, 0);
    ck_assert_str_eq(rs.media_type, "application/json");
    ck_assert_uint_eq(rs.headers.len, 0);
    ck_assert_uint_eq(rs.body.len, 0);
}

static void do_nothing(void *context, struct request *request)
{
    (void)context, (void)request;
}

TEST(a_reset_response_is_as_a_new_one)
{
    rs.status = 201;
    rs.media_type = "text/html";
    response_header(&rs, "A", "b");
    buf_puts(&rs.body, "text");
    rs.refusal = problem(a, &problem_forbidden, NULL);
    rs.after = do_nothing;

    response_reset(&rs);

    ck_assert_int_eq(rs.status, 0);
    ck_assert_str_eq(rs.media_type, "application/json");
    ck_assert_uint_eq(rs.headers.len, 0);
    ck_assert_uint_eq(rs.body.len, 0);
    ck_assert_ptr_null(rs.refusal);
    ck_assert(rs.after == NULL);
}

TEST(headers_are_whole_lines)
{
    response_header(&rs, "Location", "/api/posts/%d", 5);
    response_header(&rs, "X-Empty", "%s", "");

    ck_assert_str_eq(headers(), "Location: /api/posts/5\r\nX-Empty: \r\n");
}

static const char *const splits[] = {"a\r\nSet-Cookie: b", "a\nb", "a\rb", "\r\n", "a\n"};

TEST_EACH(a_value_that_would_begin_another_line_is_refused, splits)
{
    response_header(&rs, "Location", "%s", splits[_i]);

    ck_assert_uint_eq(rs.headers.len, 0);
}

TEST(a_value_is_whole_or_not_there)
{
    char *text = arena_alloc(a, HEADER_VALUE_MAX + 1);
    memset(text, 'x', HEADER_VALUE_MAX);

    response_header(&rs, "Long", "%s", text);
    ck_assert_uint_eq(rs.headers.len, 0);

    text[HEADER_VALUE_MAX - 1] = '\0';
    response_header(&rs, "Long", "%s", text);
    ck_assert_uint_eq(rs.headers.len, strlen("Long: \r\n") + HEADER_VALUE_MAX - 1);
}

struct single {
    int64_t n;
    struct text s;
};

static const struct field single_fields[] = {
    FIELD(struct single, n, .use = FIELD_SHOWN),
    FIELD(struct single, s, .use = FIELD_CREATE),
};

TEST(a_single_thing_is_answered_under_its_key)
{
    static const struct record record = RECORD("Single", struct single, single_fields, 0);

    response_record(&rs, "single", &record, &(struct single){7, TEXT("hidden")});

    ck_body("{'single':{'n':7}}");
}

TEST(an_etag_is_the_version_in_quotes)
{
    response_etag(&rs, 7);
    response_etag(&rs, INT64_MAX);

    ck_assert_str_eq(headers(), "ETag: \"7\"\r\nETag: \"9223372036854775807\"\r\n");
}

struct versioned {
    int64_t n, version;
};

static const struct field versioned_fields[] = {
    FIELD(struct versioned, n, .use = FIELD_SHOWN),
    FIELD(struct versioned, version, .use = FIELD_VERSION),
};

TEST(in_a_list_a_thing_has_the_etag_that_it_has_alone)
{
    static const struct record record = RECORD("Versioned", struct versioned, versioned_fields, 0);

    response_item(&rs, &record, &(struct versioned){7, INT64_MAX});
    response_item(&rs, &record, &(struct versioned){8, 1});

    ck_assert_str_eq(body(), "{\"n\":7,\"etag\":\"\\\"9223372036854775807\\\"\"},"
                             "{\"n\":8,\"etag\":\"\\\"1\\\"\"}");
}

TEST(a_thing_without_a_version_has_no_etag)
{
    static const struct record record = RECORD("Single", struct single, single_fields, 0);

    response_item(&rs, &record, &(struct single){7, TEXT("hidden")});

    ck_assert_str_eq(body(), "{\"n\":7}");
}

/* ---- problems ---- */

TEST(a_problem_has_its_four_members)
{
    response_problem(&rs, &rq, problem(a, &problem_forbidden, "Only its author \"may\"."), form);

    ck_assert_int_eq(rs.status, 403);
    ck_assert_str_eq(rs.media_type, "application/json");
    ck_body("{'error':'Unauthorized','code':'forbidden',"
            "'message':'Only its author \\\"may\\\".',"
            "'request_id':'request-1'}");
    ck_assert_str_eq(headers(), VARY);
}

TEST(faults_are_detailed_and_missing_fields_listed_in_order)
{
    struct problem *p = problem(a, &problem_missing_fields, NULL);
    problem_add_fault(a, p, "email", FAULT_REQUIRED, "Is required.");
    problem_add_fault(a, p, "role", FAULT_RANGE, "Must be one of: user, admin.");
    problem_add_fault(a, p, "password", FAULT_REQUIRED, "Is required.");

    response_problem(&rs, &rq, p, form);

    ck_body("{'error':'Missing required fields','code':'missing_fields',"
            "'message':'A required field is missing.','request_id':'request-1',"
            "'missing_fields':['email','password'],'details':["
            "{'field':'email','code':'required','message':'Is required.'},"
            "{'field':'role','code':'range','message':'Must be one of: user, admin.'},"
            "{'field':'password','code':'required','message':'Is required.'}]}");
}

TEST(without_missing_fields_there_is_no_list_of_them)
{
    struct problem *p = problem(a, &problem_invalid, NULL);
    problem_add_fault(a, p, "limit", FAULT_TYPE, "Must be a whole number.");

    response_problem(&rs, &rq, p, form);

    ck_assert_ptr_null(strstr(body(), "missing_fields"));
    ck_assert_ptr_nonnull(strstr(body(), "\"details\":[{\"field\":\"limit\",\"code\":\"type\","));
}

TEST(what_was_written_before_a_problem_is_gone)
{
    rs.status = 200;
    rs.media_type = "text/html";
    response_header(&rs, "Location", "/x");
    buf_puts(&rs.body, "{\"half\":");

    response_problem(&rs, &rq, problem(a, &problem_not_found, NULL), form);

    ck_assert_int_eq(rs.status, 404);
    ck_assert_str_eq(rs.media_type, "application/json");
    ck_assert_str_eq(headers(), VARY);
    ck_assert_mem_eq(rs.body.data, "{\"error\"", 8);
}

TEST(a_cause_never_reaches_the_caller)
{
    response_problem(&rs, &rq, problem_because(a, &problem_internal, "table users is broken"),
                     form);

    ck_assert_ptr_null(strstr(body(), "users"));
    ck_assert_str_eq(headers(), VARY);
}

static const struct {
    const struct problem_type *type;
    const char *variable, *headers;
} challenges[] = {
    {&problem_no_token, NULL, "WWW-Authenticate: Bearer realm=\"the realm\"\r\n"},
    {&problem_invalid_token, "HTTP_AUTHORIZATION=Bearer x",
     "WWW-Authenticate: Bearer realm=\"the realm\", error=\"invalid_token\"\r\n"},
    {&problem_invalid_token, NULL, "WWW-Authenticate: Bearer realm=\"the realm\"\r\n"},
    {&problem_forbidden, "HTTP_AUTHORIZATION=Bearer x", ""},
    {&problem_unavailable, NULL, "Retry-After: 1\r\n"},
    {&problem_idempotency_busy, NULL, "Retry-After: 1\r\n"},
    {&problem_idempotency_mismatch, NULL, ""},
    {&problem_precondition_failed, NULL, ""},
};

TEST_EACH(who_is_not_known_is_asked_for_a_token, challenges)
{
    request_with(challenges[_i].variable);

    response_problem(&rs, &rq, problem(a, challenges[_i].type, NULL),
                     (struct problem_form){.realm = "the realm", .types = ""});

    ck_assert_str_eq(headers(), arena_printf(a, "%s" VARY, challenges[_i].headers));
}

TEST(who_is_to_come_back_is_told_when)
{
    struct problem *p = problem(a, &problem_not_found, NULL);
    p->retry_after_s = 17;

    response_problem(&rs, &rq, p, form);

    ck_assert_str_eq(headers(), "Retry-After: 17\r\n" VARY);
}

/* ---- problems in the form of RFC 9457 ---- */

static const struct {
    const char *accept;
    bool rfc9457;
} accepts[] = {
    {"application/problem+json", true},
    {"Application/Problem+JSON", true},
    {"text/html, application/problem+json", true},
    {"text/html,application/problem+json", true},
    {"application/problem+json;q=0.5", true},
    {"application/problem+json ; charset=utf-8 ; q=0.001", true},
    {"application/problem+json;Q=1.000", true},
    {"application/json, application/problem+json", true}, /* who names it knows it */
    {"application/json;q=0.5, application/problem+json", true},
    {"application/problem+json, application/json;q=0.999", true},
    {"application/problem+json, */*;q=0.1", true},
    {"application/problem+json;q=0", false},
    {"application/problem+json;q=0.000, */*", false},
    {"application/problem+json; q=0", false},
    {"application/problem+json;charset=utf-8;q=0", false},
    {"application/problem+json;q=0.9, application/json", false},
    {"application/json;q=0.2, application/problem+json;q=0.1", false},
    {"application/problem+json;q=", false},
    {"application/problem+json;q=nan", false},
    {"application/problem+json;q=-1", false},
    {"application/problem+xml", false},
    {"application/problem+jsonp", false},
    {"application/problem", false},
    {"xapplication/problem+json", false},
    {"application/json", false},
    {"application/*", false},
    {"*/*", false},
    {";q=1,,;", false},
    {"", false},
};

TEST_EACH(rfc_9457s_form_is_for_those_who_name_it, accepts)
{
    request_with(arena_printf(a, "HTTP_ACCEPT=%s", accepts[_i].accept));

    response_problem(&rs, &rq, problem(a, &problem_not_found, NULL), form);

    ck_assert_str_eq(rs.media_type,
                     accepts[_i].rfc9457 ? "application/problem+json" : "application/json");
    ck_assert_int_eq(strstr(body(), "\"title\":") != NULL, accepts[_i].rfc9457);
    ck_assert_int_eq(strstr(body(), "\"error\":") == NULL, accepts[_i].rfc9457);
    ck_assert_int_eq(rs.status, 404);
}

/* The five members of RFC 9457 section 3.1, but for `instance`, and ours. */
TEST(rfc_9457s_form_tells_the_same)
{
    request_of("/api", "HTTP_X_REQUEST_ID=request-1", "HTTP_ACCEPT=application/problem+json", NULL);
    struct problem *p = problem(a, &problem_missing_fields, "The \"title\" is missing.");
    problem_add_fault(a, p, "title", FAULT_REQUIRED, "Is required.");

    response_problem(&rs, &rq, p, form);

    ck_body("{'type':'/api/docs#missing_fields','title':'Missing required fields',"
            "'status':400,'detail':'The \\\"title\\\" is missing.',"
            "'code':'missing_fields','request_id':'request-1',"
            "'missing_fields':['title'],'details':[{'field':'title',"
            "'code':'required','message':'Is required.'}]}");
}

TEST(rfc_9457s_form_has_the_same_headers)
{
    request_of("/api", "HTTP_ACCEPT=application/problem+json", NULL, NULL);

    response_problem(&rs, &rq, problem(a, &problem_no_token, NULL), form);
    ck_assert_str_eq(headers(), "WWW-Authenticate: Bearer realm=\"r\"\r\n" VARY);

    response_problem(&rs, &rq, problem(a, &problem_unavailable, NULL), form);
    ck_assert_str_eq(headers(), "Retry-After: 1\r\n" VARY);
}

/* ---- the head ---- */

static const char *head(void)
{
    response_head(&rs, &rq, &scratch);
    return arena_copy(a, scratch.data, scratch.len);
}

#define TAIL "X-Request-Id: request-1\r\nX-Content-Type-Options: nosniff\r\nA: b\r\n\r\n"
#define CONTENT "Content-Type: application/json\r\nContent-Length: 11\r\n"

static const struct {
    int status;
    const char *head;
} heads[] = {
    {200, "Status: 200 OK\r\n" CONTENT TAIL},
    {201, "Status: 201 Created\r\n" CONTENT TAIL},
    {202, "Status: 202 Accepted\r\n" CONTENT TAIL},
    {204, "Status: 204 No Content\r\n" TAIL},
    {304, "Status: 304 Not Modified\r\n" TAIL},
    {404, "Status: 404 Not Found\r\n" CONTENT TAIL},
    {412, "Status: 412 Precondition Failed\r\n" CONTENT TAIL},
    {422, "Status: 422 Unprocessable Content\r\n" CONTENT TAIL},
    {503, "Status: 503 Service Unavailable\r\n" CONTENT TAIL},
};

TEST_EACH(the_head_is_as_cgi_wants_it, heads)
{
    rs.status = heads[_i].status;
    response_header(&rs, "A", "b");
    buf_puts(&rs.body, "{\"a\":\"b\"}\r\n");

    ck_assert_str_eq(head(), heads[_i].head);
}

TEST(the_head_tells_the_type_of_the_content)
{
    rs.status = 200;
    rs.media_type = "text/html; charset=utf-8";
    buf_puts(&rs.body, "<p>");

    ck_assert_ptr_nonnull(strstr(head(), "\r\nContent-Type: text/html; charset=utf-8\r\n"
                                         "Content-Length: 3\r\n"));
}

TEST(the_head_of_what_is_known_has_the_tag_and_no_content)
{
    request_of("/api", "HTTP_X_REQUEST_ID=request-1", "REQUEST_METHOD=GET",
               "HTTP_IF_NONE_MATCH=\"3\"");
    response_etag(&rs, 3);
    rs.status = 304;

    ck_assert_str_eq(head(), "Status: 304 Not Modified\r\nX-Request-Id: request-1\r\n"
                             "X-Content-Type-Options: nosniff\r\nETag: \"3\"\r\n\r\n");
}

TEST(an_empty_body_has_length_zero_and_no_type)
{
    rs.status = 200;
    rs.media_type = "text/html; charset=utf-8";

    ck_assert_str_eq(head(), "Status: 200 OK\r\nContent-Length: 0\r\nX-Request-Id: request-1\r\n"
                             "X-Content-Type-Options: nosniff\r\n\r\n");
}

TEST(some_statuses_have_no_content)
{
    static const int with[] = {200, 201, 202, 400, 401, 404, 500, 503};
    static const int without[] = {100, 101, 204, 304};
    for (int i = 0; i < COUNT(with); i++)
        ck_assert_msg(status_has_content(with[i]), "%d", with[i]);
    for (int i = 0; i < COUNT(without); i++)
        ck_assert_msg(!status_has_content(without[i]), "%d", without[i]);
}
