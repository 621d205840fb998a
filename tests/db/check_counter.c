/* needs: mariadb */
/* Totals: exact at any moment, whoever writes, sweeps, counts again or dies. */
#include "common/db/counter.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/problem.h"
#include "common/db/counter_recount.h"
#include "common/db/counter_sweep.h"
#include "tests/support/loopback.h"
#include "tests/support/parallel.h"
#include "tests/support/people.h"
#include "tests/support/suite.h"

#define NUMBER "200"
#define KINDS 3
#define WRITES 150 /* of one of many who write at once */

static const struct counter things = {
    .number = 200, .table = "things", .owner = "owner", .kind = "kind", .where = "NOT hidden"};
static const struct counter alone = {
    .number = 201, .table = "things", .kind = "kind", .where = "NOT hidden"};

static const struct uuid nil;
static struct uuid ada, bob;

static void set_up(void)
{
    loopback_open();
    run_sql("DROP TABLE IF EXISTS things");
    run_sql("CREATE TABLE things (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, owner UUID NOT "
            "NULL, kind TINYINT NOT NULL, hidden BOOLEAN NOT NULL DEFAULT 0, INDEX (owner, kind))");
    ada = uuid_make(the_time);
    bob = uuid_make(the_time);
}

static void tear_down(void)
{
    run_sql("DROP TABLE things");
    loopback_close();
}

static void add(struct uuid owner, unsigned kind, int64_t by)
{
    must(counter_add(the_app->db, the_arena, &things, owner, kind, by, nil));
}

static int64_t total(const struct uuid *owner, unsigned lowest, unsigned highest)
{
    int64_t n = INT64_MIN;
    must(counter_read(the_app->db, the_arena, &things, owner, lowest, highest, &n));
    return n;
}

static bool sweep(void)
{
    bool more = true;
    must(counter_sweep(the_app->db, the_arena, NULL, &more));
    return more;
}

static void sweep_all(void)
{
    while (sweep())
        continue;
}

/* So many steps as a thousand rows take, and one for each owner. */
static int recount(const struct counter *counter)
{
    struct uuid after = nil;
    int steps = 0;
    do {
        must(counter_recount(the_app->db, the_arena, counter, &after));
        steps++;
    } while (!uuid_is_nil(&after));
    return steps;
}

/* What is kept, by owner and as a whole, is what the table has. */
static void ck_as_in_table(void)
{
    static const char differ[] =
        "SELECT COUNT(*) AS n FROM (SELECT owner, kind FROM (SELECT owner, kind, 1 AS n FROM things"
        " WHERE NOT hidden UNION ALL SELECT owner, kind, -n FROM list_counts WHERE total = " NUMBER
        " AND owner <> '" NIL_ID "' UNION ALL SELECT owner, kind, -n FROM list_journal WHERE "
        "total = " NUMBER " AND owner <> '" NIL_ID "') AS d GROUP BY owner, kind HAVING SUM(n) <> 0"
        ") AS wrong";
    ck_assert_int_eq(ask_number(differ), 0);
    for (unsigned kind = 0; kind < KINDS; kind++)
        ck_assert_int_eq(total(NULL, kind, kind),
                         rows_in(say("things WHERE NOT hidden AND kind = %u", kind)));
}

CASE("totals", set_up, tear_down);
CASE_LIMIT_S(180);

/* ---- adding and reading ---- */

static void ck_sample(void)
{
    ck_assert_int_eq(total(&ada, 0, 0), 3);
    ck_assert_int_eq(total(&ada, 1, 1), 1);
    ck_assert_int_eq(total(&ada, 0, 255), 4);
    ck_assert_int_eq(total(&ada, 1, 2), 1);
    ck_assert_int_eq(total(&bob, 0, 255), 5);
    ck_assert_int_eq(total(NULL, 0, 0), 8);
    ck_assert_int_eq(total(NULL, 0, 255), 9);
    ck_assert_int_eq(total(NULL, 2, 255), 0);
    ck_assert_int_eq(total(&nil, 0, 255), 0); /* who does not exist has not everybody's */
}

