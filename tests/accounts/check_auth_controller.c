/* needs: mariadb */
/* Registering, logging in, and what a token is good for, as clients see it. */
#include "tests/support/loopback.h"

#include <string.h>
#include <time.h>

#include "common/crypto/digest.h"
#include "common/crypto/jwt.h"
#include "tests/support/people.h"
#include "tests/support/refusals.h"
#include "tests/support/suite.h"

#define BARE_CHALLENGE "Bearer realm=\"postern\""
#define TOKEN_CHALLENGE BARE_CHALLENGE ", error=\"invalid_token\""

static struct answer register_as(const char *email)
{
    return api_post(NULL, "/auth/register",
                    object("{'email':'%s','password':'%s'}", email, PASSWORD));
}

/* ---- registering ---- */

CASE("registering", loopback_open, loopback_close);

TEST(registering_makes_a_user)
{
    struct answer answer = api_post(
        NULL, "/auth/register",
        object("{'email':'Ada@Example.org','password':'%s','first_name':'Ada','last_name':null}",
               PASSWORD));

    ck_status(answer, 201);
    ck_assert_str_eq(answer_text(answer, "user.email"), "Ada@Example.org");
    ck_assert_str_eq(answer_text(answer, "user.first_name"), "Ada");
    ck_assert(answer_is_null(answer, "user.last_name"));
    ck_assert_str_eq(answer_text(answer, "user.role"), "user");
    ck_assert(answer_boolean(answer, "user.is_active"));
    ck_assert_uint_eq(strlen(answer_text(answer, "user.created_at")),
                      strlen("2026-01-01T00:00:00.000000Z"));
    ck_assert_str_eq(answer_text(answer, "user.created_at"),
                     answer_text(answer, "user.updated_at"));
    ck_assert_int_eq(answer_text(answer, "user.id")[14], '7'); /* the UUID's version */
}

TEST(the_answer_to_registering_leads_to_the_user)
{
    struct answer answer = register_as("ada@example.org");

    const char *id = answer_text(answer, "user.id");
    ck_assert_str_eq(answer_header(answer, "Location"), say("/api/users/%s", id));
    ck_assert_str_eq(answer_header(answer, "Cache-Control"), "no-store");
    ck_assert_str_eq(answer_header(answer, "Content-Type"), "application/json");
    ck_status(api_get(log_in("ada@example.org"), "/users/%s", id), 200);
}

/* In characters, not bytes; with another setting these are others. */
TEST(a_new_password_is_as_long_as_the_setting_says)
{
    static const char body[] = "{'email':'a@b.org','password':'%s','first_name':'A'}";
    const char *admin = bearer_of_new("admin@example.org", ROLE_ADMIN);
    const char *ada = bearer_of_new("ada@example.org", ROLE_USER);
    loopback_set("PASSWORD_MIN=12");

    struct answer answer = api_post(NULL, "/auth/register", object(body, "\303\244bcdefghijk"));
    ck_invalid(answer, "password too_short");
    ck_assert_ptr_nonnull(strstr(answer.text, "Must have at least 12 characters."));
    ck_invalid(api_post(admin, "/users", object(body, "elevenchars")), "password too_short");
    ck_invalid(api_post(ada, "/auth/password",
                        object("{'current_password':'" PASSWORD "','new_password':'elevenchars'}")),
               "new_password too_short");
    ck_status(api_post(NULL, "/auth/register", object(body, "\303\244bcdefghijkl")), 201);
    ck_status(try_login("ada@example.org", PASSWORD), 200);

    loopback_set("PASSWORD_MIN=4");
    ck_status(api_post(NULL, "/auth/register",
                       object("{'email':'b@b.org','password':'b4%%x','first_name':'A'}")),
              201);
    ck_status(try_login("b@b.org", "b4%x"), 200);
    loopback_set("LIMITS=on");
    ck_status(try_login("b@b.org", "b4%x"), 200); /* whoever has one keeps it */
    ck_invalid(api_post(NULL, "/auth/register",
                        object("{'email':'c@b.org','password':'b4%%xyzu','first_name':'A'}")),
               "password too_short");
}

