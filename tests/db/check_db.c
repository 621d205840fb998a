/* needs: mariadb */
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/problem.h"
#include "common/db/db_limits.h"
#include "tests/support/things.h"
#include "tests/support/suite.h"

/* ---- transactions ---- */

/* What a body does and has seen. */
struct script {
    struct db *on;
    int runs;
    int asked;                     /* calls of was_committed() */
    int64_t kill_in_run;           /* the run in which the connection is killed */
    bool overlook;                 /* the failures that follow */
    const struct problem *refusal; /* what the body returns */
};

static struct problem *count_twice(void *context)
{
    struct script *script = context;
    script->runs++;
    struct problem *p = db_execute(script->on, a, &count_counter, DB_ARGS(db_integer(1)), NULL);
    if (p)
        return p;
    if (script->runs == script->kill_in_run)
        kill_connection(number_of(script->on, &connection_id, DB_NO_ARGS));
    p = db_execute(script->on, a, &count_counter, DB_ARGS(db_integer(2)), NULL);
    if (script->overlook)
        return NULL;
    if (!p && script->refusal)
        return problem(a, script->refusal->type, NULL);
    return p;
}

static struct problem *was_committed(void *context, bool *ret_yes)
{
    static const struct sql locked = {"SELECT n FROM counters WHERE id = 1 FOR UPDATE",
                                      &number_record};
    struct script *script = context;
    struct number row;
    bool found;
    script->asked++;
    struct problem *p = db_find(script->on, a, &locked, DB_NO_ARGS, &row, &found);
    if (!p)
        *ret_yes = row.n > 0;
    return p;
}

CASE("transactions", set_up, tear_down);
CASE_AROUND(create_tables, NULL);

TEST(a_body_without_failure_is_committed)
{
    struct script script = {.on = db};

    must_work(db_transaction(db, a, count_twice, NULL, &script));

    ck_assert_int_eq(script.runs, 1);
    ck_assert_int_eq(counter(1), 1);
    ck_assert_int_eq(counter(2), 1);
}

TEST(a_refusal_rolls_back_and_comes_out)
{
    struct problem refusal = {.type = &problem_invalid};
    struct script script = {.on = db, .refusal = &refusal};

    struct problem *p = db_transaction(db, a, count_twice, NULL, &script);

    ck_assert_ptr_eq(p->type, &problem_invalid);
    ck_assert_int_eq(script.runs, 1);
    ck_assert_int_eq(counter(1), 0);
    must_work(db_execute(db, a, &count_counter, DB_ARGS(db_integer(1)), NULL));
    ck_assert_int_eq(counter(1), 1); /* autocommit is back */
}

/* What a cluster does that lets another node's transaction win. */
static struct problem *lose_and_go_on(void *context)
{
    struct script *script = context;
    struct problem *p = db_execute(db, a, &count_counter, DB_ARGS(db_integer(1)), NULL);
    if (!p && ++script->runs == 1)
        p = db_run(db, a, "ROLLBACK");
    if (!p)
        p = db_find(db, a, &connection_id, DB_NO_ARGS, &(struct number){0}, &(bool){false});
    return p ? p : db_execute(db, a, &count_counter, DB_ARGS(db_integer(2)), NULL);
}

TEST(a_transaction_that_the_server_ended_runs_again)
{
    struct script script = {.on = db};

    must_work(db_transaction(db, a, lose_and_go_on, NULL, &script));

    ck_assert_int_eq(script.runs, 2);
    ck_assert_int_eq(counter(1), 1);
    ck_assert_int_eq(counter(2), 1);
}

static struct problem *nest(void *context)
{
    return db_transaction(db, a, nest, NULL, context); /* does not come back */
}

struct doubt {
    struct problem in_doubt, refusal;
    int runs, asked;
    int there_at; /* the question that finds it written; 0: none */
};

static struct problem *doubt_and_refuse(void *context)
{
    struct doubt *doubt = context;
    return doubt->runs++ ? &doubt->refusal : &doubt->in_doubt;
}

static struct problem *is_there_now(void *context, bool *ret_yes)
{
    struct doubt *doubt = context;
    *ret_yes = ++doubt->asked == doubt->there_at;
    return NULL;
}

static const int there_at[] = {0, 1, 2};

/* Of a cluster: what was in doubt on one node is there on the next after a while. */
TEST_EACH(what_was_in_doubt_is_looked_for_again_before_a_refusal_comes_out, there_at)
{
    struct doubt doubt = {.in_doubt = {.type = &problem_unavailable, .retry = RETRY_UNKNOWN},
                          .refusal = {.type = &problem_invalid, .retry = RETRY_NO},
                          .there_at = there_at[_i]};

    struct problem *p = db_transaction(db, a, doubt_and_refuse, is_there_now, &doubt);

    ck_assert_ptr_eq(p, doubt.there_at ? NULL : &doubt.refusal);
    ck_assert_int_eq(doubt.runs, doubt.there_at == 1 ? 1 : 2);
    ck_assert_int_eq(doubt.asked, doubt.there_at == 1 ? 1 : 2);
}

