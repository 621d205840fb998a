/* needs: mariadb */
/* How often a network registers and asks for mail, and an account writes, over all workers. */
#include "tests/support/loopback.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/apidoc/openapi.h"
#include "fcgi-app/routes.h"
#include "tests/support/parallel.h"
#include "tests/support/people.h"
#include "tests/support/refusals.h"
#include "tests/support/suite.h"

#define HERE "192.0.2.1"
#define THERE "198.51.100.7"
#define POST "{'title':'t','content':'c'}"

/* So many are let through at once, and in how many seconds one more. */
#define REGISTER 20
#define REGISTER_S 180
#define MAIL 20
#define MAIL_S 60
#define POSTS 300
#define POSTS_S 1

static struct app *workers[2]; /* which count together; the first is the_app */
static const char *ada_id;
static struct login ada, elsewhere;

static void open_second(void)
{
    workers[0] = the_app;
    must(app_open(the_arena, the_app->settings, the_app->shared, &workers[1]));
}

static void set_up(void)
{
    loopback_open();
    loopback_set("MAIL_COMMAND=/bin/true", "MAIL_FROM=postern@example.org");
    open_second();
    ada_id = make_user("ada@example.org", ROLE_USER);
    ada = enter("ada@example.org");
    elsewhere = enter("ada@example.org");
}

static void tear_down(void)
{
    the_app = workers[0];
    app_close(workers[1]);
    loopback_close();
}

/* All of it again with other settings. */
#define set(...)                                                                                   \
    do {                                                                                           \
        app_close(workers[1]);                                                                     \
        loopback_set(__VA_ARGS__);                                                                 \
        open_second();                                                                             \
    } while (0)

/* From now on the other worker answers. */
static void turn(void)
{
    the_app = the_app == workers[0] ? workers[1] : workers[0];
}

static uint64_t key(enum limit_name which, const char *whom)
{
    return limiter_key(&the_app->shared->limiter, limits[which].name, text_of(whom));
}

static int64_t time_up_ms(void)
{
    return the_time.us / 1000; /* as the loop-back has it, unless a clock was set */
}

/* Let so many have happened, without what they cost. */
static void use_up(enum limit_name which, const char *whom, int times)
{
    for (int i = 0; i < times; i++)
        ck_assert_int_eq(limiter_take_ms(&the_app->shared->limiter, key(which, whom),
                                         &limits[which].limit, time_up_ms()),
                         0);
}

static struct answer register_from(const char *from)
{
    static int number;
    the_time.us += 1;
    return api_ask(.method = "POST", .path = "/auth/register", .from = from,
                   .body = object("{'email':'u%d.%d@example.org','password':'" PASSWORD "'}",
                                  ++number, (int)getpid()));
}

static struct answer forget_from(const char *from, const char *email)
{
    return api_ask(.method = "POST", .path = "/auth/password/forgot", .from = from,
                   .body = object("{'email':'%s'}", email));
}

static struct answer post_by(const char *token)
{
    return api_post(token, "/posts", object(POST));
}

static void ck_limited(struct answer answer, int seconds)
{
    ck_problem(answer, RATE_LIMITED);
    ck_assert_ptr_nonnull(answer_header(answer, "Retry-After"));
    ck_assert_str_eq(answer_header(answer, "Retry-After"), say("%d", seconds));
}

/* ---- a network registers ---- */

CASE("registering", set_up, tear_down);

TEST(a_network_registers_twenty_and_then_one_in_three_minutes)
{
    struct instant began = the_time;
    for (int i = 0; i < REGISTER; i++, turn())
        ck_status(register_from(HERE), 201);
    the_time = began;

    for (int i = 0; i < 2; i++, turn())
        ck_limited(register_from(HERE), REGISTER_S);
    ck_status(register_from(THERE), 201);
    pass_s(REGISTER_S - 1);
    ck_limited(register_from(HERE), 1);
    pass_s(1);
    ck_status(register_from(HERE), 201);
    turn();
    ck_limited(register_from(HERE), REGISTER_S);
}

