/* failures.c -- workers are killed, pools stopped, the database goes: what clients see. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/instant.h"
#include "common/db/db_limits.h"
#include "fcgi-app/worker.h"
#include "tests/e2e/http.h"
#include "tests/e2e/load.h"
#include "tests/e2e/own.h"
#include "tests/support/refusals.h"

static const struct http_call ready_call = {.path = "/api/ready"};

/* A test that failed before may have left the database down. */
static void set_up(void)
{
    http_set_up();
    database("start");
}

/* What lists tell is what is in the table. */
static void check_totals(void)
{
    struct answer r = fetch(.path = "/api/posts?limit=1");
    ck_status(r, 200);
    ck_assert_int_eq(answer_integer(r, "pagination.total"),
                     database_number("SELECT COUNT(*) FROM posts WHERE published = 1"));
}

CASE("failures", set_up, http_tear_down);
CASE_IF(world_at("nginx"));

TEST(a_killed_worker_takes_along_only_its_request)
{
    const unsigned kills = 6;
    pid_t pids[WORKERS_MAX];
    start_own(LIST("WORKERS=4", "HASH_WORKERS=1"));
    struct load *load = load_start(&own_front, new_user(NULL));

    for (unsigned i = 0; i < kills; i++) {
        load_await_served(load, 40);
        ck_assert_uint_eq(backend_workers(&own, pids), 5);
        ck_assert_int_eq(kill(pids[0], SIGKILL), 0);
        backend_await_workers(&own, 5, pids[0]);
    }
    load_await_served(load, 40);
    load_finish(load);

    struct load_tally tally = load_tally(load);
    ck_assert_uint_le(tally.refused, kills);
    ck_assert_uint_gt(tally.served, 200);
    load_verify(load, true);
    check_totals();
    ck_assert(backend_logged(&own, "\"worker_died\""));
    load_free(load);
    stop_own();
}

/* A change of a user that is inside a worker, for the user's row is locked. */
struct held_change {
    struct http_call call;
    struct db *hold;
    struct flight *flight;
};

static void hold_change(struct held_change *h)
{
    const char *id, *token = new_user(&id);
    h->call = (struct http_call){.method = "PATCH",
                                 .token = token,
                                 .path = say("/api/users/%s", id),
                                 .body = "{\"last_name\":\"Changed\"}"};
    h->hold = database_hold("users", id);
    h->flight = http_send(&h->call);
    database_await_waiting(1);
}

TEST(the_request_inside_a_killed_worker_is_502)
{
    pid_t pids[WORKERS_MAX];
    struct held_change held;
    start_own(LIST("WORKERS=1", "HASH_WORKERS=1"));
    hold_change(&held);

    ck_assert_uint_eq(backend_workers(&own, pids), 2);
    ck_assert_int_eq(kill(pids[0], SIGKILL), 0);
    struct answer r = http_land(held.flight);
    database_let_go(held.hold);

    ck_problem(r, BAD_GATEWAY);
    backend_await_workers(&own, 2, pids[0]);
    struct answer after = fetch(.path = held.call.path, .token = held.call.token);
    ck_assert(answer_is_null(after, "user.last_name"));
    stop_own();
}

TEST(health_does_not_wait_for_workers_that_are_busy)
{
    struct held_change held;
    start_own(LIST("WORKERS=1", "HASH_WORKERS=1"));
    hold_change(&held);

    for (int i = 0; i < 3; i++)
        ck_status(fetch(.path = "/api/health"), 200);
    ck_assert(!http_has_landed(held.flight));
    database_let_go(held.hold);

    ck_status(http_land(held.flight), 200);
    stop_own();
}

TEST(the_request_inside_a_stopped_pool_is_finished)
{
    struct held_change held;
    start_own(LIST("WORKERS=2", "HASH_WORKERS=1"));
    hold_change(&held);

    ck_assert_int_eq(kill(own.pid, SIGTERM), 0);
    backend_await_workers(&own, 1, 0); /* the others are idle, and go at once */
    database_let_go(held.hold);
    struct answer r = http_land(held.flight);

    ck_status(r, 200);
    ck_assert_str_eq(answer_text(r, "user.last_name"), "Changed");
    stop_own();
}

TEST(a_pool_that_is_stopped_under_load_loses_nothing)
{
    start_own(LIST("WORKERS=4", "HASH_WORKERS=1"));
    struct load *load = load_start(&own_front, new_user(NULL));
    load_await_served(load, 101);

    backend_stop(&own);
    struct answer fast = fetch(.path = "/api/health");
    struct answer hash = fetch(.path = "/api/auth/login", .body = "{}");
    load_await_refused(load, 20);
    load_finish(load);

    struct load_tally tally = load_tally(load);
    ck_assert_uint_gt(tally.served, 100);
    ck_assert_uint_gt(tally.refused, 0);
    load_verify(load, false); /* what no worker had accepted, none has carried out */
    ck_problem(fast, BAD_GATEWAY);
    ck_problem(hash, UNAVAILABLE);
    ck_assert(backend_logged(&own, "\"stopped\""));
    ck_assert(!backend_logged(&own, "\"worker_died\""));
    load_free(load);
    stop_own();
}

