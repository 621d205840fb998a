/* needs: mariadb */
/* Passwords: changed, and forgotten, as clients see it. */
#include "tests/support/loopback.h"

#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "tests/support/ada_and_bob.h"
#include "tests/support/letters.h"
#include "tests/support/parallel.h"
#include "tests/support/refusals.h"
#include "tests/support/suite.h"

#define NEW_WORD "weaver of patterns"
#define HOUR_S 3600

/* Only the one password is Ada's. */
static void ck_password(const char *right, const char *wrong)
{
    ck_problem(try_login("ada@example.org", wrong), INVALID_CREDENTIALS);
    ck_status(try_login("ada@example.org", right), 200);
}

static void ck_wrong_password(struct answer answer)
{
    ck_invalid(answer, "current_password wrong");
}

/* ---- another password ---- */

static struct answer change_password(const char *token, const char *current, const char *new)
{
    return api_post(token, "/auth/password",
                    object("{'current_password':'%s','new_password':'%s'}", current, new));
}

CASE("changing", meet_ada_and_bob, loopback_close);

TEST(a_changed_password_is_the_only_one)
{
    struct answer answer = change_password(ada.access, PASSWORD, NEW_WORD);

    ck_status(answer, 204);
    ck_assert_str_eq(answer.text, "");
    ck_assert_str_eq(answer_header(answer, "Cache-Control"), "no-store");
    ck_password(NEW_WORD, PASSWORD);
    ck_rows("users WHERE email = 'Ada@example.org' AND password_hash LIKE '$argon2id$%'", 1);
}

TEST(a_changed_password_ends_all_other_sessions_but_this)
{
    ck_status(change_password(ada.access, PASSWORD, NEW_WORD), 204);

    ck_alive(ada.access);
    ck_status(refresh(ada.refresh), 200);
    ck_ended(&elsewhere);
    ck_alive(bob.access);
}

TEST(the_password_may_be_changed_again_and_back)
{
    ck_status(change_password(ada.access, PASSWORD, NEW_WORD), 204);
    ck_wrong_password(change_password(ada.access, PASSWORD, "another long one"));

    ck_status(change_password(ada.access, NEW_WORD, PASSWORD), 204);

    ck_password(PASSWORD, NEW_WORD);
}

TEST(a_wrong_current_password_changes_nothing)
{
    ck_wrong_password(change_password(ada.access, "not " PASSWORD, NEW_WORD));
    ck_wrong_password(change_password(ada.access, "A LONG ENOUGH ONE", NEW_WORD));

    ck_alive(elsewhere.access);
    ck_password(PASSWORD, NEW_WORD);
}

/* 1,024 bytes, and one more. */
TEST(a_current_password_of_1024_bytes_is_tried_and_a_longer_one_refused)
{
    struct answer longer = change_password(ada.access, repeat("x", 1025), NEW_WORD);

    ck_wrong_password(change_password(ada.access, repeat("\303\244", 512), NEW_WORD));
    ck_invalid(longer, "current_password too_long");
}

static const struct refusal bad_changes[] = {
    {"[]", BAD_JSON},
    {"{}", MISSING_FIELDS, "current_password required, new_password required"},
    {"{'new_password':'x'}", MISSING_FIELDS, "current_password required, new_password too_short"},
    {"{'current_password':null,'new_password':7}", INVALID,
     "current_password type, new_password type"},
    {"{'current_password':'','new_password':'" NEW_WORD "'}", INVALID,
     "current_password too_short"},
    {"{'current_password':'" PASSWORD "','new_password':'1234567'}", INVALID,
     "new_password too_short"},
    {"{'current_password':'" PASSWORD "','new_password':'password'}", INVALID,
     "new_password common"},
    {"{'current_password':'" PASSWORD "','new_password':'ada@EXAMPLE.org'}", INVALID,
     "new_password common"},
    {"{'current_password':'not it','new_password':'ada@example.org'}", INVALID,
     "new_password common"},
    {"{'current_password':'','new_password':'ada@example.org'}", INVALID,
     "current_password too_short, new_password common"},
    {"{'new_password':'ada@example.org'}", MISSING_FIELDS,
     "current_password required, new_password common"},
};

