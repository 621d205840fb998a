/* needs: mariadb replica */
/* A list of database hosts: a primary that dies, a replica that is promoted by hand. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/http.h"
#include "tests/e2e/load.h"
#include "tests/e2e/world.h"
#include "tests/support/refusals.h"

static struct backend pool;
static struct front nginx;
static const char *primary_control, *replica_control;

/* Run SQL as root; `DATABASE_CONTROL` decides at which of the two the world looks. */
static void sql_at(const char *control, const char *sql)
{
    ck_assert_msg(world_run(LIST(control, "sql"), NULL, sql, NULL) == 0, "%s fails", sql);
}

static void look_at(const char *control)
{
    ck_assert_int_eq(setenv("DATABASE_CONTROL", control, 1), 0);
}

/* With `option` besides those that its port needs. */
static void start_primary(const char *option)
{
    const char *options = say("MARIADBD_OPTIONS=--skip-networking=0 --bind-address=127.0.0.1"
                              " --port=%s --server-id=1 --log-bin=bin %s",
                              getenv("PRIMARY_PORT"), option);
    ck_assert_int_eq(world_run(LIST(primary_control, "start"), LIST(options), NULL, NULL), 0);
}

static void start_all(void)
{
    backend_start(&pool, LIST("WORKERS=4", "HASH_WORKERS=1"));
    front_start(&nginx, &pool, LIST("LOGIN_LIMIT=off"));
    the_front = &nginx;
}

static void stop_all(void)
{
    front_stop(&nginx);
    backend_stop(&pool);
}

static struct answer write_one(const char *token, const char *title)
{
    return fetch(.path = "/api/posts", .token = token,
                 .body = say("{\"title\":\"%s\",\"content\":\"x\",\"published\":true}", title));
}

/* Until all workers have come to the same conclusion. */
static void await_writes(const char *token)
{
    const struct http_call call = {
        .path = "/api/posts", .token = token, .body = "{\"title\":\"probe\",\"content\":\"x\"}"};
    for (int i = 0; i < 12; i++)
        (void)http_await(&call, 201, PATIENCE_MS);
}

static const char *const ways_to_go[] = {"kill", "freeze"};

HTTP_CASE("two hosts");

TEST_EACH(without_its_primary_reads_go_on_and_writes_wait, ways_to_go)
{
    start_all();
    const char *token = new_user(NULL);
    const char *path = say("/api/posts/%s", new_post(token, "still there", true));
    const struct http_call read = {.path = path, .token = token};
    database(ways_to_go[_i]);

    (void)http_await(&read, 200, PATIENCE_MS); /* the replica may have to catch up */
    ck_status(fetch(.path = "/api/health"), 200);
    for (int i = 0; i < 12; i++) {
        ck_status(http_fetch(&read), 200);
        ck_problem(write_one(token, "refused"), UNAVAILABLE);
    }

    start_primary("");
    await_writes(token);
    ck_assert_int_eq(database_number("SELECT COUNT(*) FROM posts WHERE title = 'refused'"), 0);
    stop_all();
}

TEST(who_only_reads_goes_back_to_the_primary_too)
{
    start_all();
    const char *id = new_post(new_user(NULL), "old", true);
    const struct http_call read = {.path = say("/api/posts/%s", id)};
    database("kill");
    (void)http_await(&read, 200, PATIENCE_MS);

    sql_at(replica_control, "STOP SLAVE;");
    start_primary("");
    sql_at(primary_control, say("UPDATE postern.posts SET title = 'new' WHERE id = '%s'", id));

    unsigned in_a_row = 0;
    for (long end = now_ms() + PATIENCE_MS; in_a_row < 40 && now_ms() < end; pause_ms(20))
        in_a_row =
            strcmp(answer_text(http_fetch(&read), "post.title"), "new") == 0 ? in_a_row + 1 : 0;
    ck_assert_uint_eq(in_a_row, 40);
    sql_at(replica_control, "START SLAVE;");
    stop_all();
}

/* By hand, and in this order: what the replica has received is carried out before it forgets
 * where it was a replica of. */
static void promote(void)
{
    sql_at(replica_control, "STOP SLAVE IO_THREAD;");
    look_at(replica_control);
    long end = now_ms() + PATIENCE_MS;
    while (database_number("SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE "
                           "'Slave has read all relay log%'") == 0) {
        ck_assert_msg(now_ms() < end, "the replica does not catch up");
        pause_ms(20);
    }
    sql_at(replica_control, "STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = 0;");
}

static void await_replica(void)
{
    sql_at(primary_control, "SET GLOBAL rpl_semi_sync_master_enabled = 1;");
    /* It may still be waiting for a primary that was killed: have it ask at once. */
    sql_at(replica_control, "STOP SLAVE IO_THREAD; START SLAVE IO_THREAD;");
    for (long end = now_ms() + PATIENCE_MS; now_ms() < end; pause_ms(20))
        if (database_number("SELECT variable_value FROM information_schema.global_status WHERE "
                            "variable_name = 'Rpl_semi_sync_master_clients'") == 1)
            return;
    ck_abort_msg("the replica does not come back");
}

TEST(a_promoted_replica_has_every_acknowledged_write)
{
    start_all();
    await_replica();
    const char *token = new_user(NULL);
    struct load *load = load_start(&nginx, token);
    load_await_served(load, 100);

    load_bear_lag(load, true);
    database("kill");
    load_await_refused(load, 20);
    promote();
    await_writes(token);
    load_bear_lag(load, false);
    load_be_strict(load);
    unsigned before = load_tally(load).served;
    load_await_served(load, 101);
    load_finish(load);

    ck_assert_uint_gt(load_tally(load).served, before + 100);
    load_verify(load, true);
    load_free(load);

    /* What was the primary comes back, read-only as its operator has to see to. It knows nothing
     * of later writes, and new workers find it at the head of their list. */
    const struct http_call read = {.path = say("/api/posts/%s", new_post(token, "late", true))};
    start_primary("--read-only");
    stop_all();
    start_all();
    for (int i = 0; i < 40; i++)
        ck_status(http_fetch(&read), 200);
    await_writes(token);
    stop_all();
}

/* It follows the promotion above: the first host of the list is not the primary any more. It says
 * nothing of being read-only, and yet has no writes. */
TEST(a_host_whose_tables_are_read_only_is_passed_over)
{
    look_at(primary_control);
    database("stop"); /* with innodb_read_only nothing may be left to be recovered */
    start_primary("--innodb-read-only=1 --skip-slave-start");
    start_all();

    const char *token = new_user(NULL);
    for (int i = 0; i < 12; i++)
        (void)new_post(token, "on the second host", true);

    stop_all();
}

int main(void)
{
    primary_control = getenv("DATABASE_CONTROL");
    replica_control = getenv("REPLICA_CONTROL");
    if (!replica_control) {
        fputs("run this inside tests/support/with-replica\n", stderr);
        return EXIT_FAILURE;
    }
    return http_main();
}
