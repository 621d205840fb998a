/* needs: mariadb */
/* Sessions: refresh, end, list, as clients see them. */
#include "tests/support/loopback.h"

#include <string.h>
#include <sys/mman.h>

#include "common/base/encode.h"
#include "common/crypto/digest.h"
#include "fcgi-app/accounts/tokens.h"
#include "tests/support/parallel.h"
#include "tests/support/people.h"
#include "tests/support/refusals.h"
#include "tests/support/suite.h"

#define OTHER_KEY "Xe7Rb2Ku9Wf4Gy1Zt6Mq3Vd8Sn5Ph0Lc"
#define MONTH_S (30 * 24 * 60 * 60)

/* Who is there when a test begins: Ada, logged in. */
static const char *ada_id;
static struct login ada;

static void set_up(void)
{
    loopback_open();
    ada_id = make_user("ada@example.org", ROLE_USER);
    ada = enter("ada@example.org");
}

/* A refresh that is granted. */
static struct login renew(const char *token)
{
    return login_of(refresh(token));
}

/* So many of them, with so much time before each. */
static struct login renew_often(struct login login, int times, int64_t apart_s)
{
    for (int i = 0; i < times; i++) {
        pass_s(apart_s);
        login = renew(login.refresh);
    }
    return login;
}

static void ck_refused(struct answer answer)
{
    ck_problem(answer, INVALID_TOKEN);
    ck_assert_str_eq(answer_header(answer, "WWW-Authenticate"), "Bearer realm=\"postern\"");
}

static void ck_dead(const char *access)
{
    ck_problem(api_get(access, "/auth/profile"), INVALID_TOKEN);
}

static int64_t sessions(void)
{
    return rows_in("sessions");
}

/* ---- refresh ---- */

CASE("refreshing", set_up, loopback_close);

TEST(a_refresh_gives_new_tokens)
{
    struct answer answer = refresh(ada.refresh);

    ck_status(answer, 200);
    ck_assert_str_ne(answer_text(answer, "access_token"), ada.access);
    ck_assert_str_ne(answer_text(answer, "refresh_token"), ada.refresh);
    ck_assert_str_eq(answer_text(answer, "token_type"), "Bearer");
    ck_assert_int_eq(answer_integer(answer, "expires_in"), 900);
    ck_assert(!answer_has(answer, "user"));
    ck_assert_str_eq(answer_header(answer, "Cache-Control"), "no-store");
    ck_alive(answer_text(answer, "access_token"));
}

TEST(the_session_stays_the_same)
{
    struct login next = renew(ada.refresh);

    ck_assert_int_eq(sessions(), 1);
    ck_assert_str_eq(api_get(next.access, "/auth/sessions").text,
                     api_get(ada.access, "/auth/sessions").text);
}

TEST(a_session_goes_on_by_its_newest_token)
{
    struct login login = ada;

    for (int i = 0; i < 5; i++) {
        pass_s(3600);
        struct login next = renew(login.refresh);
        ck_assert_str_ne(next.refresh, login.refresh);
        ck_alive(next.access);
        login = next;
    }

    ck_assert_int_eq(sessions(), 1);
}

TEST(a_refresh_does_not_look_at_authorization)
{
    ck_status(api_ask(.method = "POST", .path = "/auth/refresh", .token = "nonsense",
                      .body = object("{'refresh_token':'%s'}", ada.refresh)),
              200);
}

static const struct refusal bad_refreshes[] = {
    {"", BAD_JSON},
    {"[]", BAD_JSON},
    {"{}", MISSING_FIELDS, "refresh_token required"},
    {"{'refresh_token':null}", INVALID, "refresh_token type"},
    {"{'refresh_token':7}", INVALID, "refresh_token type"},
};

TEST_EACH(a_refresh_without_a_token_is_a_bad_request, bad_refreshes)
{
    ck_refusal("POST", NULL, "/auth/refresh", &bad_refreshes[_i]);
}

TEST(what_is_no_refresh_token_is_refused)
{
    ck_refused(refresh(""));
    ck_refused(refresh("x"));
    ck_refused(refresh(repeat("A", 86)));
    ck_refused(refresh(say("%s=", ada.refresh)));
    ck_refused(refresh(say(" %s", ada.refresh)));
    ck_refused(refresh(repeat("A", 1000)));
    ck_refused(refresh(ada.access));

    ck_alive(ada.access);
    renew(ada.refresh);
}

TEST(an_access_token_is_not_its_refresh_token)
{
    ck_problem(api_get(ada.refresh, "/auth/profile"), INVALID_TOKEN);
}

/* Everything that the tables of sessions hold, as text and as hexadecimal digits. */
#define STORED                                                                                     \
    "SELECT COUNT(*) AS n FROM (SELECT CONCAT_WS(' ', id, user_id, HEX(refresh_hash), "            \
    "ip, user_agent) AS stored FROM sessions UNION ALL "                                           \
    "SELECT CONCAT_WS(' ', HEX(hash), session_id) FROM session_refreshes) AS everything "

static const char *hex(const void *data, size_t len)
{
    const unsigned char *bytes = data;
    const char *text = "";
    for (size_t i = 0; i < len; i++)
        text = say("%s%02X", text, bytes[i]);
    return text;
}

static struct refresh_token token_in(const char *text)
{
    struct refresh_token token;
    ck_assert(refresh_read(the_arena, text_of(text), &token));
    return token;
}

static void ck_not_stored(const char *text)
{
    struct refresh_token token = token_in(text);

    ck_assert_int_eq(ask_number(say(STORED "WHERE INSTR(stored, '%s')", text)), 0);
    ck_assert_int_eq(ask_number(say(STORED "WHERE INSTR(stored, '%s')", hex(token.secret, 32))), 0);
    ck_assert_int_eq(ask_number(say(STORED "WHERE INSTR(stored, '%s')", hex(token.tag, 16))), 0);
    ck_assert_int_eq(ask_number(say(STORED "WHERE INSTR(stored, '%s')", hex(token.hash, 32))), 1);
}

