/* needs: mariadb */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/problem.h"
#include "common/db/db_limits.h"
#include "tests/support/things.h"
#include "tests/support/suite.h"

CASE("failures", set_up, tear_down);
CASE_AROUND(create_tables, NULL);

/* ---- refused writes ---- */

TEST(a_duplicate_names_its_key_and_not_the_value)
{
    insert_titled(new_id(), "it's 'taken' for key 'x'");

    struct problem *p = db_execute(
        db, a, &insert_thing,
        DB_ARGS(db_uuid(new_id()), db_text(TEXT("it's 'taken' for key 'x'")), db_text(TEXT("")),
                db_integer(0), db_integer(0), db_text(TEXT("red")), db_time(instant_now())),
        NULL);

    ck_assert(db_is_violation(p, "uq_things_title"));
    ck_assert(!db_is_violation(p, "uq_things"));
    ck_assert(!db_is_violation(NULL, "uq_things_title"));
    ck_assert_ptr_eq(p->type, &problem_internal);
    ck_assert_ptr_null(strstr(p->cause, "taken"));
    ck_assert_int_eq(p->retry, RETRY_NO);
}

TEST(a_reference_to_nothing_names_its_key)
{
    struct problem *p =
        db_execute(db, a, &insert_part, DB_ARGS(db_integer(1), db_uuid(new_id())), NULL);

    ck_assert(db_is_violation(p, "fk_parts_thing"));
}

TEST(deleting_what_is_referred_to_names_the_key)
{
    struct uuid id = new_id();
    insert_titled(id, "whole");
    must_work(db_execute(db, a, &insert_part, DB_ARGS(db_integer(1), db_uuid(id)), NULL));

    struct problem *p = db_execute(db, a, &delete_thing, DB_ARGS(db_uuid(id)), NULL);

    ck_assert(db_is_violation(p, "fk_parts_thing"));
}

TEST(a_statement_that_takes_too_long_is_not_tried_again)
{
    static const struct sql nap = {"SELECT SLEEP(5) AS n", &number_record};
    struct number row;
    bool found;
    must_work(db_run(db, a, "SET max_statement_time = 0.1"));
    int64_t began = time_ms();

    struct problem *p = db_find(db, a, &nap, DB_NO_ARGS, &row, &found);

    ck_assert_ptr_nonnull(p);
    ck_assert_msg(p->type == &problem_unavailable, "%s", p->cause);
    ck_assert_int_eq(p->retry, RETRY_NO);
    ck_assert_uint_eq(p->retry_after_s, 1);
    ck_assert_int_lt(time_ms() - began, 4500); /* it would have slept for five */
}

/* No limit of the server's own, and the connection stands: only we can end it. */
static struct problem *ask_a_hanging_server(void *context)
{
    static const struct sql hang = {"SELECT SLEEP(300) AS n", &number_record};
    struct number row;
    bool found;
    ++*(int *)context;
    return db_find(db, a, &hang, DB_NO_ARGS, &row, &found);
}

static void ck_given_up_once(struct problem *(*body)(void *context), bool in_transaction)
{
    int runs = 0;
    must_work(db_run(db, a, "SET max_statement_time = 0"));
    (void)db_take_counts(db);
    int64_t began = monotonic_ns();

    struct problem *p = in_transaction ? db_transaction(db, a, body, NULL, &runs) : body(&runs);

    int64_t took_s = (monotonic_ns() - began) / 1000000000;
    ck_assert_ptr_eq(p->type, &problem_unavailable);
    ck_assert_int_ge(took_s, DB_ANSWER_LIMIT_S);
    ck_assert_int_lt(took_s, 2 * DB_ANSWER_LIMIT_S);
    ck_assert_int_eq(runs, 1);
    ck_assert_uint_eq(db_take_counts(db).retries, 0);
}

TEST(a_server_that_hangs_is_given_up_once)
{
    int status = -1;
    pid_t child = fork(); /* both at a time */
    ck_assert_int_ge(child, 0);

    ck_given_up_once(ask_a_hanging_server, child == 0);

    if (child == 0)
        _exit(EXIT_SUCCESS);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(number_of(db, &connection_id, DB_NO_ARGS) > 0, 1); /* and it goes on */
}

