/* needs: mariadb */
#include <check.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/base/problem.h"
#include "tests/support/things.h"
#include "tests/support/suite.h"

static const struct sql count_prepared = {
    "SELECT CAST(variable_value AS INTEGER) AS n FROM information_schema.global_status"
    " WHERE variable_name = 'PREPARED_STMT_COUNT'",
    &number_record};
static const struct sql count_prepares = {
    "SELECT CAST(variable_value AS INTEGER) AS n FROM information_schema.session_status"
    " WHERE variable_name = 'COM_STMT_PREPARE'",
    &number_record};

/* ---- values ---- */

static const struct thing samples[] = {
    {.title = {"plain", 5}, .content = {"", 0}, .n = 1, .flag = true, .colour = GREEN},
    {.title = {"\xf0\x9f\xa6\x89 \xc3\xa1", 7}, .content = {"a\0b", 3}, .n = INT64_MAX},
    {.title = {"old", 3}, .content = {"'\"\\%_", 5}, .n = INT64_MIN, .at = {-1}},
    {.title = {"late", 4},
     .content = {"x", 1},
     .n = -1,
     .at = {253402300799999999}}, /* 9999-12-31 */
    {.title = {"us", 2}, .content = {"x", 1}, .flag = true, .at = {1784000000123456}},
};
CASE("values", set_up, tear_down);
CASE_AROUND(create_tables, NULL);

TEST_EACH(values_of_every_type_come_back_as_they_went, samples)
{
    const struct thing *in = &samples[_i];
    struct uuid id = new_id();
    uint64_t matched = 0;
    must_work(db_execute(db, a, &insert_thing,
                         DB_ARGS(db_uuid(id), db_text(in->title), db_text(in->content),
                                 db_integer(in->n), db_integer(in->flag),
                                 db_text(text_of(colours[in->colour])), db_time(in->at)),
                         &matched));

    struct thing out;
    bool found = false;
    must_work(db_find(db, a, &find_thing, DB_ARGS(db_uuid(id)), &out, &found));

    ck_assert_uint_eq(matched, 1);
    ck_assert(found);
    ck_assert(uuid_equal(&out.id, &id));
    ck_assert(text_equal(out.title, in->title));
    ck_assert_int_eq(out.title.data[out.title.len], '\0');
    ck_assert(text_equal(out.content, in->content));
    ck_assert_int_eq(out.n, in->n);
    ck_assert_int_eq(out.flag, in->flag);
    ck_assert_uint_eq(out.colour, in->colour);
    ck_assert_int_eq(out.at.us, in->at.us);
}

TEST(null_comes_back_as_the_zero_value)
{
    struct uuid id = new_id();
    struct db_arg null = db_text((struct text){NULL, 0});
    insert_titled(new_id(), "the statement has seen other types before");
    must_work(db_execute(db, a, &insert_thing,
                         DB_ARGS(db_uuid(id), null, db_bytes(NULL, 0), null, null, null, null),
                         NULL));

    struct thing out;
    memset(&out, 0xff, sizeof out);
    bool found = false;
    must_work(db_find(db, a, &find_thing, DB_ARGS(db_uuid(id)), &out, &found));

    ck_assert(found);
    ck_assert_ptr_null(out.title.data);
    ck_assert_ptr_null(out.content.data);
    ck_assert_uint_eq(out.title.len, 0);
    ck_assert_int_eq(out.n, 0);
    ck_assert(!out.flag);
    ck_assert_uint_eq(out.colour, 0);
    ck_assert_int_eq(out.at.us, 0);
}

TEST(a_null_id_is_nil)
{
    static const struct sql null_id = {"SELECT CAST(NULL AS UUID) AS id", &thing_record};
    struct thing out = {.id = new_id()};
    bool found = false;

    must_work(db_find(db, a, &null_id, DB_NO_ARGS, &out, &found));

    ck_assert(found);
    ck_assert(uuid_is_nil(&out.id));
}

