/* needs: mariadb */
/* What a worker does around requests, and between them. */
#include "fcgi-app/worker.h"

#include <unistd.h>

#include "common/base/instant.h"
#include "common/db/counter_sweep.h"
#include "common/db/db_limits.h"
#include "common/process/peers.h"
#include "tests/support/exposition.h"
#include "tests/support/people.h"
#include "tests/support/suite.h"

static const char *ada, *path;

static void set_up(void)
{
    loopback_open();
    ada = bearer_of_new("ada@example.org", ROLE_USER);
    path = say("/posts/%s", write_post(ada, "T", "C", true));
    while (app_sweep(the_app, the_arena))
        continue;
    ck_rows("list_journal", 0);
}

static void write_some(int times)
{
    for (int i = 0; i < times; i++)
        ck_status(api_patch(ada, path, "{\"title\":\"another\"}"), 200);
}

static void ck_waiting(int64_t rows)
{
    ck_assert(!app_spare(the_app, the_arena));
    ck_rows("list_journal", rows);
}

CASE("sweeping", set_up, loopback_close);

TEST(who_has_written_much_sweeps)
{
    write_some(SWEEP_WRITES - 1);
    ck_waiting(SWEEP_WRITES - 1);

    for (int i = 0; i < SWEEP_WRITES; i++) /* what writes nothing does not count */
        ck_status(api_get(ada, "%s", path), 200);
    ck_status(api_patch(ada, path, "{}"), 200);
    ck_status(api_patch(NULL, path, "{\"title\":\"x\"}"), 401);
    ck_waiting(0);
    write_some(1);
    ck_waiting(1);
}

TEST(who_has_written_little_sweeps_later)
{
    write_some(1);
    ck_waiting(1);
    the_app->swept_at -= SWEEP_S * INT64_C(1000000000);

    ck_waiting(0);

    (void)db_take_counts(the_app->db);
    the_app->swept_at -= SWEEP_S * INT64_C(1000000000);
    ck_assert(!app_spare(the_app, the_arena)); /* and asks no more, for there can be nothing */
    ck_assert_uint_eq(db_take_counts(the_app->db).statements, 0);
}

/* Of a worker that was killed, perhaps. */
TEST(a_new_worker_sweeps_what_others_have_left)
{
    write_some(3);
    app_close(the_app);
    loopback_again();

    ck_waiting(0);
}

/* Also by one who has written little. */
TEST_TIMES(much_is_swept_a_step_at_a_time, 2)
{
    run_sql("INSERT INTO list_journal (total, owner, kind, n) SELECT 2, UUID(), 0, 0 FROM "
            "seq_1_to_600");
    write_some(_i ? 1 : SWEEP_WRITES);
    the_app->swept_at -= _i ? SWEEP_S * INT64_C(1000000000) : 0;
    int steps = 1;
    while (app_spare(the_app, the_arena))
        steps++;

    ck_assert_int_eq(steps, 3);
    ck_rows("list_journal", 0);
}

/* Every total reads the journal, and what goes with a user is named there. */
TEST(who_departs_does_not_make_the_journal_grow)
{
    run_sql("INSERT INTO posts (id, author_id, title, content, published, created_at) SELECT "
            "UUID(), id, 'T', 'C', 1, UTC_TIMESTAMP(6) FROM users JOIN seq_1_to_2000");
    count_again();
    ck_status(api_ask(.method = "DELETE", .path = "/auth/profile", .token = ada,
                      .body = object("{'current_password':'%s'}", PASSWORD)),
              204);
    the_app->sweeps = true; /* as the next list finds out */

    do
        ck_assert_int_le(rows_in("list_journal"), 3 * SWEEP_ROWS);
    while (app_spare(the_app, the_arena));

    ck_rows("posts", 0);
    ck_rows("users", 0);
    ck_rows("list_journal", 0);
}

static double metric(const char *name)
{
    struct answer answer = api_ask(.path = "/metrics", .from = "127.0.0.1");
    ck_status(answer, 200);
    return exposition_value(answer.text, name);
}

