/* needs: mariadb */
/* check_e2e.c -- the real program behind the real nginx: what a client sees over a socket. With
 * E2E_FRONT=apache in the environment: behind Apache, as on a shared host. */
#include <check.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/e2e/http.h"
#include "tests/e2e/world.h"
#include "tests/support/refusals.h"

#define LISTED "https://app.example.org"
#define LISTED_TOO "http://localhost:5173"
#define BODY_LIMIT 524288

static bool matches(const char *pattern, const char *text)
{
    regex_t compiled;
    ck_assert_int_eq(regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool yes = regexec(&compiled, text, 0, NULL, 0) == 0;
    regfree(&compiled);
    return yes;
}

/* ---- one pool and what stands in front of it ---- */

#define TRACING "CORS_HEADERS=traceparent X-Requested-With"

static struct backend pool, nothing;
static struct front usual;    /* no limit, two origins */
static struct front limited;  /* a limit on logins, any origin */
static struct front wide;     /* lets larger bodies through than the pool takes */
static struct front deserted; /* nobody behind it */

static void start_all(void)
{
    backend_start(&pool, LIST("WORKERS=4", "HASH_WORKERS=2"));
    the_front = &usual;
    if (!world_at("nginx")) {
        front_start(&usual, &pool, LIST("CORS_ORIGINS=" LISTED " " LISTED_TOO, TRACING));
        return;
    }
    backend_make(&nothing);
    front_start(&usual, &pool,
                LIST("LOGIN_LIMIT=off", "CORS_ORIGINS=" LISTED " " LISTED_TOO, TRACING));
    front_start_strict(&limited, &pool, LIST("CORS_ORIGINS=*"));
    front_start(&wide, &pool, LIST("LOGIN_LIMIT=off", "MAX_BODY=2000000"));
    front_start(&deserted, &nothing, LIST("LOGIN_LIMIT=off", "CORS_ORIGINS=" LISTED));
}

static void stop_all(void)
{
    front_stop(&usual);
    front_stop(&limited);
    front_stop(&wide);
    front_stop(&deserted);
    backend_stop(&pool);
}

/* ---- endpoints ---- */

static void check_user(struct answer r, const char *at, const char *email, const char *role)
{
    static const char *const members[] = {"first_name", "last_name", "is_active", "updated_at"};
    ck_assert_str_eq(answer_text(r, say("%s.email", at)), email);
    ck_assert_str_eq(answer_text(r, say("%s.role", at)), role);
    ck_assert(matches("^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
                      answer_text(r, say("%s.id", at))));
    ck_assert(matches("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}Z$",
                      answer_text(r, say("%s.created_at", at))));
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        ck_assert_msg(answer_has(r, say("%s.%s", at, members[i])), "%s: %s", members[i], r.text);
    ck_assert_msg(!strstr(r.text, "password"), "%s", r.text);
}

HTTP_CASE("endpoints");
CASE_AROUND(start_all, stop_all);

TEST(registering_makes_a_user)
{
    const char *email = new_email();

    struct answer r =
        fetch(.path = "/api/auth/register",
              .body = say("{\"email\":\"%s\",\"password\":\"%s\",\"first_name\":\"Ünï\","
                          "\"role\":\"admin\"}",
                          email, PASSWORD));

    ck_status(r, 201);
    check_user(r, "user", email, "user");
    ck_assert_str_eq(answer_text(r, "user.first_name"), "Ünï");
    ck_assert(answer_is_null(r, "user.last_name"));
    ck_header(r, "Location", say("/api/users/%s", answer_text(r, "user.id")));
    ck_header(r, "Cache-Control", "no-store");
}

TEST(logging_in_gives_tokens)
{
    const char *id, *email;
    new_user(&id);
    email = say("%s1@example.org", email_prefix());

    struct answer r = fetch(.path = "/api/auth/login",
                            .body = say("{\"email\":\"%s\",\"password\":\"%s\"}", email, PASSWORD));

    ck_status(r, 200);
    ck_assert_str_eq(answer_text(r, "token_type"), "Bearer");
    ck_assert_int_eq(answer_integer(r, "expires_in"), 900);
    ck_assert_uint_ge(strlen(answer_text(r, "refresh_token")), 43);
    check_user(r, "user", email, "user");
    ck_assert_str_eq(answer_text(r, "user.id"), id);
    ck_header(r, "Cache-Control", "no-store");
    http_keep_secret(answer_text(r, "access_token"));
    http_keep_secret(answer_text(r, "refresh_token"));
}

TEST(profile_is_ones_own)
{
    const char *id, *token = new_user(&id);

    struct answer r = fetch(.path = "/api/auth/profile", .token = token);

    ck_status(r, 200);
    check_user(r, "user", say("%s1@example.org", email_prefix()), "user");
    ck_assert_str_eq(answer_text(r, "user.id"), id);
    ck_header(r, "Cache-Control", "no-store");
}

static struct answer make_as_admin(const char *admin, const char *email)
{
    return fetch(.path = "/api/users", .token = admin,
                 .body = say("{\"email\":\"%s\",\"password\":\"%s\",\"first_name\":\"Grace\"}",
                             email, PASSWORD));
}

TEST(users_are_made_listed_and_searched)
{
    const char *admin = token_of(ADMIN_EMAIL), *email = new_email();

    struct answer made = make_as_admin(admin, email);
    struct answer all = fetch(.path = "/api/users?limit=1", .token = admin);
    struct answer found =
        fetch(.path = say("/api/users?q=%s&role=user&sort=-created_at", email), .token = admin);

    ck_status(made, 201);
    check_user(made, "user", email, "user");
    ck_header(made, "Location", say("/api/users/%s", answer_text(made, "user.id")));
    ck_status(all, 200);
    ck_assert_int_eq(answer_integer(all, "pagination.limit"), 1);
    ck_assert_int_eq(answer_integer(all, "pagination.total"),
                     database_number("SELECT COUNT(*) FROM users"));
    ck_assert_int_eq(answer_integer(all, "pagination.pages"),
                     answer_integer(all, "pagination.total"));
    ck_status(found, 200);
    ck_assert_int_eq(answer_integer(found, "pagination.total"), 1);
    check_user(found, "data.0", email, "user");
    ck_header(found, "Cache-Control", "private, no-cache");
}

TEST(users_are_read_changed_and_deleted)
{
    const char *id, *token = new_user(&id), *admin = token_of(ADMIN_EMAIL);
    const char *path = say("/api/users/%s", id);

    struct answer read = fetch(.path = path, .token = token);
    struct answer changed =
        fetch(.method = "PATCH", .path = path, .token = token,
              .type = "application/merge-patch+json", .body = "{\"last_name\":\"Hopper\"}");
    struct answer deleted = fetch(.method = "DELETE", .path = path, .token = admin);
    struct answer gone = fetch(.path = path, .token = admin);
    struct answer orphan = fetch(.path = "/api/auth/profile", .token = token);

    ck_status(read, 200);
    ck_assert_str_eq(answer_text(read, "user.id"), id);
    ck_status(changed, 200);
    ck_assert_str_eq(answer_text(changed, "user.last_name"), "Hopper");
    ck_status(deleted, 204);
    ck_problem(gone, USER_NOT_FOUND);
    ck_problem(orphan, USER_INACTIVE);
}

TEST(disabled_users_are_out_at_once)
{
    const char *id, *token = new_user(&id), *admin = token_of(ADMIN_EMAIL);

    ck_status(fetch(.method = "PATCH", .path = say("/api/users/%s", id), .token = admin,
                    .body = "{\"is_active\":false}"),
              200);

    ck_problem(fetch(.path = "/api/auth/profile", .token = token), USER_INACTIVE);
    ck_problem(fetch(.path = "/api/posts", .token = token), USER_INACTIVE);
}

TEST(the_last_admin_stays)
{
    const char *admin = token_of(ADMIN_EMAIL);
    struct answer self = fetch(.path = "/api/auth/profile", .token = admin);
    const char *path = say("/api/users/%s", answer_text(self, "user.id"));

    ck_problem(fetch(.method = "DELETE", .path = path, .token = admin), LAST_ADMIN);
    ck_problem(
        fetch(.method = "PATCH", .path = path, .token = admin, .body = "{\"role\":\"user\"}"),
        LAST_ADMIN);
}

TEST(posts_are_written_read_changed_and_deleted)
{
    const char *author, *token = new_user(&author);
    struct answer made = fetch(.path = "/api/posts", .token = token,
                               .body = "{\"title\":\"One\",\"content\":\"Zwölf €\\n\\\"\\u0001\"}");
    ck_status(made, 201);
    const char *path = say("/api/posts/%s", answer_text(made, "post.id"));

    struct answer hidden = fetch(.path = path);
    struct answer changed = fetch(.method = "PATCH", .path = path, .token = token,
                                  .body = "{\"title\":\"Two\",\"published\":true}");
    struct answer read = fetch(.path = path);
    struct answer deleted = fetch(.method = "DELETE", .path = path, .token = token);
    struct answer gone = fetch(.path = path, .token = token);

    ck_header(made, "Location", path);
    ck_assert(!answer_boolean(made, "post.published"));
    ck_problem(hidden, POST_NOT_FOUND);
    ck_status(changed, 200);
    ck_status(read, 200);
    ck_assert_str_eq(read.text, changed.text);
    ck_assert_str_eq(answer_text(read, "post.title"), "Two");
    ck_assert_str_eq(answer_text(read, "post.content"), "Zwölf €\n\"\001");
    ck_assert_str_eq(answer_text(read, "post.author_id"), author);
    ck_status(deleted, 204);
    ck_problem(gone, POST_NOT_FOUND);
}

TEST(posts_are_listed_for_all_and_by_author)
{
    const char *author, *token = new_user(&author);
    const char *draft = new_post(token, "Draft", false);
    const char *open = new_post(token, say("Open w%s", draft + 24), true);
    const char *own = say("/api/users/%s/posts?sort=title", author);

    struct answer for_all = fetch(.path = own);
    struct answer for_author = fetch(.path = own, .token = token);
    struct answer drafts = fetch(.path = "/api/posts?published=false", .token = token);
    struct answer found = fetch(.path = say("/api/posts?q=w%s&limit=7", draft + 24));
    struct answer past = fetch(.path = say("/api/posts?author_id=%s&page=9", author));

    ck_assert_int_eq(answer_integer(for_all, "pagination.total"), 1);
    ck_assert_str_eq(answer_text(for_all, "data.0.id"), open);
    ck_assert_int_eq(answer_integer(for_author, "pagination.total"), 2);
    ck_assert_str_eq(answer_text(for_author, "data.0.id"), draft);
    ck_assert_str_eq(answer_text(for_author, "data.1.id"), open);
    ck_assert_str_eq(answer_text(drafts, "data.0.id"), draft);
    ck_assert_int_eq(answer_integer(found, "pagination.total"), 1);
    ck_assert_int_eq(answer_integer(found, "pagination.limit"), 7);
    ck_assert_str_eq(answer_text(found, "data.0.id"), open);
    ck_status(past, 200);
    ck_assert(!answer_has(past, "data.0"));
    ck_assert_int_eq(answer_integer(past, "pagination.total"), 1);
    ck_assert_int_eq(answer_integer(past, "pagination.pages"), 1);
}

TEST(health_and_ready_do_not_look_at_tokens)
{
    struct answer health = fetch(.path = "/api/health", .token = "nonsense");
    struct answer ready = fetch(.path = "/api/ready", .token = "nonsense");

    ck_status(health, 200);
    ck_status(ready, 200);
    ck_assert_str_eq(answer_text(health, "status"), "ok");
    ck_assert_str_eq(answer_text(ready, "status"), "ok");
}

/* ---- errors ---- */

enum who { ANYONE, USER, ADMIN, FORGER };

/* What a call must be refused with. */
struct wrong_call {
    const char *method, *path, *body, *type;
    enum who who;
    int status;
    const char *error, *code;
};

static const struct wrong_call refusals[] = {
    {"POST", "/api/auth/login", "{", NULL, ANYONE, BAD_JSON},
    {"POST", "/api/auth/login", "", NULL, ANYONE, BAD_JSON},
    {"POST", "/api/posts", "{'title':'a','title':'b'}", NULL, USER, BAD_JSON},
    {"POST", "/api/posts", "{'title':'\xC3\x28'}", NULL, USER, BAD_JSON},
    {"POST", "/api/posts", "{'title':7,'content':''}", NULL, USER, INVALID},
    {"GET", "/api/posts?limit=101", NULL, NULL, ANYONE, INVALID},
    {"GET", "/api/posts?author_id=x", NULL, NULL, ANYONE, INVALID},
    {"GET", "/api/users?sort=shoe_size", NULL, NULL, USER, INVALID},
    {"POST", "/api/posts", "{}", NULL, USER, MISSING_FIELDS},
    {"POST", "/api/auth/register", "{'email':'a@b.example'}", NULL, ANYONE, MISSING_FIELDS},
    {"POST", "/api/auth/register", "{'email':'nowhere','password':'" PASSWORD "'}", NULL, ANYONE,
     INVALID_EMAIL},
    {"POST", "/api/auth/login", "{'email':null,'password':''}", NULL, ANYONE, MISSING_CREDENTIALS},
    {"POST", "/api/auth/login", "{'email':'nobody@example.org','password':'?'}", NULL, ANYONE,
     INVALID_CREDENTIALS},
    {"POST", "/api/auth/login", "{'email':'" ADMIN_EMAIL "','password':'?'}", NULL, ANYONE,
     INVALID_CREDENTIALS},
    {"GET", "/api/auth/profile", NULL, NULL, ANYONE, NO_TOKEN},
    {"GET", "/api/users", NULL, NULL, ANYONE, NO_TOKEN},
    {"POST", "/api/posts", "{}", NULL, ANYONE, NO_TOKEN},
    {"GET", "/api/posts?published=false", NULL, NULL, ANYONE, NO_TOKEN},
    {"GET", "/api/auth/profile", NULL, NULL, FORGER, INVALID_TOKEN},
    {"GET", "/api/posts", NULL, NULL, FORGER, INVALID_TOKEN},
    {"POST", "/api/users", "{}", NULL, USER, ADMIN_REQUIRED},
    {"DELETE", "/api/users/" NOBODY_ID, NULL, NULL, USER, ADMIN_REQUIRED},
    {"PATCH", "/api/users/" NOBODY_ID, "{}", NULL, USER, FORBIDDEN},
    {"GET", "/api/nothing", NULL, NULL, ANYONE, NOT_FOUND},
    {"GET", "/api/users/17", NULL, NULL, USER, USER_NOT_FOUND},
    {"GET", "/api/users/" NOBODY_ID, NULL, NULL, USER, USER_NOT_FOUND},
    {"GET", "/api/users/" NOBODY_ID "/posts", NULL, NULL, ANYONE, USER_NOT_FOUND},
    {"PATCH", "/api/users/01890A5D-AC96-774B-BCCE-B302099A8057", "{}", NULL, ADMIN, USER_NOT_FOUND},
    {"GET", "/api/posts/" NOBODY_ID, NULL, NULL, ANYONE, POST_NOT_FOUND},
    {"DELETE", "/api/posts/" NOBODY_ID, NULL, NULL, USER, POST_NOT_FOUND},
    {"PUT", "/api/posts", "{}", NULL, ANYONE, METHOD_NOT_ALLOWED},
    {"GET", "/api/auth/login", NULL, NULL, FORGER, METHOD_NOT_ALLOWED},
    {"BREW", "/api/health", NULL, NULL, ANYONE, METHOD_NOT_ALLOWED},
    {"POST", "/api/auth/register", "{'email':'" ADMIN_EMAIL "','password':'" PASSWORD "'}", NULL,
     ANYONE, EMAIL_EXISTS},
    {"POST", "/api/users",
     "{'email':'ADMIN@Example.ORG','password':'" PASSWORD "','first_name':'x'}", NULL, ADMIN,
     EMAIL_EXISTS},
    {"POST", "/api/auth/login", "a=b", "application/x-www-form-urlencoded", ANYONE, NOT_JSON},
    {"POST", "/api/posts", "{}", "", USER, NOT_JSON},
};

/* Outside the base path, and so nginx's; on a shared host these are another's. */
static const struct wrong_call strays[] = {
    {"POST", "/", "{}", NULL, ANYONE, NOT_FOUND},
    {"DELETE", "/api", NULL, NULL, ANYONE, NOT_FOUND},
    {"GET", "/elsewhere?x=1", NULL, NULL, ANYONE, NOT_FOUND},
    {"POST", "/apiary", "{}", NULL, ANYONE, NOT_FOUND},
    {"GET", "/api/../etc/passwd", NULL, NULL, ANYONE, NOT_FOUND},
    {"GET", "/postern-error", NULL, NULL, ANYONE, NOT_FOUND},
    {"TRACE", "/api/health", NULL, NULL, ANYONE, METHOD_NOT_ALLOWED},
};

static const char *token_for(enum who who)
{
    static const char forged[] = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.";
    switch (who) {
    case USER:
        return new_user(NULL);
    case ADMIN:
        return token_of(ADMIN_EMAIL);
    case FORGER:
        return forged;
    case ANYONE:
        break;
    }
    return NULL;
}

static void check_refusal(const struct wrong_call *wrong)
{
    const char *body = wrong->body ? object("%s", wrong->body) : NULL;
    if (world_at("lighttpd") && strcmp(wrong->method, "BREW") == 0)
        return; /* it answers 501 by itself to a method that it has never heard of */

    struct answer r = fetch(.method = wrong->method, .path = wrong->path, .body = body,
                            .type = wrong->type, .token = token_for(wrong->who));

    ck_problem(r, wrong->status, wrong->error, wrong->code);
}

HTTP_CASE("errors");
CASE_AROUND(start_all, stop_all);

TEST_EACH(what_is_wrong_is_refused_in_one_form, refusals)
{
    check_refusal(&refusals[_i]);
}

NGINX_TEST_EACH(what_is_not_the_programs_is_refused_by_nginx, strays)
{
    check_refusal(&strays[_i]);
}

static const char *const bare[] = {"/", "/?x=1", "/api", "/api/"};

NGINX_TEST_EACH(the_bare_address_leads_to_the_page_of_the_api, bare)
{
    struct answer r = fetch(.path = bare[_i]);

    ck_status(r, 302);
    ck_header(r, "Location", "/api/docs");
    ck_status(fetch(.path = "/api/docs"), 200);
}

TEST(missing_fields_are_named_in_order)
{
    struct answer r =
        fetch(.path = "/api/users", .token = token_of(ADMIN_EMAIL), .body = "{\"role\":\"boss\"}");

    ck_problem(r, MISSING_FIELDS);
    ck_assert_str_eq(answer_text(r, "missing_fields.0"), "email");
    ck_assert_str_eq(answer_text(r, "missing_fields.1"), "password");
    ck_assert_str_eq(answer_text(r, "missing_fields.2"), "first_name");
    ck_assert(!answer_has(r, "missing_fields.3"));
    ck_assert(strstr(r.text, "{\"field\":\"role\",\"code\":\"") != NULL);
}

TEST(a_challenge_tells_of_a_bad_token_only_when_one_was_sent)
{
    struct answer without = fetch(.path = "/api/auth/profile");
    struct answer with = fetch(.path = "/api/auth/profile", .token = "bad");

    ck_assert(matches("^Bearer realm=\"[^\"]+\"$", answer_header(without, "WWW-Authenticate")));
    ck_assert(matches("^Bearer realm=\"[^\"]+\", error=\"invalid_token\"$",
                      answer_header(with, "WWW-Authenticate")));
}

TEST(allow_names_the_methods_of_the_path)
{
    struct answer r = fetch(.method = "PUT", .path = say("/api/posts/%s", NOBODY_ID), .body = "{}");

    ck_header(r, "Allow", "GET, HEAD, PATCH, DELETE, OPTIONS");
}

/* ---- what nginx answers by itself ---- */

static const struct {
    const char *line;
    int status;
    const char *error, *code;
} bad_requests[] = {
    {"GARBAGE\r\n\r\n", BAD_REQUEST},
    {"GET /api/health HTTP/1.1\r\nConnection: close\r\n\r\n", BAD_REQUEST},
    {"GET /api/health HTTP/3.1\r\nHost: x\r\n\r\n", BAD_REQUEST},
    {"GET /api/%00health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", BAD_REQUEST},
    {"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", BAD_REQUEST},
    {"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: brotli\r\n"
     "Connection: close\r\n\r\n",
     BAD_REQUEST},
    {"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
     "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nnonsense\r\n",
     BAD_REQUEST},
    {"TRACE /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", METHOD_NOT_ALLOWED},
};

NGINX_TEST_EACH(bad_requests_get_json_from_nginx, bad_requests)
{
    const char *line = bad_requests[_i].line;

    struct answer r = http_raw(&usual, line, strlen(line));

    ck_problem(r, bad_requests[_i].status, bad_requests[_i].error, bad_requests[_i].code);
    ck_header(r, "Cache-Control", "no-store");
}

NGINX_TEST(a_header_too_large_is_400)
{
    const char *request = say("GET /api/health HTTP/1.1\r\nHost: x\r\nCookie: %s\r\n"
                              "Connection: close\r\n\r\n",
                              repeat("a", 9000));

    ck_problem(http_raw(&usual, request, strlen(request)), BAD_REQUEST);
}

NGINX_TEST(an_uri_too_long_is_414)
{
    const char *request = say("GET /api/posts?q=%s HTTP/1.1\r\nHost: x\r\n"
                              "Connection: close\r\n\r\n",
                              repeat("a", 9000));

    ck_problem(http_raw(&usual, request, strlen(request)), URI_TOO_LONG);
}

/* A post whose body has `len` bytes, most of them in a member that nobody knows. */
static const char *padded_post(size_t len)
{
    static const char head[] = "{\"title\":\"Long\",\"content\":\"body\",\"padding\":\"";
    return say("%s%s\"}", head, repeat("a", len - strlen(head) - 2));
}

NGINX_TEST(a_body_up_to_the_limit_is_taken)
{
    const char *token = new_user(NULL);

    ck_status(fetch(.path = "/api/posts", .token = token, .body = padded_post((size_t)500 * 1024)),
              201);
    ck_status(fetch(.path = "/api/posts", .token = token, .body = padded_post(BODY_LIMIT)), 201);
    ck_status(fetch(.path = "/api/posts", .token = token, .body = padded_post(BODY_LIMIT),
                    .chunked = true),
              201);
}

NGINX_TEST(a_body_above_the_limit_is_413_by_nginx)
{
    const char *token = new_user(NULL), *body = padded_post(BODY_LIMIT + 1);

    struct answer plain = fetch(.path = "/api/posts", .token = token, .body = body,
                                .headers = {"X-Request-Id: too-large-for-nginx"});
    struct answer chunked =
        fetch(.path = "/api/posts", .token = token, .body = body, .chunked = true);

    ck_problem(plain, TOO_LARGE);
    ck_problem(chunked, TOO_LARGE);
    ck_assert(!backend_logged(&pool, "too-large-for-nginx"));
}

NGINX_TEST(a_body_above_the_limit_is_413_by_the_program)
{
    const char *token = new_user(NULL), *body = padded_post(BODY_LIMIT + 1);

    struct answer plain = fetch(.at = &wide, .path = "/api/posts", .token = token, .body = body,
                                .headers = {"X-Request-Id: too-large-for-pool"});
    struct answer chunked =
        fetch(.at = &wide, .path = "/api/posts", .token = token, .body = body, .chunked = true);
    struct answer larger =
        fetch(.at = &wide, .path = "/api/posts", .token = token, .body = padded_post(1900000));

    ck_problem(plain, TOO_LARGE);
    ck_problem(chunked, TOO_LARGE);
    ck_problem(larger, TOO_LARGE);
    ck_assert(backend_logged(&pool, "too-large-for-pool"));
}

NGINX_TEST(without_a_pool_it_is_502_and_503)
{
    struct answer fast = fetch(.at = &deserted, .path = "/api/health");
    struct answer hash = fetch(.at = &deserted, .path = "/api/auth/login", .body = "{}");

    ck_problem(fast, BAD_GATEWAY);
    ck_problem(hash, UNAVAILABLE);
}

static int listen_on(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%.107s", path);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(chmod(path, 0666), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    return fd;
}

NGINX_TEST(a_pool_that_does_not_answer_is_504)
{
    struct backend mute;
    struct front front;
    backend_make(&mute);
    int fd = listen_on(mute.fast);
    front_start_impatient(&front, &mute, 1);

    struct answer r = fetch(.at = &front, .path = "/api/posts"); /* health asks the other pool */

    ck_problem(r, GATEWAY_TIMEOUT);
    front_stop(&front);
    (void)close(fd);
}

/* ---- limits ---- */

/* Calls that cost no hash; returns how many of them were refused with 429. */
static unsigned storm(const struct front *at, const char *path, unsigned count)
{
    unsigned refused = 0;
    for (unsigned i = 0; i < count; i++) {
        struct answer r = fetch(.at = at, .path = path, .body = "{}");
        if (r.status == 429) {
            ck_problem(r, RATE_LIMITED);
            refused++;
        } else {
            ck_assert_int_eq(r.status, 400);
            ck_assert_msg(i >= 20 || refused == 0, "call %u is refused", i);
        }
    }
    return refused;
}

/* The refusal of a path whose limit is reached: on a slow machine a call comes late enough. */
static struct answer refusal_of(const char *path)
{
    struct answer r;
    int i = 0;
    do
        r = fetch(.at = &limited, .path = path, .body = "{}");
    while (r.status != 429 && ++i < 60);
    ck_problem(r, RATE_LIMITED);
    return r;
}

NGINX_TEST(logins_and_registrations_of_one_address_are_limited)
{
    unsigned logins = storm(&limited, "/api/auth/login", 60);
    struct answer slash = refusal_of("/api/auth/login/");
    (void)refusal_of("/api/auth/register");

    ck_assert_uint_gt(logins, 5);
    ck_assert_uint_le(logins, 40);
    ck_header(slash, "Access-Control-Allow-Origin", "*");
    ck_status(fetch(.at = &limited, .path = "/api/posts"), 200);
    ck_status(fetch(.at = &limited, .method = "OPTIONS", .path = "/api/auth/login"), 204);
}

NGINX_TEST(limits_can_be_off)
{
    ck_assert_uint_eq(storm(&usual, "/api/auth/login", 60), 0);
}

/* ---- methods, paths, headers ---- */

HTTP_CASE("headers");
CASE_AROUND(start_all, stop_all);

TEST(options_tells_the_methods_without_a_token)
{
    struct answer list = fetch(.method = "OPTIONS", .path = "/api/posts");
    struct answer one = fetch(.method = "OPTIONS", .path = say("/api/users/%s", NOBODY_ID));

    ck_status(list, 204);
    ck_header(list, "Allow", "GET, HEAD, POST, OPTIONS");
    ck_status(one, 204);
    ck_header(one, "Allow", "GET, HEAD, PATCH, DELETE, OPTIONS");
}

/* Header lines without the one that tells the time. */
static const char *timeless(const char *headers)
{
    const char *date = strstr(headers, "\r\nDate:");
    ck_assert_ptr_nonnull(date);
    return say("%.*s%s", (int)(date - headers), headers, strstr(date + 2, "\r\n"));
}

NGINX_TEST(head_has_the_headers_of_get)
{
    const char *token = new_user(NULL);
    const char *post = say("/api/posts/%s", new_post(token, "Head", true));
    const char *const paths[] = {"/api/health", "/api/users?limit=3", "/api/auth/profile",
                                 post,          "/api/nothing",       "/elsewhere"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const struct http_call get = {
            .path = paths[i], .token = token, .headers = {"X-Request-Id: head-or-get"}};
        struct http_call head = get;
        head.method = "HEAD";

        struct answer with = http_fetch(&get), without = http_fetch(&head);

        ck_assert_int_eq(without.status, with.status);
        ck_assert_str_eq(timeless(without.headers), timeless(with.headers));
        ck_header(without, "Content-Length", say("%zu", strlen(with.text)));
    }
}

static const struct {
    const char *id;
    bool kept;
} request_ids[] = {
    {"abcdefgh", true},
    {"A.b-C_d.0123456789", true},
    {"0123456789012345678901234567890123456789012345678901234567890123", true},
    {"abcdefg", false},
    {"01234567890123456789012345678901234567890123456789012345678901234", false},
    {"abcd efgh", false},
    {"abcdefgh\"", false},
    {"abcdéfgh", false},
    {"abcdefgh/../", false},
};

TEST_EACH(request_ids_are_kept_or_replaced, request_ids)
{
    const char *id = request_ids[_i].id, *header = say("X-Request-Id: %s", id);
    const char *const paths[] = {"/api/health", "/api/nothing", "/elsewhere"};

    for (size_t i = 0; i < sizeof paths / sizeof *paths - !world_at("nginx"); i++) {
        struct answer r = fetch(.path = paths[i], .headers = {header});
        const char *shown = answer_header(r, "X-Request-Id");

        ck_assert_int_eq(strcmp(shown, id) == 0, request_ids[_i].kept);
        ck_assert(matches("^[A-Za-z0-9._-]{8,64}$", shown));
        if (i < 2) /* the third is nginx's own */
            ck_assert(backend_logged(&pool, say("\"request_id\":\"%s\"", shown)));
    }
}

TEST(one_trailing_slash_is_tolerated)
{
    const char *token = new_user(NULL);
    const char *post = new_post(token, "Slash", true);

    ck_status(fetch(.path = "/api/posts/?limit=1"), 200);
    ck_status(fetch(.path = say("/api/posts/%s/", post)), 200);
    ck_status(fetch(.path = "/api/auth/profile/", .token = token), 200);
}

TEST(percent_encoded_paths_are_read)
{
    const char *token = new_user(NULL);
    const char *post = new_post(token, "Percent", true);

    ck_status(fetch(.path = "/api/h%65alth"), 200);
    ck_status(fetch(.path = "/%61pi/auth/%70rofile", .token = token), 200);
    ck_status(fetch(.path = say("/api/posts/%%%02x%s", (unsigned)*post, post + 1)), 200);
    ck_status(fetch(.path = "/api/posts?q=caf%C3%A9+%26+more"), 200);
    ck_problem(fetch(.path = "/api/posts/%C3%28"), POST_NOT_FOUND);
}

TEST(ids_are_taken_in_either_case_and_shown_in_lower)
{
    const char *id = new_post(new_user(NULL), "Case", true);
    char upper[40];
    snprintf(upper, sizeof upper, "%s", id);
    for (char *c = upper; *c; c++)
        if (*c >= 'a' && *c <= 'f')
            *c = (char)(*c - 'a' + 'A');

    struct answer r = fetch(.path = say("/api/posts/%s", upper));

    ck_status(r, 200);
    ck_assert_str_eq(answer_text(r, "post.id"), id);
}

TEST(chunked_bodies_are_read)
{
    struct answer r = fetch(.path = "/api/posts", .token = new_user(NULL), .chunked = true,
                            .body = "{\"title\":\"Chunks\",\"content\":\"in pieces\"}");

    ck_status(r, 201);
    ck_assert_str_eq(answer_text(r, "post.content"), "in pieces");
}

/* All of what is asked for here is larger than what nginx takes to be worth it, 1 KiB. */
TEST(lists_are_compressed_and_single_resources_are_not)
{
    const char *id, *token = new_user(&id), *name = repeat("\xF0\x9F\x90\x98", 100);
    struct answer made =
        fetch(.path = "/api/posts", .token = token,
              .body = say("{\"title\":\"Long\",\"published\":true,\"content\":\"%s\"}",
                          repeat("a", 3000)));
    const char *post = say("/api/posts/%s", answer_text(made, "post.id"));
    ck_status(fetch(.method = "PATCH", .path = say("/api/users/%s", id), .token = token,
                    .body = say("{\"first_name\":\"%s\",\"last_name\":\"%s\"}", name, name)),
              200);
    const char *list = say("/api/users/%s/posts", id);

    struct answer plain = fetch(.path = list);
    struct answer packed = fetch(.path = list, .gzip = true);
    const struct answer whole[] = {
        fetch(.path = post, .gzip = true),
        fetch(.path = say("%s/", post), .gzip = true),
        fetch(.path = say("/api/users/%s", id), .token = token, .gzip = true),
        fetch(.path = "/api/auth/profile", .token = token, .gzip = true),
    };

    ck_no_header(plain, "Content-Encoding");
    ck_header(packed, "Content-Encoding", "gzip");
    ck_assert_str_eq(packed.text, plain.text);
    ck_assert(header_lists(plain.headers, "Vary", "Accept-Encoding"));
    ck_assert(header_lists(packed.headers, "Vary", "Accept-Encoding"));
    ck_assert(header_lists(packed.headers, "Vary", "Origin"));
    ck_assert(header_lists(packed.headers, "Vary", "Authorization"));
    ck_assert(header_lists(packed.headers, "Vary", "Cookie"));
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        ck_assert_uint_gt(strlen(whole[i].text), 1024);
        ck_no_header(whole[i], "Content-Encoding");
    }
}