TEST(no_token_is_stored_but_the_hash_of_each)
{
    struct login next = renew(ada.refresh);
    struct login last = renew(next.refresh);
    renew(ada.refresh);

    ck_assert_int_eq(ask_number(STORED), 3);
    ck_not_stored(ada.refresh);
    ck_not_stored(next.refresh);
    ck_not_stored(last.refresh);
}

/* The columns that the test above looks at are all that there are beside times. */
TEST(the_tables_of_sessions_have_no_other_columns)
{
    ck_rows("information_schema.columns WHERE table_schema = DATABASE() AND table_name IN "
            "('sessions', 'session_refreshes') AND data_type <> 'datetime' AND column_name NOT IN "
            "('id', 'user_id', 'refresh_hash', 'ip', 'user_agent', 'hash', 'session_id')",
            0);
}

/* ---- the grace ---- */

static const int within_grace_s[] = {0, 1, 9, 10};

CASE("reusing", set_up, loopback_close);

TEST_EACH(a_used_token_yields_the_same_successor_for_ten_seconds, within_grace_s)
{
    struct login next = renew(ada.refresh);

    pass_s(within_grace_s[_i]);
    struct login again = renew(ada.refresh);

    ck_assert_str_eq(again.refresh, next.refresh);
    ck_alive(again.access);
    ck_assert_str_ne(renew(next.refresh).refresh, next.refresh);
}

/* One that is used already would end the session of whoever got it. */
TEST(a_used_token_yields_the_live_one_however_many_followed)
{
    struct login next = renew(ada.refresh);
    pass_s(4);
    struct login third = renew(next.refresh), last = renew(third.refresh);
    pass_s(5);

    struct login again = renew(ada.refresh);
    ck_assert_str_eq(again.refresh, last.refresh);
    ck_assert_str_eq(renew(next.refresh).refresh, last.refresh);
    ck_assert_str_eq(renew(third.refresh).refresh, last.refresh);

    pass_s(11);
    ck_alive(renew(again.refresh).access);
    ck_assert_int_eq(sessions(), 1);
}

TEST(there_is_an_end_to_what_followed)
{
    struct login last = renew_often(ada, 100, 0);
    ck_assert_str_eq(renew(ada.refresh).refresh, last.refresh);
    last = renew(last.refresh);

    ck_refused(refresh(ada.refresh));

    ck_alive(renew(last.refresh).access);
}

static const int64_t waits_s[] = {1, 12};

/* While the database stalls. */
static struct login renew_slowly(const char *token, int64_t waited_s)
{
    return login_of(api_ask(.method = "POST", .path = "/auth/refresh",
                            .body = object("{'refresh_token':'%s'}", token), .waited_s = waited_s));
}

TEST(the_grace_begins_with_the_exchange_however_long_that_took)
{
    struct login next = renew_slowly(ada.refresh, 12);
    pass_s(12 + 9);

    ck_assert_str_eq(renew(ada.refresh).refresh, next.refresh);

    pass_s(60);
    ck_refused(refresh(ada.refresh));
}

TEST_EACH(who_asked_with_the_first_is_within_its_grace, waits_s)
{
    struct login next = renew_slowly(ada.refresh, waits_s[_i]);

    ck_assert_str_eq(renew_slowly(ada.refresh, waits_s[_i]).refresh, next.refresh);
}

TEST(asking_again_does_not_make_the_grace_longer)
{
    struct login next = renew(ada.refresh);
    pass_s(6);
    renew(ada.refresh);
    pass_s(6);

    ck_refused(refresh(ada.refresh));
    ck_dead(next.access);
}

/* ---- a clock that is set ---- */

static const int64_t set_back_s[] = {6, 11, 600, 3600 - 11, 23 * 3600};

TEST_EACH(a_token_used_before_the_clock_was_set_back_is_not_within_its_grace, set_back_s)
{
    struct login next = renew(ada.refresh);
    pass_s(-set_back_s[_i]);

    ck_refused(refresh(ada.refresh));

    ck_refused(refresh(next.refresh));
    ck_assert_int_eq(sessions(), 0);
}

TEST_EACH(honest_clients_outlive_a_clock_that_is_set_back, set_back_s)
{
    struct login next = renew(ada.refresh);
    pass_s(-set_back_s[_i]);

    struct login last = renew(next.refresh);
    ck_alive(last.access);
    ck_assert_str_eq(renew(next.refresh).refresh, last.refresh);
    ck_rows("session_refreshes", 1);
    pass_s(set_back_s[_i]);
    ck_alive(renew(last.refresh).access);
    ck_assert_int_eq(sessions(), 1);
}

/* Of two hosts one may be a little ahead. */
TEST(hosts_whose_clocks_differ_by_seconds_share_the_grace)
{
    struct login next = renew(ada.refresh);
    pass_s(-5);
    struct login last = renew(next.refresh);
    pass_s(3);

    ck_assert_str_eq(renew(ada.refresh).refresh, last.refresh);
    pass_s(-3);
    ck_assert_str_eq(renew(ada.refresh).refresh, last.refresh);
    ck_assert_int_eq(sessions(), 1);
}

TEST(a_clock_that_is_set_forward_ends_the_grace)
{
    renew(ada.refresh);
    pass_s(3600);

    ck_refused(refresh(ada.refresh));
    ck_assert_int_eq(sessions(), 0);
}

TEST(a_session_of_a_clock_far_ahead_does_not_live)
{
    pass_s(20 * 24 * 3600);
    struct login ahead = enter("ada@example.org");
    ck_alive(ahead.access);
    pass_s(-20 * 24 * 3600);

    ck_refused(refresh(ahead.refresh));
    ck_alive(ada.access);
    ck_assert_uint_eq(answer_count(api_get(ada.access, "/auth/sessions")), 1);
    ck_assert_int_eq(answer_total(api_get(ada.access, "/auth/sessions")), 1);
}

TEST(reuse_after_the_grace_ends_the_session)
{
    struct login next = renew(ada.refresh), elsewhere = enter("ada@example.org");
    the_time.us += 10 * 1000000 + 1;
    ck_alive(next.access);

    ck_refused(refresh(ada.refresh));

    ck_dead(ada.access);
    ck_dead(next.access);
    ck_refused(refresh(next.refresh));
    ck_alive(elsewhere.access);
    ck_assert_int_eq(sessions(), 1);
}