TEST(a_password_is_stored_as_argon2id_and_never_shown)
{
    struct answer answer = register_as("ada@example.org");

    ck_status(answer, 201);
    ck_assert_ptr_null(strstr(answer.text, "password"));
    ck_assert_ptr_null(strstr(answer.text, PASSWORD));
    ck_rows("users WHERE password_hash LIKE '$argon2id$v=19$m=19456,t=2,p=1$%'", 1);
}

static const char *const attempts_at_rank[] = {
    "'role':'admin'",
    "'role':42",
    "'role':null,'is_active':false",
    "'is_active':'no','id':'" NOBODY_ID "','created_at':[]",
    "'password_hash':{},'updated_at':'2000-01-01T00:00:00Z','session_id':1",
};

TEST_EACH(nobody_registers_as_more_than_a_user, attempts_at_rank)
{
    struct answer answer = api_post(
        NULL, "/auth/register",
        object("{'email':'eve@example.org','password':'%s',%s}", PASSWORD, attempts_at_rank[_i]));

    ck_status(answer, 201);
    ck_assert_str_eq(answer_text(answer, "user.role"), "user");
    ck_assert(answer_boolean(answer, "user.is_active"));
    ck_assert_str_ne(answer_text(answer, "user.id"), NOBODY_ID);
    ck_problem(api_post(log_in("eve@example.org"), "/users", "{}"), ADMIN_REQUIRED);
}

static const char *const same_addresses[] = {"ada@example.org", "ADA@EXAMPLE.ORG",
                                             "Ada@example.Org"};

TEST_EACH(an_address_registers_once_in_whatever_case, same_addresses)
{
    ck_status(register_as("ada@example.org"), 201);

    struct answer answer = register_as(same_addresses[_i]);

    ck_problem(answer, EMAIL_EXISTS);
    ck_assert_ptr_null(answer_header(answer, "Location"));
    ck_rows("users", 1);
    ck_assert_int_eq(total_kept(&user_counter, NULL, 0, 1), 1);
}

static const struct refusal bad_registrations[] = {
    {"{}", MISSING_FIELDS, "email required, password required"},
    {"{'password':'" PASSWORD "'}", MISSING_FIELDS, "email required"},
    {"{'email':'a@b.org'}", MISSING_FIELDS, "password required"},
    {"{'email':'nonsense','first_name':7}", MISSING_FIELDS,
     "email format, password required, first_name type"},
    {"{'Email':'a@b.org','PASSWORD':'" PASSWORD "'}", MISSING_FIELDS,
     "email required, password required"},
    {"{'email':null,'password':null}", INVALID, "email type, password type"},
    {"{'email':1,'password':[]}", INVALID, "email type, password type"},
    {"{'email':'nonsense','password':'" PASSWORD "'}", INVALID_EMAIL, "email format"},
    {"{'email':'nonsense','password':'short','last_name':''}", INVALID_EMAIL,
     "email format, password too_short, last_name too_short"},
    {"{'email':'a@b.org','password':'short'}", INVALID, "password too_short"},
    {"{'email':'a@b.org','password':''}", INVALID, "password too_short"},
    {"{'email':'a@b.org','password':'Password123'}", INVALID, "password common"},
    {"{'email':'a@b.org','password':'zzzzzzzzzzzz'}", INVALID, "password common"},
    {"{'email':'long@example.org','password':'LONG@example.org'}", INVALID, "password common"},
    {"{'email':'a@b.org','password':'" PASSWORD "','first_name':'','last_name':false}", INVALID,
     "first_name too_short, last_name type"},
};

TEST_EACH(a_bad_registration_is_told_all_its_faults, bad_registrations)
{
    ck_refusal("POST", NULL, "/auth/register", &bad_registrations[_i]);

    ck_rows("users", 0);
}

/* The HTML standard's pattern for <input type=email>, and a dot in the domain. */
static const char *const good_addresses[] = {
    "a@b.c",
    "first.last+tag@sub.example.org",
    ".dots..are.fine.@example.org",
    "!#$%&*+/=?^_`{|}~-@example.org",
    "1@1.2",
    "x@a-b.example",
};