TEST(the_type_of_a_value_may_change_between_calls)
{
    static const struct sql echo = {"SELECT CONCAT(?, '') AS title", &thing_record};
    const struct db_arg args[] = {db_integer(42),         db_text(TEXT("text")),
                                  db_text(text_of(NULL)), db_time((struct instant){0}),
                                  db_bytes("bytes", 5),   db_integer(-7)};
    const char *expected[] = {"42", "text", NULL, "1970-01-01 00:00:00", "bytes", "-7"};

    for (size_t i = 0; i < sizeof args / sizeof *args; i++) {
        struct thing out = {0};
        bool found = false;
        must_work(db_find(db, a, &echo, DB_ARGS(args[i]), &out, &found));
        ck_assert(found);
        ck_assert_pstr_eq(out.title.data, expected[i]);
    }
}

static const size_t lengths[] = {0,     1,     1023,    1024,    1025,   4096,
                                 65535, 65536, 1048576, 1048577, 5000000};

TEST_EACH(text_of_any_length_is_read_whole, lengths)
{
    struct text content = long_text(lengths[_i]);
    struct uuid ids[] = {new_id(), new_id()};
    insert_content(ids[0], content, 0);
    insert_content(ids[1], TEXT("short"), 0);

    for (int round = 0; round < 2; round++) { /* buffers grow, and shrink again */
        struct thing out = {0};
        bool found = false;
        must_work(db_find(db, a, &find_thing, DB_ARGS(db_uuid(ids[0])), &out, &found));
        ck_assert(found && text_equal(out.content, content));
        must_work(db_find(db, a, &find_thing, DB_ARGS(db_uuid(ids[1])), &out, &found));
        ck_assert(found && text_equal(out.content, TEXT("short")));
    }
}

TEST(a_list_may_mix_short_and_long_texts)
{
    static const struct sql list = {"SELECT n, content FROM things ORDER BY id", &thing_record};
    static const int64_t sizes[] = {10, 500, 1025, 3, 70000, 9, 2000000, 5, 70001, 1024};
    int64_t sum = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        insert_content(new_id(), long_text((size_t)sizes[i]), sizes[i]);
        sum += sizes[i];
    }

    for (int round = 0; round < 2; round++) {
        struct seen seen = {0};
        must_work(db_each(db, a, &list, DB_NO_ARGS, see, &seen));
        ck_assert_int_eq(seen.rows, 10);
        ck_assert_int_eq(seen.sum, sum);
        ck_assert(!seen.wrong);
    }
}

static const struct {
    const char *text;
    int64_t n;
} integers[] = {
    {"SELECT CAST(127 AS SIGNED) AS n", 127},
    {"SELECT SUM(n) AS n FROM (SELECT 3 AS n UNION ALL SELECT 4) AS t", 7},
    {"SELECT COUNT(*) AS n FROM counters", 2},
    {"SELECT CAST(4294967295 AS UNSIGNED) AS n", 4294967295},
    {"SELECT id AS n FROM counters WHERE id = 2", 2},
    {"SELECT 1 = 1 AS n", 1},
    {"SELECT SUM(n) AS n FROM counters WHERE id = 99", 0}, /* NULL */
};

TEST_EACH(integers_of_all_kinds_fit_an_integer, integers)
{
    struct sql sql = {integers[_i].text, &number_record};

    int64_t n = number_of(db, &sql, DB_NO_ARGS);

    ck_assert_int_eq(n, integers[_i].n);
}

/* ---- what a row is told ---- */

CASE("statements", set_up, tear_down);

TEST(no_row_leaves_the_struct_alone)
{
    struct thing out = {.n = 77};
    bool found = true;

    must_work(db_find(db, a, &find_thing, DB_ARGS(db_uuid(new_id())), &out, &found));

    ck_assert(!found);
    ck_assert_int_eq(out.n, 77);
}

TEST(find_takes_the_first_of_several_rows)
{
    static const struct sql several = {"SELECT id AS n FROM counters ORDER BY id", &number_record};

    ck_assert_int_eq(number_of(db, &several, DB_NO_ARGS), 1);
    ck_assert_int_eq(number_of(db, &several, DB_NO_ARGS), 1);
}