/* Its row has been dropped by then: the token is known by its tag alone. */
TEST(reuse_of_a_token_from_long_ago_ends_the_session)
{
    struct login login = renew_often(ada, 3, 3600);
    ck_rows("session_refreshes", 1);

    ck_refused(refresh(ada.refresh));

    ck_dead(login.access);
    ck_refused(refresh(login.refresh));
    ck_assert_int_eq(sessions(), 0);
}

/* A token in which one of its parts is replaced by something made up. */
static const char *forge(const char *text, bool secret, bool session, bool tag)
{
    struct refresh_token token = token_in(text);
    unsigned char bytes[sizeof token.secret + sizeof token.session + sizeof token.tag];
    if (secret)
        random_bytes(token.secret, sizeof token.secret);
    if (session)
        token.session = uuid_make(the_time);
    if (tag)
        random_bytes(token.tag, sizeof token.tag);
    memcpy(bytes, token.secret, sizeof token.secret);
    memcpy(bytes + sizeof token.secret, &token.session, sizeof token.session);
    memcpy(bytes + sizeof token.secret + sizeof token.session, token.tag, sizeof token.tag);
    return base64url(the_arena, bytes, sizeof bytes);
}

TEST(a_made_up_token_does_not_end_the_session_that_it_names)
{
    ck_assert_str_eq(forge(ada.refresh, false, false, false), ada.refresh);

    ck_refused(refresh(forge(ada.refresh, true, false, true)));
    ck_refused(refresh(forge(ada.refresh, true, false, false)));
    ck_refused(refresh(forge(ada.refresh, false, false, true)));
    ck_refused(refresh(forge(ada.refresh, false, true, false)));

    ck_alive(ada.access);
    renew(ada.refresh);
}

/* The tag of one session's token is of no use for another session. */
TEST(a_token_does_not_end_another_session)
{
    struct refresh_token eves = token_in(enter_new("eve@example.org", ROLE_USER).refresh);
    struct refresh_token adas = token_in(ada.refresh);
    unsigned char bytes[64];
    memcpy(bytes, eves.secret, 32);
    memcpy(bytes + 32, &adas.session, 16);
    memcpy(bytes + 48, eves.tag, 16);

    ck_refused(refresh(base64url(the_arena, bytes, sizeof bytes)));

    ck_alive(ada.access);
    renew(ada.refresh);
}

/* ---- who may not any more ---- */

CASE("ends", set_up, loopback_close);

TEST(a_session_lives_for_thirty_days)
{
    struct login other = enter("ada@example.org");

    pass_s(MONTH_S - 1);
    renew(other.refresh);
    pass_s(1);

    ck_refused(refresh(ada.refresh));
    ck_alive(renew(renew(other.refresh).refresh).access);
}

TEST(each_refresh_makes_a_session_live_for_thirty_days_more)
{
    struct login login = renew_often(ada, 4, MONTH_S - 1);

    ck_alive(login.access);
}

TEST(a_disabled_user_gets_no_tokens_and_the_token_is_not_used_up)
{
    run_sql("UPDATE users SET is_active = 0");
    ck_refused(refresh(ada.refresh));
    ck_problem(api_get(ada.access, "/auth/profile"), USER_INACTIVE);

    run_sql("UPDATE users SET is_active = 1");

    ck_rows("session_refreshes", 0);
    renew(ada.refresh);
}

/* What an admin does to Ada, and what her tokens are worth at the next request. */
static const struct {
    const char *change; /* NULL: deletion */
    int profile, refresh, admins_page;
} measures[] = {
    {"{'is_active':false}", 401, 401, 401},
    {"{'role':'admin'}", 200, 200, 404},
    {"{'role':'user'}", 200, 200, 403},
    {NULL, 401, 401, 401},
};

TEST_EACH(what_an_admin_does_takes_effect_at_the_next_request, measures)
{
    const char *admin = bearer_of_new("admin@example.org", ROLE_ADMIN);
    const char *path = say("/users/%s", ada_id);
    ck_alive(ada.access);

    if (measures[_i].change)
        ck_status(api_patch(admin, path, object("%s", measures[_i].change)), 200);
    else
        ck_status(api_delete(admin, "/users/%s", ada_id), 204);

    ck_status(api_get(ada.access, "/auth/profile"), measures[_i].profile);
    ck_status(api_delete(ada.access, "/users/" NOBODY_ID), measures[_i].admins_page);
    ck_status(refresh(ada.refresh), measures[_i].refresh);
}

/* ---- many at once ---- */

#define PROCESSES 10
#define ROUNDS 5

/* Where processes leave what they were answered. */
struct result {
    int status;
    char token[100];
};

static void refresh_often(int number, void *context)
{
    struct result *results = (struct result *)context + (ptrdiff_t)number * ROUNDS;
    for (int i = 0; i < ROUNDS; i++) {
        struct answer answer = refresh(ada.refresh);
        results[i].status = answer.status;
        if (answer.status == 200)
            strncpy(results[i].token, answer_text(answer, "refresh_token"), 99);
    }
}

CASE("reusing", set_up, loopback_close);

TEST(of_fifty_refreshes_at_once_all_get_one_successor)
{
    size_t size = sizeof(struct result[PROCESSES * ROUNDS]);
    struct result *results =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(results, MAP_FAILED);

    parallel(PROCESSES, refresh_often, results);

    for (int i = 0; i < PROCESSES * ROUNDS; i++) {
        ck_assert_int_eq(results[i].status, 200);
        ck_assert_str_eq(results[i].token, results[0].token);
    }
    ck_rows("session_refreshes", 1);
    ck_alive(renew(results[0].token).access);
    munmap(results, size);
}

/* ---- keys ---- */

static void rotate_keys(void)
{
    loopback_set("JWT_SECRET_KEY=" OTHER_KEY, "JWT_PREVIOUS_KEYS=" SECRET_KEY);
}