TEST_EACH(an_address_of_the_pattern_is_taken_as_it_is, good_addresses)
{
    struct answer answer = register_as(good_addresses[_i]);

    ck_status(answer, 201);
    ck_assert_str_eq(answer_text(answer, "user.email"), good_addresses[_i]);
}

static const char *const bad_addresses[] = {
    "",
    "plain",
    "@example.org",
    "a@",
    "a@localhost",
    "a@.org",
    "a@b..org",
    "a@b.org.",
    "a@-b.org",
    "a@b-.org",
    "a b@example.org",
    " a@example.org",
    "a@example.org ",
    "a@example.org\\n",
    "a@b@example.org",
    "a@ex_ample.org",
    "a(b)@example.org",
    "\303\244@example.org",
    "a@m\303\274nchen.example",
};

TEST_EACH(an_address_of_another_form_is_refused, bad_addresses)
{
    struct answer answer = register_as(bad_addresses[_i]);

    ck_problem(answer, INVALID_EMAIL);
    ck_assert_str_eq(answer_faults(answer), "email format");
}

/* An address of `len` characters. */
static const char *address_of(size_t len)
{
    const char *domain =
        say("@%s.%s.%s.example.org", repeat("d", 63), repeat("e", 63), repeat("f", 50));
    return say("%s%s", repeat("l", len - strlen(domain)), domain);
}

TEST(an_address_has_at_most_254_characters)
{
    ck_status(register_as(address_of(254)), 201);
    ck_status(api_post(NULL, "/auth/login",
                       object("{'email':'%s','password':'%s'}", address_of(254), PASSWORD)),
              200);

    struct answer longer = register_as(address_of(255));

    ck_problem(longer, INVALID_EMAIL);
    ck_assert_str_eq(answer_faults(longer), "email too_long");
}

/* What a password of `times` repeated parts, and one more letter, is answered with. */
static struct answer register_with_password(const char *part, size_t times, const char *end)
{
    return api_post(
        NULL, "/auth/register",
        object("{'email':'ada@example.org','password':'%s%s'}", repeat(part, times), end));
}

static const struct {
    const char *part;
    size_t times;
    const char *faults;
} password_lengths[] = {
    {"a", 6, "password too_short"},
    {"a", 7, ""},
    {"\360\237\230\200", 6, "password too_short"},
    {"\360\237\230\200", 7, ""},
    {"a", 127, ""},
    {"\360\237\230\200", 127, ""},
    {"a", 128, "password too_long"},
    {"\360\237\230\200", 128, "password too_long"},
};

TEST_EACH(a_password_has_8_to_128_code_points, password_lengths)
{
    struct answer answer =
        register_with_password(password_lengths[_i].part, password_lengths[_i].times, "z");

    ck_assert_str_eq(answer_faults(answer), password_lengths[_i].faults);
    ck_status(answer, *password_lengths[_i].faults ? 400 : 201);
}

static struct answer register_with_name(const char *email, const char *name)
{
    return api_post(
        NULL, "/auth/register",
        object("{'email':'%s','password':'%s','first_name':'%s'}", email, PASSWORD, name));
}

TEST(a_name_has_at_most_100_code_points)
{
    const char *longest = repeat("\360\237\230\200", 100);

    struct answer fits = register_with_name("a@example.org", longest);
    struct answer longer = register_with_name("b@example.org", say("%sx", longest));

    ck_status(fits, 201);
    ck_assert_str_eq(answer_text(fits, "user.first_name"), longest);
    ck_invalid(longer, "first_name too_long");
}

/* ---- bodies ---- */

static const char *const bad_bodies[] = {
    "",
    " ",
    "[]",
    "null",
    "'text'",
    "{",
    "{'email':'a@b.org',}",
    "{} {}",
    "{'email':'a@b.org','email':'a@b.org'}",
    "{'email':'a\\u0000@b.org'}",
    "{'email':'\377'}",
    "{'email':'\\ud800'}",
    "{'n':01}",
};

CASE("bodies", loopback_open, loopback_close);