TEST(a_large_page_arrives_whole)
{
    const char *id, *token = new_user(&id);
    const char *body =
        say("{\"title\":\"Large\",\"published\":true,\"content\":\"%s\"}", repeat("a", 65535));
    for (int i = 0; i < 40; i++)
        ck_status(fetch(.path = "/api/posts", .token = token, .body = body), 201);
    const char *list = say("/api/users/%s/posts?limit=100", id);

    struct answer plain = fetch(.path = list);
    struct answer packed = fetch(.path = list, .gzip = true);

    ck_assert_int_eq(answer_integer(plain, "pagination.total"), 40);
    ck_assert_uint_eq(strlen(answer_text(plain, "data.39.content")), 65535);
    ck_assert_str_eq(packed.text, plain.text);
}

TEST(connections_are_kept)
{
    ck_status(fetch(.path = "/api/health"), 200);
    for (int i = 0; i < 10; i++) {
        ck_status(fetch(.path = i % 2 ? "/api/health" : "/api/nothing"), i % 2 ? 200 : 404);
        ck_assert_int_eq(http_connects(), 0);
    }
}

/* ---- CORS ---- */

TEST(a_listed_origin_is_echoed)
{
    const char *const paths[] = {"/api/posts", "/api/nothing", "/api/auth/profile", "/elsewhere"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths - !world_at("nginx"); i++) {
        struct answer r = fetch(.path = paths[i], .headers = {"Origin: " LISTED_TOO});

        ck_header(r, "Access-Control-Allow-Origin", LISTED_TOO);
        ck_header(r, "Access-Control-Allow-Credentials", "true");
        ck_assert(header_lists(r.headers, "Vary", "Origin"));
        static const char *const exposed[] = {"ETag", "Link", "Location", "Retry-After",
                                              "X-Request-Id"};
        for (size_t j = 0; j < sizeof exposed / sizeof *exposed; j++)
            ck_assert(header_lists(r.headers, "Access-Control-Expose-Headers", exposed[j]));
    }
}