/* The next statement after the loss begins another transaction by itself. */
static struct problem *guard_lose_and_go_on(void *context)
{
    struct script *script = context;
    struct problem *p = db_guard(db, a);
    if (!p)
        p = db_execute(db, a, &count_counter, DB_ARGS(db_integer(1)), NULL);
    if (!p && ++script->runs == 1)
        p = db_run(db, a, "ROLLBACK");
    return p ? p : db_execute(db, a, &count_counter, DB_ARGS(db_integer(2)), NULL);
}

/* Not even the statement after the loss is committed: it is in another transaction, in which the
 * server's answers look as they should. */
TEST(nothing_of_a_guarded_transaction_is_committed_unless_all_is)
{
    static const struct sql autocommit = {"SELECT @@autocommit AS n", &number_record};
    struct script script = {.on = db};

    must_work(db_transaction(db, a, guard_lose_and_go_on, NULL, &script));

    ck_assert_int_eq(script.runs, 2);
    ck_assert_int_eq(counter(1), 1);
    ck_assert_int_eq(counter(2), 1);
    ck_assert_int_eq(number_of(db, &autocommit, DB_NO_ARGS), 1);
}

static struct problem *guard_and_fail(void *context)
{
    struct problem *p = db_guard(db, a);
    if (!p)
        p = db_guard(db, a);
    if (!p)
        p = db_execute(db, a, &count_counter, DB_ARGS(db_integer(1)), NULL);
    return p ? p : context;
}

TEST(a_guarded_transaction_that_fails_leaves_nothing)
{
    struct problem *no = problem_because(a, &problem_internal, "no");

    ck_assert_ptr_eq(db_transaction(db, a, guard_and_fail, NULL, no), no);

    ck_assert_int_eq(counter(1), 0);
    must_work(db_execute(db, a, &count_counter, DB_ARGS(db_integer(2)), NULL));
    ck_assert_int_eq(counter(2), 1); /* autocommit is back */
}

TEST_SIGNAL(a_guard_without_a_transaction_aborts, SIGABRT)
{
    (void)!db_guard(db, a);
}

TEST_SIGNAL(a_transaction_in_a_transaction_aborts, SIGABRT)
{
    must_work(db_transaction(db, a, nest, NULL, NULL));
}

static pthread_barrier_t both_have_one;

struct fighter {
    struct db *db;
    struct arena *arena;
    int first, second, runs;
    struct problem *p;
};

static struct problem *lock_two(void *context)
{
    struct fighter *f = context;
    bool meet = f->runs++ == 0;
    struct problem *p =
        db_execute(f->db, f->arena, &count_counter, DB_ARGS(db_integer(f->first)), NULL);
    if (p)
        return p;
    if (meet)
        pthread_barrier_wait(&both_have_one);
    return db_execute(f->db, f->arena, &count_counter, DB_ARGS(db_integer(f->second)), NULL);
}

static void *fight(void *context)
{
    struct fighter *f = context;
    f->p = db_transaction(f->db, f->arena, lock_two, NULL, f);
    return NULL;
}

TEST(of_two_in_a_deadlock_the_victim_tries_again)
{
    struct fighter one = {db, arena_open(1u << 20), 1, 2, 0, NULL};
    struct fighter two = {other, arena_open(1u << 20), 2, 1, 0, NULL};
    pthread_t thread;
    pthread_barrier_init(&both_have_one, NULL, 2);

    ck_assert_int_eq(pthread_create(&thread, NULL, fight, &two), 0);
    fight(&one);
    pthread_join(thread, NULL);

    must_work(one.p);
    must_work(two.p);
    ck_assert_int_eq(one.runs + two.runs, 3);
    ck_assert_int_eq(counter(1), 2);
    ck_assert_int_eq(counter(2), 2);
    arena_close(one.arena);
    arena_close(two.arena);
}

static struct problem *hold_and_let_other_wait(void *context)
{
    struct script *script = context;
    must_work(db_execute(other, a, &count_counter, DB_ARGS(db_integer(1)), NULL));
    return db_transaction(db, a, count_twice, NULL, script);
}

TEST(a_lock_that_stays_held_ends_in_unavailable_after_four_runs)
{
    struct script script = {.on = db};
    must_work(db_run(db, a, "SET innodb_lock_wait_timeout = 0"));

    struct problem *p = db_transaction(other, a, hold_and_let_other_wait, NULL, &script);

    ck_assert_msg(p->type == &problem_unavailable, "%s", p->cause);
    ck_assert_int_eq(p->retry, RETRY_AGAIN);
    ck_assert_int_eq(script.runs, 4 * 4); /* `other` tries again because of it */
    ck_assert_int_eq(counter(1), 0);
}

TEST(a_connection_lost_inside_runs_the_body_again)
{
    struct script script = {.on = db, .kill_in_run = 1};

    must_work(db_transaction(db, a, count_twice, NULL, &script));

    ck_assert_int_eq(script.runs, 2);
    ck_assert_int_eq(counter(1), 1);
    ck_assert_int_eq(counter(2), 1);
}

