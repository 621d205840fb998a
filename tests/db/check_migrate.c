/* needs: mariadb */
/* Runs as `with-mariadb check_migrate`: everything here talks to a real server. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/db/db.h"
#include "common/field/field.h"
#include "common/db/migrate.h"
#include "common/base/problem.h"
#include "tests/support/suite.h"

static struct arena *a;
static struct db *db;

struct number {
    int64_t n;
};

static const struct field number_fields[] = {FIELD(struct number, n, .doc = "A number.")};
static const struct record number_record =
    RECORD("Number", struct number, number_fields, .rule = NULL);

static const struct migration list[] = {
    {1, "0001_trail.sql",
     "-- A comment; it ends in a semicolon;\n"
     "CREATE TABLE IF NOT EXISTS trail (\n"
     "    -- and one inside;\n"
     "    step INT NOT NULL, -- after a column\n"
     "    word VARCHAR(20) NOT NULL\n"
     ") ENGINE = InnoDB;\n"
     "\n"
     "INSERT INTO trail VALUES (1, 'a;b');\n"},
    {2, "0002_more.sql",
     "INSERT INTO trail VALUES (2, 'x');  \r\n  INSERT INTO trail\r\n"
     "VALUES (3, 'y');\r\n-- the end\n"},
    {3, "0003_nothing.sql", "-- nothing to do\n"},
};

static void must_work(const struct problem *p)
{
    if (p)
        ck_abort_msg("%s", p->cause ? p->cause : p->message);
}

static int64_t number_of(const char *text)
{
    struct sql sql = {text, &number_record};
    struct number row = {-1};
    bool found = false;
    must_work(db_find(db, a, &sql, DB_NO_ARGS, &row, &found));
    ck_assert(found);
    return row.n;
}

/* How many of the statements that leave a trace have run, and how often. */
static int64_t trail(void)
{
    return number_of("SELECT COUNT(*) AS n FROM trail");
}

static void set_up(void)
{
    const char *url = getenv("DATABASE_URL");
    if (!url) {
        fputs("run me under tests/support/with-mariadb\n", stderr);
        exit(EXIT_FAILURE);
    }
    a = arena_open(16u << 20);
    must_work(db_open(a, url, &db));
    must_work(db_run(db, a, "DROP TABLE IF EXISTS schema_migrations, trail"));
}

static void tear_down(void)
{
    db_close(db);
    arena_close(a);
}

static void count_applied(void *context, const struct migration *m)
{
    int *next = context;
    ck_assert_int_eq(m->number, ++*next);
}

CASE("migrate", set_up, tear_down);

TEST(a_fresh_schema_gets_everything_in_order)
{
    enum migration_state states[COUNT(list)];
    size_t unknown = 77;
    int applied = 0;

    must_work(migrate_up(db, a, list, COUNT(list), count_applied, &applied));

    ck_assert_int_eq(applied, 3);
    ck_assert_int_eq(trail(), 3);
    ck_assert_int_eq(number_of("SELECT SUM(step) AS n FROM trail"), 6);
    ck_assert_int_eq(number_of("SELECT COUNT(*) AS n FROM trail WHERE word = 'a;b'"), 1);
    ck_assert_int_eq(number_of("SELECT SUM(statements_done) AS n FROM schema_migrations"), 4);
    must_work(migrate_status(db, a, list, COUNT(list), states, &unknown));
    for (size_t i = 0; i < COUNT(list); i++)
        ck_assert_int_eq(states[i], MIGRATION_APPLIED);
    ck_assert_uint_eq(unknown, 0);
    must_work(migrate_check(db, a, list, COUNT(list)));
}

TEST(a_second_run_does_nothing)
{
    int applied = 0;
    must_work(migrate_up(db, a, list, COUNT(list), NULL, NULL));

    must_work(migrate_up(db, a, list, COUNT(list), count_applied, &applied));

    ck_assert_int_eq(applied, 0);
    ck_assert_int_eq(trail(), 3);
}

TEST(a_longer_list_adds_only_what_is_new)
{
    int applied = 1;
    must_work(migrate_up(db, a, list, 1, NULL, NULL));

    must_work(migrate_up(db, a, list, COUNT(list), count_applied, &applied));

    ck_assert_int_eq(applied, 3);
    ck_assert_int_eq(trail(), 3);
}

/* The second statement fails until `later` exists. */
static const struct migration halting[] = {
    {1, "0001_halting.sql",
     "CREATE TABLE trail (step INT NOT NULL) ENGINE = InnoDB;\n"
     "INSERT INTO trail SELECT n FROM later;\n"
     "INSERT INTO trail VALUES (2);\n"},
};