NGINX_TEST(errors_of_nginx_have_cors_headers_too)
{
    const char *origin = "Origin: " LISTED;

    ck_header(fetch(.at = &deserted, .path = "/api/health", .headers = {origin}),
              "Access-Control-Allow-Origin", LISTED);
    ck_header(fetch(.at = &deserted, .path = "/api/auth/login", .body = "{}", .headers = {origin}),
              "Access-Control-Allow-Origin", LISTED);
    ck_header(fetch(.method = "TRACE", .path = "/api/health", .headers = {origin}),
              "Access-Control-Allow-Origin", LISTED);
    ck_header(fetch(.path = "/api/posts", .body = padded_post(BODY_LIMIT + 1), .headers = {origin}),
              "Access-Control-Allow-Origin", LISTED);
}

static const char *const other_origins[] = {
    "http://app.example.org",       "https://app.example.org.evil.example",
    "https://app.example.org:444",  "https://xapp.example.org",
    "https://evil.example/" LISTED, "null",
    "https://appxexample.org",      LISTED " " LISTED_TOO,
};

TEST_EACH(an_unlisted_origin_gets_nothing, other_origins)
{
    const char *origin = say("Origin: %s", other_origins[_i]);

    struct answer r = fetch(.path = "/api/posts", .headers = {origin});
    struct answer preflight = fetch(.method = "OPTIONS", .path = "/api/posts",
                                    .headers = {origin, "Access-Control-Request-Method: POST"});

    ck_status(r, 200);
    ck_assert(strstr(r.headers, "Access-Control") == NULL);
    ck_assert(header_lists(r.headers, "Vary", "Origin"));
    ck_status(preflight, 204);
    ck_assert(strstr(preflight.headers, "Access-Control") == NULL);
    ck_assert(header_lists(preflight.headers, "Vary", "Origin"));
}