TEST(a_body_that_overlooks_the_loss_commits_nothing)
{
    struct script script = {.on = db, .kill_in_run = 1, .overlook = true};

    must_work(db_transaction(db, a, count_twice, NULL, &script));

    ck_assert_int_eq(script.runs, 2);
    ck_assert_int_eq(counter(1), 1);
    ck_assert_int_eq(counter(2), 1);
}

static struct problem *overlook_conflict(void *context)
{
    struct script *script = context;
    script->runs++;
    must_work(db_execute(db, a, &count_counter, DB_ARGS(db_integer(2)), NULL));
    ck_assert_ptr_nonnull(db_execute(db, a, &count_counter, DB_ARGS(db_integer(1)), NULL));
    ck_assert_ptr_nonnull(db_execute(db, a, &count_counter, DB_ARGS(db_integer(2)), NULL));
    return NULL;
}

static struct problem *hold_and_let_other_overlook(void *context)
{
    must_work(db_execute(other, a, &count_counter, DB_ARGS(db_integer(1)), NULL));
    struct problem *p = db_transaction(db, a, overlook_conflict, NULL, context);
    ck_assert_ptr_nonnull(p);
    ck_assert_int_eq(p->retry, RETRY_AGAIN);
    return NULL;
}

TEST(a_body_that_overlooks_a_conflict_commits_nothing)
{
    struct script script = {.on = db};
    must_work(db_run(db, a, "SET innodb_lock_wait_timeout = 0"));

    must_work(db_transaction(other, a, hold_and_let_other_overlook, NULL, &script));

    ck_assert_int_eq(script.runs, 4);
    ck_assert_int_eq(counter(1), 1);
    ck_assert_int_eq(counter(2), 0);
}

static struct problem *refuse_after_conflict(void *context)
{
    struct script *script = context;
    script->runs++;
    ck_assert_ptr_nonnull(db_execute(db, a, &count_counter, DB_ARGS(db_integer(1)), NULL));
    return problem(a, &problem_invalid, NULL);
}

static struct problem *hold_and_let_other_refuse(void *context)
{
    must_work(db_execute(other, a, &count_counter, DB_ARGS(db_integer(1)), NULL));
    struct problem *p = db_transaction(db, a, refuse_after_conflict, NULL, context);
    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_eq(p->type, &problem_invalid);
    return NULL;
}

TEST(a_body_may_refuse_in_place_of_trying_again)
{
    struct script script = {.on = db};
    must_work(db_run(db, a, "SET innodb_lock_wait_timeout = 0"));

    must_work(db_transaction(other, a, hold_and_let_other_refuse, NULL, &script));

    ck_assert_int_eq(script.runs, 1);
}

/* ---- a transaction in one statement ---- */

static const struct sql count_and_insert = {
    DB_ATOMIC("UPDATE counters SET n = n + 1 WHERE id = ?; " DB_ATOMIC_UNLESS_NONE
              "INSERT INTO things (id, title, n) VALUES (?, ?, ?)"),
    NULL};
static const struct sql in_transaction = {"SELECT @@in_transaction AS n", &number_record};
static const struct sql count_things = {"SELECT COUNT(*) AS n FROM things", &number_record};

/* One such write, and what came of it. */
struct write {
    const struct sql *sql;
    struct db_args args;
    struct arena *arena;
    struct uuid id; /* of the thing */
    int asked;      /* calls of is_there() */
    bool done;
    struct problem *p;
};

static struct problem *is_there(void *context, bool *ret_yes)
{
    static const struct sql locked = {"SELECT n FROM things WHERE id = ? FOR UPDATE",
                                      &number_record};
    struct write *w = context;
    struct number row;
    w->asked++;
    return db_find(db, w->arena, &locked, DB_ARGS(db_uuid(w->id)), &row, ret_yes);
}

static void write_with(struct write *w, const struct sql *sql, struct db_args args)
{
    w->p = db_execute_atomic(db, w->arena, sql, args, is_there, w, &w->done);
}

/* Count in `counter`, and insert a thing. */
static struct write write_thing(int64_t counter, const char *title)
{
    struct write w = {.arena = a, .id = new_id()};
    write_with(&w, &count_and_insert,
               DB_ARGS(db_integer(counter), db_uuid(w.id), db_text(text_of(title)), db_integer(1)));
    return w;
}

static int64_t things(void)
{
    return number_of(other, &count_things, DB_NO_ARGS);
}

/* Neither a transaction nor a lock of one. */
static void ck_nothing_open(void)
{
    ck_assert_int_eq(number_of(db, &in_transaction, DB_NO_ARGS), 0);
    must_work(
        db_run(other, a, "SELECT n INTO @ignored FROM counters WHERE id = 1 FOR UPDATE NOWAIT"));
}

CASE("at once", set_up, tear_down);

