/* needs: mariadb */
/* How often passwords may be tried, as clients see it. */
#include "tests/support/loopback.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/crypto/digest.h"
#include "tests/support/people.h"
#include "tests/support/refusals.h"
#include "tests/support/suite.h"

#define ADA "ada@example.org"
#define HEX_64                                                                                     \
    "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d98" \
    "30dac727afb94a83ee6d8360cbdfa2cc0640"
#define HERE "192.0.2.1"
#define THERE "198.51.100.7"

/* So many tries each counter has, and in how many seconds one comes back. */
#define PAIR 10
#define PAIR_S 300
#define ACCOUNT 20
#define ACCOUNT_S 60
#define SPARE 2
#define ADDRESS 50
#define ADDRESS_S 10

static struct answer try_from(const char *address, const char *email, const char *password)
{
    return api_ask(.method = "POST", .path = "/auth/login", .from = address,
                   .body = object("{'email':'%s','password':'%s'}", email, password));
}

static struct answer guess_from(const char *address, const char *email)
{
    return try_from(address, email, "wrong " PASSWORD);
}

/* PASSWORD as another program may have stored it: a guess at it takes no time. */
#define CHEAP_HASH                                                                                 \
    "$argon2id$v=19$m=8,t=1,p=1$cG9zdGVybiB0ZXN0cyAxNg$"                                           \
    "+xr7xiZ9IXo/PjoWmHYJUNap/Z9GDOroyk9g42/IpVs"

static void guess_times(int times, const char *address, const char *email)
{
    run_sql("UPDATE users SET password_hash = '" CHEAP_HASH "'");
    for (int i = 0; i < times; i++)
        ck_problem(guess_from(address, email), INVALID_CREDENTIALS);
}

static void ck_limited(struct answer answer, int seconds)
{
    ck_problem(answer, RATE_LIMITED);
    ck_assert_ptr_nonnull(answer_header(answer, "Retry-After"));
    ck_assert_str_eq(answer_header(answer, "Retry-After"), say("%d", seconds));
    ck_assert_str_eq(answer_header(answer, "Cache-Control"), "no-store");
}

static void open_with_ada(void)
{
    loopback_open();
    make_user(ADA, ROLE_USER);
    make_disabled_user("disabled@example.org", ROLE_USER);
}

/* ---- one address, one account ---- */

CASE("pair", open_with_ada, loopback_close);

TEST(one_more_is_tried_when_it_was_told_and_not_before)
{
    guess_times(PAIR, HERE, ADA);

    ck_limited(guess_from(HERE, ADA), PAIR_S);
    pass_s(PAIR_S - 1);
    ck_limited(guess_from(HERE, ADA), 1);
    pass_s(1);
    guess_times(1, HERE, ADA);
    ck_limited(guess_from(HERE, ADA), PAIR_S);
}

static const int64_t steps_s[] = {-1, -600, -3600, -365 * 86400, 1, 600, 3600, 365 * 86400};

/* Those who were right leave counters at the time of their login, which must not be one to come. */
TEST_EACH(a_clock_that_is_set_locks_nobody_out, steps_s)
{
    for (int i = 0; i < 6; i++)
        ck_status(try_from(HERE, ADA, PASSWORD), 200);

    set_clock(steps_s[_i]);

    ck_status(try_from(HERE, ADA, PASSWORD), 200);
    ck_status(try_from(THERE, ADA, PASSWORD), 200);
    guess_times(PAIR, HERE, ADA);
    ck_limited(guess_from(HERE, ADA), PAIR_S);
}

TEST_EACH(a_clock_that_is_set_forgives_no_guess, steps_s)
{
    guess_times(PAIR, HERE, ADA);

    set_clock(steps_s[_i]);

    ck_limited(guess_from(HERE, ADA), PAIR_S);
    pass_s(PAIR_S - 1);
    ck_limited(guess_from(HERE, ADA), 1);
    set_clock(-steps_s[_i]);
    ck_limited(guess_from(HERE, ADA), 1);
    pass_s(1);
    guess_times(1, HERE, ADA);
}