TEST(a_total_is_of_an_owner_or_of_all_by_kind)
{
    ck_assert_int_eq(total(&ada, 0, 255), 0);
    ck_assert_int_eq(total(NULL, 0, 255), 0);
    add(ada, 0, 4);
    add(ada, 1, 1);
    add(bob, 0, 5);
    add(ada, 0, -1);

    ck_sample();
    ck_assert(!sweep());
    ck_rows("list_journal", 0);
    ck_sample();
    add(ada, 0, 1);
    add(ada, 0, -1);
    ck_sample();
}

TEST(no_counter_counts_anothers)
{
    int64_t n;
    add(ada, 0, 4);
    must(counter_add(the_app->db, the_arena, &alone, nil, 0, 7, nil));

    for (int i = 0; i < 2; i++) {
        must(counter_read(the_app->db, the_arena, &alone, NULL, 0, 255, &n));
        ck_assert_int_eq(n, 7);
        must(counter_read(the_app->db, the_arena, &alone, &ada, 0, 255, &n));
        ck_assert_int_eq(n, 0);
        ck_assert_int_eq(total(NULL, 0, 255), 4);
        sweep_all();
    }
}

TEST(a_change_moves_one_from_kind_to_kind_by_one_statement)
{
    add(ada, 0, 2);
    (void)db_take_counts(the_app->db);

    must(counter_change(the_app->db, the_arena, &things, ada, 0, 1, bob));

    ck_assert_uint_eq(db_take_counts(the_app->db).statements, 1);
    ck_assert_int_eq(total(&ada, 0, 0), 1);
    ck_assert_int_eq(total(&ada, 1, 1), 1);
    ck_assert_int_eq(total(NULL, 0, 255), 2);
    ck_rows("list_journal WHERE row_id IS NOT NULL AND n = 1 AND kind = 1", 1);
    ck_rows("list_journal WHERE row_id IS NULL", 2);
}

TEST(a_change_of_no_kind_names_the_row_and_counts_nothing)
{
    add(ada, 1, 1);

    must(counter_change(the_app->db, the_arena, &things, ada, 1, 1, bob));

    ck_rows("list_journal WHERE row_id IS NOT NULL AND n = 0", 1);
    sweep_all();
    ck_assert_int_eq(total(&ada, 0, 255), 1);
    ck_rows("list_counts WHERE total = " NUMBER, 2); /* hers, and all */
}

/* ---- what it costs ---- */

static int64_t rows_read(void)
{
    return ask_number("SELECT CAST(SUM(variable_value) AS INTEGER) AS n FROM "
                      "information_schema.session_status WHERE variable_name IN "
                      "('Handler_read_first', 'Handler_read_key', 'Handler_read_last', "
                      "'Handler_read_next', 'Handler_read_prev', 'Handler_read_rnd', "
                      "'Handler_read_rnd_next')");
}

static int64_t rows_read_for(const struct uuid *owner)
{
    int64_t idle = rows_read(), before = rows_read();
    (void)total(owner, 0, 1);
    int64_t after = rows_read();
    return after - before - (before - idle); /* asking reads some, too */
}

TEST(a_total_costs_the_same_with_many_owners)
{
    add(ada, 0, 1);
    add(ada, 1, 1);
    sweep_all();
    int64_t of_ada = rows_read_for(&ada), of_all = rows_read_for(NULL);

    run_sql("INSERT INTO list_counts SELECT " NUMBER ", UUID(), seq MOD 2, 1 FROM seq_1_to_20000");
    run_sql("ANALYZE TABLE list_counts");
    (void)db_take_counts(the_app->db);

    ck_assert_int_eq(total(&ada, 0, 1), 2);
    ck_assert_uint_eq(db_take_counts(the_app->db).statements, 1);
    ck_assert_int_le(of_ada, 10);
    ck_assert_int_le(rows_read_for(&ada), of_ada);
    ck_assert_int_le(rows_read_for(NULL), of_all);
}