TEST(a_transaction_in_one_statement_is_committed)
{
    must_work(write_thing(1, "first").p); /* prepared, and connected */
    (void)db_take_counts(db);

    struct write w = write_thing(1, "second");

    must_work(w.p);
    ck_assert(w.done);
    ck_assert_int_eq(w.asked, 0);
    ck_assert_uint_eq(db_take_counts(db).statements, 1);
    ck_assert_int_eq(counter(1), 2);
    ck_assert_int_eq(things(), 2);
    ck_nothing_open();
}

TEST(where_its_first_part_writes_nothing_it_is_not_done)
{
    struct write w = write_thing(99, "of no counter");

    must_work(w.p);
    ck_assert(!w.done);
    ck_assert_int_eq(things(), 0);
    ck_nothing_open();
    must_work(write_thing(1, "and it goes on").p);
}

/* After the first part, which has written, comes what fails. */
static const struct {
    const char *then;
    unsigned number;
    const char *constraint;
} failing[] = {
    {"INSERT INTO things (id, title) SELECT UUID(), title FROM things LIMIT 1; ", 1062,
     "uq_things_title"},
    {"INSERT INTO parts (id, thing_id) VALUES (1, UUID()); ", 1452, "fk_parts_thing"},
    {"INSERT INTO things (id, n) VALUES (UUID(), 1e30); ", 1264, NULL},
    {"INSERT INTO things (id, title) VALUES (UUID(), REPEAT('x', 300)); ", 1406, NULL},
    {"INSERT INTO nothing VALUES (1); ", 1146, NULL},
    {"SIGNAL SQLSTATE '45000'; ", 1644, NULL},
};

TEST_EACH(a_failure_amid_leaves_nothing, failing)
{
    const struct sql sql = {
        arena_printf(a,
                     "BEGIN NOT ATOMIC START TRANSACTION; "
                     "UPDATE counters SET n = n + 1 WHERE id = 1; %sCOMMIT; END",
                     failing[_i].then),
        NULL};
    struct write w = {.arena = a};
    insert_titled(new_id(), "taken");

    for (int i = 0; i < 2; i++) { /* the second time it is prepared */
        write_with(&w, &sql, DB_NO_ARGS);

        ck_assert_ptr_nonnull(w.p);
        ck_assert_uint_eq(w.p->db_error, failing[_i].number);
        ck_assert_int_eq(w.p->retry, RETRY_NO);
        ck_assert(!failing[_i].constraint || db_is_violation(w.p, failing[_i].constraint));
        ck_assert_int_eq(counter(1), 0);
        ck_nothing_open();
    }
    ck_assert_int_eq(w.asked, 0);
}

TEST(a_lock_that_stays_held_is_waited_for_four_times)
{
    must_work(db_run(db, a, "SET innodb_lock_wait_timeout = 0"));
    must_work(db_run(other, a, "START TRANSACTION"));
    must_work(db_execute(other, a, &count_counter, DB_ARGS(db_integer(1)), NULL));
    (void)db_take_counts(db);

    struct write w = write_thing(1, "waits");

    ck_assert_ptr_nonnull(w.p);
    ck_assert_msg(w.p->type == &problem_unavailable, "%s", w.p->cause);
    ck_assert(db_is_lock_timeout(w.p));
    ck_assert_uint_eq(db_take_counts(db).retries, 3);
    ck_assert_int_eq(w.asked, 0);
    must_work(db_run(other, a, "ROLLBACK"));
    ck_nothing_open();
}

TEST(a_host_that_takes_no_writes_is_tried_four_times)
{
    must_work(db_ping(db, a));
    (void)db_take_counts(db);
    control_sql("SET GLOBAL read_only = 1;");

    struct write w = write_thing(1, "read-only");

    control_sql("SET GLOBAL read_only = 0;");
    ck_assert_ptr_nonnull(w.p);
    ck_assert_uint_eq(w.p->db_error, 1290);
    ck_assert_uint_eq(db_take_counts(db).retries, 3);
    must_work(write_thing(1, "goes on").p);
    ck_assert_int_eq(counter(1), 1);
}

TEST(a_column_that_comes_meanwhile_does_no_harm)
{
    must_work(write_thing(1, "before").p);
    must_work(db_run(other, a, "ALTER TABLE things ADD COLUMN later INT NOT NULL DEFAULT 7 FIRST"));
    (void)db_take_counts(db);

    must_work(write_thing(1, "after").p);

    ck_assert_uint_eq(db_take_counts(db).statements, 1);
    must_work(db_run(other, a, "ALTER TABLE things DROP COLUMN later"));
    must_work(write_thing(1, "as before").p);
    ck_assert_int_eq(things(), 3);
}