static void replace_key(void)
{
    loopback_set("JWT_SECRET_KEY=" OTHER_KEY);
}

CASE("keys", set_up, loopback_close);

TEST(tokens_of_a_previous_key_are_good)
{
    rotate_keys();

    ck_alive(ada.access);
    ck_alive(renew(ada.refresh).access);
}

TEST(new_tokens_are_signed_by_the_new_key)
{
    rotate_keys();
    struct login next = renew(ada.refresh);
    struct login fresh = login_of(try_login("ada@example.org", PASSWORD));

    replace_key();

    ck_dead(ada.access);
    ck_alive(next.access);
    ck_alive(fresh.access);
    renew(next.refresh);
}

TEST(without_the_old_key_its_access_tokens_die_but_not_the_session)
{
    replace_key();

    ck_dead(ada.access);
    struct login next = renew(ada.refresh);
    ck_alive(next.access);
    ck_assert_int_eq(sessions(), 1);
}

TEST(the_grace_outlives_a_change_of_keys)
{
    struct login next = renew(ada.refresh);
    rotate_keys();

    ck_assert_str_eq(renew(ada.refresh).refresh, next.refresh);
    struct login last = renew(next.refresh);

    ck_assert_str_eq(renew(next.refresh).refresh, last.refresh);
    ck_assert_str_eq(renew(ada.refresh).refresh, last.refresh);
    renew(last.refresh);
}

TEST(reuse_is_seen_after_a_change_of_keys)
{
    struct login next = renew(ada.refresh);
    rotate_keys();
    pass_s(11);

    ck_refused(refresh(ada.refresh));

    ck_dead(next.access);
    ck_assert_int_eq(sessions(), 0);
}

/* Nobody can tell it from a made-up one then, and the grace cannot be kept. */
TEST(a_used_token_of_a_forgotten_key_is_refused_and_ends_nothing)
{
    struct login next = renew(ada.refresh);
    replace_key();

    ck_refused(refresh(ada.refresh));
    pass_s(11);
    ck_refused(refresh(ada.refresh));

    renew(next.refresh);
}

/* ---- logout ---- */

static struct answer log_out(const char *token, const char *body)
{
    return api_post(token, "/auth/logout", body ? object("%s", body) : NULL);
}

static const char *with_token(const char *refresh_token, const char *more)
{
    return say("{'refresh_token':'%s'%s}", refresh_token, more);
}

/* What a client may send to end the session of its access token. */
static const char *const plain_logouts[] = {
    NULL, "{}", "{'all':false}", "{'refresh_token':null}", "{'refresh_token':'x','unknown':1}",
};

CASE("logging out", set_up, loopback_close);

TEST_EACH(logout_ends_this_session, plain_logouts)
{
    struct login elsewhere = enter("ada@example.org");

    struct answer answer = log_out(ada.access, plain_logouts[_i]);

    ck_status(answer, 204);
    ck_assert_str_eq(answer.text, "");
    ck_assert_str_eq(answer_header(answer, "Cache-Control"), "no-store");
    ck_dead(ada.access);
    ck_refused(refresh(ada.refresh));
    ck_alive(elsewhere.access);
    ck_assert_int_eq(sessions(), 1);
}

TEST(logout_of_all_ends_all_sessions_of_the_user)
{
    struct login elsewhere = enter("ada@example.org");
    struct login bob = enter_new("bob@example.org", ROLE_USER);

    ck_status(log_out(ada.access, "{'all':true}"), 204);

    ck_dead(ada.access);
    ck_dead(elsewhere.access);
    ck_refused(refresh(ada.refresh));
    ck_refused(refresh(elsewhere.refresh));
    ck_alive(bob.access);
    renew(bob.refresh);
}

TEST(a_live_refresh_token_logs_its_session_out)
{
    struct login elsewhere = enter("ada@example.org");

    ck_status(log_out(NULL, with_token(ada.refresh, "")), 204);

    ck_dead(ada.access);
    ck_refused(refresh(ada.refresh));
    ck_alive(elsewhere.access);
}

TEST(a_live_refresh_token_logs_all_of_its_user_s_sessions_out)
{
    struct login elsewhere = enter("ada@example.org");
    struct login bob = enter_new("bob@example.org", ROLE_USER);

    ck_status(log_out(NULL, with_token(ada.refresh, ",'all':true")), 204);

    ck_dead(ada.access);
    ck_dead(elsewhere.access);
    ck_alive(bob.access);
}

TEST(a_token_used_a_moment_ago_logs_out_too)
{
    struct login next = renew(ada.refresh);
    pass_s(10);

    ck_status(log_out(NULL, with_token(ada.refresh, "")), 204);

    ck_dead(next.access);
    ck_assert_int_eq(sessions(), 0);
}

TEST(a_dead_refresh_token_logs_nobody_out)
{
    struct login next = renew(ada.refresh), ended = enter("ada@example.org");
    ck_status(log_out(ended.access, NULL), 204);
    pass_s(11);

    ck_refused(log_out(NULL, with_token(ended.refresh, "")));
    ck_refused(log_out(NULL, with_token(ended.refresh, ",'all':true")));
    ck_refused(log_out(NULL, with_token(ada.refresh, ",'all':true")));
    ck_refused(log_out(NULL, with_token(forge(next.refresh, true, false, false), "")));
    ck_refused(log_out(NULL, "{'refresh_token':'x'}"));
    ck_refused(log_out(NULL, "{'refresh_token':''}"));

    ck_alive(next.access);
}

TEST(the_token_of_an_expired_session_logs_nobody_out)
{
    pass_s(MONTH_S);

    ck_refused(log_out(NULL, with_token(ada.refresh, "")));
}

static const char *const empty_logouts[] = {NULL, "{}", "{'all':true}", "{'refresh_token':null}"};

TEST_EACH(without_any_token_nobody_is_logged_out, empty_logouts)
{
    ck_problem(log_out(NULL, empty_logouts[_i]), NO_TOKEN);

    ck_assert_int_eq(sessions(), 1);
}