TEST_EACH(what_is_no_json_object_is_refused, bad_bodies)
{
    ck_problem(api_post(NULL, "/auth/register", object("%s", bad_bodies[_i])), BAD_JSON);
}

/* An object whose member x is nested so that the whole has `depth` levels. */
static const char *nested(size_t depth)
{
    return object("{'email':'a@b.org','password':'%s','x':%s%s}", PASSWORD, repeat("[", depth - 1),
                  repeat("]", depth - 1));
}

TEST(a_body_may_be_32_levels_deep_but_not_33)
{
    ck_problem(api_post(NULL, "/auth/register", nested(33)), BAD_JSON);
    ck_status(api_post(NULL, "/auth/register", nested(32)), 201);
}

static const struct {
    const char *type;
    bool taken;
} media_types[] = {
    {"application/json", true},
    {"Application/JSON; charset=utf-8", true},
    {"application/merge-patch+json", true},
    {"text/plain", false},
    {"application/jsonp", false},
    {"application/x-www-form-urlencoded", false},
    {"", false},
};

TEST_EACH(a_body_of_another_media_type_is_refused, media_types)
{
    struct answer answer =
        api_ask(.method = "POST", .path = "/auth/register", .type = media_types[_i].type,
                .body = object("{'email':'a@b.org','password':'%s'}", PASSWORD));

    if (media_types[_i].taken)
        ck_status(answer, 201);
    else
        ck_problem(answer, NOT_JSON);
}

TEST(a_body_that_is_too_large_is_refused_after_its_type)
{
    const char *large = object("{'email':'%s'}", repeat("x", (size_t)512 * 1024));

    ck_problem(api_post(NULL, "/auth/register", large), TOO_LARGE);
    ck_problem(
        api_ask(.method = "POST", .path = "/auth/register", .body = large, .type = "text/html"),
        NOT_JSON);
}

/* ---- logging in ---- */

CASE("logging in", loopback_open, loopback_close);

TEST(logging_in_gives_tokens_and_the_user)
{
    const char *id = make_user("ada@example.org", ROLE_USER);

    struct answer answer = api_post(
        NULL, "/auth/login", object("{'email':'ADA@example.ORG','password':'%s'}", PASSWORD));

    ck_status(answer, 200);
    ck_assert_str_eq(answer_text(answer, "user.id"), id);
    ck_assert_str_eq(answer_text(answer, "user.email"), "ada@example.org");
    ck_assert_str_eq(answer_text(answer, "token_type"), "Bearer");
    ck_assert_int_eq(answer_integer(answer, "expires_in"), 900);
    ck_assert_uint_eq(strlen(answer_text(answer, "refresh_token")),
                      86); /* secret, session and tag */
    ck_assert_str_eq(answer_header(answer, "Cache-Control"), "no-store");
    ck_status(api_get(answer_text(answer, "access_token"), "/auth/profile"), 200);
    ck_assert_ptr_null(strstr(answer.text, "argon2"));
}

TEST(every_login_is_a_session_of_its_own)
{
    make_user("ada@example.org", ROLE_USER);

    const char *first = log_in("ada@example.org"), *second = log_in("ada@example.org");

    ck_assert_str_ne(first, second);
    ck_rows("sessions WHERE ip = '192.0.2.1'", 2);
    ck_assert_int_eq(ask_number("SELECT COUNT(DISTINCT refresh_hash) AS n FROM sessions"), 2);
}

TEST(a_refresh_token_is_not_stored_itself)
{
    make_user("ada@example.org", ROLE_USER);
    struct answer answer = api_post(
        NULL, "/auth/login", object("{'email':'ada@example.org','password':'%s'}", PASSWORD));
    const char *token = answer_text(answer, "refresh_token");

    ck_rows(say("sessions WHERE refresh_hash = UNHEX(SHA2('%s', 256))", token), 1);
}

