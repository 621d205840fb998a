/* needs: mariadb */
/* One request sent twice: what a client with an Idempotency-Key sees. */
#include "common/http/idempotency.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/problem.h"
#include "common/crypto/keyring.h"
#include "common/field/json_write.h"
#include "tests/support/clock.h"
#include "tests/support/parallel.h"
#include "tests/support/people.h"
#include "tests/support/refusals.h"
#include "tests/support/suite.h"

#define KEY "0b8f2c7e-first"
#define POST_BODY "{\"title\":\"T\",\"content\":\"C\",\"published\":true}"
#define RIVALS 20

static const char *ada, *admin;

static void set_up(void)
{
    loopback_open();
    run_sql("DELETE FROM idempotency_keys");
    run_sql("CREATE TABLE IF NOT EXISTS scratch (n INT)");
    run_sql("DELETE FROM scratch");
    make_user("ada@example.org", ROLE_USER);
    make_user("admin@example.org", ROLE_ADMIN);
    ada = log_in("ada@example.org");
    admin = log_in("admin@example.org");
}

static struct answer keyed(const char *token, const char *path, const char *key, const char *body)
{
    return api_ask(.method = "POST", .path = path, .token = token, .body = body,
                   .param = say("HTTP_IDEMPOTENCY_KEY=%s", key));
}

static void ck_first(struct answer answer)
{
    ck_status(answer, 201);
    ck_assert_ptr_null(answer_header(answer, "Idempotency-Replayed"));
}

static void ck_replayed(struct answer again, struct answer first)
{
    static const char *const same[] = {"Location", "ETag", "Cache-Control", "Content-Type",
                                       "Content-Length"};
    ck_status(again, first.status);
    ck_assert_str_eq(again.text, first.text);
    ck_assert_pstr_eq(answer_header(again, "Idempotency-Replayed"), "true");
    for (int i = 0; i < COUNT(same); i++)
        ck_assert_pstr_eq(answer_header(again, same[i]), answer_header(first, same[i]));
}

/* ---- the same again ---- */

CASE("replies", set_up, loopback_close);
CASE_LIMIT_S(120);

TEST(a_post_sent_twice_is_written_once)
{
    struct answer first = keyed(ada, "/posts", KEY, POST_BODY);
    ck_first(first);
    ck_assert_ptr_nonnull(answer_header(first, "Location"));
    ck_assert_str_eq(answer_header(first, "ETag"), "\"1\"");
    pass_s(60);

    for (int i = 0; i < 3; i++)
        ck_replayed(keyed(ada, "/posts", KEY, POST_BODY), first);

    ck_rows("posts", 1);
    ck_assert_int_eq(total_kept(&post_counter, NULL, 0, 1), 1);
}

TEST(a_user_sent_twice_is_made_once)
{
    const char *body =
        object("{'email':'eve@example.org','password':'%s','first_name':'Eve'}", PASSWORD);
    struct answer first = keyed(admin, "/users", KEY, body);
    ck_first(first);

    ck_replayed(keyed(admin, "/users", KEY, body), first);

    ck_rows("users", 3);
    ck_problem(keyed(admin, "/users", "another-key", body), EMAIL_EXISTS);
}

TEST(without_a_key_each_request_counts)
{
    ck_first(api_post(ada, "/posts", POST_BODY));
    ck_first(api_post(ada, "/posts", POST_BODY));

    ck_rows("posts", 2);
    ck_rows("idempotency_keys", 0);
}

TEST(a_key_is_its_callers_own)
{
    struct answer first = keyed(ada, "/posts", KEY, POST_BODY);
    struct answer other = keyed(admin, "/posts", KEY, POST_BODY);

    ck_first(other);

    ck_assert_str_ne(answer_text(first, "post.id"), answer_text(other, "post.id"));
    ck_rows("posts", 2);
    ck_replayed(keyed(ada, "/posts", KEY, POST_BODY), first);
    ck_replayed(keyed(log_in("ada@example.org"), "/posts", KEY, POST_BODY), first);
}