static void ck_refused_beside_token(struct answer answer)
{
    ck_problem(answer, INVALID_TOKEN);
    ck_assert_str_eq(answer_header(answer, "WWW-Authenticate"),
                     "Bearer realm=\"postern\", error=\"invalid_token\"");
}

TEST(a_bad_access_token_is_refused_beside_a_live_refresh_token)
{
    ck_refused_beside_token(log_out("nonsense", with_token(ada.refresh, "")));
    ck_alive(ada.access);
}

/* Who comes back after a while may still log out. */
TEST(an_access_token_that_has_expired_counts_as_none)
{
    pass_s(3600);

    ck_problem(log_out(ada.access, NULL), TOKEN_EXPIRED);
    ck_problem(log_out(ada.access, "{'all':true}"), TOKEN_EXPIRED);
    ck_refused_beside_token(log_out(ada.access, with_token(ada.access, "")));
    ck_assert_int_eq(sessions(), 1);
    ck_status(log_out(ada.access, with_token(ada.refresh, "")), 204);

    ck_assert_int_eq(sessions(), 0);
    ck_refused(refresh(ada.refresh));
}

TEST(with_an_expired_access_token_all_sessions_may_end_too)
{
    enter("ada@example.org");
    pass_s(3600);

    ck_status(log_out(ada.access, with_token(ada.refresh, ",'all':true")), 204);

    ck_assert_int_eq(sessions(), 0);
}

TEST(the_access_token_says_whose_session_if_there_are_both)
{
    struct login bob = enter_new("bob@example.org", ROLE_USER);

    ck_status(log_out(ada.access, with_token(bob.refresh, "")), 204);

    ck_dead(ada.access);
    ck_alive(bob.access);
}

TEST(who_has_logged_out_cannot_do_it_again)
{
    ck_status(log_out(ada.access, NULL), 204);

    ck_problem(log_out(ada.access, NULL), INVALID_TOKEN);
}

static const struct refusal bad_logouts[] = {
    {"[]", BAD_JSON},
    {"{'all':'yes'}", INVALID, "all type"},
    {"{'all':null}", INVALID, "all type"},
    {"{'all':1,'refresh_token':7}", INVALID, "all type, refresh_token type"},
};

TEST_EACH(a_bad_logout_is_told_all_its_faults, bad_logouts)
{
    ck_refusal("POST", ada.access, "/auth/logout", &bad_logouts[_i]);

    ck_alive(ada.access);
}

TEST(a_body_of_logout_is_json)
{
    ck_problem(api_ask(.method = "POST", .path = "/auth/logout", .token = ada.access,
                       .body = "all=1", .type = "application/x-www-form-urlencoded"),
               NOT_JSON);
}

/* ---- one's own sessions ---- */

/* The id of the session that a token belongs to. */
static const char *session_of(const char *access)
{
    struct answer answer = api_get(access, "/auth/sessions?limit=100");
    size_t i = 0;
    ck_status(answer, 200);
    while (!answer_boolean(answer, say("data.%zu.current", i)))
        i++;
    return answer_text(answer, say("data.%zu.id", i));
}

CASE("listing", set_up, loopback_close);

TEST(a_list_has_ones_own_sessions_the_newest_first)
{
    make_user("bob@example.org", ROLE_USER);
    enter("bob@example.org");
    struct login second = enter("ada@example.org"), third = enter("ada@example.org");

    struct answer answer = api_get(second.access, "/auth/sessions");

    ck_status(answer, 200);
    ck_assert_str_eq(answer_column(answer, "id"),
                     say("%s %s %s", session_of(third.access), session_of(second.access),
                         session_of(ada.access)));
    ck_assert(!answer_boolean(answer, "data.0.current"));
    ck_assert(answer_boolean(answer, "data.1.current"));
    ck_assert(!answer_boolean(answer, "data.2.current"));
    ck_assert_int_eq(answer_total(answer), 3);
    ck_assert(!answer_has(answer, "data.0.etag")); /* a session has no versions */
    ck_assert_str_eq(answer_header(answer, "Cache-Control"), "no-store");
}

TEST(a_session_shows_where_it_came_from_and_nothing_secret)
{
    run_sql("DELETE FROM sessions");
    struct answer login =
        api_ask(.method = "POST", .path = "/auth/login",
                .param = "HTTP_USER_AGENT=Mosaic/0.9 \303\244",
                .body = object("{'email':'ada@example.org','password':'%s'}", PASSWORD));
    char time[INSTANT_TEXT_SIZE];
    instant_format(the_time, time);

    struct answer answer = api_get(answer_text(login, "access_token"), "/auth/sessions");

    ck_assert_str_eq(answer_text(answer, "data.0.ip"), "192.0.2.1");
    ck_assert_str_eq(answer_text(answer, "data.0.user_agent"), "Mosaic/0.9 \303\244");
    ck_assert_str_eq(answer_text(answer, "data.0.created_at"), time);
    ck_assert_str_eq(answer_text(answer, "data.0.last_used_at"), time);
    ck_assert(answer_boolean(answer, "data.0.current"));
    ck_assert_ptr_null(strstr(answer.text, "hash"));
    ck_assert_ptr_null(strstr(answer.text, "user_id"));
}

TEST(a_session_of_an_unnamed_program_shows_null)
{
    const char *token = log_in("ada@example.org");

    ck_assert(answer_is_null(api_get(token, "/auth/sessions"), "data.0.user_agent"));
}

TEST(a_refresh_moves_last_used_at_and_nothing_else)
{
    struct answer before = api_get(ada.access, "/auth/sessions");
    char time[INSTANT_TEXT_SIZE];
    pass_s(60);
    ck_assert_str_eq(api_get(ada.access, "/auth/sessions").text, before.text);
    instant_format(the_time, time);

    struct login next = renew(ada.refresh);
    pass_s(10);
    renew(ada.refresh); /* the same once more */

    struct answer answer = api_get(next.access, "/auth/sessions");
    ck_assert_str_eq(answer_text(answer, "data.0.last_used_at"), time);
    ck_assert_str_eq(answer_text(answer, "data.0.created_at"),
                     answer_text(before, "data.0.created_at"));
    ck_assert_str_eq(answer_text(answer, "data.0.id"), answer_text(before, "data.0.id"));
    ck_assert_str_eq(answer_text(answer, "data.0.ip"), "192.0.2.1");
}