static const struct refusal bad_logins[] = {
    {"{}", MISSING_CREDENTIALS, "email required, password required"},
    {"{'email':'a@b.org'}", MISSING_CREDENTIALS, "password required"},
    {"{'email':null,'password':null}", MISSING_CREDENTIALS, "email required, password required"},
    {"{'email':'','password':''}", MISSING_CREDENTIALS, "email required, password required"},
    {"{'email':'a@b.org','password':''}", MISSING_CREDENTIALS, "password required"},
    {"{'email':7,'password':null}", MISSING_CREDENTIALS, "email type, password required"},
    {"{'email':7,'password':'x'}", INVALID, "email type"},
    {"{'email':'a@b.org','password':true}", INVALID, "password type"},
    {"{'email':'a@b.org','password':'x'}", INVALID_CREDENTIALS},
    {"{'email':'no address','password':'x'}", INVALID_CREDENTIALS},
    {"{'email':'\303\244@b.org','password':'x'}", INVALID_CREDENTIALS},
    {"{'email':' ada@example.org','password':'" PASSWORD "'}", INVALID_CREDENTIALS},
    {"{'email':'ada@example.org','password':'" PASSWORD " '}", INVALID_CREDENTIALS},
};

TEST_EACH(a_bad_login_is_refused, bad_logins)
{
    make_user("ada@example.org", ROLE_USER);

    ck_refusal("POST", NULL, "/auth/login", &bad_logins[_i]);

    ck_rows("sessions", 0);
}

static struct answer log_in_with(const char *password)
{
    return api_post(NULL, "/auth/login",
                    object("{'email':'ada@example.org','password':'%s'}", password));
}

TEST(a_password_of_1024_bytes_is_tried_and_a_longer_one_refused)
{
    struct answer longest = log_in_with(repeat("\303\244", 512));
    struct answer longer = log_in_with(repeat("x", 1025));

    ck_problem(longest, INVALID_CREDENTIALS);
    ck_invalid(longer, "password too_long");
}

/* Who cannot log in: an unknown, a wrong password, a disabled account. */
static const char *const refused_logins[] = {
    "{'email':'nobody@example.org','password':'" PASSWORD "'}",
    "{'email':'ada@example.org','password':'wrong " PASSWORD "'}",
    "{'email':'disabled@example.org','password':'" PASSWORD "'}",
};

static void make_ada_and_disabled(void)
{
    make_user("ada@example.org", ROLE_USER);
    make_disabled_user("disabled@example.org", ROLE_USER);
}

TEST_EACH(all_refused_logins_look_alike, refused_logins)
{
    make_ada_and_disabled();
    struct answer wrong = api_post(NULL, "/auth/login", object("%s", refused_logins[1]));

    struct answer answer = api_post(NULL, "/auth/login", object("%s", refused_logins[_i]));

    ck_problem(answer, INVALID_CREDENTIALS);
    ck_assert_str_eq(answer_header(answer, "WWW-Authenticate"), BARE_CHALLENGE);
    ck_assert_str_eq(answer_text(answer, "message"), answer_text(wrong, "message"));
}

static int64_t cpu_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

/* The least processor time that a login takes: what others do meanwhile does not count. */
static int64_t cost_of_login(const char *body)
{
    int64_t least = INT64_MAX;
    for (int i = 0; i < 5; i++) {
        pass_s(3600); /* so that it is not refused without a hash */
        int64_t start = cpu_us();
        ck_status(api_post(NULL, "/auth/login", body), 401);
        int64_t took = cpu_us() - start;
        least = took < least ? took : least;
    }
    return least;
}

TEST_EACH(all_refused_logins_cost_the_same, refused_logins)
{
    make_ada_and_disabled();
    int64_t wrong = cost_of_login(object("%s", refused_logins[1]));

    int64_t cost = cost_of_login(object("%s", refused_logins[_i]));

    ck_assert_int_gt(wrong, 5000); /* a hash was made */
    ck_assert_msg(cost > wrong / 2 && cost < wrong * 2, "%lld us instead of %lld", (long long)cost,
                  (long long)wrong);
}

/* PASSWORD as Werkzeug would have stored it. */
#define WERKZEUG_HASH                                                                              \
    "pbkdf2:sha256:1000$saltsalt$"                                                                 \
    "456440f4a1d16903e837051f1d6bee1a077c3ea55042cbe137587cc5e32e6ef2"