NGINX_TEST(a_star_allows_all_without_credentials)
{
    struct answer with =
        fetch(.at = &limited, .path = "/api/posts", .headers = {"Origin: https://any.example"});
    struct answer preflight =
        fetch(.at = &limited, .method = "OPTIONS", .path = "/api/posts",
              .headers = {"Origin: https://any.example", "Access-Control-Request-Method: POST"});

    ck_header(with, "Access-Control-Allow-Origin", "*");
    ck_no_header(with, "Access-Control-Allow-Credentials");
    ck_assert(!header_lists(with.headers, "Vary", "Origin"));
    ck_status(preflight, 204);
    ck_header(preflight, "Access-Control-Allow-Origin", "*");
    ck_assert(header_lists(preflight.headers, "Access-Control-Allow-Methods", "POST"));
}

NGINX_TEST(without_origins_there_is_no_cors)
{
    struct answer r = fetch(.at = &wide, .path = "/api/posts", .headers = {"Origin: " LISTED});

    ck_status(r, 200);
    ck_assert(strstr(r.headers, "Access-Control") == NULL);
}

TEST(a_preflight_does_not_reach_the_application)
{
    static const char *const methods[] = {"GET", "POST", "PATCH", "DELETE"};
    static const char *const allowed[] = {"Authorization", "Content-Type",    "If-Match",
                                          "If-None-Match", "Idempotency-Key", "X-Request-Id",
                                          "traceparent",   "X-Requested-With"};

    struct answer r = fetch(.method = "OPTIONS", .path = "/api/posts",
                            .headers = {"Origin: " LISTED, "Access-Control-Request-Method: POST",
                                        "Access-Control-Request-Headers: authorization",
                                        "X-Request-Id: preflight-of-a-browser"});
    struct answer plain =
        fetch(.method = "OPTIONS", .path = "/api/posts",
              .headers = {"Origin: " LISTED, "X-Request-Id: options-of-a-client"});

    ck_status(r, 204);
    ck_header(r, "Access-Control-Allow-Origin", LISTED);
    ck_header(r, "Access-Control-Allow-Credentials", "true");
    ck_assert(header_count(r.headers, "Access-Control-Max-Age") == 1);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        ck_assert(header_lists(r.headers, "Access-Control-Allow-Methods", methods[i]));
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        ck_assert(header_lists(r.headers, "Access-Control-Allow-Headers", allowed[i]));
    if (world_at("nginx") || world_at("apache")) /* the others add to the program's own answer */
        ck_assert(!backend_logged(&pool, "preflight-of-a-browser"));
    ck_status(plain, 204);
    ck_no_header(plain, "Access-Control-Allow-Methods");
    ck_assert(backend_logged(&pool, "options-of-a-client"));
}