TEST(a_server_that_takes_no_writes_is_unavailable_until_it_does)
{
    control_sql("SET GLOBAL read_only = 1;");

    struct problem *p = db_execute(db, a, &count_counter, DB_ARGS(db_integer(1)), NULL);

    control_sql("SET GLOBAL read_only = 0;");
    ck_assert_ptr_nonnull(p);
    ck_assert_int_eq(p->retry, RETRY_AGAIN);
    ck_assert_msg(p->type == &problem_unavailable, "%s", p->cause);
    must_work(db_execute(db, a, &count_counter, DB_ARGS(db_integer(1)), NULL));
    ck_assert_int_eq(counter(1), 1);
}

/* What a number of the server's is taken for; it is raised by SIGNAL. */
static const struct {
    unsigned number;
    const struct problem_type *type;
    enum retry retry;
} numbers[] = {
    /* ours: a statement, */
    {1064, &problem_internal, RETRY_NO}, /* does not parse */
    {1136, &problem_internal, RETRY_NO}, /* has too few values */
    {1110, &problem_internal, RETRY_NO}, /* names a column twice */
    {1210, &problem_internal, RETRY_NO}, /* has wrong arguments */
    {1305, &problem_internal, RETRY_NO}, /* calls what is not there */
    {1267, &problem_internal, RETRY_NO}, /* mixes collations */
    /* or a value */
    {1048, &problem_internal, RETRY_NO}, /* NULL */
    {1264, &problem_internal, RETRY_NO}, /* out of range */
    {1265, &problem_internal, RETRY_NO}, /* cut off */
    {1292, &problem_internal, RETRY_NO}, /* wrong */
    {1366, &problem_internal, RETRY_NO}, /* wrong for its column */
    {1406, &problem_internal, RETRY_NO}, /* too long */
    {4025, &problem_internal, RETRY_NO}, /* refused by a CHECK */
    /* the schema's or the account's */
    {1054, &problem_unavailable, RETRY_NO}, /* no such column */
    {1146, &problem_unavailable, RETRY_NO}, /* no such table */
    {1176, &problem_unavailable, RETRY_NO}, /* no such index */
    {1191, &problem_unavailable, RETRY_NO}, /* no such FULLTEXT index */
    {1142, &problem_unavailable, RETRY_NO}, /* not for this account */
    {1143, &problem_unavailable, RETRY_NO},
    {1227, &problem_unavailable, RETRY_NO},
    /* an operator's deed, or another transaction's */
    {1317, &problem_unavailable, RETRY_NO}, /* KILL QUERY */
    {188, &problem_unavailable, RETRY_NO},  /* the same amid FULLTEXT */
    {1205, &problem_unavailable, RETRY_AGAIN},
    {1213, &problem_unavailable, RETRY_AGAIN},
    {1020, &problem_unavailable, RETRY_AGAIN},
    {1053, &problem_unavailable, RETRY_UNKNOWN}, /* shuts down */
    {1927, &problem_unavailable, RETRY_UNKNOWN}, /* KILL */
    {1180, &problem_unavailable, RETRY_UNKNOWN}, /* COMMIT, on a Galera node that is cut off */
    /* a setting */
    {1153, &problem_unavailable, RETRY_NO},    /* max_allowed_packet */
    {1197, &problem_unavailable, RETRY_NO},    /* max_binlog_cache_size */
    {1665, &problem_unavailable, RETRY_NO},    /* binlog_format = STATEMENT */
    {1104, &problem_unavailable, RETRY_NO},    /* max_join_size */
    {1461, &problem_unavailable, RETRY_NO},    /* max_prepared_stmt_count */
    {1969, &problem_unavailable, RETRY_NO},    /* max_statement_time */
    {1290, &problem_unavailable, RETRY_AGAIN}, /* read_only: on the next host */
    {1036, &problem_unavailable, RETRY_AGAIN}, /* innodb_read_only: likewise */
    {1836, &problem_unavailable, RETRY_AGAIN},
    {1874, &problem_unavailable, RETRY_AGAIN},
    {1047, &problem_unavailable, RETRY_AGAIN}, /* a Galera node that is not ready */
    {1792, &problem_unavailable, RETRY_NO},    /* tx_read_only */
    /* room, and what a disk says */
    {3, &problem_unavailable, RETRY_NO},
    {28, &problem_unavailable, RETRY_NO},
    {1021, &problem_unavailable, RETRY_NO},
    {1026, &problem_unavailable, RETRY_NO},
    {1030, &problem_unavailable, RETRY_NO},
    {1037, &problem_unavailable, RETRY_NO},
    {1038, &problem_unavailable, RETRY_NO},
    {1040, &problem_unavailable, RETRY_NO},
    {1114, &problem_unavailable, RETRY_NO},
    {1194, &problem_unavailable, RETRY_NO},
    {1203, &problem_unavailable, RETRY_NO},
    {1206, &problem_unavailable, RETRY_NO},
    {1226, &problem_unavailable, RETRY_NO},
    {1637, &problem_unavailable, RETRY_NO},
    /* what no release has yet */
    {4999, &problem_unavailable, RETRY_NO},
};