TEST(after_an_hour_there_are_twenty_again)
{
    use_up(LIMIT_REGISTER, HERE, REGISTER);
    pass_s(REGISTER * REGISTER_S);

    use_up(LIMIT_REGISTER, HERE, REGISTER - 1);
    ck_status(register_from(HERE), 201);
    ck_limited(register_from(HERE), REGISTER_S);
}

TEST(of_ipv6_a_whole_64_is_one_network)
{
    use_up(LIMIT_REGISTER, "2001:db8:0:1::", REGISTER);

    ck_limited(register_from("2001:db8:0:1:ffff::1"), REGISTER_S);
    ck_status(register_from("2001:db8:0:2::1"), 201);
}

TEST(callers_without_an_address_share_one)
{
    use_up(LIMIT_REGISTER, "unknown", REGISTER);

    ck_limited(register_from("nonsense"), REGISTER_S);
}

static const char *const bad_bodies[] = {"{", "{}", "{'email':'no','password':'" PASSWORD "'}",
                                         "{'email':'a@b.org','password':'x'}"};

TEST_EACH(a_form_that_is_filled_in_wrongly_does_not_count, bad_bodies)
{
    use_up(LIMIT_REGISTER, HERE, REGISTER - 1);

    for (int i = 0; i < 3; i++)
        ck_status(api_post(NULL, "/auth/register", object("%s", bad_bodies[_i])), 400);

    ck_status(register_from(HERE), 201);
    ck_limited(register_from(HERE), REGISTER_S);
}

TEST(an_address_that_is_taken_counts_for_it_was_told)
{
    use_up(LIMIT_REGISTER, HERE, REGISTER - 1);

    ck_problem(api_post(NULL, "/auth/register",
                        object("{'email':'ada@example.org','password':'" PASSWORD "'}")),
               EMAIL_EXISTS);

    ck_limited(register_from(HERE), REGISTER_S);
}

TEST(what_the_database_did_not_take_does_not_count)
{
    use_up(LIMIT_REGISTER, HERE, REGISTER - 1);
    run_sql("RENAME TABLE users TO users_away");
    int status = register_from(HERE).status;
    run_sql("RENAME TABLE users_away TO users"); /* before anything can end the test */

    ck_assert_int_eq(status, 503);
    ck_status(register_from(HERE), 201);
}

/* Path and method are told before, and all that is in the request after. */
TEST(a_limit_comes_before_what_the_request_holds)
{
    use_up(LIMIT_REGISTER, HERE, REGISTER);
    const char *path = "/auth/register";

    ck_status(api_get(NULL, "/auth/register"), 405);
    ck_limited(api_post(NULL, path, "{"), REGISTER_S);
    ck_limited(api_post(NULL, path, object("{}")), REGISTER_S);
    ck_limited(api_ask(.method = "POST", .path = path, .type = "text/plain", .body = "x"),
               REGISTER_S);
    ck_limited(api_post(NULL, path, repeat("x", 600000)), REGISTER_S);
}

TEST(other_routes_are_open_to_a_network_that_has_registered_enough)
{
    use_up(LIMIT_REGISTER, HERE, REGISTER);

    ck_status(try_login("ada@example.org", PASSWORD), 200);
    ck_status(forget_from(HERE, "nobody@example.org"), 202);
    ck_status(post_by(ada.access), 201);
}

/* Not by the way they come, these are of nobody in the Internet, and may be all clients at once. */
static const char *const near[] = {
    "127.0.0.1",   "::1",           "unix:",       "10.1.2.3", "172.16.0.1",   "172.31.255.1",
    "192.168.7.7", "100.64.0.1",    "169.254.1.1", "fd00::1",  "fe80::1%eth0", "::ffff:10.0.0.1",
    "fc00::1",     "100.127.255.1", "127.8.8.8"};

TEST_EACH(this_machine_and_private_networks_are_not_counted, near)
{
    struct address address;
    ck_assert(address_parse(text_of(near[_i]), &address));
    address = address_network(&address);
    const char *text = address_to_text(the_arena, &address);
    use_up(LIMIT_REGISTER, text ? text : "unknown", REGISTER);
    use_up(LIMIT_MAIL, text ? text : "unknown", MAIL);

    ck_status(forget_from(near[_i], "nobody@example.org"), 202);
}