TEST(what_has_expired_is_not_in_the_list)
{
    struct login ended = enter("ada@example.org");
    const char *expired = session_of(enter("ada@example.org").access);
    ck_status(log_out(ended.access, NULL), 204);
    run_sql(say("UPDATE sessions SET expires_at = '2001-01-01' WHERE id = '%s'", expired));

    struct answer answer = api_get(ada.access, "/auth/sessions");

    ck_assert_str_eq(answer_column(answer, "id"), session_of(ada.access));
    ck_assert_int_eq(answer_total(answer), 1);
}

/* Ada with five sessions; their ids, the newest first. */
static const char *make_five(void)
{
    for (int i = 0; i < 4; i++)
        enter("ada@example.org");
    return answer_column(api_get(ada.access, "/auth/sessions"), "id");
}

TEST(a_page_shows_its_part)
{
    const char *ids = make_five();

    struct answer second = api_get(ada.access, "/auth/sessions?limit=2&page=2");
    struct answer past = api_get(ada.access, "/auth/sessions?limit=2&page=4");

    ck_assert_str_eq(answer_column(second, "id"),
                     arena_copy(the_arena, ids + 2 * UUID_TEXT_SIZE, 2 * UUID_TEXT_SIZE - 1));
    ck_assert_int_eq(answer_integer(second, "pagination.page"), 2);
    ck_assert_int_eq(answer_integer(second, "pagination.limit"), 2);
    ck_assert_int_eq(answer_total(second), 5);
    ck_assert_int_eq(answer_integer(second, "pagination.pages"), 3);
    ck_assert_ptr_nonnull(strstr(answer_header(second, "Link"), "rel=\"prev\""));
    ck_status(past, 200);
    ck_assert_uint_eq(answer_count(past), 0);
}

static void same_moment(void)
{
    run_sql("UPDATE sessions SET created_at = '2026-01-01'");
}

static void no_change(void)
{
}

/* Ties are broken by id. */
static void (*const before_walks[])(void) = {no_change, same_moment};

TEST_EACH(a_cursor_walks_through_all_sessions, before_walks)
{
    make_five();
    before_walks[_i]();
    const char *ids = answer_column(api_get(ada.access, "/auth/sessions"), "id");
    struct answer answer = api_get(ada.access, "/auth/sessions?limit=2");
    const char *seen = answer_column(answer, "id");

    while (!answer_is_null(answer, "pagination.next_cursor")) {
        answer = api_get(ada.access, "/auth/sessions?limit=2&cursor=%s",
                         answer_text(answer, "pagination.next_cursor"));
        ck_status(answer, 200);
        ck_assert(!answer_has(answer, "pagination.total"));
        seen = say("%s %s", seen, answer_column(answer, "id"));
    }

    ck_assert_str_eq(seen, ids);
}

TEST(a_cursor_of_another_user_is_refused)
{
    struct login bob = enter_new("bob@example.org", ROLE_USER);
    make_five();
    struct answer adas = api_get(ada.access, "/auth/sessions?limit=1");

    struct answer answer = api_get(bob.access, "/auth/sessions?limit=1&cursor=%s",
                                   answer_text(adas, "pagination.next_cursor"));

    ck_problem(answer, 400, "Bad Request", "invalid");
    ck_assert_str_eq(answer_faults(answer), "cursor format");
}

static const struct {
    const char *query, *faults;
} bad_queries[] = {
    {"?page=0", "page range"},      {"?limit=0", "limit range"},
    {"?limit=101", "limit range"},  {"?page=x&limit=y", "page type, limit type"},
    {"?cursor=x", "cursor format"}, {"?cursor=", "cursor format"},
};

TEST_EACH(a_bad_query_is_told_all_its_faults, bad_queries)
{
    struct answer answer = api_get(ada.access, "/auth/sessions%s", bad_queries[_i].query);

    ck_invalid(answer, bad_queries[_i].faults);
}

/* ---- ending one ---- */

CASE("ending", set_up, loopback_close);

TEST(one_ends_one_s_other_session)
{
    struct login other = enter("ada@example.org");

    struct answer answer = api_delete(ada.access, "/auth/sessions/%s", session_of(other.access));

    ck_status(answer, 204);
    ck_assert_str_eq(answer.text, "");
    ck_dead(other.access);
    ck_refused(refresh(other.refresh));
    ck_alive(ada.access);
}

TEST(one_ends_one_s_own_session)
{
    ck_status(api_delete(ada.access, "/auth/sessions/%s", session_of(ada.access)), 204);

    ck_dead(ada.access);
    ck_refused(refresh(ada.refresh));
}

static void ck_no_session(struct answer answer)
{
    ck_problem(answer, SESSION_NOT_FOUND);
}

TEST(the_session_of_another_is_not_found)
{
    struct login bob = enter_new("bob@example.org", ROLE_ADMIN);

    ck_no_session(api_delete(bob.access, "/auth/sessions/%s", session_of(ada.access)));

    ck_alive(ada.access);
}

TEST(a_session_that_is_not_there_is_not_found)
{
    struct login other = enter("ada@example.org"), expired = enter("ada@example.org");
    const char *gone = session_of(other.access), *old = session_of(expired.access);
    ck_status(api_delete(ada.access, "/auth/sessions/%s", gone), 204);
    run_sql(say("UPDATE sessions SET expires_at = '2001-01-01' WHERE id = '%s'", old));

    ck_no_session(api_delete(ada.access, "/auth/sessions/" NOBODY_ID));
    ck_no_session(api_delete(ada.access, "/auth/sessions/%s", gone));
    ck_no_session(api_delete(ada.access, "/auth/sessions/%s", old));
    ck_no_session(api_delete(ada.access, "/auth/sessions/x"));
}