TEST(a_run_that_stopped_half_way_continues_after_it)
{
    enum migration_state state;
    size_t unknown;
    must_work(db_run(db, a, "DROP TABLE IF EXISTS later"));

    struct problem *p = migrate_up(db, a, halting, 1, NULL, NULL);

    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_eq(p->type, &problem_unavailable); /* a schema that is not there yet */
    ck_assert_msg(strstr(p->cause, "0001_halting.sql, statement 2: 1146"), "%s", p->cause);
    must_work(migrate_status(db, a, halting, 1, &state, &unknown));
    ck_assert_int_eq(state, MIGRATION_PARTIAL);
    p = migrate_check(db, a, halting, 1);
    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_eq(p->type, &problem_unavailable);
    ck_assert_int_eq(trail(), 0);

    must_work(db_run(db, a, "CREATE TABLE later AS SELECT 1 AS n"));
    must_work(migrate_up(db, a, halting, 1, NULL, NULL)); /* the first, repeated, would fail */
    ck_assert_int_eq(trail(), 2);
    must_work(migrate_check(db, a, halting, 1));
    must_work(db_run(db, a, "DROP TABLE later"));
}

TEST(a_half_applied_file_must_not_change_either)
{
    struct migration changed = halting[0];
    changed.text = "SELECT 1;\n";
    ck_assert_ptr_nonnull(migrate_up(db, a, halting, 1, NULL, NULL));

    struct problem *p = migrate_up(db, a, &changed, 1, NULL, NULL);

    ck_assert_ptr_nonnull(p);
    ck_assert_msg(strstr(p->cause, "0001_halting.sql was changed"), "%s", p->cause);
}

TEST(an_applied_file_that_changed_is_refused)
{
    struct migration changed[COUNT(list)];
    enum migration_state states[COUNT(list)];
    size_t unknown;
    memcpy(changed, list, sizeof list);
    changed[1].text = "INSERT INTO trail VALUES (2, 'z');\n";
    must_work(migrate_up(db, a, list, 2, NULL, NULL));

    struct problem *p = migrate_up(db, a, changed, COUNT(list), NULL, NULL);

    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_eq(p->type, &problem_internal);
    ck_assert_msg(strstr(p->cause, "0002_more.sql was changed"), "%s", p->cause);
    must_work(migrate_status(db, a, changed, COUNT(list), states, &unknown));
    ck_assert_int_eq(states[0], MIGRATION_APPLIED);
    ck_assert_int_eq(states[1], MIGRATION_CHANGED);
    ck_assert_int_eq(states[2], MIGRATION_PENDING);
    p = migrate_check(db, a, changed, 2);
    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_eq(p->type, &problem_unavailable);
}

TEST(an_applied_file_may_have_a_text_of_a_former_release)
{
    /* printf "INSERT INTO trail VALUES (7, 'former');\n" | sha256sum */
    static const char *const former[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "717d33d1bd60f1329cbe310fdf631ce338d818776e31bf5281beb0bd7d36fe20", NULL};
    struct migration then[COUNT(list)], now[COUNT(list)];
    memcpy(then, list, sizeof list);
    memcpy(now, list, sizeof list);
    then[1].text = "INSERT INTO trail VALUES (7, 'former');\n";
    now[1].former = former;
    must_work(migrate_up(db, a, then, 2, NULL, NULL));

    must_work(migrate_up(db, a, now, COUNT(list), NULL, NULL));

    ck_assert_int_eq(number_of("SELECT SUM(step) AS n FROM trail"), 8); /* what was applied stays */
    must_work(migrate_check(db, a, now, COUNT(list)));
    ck_assert_ptr_nonnull(migrate_check(db, a, list, COUNT(list)));
    must_work(migrate_check(db, a, then, COUNT(list))); /* the former program finds its own text */
}

/* ---- tables that somebody else has made, or changed ---- */

static bool exists(const char *table)
{
    return number_of(arena_printf(a,
                                  "SELECT COUNT(*) AS n FROM information_schema.tables"
                                  " WHERE table_schema = DATABASE() AND table_name = '%s'",
                                  table)) > 0;
}

static void ck_refused(const struct problem *p, const char *part)
{
    ck_assert_ptr_nonnull(p);
    ck_assert_msg(strstr(p->cause, part) != NULL, "%s", p->cause);
}

static const char *const foreign[] = {
    "CREATE TABLE trail (id VARCHAR(36) PRIMARY KEY, name TEXT)",
    "CREATE TABLE trail (step INT NOT NULL, word VARCHAR(20) NOT NULL)", /* of the same columns */
};