static const char *const far[] = {"9.255.255.255", "11.0.0.1",    "172.15.0.1", "172.32.0.1",
                                  "192.167.0.1",   "192.169.0.1", "100.63.0.1", "100.128.0.1",
                                  "169.253.0.1",   "fec0::1",     "fbff::1",    "2001:db8::1"};

TEST_EACH(their_neighbours_are, far)
{
    struct address address;
    ck_assert(address_parse(text_of(far[_i]), &address));
    address = address_network(&address);
    use_up(LIMIT_MAIL, address_to_text(the_arena, &address), MAIL);

    ck_limited(forget_from(far[_i], "nobody@example.org"), MAIL_S);
}

static struct answer forget_behind(const char *peer, const char *forwarded_for)
{
    return api_ask(.method = "POST", .path = "/auth/password/forgot", .from = peer,
                   .param = say("HTTP_X_FORWARDED_FOR=%s", forwarded_for),
                   .body = object("{'email':'nobody@example.org'}"));
}

/* Those from 192.168.7.7 as nginx passes them on, which has looked at the header by the same rules.
 */
static const struct {
    const char *peer, *forwarded_for;
    bool counts;
} ways[] = {
    {"10.0.0.1", "192.168.7.7", true},
    {"10.0.0.1", "203.0.113.9, 192.168.7.7", true},
    {"10.0.0.1", "192.168.7.7, 10.0.0.2", true},
    {"unix:", "192.168.7.7", true},
    {"192.168.7.7", "192.168.7.7", true},
    {"192.168.7.7", "1.2.3.4, 192.168.7.7, 10.0.0.1", true},
    {"192.168.7.7", "192.168.7.7, 203.0.113.9", false}, /* a proxy that is not trusted */
    {"192.168.7.7", "nonsense", false},
    {"192.168.7.7", "", false},
};

TEST_EACH(who_came_through_trusted_proxies_is_counted_wherever_they_are, ways)
{
    set("TRUSTED_PROXIES=10.0.0.0/8 unix:", "MAIL_COMMAND=/bin/true");
    use_up(LIMIT_MAIL, "192.168.7.7", MAIL);

    struct answer answer = forget_behind(ways[_i].peer, ways[_i].forwarded_for);

    ck_status(answer, ways[_i].counts ? 429 : 202);
}

TEST(without_trusted_proxies_the_header_says_nothing)
{
    use_up(LIMIT_MAIL, "192.168.7.7", MAIL);

    ck_status(forget_behind("192.168.7.7", "192.168.7.7"), 202);
}

static const int64_t steps_s[] = {-1, -600, -365 * 86400, 1, 600, 365 * 86400};

TEST_EACH(a_clock_that_is_set_changes_nothing, steps_s)
{
    use_up(LIMIT_MAIL, HERE, MAIL - 1);

    set_clock(steps_s[_i]);

    ck_status(forget_from(HERE, "nobody@example.org"), 202);
    ck_limited(forget_from(HERE, "nobody@example.org"), MAIL_S);
    set_clock(-steps_s[_i]);
    turn();
    ck_limited(forget_from(HERE, "nobody@example.org"), MAIL_S);
    pass_s(MAIL_S);
    ck_status(forget_from(HERE, "nobody@example.org"), 202);
}

/* More than there is room for, each of which will have leaked out first. */
static void fill_the_table(int from)
{
    for (int i = from; i < from + 2 * LIMITER_SETS * LIMITER_WAYS; i++)
        use_up(LIMIT_REGISTER, say("203.%d.%d.%d", i >> 16 & 255, i >> 8 & 255, i & 255), 1);
}

TEST(a_full_table_of_networks_refuses_nobody_new_and_forgives_nobody)
{
    use_up(LIMIT_REGISTER, HERE, REGISTER);
    fill_the_table(0);

    ck_limited(register_from(HERE), REGISTER_S);
    use_up(LIMIT_REGISTER, THERE, REGISTER - 1);
    ck_status(register_from(THERE), 201);
    ck_limited(register_from(THERE), REGISTER_S);
    fill_the_table(1 << 20);
    ck_limited(register_from(THERE), REGISTER_S);
}