TEST(a_key_is_its_operations_own)
{
    const char *body = object("{'email':'eve@example.org','password':'%s','first_name':'Eve',"
                              "'title':'T','content':'C'}",
                              PASSWORD);
    ck_first(keyed(admin, "/posts", KEY, body));

    struct answer user = keyed(admin, "/users", KEY, body);

    ck_first(user);
    ck_assert_str_eq(answer_text(user, "user.email"), "eve@example.org");
}

TEST(keys_differ_by_case_and_length)
{
    ck_first(keyed(ada, "/posts", "abcdefgh", POST_BODY));
    ck_first(keyed(ada, "/posts", "Abcdefgh", POST_BODY));
    ck_first(keyed(ada, "/posts", "abcdefghi", POST_BODY));

    ck_rows("posts", 3);
}

/* What is escaped at the worst: six bytes for each. */
TEST(a_long_answer_is_replayed_whole)
{
    const char *body =
        object("{'title':'T','content':'%s\360\237\230\200'}", repeat("\\u0001", 65531));
    struct answer first = keyed(ada, "/posts", KEY, body);
    ck_first(first);
    ck_assert_uint_gt(strlen(first.text), 6 * 65531);

    ck_replayed(keyed(ada, "/posts", KEY, body), first);
}

/* ---- another body ---- */

static const char *const other_bodies[] = {
    "{\"title\":\"T\",\"content\":\"D\",\"published\":true}",
    "{\"title\":\"T\",\"content\":\"C\"}",
    "{\"title\":\"T\",\"content\":\"C\",\"published\":true }",
    "{\"content\":\"C\",\"title\":\"T\",\"published\":true}",
};

TEST_EACH(a_key_with_another_body_is_refused, other_bodies)
{
    struct answer first = keyed(ada, "/posts", KEY, POST_BODY);

    struct answer other = keyed(ada, "/posts", KEY, other_bodies[_i]);

    ck_problem(other, KEY_REUSED);
    ck_assert_ptr_null(answer_header(other, "Idempotency-Replayed"));
    ck_assert_ptr_null(answer_header(other, "Location"));
    ck_rows("posts", 1);
    ck_replayed(keyed(ada, "/posts", KEY, POST_BODY), first);
}

/* ---- only a success is kept ---- */

TEST(after_a_bad_body_the_key_is_free)
{
    ck_problem(keyed(ada, "/posts", KEY, "{\"title\":\"T\"}"), MISSING_FIELDS);
    ck_problem(keyed(NULL, "/posts", KEY, POST_BODY), NO_TOKEN);
    ck_rows("idempotency_keys", 0);

    ck_first(keyed(ada, "/posts", KEY, POST_BODY));

    ck_rows("idempotency_keys", 1);
}

TEST(what_was_answered_goes_with_whom_it_is_about)
{
    const char *body =
        object("{'email':'bob@example.org','password':'%s','first_name':'Bob'}", PASSWORD);
    struct answer bob = keyed(admin, "/users", KEY, body);
    ck_first(bob);
    ck_first(keyed(admin, "/posts", KEY, POST_BODY));
    ck_rows("idempotency_keys WHERE body LIKE '%bob@%'", 1);

    ck_status(api_delete(admin, "/users/%s", answer_text(bob, "user.id")), 204);

    ck_rows("idempotency_keys", 1); /* of the post, which stays */
    struct answer again = keyed(admin, "/users", KEY, body);
    ck_first(again);
    ck_assert_str_ne(answer_text(again, "user.id"), answer_text(bob, "user.id"));
}

TEST(what_was_answered_goes_with_who_asked)
{
    const char *id = answer_text(api_get(ada, "/auth/profile"), "user.id");
    ck_first(keyed(ada, "/posts", KEY, POST_BODY));
    ck_first(keyed(admin, "/posts", KEY, POST_BODY));

    ck_status(api_delete(admin, "/users/%s", id), 204);

    ck_rows("idempotency_keys", 1);
    ck_rows(say("idempotency_keys WHERE caller_id = '%s' OR body LIKE '%%%s%%'", id, id), 0);
}