static const struct {
    const char *method, *path;
} closed[] = {
    {"GET", "/auth/sessions"},
    {"DELETE", "/auth/sessions/" NOBODY_ID},
};

TEST_EACH(sessions_are_for_those_who_logged_in, closed)
{
    ck_token_needed(closed[_i].method, closed[_i].path, NULL);
}

static const struct {
    const char *path, *allow;
} paths[] = {
    {"/auth/refresh", "POST, OPTIONS"},
    {"/auth/logout", "POST, OPTIONS"},
    {"/auth/sessions", "GET, HEAD, OPTIONS"},
    {"/auth/sessions/" NOBODY_ID, "DELETE, OPTIONS"},
};

TEST_EACH(a_path_has_its_methods, paths)
{
    ck_methods(paths[_i].path, paths[_i].allow);
}

/* ---- what has expired goes ---- */

static void make_expired(int count)
{
    for (int i = 0; i < count; i++)
        run_sql(say(
            "INSERT INTO sessions SELECT UUID(), id, REPEAT('x', 32), '2001-01-01', '2001-01-01', "
            "'2001-01-%02d', NULL, NULL FROM users WHERE email = 'ada@example.org'",
            i % 28 + 1));
}

CASE("ends", set_up, loopback_close);

TEST(a_few_expired_sessions_go_with_each_login_and_refresh)
{
    make_expired(12);

    /* Makes one, takes five. */
    struct login other = login_of(try_login("ada@example.org", PASSWORD));
    ck_assert_int_eq(sessions(), 2 + 7);
    ck_rows("sessions WHERE expires_at < '2001-01-06'", 0); /* the oldest first */
    struct login next = renew(ada.refresh);
    ck_assert_int_eq(sessions(), 2 + 2);
    renew(other.refresh);

    ck_assert_int_eq(sessions(), 2);
    ck_alive(next.access);
    ck_alive(other.access);
}

TEST(used_tokens_do_not_pile_up)
{
    struct login login = renew_often(ada, 6, 4);

    ck_rows("session_refreshes", 3);
    pass_s(3600);
    renew(login.refresh);
    ck_rows("session_refreshes", 1);
}

/* ---- no more than so many ---- */

static struct login log_in_later(void)
{
    pass_s(1);
    return login_of(try_login("ada@example.org", PASSWORD));
}

static void set_up_three(void)
{
    set_up();
    loopback_set("SESSIONS_MAX=3", "LIMITS=off");
}

CASE("many", set_up_three, loopback_close);

TEST(a_login_beyond_ends_the_session_that_was_used_longest_ago)
{
    pass_s(1);
    struct login second = enter("ada@example.org"), third = enter("ada@example.org");
    pass_s(60);
    ada = renew(ada.refresh); /* the oldest, and the one used last */

    struct login fourth = log_in_later();

    ck_dead(second.access);
    ck_refused(refresh(second.refresh));
    ck_alive(ada.access);
    ck_alive(third.access);
    ck_alive(fourth.access);
    struct login fifth = log_in_later();
    ck_dead(third.access);
    ck_alive(ada.access);
    ck_alive(fourth.access);
    ck_alive(fifth.access);
    ck_assert_int_eq(answer_total(api_get(fifth.access, "/auth/sessions")), 3);
}

TEST(a_login_within_ends_none)
{
    struct login second = log_in_later(), third = log_in_later();

    ck_alive(ada.access);
    ck_alive(second.access);
    ck_alive(third.access);
}

TEST(sessions_of_others_do_not_count)
{
    make_user("bob@example.org", ROLE_USER);
    struct login bobs[3];
    for (int i = 0; i < COUNT(bobs); i++)
        bobs[i] = enter("bob@example.org");

    for (int i = 0; i < 4; i++)
        log_in_later();

    ck_rows(say("sessions WHERE user_id = '%s'", ada_id), 3);
    for (int i = 0; i < COUNT(bobs); i++)
        ck_alive(bobs[i].access);
}

/* Neither those that have expired nor those of a clock that was wrong. */
static const char *const not_living[] = {"expires_at = '2001-01-01'",
                                         "last_used_at = '2100-01-01', expires_at = '2100-02-01'"};

TEST_EACH(sessions_that_do_not_live_do_not_count, not_living)
{
    struct login second = enter("ada@example.org"), third = enter("ada@example.org");
    run_sql(say("UPDATE sessions SET %s WHERE id = '%s'", not_living[_i], third.session));

    struct login fourth = log_in_later();

    ck_alive(ada.access);
    ck_alive(second.access);
    ck_alive(fourth.access);
}

TEST(the_one_that_logs_in_is_never_the_one_that_ends)
{
    loopback_set("SESSIONS_MAX=1");

    struct login second = log_in_later();
    ck_dead(ada.access);
    ck_alive(second.access);
    set_clock(-3600); /* it was used before all others, by the clock */
    struct login third = login_of(try_login("ada@example.org", PASSWORD));

    ck_alive(third.access);
    ck_assert_int_eq(sessions(), 1);
}

TEST(a_refused_login_ends_none)
{
    enter("ada@example.org"), enter("ada@example.org");

    ck_status(try_login("ada@example.org", "wrong"), 401);

    ck_assert_int_eq(sessions(), 3);
}

static void log_in_once(int i, void *context)
{
    (void)i, (void)context;
    ck_status(try_login("ada@example.org", PASSWORD), 200);
}

TEST(logins_at_once_count_each_other)
{
    parallel(8, log_in_once, NULL);

    ck_rows(say("sessions WHERE user_id = '%s'", ada_id), 3);
}

static void make_sessions(int count)
{
    run_sql(say("INSERT INTO sessions SELECT UUID(), '%s', REPEAT('x', 32), "
                "UTC_TIMESTAMP(6) - INTERVAL 2 DAY - INTERVAL seq SECOND, "
                "UTC_TIMESTAMP(6) - INTERVAL 1 DAY - INTERVAL seq SECOND, '2100-01-01', NULL, NULL "
                "FROM seq_1_to_%d",
                ada_id, count));
}