TEST_EACH(a_foreign_table_of_our_name_is_refused_before_anything_is_written, foreign)
{
    must_work(db_run(db, a, foreign[_i]));

    struct problem *p = migrate_up(db, a, list, COUNT(list), NULL, NULL);

    ck_refused(p, "has a table trail that this program has not made");
    ck_assert_ptr_eq(p->type, &problem_internal);
    ck_assert(!exists("schema_migrations"));
    ck_assert_int_eq(trail(), 0);
    ck_refused(migrate_compare(db, a, list, COUNT(list)), "DATABASE_URL");
    ck_refused(migrate_check(db, a, list, COUNT(list)), "trail");
}

TEST(a_foreign_table_of_migrations_is_refused)
{
    must_work(db_run(db, a, "CREATE TABLE schema_migrations (version BIGINT PRIMARY KEY)"));

    struct problem *p = migrate_up(db, a, list, COUNT(list), NULL, NULL);

    ck_refused(p, "has a table schema_migrations that this program has not made");
    ck_assert_ptr_eq(p->type, &problem_internal);
    ck_assert(!exists("trail"));
    ck_assert_ptr_eq(migrate_check(db, a, list, COUNT(list))->type, &problem_unavailable);
}

/* A former release took a foreign table for its own. */
TEST(an_applied_file_whose_table_is_another_is_told)
{
    must_work(migrate_up(db, a, list, 1, NULL, NULL));
    must_work(db_run(db, a, "DROP TABLE trail"));
    ck_refused(migrate_up(db, a, list, COUNT(list), NULL, NULL), "the table trail is gone");
    must_work(db_run(db, a, foreign[0]));
    ck_refused(migrate_up(db, a, list, COUNT(list), NULL, NULL), "step is missing in it");
    must_work(db_run(db, a, "DROP TABLE trail"));
    must_work(db_run(db, a, "CREATE TABLE trail (step UUID, word VARCHAR(20))"));

    struct problem *p = migrate_up(db, a, list, COUNT(list), NULL, NULL);

    ck_refused(p, "step there is uuid and not INT");
    ck_assert_int_eq(trail(), 0);
    ck_assert_int_eq(number_of("SELECT COUNT(*) AS n FROM schema_migrations"), 1);
}

/* Killed between a statement and the note that it has run; or before the first of them, and then
 * somebody else made the table. */
TEST(a_file_that_was_begun_goes_on_only_with_its_own_table)
{
    must_work(migrate_up(db, a, list, 1, NULL, NULL));
    must_work(db_run(db, a, "DELETE FROM trail"));
    must_work(db_run(db, a, "UPDATE schema_migrations SET statements_done = 0, complete = 0"));
    must_work(migrate_up(db, a, list, 1, NULL, NULL));
    ck_assert_int_eq(trail(), 1);

    must_work(db_run(db, a, "UPDATE schema_migrations SET statements_done = 0, complete = 0"));
    must_work(db_run(db, a, "DROP TABLE trail"));
    must_work(db_run(db, a, foreign[0]));
    ck_refused(migrate_up(db, a, list, 1, NULL, NULL), "step is missing in it");
}

static const struct migration growing[] = {
    {1, "0001_trail.sql",
     "CREATE TABLE IF NOT EXISTS trail (step INT NOT NULL) ENGINE = InnoDB;\n"},
    {2, "0002_grow.sql",
     "ALTER TABLE trail ADD COLUMN IF NOT EXISTS word VARCHAR(20) NULL;\n"
     "INSERT INTO trail SELECT 1, 'x' FROM later;\n"},
};

TEST(what_a_half_applied_file_adds_may_be_missing)
{
    must_work(db_run(db, a, "DROP TABLE IF EXISTS later"));
    must_work(migrate_up(db, a, growing, 1, NULL, NULL));
    must_work(migrate_compare(db, a, growing, 2));
    ck_assert_ptr_nonnull(migrate_up(db, a, growing, 2, NULL, NULL)); /* later is not there */
    must_work(db_run(db, a, "CREATE TABLE later AS SELECT 1 AS n"));
    must_work(db_run(db, a, "ALTER TABLE trail DROP COLUMN word"));
    must_work(db_run(db, a, "UPDATE schema_migrations SET statements_done = 0 WHERE number = 2"));

    must_work(migrate_up(db, a, growing, 2, NULL, NULL));

    must_work(migrate_check(db, a, growing, 2));
    must_work(db_run(db, a, "ALTER TABLE trail DROP COLUMN word"));
    ck_refused(migrate_check(db, a, growing, 2), "word is missing in it");
    must_work(db_run(db, a, "DROP TABLE later"));
}

TEST(a_schema_from_a_later_program_is_refused)
{
    enum migration_state states[COUNT(list)];
    size_t unknown = 0;
    must_work(migrate_up(db, a, list, COUNT(list), NULL, NULL));

    struct problem *p = migrate_up(db, a, list, 2, NULL, NULL);

    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_eq(p->type, &problem_internal);
    ck_assert_msg(strstr(p->cause, "1 migrations that this program does not know"), "%s", p->cause);
    must_work(migrate_status(db, a, list, 2, states, &unknown));
    ck_assert_uint_eq(unknown, 1);
    must_work(migrate_check(db, a, list, 2)); /* it has what the former program needs */
}