TEST(fields_without_a_column_are_zero)
{
    static const struct sql part = {"SELECT 'x' AS title", &thing_record};
    struct thing out;
    memset(&out, 0xff, sizeof out);
    bool found = false;

    must_work(db_find(db, a, &part, DB_NO_ARGS, &out, &found));

    ck_assert_str_eq(out.title.data, "x");
    ck_assert_ptr_null(out.content.data);
    ck_assert_int_eq(out.n, 0);
    ck_assert(uuid_is_nil(&out.id));
}

static const struct {
    const char *text;
    const char *cause; /* has this in it */
} misfits[] = {
    {"SELECT 1 AS n, 2 AS nowhere", "nowhere"},
    {"SELECT 'one' AS n", "column n "},
    {"SELECT 1.5 AS n", "column n "},
    {"SELECT 1 AS title", "column title "},
    {"SELECT 1 AS at", "column at "},
    {"SELECT CURRENT_TIMESTAMP(6) AS title", "column title "},
    {"SELECT 18446744073709551615 AS n", "column n "},
    {"SELECT 'blue' AS colour", "column colour "},
    {"SELECT 'Red' AS colour", "column colour "},
    {"SELECT 'not-a-uuid' AS id", "column id "},
    {"SELECT n FROM counters WHERE id = ?", "0 values for 1 "},
    {"SELEKT", "1064"},
};

TEST_EACH(a_row_that_does_not_fit_is_internal_and_named, misfits)
{
    struct sql sql = {misfits[_i].text, &thing_record};
    struct thing out = {.n = 77};
    bool found = false;

    struct problem *p = db_find(db, a, &sql, DB_NO_ARGS, &out, &found);

    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_eq(p->type, &problem_internal);
    ck_assert_msg(strstr(p->cause, misfits[_i].cause), "%s", p->cause);
    ck_assert_int_eq(out.n, 77);
    must_work(db_ping(db, a)); /* and the connection is in step */
    ck_assert_int_eq(number_of(db, &connection_id, DB_NO_ARGS),
                     number_of(db, &connection_id, DB_NO_ARGS));
}

TEST(execute_takes_no_rows)
{
    static const struct sql rows = {"SELECT n FROM counters", &number_record};
    static const struct sql no_record = {"SELECT n FROM counters", NULL};

    ck_assert_ptr_nonnull(db_execute(db, a, &rows, DB_NO_ARGS, NULL));
    ck_assert_ptr_nonnull(db_execute(db, a, &no_record, DB_NO_ARGS, NULL));
    must_work(db_ping(db, a));
}

TEST(matched_counts_rows_found_even_if_unchanged)
{
    static const struct sql same = {"UPDATE counters SET n = n", NULL};
    uint64_t matched = 0;

    must_work(db_execute(db, a, &same, DB_NO_ARGS, &matched));

    ck_assert_uint_eq(matched, 2);
}

static void use_db(void *context, const void *row)
{
    (void)context;
    (void)row;
    must_work(db_ping(db, a)); /* does not come back */
}

TEST_SIGNAL(each_must_not_use_the_connection, SIGABRT)
{
    static const struct sql rows = {"SELECT n FROM counters", &number_record};

    must_work(db_each(db, a, &rows, DB_NO_ARGS, use_db, NULL));
}

/* ---- prepared statements ---- */

TEST(of_more_than_64_statements_the_least_recently_used_go)
{
    db_disconnect(other);
    (void)number_of(db, &connection_id, DB_NO_ARGS);
    int64_t prepares = number_of(db, &count_prepares, DB_NO_ARGS);

    for (int i = 0; i < 400; i++) {
        struct sql sql = {arena_printf(a, "SELECT CAST(%d + ? AS INTEGER) AS n", i % 200),
                          &number_record};
        ck_assert_int_eq(number_of(db, &sql, DB_ARGS(db_integer(1))), i % 200 + 1);
        (void)number_of(db, &connection_id, DB_NO_ARGS); /* stays, since it is used */
    }

    /* Each of the 400, and the statement that counts. */
    ck_assert_int_eq(number_of(db, &count_prepares, DB_NO_ARGS) - prepares, 401);
    int64_t held = number_of(db, &count_prepared, DB_NO_ARGS);
    ck_assert_int_ge(held, 60);
    ck_assert_int_le(held, 65); /* this one is there before another goes */
}