TEST(a_step_costs_the_same_however_much_waits)
{
    run_sql("INSERT INTO list_counts SELECT " NUMBER ", UUID(), 0, 1 FROM seq_1_to_5000");
    run_sql("INSERT INTO list_journal (total, owner, kind, n) SELECT " NUMBER ", UUID(), 0, "
            "IF(seq MOD 2, 1, -1) FROM seq_1_to_3000");
    (void)db_take_counts(the_app->db);
    int64_t before = rows_read();

    ck_assert(sweep());

    ck_assert_int_le(rows_read() - before, 12 * SWEEP_ROWS);
    ck_assert_uint_le(db_take_counts(the_app->db).statements, 30);
    ck_rows("list_journal", 3000 - SWEEP_ROWS);
}

/* ---- sweeping ---- */

TEST(steps_end_with_an_empty_journal)
{
    int64_t before;
    run_sql("INSERT INTO list_journal (total, owner, kind, n) SELECT " NUMBER ", UUID(), seq MOD 3,"
            " seq FROM seq_1_to_600");
    before = total(NULL, 0, 255);
    ck_assert_int_eq(before, 600 * 601 / 2);

    ck_assert(sweep());
    ck_assert_int_eq(total(NULL, 0, 255), before);
    ck_assert(sweep());
    ck_assert(!sweep());

    ck_rows("list_journal", 0);
    ck_assert_int_eq(total(NULL, 0, 255), before);
    ck_rows("list_counts WHERE total = " NUMBER, 600 + 3);
    ck_assert(!sweep());
}

TEST(nothing_is_left_of_an_owner_who_has_nothing)
{
    run_sql("INSERT INTO list_journal (total, owner, kind, n) SELECT " NUMBER ", UUID(), 0, 1 "
            "FROM seq_1_to_40");
    add(ada, 0, 2);
    sweep_all();
    run_sql("INSERT INTO list_journal (total, owner, kind, n) SELECT " NUMBER ", owner, 0, -1 FROM "
            "list_counts WHERE total = " NUMBER " AND owner <> '" NIL_ID "'");

    sweep_all();

    ck_assert_int_eq(total(NULL, 0, 255), 1);
    ck_assert_int_eq(total(&ada, 0, 255), 1);
    ck_rows("list_counts WHERE total = " NUMBER, 2);
    add(ada, 0, -1);
    sweep_all();
    ck_rows("list_counts WHERE total = " NUMBER " AND owner = '" NIL_ID "' AND n = 0", 1);
    ck_rows("list_counts WHERE total = " NUMBER, 1);
}

struct seen {
    struct journal_row rows[4];
    size_t count;
    int calls;
    struct problem *fails;
    size_t most; /* rows that it takes at once; 0: all */
};

static struct problem *see(void *context, struct db *db, struct arena *a,
                           const struct journal_row *rows, size_t *count)
{
    struct seen *seen = context;
    (void)db, (void)a;
    seen->calls++;
    if (seen->most && *count > seen->most)
        *count = seen->most;
    for (size_t i = 0; i < *count && seen->count < 4; i++)
        seen->rows[seen->count++] = rows[i];
    return seen->fails;
}

TEST(what_a_step_takes_is_seen_by_its_hook)
{
    struct seen seen = {.count = 0};
    const struct sweep_hook hook = {see, &seen};
    bool more;
    must(counter_add(the_app->db, the_arena, &things, ada, 2, 1, bob));
    must(counter_add(the_app->db, the_arena, &alone, nil, 0, -3, nil));

    must(counter_sweep(the_app->db, the_arena, &hook, &more));
    must(counter_sweep(the_app->db, the_arena, &hook, &more));

    ck_assert_int_eq(seen.calls, 1);
    ck_assert_uint_eq(seen.count, 2);
    ck_assert_int_eq(seen.rows[0].total, things.number);
    ck_assert(uuid_equal(&seen.rows[0].owner, &ada));
    ck_assert(uuid_equal(&seen.rows[0].row_id, &bob));
    ck_assert_int_eq(seen.rows[0].kind, 2);
    ck_assert_int_eq(seen.rows[1].total, alone.number);
    ck_assert_int_eq(seen.rows[1].n, -3);
    ck_assert(uuid_is_nil(&seen.rows[1].row_id));
}