TEST(five_rolling_restarts_under_load_lose_nothing)
{
    pid_t after[WORKERS_MAX];
    start_own(LIST("WORKERS=4", "HASH_WORKERS=1"));
    struct load *load = load_start(&own_front, new_user(NULL));
    load_be_strict(load);

    for (unsigned i = 0; i < 5; i++) {
        load_await_served(load, 50);
        backend_reload(&own, 5);
        ck_assert_uint_eq(backend_workers(&own, after), 5);
    }
    load_finish(load);

    ck_assert_uint_eq(load_tally(load).refused, 0);
    ck_assert_uint_gt(load_tally(load).served, 200);
    load_verify(load, false);
    check_totals();
    ck_assert(!backend_logged(&own, "\"worker_died\""));
    load_free(load);
    stop_own();
}

static const char *const ways_to_go[] = {"stop", "kill"};

TEST_EACH(a_database_that_goes_and_comes_back_loses_nothing, ways_to_go)
{
    start_own(LIST("WORKERS=4", "HASH_WORKERS=1"));
    struct load *load = load_start(&own_front, new_user(NULL));
    load_await_served(load, 100);

    database(ways_to_go[_i]);
    struct answer ready = fetch(.path = "/api/ready");
    struct answer posts = fetch(.path = "/api/posts");
    struct answer health = fetch(.path = "/api/health");
    load_await_refused(load, 20);
    database("start");
    (void)http_await(&ready_call, 200, PATIENCE_MS);
    load_await_calm(load, 200); /* all workers are back */
    load_be_strict(load);
    load_await_served(load, 200);
    load_finish(load);

    struct load_tally tally = load_tally(load);
    ck_problem(ready, UNAVAILABLE);
    ck_problem(posts, UNAVAILABLE);
    ck_status(health, 200);
    ck_assert_uint_gt(tally.served, 200);
    ck_assert_uint_gt(tally.refused, 0);
    ck_assert_uint_eq(tally.refused_502, 0); /* no worker dies of it */
    load_verify(load, true);
    check_totals();
    ck_assert(!backend_logged(&own, "\"worker_died\""));
    load_free(load);
    stop_own();
}

#define ROUNDS 11

static int by_length(const void *a, const void *b)
{
    const long *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* What comes while the database is frozen, one after another, and is told by us, not by nginx after
 * half a minute; returns how long it took in most rounds to tell our health. */
static long ask_while_frozen(void)
{
    static const struct http_call calls[] = {
        {.path = "/api/ready"},
        {.path = "/api/posts"},
        {.path = "/api/auth/login",
         .body = "{\"email\":\"" ADMIN_EMAIL "\",\"password\":\"" PASSWORD "\"}"},
    };
    long took[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        long began = now_ms();
        ck_status(fetch(.path = "/api/health"), 200);
        took[round] = now_ms() - began;
        for (int i = 0; i < COUNT(calls); i++)
            ck_problem(http_fetch(&calls[i]), UNAVAILABLE);
    }
    qsort(took, ROUNDS, sizeof *took, by_length);
    return took[ROUNDS / 2];
}

TEST(a_frozen_database_is_told_by_us_in_seconds)
{
    start_own(LIST("WORKERS=4", "HASH_WORKERS=1"));
    struct load *load = load_start(&own_front, new_user(NULL));
    load_await_served(load, 100);

    database("freeze");
    long health_ms = ask_while_frozen();
    database("thaw");
    (void)http_await(&ready_call, 200, PATIENCE_MS);
    load_finish(load);

    /* One worker at a time tries for so long; the others are free. */
    ck_assert_int_lt(health_ms, DB_CONNECT_LIMIT_S * 1000);
    load_verify(load, true);
    check_totals();
    ck_assert(!backend_logged(&own, "\"worker_died\""));
    ck_assert(!backend_logged(&own, "\"worker_hangs\""));
    load_free(load);
    stop_own();
}

TEST(a_pool_can_be_started_before_its_database)
{
    database("stop");
    start_own(LIST("WORKERS=2", "HASH_WORKERS=1"));

    ck_status(fetch(.path = "/api/health"), 200);
    ck_problem(fetch(.path = "/api/ready"), UNAVAILABLE);
    ck_problem(fetch(.path = "/api/posts"), UNAVAILABLE);
    ck_problem(fetch(.path = "/api/auth/login",
                     .body = "{\"email\":\"" ADMIN_EMAIL "\",\"password\":\"" PASSWORD "\"}"),
               UNAVAILABLE);
    database("start");
    (void)http_await(&ready_call, 200, PATIENCE_MS);

    ck_status(fetch(.path = "/api/posts"), 200);
    ck_assert_ptr_nonnull(token_of(ADMIN_EMAIL));
    ck_assert(!backend_logged(&own, "\"worker_died\""));
    stop_own();
}

#define STORM 16

TEST(a_storm_of_logins_starves_nobody)
{
    static const struct http_call login = {.path = "/api/auth/login",
                                           .body = "{\"email\":\"" ADMIN_EMAIL
                                                   "\",\"password\":\"wrong\"}"};
    struct flight *flights[STORM];
    unsigned tried = 0, busy = 0;
    start_own(LIST("WORKERS=2", "HASH_WORKERS=1", "HASH_BACKLOG=2", "LOGIN_LIMIT=off"));

    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < STORM; i++)
            flights[i] = http_send(&login);
        for (int i = 0; i < 20; i++)
            ck_status(fetch(.path = "/api/posts"), 200);
        for (size_t i = 0; i < STORM; i++) {
            int status = http_land(flights[i]).status;
            ck_assert_msg(status == 401 || status == 503, "status %d", status);
            tried += status == 401;
            busy += status == 503;
        }
    }

    ck_assert_uint_gt(tried, 0);
    ck_assert_uint_gt(busy, 0); /* the queue is short on purpose */
    stop_own();
}