TEST(after_a_conflict_the_key_is_free)
{
    const char *body =
        object("{'email':'Ada@example.org','password':'%s','first_name':'Ada'}", PASSWORD);
    ck_problem(keyed(admin, "/users", KEY, body), EMAIL_EXISTS);
    ck_rows("idempotency_keys", 0);
    run_sql("DELETE FROM users WHERE email = 'ada@example.org'");

    ck_first(keyed(admin, "/users", KEY, body));

    ck_rows("idempotency_keys", 1);
}

/* ---- the form of a key ---- */

static const struct {
    const char *key;
    bool good;
} forms[] = {
    {"12345678", true},          {"!~!~!~!~", true},    {"\"quoted\"", true},
    {"1234567", false},          {"", false},           {"1234 5678", false},
    {" 12345678", false},        {"12345678\t", false}, {"12345678\177", false},
    {"12345678\303\244", false},
};

TEST_EACH(a_key_has_8_to_128_characters_that_are_seen, forms)
{
    struct answer answer = keyed(ada, "/posts", forms[_i].key, POST_BODY);

    if (forms[_i].good) {
        ck_first(answer);
        return;
    }
    ck_problem(answer, INVALID);
    ck_assert_str_eq(answer_faults(answer), "Idempotency-Key format");
    ck_rows("posts", 0);
}

TEST(the_longest_key_has_128_characters)
{
    ck_first(keyed(ada, "/posts", repeat("k", 128), POST_BODY));
    ck_status(keyed(ada, "/posts", repeat("k", 129), POST_BODY), 400);
}

TEST(other_routes_look_at_no_key)
{
    const char *id = write_post(ada, "T", "C", true);
    const char *params[] = {"HTTP_IDEMPOTENCY_KEY=x", "HTTP_IDEMPOTENCY_KEY=" KEY};
    for (int i = 0; i < COUNT(params); i++) {
        ck_status(api_ask(.path = "/posts", .param = params[i]), 200);
        ck_status(api_ask(.method = "PATCH", .path = say("/posts/%s", id), .token = ada,
                          .body = "{}", .param = params[i]),
                  200);
        ck_status(api_ask(.method = "POST", .path = "/auth/login",
                          .body = object("{'email':'ada@example.org','password':'%s'}", PASSWORD),
                          .param = params[i]),
                  200);
    }
    ck_rows("idempotency_keys", 0);
}

/* ---- time and keys of the server ---- */

CASE("storage", set_up, loopback_close);
CASE_LIMIT_S(120);

TEST(a_key_expires_after_a_day)
{
    struct answer first = keyed(ada, "/posts", KEY, POST_BODY);
    pass_s(IDEMPOTENCY_TTL_S - 1);
    ck_replayed(keyed(log_in("ada@example.org"), "/posts", KEY, POST_BODY), first);
    pass_s(1);

    struct answer later = keyed(log_in("ada@example.org"), "/posts", KEY, other_bodies[0]);

    ck_first(later);
    ck_assert_str_ne(answer_text(later, "post.id"), answer_text(first, "post.id"));
    ck_replayed(keyed(log_in("ada@example.org"), "/posts", KEY, other_bodies[0]), later);
    ck_rows("idempotency_keys", 1);
}

static struct answer keyed_after_login(const char *body)
{
    return keyed(log_in("ada@example.org"), "/posts", KEY, body);
}

/* Forgotten too early, a key would let its request be carried out twice. */
TEST_TIMES(a_clock_that_is_set_back_writes_nothing_twice, 4)
{
    static const int64_t steps_s[] = {-10, -600, -3600, -23 * 3600};
    struct answer first = keyed(ada, "/posts", KEY, POST_BODY);

    set_clock(steps_s[_i]);

    ck_replayed(keyed_after_login(POST_BODY), first);
    ck_rows("posts", 1);
}