TEST(a_hook_may_take_fewer_rows_than_a_step)
{
    struct seen seen = {.most = 2};
    const struct sweep_hook hook = {see, &seen};
    bool more;
    for (int i = 0; i < 3; i++)
        add(ada, 0, 1);

    must(counter_sweep(the_app->db, the_arena, &hook, &more));

    ck_assert(more);
    ck_rows("list_journal", 1);
    ck_assert_int_eq(total(&ada, 0, 255), 3);
    ck_rows("list_counts WHERE total = " NUMBER " AND owner <> '" NIL_ID "' AND n = 2", 1);
    must(counter_sweep(the_app->db, the_arena, &hook, &more));
    ck_assert(!more);
    ck_assert_uint_eq(seen.count, 3);
    ck_assert_int_eq(total(&ada, 0, 255), 3);
}

TEST(a_step_whose_hook_fails_has_not_been)
{
    struct seen seen = {.fails = problem_because(the_arena, &problem_internal, "no")};
    const struct sweep_hook hook = {see, &seen};
    bool more;
    add(ada, 0, 3);

    ck_assert_ptr_eq(counter_sweep(the_app->db, the_arena, &hook, &more), seen.fails);

    ck_rows("list_journal", 1);
    ck_rows("list_counts WHERE total = " NUMBER, 0);
    ck_assert_int_eq(total(&ada, 0, 255), 3);
}

/* ---- beside the nodes of a cluster ---- */

static int64_t turn(void)
{
    return ask_number("SELECT n FROM list_counts WHERE total = 0 AND kind = 0");
}

TEST(who_sweeps_or_recounts_writes_the_row_that_all_of_them_write)
{
    int64_t before = turn();
    ck_assert(!sweep());
    ck_assert_int_eq(turn(), before);
    add(ada, 0, 1);

    ck_assert(!sweep());
    ck_assert_int_eq(turn(), before + 1);

    recount(&alone);
    ck_assert_int_eq(turn(), before + 2);
}

/* What becomes of a step that another node's passes while it is made, in its first try. */
struct loss {
    const char *text;
    int calls;
};

static struct problem *lose(void *context, struct db *db, struct arena *a,
                            const struct journal_row *rows, size_t *count)
{
    struct loss *loss = context;
    (void)rows, (void)count;
    return loss->calls++ ? NULL : db_run(db, a, loss->text);
}

static const char *const losses[] = {
    "ROLLBACK",                             /* its transaction has ended, and nobody told */
    "DELETE FROM list_journal WHERE n = 5", /* a row was taken by the other */
};

TEST_EACH(a_step_that_was_passed_is_made_again, losses)
{
    struct loss loss = {losses[_i], 0};
    const struct sweep_hook hook = {lose, &loss};
    bool more;
    add(ada, 0, 5);
    add(ada, 0, 2);

    must(counter_sweep(the_app->db, the_arena, &hook, &more));

    ck_assert_int_eq(loss.calls, 2);
    ck_assert(!more);
    ck_rows("list_journal", 0);
    ck_assert_int_eq(total(&ada, 0, 255), 7);
}

TEST(a_backlog_tells_how_many_wait_and_since_when)
{
    struct backlog b = {.count = -1};
    must(counter_backlog(the_app->db, the_arena, &b));
    ck_assert_int_eq(b.count, 0);
    ck_assert_int_eq(b.age_s, 0);
    add(ada, 0, 1);
    run_sql("UPDATE list_journal SET written_at = UTC_TIMESTAMP() - INTERVAL 1 HOUR");
    add(ada, 0, 1);

    must(counter_backlog(the_app->db, the_arena, &b));

    ck_assert_int_eq(b.count, 2);
    ck_assert_int_ge(b.age_s, 3600);
    run_sql("INSERT INTO list_journal (total, owner, kind, n) SELECT 1, UUID(), 0, 0 FROM "
            "seq_1_to_10050");
    must(counter_backlog(the_app->db, the_arena, &b));
    ck_assert_int_eq(b.count, BACKLOG_MAX + 1);
}