/* ---- a network asks for mail ---- */

CASE("mailing", set_up, tear_down);

TEST(a_network_asks_for_twenty_messages_and_then_one_a_minute)
{
    for (int i = 0; i < MAIL; i++, turn())
        ck_status(forget_from(HERE, say("nobody%d@example.org", i)), 202);

    for (int i = 0; i < 2; i++, turn())
        ck_limited(forget_from(HERE, "nobody@example.org"), MAIL_S);
    ck_status(forget_from(THERE, "nobody@example.org"), 202);
    pass_s(MAIL_S - 1);
    ck_limited(forget_from(HERE, "nobody@example.org"), 1);
    pass_s(1);
    ck_status(forget_from(HERE, "nobody@example.org"), 202);
    ck_limited(forget_from(HERE, "nobody@example.org"), MAIL_S);
}

TEST(registering_and_asking_for_mail_are_one_count)
{
    use_up(LIMIT_MAIL, HERE, MAIL - 1);

    ck_status(register_from(HERE), 201);

    ck_limited(forget_from(HERE, "nobody@example.org"), MAIL_S);
    ck_limited(register_from(HERE), MAIL_S);
}

TEST(of_two_limits_the_longer_wait_is_told_and_none_has_counted)
{
    use_up(LIMIT_MAIL, HERE, MAIL);
    use_up(LIMIT_REGISTER, HERE, REGISTER);
    ck_limited(register_from(HERE), REGISTER_S);

    pass_s(MAIL_S);
    ck_limited(register_from(HERE), REGISTER_S - MAIL_S);
    ck_status(forget_from(HERE, "nobody@example.org"), 202);

    pass_s(REGISTER_S - MAIL_S);
    ck_status(register_from(HERE), 201);
}

TEST(a_malformed_address_does_not_count)
{
    use_up(LIMIT_MAIL, HERE, MAIL - 1);

    for (int i = 0; i < 3; i++)
        ck_problem(forget_from(HERE, "nonsense"), INVALID_EMAIL);

    ck_status(forget_from(HERE, "nobody@example.org"), 202);
}

/* ---- an account writes ---- */

CASE("writing", set_up, tear_down);

TEST(an_account_writes_three_hundred_posts_and_then_one_a_second)
{
    for (int i = 0; i < POSTS; i++, turn())
        ck_status(post_by(i % 3 ? ada.access : elsewhere.access), 201);

    for (int i = 0; i < 2; i++, turn())
        ck_limited(post_by(ada.access), POSTS_S);
    ck_limited(post_by(elsewhere.access), POSTS_S);
    ck_status(post_by(bearer_of_new("bob@example.org", ROLE_USER)), 201);
    pass_s(POSTS_S);
    ck_status(post_by(ada.access), 201);
    ck_limited(post_by(elsewhere.access), POSTS_S);
    ck_rows(say("posts WHERE author_id = '%s'", ada_id), POSTS + 1);
}

TEST(an_account_that_has_written_enough_does_all_else)
{
    const char *post = write_post(ada.access, "t", "c", true);
    use_up(LIMIT_POSTS, ada_id, POSTS - 1);

    ck_limited(post_by(ada.access), POSTS_S);
    ck_status(api_patch(ada.access, say("/posts/%s", post), object("{'title':'u'}")), 200);
    ck_status(api_delete(ada.access, "/posts/%s", post), 204);
    ck_status(api_get(ada.access, "/posts"), 200);
}

TEST(a_limit_on_posts_comes_after_the_token_and_before_the_body)
{
    use_up(LIMIT_POSTS, ada_id, POSTS);

    ck_problem(post_by(NULL), NO_TOKEN);
    ck_problem(post_by("bad.token.here"), INVALID_TOKEN);
    ck_limited(api_post(ada.access, "/posts", "{"), POSTS_S);
    ck_limited(api_ask(.method = "POST", .path = "/posts", .token = ada.access,
                       .type = "text/plain", .body = "x"),
               POSTS_S);
    ck_limited(api_ask(.method = "POST", .path = "/posts", .token = ada.access,
                       .param = "HTTP_IDEMPOTENCY_KEY=short", .body = object(POST)),
               POSTS_S);
}