TEST(its_values_may_be_null_and_of_other_types)
{
    const struct db_arg numbers[] = {db_integer(5), db_text(text_of(NULL)), db_text(TEXT("6")),
                                     db_text(text_of(NULL)), db_integer(7)};
    static const struct sql sum = {"SELECT SUM(n) AS n FROM things", &number_record};
    static const struct sql nulls = {"SELECT COUNT(*) AS n FROM things WHERE n IS NULL AND title "
                                     "IS NULL",
                                     &number_record};
    for (int i = 0; i < COUNT(numbers); i++) {
        struct write w = {.arena = a, .id = new_id()};
        write_with(&w, &count_and_insert,
                   DB_ARGS(db_integer(1), db_uuid(w.id), db_text(text_of(NULL)), numbers[i]));
        must_work(w.p);
    }

    ck_assert_int_eq(number_of(other, &sum, DB_NO_ARGS), 5 + 6 + 7);
    ck_assert_int_eq(number_of(other, &nulls, DB_NO_ARGS), 2);
}

static struct problem *write_amid(void *context)
{
    struct write w = {.arena = a};
    (void)context;
    write_with(&w, &count_and_insert, DB_NO_ARGS); /* does not come back */
    return w.p;
}

TEST_SIGNAL(a_transaction_at_once_in_a_transaction_aborts, SIGABRT)
{
    must_work(db_transaction(db, a, write_amid, NULL, NULL));
}

/* ---- what happens to such a statement while it waits ---- */

/* Counts in the first counter, inserts, and waits for whoever holds the second. */
static const struct sql insert_and_wait = {
    DB_ATOMIC("INSERT INTO things (id, title) VALUES (?, 'waits'); "
              "UPDATE counters SET n = n + 1 WHERE id = 1; "
              "UPDATE counters SET n = n + 1 WHERE id = 2"),
    NULL};
/* The same, but it waits for what comes after its COMMIT. */
static const struct sql commit_and_wait = {
    DB_ATOMIC("INSERT INTO things (id, title) VALUES (?, 'waits'); "
              "UPDATE counters SET n = n + 1 WHERE id = 1; "
              "COMMIT; UPDATE counters SET n = n + 1 WHERE id = 2"),
    NULL};
/* And this one before it has written anything. */
static const struct sql wait_and_insert = {
    DB_ATOMIC("UPDATE counters SET n = n + 1 WHERE id = 2; "
              "INSERT INTO things (id, title) VALUES (?, 'waits')"),
    NULL};

static void *write_aside(void *context)
{
    struct write *w = context;
    w->arena = arena_open(1u << 20);
    write_with(w, w->sql, DB_ARGS(db_uuid(w->id)));
    return NULL;
}

static void hold_second(void)
{
    must_work(db_run(other, a, "START TRANSACTION"));
    must_work(db_execute(other, a, &count_counter, DB_ARGS(db_integer(2)), NULL));
}

/* So many statements want the second counter; returns the number of one's connection. */
static int64_t await_waiting(int64_t count)
{
    static const struct sql find = {
        "SELECT IF(COUNT(*) = ?, CAST(MAX(id) AS INTEGER), 0) AS n "
        "FROM information_schema.processlist WHERE id <> CONNECTION_ID() "
        "AND info LIKE 'UPDATE counters%WHERE id = 2%'",
        &number_record};
    int64_t id;
    while ((id = number_of(other, &find, DB_ARGS(db_integer(count)))) == 0)
        usleep(1000);
    return id;
}

/* Have it wait, and return its connection's number. */
static int64_t begin_to_wait(struct write *w, const struct sql *sql, pthread_t *ret_thread)
{
    *w = (struct write){.sql = sql, .id = new_id()};
    must_work(db_ping(db, a));
    (void)db_take_counts(db);
    hold_second();
    ck_assert_int_eq(pthread_create(ret_thread, NULL, write_aside, w), 0);
    return await_waiting(1);
}

static void kill_query(int64_t id)
{
    must_work(db_run(other, a, arena_printf(a, "KILL QUERY %lld", (long long)id)));
}

TEST(of_it_and_a_transaction_in_a_deadlock_both_are_carried_out)
{
    struct write w;
    pthread_t thread;
    (void)begin_to_wait(&w, &insert_and_wait, &thread);
    /* Who has written more is not the victim. */
    for (int i = 0; i < 50; i++)
        must_work(db_run(other, a, arena_printf(a, "INSERT INTO things (id) VALUES (UUID())")));

    must_work(db_execute(other, a, &count_counter, DB_ARGS(db_integer(1)), NULL));

    must_work(db_run(other, a, "COMMIT"));
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    must_work(w.p);
    ck_assert(w.done);
    ck_assert_int_eq(w.asked, 0);
    ck_assert_uint_eq(db_take_counts(db).retries, 1);
    ck_assert_int_eq(counter(1), 2);
    ck_assert_int_eq(counter(2), 2);
    ck_nothing_open();
    arena_close(w.arena);
}

TEST(killed_before_its_commit_it_leaves_nothing)
{
    struct write w;
    pthread_t thread;
    int64_t id = begin_to_wait(&w, &insert_and_wait, &thread);

    kill_query(id);

    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_ptr_nonnull(w.p);
    ck_assert_uint_eq(w.p->db_error, 1317);
    ck_assert_int_eq(w.p->retry, RETRY_NO);
    ck_assert_int_eq(w.asked, 1);
    ck_assert_uint_eq(db_take_counts(db).retries, 0);
    must_work(db_run(other, a, "COMMIT"));
    ck_assert_int_eq(things(), 0);
    ck_assert_int_eq(counter(1), 0);
    ck_nothing_open();
    arena_close(w.arena);
}