/* The number of statements that the whole server takes; 16382 by itself. */
static void allow_prepared(int64_t most)
{
    control_sql(arena_printf(a, "SET GLOBAL max_prepared_stmt_count = %lld;", (long long)most));
}

/* Ours alone: the server counts those of a process that has just ended until it has noticed. */
static int64_t await_few_prepared(void)
{
    int64_t count;
    while ((count = number_of(other, &count_prepared, DB_NO_ARGS)) > 20)
        usleep(1000);
    return count;
}

TEST(where_the_server_takes_no_more_statements_own_ones_are_given_back)
{
    for (int i = 0; i < 3; i++) {
        const struct sql one = {arena_printf(a, "SELECT %d AS n", i), &number_record};
        ck_assert_int_eq(number_of(db, &one, DB_NO_ARGS), i);
    }
    int64_t before = await_few_prepared();
    allow_prepared(before);

    for (int i = 3; i < 8; i++) { /* more than there were to give back at first */
        const struct sql one = {arena_printf(a, "SELECT %d AS n", i), &number_record};
        ck_assert_int_eq(number_of(db, &one, DB_NO_ARGS), i);
    }

    ck_assert_int_eq(number_of(other, &count_prepared, DB_NO_ARGS), before);
    allow_prepared(16382);
}

TEST(where_the_server_takes_no_statements_at_all_it_is_unavailable)
{
    struct number row;
    bool found;
    ck_assert_int_ge(number_of(db, &count_prepared, DB_NO_ARGS), 1);
    allow_prepared(0);

    struct problem *p = db_find(db, a, &connection_id, DB_NO_ARGS, &row, &found);

    allow_prepared(16382);
    ck_assert_ptr_nonnull(p);
    ck_assert_msg(p->type == &problem_unavailable, "%s", p->cause);
    ck_assert_uint_eq(p->db_error, 1461);
    ck_assert_uint_eq(p->retry_after_s, 1);
    ck_assert_int_ge(number_of(db, &connection_id, DB_NO_ARGS), 1);
}

TEST(statements_are_known_by_what_they_say)
{
    char text[] = "SELECT 1 AS n";
    struct sql sql = {text, &number_record};
    struct sql copy = {arena_strdup(a, text), &number_record};
    (void)number_of(db, &count_prepares, DB_NO_ARGS);
    ck_assert_int_eq(number_of(db, &sql, DB_NO_ARGS), 1);
    int64_t prepares = number_of(db, &count_prepares, DB_NO_ARGS);

    ck_assert_int_eq(number_of(db, &copy, DB_NO_ARGS), 1);
    ck_assert_int_eq(number_of(db, &count_prepares, DB_NO_ARGS), prepares);
    text[7] = '2'; /* another statement at the same place */
    ck_assert_int_eq(number_of(db, &sql, DB_NO_ARGS), 2);
    ck_assert_int_eq(number_of(db, &count_prepares, DB_NO_ARGS), prepares + 1);
}

TEST(a_statement_may_be_prepared_anew_each_time)
{
    struct sql sql = {"SELECT 3 AS n", &number_record, .fresh = true};
    int64_t prepared = number_of(db, &count_prepared, DB_NO_ARGS);
    int64_t prepares = number_of(db, &count_prepares, DB_NO_ARGS);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(number_of(db, &sql, DB_NO_ARGS), 3);

    ck_assert_int_eq(number_of(db, &count_prepares, DB_NO_ARGS), prepares + 3);
    /* and one of them is kept; counting prepares is the other */
    ck_assert_int_eq(number_of(db, &count_prepared, DB_NO_ARGS), prepared + 2);
}