TEST(refusals_are_counted_for_a_monitor)
{
    guess_times(PAIR, HERE, ADA);
    ck_limited(guess_from(HERE, ADA), PAIR_S);
    ck_limited(guess_from(HERE, ADA), PAIR_S);

    struct answer r = api_ask(.path = "/metrics", .from = "127.0.0.1");

    ck_status(r, 200);
    ck_assert_ptr_nonnull(strstr(r.text, "\npostern_password_tries_refused_total 2\n"));
}

static const char *const accounts[] = {
    ADA,          "ADA@example.ORG", "nobody@example.org", "disabled@example.org",
    "no address", "\303\244@b.org"};

TEST_EACH(whether_there_is_an_account_is_not_told, accounts)
{
    const char *email = accounts[_i];

    guess_times(PAIR, HERE, email);
    ck_limited(guess_from(HERE, email), PAIR_S);
    guess_times(PAIR, THERE, email);
    ck_limited(guess_from(THERE, email), PAIR_S);
    guess_times(SPARE, "203.0.113.1", email);
    ck_limited(guess_from("203.0.113.1", email), ACCOUNT_S);
}

/* As imports leave them; the last three are forms that cost too much. */
static const char *const stored[PAIR] = {
    "",
    "x",
    "scrypt:65536:1:1$salt$" HEX_64,
    "scrypt:65536:1:1$",
    "scrypt:1024:8:1$$zz",
    "$argon2id$v=19$m=7,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    "pbkdf2:sha256:0$salt$",
    "$2b$16$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    "scrypt:2:1:1048576$salt$" HEX_64,
    "pbkdf2:sha512:10000000$salt$" HEX_64};

TEST(a_stored_hash_that_cannot_be_verified_counts_as_a_guess)
{
    for (int i = 0; i < PAIR; i++) {
        run_sql(say("UPDATE users SET password_hash = '%s' WHERE email = '" ADA "'", stored[i]));
        ck_problem(try_from(HERE, ADA, PASSWORD), INVALID_CREDENTIALS);
    }

    ck_limited(try_from(HERE, ADA, PASSWORD), PAIR_S);
}

TEST(letters_of_another_case_are_no_other_account)
{
    guess_times(PAIR, HERE, ADA);

    ck_limited(guess_from(HERE, "Ada@Example.Org"), PAIR_S);
}

TEST(the_right_password_is_refused_here_but_not_elsewhere)
{
    guess_times(PAIR, HERE, ADA);

    ck_limited(try_from(HERE, ADA, PASSWORD), PAIR_S);
    ck_status(try_from(THERE, ADA, PASSWORD), 200);
    ck_status(try_from(HERE, "disabled@example.org", PASSWORD), 401); /* nor is another account */
}

TEST(right_passwords_do_not_count)
{
    for (int i = 0; i < ACCOUNT + 1; i++)
        ck_status(try_from(HERE, ADA, PASSWORD), 200);

    guess_times(PAIR, HERE, ADA);
    ck_limited(guess_from(HERE, ADA), PAIR_S);
}

TEST(a_right_password_gives_no_fresh_tries)
{
    guess_times(PAIR - 1, HERE, ADA);

    ck_status(try_from(HERE, ADA, PASSWORD), 200);

    guess_times(1, HERE, ADA);
    ck_limited(guess_from(HERE, ADA), PAIR_S);
}

TEST(what_fails_for_another_reason_does_not_count)
{
    int unavailable = 0;
    run_sql("RENAME TABLE users TO users_away");
    for (int i = 0; i < ACCOUNT; i++)
        unavailable += guess_from(HERE, ADA).status == 503;
    run_sql("RENAME TABLE users_away TO users"); /* before anything can end the test */

    ck_assert_int_eq(unavailable, ACCOUNT);
    guess_times(PAIR, HERE, ADA);
}

TEST(a_body_that_is_not_valid_does_not_count)
{
    for (int i = 0; i < ACCOUNT; i++)
        ck_status(api_post(NULL, "/auth/login", object("{'email':'" ADA "'}")), 400);

    guess_times(PAIR, HERE, ADA);
}

static int64_t cpu_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