TEST(a_key_of_a_clock_far_ahead_has_expired)
{
    struct instant now = the_time;
    the_time = instant_plus_s(now, 25 * 3600); /* more than a key lives */
    ck_first(keyed(log_in("ada@example.org"), "/posts", "a-key-of-then", POST_BODY));
    the_time = now;

    ck_first(keyed(ada, "/posts", "a-key-of-then", POST_BODY));
    ck_rows("idempotency_keys", 1);
}

static void change_signing_key(void)
{
    keyring_close(the_app->keys);
    must(keyring_open(the_arena, "Zt7Bq2Wn5Xc8Vm1Lk4Jh6Gf9Ds3Ap0Qr", SECRET_KEY,
                      the_app->settings->jwt_issuer.data, &the_app->keys));
    the_app->router.keys = the_app->keys;
}

TEST(a_key_outlives_a_change_of_the_signing_key)
{
    struct answer first = keyed(ada, "/posts", KEY, POST_BODY);

    change_signing_key();

    ck_replayed(keyed(ada, "/posts", KEY, POST_BODY), first);
    ck_status(keyed(ada, "/posts", KEY, other_bodies[0]), 422);
    struct answer new = keyed(ada, "/posts", "second-key", POST_BODY);
    ck_first(new);
    ck_replayed(keyed(ada, "/posts", "second-key", POST_BODY), new);
}

TEST(nothing_of_key_or_body_can_be_read_in_the_table)
{
    keyed(ada, "/posts", KEY, POST_BODY);

    ck_assert_int_eq(ask_number("SELECT COUNT(*) AS n FROM idempotency_keys WHERE id LIKE "
                                "CONCAT('%', '" KEY
                                "', '%') OR fingerprint = UNHEX(SHA2('" POST_BODY "', 256))"),
                     0);
}

/* ---- purging ---- */

/* A keyed request whose end is in our hands: what the server does when the answer is out. */
static void handle(struct request *rq, struct response *rs, const char *path, const char *key,
                   const char *body)
{
    char **params = arena_array(the_arena, 7, sizeof *params);
    params[0] = arena_strdup(the_arena, "REQUEST_METHOD=POST");
    params[1] = say("DOCUMENT_URI=/api%s", path);
    params[2] = say("HTTP_AUTHORIZATION=Bearer %s", ada);
    params[3] = arena_strdup(the_arena, "CONTENT_TYPE=application/json");
    params[4] = say("CONTENT_LENGTH=%zu", strlen(body));
    params[5] = say("HTTP_IDEMPOTENCY_KEY=%s", key);
    request_from_params(rq, the_arena, params, "/api", the_time);
    rq->raw_body = text_of(body);
    app_handle(the_app, rq, rs);
}

static void post_to_the_end(const char *key)
{
    struct request rq;
    struct response rs;
    response_init(&rs);
    handle(&rq, &rs, "/posts", key, POST_BODY);
    ck_assert_int_eq(rs.status, 201);
    ck_assert(rs.after != NULL);
    rs.after(the_app, &rq);
    response_release(&rs);
}

TEST(keys_that_have_expired_go_with_new_ones)
{
    keyed(ada, "/posts", "a-living-key", POST_BODY);
    run_sql("INSERT INTO idempotency_keys (id, fingerprint, expires_at) SELECT "
            "UNHEX(SHA2(seq, 256)), UNHEX(SHA2(seq, 256)), '2001-01-01' + INTERVAL seq SECOND "
            "FROM seq_1_to_30");

    post_to_the_end("first-key");
    int64_t left = rows_in("idempotency_keys WHERE expires_at < '2002-01-01'");
    ck_assert_int_lt(left, 30);
    for (int i = 0; i < 5; i++)
        post_to_the_end("first-key");

    ck_rows("idempotency_keys WHERE expires_at < '2002-01-01'", 0);
    ck_rows("idempotency_keys", 2);
    ck_assert_str_eq(
        answer_header(keyed(ada, "/posts", "a-living-key", POST_BODY), "Idempotency-Replayed"),
        "true");
}