/* ---- others at the same time ---- */

/* A process that stands still in a transaction until it is let go, or killed. */
struct stop {
    int told, wait;
};

static void stand_still(const struct stop *stop)
{
    char byte;
    ck_assert_int_eq(write(stop->told, "r", 1), 1);
    (void)!read(stop->wait, &byte, 1);
}

static struct problem *add_and_stand(void *context)
{
    add(ada, 0, 1);
    stand_still(context);
    return NULL;
}

static void write_aside(void *context)
{
    in_transaction(add_and_stand, context);
}

static struct problem *take_and_stand(void *context, struct db *db, struct arena *a,
                                      const struct journal_row *rows, size_t *count)
{
    (void)db, (void)a, (void)rows, (void)count;
    stand_still(context);
    return NULL;
}

static void sweep_aside(void *context)
{
    const struct sweep_hook hook = {take_and_stand, context};
    bool more;
    must(counter_sweep(the_app->db, the_arena, &hook, &more));
}

static pid_t begin_aside(void (*body)(void *context), int *ret_go)
{
    int told[2], wait[2];
    char byte;
    ck_assert_int_eq(pipe(told), 0);
    ck_assert_int_eq(pipe(wait), 0);
    struct stop stop = {told[1], wait[0]};
    pid_t pid = run_aside(body, &stop);
    (void)close(told[1]);
    ck_assert_int_eq(read(told[0], &byte, 1), 1);
    *ret_go = wait[1];
    return pid;
}

static void let_go(pid_t pid, int go)
{
    ck_assert_int_eq(write(go, "g", 1), 1);
    wait_for(pid);
}

static void kill_it(pid_t pid)
{
    int status;
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
}

TEST(a_row_that_is_being_written_is_passed_over_and_comes_later)
{
    int go;
    pid_t pid = begin_aside(write_aside, &go);
    for (int i = 0; i < 3; i++)
        add(ada, 0, 10);
    ck_assert_int_eq(total(&ada, 0, 255), 30);

    ck_assert(!sweep());

    ck_rows("list_journal", 0);
    ck_assert_int_eq(total(&ada, 0, 255), 30);
    let_go(pid, go);
    ck_assert_int_eq(total(&ada, 0, 255), 31);
    ck_assert_int_eq(total(NULL, 0, 255), 31);
    sweep_all();
    ck_rows("list_journal", 0);
    ck_assert_int_eq(total(&ada, 0, 255), 31);
}

TEST(a_killed_sweeper_loses_nothing)
{
    for (int i = 0; i < 3; i++) {
        int go;
        add(ada, 0, 1);
        add(bob, 1, 1);
        kill_it(begin_aside(sweep_aside, &go));

        ck_assert_int_eq(total(&ada, 0, 255), i + 1);
        ck_assert_int_eq(total(NULL, 0, 255), 2 * (i + 1));
        ck_rows("list_journal", 2 * (i + 1));
        (void)close(go);
    }
    do /* the dead one's locks may last for a moment */
        sweep_all();
    while (rows_in("list_journal"));
    ck_assert_int_eq(total(&ada, 0, 255), 3);
    ck_assert_int_eq(total(NULL, 0, 255), 6);
}

TEST(one_sweeps_at_a_time_and_nobody_waits)
{
    int go;
    add(ada, 0, 1);
    pid_t pid = begin_aside(sweep_aside, &go);
    add(bob, 1, 1);

    ck_assert(!sweep());

    ck_rows("list_journal", 2);
    ck_assert_int_eq(total(NULL, 0, 255), 2);
    let_go(pid, go);
    ck_assert_int_eq(total(NULL, 0, 255), 2);
    sweep_all();
    ck_rows("list_journal", 0);
}