TEST(metrics_tell_what_waits)
{
    ck_assert(metric("postern_totals_waiting_rows") == 0);
    ck_assert(metric("postern_totals_waiting_seconds") == 0);
    run_sql("INSERT INTO list_journal (total, owner, kind, n) SELECT 2, UUID(), 0, 0 FROM "
            "seq_1_to_600");
    run_sql("UPDATE list_journal SET written_at = UTC_TIMESTAMP() - INTERVAL 1 HOUR");

    ck_assert(app_sweep(the_app, the_arena));

    ck_assert(metric("postern_totals_waiting_rows") == 600 - 256);
    ck_assert(metric("postern_totals_waiting_seconds") >= 3600);
    ck_assert(app_sweep(the_app, the_arena));
    ck_assert(!app_sweep(the_app, the_arena));
    ck_assert(metric("postern_totals_waiting_rows") == 0);
    ck_assert(metric("postern_totals_waiting_seconds") == 0);
}

TEST(metrics_tell_how_the_search_indexes_are)
{
    run_sql("UPDATE search_builds SET lost = 3, patch_max = 5000 WHERE list = 2");
    run_sql("DELETE FROM search_builds WHERE list = 1");

    (void)app_sweep(the_app, the_arena);

    ck_assert(metric("postern_search_index_built{list=\"posts\"}") == 1);
    ck_assert(metric("postern_search_index_built{list=\"users\"}") == 0);
    ck_assert(metric("postern_search_lost_blobs{list=\"posts\"}") == 3);
    ck_assert(metric("postern_search_patch_bytes{list=\"posts\"}") == 5000);
}

/* ---- who waits for their turn ---- */

CASE("turns", loopback_open, loopback_close);

static struct answer guess(void)
{
    return api_post(NULL, "/auth/login", object("{'email':'ada@example.org','password':'x'}"));
}

static struct problem *(*admits)(struct app *app, struct request *rq);
static int64_t held_until;

static struct problem *note_place(struct app *app, struct request *rq)
{
    struct problem *p = admits(app, rq);
    held_until = app->hash_place.until;
    return p;
}

/* Whoever waits is still there when the place of a killed worker comes back. */
TEST(a_place_for_a_hash_is_held_for_less_than_others_wait)
{
    admits = the_app->router.admit_hash;
    the_app->router.admit_hash = note_place;

    ck_status(guess(), 401);

    ck_assert_int_gt(held_until, 0);
    ck_assert_int_lt(held_until, monotonic_ns() + PEERS_POSTPONED_S * INT64_C(1000000000) / 2);
    ck_assert_int_eq(atomic_load(&the_app->shared->hash_gate.places[0]), 0);
}

TEST(a_login_is_none_of_the_others_whether_it_is_let_in_or_not)
{
    struct gate *gate = &the_app->shared->hash_gate;
    atomic_store(&gate->others, 0);
    ck_status(guess(), 401);
    ck_assert_int_eq(atomic_load(&gate->others), 0);

    for (int i = 0; i < GATE_PLACES_MAX; i++)
        atomic_store(&gate->places[i], monotonic_ns() + INT64_C(30000000000));
    ck_status(guess(), 503);
    ck_assert_int_eq(atomic_load(&gate->others), 0);

    ck_status(api_get(NULL, "/posts"), 200);
    ck_assert_int_gt(atomic_load(&gate->others), 0);
}

/* So that the time of the request is certainly up, if it counts what came before. */
static struct problem *pause_a_moment(struct app *app, struct request *rq)
{
    (void)app, (void)rq;
    const int64_t end = monotonic_ns() + 5000000;
    while (monotonic_ns() < end)
        usleep(1000);
    return NULL;
}

/* nginx waits for turn and database together. */
TEST(what_a_request_has_waited_for_its_turn_counts_as_its_time)
{
    static char method[] = "REQUEST_METHOD=GET", uri[] = "DOCUMENT_URI=/api/posts";
    char *const params[] = {method, uri, NULL};
    struct request rq;
    struct response rs;
    response_init(&rs);
    the_app->router.admit = pause_a_moment;
    request_from_params(&rq, the_arena, params, "/api", the_time);
    rq.came = monotonic_ns() - DB_REQUEST_LIMIT_S * INT64_C(1000000000);

    app_handle(the_app, &rq, &rs);

    ck_assert_int_eq(rs.status, 503);
    response_release(&rs);
}