/* ---- the two pools ---- */

/* What `postern routes` and nginx's map say, in one spelling: `METHOD /path` and a newline each. */
static const char *routes_that_hash(void)
{
    int status;
    char *rest = output_of(LIST("./postern", "routes"), NULL, &status);
    const char *list = "";
    ck_assert_int_eq(status, 0);
    for (char *line; (line = strsep(&rest, "\n")) && *line;) {
        char method[16], path[80], who[16], kind[16];
        ck_assert_int_eq(sscanf(line, "%15s %79s %15s %15s", method, path, who, kind), 4);
        if (strcmp(kind, "hash") == 0)
            list = say("%s%s /api%s\n", list, method, path);
    }
    return list;
}

static const char *routes_of_hash_map(const struct front *f)
{
    char *map = strstr(file_text(say("%s/conf/http.conf", f->folder)), "$postern_hashes {");
    ck_assert_ptr_nonnull(map);
    const char *list = "";
    (void)strsep(&map, "\n");
    for (char *line; (line = strsep(&map, "\n")) && *line != '}';) {
        char method[16], path[80];
        int value;
        if (sscanf(line, " \"%15s %79[^\"]\" %d;", method, path, &value) == 3 && value == 1)
            list = say("%s%s %s\n", list, method, path);
    }
    return list;
}

static void check_all_in(const char *some, const char *all, const char *where)
{
    for (const char *line = some; *line; line = strchr(line, '\n') + 1) {
        const char *wanted = say("\n%.*s\n", (int)strcspn(line, "\n"), line);
        ck_assert_msg(strstr(say("\n%s", all), wanted) != NULL, "%s has no %s", where, wanted);
    }
}

NGINX_TEST(nginx_and_the_program_agree_on_what_hashes)
{
    const char *ours = routes_that_hash(), *nginxs = routes_of_hash_map(&usual);

    ck_assert_str_ne(ours, "");
    check_all_in(ours, nginxs, "nginx's map");
    check_all_in(nginxs, ours, "postern routes");
}

NGINX_TEST(hashing_is_done_by_the_other_pool)
{
    struct front front;
    front_start_half(&front, &pool);

    ck_status(fetch(.at = &front, .path = "/api/auth/login", .body = "{}"), 400);
    ck_status(fetch(.at = &front, .path = "/api/auth/register/", .body = "{}"), 400);
    ck_status(fetch(.at = &front, .path = "/api/users", .body = "{}"), 401);
    ck_status(fetch(.at = &front, .path = "/api/users"), 502);
    front_stop(&front);
}

int main(void)
{
    return http_main();
}