/* ---- rivals ---- */

/* What the processes of one test share. */
struct rivalry {
    const char *token;
    struct {
        int status;
        char id[UUID_TEXT_SIZE];
        bool replayed;
    } seen[RIVALS];
};

static void post_as_rival(int number, void *context)
{
    struct rivalry *all = context;
    struct answer answer = keyed(all->token, "/posts", KEY, POST_BODY);
    all->seen[number].status = answer.status;
    if (answer.status == 201)
        memcpy(all->seen[number].id, answer_text(answer, "post.id"), UUID_TEXT_SIZE);
    all->seen[number].replayed = answer_header(answer, "Idempotency-Replayed") != NULL;
}

CASE("rivals", set_up, loopback_close);
CASE_LIMIT_S(120);

TEST(twenty_at_once_write_one_post_and_all_are_told_of_it)
{
    struct rivalry *all =
        mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(all != MAP_FAILED);
    for (int round = 1; round <= 3; round++) {
        const char *email = say("ada%d@example.org", round);
        make_user(email, ROLE_USER);
        *all = (struct rivalry){.token = log_in(email)};
        int firsts = 0;

        parallel(RIVALS, post_as_rival, all);

        for (int i = 0; i < RIVALS; i++) {
            ck_assert_int_eq(all->seen[i].status, 201);
            ck_assert_str_eq(all->seen[i].id, all->seen[0].id);
            firsts += !all->seen[i].replayed;
        }
        ck_assert_int_eq(firsts, 1);
        ck_rows("posts", round);
    }
    munmap(all, sizeof *all);
}

/* ---- a program of our own, whose handler can be told what to do ---- */

static unsigned pause_us;
static int held_by[2] = {-1, -1}; /* a pipe: a handler goes on when something is in it */
static bool must_wait, must_fail, must_refuse, must_log_out;

static void wait_until_told(void)
{
    char byte;
    if (must_wait)
        ck_assert_int_eq(read(held_by[0], &byte, 1), 1);
}

static void log_all_out(void *context)
{
    (void)context;
    run_sql("DELETE FROM sessions");
}

static struct problem *scratch(struct app *app, struct request *rq, struct response *rs)
{
    struct problem *p = db_run(app->db, rq->arena, "INSERT INTO scratch VALUES (1)");
    if (must_log_out)
        wait_for(run_aside(log_all_out, NULL));
    usleep(pause_us);
    wait_until_told();
    json_object(&rs->body);
    json_key(&rs->body, "n");
    json_integer(&rs->body, (int64_t)getpid());
    json_object_end(&rs->body);
    if (!p && must_fail)
        p = problem(rq->arena, &problem_forbidden, NULL);
    if (must_refuse)
        rs->refusal = problem(rq->arena, &problem_forbidden, NULL);
    return p;
}

static const struct field nothing_fields[] = {
    {.name = "nothing", .type = FIELD_BOOLEAN, .use = FIELD_CREATE}};
static const struct record nothing_record = {
    .name = "Nothing", .size = sizeof(bool), .fields = nothing_fields, .count = 1};
static const struct route scratch_routes[] = {
    {
        .method = METHOD_POST,
        .path = "/scratch",
        .handle = scratch,
        .auth = AUTH_USER,
        .body = &nothing_record,
        .in_doubt = in_doubt_repeat,
        .status = 201,
        .flags = ROUTE_IDEMPOTENCY_KEY | ROUTE_TRANSACTION,
        .operation_id = "scratch",
    },
};
static const struct resource scratch_resource = RESOURCE("scratch", "For trying.", scratch_routes);
static const struct resource *const scratch_resources[] = {&scratch_resource, NULL};

static struct answer ask_scratch(void)
{
    the_app->router.resources = scratch_resources;
    return keyed(ada, "/scratch", KEY, "{}");
}

CASE("storage", set_up, loopback_close);