TEST(only_posts_that_were_written_count)
{
    use_up(LIMIT_POSTS, ada_id, POSTS - 1);

    for (int i = 0; i < 3; i++) {
        ck_status(api_post(ada.access, "/posts", "{"), 400);
        ck_status(api_post(ada.access, "/posts", object("{'title':'t'}")), 400);
    }

    ck_status(post_by(ada.access), 201);
    ck_limited(post_by(ada.access), POSTS_S);
}

static struct answer post_with_key(const char *word)
{
    return api_ask(.method = "POST", .path = "/posts", .token = ada.access,
                   .param = say("HTTP_IDEMPOTENCY_KEY=%s", word), .body = object(POST));
}

TEST(an_answer_that_is_given_again_does_not_count)
{
    use_up(LIMIT_POSTS, ada_id, POSTS - 2);
    ck_status(post_with_key("abcdefgh"), 201);

    for (int i = 0; i < 3; i++) {
        struct answer again = post_with_key("abcdefgh");
        ck_status(again, 201);
        ck_assert_str_eq(answer_header(again, "Idempotency-Replayed"), "true");
    }

    ck_status(post_with_key("abcdefgi"), 201);
    ck_limited(post_with_key("abcdefgj"), POSTS_S);
}

/* It is counted by what the token says, before anybody has looked whether that is still so. */
TEST(a_token_whose_session_has_ended_uses_nothing_up)
{
    use_up(LIMIT_POSTS, ada_id, POSTS - 1);
    ck_status(api_post(elsewhere.access, "/auth/logout", NULL), 204);

    for (int i = 0; i < 3; i++)
        ck_problem(post_by(elsewhere.access), INVALID_TOKEN);

    ck_status(post_by(ada.access), 201);
    ck_problem(post_by(elsewhere.access), INVALID_TOKEN); /* and is not told of the limit */
    ck_limited(post_by(ada.access), POSTS_S);
}

TEST(who_is_disabled_is_told_that)
{
    use_up(LIMIT_POSTS, ada_id, POSTS);
    run_sql(say("UPDATE users SET is_active = 0 WHERE id = '%s'", ada_id));

    ck_problem(post_by(ada.access), USER_INACTIVE);
}

/* ---- workers that are processes ---- */

static struct shared *common_memory;

#define PROCESSES 4

static void write_many(int i, void *context)
{
    const int *told = context;
    (void)i;
    must(app_open(the_arena, the_app->settings, common_memory, &the_app));
    for (int n = 0; n < POSTS / 2; n++) {
        char yes = post_by(ada.access).status == 201;
        ck_assert_int_eq(write(told[1], &yes, 1), 1);
    }
}

TEST(of_processes_that_write_at_once_no_more_get_through)
{
    int fd = -1, told[2], written = 0;
    char yes;
    must(app_share(the_arena, the_app->settings, &fd, &common_memory));
    ck_assert_int_eq(pipe(told), 0);

    parallel(PROCESSES, write_many, told);

    (void)close(told[1]);
    while (read(told[0], &yes, 1) == 1)
        written += yes;
    ck_assert_int_eq(written, POSTS);
    ck_rows("posts", POSTS);
    ck_assert_uint_eq(common_memory->refused[LIMIT_POSTS], PROCESSES * POSTS / 2 - POSTS);
}

/* ---- the operator ---- */

CASE("operator", set_up, tear_down);

static struct answer guess(void)
{
    return try_login("ada@example.org", "wrong " PASSWORD);
}

static void fill_all(void)
{
    use_up(LIMIT_REGISTER, HERE, REGISTER);
    use_up(LIMIT_MAIL, HERE, MAIL);
    use_up(LIMIT_POSTS, ada_id, POSTS);
    use_up(LIMIT_ADDRESS, HERE, 50);
}