TEST(killed_after_its_commit_it_is_found_to_stand)
{
    struct write w;
    pthread_t thread;
    int64_t id = begin_to_wait(&w, &commit_and_wait, &thread);

    kill_query(id);

    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    must_work(w.p);
    ck_assert(w.done);
    ck_assert_int_eq(w.asked, 1);
    must_work(db_run(other, a, "COMMIT"));
    ck_assert_int_eq(things(), 1);
    ck_nothing_open();
    arena_close(w.arena);
}

TEST(its_limit_ends_it_wherever_it_waits)
{
    struct write w;
    pthread_t thread;
    must_work(db_run(db, a, "SET max_statement_time = 0.2"));
    (void)begin_to_wait(&w, &insert_and_wait, &thread);

    ck_assert_int_eq(pthread_join(thread, NULL), 0);

    ck_assert_ptr_nonnull(w.p);
    ck_assert_uint_eq(w.p->db_error, 1969);
    ck_assert_msg(w.p->type == &problem_unavailable, "%s", w.p->cause);
    ck_assert_int_eq(w.asked, 1);
    ck_assert_uint_eq(db_take_counts(db).retries, 0);
    must_work(db_run(other, a, "COMMIT"));
    ck_assert_int_eq(things(), 0);
    ck_nothing_open();
    arena_close(w.arena);
}

TEST(a_connection_that_is_killed_amid_runs_it_again)
{
    struct write w;
    pthread_t thread;
    int64_t id = begin_to_wait(&w, &insert_and_wait, &thread);

    kill_connection(id);

    (void)await_waiting(1); /* again, on another */
    must_work(db_run(other, a, "COMMIT"));
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    must_work(w.p);
    ck_assert(w.done);
    ck_assert_int_eq(w.asked, 1);
    ck_assert_int_eq(things(), 1);
    ck_assert_int_eq(counter(1), 1);
    ck_assert_int_eq(counter(2), 2);
    arena_close(w.arena);
}

/* ---- a proxy that loses connections at the worst moment ---- */

enum cut {
    CUT_NOTHING,
    CUT_COMMIT,       /* it never reaches the server */
    CUT_COMMIT_REPLY, /* the server commits, nobody hears of it */
    CUT_QUESTION,     /* whether the server is still there */
    CUT_EXECUTE,      /* it never reaches the server */
    CUT_EXECUTE_SENT, /* the server is at it when we lose the connection, and goes on */
    CUT_EXECUTE_REPLY,
    CUT_LONG_REPLY, /* in its middle */
};
static _Atomic enum cut cut; /* what to lose next; once */
static char proxy_path[108];

static int connect_server(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const char *path = strstr(database_url(), "socket=") + strlen("socket=");
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return connect(fd, (struct sockaddr *)&to, sizeof to) == 0 ? fd : -1;
}

/* Each packet begins with its length in three bytes and a number; then comes the command. */
static bool is_command(const char *packet, ssize_t len, char command, const char *text)
{
    size_t text_len = strlen(text);
    return len >= (ssize_t)(5 + text_len) && packet[4] == command &&
           memcmp(packet + 5, text, text_len) == 0;
}

enum { COMMAND_QUERY = 3, COMMAND_EXECUTE = 0x17 };

static bool take_cut(enum cut which)
{
    enum cut expected = which;
    return atomic_compare_exchange_strong(&cut, &expected, CUT_NOTHING);
}

/* One connection. Commands and replies alternate, and small ones come in one read. */
static void *carry(void *context)
{
    static const ssize_t long_reply = 30000; /* bytes */
    int client = (int)(intptr_t)context;
    int server = connect_server();
    bool lose_reply = false;
    ssize_t replied = 0; /* to the latest command */
    char data[65536];
    struct pollfd ends[] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
    while (server >= 0 && poll(ends, 2, -1) > 0) {
        int from = ends[0].revents ? client : server;
        bool last = false;
        ssize_t len = read(from, data, sizeof data);
        if (len <= 0)
            break;
        if (from == client) {
            bool commit = is_command(data, len, COMMAND_QUERY, "COMMIT");
            bool execute = is_command(data, len, COMMAND_EXECUTE, "");
            bool asks = is_command(data, len, COMMAND_QUERY, "DO 0");
            if ((commit && take_cut(CUT_COMMIT)) || (execute && take_cut(CUT_EXECUTE)) ||
                (asks && take_cut(CUT_QUESTION)))
                break;
            lose_reply =
                (commit && take_cut(CUT_COMMIT_REPLY)) || (execute && take_cut(CUT_EXECUTE_REPLY));
            last = execute && take_cut(CUT_EXECUTE_SENT);
            replied = 0;
        } else if (lose_reply) {
            break;
        } else {
            replied += len;
        }
        if (replied > long_reply && take_cut(CUT_LONG_REPLY)) {
            last = true;
            len -= replied - long_reply;
        }
        if (write(from == client ? server : client, data, (size_t)len) < 0 || last)
            break;
    }
    close(client);
    close(server);
    return NULL;
}