TEST_EACH(a_failure_is_ours_only_where_nothing_else_can_cause_it, numbers)
{
    unsigned number = numbers[_i].number;
    const char *text =
        arena_printf(a, "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = %u, MESSAGE_TEXT = 'x'", number);

    struct problem *p = db_run(db, a, text);

    ck_assert_ptr_nonnull(p);
    ck_assert_uint_eq(p->db_error, number);
    ck_assert_msg(p->type == numbers[_i].type, "%u is %s", number, p->type->code);
    ck_assert_msg(p->retry == numbers[_i].retry, "%u: retry is %d", number, p->retry);
    ck_assert_uint_eq(p->retry_after_s, p->type == &problem_unavailable);
    must_work(db_ping(db, a));
}

/* From now on, until somebody is at a statement with `text` in it. */
static int64_t await_statement(const char *text)
{
    const struct sql find = {arena_printf(a,
                                          "SELECT CAST(COALESCE(MAX(id), 0) AS INTEGER) AS n"
                                          " FROM information_schema.processlist"
                                          " WHERE info LIKE '%s%%' AND id <> CONNECTION_ID()",
                                          text),
                             &number_record};
    int64_t id;
    while ((id = number_of(other, &find, DB_NO_ARGS)) == 0)
        usleep(1000);
    return id;
}

static void *sleep_in_server(void *context)
{
    static const struct sql nap = {"SELECT 0 * SLEEP(8) + 1 AS n FROM counters WHERE id = 1",
                                   &number_record};
    struct arena *own = arena_open(1u << 20);
    struct number row;
    bool found;
    struct problem *p = db_find(db, own, &nap, DB_NO_ARGS, &row, &found);
    unsigned *ret = context;
    *ret = p && p->type == &problem_unavailable && p->retry == RETRY_NO ? p->db_error : 0;
    arena_close(own);
    return NULL;
}

TEST(a_statement_that_an_operator_kills_is_unavailable_and_not_repeated)
{
    unsigned number = 0;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, sleep_in_server, &number), 0);
    int64_t id = await_statement("SELECT 0 * SLEEP");

    must_work(db_run(other, a, arena_printf(a, "KILL QUERY %lld", (long long)id)));

    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(number, 1317);
}

TEST(a_value_beyond_max_allowed_packet_is_unavailable)
{
    enum { SIZE = 300 * 1024 };
    char *long_text = arena_alloc(a, SIZE);
    memset(long_text, 'x', SIZE);
    control_sql("SET GLOBAL max_allowed_packet = 131072;"); /* of connections made from now on */

    struct problem *p = db_execute(
        db, a, &insert_thing,
        DB_ARGS(db_uuid(new_id()), db_text(TEXT("long")), db_text((struct text){long_text, SIZE}),
                db_integer(0), db_integer(0), db_text(TEXT("red")), db_time(instant_now())),
        NULL);

    control_sql("SET GLOBAL max_allowed_packet = 16777216;");
    ck_assert_ptr_nonnull(p);
    ck_assert_msg(p->type == &problem_unavailable, "%s", p->cause);
}

TEST(a_missing_table_is_recognised)
{
    static const struct sql missing = {"SELECT n FROM no_such_table", &number_record};
    struct number row;
    bool found;

    struct problem *p = db_find(db, a, &missing, DB_NO_ARGS, &row, &found);

    ck_assert(db_is_missing_table(p));
    ck_assert_ptr_eq(p->type, &problem_unavailable); /* the surroundings, not a bug */
    ck_assert(!db_is_missing_table(NULL));
}