TEST(an_imported_hash_is_replaced_at_the_next_login)
{
    make_user("ada@example.org", ROLE_USER);
    run_sql("UPDATE users SET password_hash = '" WERKZEUG_HASH "'");

    ck_problem(api_post(NULL, "/auth/login", object("%s", refused_logins[1])), INVALID_CREDENTIALS);
    log_in("ada@example.org");

    ck_rows("users WHERE password_hash LIKE '$argon2id$%'", 1);
    log_in("ada@example.org");
}

static const char *const public_calls[] = {"/auth/login", "/auth/register"};

TEST_EACH(login_and_register_do_not_look_at_a_token, public_calls)
{
    struct answer answer =
        api_post("nonsense", public_calls[_i],
                 object("{'email':'new@example.org','password':'%s'}", PASSWORD));

    ck_assert_str_ne(answer.text, "");
    ck_status(answer, _i == 0 ? 401 : 201);
    if (_i == 0)
        ck_assert_str_eq(answer_text(answer, "code"), "invalid_credentials");
}

TEST(a_strange_user_agent_does_not_keep_one_from_logging_in)
{
    static const char *const agents[] = {"HTTP_USER_AGENT=\377\376", "HTTP_USER_AGENT=", NULL};
    make_user("ada@example.org", ROLE_USER);
    const char *body = object("{'email':'ada@example.org','password':'%s'}", PASSWORD);

    for (size_t i = 0; agents[i]; i++)
        ck_status(
            api_ask(.method = "POST", .path = "/auth/login", .body = body, .param = agents[i]),
            200);
    ck_status(api_ask(.method = "POST", .path = "/auth/login", .body = body,
                      .param = say("HTTP_USER_AGENT=%s", repeat("\303\244", 300))),
              200);

    ck_assert_int_eq(ask_number("SELECT MAX(LENGTH(user_agent)) AS n FROM sessions"), 254);
}

/* ---- tokens ---- */

CASE("tokens", loopback_open, loopback_close);

TEST(without_a_token_there_is_no_profile)
{
    struct answer answer = api_get(NULL, "/auth/profile");

    ck_problem(answer, NO_TOKEN);
    ck_assert_str_eq(answer_header(answer, "WWW-Authenticate"), BARE_CHALLENGE);
    ck_assert_str_eq(answer_header(answer, "Cache-Control"), "no-store");
}

TEST(another_scheme_is_no_token)
{
    ck_problem(api_ask(.path = "/auth/profile", .param = "HTTP_AUTHORIZATION=Basic YTpi"),
               NO_TOKEN);
    ck_problem(api_ask(.path = "/auth/profile", .param = "HTTP_AUTHORIZATION=Bearerish x"),
               NO_TOKEN);
}

TEST(the_scheme_is_taken_in_any_case)
{
    const char *token = bearer_of_new("ada@example.org", ROLE_USER);

    ck_status(api_ask(.path = "/auth/profile", .param = say("HTTP_AUTHORIZATION=bEARER %s", token)),
              200);
    ck_status(api_ask(.path = "/auth/profile",
                      .param = say("REDIRECT_HTTP_AUTHORIZATION=Bearer %s", token)),
              200);
}

static void ck_invalid_token(const char *token)
{
    struct answer answer = api_get(token, "/auth/profile");
    ck_problem(answer, INVALID_TOKEN);
    ck_assert_str_eq(answer_header(answer, "WWW-Authenticate"), TOKEN_CHALLENGE);
}

static const char *const nonsense_tokens[] = {"", "x", "a.b.c", "..", "null"};

TEST_EACH(nonsense_is_no_token, nonsense_tokens)
{
    ck_invalid_token(nonsense_tokens[_i]);
}

TEST(a_token_with_another_signature_is_refused)
{
    char *token = arena_strdup(the_arena, bearer_of_new("ada@example.org", ROLE_USER));
    char *signature = strrchr(token, '.') + 1;

    *signature = *signature == 'A' ? 'B' : 'A';

    ck_invalid_token(token);
}