TEST(a_rollback_leaves_no_key)
{
    must_fail = true;
    ck_status(ask_scratch(), 403);
    ck_rows("idempotency_keys", 0);
    ck_rows("scratch", 0);
    must_fail = false;

    ck_first(ask_scratch());

    ck_rows("scratch", 1);
    ck_status(ask_scratch(), 201);
    ck_rows("scratch", 1);
}

/* The write of a refusal stands, and it is no success that could be replayed. */
TEST(a_refusal_is_committed_and_not_kept)
{
    must_refuse = true;
    ck_problem(ask_scratch(), FORBIDDEN);
    ck_rows("scratch", 1);
    must_refuse = false;

    ck_first(ask_scratch());

    ck_rows("scratch", 2);
}

/* Also where the handler does not ask for it. */
TEST(what_was_done_stands_only_if_the_caller_may_still_call)
{
    the_app->router.resources = scratch_resources;
    must_log_out = true;

    struct answer answer = api_post(ada, "/scratch", "{}");

    ck_problem(answer, INVALID_TOKEN);
    ck_rows("scratch", 0);
}

static void ask_slowly(void *context)
{
    pause_us = *(const unsigned *)context;
    ck_first(ask_scratch());
}

/* Until the other has claimed the key: what it has not committed is seen without isolation. */
static void await_claim(void)
{
    int64_t n = 0;
    for (long end = now_ms() + PATIENCE_MS; !n && now_ms() < end;) {
        run_sql("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED");
        n = rows_in("scratch");
        usleep(5 * 1000);
    }
    run_sql("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
    ck_assert_int_gt(n, 0);
}

CASE("rivals", set_up, loopback_close);

TEST(a_rival_in_flight_is_waited_for)
{
    unsigned pause = 1000 * 1000;
    pid_t pid = run_aside(ask_slowly, &pause);
    await_claim();

    struct answer answer = ask_scratch();

    wait_for(pid);
    ck_status(answer, 201);
    ck_assert_str_eq(answer_header(answer, "Idempotency-Replayed"), "true");
    ck_assert_int_eq(answer_integer(answer, "n"), pid);
    ck_rows("scratch", 1);
}

static void fail_slowly(void *context)
{
    (void)context;
    pause_us = 700 * 1000;
    must_fail = true;
    ck_status(ask_scratch(), 403);
}

TEST(a_rival_that_fails_leaves_the_key_to_who_waits)
{
    pid_t pid = run_aside(fail_slowly, NULL);
    await_claim();

    struct answer answer = ask_scratch();

    wait_for(pid);
    ck_first(answer);
    ck_assert_int_eq(answer_integer(answer, "n"), getpid());
    ck_rows("scratch", 1);
}

static void ask_until_told(void *context)
{
    (void)context;
    must_wait = true;
    ck_first(ask_scratch());
}

TEST(a_rival_that_takes_too_long_is_not_waited_for)
{
    struct request rq;
    struct response busy;
    the_app->router.resources = scratch_resources;
    ck_assert_int_eq(pipe(held_by), 0);
    pid_t pid = run_aside(ask_until_told, NULL);
    await_claim();
    int64_t begun_us = instant_now().us;
    response_init(&busy);

    handle(&rq, &busy, "/scratch", KEY, "{}");

    int64_t waited_us = instant_now().us - begun_us;
    ck_assert_int_eq(busy.status, 409);
    ck_assert_ptr_nonnull(strstr(arena_copy(the_arena, busy.body.data, busy.body.len),
                                 "\"code\":\"idempotency_busy\""));
    ck_assert_ptr_nonnull(
        strstr(arena_copy(the_arena, busy.headers.data, busy.headers.len), "Retry-After: 1\r\n"));
    ck_assert_int_ge(waited_us, 4000 * 1000);
    response_release(&busy);
    ck_assert_int_eq(write(held_by[1], "g", 1), 1);
    wait_for(pid);
    struct answer later = ask_scratch();
    ck_assert_int_eq(answer_integer(later, "n"), pid);
    ck_rows("scratch", 1);
}