static void *accept_all(void *context)
{
    int listener = (int)(intptr_t)context;
    for (;;) {
        int client = accept(listener, NULL, NULL);
        pthread_t thread;
        if (client < 0 || pthread_create(&thread, NULL, carry, (void *)(intptr_t)client))
            return NULL;
        pthread_detach(thread);
    }
}

/* As set_up(), with `db` going through the proxy. */
static void set_up_proxy(void)
{
    set_up();
    db_close(db);
    signal(SIGPIPE, SIG_IGN);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(proxy_path, sizeof proxy_path, "%s.%d", getenv("DATABASE_CONTROL"), (int)getpid());
    memcpy(at.sun_path, proxy_path, sizeof at.sun_path);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(listener, 8), 0);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, accept_all, (void *)(intptr_t)listener), 0);
    pthread_detach(thread);

    size_t before =
        (size_t)(strstr(database_url(), "socket=") + strlen("socket=") - database_url());
    const char *url = arena_printf(a, "%.*s%s", (int)before, database_url(), proxy_path);
    must_work(db_open(a, url, &db));
    must_work(db_ping(db, a));
}

static void tear_down_proxy(void)
{
    ck_assert_int_eq(cut, CUT_NOTHING); /* it came to what the test is about */
    tear_down();
    unlink(proxy_path);
}

CASE("losses", set_up_proxy, tear_down_proxy);

TEST(a_commit_that_never_arrives_runs_the_body_again)
{
    struct script script = {.on = db};
    cut = CUT_COMMIT;

    must_work(db_transaction(db, a, count_twice, was_committed, &script));

    ck_assert_int_eq(script.runs, 2);
    ck_assert_int_eq(script.asked, 1);
    ck_assert_int_eq(counter(1), 1);
    ck_assert_int_eq(counter(2), 1);
}

TEST(a_commit_whose_answer_is_lost_is_found_out)
{
    struct script script = {.on = db};
    cut = CUT_COMMIT_REPLY;

    must_work(db_transaction(db, a, count_twice, was_committed, &script));

    ck_assert_int_eq(script.runs, 1);
    ck_assert_int_eq(script.asked, 1);
    ck_assert_int_eq(counter(1), 1);
}

TEST(a_commit_that_nobody_can_ask_about_is_unknown)
{
    struct script script = {.on = db};
    cut = CUT_COMMIT_REPLY;

    struct problem *p = db_transaction(db, a, count_twice, NULL, &script);

    ck_assert_msg(p->type == &problem_unavailable, "%s", p->cause);
    ck_assert_int_eq(p->retry, RETRY_UNKNOWN);
    ck_assert_int_eq(script.runs, 1);
    ck_assert_int_eq(counter(1), 1);
}

TEST(a_transaction_at_once_that_never_arrives_runs_again)
{
    cut = CUT_EXECUTE;

    struct write w = write_thing(1, "lost");

    must_work(w.p);
    ck_assert(w.done);
    ck_assert_int_eq(w.asked, 1);
    ck_assert_int_eq(counter(1), 1);
    ck_assert_int_eq(things(), 1);
}

/* Nothing was sent that could be in doubt. */
TEST(a_server_that_was_not_asked_for_long_is_probed_first)
{
    must_work(write_thing(1, "first").p);
    (void)db_take_counts(db);
    sleep(DB_PROBE_AFTER_S);
    cut = CUT_QUESTION;

    struct write w = write_thing(1, "later");

    must_work(w.p);
    ck_assert(w.done);
    ck_assert_int_eq(w.asked, 0);
    ck_assert_uint_eq(db_take_counts(db).reconnects, 1);
    ck_assert_int_eq(counter(1), 2);
}

TEST(a_transaction_at_once_whose_answer_is_lost_is_found_out)
{
    cut = CUT_EXECUTE_REPLY;

    struct write w = write_thing(1, "lost");

    must_work(w.p);
    ck_assert(w.done);
    ck_assert_int_eq(w.asked, 1);
    ck_assert_int_eq(counter(1), 1);
    ck_assert_int_eq(things(), 1);
}

TEST(that_there_was_nothing_to_do_is_found_out_after_a_loss)
{
    cut = CUT_EXECUTE_REPLY;

    struct write w = write_thing(99, "of no counter");

    must_work(w.p);
    ck_assert(!w.done);
    ck_assert_int_eq(w.asked, 1);
    ck_assert_int_eq(things(), 0);
}