static const char *stored_hash(void)
{
    bool found;
    struct user user = {0};
    must(user_find_by_email(the_app->db, the_arena, TEXT(ADA), &user, &found));
    ck_assert(found);
    return user.password_hash.data;
}

TEST(who_is_refused_costs_no_hash)
{
    const char *hash = stored_hash();
    guess_times(PAIR, HERE, ADA);
    run_sql(say("UPDATE users SET password_hash = '%s' WHERE email = '" ADA "'", hash));
    int64_t began = cpu_us();
    ck_problem(guess_from(THERE, ADA), INVALID_CREDENTIALS);
    int64_t hashed = cpu_us() - began;

    began = cpu_us();
    ck_limited(guess_from(HERE, ADA), PAIR_S);

    ck_assert_int_lt(cpu_us() - began, hashed / 2);
}

TEST(a_refusal_has_the_form_that_was_asked_for)
{
    guess_times(PAIR, HERE, ADA);

    struct answer answer = api_ask(.method = "POST", .path = "/auth/login",
                                   .param = "HTTP_ACCEPT=application/problem+json",
                                   .body = object("{'email':'" ADA "','password':'x'}"));

    ck_status(answer, 429);
    ck_assert_str_eq(answer_header(answer, "Content-Type"), "application/problem+json");
    ck_assert_str_eq(answer_text(answer, "code"), "rate_limited");
}

/* ---- one account, many addresses ---- */

static void attack_from_two(void)
{
    guess_times(PAIR, "203.0.113.1", ADA);
    guess_times(PAIR, "203.0.113.2", ADA);
}

CASE("many", open_with_ada, loopback_close);

TEST(an_account_under_attack_leaves_each_address_two_tries)
{
    attack_from_two();

    for (int i = 3; i < 8; i++) {
        const char *address = say("203.0.113.%d", i);
        guess_times(SPARE, address, ADA);
        ck_limited(guess_from(address, ADA), ACCOUNT_S);
        ck_limited(try_from(address, ADA, PASSWORD), ACCOUNT_S);
    }
}

TEST(the_owner_of_an_account_under_attack_gets_in)
{
    attack_from_two();

    for (int i = 0; i < SPARE + 1; i++)
        ck_status(try_from(THERE, ADA, PASSWORD), 200);
    guess_times(1, THERE, ADA); /* who mistypes once, too */
    ck_status(try_from(THERE, ADA, PASSWORD), 200);
}

TEST(an_account_recovers_by_the_minute)
{
    attack_from_two();
    guess_times(SPARE, THERE, ADA);
    ck_limited(guess_from(THERE, ADA), ACCOUNT_S);

    pass_s(ACCOUNT_S);

    guess_times(1, THERE, ADA);
    ck_limited(guess_from(THERE, ADA), ACCOUNT_S);
}

TEST(refusals_do_not_add_up)
{
    attack_from_two();
    for (int i = 0; i < 3 * ADDRESS; i++)
        ck_limited(guess_from("203.0.113.1", ADA), PAIR_S);

    pass_s(PAIR_S);

    guess_times(1, "203.0.113.1", ADA);
}

/* ---- one address, many accounts ---- */

static void spray(const char *address)
{
    for (int i = 0; i < ADDRESS; i++)
        guess_times(1, address, say("user-%d@example.org", i));
}

TEST(an_address_that_tries_many_accounts_is_refused_for_all)
{
    spray(HERE);

    ck_limited(guess_from(HERE, "one-more@example.org"), ADDRESS_S);
    ck_limited(try_from(HERE, ADA, PASSWORD), ADDRESS_S);
    ck_status(try_from(THERE, ADA, PASSWORD), 200);
    pass_s(ADDRESS_S);
    ck_status(try_from(HERE, ADA, PASSWORD), 200);
}

TEST(the_longest_of_all_waits_is_told)
{
    guess_times(PAIR, HERE, ADA);
    for (int i = 0; i < ADDRESS - PAIR; i++)
        guess_times(1, HERE, say("user-%d@example.org", i));

    ck_limited(guess_from(HERE, ADA), PAIR_S);
    pass_s(PAIR_S);
    guess_times(1, HERE, ADA);
}