TEST(without_the_row_that_sweepers_lock_a_recount_makes_it_again)
{
    add(ada, 0, 1);
    run_sql("DELETE FROM list_counts");
    ck_assert(!sweep());
    ck_rows("list_journal", 1);

    recount(&things);
    sweep_all();

    ck_rows("list_journal", 0);
    ck_assert_int_eq(total(NULL, 0, 255), 0); /* there is no thing */
}

/* Each leaves the sum of two kinds, and of two owners, as it was. */
static struct problem *move_one(void *context)
{
    unsigned i = *(unsigned *)context;
    struct problem *p =
        counter_change(the_app->db, the_arena, &things, ada, i % 2, (i + 1) % 2, bob);
    if (!p)
        p = counter_add(the_app->db, the_arena, &things, i % 3 ? ada : bob, 2, 1, nil);
    return p ? p : counter_add(the_app->db, the_arena, &things, i % 3 ? bob : ada, 2, -1, nil);
}

static void move_or_sweep(int number, void *context)
{
    (void)context;
    for (unsigned i = 0; i < WRITES; i++)
        if (number < 3)
            must(db_transaction(the_app->db, the_arena, move_one, NULL, &i));
        else
            (void)sweep();
}

static bool is_running(pid_t pid)
{
    siginfo_t ended = {.si_pid = 0};
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT), 0);
    return ended.si_pid == 0;
}

static int ck_moments(const struct parallel *all)
{
    int moments = 0;
    for (; is_running(all->pids[0]) || is_running(all->pids[1]); moments++) {
        ck_assert_int_eq(total(&ada, 0, 1), 100);
        ck_assert_int_eq(total(NULL, 0, 1), 100);
        ck_assert_int_eq(total(NULL, 2, 2), 50);
    }
    return moments;
}

TEST(a_total_is_exact_at_any_moment)
{
    add(ada, 0, 100);
    add(bob, 2, 50);
    const struct parallel all = parallel_begin(5, move_or_sweep, NULL);

    ck_assert_int_gt(ck_moments(&all), 10);
    parallel_end(&all);
    sweep_all();

    ck_rows("list_journal", 0);
    ck_assert_int_eq(total(&ada, 0, 1), 100);
    ck_assert_int_eq(total(NULL, 0, 255), 150);
}

/* ---- without an owner ---- */

static void import(const char *numbers)
{
    run_sql(
        say("INSERT INTO things (owner, kind) SELECT UUID(), seq MOD %d FROM %s", KINDS, numbers));
}

TEST(an_import_is_counted_where_nobody_owns_anything)
{
    int64_t n;
    import("seq_1_to_30");
    must(counter_add(the_app->db, the_arena, &alone, nil, 0, 7, nil));
    sweep_all();
    must(counter_add(the_app->db, the_arena, &alone, nil, 1, 7, nil));

    ck_assert_int_eq(recount(&alone), 1);

    for (unsigned kind = 0; kind < KINDS; kind++) {
        must(counter_read(the_app->db, the_arena, &alone, NULL, kind, kind, &n));
        ck_assert_int_eq(n, 10);
    }
    ck_rows("list_journal", 1 + KINDS);
    recount(&alone);
    ck_rows("list_journal", 1 + KINDS); /* nothing differs any more */
}

/* ---- counting again ---- */

TEST(an_import_is_counted_by_owner_and_as_a_whole)
{
    import("seq_1_to_5000");
    run_sql("INSERT INTO things (owner, kind) SELECT owner, 0 FROM things WHERE id <= 20");
    run_sql("UPDATE things SET hidden = 1 WHERE id MOD 7 = 0");
    run_sql("INSERT INTO list_counts SELECT " NUMBER ", UUID(), 1, 5 FROM seq_1_to_4500");
    run_sql("INSERT INTO list_counts VALUES (" NUMBER ", '" NIL_ID "', 0, 12345)");
    add(ada, 2, 3);

    ck_assert_int_ge(recount(&things), 3);

    ck_as_in_table();
    ck_assert_int_eq(total(&ada, 0, 255), 0);
    sweep_all();
    ck_as_in_table();
    ck_rows("list_counts WHERE total = " NUMBER " AND n = 0 AND owner <> '" NIL_ID "'", 0);
    recount(&things);
    ck_rows("list_journal", 0);
}