/* What a pool shares that has this file; whose gate for hashes is full. */
static struct shared *fill_hash_gate(const char *state)
{
    static struct settings settings;
    struct shared *shared;
    struct stat file;
    int fd = -1;
    settings.state_file = text_of(state);
    ck_assert_int_eq(stat(state, &file), 0);
    ck_assert_int_eq(seteuid(file.st_uid), 0); /* who alone may open it */
    must(app_share(the_arena, &settings, &fd, &shared));
    ck_assert_int_eq(seteuid(getuid()), 0);
    for (int i = 0; i < GATE_PLACES_MAX; i++)
        atomic_store(&shared->hash_gate.places[i], monotonic_ns() + INT64_C(30000000000));
    return shared;
}

static void open_hash_gate(struct shared *shared)
{
    for (int i = 0; i < GATE_PLACES_MAX; i++)
        atomic_store(&shared->hash_gate.places[i], 0);
}

TEST(logins_wait_for_their_turn_and_all_else_does_not)
{
    static const struct http_call login = {.path = "/api/auth/login",
                                           .body = "{\"email\":\"" ADMIN_EMAIL
                                                   "\",\"password\":\"wrong\"}"};
    struct flight *flights[STORM];
    backend_make(&own);
    const char *state = say("%s/state", own.folder);
    backend_again(
        &own, LIST("WORKERS=2", "HASH_WORKERS=1", "LOGIN_LIMIT=off", say("STATE_FILE=%s", state)));
    start_own_front();
    struct shared *shared = fill_hash_gate(state);

    for (size_t i = 0; i < STORM; i++)
        flights[i] = http_send(&login);
    for (int i = 0; i < 20; i++)
        ck_status(fetch(.path = "/api/posts"), 200);
    for (size_t i = 0; i < STORM; i++)
        ck_assert(!http_has_landed(flights[i]));
    open_hash_gate(shared);

    for (size_t i = 0; i < STORM; i++)
        ck_status(http_land(flights[i]), 401);
    stop_own();
}

/* ---- long lists ---- */

static void await_list_in_place(void)
{
    while (!database_number("SELECT COUNT(*) FROM information_schema.processlist"
                            " WHERE state LIKE 'Waiting for table metadata lock'"
                            " AND info LIKE 'SET STATEMENT max_statement_time = 10.000 FOR%'"))
        pause_ms(5);
}

TEST(of_two_workers_one_is_kept_free_of_long_lists)
{
    static const struct http_call list = {.path = "/api/posts"};
    struct http_call profile = {.path = "/api/auth/profile"};
    struct db *locker;
    start_own(LIST("WORKERS=2", "HASH_WORKERS=1"));
    profile.token = new_user(NULL);
    new_post(profile.token, "A post", true);
    must(db_open(the_arena, getenv("DATABASE_URL"), &locker));
    must(db_run(locker, the_arena, "LOCK TABLES posts WRITE"));
    struct flight *flight = http_send(&list);
    await_list_in_place();

    struct answer refused = http_fetch(&list), served = http_fetch(&profile);
    db_close(locker);

    ck_problem(refused, 503, "Service Unavailable", "unavailable");
    ck_header(refused, "Retry-After", "1");
    ck_assert_ptr_nonnull(strstr(answer_text(refused, "message"), "try again soon"));
    ck_status(served, 200);
    struct answer landed = http_land(flight);
    ck_status(landed, 200);
    ck_assert_uint_gt(answer_count(landed), 0);
    ck_status(http_fetch(&list), 200); /* the place is free again */
    stop_own();
}