TEST(of_ipv6_a_whole_64_is_one_client)
{
    for (int i = 0; i < PAIR; i++)
        guess_times(1, say("2001:db8:0:1::%x", i), ADA);

    ck_limited(guess_from("2001:db8:0:1:ffff::1", ADA), PAIR_S);
    guess_times(1, "2001:db8:0:2::1", ADA);
}

TEST(an_ipv4_address_is_the_same_in_ipv6_s_clothes)
{
    guess_times(PAIR, HERE, ADA);

    ck_limited(guess_from("::ffff:" HERE, ADA), PAIR_S);
}

/* ---- behind proxies ---- */

static struct answer try_behind(const char *proxy, const char *header, const char *password)
{
    return api_ask(.method = "POST", .path = "/auth/login", .from = proxy,
                   .param = say("HTTP_X_FORWARDED_FOR=%s", header),
                   .body = object("{'email':'" ADA "','password':'%s'}", password));
}

TEST(clients_of_a_trusted_proxy_are_told_apart)
{
    loopback_set("TRUSTED_PROXIES=10.0.0.0/8 unix:");
    for (int i = 0; i < PAIR; i++)
        ck_status(try_behind("10.0.0.1", "1.2.3.4, 203.0.113.9, 10.0.0.2", "x"), 401);

    ck_limited(try_behind("10.0.0.1", "203.0.113.9", PASSWORD), PAIR_S);
    ck_limited(try_behind("unix:", "5.6.7.8, 203.0.113.9", PASSWORD), PAIR_S);

    struct answer answer = try_behind("10.0.0.1", "203.0.113.10", PASSWORD);
    ck_status(answer, 200);
    struct answer sessions = api_get(answer_text(answer, "access_token"), "/auth/sessions");
    ck_assert_str_eq(answer_text(sessions, "data.0.ip"), "203.0.113.10");
}

TEST(who_is_not_trusted_cannot_pretend_to_be_many)
{
    loopback_set("TRUSTED_PROXIES=10.0.0.0/8");
    for (int i = 0; i < PAIR; i++)
        ck_status(try_behind(HERE, say("203.0.113.%d", i), "x"), 401);

    ck_limited(try_behind(HERE, "203.0.113.99", PASSWORD), PAIR_S);
    ck_status(try_behind("10.0.0.1", "203.0.113.99", PASSWORD), 200);
}

TEST(a_session_without_an_address_shows_null)
{
    struct answer answer = try_from("unix:", ADA, PASSWORD);

    ck_status(answer, 200);
    ck_assert(answer_is_null(api_get(answer_text(answer, "access_token"), "/auth/sessions"),
                             "data.0.ip"));
}

/* ---- with a token ---- */

static const struct {
    const char *method, *path, *body;
    int status; /* of success */
} checks[] = {
    {"POST", "/auth/password", "{'current_password':'%s','new_password':'a brand new one'}", 204},
    {"POST", "/auth/email", "{'current_password':'%s','email':'lovelace@example.org'}", 200},
    {"DELETE", "/auth/profile", "{'current_password':'%s'}", 204},
};

static struct answer check(int which, const char *token, const char *password)
{
    const char *body = checks[which].body, *mark = strstr(body, "%s");
    return api_ask(.method = checks[which].method, .path = checks[which].path, .token = token,
                   .body = object("%.*s%s%s", (int)(mark - body), body, password, mark + 2));
}

static void guess_with(const char *token, int which, int times)
{
    run_sql("UPDATE users SET password_hash = '" CHEAP_HASH "'");
    for (int i = 0; i < times; i++) {
        struct answer answer = check(which, token, "wrong");
        ck_status(answer, 400);
        ck_assert_str_eq(answer_faults(answer), "current_password wrong");
    }
}

CASE("token", open_with_ada, loopback_close);

TEST_EACH(a_stolen_token_does_not_guess_the_password, checks)
{
    const char *stolen = log_in(ADA);
    guess_with(stolen, _i, PAIR);

    ck_limited(check(_i, stolen, "wrong"), PAIR_S);
    ck_limited(check(_i, stolen, PASSWORD), PAIR_S);
    for (int other = 0; other < COUNT(checks); other++)
        ck_limited(check(other, stolen, PASSWORD), PAIR_S);
    ck_status(api_get(stolen, "/auth/profile"), 200);
}