TEST_EACH(a_bad_change_is_told_all_its_faults, bad_changes)
{
    ck_refusal("POST", ada.access, "/auth/password", &bad_changes[_i]);

    ck_alive(elsewhere.access);
    ck_status(try_login("ada@example.org", PASSWORD), 200);
}

static const struct {
    size_t length;
    int status;
} lengths[] = {{7, 400}, {8, 204}, {128, 204}, {129, 400}};

TEST_EACH(a_new_password_has_8_to_128_code_points, lengths)
{
    const char *word = repeat("\303\244", lengths[_i].length);

    ck_status(change_password(ada.access, PASSWORD, word), lengths[_i].status);
    ck_status(try_login("ada@example.org", word), lengths[_i].status == 204 ? 200 : 401);
}

/* A call of this file that is for those who logged in. */
static const struct {
    const char *method, *path;
} closed[] = {
    {"POST", "/auth/password"},
};

TEST_EACH(ones_account_is_for_those_who_logged_in, closed)
{
    const char *method = closed[_i].method, *path = closed[_i].path;
    const char *body = object("{'current_password':'%s'}", PASSWORD);

    ck_token_needed(method, path, body);
    ck_problem(api_ask(.method = method, .path = path, .token = ada.access), BAD_JSON);
}

/* ---- imported hashes ---- */