TEST(a_token_is_good_for_its_time_and_no_longer)
{
    make_user("ada@example.org", ROLE_USER);
    const char *token = log_in("ada@example.org");

    pass_s(899);
    ck_status(api_get(token, "/auth/profile"), 200);
    pass_s(10);

    struct answer answer = api_get(token, "/auth/profile");
    ck_problem(answer, TOKEN_EXPIRED);
    ck_assert_str_eq(answer_header(answer, "WWW-Authenticate"), TOKEN_CHALLENGE);
    ck_problem(api_get(token, "/posts"), TOKEN_EXPIRED);
    ck_invalid_token(say("%sx", token));
}

/* A token that we sign ourselves: for `user`, in the newest session of `owner`. */
static const char *token_for(const char *user, const char *session)
{
    struct claims claims = {.id = uuid_make(the_time),
                            .issued_s = the_time.us / 1000000,
                            .expires_s = the_time.us / 1000000 + 60};
    ck_assert(uuid_parse(user, strlen(user), &claims.subject));
    ck_assert(uuid_parse(session, strlen(session), &claims.session));
    return jwt_sign(the_arena, the_app->keys, &claims);
}

TEST(a_token_for_no_session_is_refused)
{
    ck_invalid_token(token_for(make_user("ada@example.org", ROLE_USER), NOBODY_ID));
}

TEST(a_token_with_the_session_of_another_is_refused)
{
    const char *ada = make_user("ada@example.org", ROLE_USER);
    make_user("eve@example.org", ROLE_USER);
    bearer_of("eve@example.org");
    run_sql("UPDATE sessions SET id = '" NOBODY_ID "'"); /* so that its id is known here */

    ck_invalid_token(token_for(ada, NOBODY_ID));
}

TEST(a_token_of_an_ended_session_is_refused)
{
    const char *ended = bearer_of_new("ada@example.org", ROLE_USER);

    run_sql("DELETE FROM sessions");

    ck_invalid_token(ended);
    ck_status(api_get(log_in("ada@example.org"), "/auth/profile"), 200);
}

TEST(a_token_of_an_expired_session_is_refused)
{
    const char *token = bearer_of_new("ada@example.org", ROLE_USER);

    run_sql("UPDATE sessions SET expires_at = '2001-01-01'");

    ck_invalid_token(token);
}

static const char *const ends_of_an_account[] = {
    "DELETE FROM users WHERE email = 'ada@example.org'",
    "UPDATE users SET is_active = 0 WHERE email = 'ada@example.org'",
};

TEST_EACH(a_token_of_a_user_who_is_gone_or_disabled_is_refused, ends_of_an_account)
{
    const char *token = bearer_of_new("ada@example.org", ROLE_USER);

    run_sql(ends_of_an_account[_i]);

    struct answer answer = api_get(token, "/auth/profile");
    ck_problem(answer, USER_INACTIVE);
    ck_assert_int_eq(
        strncmp(answer_header(answer, "WWW-Authenticate"), BARE_CHALLENGE, strlen(BARE_CHALLENGE)),
        0);
}

TEST(a_changed_role_takes_effect_at_once)
{
    const char *token = bearer_of_new("ada@example.org", ROLE_USER);
    ck_problem(api_delete(token, "/users/" NOBODY_ID), ADMIN_REQUIRED);

    run_sql("UPDATE users SET role = 'admin'");
    ck_problem(api_delete(token, "/users/" NOBODY_ID), USER_NOT_FOUND);
    run_sql("UPDATE users SET role = 'user'");

    ck_problem(api_delete(token, "/users/" NOBODY_ID), ADMIN_REQUIRED);
}

TEST(a_path_of_auth_has_its_methods)
{
    struct answer refused = api_get(NULL, "/auth/login");
    struct answer options =
        api_ask(.method = "OPTIONS", .path = "/auth/login", .token = "nonsense");

    ck_problem(refused, METHOD_NOT_ALLOWED);
    ck_assert_str_eq(answer_header(refused, "Allow"), "POST, OPTIONS");
    ck_status(options, 204);
    ck_assert_str_eq(answer_header(options, "Allow"), "POST, OPTIONS");
}