TEST_EACH(a_stolen_token_does_not_lock_the_owner_out, checks)
{
    const char *stolen = log_in(ADA), *too = log_in(ADA), *owner = log_in(ADA);
    guess_with(stolen, 0, PAIR);
    guess_with(too, 0, PAIR);
    guess_with(owner, 0, 1);

    ck_status(check(_i, owner, PASSWORD), checks[_i].status);
}

TEST(sessions_together_guess_no_more_than_an_account_has)
{
    guess_with(log_in(ADA), 0, PAIR);
    guess_with(log_in(ADA), 0, PAIR);
    for (int i = 0; i < 3; i++) {
        const char *token = log_in(ADA);
        guess_with(token, 0, SPARE);
        ck_limited(check(0, token, PASSWORD), ACCOUNT_S);
    }
}

TEST(tries_with_a_token_and_logins_do_not_share_an_account)
{
    const char *token = log_in(ADA);
    attack_from_two();
    guess_times(PAIR - 1, HERE, "somebody@example.org");

    guess_with(token, 0, PAIR);

    guess_times(SPARE, HERE, ADA);
    ck_limited(guess_from(HERE, ADA), ACCOUNT_S);
}

TEST(right_passwords_with_a_token_do_not_count)
{
    loopback_set("LIMITS=guesses"); /* what may mail a stranger is counted too */
    const char *token = log_in(ADA);
    for (int i = 0; i < ACCOUNT + 1; i++)
        ck_status(api_post(token, "/auth/email",
                           object("{'current_password':'" PASSWORD "','email':'a%d@b.org'}", i)),
                  200);

    guess_with(token, 0, PAIR);
}

/* ---- the operator ---- */

CASE("operator", open_with_ada, loopback_close);

TEST(limits_can_be_off)
{
    loopback_set("LOGIN_LIMIT=off");
    const char *token = log_in(ADA);

    guess_times(ACCOUNT + 1, HERE, ADA);
    guess_with(token, 0, ACCOUNT + 1);

    ck_status(try_from(HERE, ADA, PASSWORD), 200);
    ck_assert_uint_eq(the_app->shared->guesses_refused, 0);
}

/* Run `body` and return what it writes to stderr. */
static const char *logged_by(void (*body)(void))
{
    char path[] = "/tmp/guess.XXXXXX", text[4096];
    int file = mkstemp(path), kept = dup(STDERR_FILENO);
    ck_assert_int_ge(file, 0);
    ck_assert_int_ge(dup2(file, STDERR_FILENO), 0);
    body();
    ck_assert_int_ge(dup2(kept, STDERR_FILENO), 0);
    ssize_t len = pread(file, text, sizeof text, 0);
    ck_assert_int_ge(len, 0);
    (void)unlink(path), (void)close(file), (void)close(kept);
    return arena_copy(the_arena, text, (size_t)len);
}

static void throttle_refusal(void)
{
    guess_times(PAIR, THERE, ADA);
    ck_limited(guess_from(THERE, ADA), PAIR_S);
    ck_limited(guess_from(THERE, ADA), PAIR_S);
}

TEST(refusals_are_logged_and_counted_without_names_and_passwords)
{
    const char *log = logged_by(throttle_refusal);

    const char *first = strstr(log, "\"event\":\"login_limited\"");
    ck_assert_msg(first != NULL, "%s", log);
    ck_assert_ptr_nonnull(strstr(first, "\"ip\":\"" THERE "\""));
    ck_assert_ptr_nonnull(strstr(first, "\"retry_after_s\":300"));
    const char *second = strstr(first + 1, "\"event\":\"login_limited\"");
    ck_assert_ptr_nonnull(second);
    ck_assert_ptr_null(strstr(second + strlen("\"event\":\"login_limited\""), "login_limited"));
    ck_assert_ptr_null(strstr(log, ADA)); /* an id may have three of its letters */
    ck_assert_ptr_null(strstr(log, "wrong"));
    ck_assert_uint_eq(the_app->shared->guesses_refused, 2);
}