/* Published vectors; check_password.c has more. */
static const struct {
    const char *password, *hash;
} known[] = {
    /* The reference implementation of Argon2, its test.c: other variants and settings. */
    {"password",
     "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"},
    {"password",
     "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8"},
    /* RFC 7914 sections 12 and 11, as Werkzeug would write them. */
    {"password", "scrypt:1024:8:16$NaCl$"
                 "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d9"
                 "2e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"},
    {"passwd",
     "pbkdf2:sha256:1$salt$55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"},
    /* RFC 6070 section 2. */
    {"password", "pbkdf2:sha1:4096$salt$4b007901b765489abead49d926f721d065a429c1"},
    /* crypt_blowfish. */
    {"U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
    {"U*U*", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"},
};

static void import_hash(int i)
{
    run_sql(say("UPDATE users SET password_hash = '%s' WHERE email = 'Ada@example.org'",
                known[i].hash));
}

static int64_t of_hash(const char *pattern)
{
    return rows_in(
        say("users WHERE email = 'Ada@example.org' AND password_hash LIKE '%s'", pattern));
}

CASE("importing", meet_ada_and_bob, loopback_close);

TEST_EACH(who_was_imported_logs_in_and_gets_a_hash_of_today_s_form, known)
{
    import_hash(_i);
    ck_assert_int_eq(of_hash("$argon2id$v=19$m=19456,t=2,p=1$%"), 0);

    ck_status(try_login("ada@example.org", known[_i].password), 200);

    ck_assert_int_eq(of_hash("$argon2id$v=19$m=19456,t=2,p=1$%"), 1);
    ck_status(try_login("ada@example.org", known[_i].password), 200);
    ck_status(try_login("ada@example.org", PASSWORD), 401);
    ck_alive(elsewhere.access);
}

TEST_EACH(a_wrong_password_does_not_replace_an_imported_hash, known)
{
    import_hash(_i);

    ck_status(try_login("ada@example.org", say("x%s", known[_i].password)), 401);
    ck_status(try_login("ada@example.org", PASSWORD), 401);

    ck_assert_int_eq(of_hash(known[_i].hash), 1);
}

TEST(a_disabled_account_keeps_its_imported_hash)
{
    import_hash(0);
    run_sql("UPDATE users SET is_active = 0");

    ck_status(try_login("ada@example.org", known[0].password), 401);

    ck_assert_int_eq(of_hash(known[0].hash), 1);
}

TEST_EACH(an_imported_password_may_be_changed, known)
{
    import_hash(_i);

    ck_wrong_password(change_password(ada.access, PASSWORD, NEW_WORD));
    ck_status(change_password(ada.access, known[_i].password, NEW_WORD), 204);

    ck_password(NEW_WORD, known[_i].password);
}

/* ---- mail ---- */

static void set_up_mail(void)
{
    meet_ada_and_bob();
    loopback_set("MAIL_COMMAND=/nonexistent/sendmail", "LOG_REQUESTS=true");
    ck_mailed("");
}

static struct answer forget(const char *email)
{
    the_time.us += 1000;
    return api_post(NULL, "/auth/password/forgot", object("{'email':'%s'}", email));
}

static const char *stored_address(const char *email)
{
    return strcasecmp(email, "ada@example.org") == 0 ? "Ada@example.org" : email;
}

static const char *ask_for_token(const char *email)
{
    ck_status(forget(email), 202);
    return token_mailed("reset", stored_address(email));
}

static struct answer reset(const char *token, const char *password)
{
    return api_post(NULL, "/auth/password/reset",
                    object("{'token':'%s','new_password':'%s'}", token, password));
}

static void ck_bad_token(struct answer answer)
{
    ck_invalid(answer, "token wrong");
}

static int64_t resets(void)
{
    return rows_in("mailed_tokens WHERE kind = 'reset'");
}

/* All headers but the one that always differs. */
static const char *headers_of(struct answer answer)
{
    const char *id = strcasestr(answer.headers, "X-Request-Id:");
    ck_assert_ptr_nonnull(id);
    return say("%.*s%s", (int)(id - answer.headers), answer.headers, strstr(id, "\r\n"));
}

/* Whether these accounts are there shows in nothing. */
static const char *const addresses[] = {
    "ada@example.org",
    "ADA@EXAMPLE.ORG",
    "nobody@example.org",
    "disabled@example.org",
};

CASE("forgetting", set_up_mail, loopback_close);

TEST_EACH(every_address_gets_the_same_answer, addresses)
{
    make_disabled_user("disabled@example.org", ROLE_USER);
    struct answer other = forget("bob@example.org");

    struct answer answer = forget(addresses[_i]);

    ck_status(answer, 202);
    ck_assert_str_eq(answer.text, other.text);
    ck_assert_str_eq(headers_of(answer), headers_of(other));
    ck_assert_str_eq(answer_header(answer, "Cache-Control"), "no-store");
    /* Nor in what it writes: of each table as many rows. */
    ck_rows("mailed_tokens", 2);
    ck_rows("outbox", 2);
}

TEST(mail_goes_to_known_and_active_users_only)
{
    make_disabled_user("disabled@example.org", ROLE_USER);

    ck_status(forget("nobody@example.org"), 202);
    ck_status(forget("disabled@example.org"), 202);
    ck_assert_int_eq(resets(), 0);
    ck_status(forget("ada@example.org"), 202);

    ck_assert_int_eq(resets(), 1);
    ck_mailed("reset Ada@example.org");
}

static const char *const networks[] = {"192.0.2.1", "198.51.100.7", "2001:db8::1"};

TEST(a_mailbox_gets_three_messages_and_then_one_in_twenty_minutes)
{
    static const char *const spellings[] = {"ada@example.org", "ADA@example.org",
                                            "Ada@Example.Org"};
    struct answer other = forget("nobody@example.org");
    for (int i = 0; i < 3; i++)
        ck_status(api_ask(.method = "POST", .path = "/auth/password/forgot", .from = networks[i],
                          .body = object("{'email':'%s'}", spellings[i])),
                  202);

    struct answer answer = forget("ada@example.org");

    ck_status(answer, 202);
    ck_assert_str_eq(headers_of(answer), headers_of(other));
    ck_assert_str_eq(answer.text, other.text);
    ck_assert_int_eq(resets(), 3); /* so nothing is sent */
    ck_assert_uint_eq(the_app->shared->refused[LIMIT_MAILBOX], 1);
    ask_for_token("bob@example.org");
    pass_s(20 * 60 - 1);
    ck_status(forget("ada@example.org"), 202);
    ck_assert_int_eq(resets(), 4);
    pass_s(1);
    ask_for_token("ada@example.org");
}

static const char *const no_limits[] = {"LIMITS=guesses", "LIMITS=off", "LOGIN_LIMIT=off"};

TEST_EACH(without_limits_a_mailbox_gets_what_is_asked_for, no_limits)
{
    loopback_set(no_limits[_i], "MAIL_COMMAND=/nonexistent/sendmail");

    for (int i = 0; i < 5; i++)
        ask_for_token("ada@example.org");
    ck_assert_int_eq(resets(), 5);
}

TEST(forgot_and_reset_do_not_look_at_authorization)
{
    const char *body = object("{'email':'ada@example.org'}");

    ck_status(
        api_ask(.method = "POST", .path = "/auth/password/forgot", .token = "x", .body = body),
        202);
    const char *token = token_mailed("reset", "Ada@example.org");

    ck_status(api_ask(.method = "POST", .path = "/auth/password/reset", .token = "x",
                      .body = object("{'token':'%s','new_password':'%s'}", token, NEW_WORD)),
              204);
}

/* An address that would be more than one, or more than a line of a header. */
static const char *const forged[] = {
    "ada@example.org\\nBcc: eve@example.org",
    "ada@example.org\\r\\nBcc: eve@example.org",
    "ada@example.org\\n\\nHello",
    "ada@example.org,eve@example.org",
    "ada@example.org eve@example.org",
    "<ada@example.org>",
    "Ada <ada@example.org>",
    "ada@example.org\\u0000eve",
    "ada@example.org\\u000b",
    "ada@example.org(x)",
    "\\\"ada\\\"@example.org",
    "ada:eve;@example.org",
};

TEST_EACH(an_address_forges_no_header, forged)
{
    struct answer answer =
        api_post(NULL, "/auth/password/forgot", say("{\"email\":\"%s\"}", forged[_i]));

    ck_assert_int_eq(answer.status, 400);
    ck_assert_int_eq(resets(), 0);

    ck_mailed("");
}

/* A table from elsewhere may hold what we would not have let in. */
TEST(a_stored_address_forges_no_header_either)
{
    run_sql("UPDATE users SET email = CONCAT(email, CHAR(10), 'Bcc: eve@example.org') WHERE email "
            "= 'Ada@example.org'");

    ck_status(forget("ada@example.org"), 202);

    ck_assert_int_eq(resets(), 0);
}

static const struct refusal bad_requests[] = {
    {"{}", MISSING_FIELDS, "email required"},
    {"{'email':null}", INVALID, "email type"},
    {"{'email':'nonsense'}", INVALID_EMAIL, "email format"},
};

TEST_EACH(a_bad_request_for_a_token_is_told_its_faults, bad_requests)
{
    ck_refusal("POST", NULL, "/auth/password/forgot", &bad_requests[_i]);
}

/* ---- a new password by a token ---- */

CASE("resetting", set_up_mail, loopback_close);

TEST(a_token_is_good_for_one_new_password)
{
    const char *token = ask_for_token("ada@example.org");

    struct answer answer = reset(token, NEW_WORD);

    ck_status(answer, 204);
    ck_assert_str_eq(answer.text, "");
    ck_password(NEW_WORD, PASSWORD);
    ck_bad_token(reset(token, "another long one"));
    ck_password(NEW_WORD, "another long one");
}

static const struct {
    int after_s, status;
} ages[] = {{HOUR_S - 1, 204}, {HOUR_S, 400}, {24 * HOUR_S, 400}};

TEST_EACH(a_token_is_good_for_an_hour, ages)
{
    const char *token = ask_for_token("ada@example.org");

    pass_s(ages[_i].after_s);

    ck_status(reset(token, NEW_WORD), ages[_i].status);
    ck_status(try_login("ada@example.org", NEW_WORD), ages[_i].status == 204 ? 200 : 401);
}

TEST(a_reset_ends_all_sessions_of_the_user)
{
    ck_status(reset(ask_for_token("ada@example.org"), NEW_WORD), 204);

    ck_ended(&ada);
    ck_ended(&elsewhere);
    ck_alive(bob.access);
    ck_status(refresh(bob.refresh), 200);
}

TEST(a_second_token_of_the_user_dies_with_the_reset)
{
    const char *first = ask_for_token("ada@example.org");
    const char *second = ask_for_token("ada@example.org");
    const char *bobs = ask_for_token("bob@example.org");

    ck_status(reset(second, NEW_WORD), 204);

    ck_bad_token(reset(first, "another long one"));
    ck_status(reset(bobs, NEW_WORD), 204);
    ck_assert_int_eq(resets(), 0);
}

TEST(a_token_dies_when_the_password_is_changed)
{
    const char *token = ask_for_token("ada@example.org");

    ck_status(change_password(ada.access, PASSWORD, NEW_WORD), 204);

    ck_bad_token(reset(token, "another long one"));
}

TEST(a_changed_password_is_told_to_the_mailbox)
{
    ck_status(change_password(ada.access, PASSWORD, NEW_WORD), 204);

    ck_mailed("password_changed Ada@example.org");
}

TEST(a_reset_is_told_to_the_mailbox)
{
    ck_status(reset(ask_for_token("ada@example.org"), NEW_WORD), 204);

    ck_mailed("reset Ada@example.org, password_reset Ada@example.org");
}

TEST(a_refused_change_tells_nobody)
{
    ck_status(change_password(ada.access, "not " PASSWORD, NEW_WORD), 400);
    ck_status(reset("nonsense", NEW_WORD), 400);

    ck_mailed("");
}

static const char *const ends[] = {
    "UPDATE users SET is_active = 0 WHERE email = 'Ada@example.org'",
    "DELETE FROM users WHERE email = 'Ada@example.org'",
};

TEST_EACH(a_token_is_of_no_use_to_who_is_gone_or_disabled, ends)
{
    const char *token = ask_for_token("ada@example.org");

    run_sql(ends[_i]);

    ck_bad_token(reset(token, NEW_WORD));
}

TEST(what_is_no_token_is_refused)
{
    const char *token = ask_for_token("ada@example.org");

    ck_bad_token(reset("x", NEW_WORD));
    ck_bad_token(reset(repeat("A", 43), NEW_WORD));
    ck_bad_token(reset(say("%s ", token), NEW_WORD));
    ck_bad_token(reset(say("%.42s", token), NEW_WORD));
    ck_bad_token(reset(ada.refresh, NEW_WORD));

    ck_status(reset(token, NEW_WORD), 204);
}

static const struct refusal bad_resets[] = {
    {"{}", MISSING_FIELDS, "token required, new_password required"},
    {"{'token':7,'new_password':null}", INVALID, "token type, new_password type"},
    {"{'token':'','new_password':'short'}", INVALID, "token too_short, new_password too_short"},
    {"{'token':'%s','new_password':'password'}", INVALID, "new_password common"},
    {"{'token':'%s','new_password':'ADA@example.org'}", INVALID, "new_password common"},
    {"{'token':'%s','new_password':'1234567'}", INVALID, "new_password too_short"},
    {"{'token':'%s%s%s','new_password':'" NEW_WORD "'}", INVALID, "token too_long"},
};

/* Put `with` wherever there is a %s. */
static const char *fill(const char *text, const char *with)
{
    const char *filled = "";
    for (const char *mark; (mark = strstr(text, "%s")); text = mark + 2)
        filled = say("%s%.*s%s", filled, (int)(mark - text), text, with);
    return say("%s%s", filled, text);
}

TEST_EACH(a_bad_reset_is_told_its_faults_and_leaves_the_token, bad_resets)
{
    const char *token = ask_for_token("ada@example.org");

    struct refusal want = bad_resets[_i];
    want.body = fill(want.body, token);

    ck_refusal("POST", NULL, "/auth/password/reset", &want);

    ck_alive(ada.access);
    ck_status(reset(token, NEW_WORD), 204);
}

TEST(a_token_is_stored_as_its_hash_only)
{
    const char *token = ask_for_token("ada@example.org");

    ck_rows(say("mailed_tokens WHERE hash = UNHEX(SHA2('%s', 256))", token), 1);
    ck_rows("information_schema.columns WHERE table_schema = DATABASE() AND table_name = "
            "'mailed_tokens' AND column_name NOT IN ('id', 'hash', 'kind', 'user_id', 'address', "
            "'address_folded', 'sequence', 'expires_at')",
            0);
}

TEST(a_few_tokens_that_have_expired_go_with_each_request_for_one)
{
    for (int i = 0; i < 7; i++)
        run_sql(say("INSERT INTO mailed_tokens (id, hash, kind, user_id, address, expires_at) "
                    "SELECT UUID(), UNHEX(SHA2('%d', 256)), 'reset', id, email, '2001-01-01' "
                    "FROM users WHERE email = 'bob@example.org'",
                    i));

    ck_status(forget("nobody@example.org"), 202);
    ck_assert_int_eq(resets(), 2);
    ck_status(forget("nobody@example.org"), 202);

    ck_assert_int_eq(resets(), 0);
}

/* ---- where a token must not be seen ---- */

/* From here on the log of this process goes to a file. */
static const char *catch_log(void)
{
    const char *name = say("check-log-%d", (int)getpid());
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    close(fd);
    return name;
}

static const char *read_whole(const char *path)
{
    char *text = arena_alloc(the_arena, (size_t)64 * 1024);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_msg(fd >= 0, "%s", path);
    ssize_t len = read(fd, text, (size_t)64 * 1024 - 1);
    close(fd);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_ge(len, 0);
    text[len] = '\0';
    return text;
}

CASE("forgetting", set_up_mail, loopback_close);

TEST(a_token_is_in_no_log)
{
    const char *name = catch_log();

    const char *token = ask_for_token("ada@example.org");
    ck_status(reset(token, "short"), 400);
    ck_status(reset(token, NEW_WORD), 204);
    ck_status(reset(token, NEW_WORD), 400);

    const char *log = read_whole(name);
    ck_assert_ptr_nonnull(strstr(log, "/auth/password/forgot"));
    ck_assert_ptr_nonnull(strstr(log, "/auth/password/reset"));
    ck_assert_ptr_null(strstr(log, token));
    ck_assert_ptr_null(strstr(log, NEW_WORD));
}

/* ---- without mail ---- */

static const char *const methods[] = {"POST",  "GET",    "HEAD",    "PUT",
                                      "PATCH", "DELETE", "OPTIONS", "BREW"};
static const char *const mail_paths[] = {"/auth/password/forgot", "/auth/password/reset"};

CASE("changing", meet_ada_and_bob, loopback_close);

TEST_EACH(without_a_mail_command_the_paths_are_unknown, methods)
{
    for (int i = 0; i < COUNT(mail_paths); i++) {
        struct answer answer =
            api_ask(.method = methods[_i], .path = mail_paths[i], .body = object("{}"));

        ck_problem(answer, NOT_FOUND);
        ck_assert_str_eq(answer_text(answer, "message"), "Resource does not exist");
        ck_assert_ptr_null(answer_header(answer, "Allow"));
    }
}

CASE("forgetting", set_up_mail, loopback_close);

TEST(with_a_mail_command_the_paths_have_their_methods)
{
    for (int i = 0; i < COUNT(mail_paths); i++) {
        struct answer refused = api_get(NULL, "%s", mail_paths[i]);

        ck_methods(mail_paths[i], "POST, OPTIONS");
        ck_problem(refused, METHOD_NOT_ALLOWED);
        ck_assert_str_eq(answer_header(refused, "Allow"), "POST, OPTIONS");
    }
}

CASE("resetting", set_up_mail, loopback_close);

TEST(the_token_of_an_earlier_mail_waits_for_the_command_to_come_back)
{
    const char *token = ask_for_token("ada@example.org");

    loopback_set("MAIL_COMMAND=");
    ck_problem(reset(token, NEW_WORD), NOT_FOUND);
    loopback_set("MAIL_COMMAND=/nonexistent/sendmail");

    ck_status(reset(token, NEW_WORD), 204);
}

/* ---- meanwhile ---- */

struct duel {
    const char *token;
    int round, status_fd;
};

static const char *word_of(int round, int number)
{
    return say("word %d of round %d", number, round);
}

static void strike(int number, void *context)
{
    const struct duel *duel = context;
    int status = reset(duel->token, word_of(duel->round, number)).status;
    ck_assert_int_eq(write(duel->status_fd, &status, sizeof status), sizeof status);
}

TEST(of_two_who_use_a_token_at_once_one_is_refused)
{
    for (int round = 0; round < 5; round++) {
        int told[2], status[2];
        ck_assert_int_eq(pipe(told), 0);
        pass_s(20 * 60); /* for another message to the same mailbox */
        struct duel duel = {ask_for_token("ada@example.org"), round, told[1]};

        parallel(2, strike, &duel);

        ck_assert_int_eq(read(told[0], status, sizeof status), sizeof status);
        ck_assert_int_eq(status[0] + status[1], 204 + 400);
        ck_assert_int_ne(try_login("ada@example.org", word_of(round, 0)).status,
                         try_login("ada@example.org", word_of(round, 1)).status);
    }
}