static int64_t rows_read(void)
{
    return ask_number(
        "SELECT CAST(SUM(VARIABLE_VALUE) AS SIGNED) AS n FROM information_schema.SESSION_STATUS "
        "WHERE VARIABLE_NAME LIKE 'HANDLER_READ%'");
}

/* From before there was a bound: a login looks at so many and ends so many, and the next go on. */
TEST(very_many_end_in_some_logins_each_of_which_costs_no_more)
{
    make_sessions(3000);
    int64_t before = rows_read();
    struct login newest = log_in_later();

    ck_assert_int_lt(rows_read() - before, 6 * SESSIONS_LOOKED_AT);
    ck_assert_int_eq(sessions(), 1 + 3000 + 1 - SESSIONS_ENDED);
    ck_alive(newest.access);
    ck_alive(ada.access); /* used later than all of those */
    for (int i = 0; i < 3000 / SESSIONS_ENDED; i++)
        newest = log_in_later();
    ck_assert_int_eq(sessions(), 3);
    ck_alive(newest.access);
}

/* ---- those of another, for an admin ---- */

static const char *boss, *boss_id;

static void set_up_boss(void)
{
    set_up();
    boss_id = make_user("boss@example.org", ROLE_ADMIN);
    boss = bearer_of("boss@example.org");
}

CASE("another's", set_up_boss, loopback_close);

TEST(an_admin_lists_the_sessions_of_another)
{
    struct login second = enter("ada@example.org");

    struct answer answer = api_get(boss, "/users/%s/sessions", ada_id);

    ck_status(answer, 200);
    ck_assert_str_eq(answer_column(answer, "id"), say("%s %s", second.session, ada.session));
    ck_assert_int_eq(answer_total(answer), 2);
    ck_assert(!answer_boolean(answer, "data.0.current"));
    ck_assert(!answer_boolean(answer, "data.1.current"));
    ck_assert_str_eq(answer_text(answer, "data.0.ip"), "192.0.2.1");
    ck_assert_ptr_null(strstr(answer.text, "hash"));
    ck_assert_str_eq(answer_header(answer, "Cache-Control"), "private, no-cache");
    answer = api_get(boss, "/users/%s/sessions?limit=1", ada_id);
    const char *cursor = answer_text(answer, "pagination.next_cursor");
    answer = api_get(boss, "/users/%s/sessions?limit=1&cursor=%s", ada_id, cursor);
    ck_assert_str_eq(answer_column(answer, "id"), ada.session);
    ck_invalid(api_get(boss, "/users/%s/sessions?limit=0", ada_id), "limit range");
}

TEST(an_admin_ends_a_session_of_another)
{
    struct login second = enter("ada@example.org");

    struct answer answer = api_delete(boss, "/users/%s/sessions/%s", ada_id, second.session);

    ck_status(answer, 204);
    ck_assert_str_eq(answer.text, "");
    ck_dead(second.access);
    ck_refused(refresh(second.refresh));
    ck_alive(ada.access);
    ck_no_session(api_delete(boss, "/users/%s/sessions/%s", ada_id, second.session));
}

TEST(of_a_user_who_has_none_the_list_is_empty)
{
    struct answer answer =
        api_get(boss, "/users/%s/sessions", make_user("bob@example.org", ROLE_USER));

    ck_status(answer, 200);
    ck_assert_uint_eq(answer_count(answer), 0);
}

TEST(a_session_is_found_by_its_user_only)
{
    const char *bob = make_user("bob@example.org", ROLE_USER);

    ck_no_session(api_delete(boss, "/users/%s/sessions/%s", bob, ada.session));
    ck_no_session(api_delete(boss, "/users/%s/sessions/" NOBODY_ID, ada_id));
    ck_no_session(api_delete(boss, "/users/%s/sessions/x", ada_id));

    ck_alive(ada.access);
}

TEST(of_who_is_not_there_nothing_is_found)
{
    ck_problem(api_get(boss, "/users/" NOBODY_ID "/sessions"), USER_NOT_FOUND);
    ck_problem(api_delete(boss, "/users/" NOBODY_ID "/sessions/%s", ada.session), USER_NOT_FOUND);
    ck_status(api_delete(boss, "/users/%s", ada_id), 204);
    ck_problem(api_get(boss, "/users/%s/sessions", ada_id), USER_NOT_FOUND);
    ck_problem(api_delete(boss, "/users/%s/sessions/%s", ada_id, ada.session), USER_NOT_FOUND);
}

TEST(ones_own_are_not_ended_this_way)
{
    struct login own = enter("boss@example.org");

    ck_problem(api_get(boss, "/users/%s/sessions", boss_id), FORBIDDEN);
    ck_problem(api_delete(boss, "/users/%s/sessions/%s", boss_id, own.session), FORBIDDEN);
    ck_problem(api_delete(boss, "/users/%s/sessions/" NOBODY_ID, boss_id), FORBIDDEN);

    ck_alive(own.access);
}

TEST(the_sessions_of_another_are_for_admins)
{
    const char *list = say("/users/%s/sessions", ada_id), *one = say("%s/%s", list, ada.session);
    const char *bob = bearer_of_new("bob@example.org", ROLE_USER);

    ck_token_needed("GET", list, NULL);
    ck_token_needed("DELETE", one, NULL);
    ck_problem(api_get(bob, "%s?limit=0", list), ADMIN_REQUIRED);
    ck_problem(api_delete(bob, "%s", one), ADMIN_REQUIRED);
    ck_problem(api_get(ada.access, "%s", list), ADMIN_REQUIRED);
    ck_problem(api_delete(ada.access, "%s", one), ADMIN_REQUIRED);
    ck_alive(ada.access);
    ck_methods(list, "GET, HEAD, OPTIONS");
    ck_methods(one, "DELETE, OPTIONS");
}

static void end_adas(int i, void *context)
{
    (void)i, (void)context;
    int status = api_delete(boss, "/users/%s/sessions/%s", ada_id, ada.session).status;
    ck_assert(status == 204 || status == 404);
}

TEST(two_admins_may_end_the_same_one)
{
    parallel(2, end_adas, NULL);

    ck_dead(ada.access);
}