TEST(a_schema_that_was_never_migrated_says_so)
{
    enum migration_state states[COUNT(list)];
    size_t unknown = 77;

    struct problem *p = migrate_check(db, a, list, COUNT(list));

    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_eq(p->type, &problem_unavailable);
    ck_assert_str_eq(p->cause, "schema is at 0 of 3; run `postern migrate`");
    must_work(migrate_status(db, a, list, COUNT(list), states, &unknown));
    ck_assert_int_eq(states[2], MIGRATION_PENDING);
    ck_assert_uint_eq(unknown, 0);
}

TEST(a_schema_that_is_behind_says_by_how_much)
{
    must_work(migrate_up(db, a, list, 1, NULL, NULL));

    struct problem *p = migrate_check(db, a, list, COUNT(list));

    ck_assert_ptr_nonnull(p);
    ck_assert_str_eq(p->cause, "schema is at 1 of 3; run `postern migrate`");
}

TEST(a_statement_without_an_end_is_refused_before_any_runs)
{
    static const struct migration endless = {
        1, "0001_endless.sql", "CREATE TABLE trail (step INT);\nINSERT INTO trail VALUES (1)\n"};

    struct problem *p = migrate_up(db, a, &endless, 1, NULL, NULL);

    ck_assert_ptr_nonnull(p);
    ck_assert_msg(strstr(p->cause, "0001_endless.sql does not end"), "%s", p->cause);
    ck_assert(!exists("trail"));
}

TEST(the_lock_is_free_again_after_success_and_failure)
{
    static const char is_free[] =
        "SELECT IS_FREE_LOCK(CONCAT('schema_migrations.', MD5(DATABASE()))) AS n";

    must_work(migrate_up(db, a, list, 1, NULL, NULL));
    while (!number_of(is_free))
        usleep(1000); /* the server takes a moment to see that the connection is closed */
    ck_assert_ptr_nonnull(migrate_up(db, a, halting, 1, NULL, NULL));
    while (!number_of(is_free))
        usleep(1000);
}

/* Each of its statements takes long enough for the other run to come in between. */
static const struct migration slow[] = {
    {1, "0001_slow.sql",
     "CREATE TABLE trail (step INT NOT NULL) ENGINE = InnoDB;\n"
     "INSERT INTO trail SELECT SLEEP(0.2);\n"
     "INSERT INTO trail SELECT SLEEP(0.2);\n"},
};

TEST(two_runs_at_a_time_apply_once)
{
    pid_t children[2];
    db_disconnect(db);

    for (size_t i = 0; i < COUNT(children); i++) {
        children[i] = fork();
        if (children[i] == 0) {
            bool failed = migrate_up(db, a, slow, 1, NULL, NULL) != NULL;
            db_close(db);
            _exit(failed ? 1 : 0);
        }
    }

    for (size_t i = 0; i < COUNT(children); i++) {
        int status = -1;
        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_int_eq(status, 0);
    }
    ck_assert_int_eq(trail(), 2);
}

/* A connection that is lost between two statements takes the lock with it: the run must stop. */
static void lose_connection(void *context, const struct migration *m)
{
    struct db *other = context;
    (void)m;
    must_work(db_run(other, a,
                     "SET @id = (SELECT IS_USED_LOCK(CONCAT('schema_migrations.',"
                     " MD5(DATABASE()))))"));
    must_work(db_run(other, a, "KILL @id"));
    struct sql still = {"SELECT COUNT(*) AS n FROM information_schema.processlist WHERE id = @id",
                        &number_record};
    struct number row = {1};
    bool found;
    while (row.n)
        must_work(db_find(other, a, &still, DB_NO_ARGS, &row, &found));
}

TEST(a_run_without_its_lock_stops)
{
    struct db *other = NULL;
    must_work(db_open(a, getenv("DATABASE_URL"), &other));

    struct problem *p = migrate_up(db, a, list, COUNT(list), lose_connection, other);

    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_eq(p->type, &problem_unavailable);
    ck_assert_int_eq(trail(), 1);
    must_work(migrate_up(db, a, list, COUNT(list), NULL, NULL));
    ck_assert_int_eq(trail(), 3);
    db_close(other);
}

TEST_SIGNAL(a_gap_in_the_list_aborts, SIGABRT)
{
    static const struct migration gap[] = {{1, "0001_a.sql", ""}, {3, "0003_b.sql", ""}};

    must_work(migrate_check(db, a, gap, COUNT(gap)));
}