TEST(a_recount_takes_what_one_owner_has_at_once)
{
    run_sql(say("INSERT INTO things (owner, kind) SELECT '%s', 0 FROM seq_1_to_9000", NOBODY_ID));
    import("seq_1_to_100");

    ck_assert_int_le(recount(&things), 3);

    ck_as_in_table();
    ck_assert_int_eq(total_kept(&things, NOBODY_ID, 0, 0), 9000);
}

static struct problem *make_thing(void *context)
{
    unsigned i = *(unsigned *)context;
    struct uuid owner = i % 2 ? ada : bob;
    struct problem *p =
        db_execute(the_app->db, the_arena,
                   &(const struct sql){"INSERT INTO things (owner, kind) VALUES (?, ?)", NULL},
                   DB_ARGS(db_uuid(owner), db_integer(i % KINDS)), NULL);
    return p ? p : counter_add(the_app->db, the_arena, &things, owner, i % KINDS, 1, nil);
}

static void make_sweep_or_recount(int number, void *context)
{
    (void)context;
    for (unsigned i = 0; i < WRITES; i++)
        if (number < 3)
            must(db_transaction(the_app->db, the_arena, make_thing, NULL, &i));
        else if (number == 3)
            (void)sweep();
        else if (i % 10 == 0)
            recount(&things);
}

/* Two who count again, too: of what was imported, neither counts a part twice. */
TEST(a_recount_beside_writers_and_another_counts_each_once)
{
    import("seq_1_to_3000");

    parallel(6, make_sweep_or_recount, NULL);

    ck_rows("things", 3000 + 3 * WRITES);
    ck_as_in_table();
    sweep_all();
    ck_as_in_table();
}

TEST(a_recount_waits_for_no_writer)
{
    int go;
    import("seq_1_to_10");
    pid_t pid = begin_aside(write_aside, &go);

    recount(&things);

    ck_assert_int_eq(total(NULL, 0, 255), 10);
    let_go(pid, go);
    ck_assert_int_eq(total(NULL, 0, 255), 11);
}

/* ---- an owner who goes ---- */

static struct problem *clear_ada(void *context)
{
    (void)context;
    return counter_clear(the_app->db, the_arena, &things, ada);
}

TEST(all_of_an_owner_goes_at_once_and_nothing_of_others)
{
    add(ada, 0, 1000000);
    add(bob, 0, 5);
    sweep_all();
    add(ada, 0, -1);
    add(ada, 2, 1);
    add(ada, 1, 1);
    add(ada, 1, -1);
    (void)db_take_counts(the_app->db);

    in_transaction(clear_ada, NULL);

    ck_assert_uint_le(db_take_counts(the_app->db).statements, 2 + 1 + 2); /* kinds that she has */
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(total(&ada, 0, 255), 0);
        ck_assert_int_eq(total(&ada, 2, 2), 0);
        ck_assert_int_eq(total(&bob, 0, 255), 5);
        ck_assert_int_eq(total(NULL, 0, 255), 5);
        in_transaction(clear_ada, NULL);
        sweep_all();
    }
    ck_rows("list_counts WHERE total = " NUMBER " AND owner <> '" NIL_ID "'", 1);
}

static void clear_or_sweep(int number, void *context)
{
    (void)context;
    if (number == 0)
        in_transaction(clear_ada, NULL);
    else
        sweep_all();
}

TEST(who_goes_while_others_sweep_is_counted_out_once)
{
    for (int i = 0; i < 20; i++) {
        for (unsigned k = 0; k < 12; k++)
            add(ada, k % KINDS, 1);
        parallel(3, clear_or_sweep, NULL);

        ck_assert_int_eq(total(&ada, 0, 255), 0);
        ck_assert_int_eq(total(NULL, 0, 255), 0);
    }
}