static const struct {
    const char *settings[2];
    bool limits_all, limits_guesses;
} choices[] = {
    {{"LIMITS=on", "LOGIN_LIMIT=on"}, true, true},
    {{"LIMITS=guesses", "LOGIN_LIMIT=on"}, false, true},
    {{"LIMITS=off", "LOGIN_LIMIT=on"}, false, false},
    {{"LIMITS=on", "LOGIN_LIMIT=off"}, false, false},
    {{"LIMITS=guesses", "LOGIN_LIMIT=off"}, false, false},
};

TEST_EACH(limits_are_on_for_all_for_guesses_or_off, choices)
{
    set(choices[_i].settings[0], choices[_i].settings[1], "MAIL_COMMAND=/bin/true");
    fill_all();

    ck_status(register_from(HERE), choices[_i].limits_all ? 429 : 201);
    ck_status(forget_from(HERE, "nobody@example.org"), choices[_i].limits_all ? 429 : 202);
    ck_status(post_by(ada.access), choices[_i].limits_all ? 429 : 201);
    ck_status(guess(), choices[_i].limits_guesses ? 429 : 401);
}

TEST(what_was_refused_is_counted_for_a_monitor)
{
    fill_all();
    ck_status(register_from(HERE), 429);
    turn();
    ck_status(register_from(HERE), 429);
    ck_status(forget_from(HERE, "nobody@example.org"), 429);
    ck_status(post_by(ada.access), 429);

    struct answer r = api_ask(.path = "/metrics", .from = "127.0.0.1");

    ck_status(r, 200);
    ck_assert_ptr_nonnull(strstr(r.text, "\npostern_limited_total{limit=\"register\"} 2\n"));
    ck_assert_ptr_nonnull(strstr(r.text, "\npostern_limited_total{limit=\"mail\"} 1\n"));
    ck_assert_ptr_nonnull(strstr(r.text, "\npostern_limited_total{limit=\"mailbox\"} 0\n"));
    ck_assert_ptr_nonnull(strstr(r.text, "\npostern_limited_total{limit=\"posts\"} 1\n"));
    ck_assert_ptr_nonnull(strstr(r.text, "\npostern_password_tries_refused_total 0\n"));
}

/* Run `body` and return what it writes to stderr. */
static const char *logged_by(void (*body)(void))
{
    char path[] = "/tmp/limits.XXXXXX", text[4096];
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

static void be_refused(void)
{
    ck_status(register_from(HERE), 429);
    ck_status(post_by(ada.access), 429);
}

TEST(a_refusal_is_logged_with_whom_it_was_counted_by)
{
    fill_all();

    const char *log = logged_by(be_refused);

    const char *first = strstr(log, "\"event\":\"limited\"");
    ck_assert_msg(first != NULL, "%s", log);
    ck_assert_ptr_nonnull(strstr(first, "\"limit\":\"register\",\"ip\":\"" HERE "\""));
    ck_assert_ptr_nonnull(strstr(first, "\"retry_after_s\":180"));
    const char *second = strstr(first + 1, "\"event\":\"limited\"");
    ck_assert_ptr_nonnull(second);
    ck_assert_ptr_nonnull(strstr(second, say("\"limit\":\"posts\",\"user\":\"%s\"", ada_id)));
    ck_assert_ptr_null(strstr(second, "\"ip\""));
    ck_assert_ptr_null(strstr(log, "@example.org"));
}

static const char *the_document(void)
{
    struct buf text;
    const struct api api = routes_describe(the_app);
    buf_init(&text, (size_t)16 * 1024 * 1024);
    openapi_write(&text, &api);
    const char *copy = arena_copy(the_arena, text.data, text.len);
    buf_release(&text);
    return copy;
}

TEST(the_document_tells_the_limits_that_there_are)
{
    static const char *const sentences[] = {
        " At most 20 times at once from a network, then once in 3 minutes.",
        "then once a minute, together with all else that may send mail.",
        " At most 300 times at once from an account, then once a second."};
    for (int i = 0; i < COUNT(sentences); i++)
        ck_assert_msg(strstr(the_document(), sentences[i]) != NULL, "%s", sentences[i]);

    set("LIMITS=guesses");

    ck_assert_ptr_null(strstr(the_document(), "At most 300 times"));
    ck_assert_ptr_null(strstr(the_document(), "At most 20 times"));
}