/* The server is still at the statement when nobody listens any more, and we ask too early. */
TEST(what_the_server_goes_on_with_is_carried_out_once)
{
    struct write w;
    pthread_t thread;
    cut = CUT_EXECUTE_SENT;
    w = (struct write){.sql = &wait_and_insert, .id = new_id()};
    must_work(db_ping(db, a));
    hold_second();
    ck_assert_int_eq(pthread_create(&thread, NULL, write_aside, &w), 0);
    (void)await_waiting(2); /* the lost one, and its second run */

    must_work(db_run(other, a, "COMMIT"));

    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    must_work(w.p);
    ck_assert(w.done);
    ck_assert_int_ge(w.asked, 1);
    ck_assert_int_eq(things(), 1);
    while (number_of(other, &read_counter, DB_ARGS(db_integer(2))) != 2)
        usleep(1000); /* the loser has not been rolled back yet */
    arena_close(w.arena);
}

/* ---- lost connections outside of transactions ---- */

TEST(a_write_whose_answer_is_lost_is_unknown_and_not_repeated)
{
    must_work(db_execute(db, a, &count_counter, DB_ARGS(db_integer(1)), NULL)); /* prepared */
    cut = CUT_EXECUTE_REPLY;

    struct problem *p = db_execute(db, a, &count_counter, DB_ARGS(db_integer(1)), NULL);

    ck_assert_ptr_nonnull(p);
    ck_assert_msg(p->type == &problem_unavailable, "%s", p->cause);
    ck_assert_int_eq(p->retry, RETRY_UNKNOWN);
    ck_assert_int_eq(counter(1), 2);
}

TEST(a_read_whose_answer_is_lost_is_asked_again)
{
    (void)number_of(db, &read_counter, DB_ARGS(db_integer(1)));
    cut = CUT_EXECUTE_REPLY;

    ck_assert_int_eq(number_of(db, &read_counter, DB_ARGS(db_integer(1))), 0);
}

TEST(rows_are_not_handed_out_twice)
{
    static const struct sql list = {"SELECT n, content FROM things ORDER BY n", &thing_record};
    struct seen seen = {0};
    for (int64_t n = 10000; n < 10010; n++)
        insert_content(new_id(), long_text((size_t)n), n);
    cut = CUT_LONG_REPLY;

    struct problem *p = db_each(db, a, &list, DB_NO_ARGS, see, &seen);

    ck_assert_ptr_nonnull(p);
    ck_assert_msg(p->type == &problem_unavailable, "%s", p->cause);
    ck_assert_int_eq(seen.rows, 2);
    ck_assert_int_eq(seen.sum, 10000 + 10001);
}

/* ---- connections that are replaced, and what is counted ---- */

CASE("connections", set_up, tear_down);

TEST(a_connection_closed_while_idle_is_replaced)
{
    struct script script = {.on = db};

    kill_connection(number_of(db, &connection_id, DB_NO_ARGS));
    ck_assert_int_eq(number_of(db, &read_counter, DB_ARGS(db_integer(1))), 0);

    kill_connection(number_of(db, &connection_id, DB_NO_ARGS));
    must_work(db_execute(db, a, &count_counter, DB_ARGS(db_integer(1)), NULL));
    ck_assert_int_eq(counter(1), 1);

    kill_connection(number_of(db, &connection_id, DB_NO_ARGS));
    must_work(db_run(db, a, "UPDATE counters SET n = n + 1 WHERE id = 1"));
    ck_assert_int_eq(counter(1), 2);

    kill_connection(number_of(db, &connection_id, DB_NO_ARGS));
    must_work(db_transaction(db, a, count_twice, NULL, &script));
    ck_assert_int_eq(script.runs, 1);
    ck_assert_int_eq(counter(1), 3);
}

TEST_TIMES(a_restart_between_statements_goes_unnoticed, 2)
{
    static const char *const commands[] = {"stop", "kill"};
    struct script script = {.on = db};
    insert_titled(new_id(), "before");

    control(commands[_i]);
    control("start");

    must_work(db_transaction(db, a, count_twice, NULL, &script));
    ck_assert_int_eq(script.runs, 1);
    insert_titled(new_id(), "after");
    ck_assert_int_eq(counter(1), 1);
}

TEST(time_spent_waiting_is_told_once)
{
    static const struct sql nap = {"SELECT SLEEP(0.05) AS n", &number_record};
    (void)number_of(db, &nap, DB_NO_ARGS);

    uint64_t waited_ns = db_take_counts(db).waited_ns;

    ck_assert_uint_ge(waited_ns, 50000000);
    ck_assert_uint_lt(waited_ns, 5000000000);
    ck_assert_uint_eq(db_take_counts(db).waited_ns, 0);
}

static struct problem *count_one(void *context)
{
    (void)context;
    return db_execute(db, a, &count_counter, DB_ARGS(db_integer(1)), NULL);
}

TEST(statements_are_counted_and_those_around_a_transaction)
{
    must_work(db_ping(db, a));
    (void)db_take_counts(db);

    must_work(count_one(NULL));
    must_work(db_transaction(db, a, count_one, NULL, NULL));

    struct db_counts counts = db_take_counts(db);
    ck_assert_uint_eq(counts.statements, 1 + 3);
    ck_assert_uint_eq(counts.retries, 0);
    ck_assert_uint_eq(counts.reconnects, 0);
}

TEST(closing_nothing_does_nothing)
{
    db_close(NULL);
}
