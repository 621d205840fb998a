/* needs: mariadb */
#include <check.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/db/db_limits.h"
#include "tests/support/things.h"
#include "tests/support/suite.h"

/* ---- the session ---- */

CASE("sessions", set_up, tear_down);
CASE_AROUND(create_tables, NULL);

TEST(the_session_is_strict_and_in_utc)
{
    static const struct sql time_zone = {
        "SELECT @@time_zone AS title, CONCAT(@@sql_mode, ' ', @@tx_isolation) AS content",
        &thing_record};
    static const struct sql emoji = {"SELECT @@character_set_client AS title,"
                                     " HEX('\xf0\x9f\xa6\x89') AS content",
                                     &thing_record};
    struct thing out = {0};
    bool found = false;

    must_work(db_find(db, a, &time_zone, DB_NO_ARGS, &out, &found));
    ck_assert_str_eq(out.title.data, "+00:00");
    ck_assert_str_eq(out.content.data, "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,"
                                       "NO_ENGINE_SUBSTITUTION READ-COMMITTED");
    must_work(db_find(db, a, &emoji, DB_NO_ARGS, &out, &found));
    ck_assert_str_eq(out.title.data, "utf8mb4");
    ck_assert_str_eq(out.content.data, "F09FA689");
}

/* What a server or its init_connect may set, so that our statements would mean something else.
 */
static const char *const defaults[] = {
    "sql_mode = 'ORACLE,ANSI,EMPTY_STRING_IS_NULL,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH'",
    "old_mode = 'ZERO_DATE_TIME_CAST,IGNORE_INDEX_ONLY_FOR_JOIN'",
    "autocommit = 0",
    "completion_type = 1",
    "tx_isolation = 'SERIALIZABLE'",
    "tx_read_only = 1",
    "time_zone = '-07:30'",
    "lc_messages = 'de_DE'",
    "lc_time_names = 'de_DE'",
    "character_set_client = latin1",
    "character_set_results = latin1",
    "character_set_connection = latin1",
    "collation_connection = latin1_german2_ci",
    "foreign_key_checks = 0",
    "unique_checks = 0",
    "check_constraint_checks = 0",
    "sql_safe_updates = 1",
    "sql_select_limit = 1",
    "max_join_size = 1",
    "sql_big_selects = 0",
    "sql_auto_is_null = 1",
    "group_concat_max_len = 4",
    "div_precision_increment = 0",
    "max_sort_length = 64",
    "default_week_format = 7",
    "default_regex_flags = 'DOTALL,EXTENDED'",
    "sql_if_exists = 1",
    "default_storage_engine = 'MyISAM'",
    "alter_algorithm = 'INSTANT'",
    "innodb_strict_mode = 0",
    "explicit_defaults_for_timestamp = 0",
    "innodb_ft_enable_stopword = 1",
    "innodb_lock_wait_timeout = 1",
    "max_statement_time = 1",
};

/* The value of `default`'s variable in a session of ours. */
static const char *session_value(const char *default_value)
{
    size_t len = strcspn(default_value, " ");
    struct sql value = {
        arena_printf(a, "SELECT CAST(@@session.%.*s AS CHAR) AS title", (int)len, default_value),
        &thing_record};
    struct thing out = {0};
    bool found = false;
    must_work(db_find(db, a, &value, DB_NO_ARGS, &out, &found));
    ck_assert(found);
    return out.title.data ? out.title.data : "NULL";
}

#define DEFAULTS (sizeof defaults / sizeof *defaults)

/* By SET GLOBAL, and again by init_connect, which also leaves a transaction open. */
static void set_all_defaults(void)
{
    const char *global = "", *session = "";
    for (size_t i = 0; i < DEFAULTS; i++) {
        global = arena_printf(a, "%sSET GLOBAL %s;\n", global, defaults[i]);
        session = arena_printf(a, "%sSET %s;", session, defaults[i]);
    }
    control_sql(arena_printf(a,
                             "SET GLOBAL init_connect = \"START TRANSACTION; "
                             "SELECT n FROM postern.counters WHERE id = 1; %s\";\n%s",
                             session, global));
}

TEST(a_statement_means_the_same_whatever_the_server_defaults_to)
{
    const char *before[DEFAULTS];
    for (size_t i = 0; i < DEFAULTS; i++)
        before[i] = session_value(defaults[i]);
    db_disconnect(db);
    set_all_defaults();

    for (size_t i = 0; i < DEFAULTS; i++)
        ck_assert_msg(strcmp(session_value(defaults[i]), before[i]) == 0, "%s: %s, before: %s",
                      defaults[i], session_value(defaults[i]), before[i]);
    ck_assert_int_eq(
        number_of(db, &(struct sql){"SELECT @@in_transaction AS n", &number_record}, DB_NO_ARGS),
        0);

    control("stop"); /* as it was */
    control("start");
}

static struct problem *count_once(void *context)
{
    return db_execute(context, a, &count_counter, DB_ARGS(db_integer(1)), NULL);
}

TEST(what_was_acknowledged_stands_whatever_the_server_defaults_to)
{
    struct uuid id = new_id();
    set_all_defaults();
    db_disconnect(db);

    must_work(db_transaction(db, a, count_once, NULL, db));
    insert_titled(id, "acknowledged \xf0\x9f\xa6\x89"); /* not in a chained transaction */
    struct problem *twice =
        db_execute(db, a, &insert_thing,
                   DB_ARGS(db_uuid(new_id()), db_text(TEXT("acknowledged \xf0\x9f\xa6\x89")),
                           db_text(TEXT("")), db_integer(0), db_integer(0), db_text(TEXT("red")),
                           db_time(instant_now())),
                   NULL);
    struct problem *orphan =
        db_execute(db, a, &insert_part, DB_ARGS(db_integer(1), db_uuid(new_id())), NULL);
    control("kill");
    control("start");

    ck_assert_int_eq(counter(1), 1);
    struct thing out = {0};
    bool found = false;
    must_work(db_find(db, a, &find_thing, DB_ARGS(db_uuid(id)), &out, &found));
    ck_assert(found);
    ck_assert_str_eq(out.title.data, "acknowledged \xf0\x9f\xa6\x89");
    ck_assert(db_is_violation(twice, "uq_things_title"));
    ck_assert(db_is_violation(orphan, "fk_parts_thing"));
}

/* ---- a server that is down, frozen or slow ---- */

CASE("connections", set_up, tear_down);

TEST(a_server_that_is_down_is_unavailable_at_once_and_used_when_back)
{
    struct number row;
    bool found;
    must_work(db_ping(db, a));
    control("stop");
    int64_t began = time_ms();

    struct problem *p = db_find(db, a, &read_counter, DB_ARGS(db_integer(1)), &row, &found);

    ck_assert_int_lt(time_ms() - began, DB_CONNECT_LIMIT_S * 1000); /* nobody was waited for */
    ck_assert_ptr_nonnull(p);
    ck_assert_msg(p->type == &problem_unavailable, "%s", p->cause);
    ck_assert_uint_eq(p->retry_after_s, 1);
    control("start");
    must_work(db_ping(db, a));
}

/* ---- a server that is frozen, and one that is slow ---- */

#define SECONDS_TO_NOTICE (DB_ANSWER_LIMIT_S - 1) /* it takes three; of one that is slow, all */

/* A test that failed before may have left it frozen. */
static void set_up_thawed(void)
{
    ck_assert_int_eq(system("\"$DATABASE_CONTROL\" thaw"), 0);
    set_up();
}

static void tear_down_thawed(void)
{
    control("thaw");
    tear_down();
}

CASE("frozen", set_up_thawed, tear_down_thawed);

TEST(a_frozen_server_is_given_up_in_seconds_and_used_when_it_is_back)
{
    must_work(db_ping(db, a));
    control("freeze");
    int64_t began = time_ms();

    struct problem *first = db_ping(db, a);
    int64_t noticed = time_ms();
    struct problem *second = db_ping(db, a);
    int64_t done = time_ms();

    control("thaw");
    ck_assert_ptr_nonnull(first);
    ck_assert_msg(first->type == &problem_unavailable, "%s", first->cause);
    ck_assert_int_lt(noticed - began, SECONDS_TO_NOTICE * 1000);
    ck_assert_ptr_nonnull(second); /* without asking it again */
    ck_assert_msg(second->type == &problem_unavailable, "%s", second->cause);
    ck_assert_int_lt(done - noticed, DB_CONNECT_LIMIT_S * 1000);
    while (db_ping(db, a))
        usleep(10000);
}

TEST(a_frozen_server_is_found_out_by_one_for_all)
{
    struct db_hosts hosts = {0};
    db_share(db, &hosts);
    db_share(other, &hosts);
    must_work(db_ping(db, a));
    must_work(db_ping(other, a));
    control("freeze");
    ck_assert_ptr_nonnull(db_ping(db, a));
    int64_t began = time_ms();

    struct problem *p = db_ping(other, a);

    int64_t pause_ns = atomic_load(&hosts.pause[0]) - monotonic_ns();
    ck_assert_int_le(pause_ns, INT64_C(1000000000)); /* when it is back, it is soon found out */
    ck_assert_ptr_nonnull(p);
    ck_assert_msg(p->type == &problem_unavailable, "%s", p->cause);
    ck_assert_int_lt(time_ms() - began, DB_CONNECT_LIMIT_S * 1000);
    control("thaw");
    while (db_ping(other, a) || db_ping(db, a))
        usleep(10000);
}

TEST(what_memory_of_another_boot_says_of_a_host_keeps_nobody_away)
{
    struct db_hosts hosts = {.pause = {INT64_MAX / 2}};
    db_share(db, &hosts);

    must_work(db_ping(db, a));

    ck_assert_int_eq(hosts.pause[0], 0);
}

TEST(nobody_waits_for_long_to_connect_to_a_frozen_server)
{
    control("freeze");
    int64_t began = time_ms();

    struct problem *p = db_ping(db, a);

    ck_assert_ptr_nonnull(p);
    ck_assert_msg(p->type == &problem_unavailable, "%s", p->cause);
    ck_assert_int_lt(time_ms() - began, SECONDS_TO_NOTICE * 1000);
}

TEST(a_write_that_a_frozen_server_was_sent_is_unknown_and_not_repeated)
{
    must_work(db_execute(db, a, &count_counter, DB_ARGS(db_integer(1)), NULL));
    control("freeze");

    struct problem *p = db_execute(db, a, &count_counter, DB_ARGS(db_integer(1)), NULL);

    control("thaw");
    ck_assert_ptr_nonnull(p);
    ck_assert_msg(p->type == &problem_unavailable, "%s", p->cause);
    ck_assert_int_eq(p->retry, RETRY_UNKNOWN);
    ck_assert_int_le(counter(1), 2);
}

TEST(with_a_limit_a_frozen_server_is_given_up_by_then)
{
    must_work(db_ping(db, a));
    control("freeze");
    int64_t began = time_ms();

    db_limit(db, 300);
    struct problem *p = db_ping(db, a);

    ck_assert_ptr_nonnull(p);
    ck_assert_msg(p->type == &problem_unavailable, "%s", p->cause);
    ck_assert_int_ge(time_ms() - began, 300);
    /* Before it would have been noticed. */
    ck_assert_int_lt(time_ms() - began, (DB_PROBE_AFTER_S + DB_CONNECT_LIMIT_S) * 1000);
}

TEST(what_a_limit_cuts_off_is_not_repeated)
{
    static const struct sql nap = {"SELECT 0 * SLEEP(5) AS n", &number_record};
    struct number row;
    bool found;
    must_work(db_ping(db, a));
    (void)db_take_counts(db);
    db_limit(db, 300);

    struct problem *cut_off = db_find(db, a, &nap, DB_NO_ARGS, &row, &found);
    struct problem *late = db_ping(db, a);

    ck_assert_ptr_nonnull(cut_off);
    ck_assert_msg(cut_off->type == &problem_unavailable, "%s", cut_off->cause);
    ck_assert_int_eq(cut_off->retry, RETRY_NO);
    ck_assert_ptr_nonnull(late);
    ck_assert_msg(late->type == &problem_unavailable, "%s", late->cause);
    ck_assert_uint_eq(db_take_counts(db).statements, 1);
    db_limit(db, 0);
    must_work(db_ping(db, a));
}

TEST(a_server_at_a_long_statement_is_not_taken_for_frozen)
{
    static const struct sql nap = {"SELECT 0 * SLEEP(1.5) AS n", &number_record};

    ck_assert_int_eq(number_of(db, &nap, DB_NO_ARGS), 0);

    ck_assert_uint_eq(db_take_counts(db).retries, 0);
}

CASE("connections", set_up, tear_down);

TEST_TIMES(a_child_leaves_the_connection_of_its_parent_alone, 2)
{
    int64_t mine = number_of(db, &connection_id, DB_NO_ARGS);
    pid_t child = fork();
    if (child == 0) {
        if (_i == 0)
            db_disconnect(db); /* as one should, else it is noticed at the next use */
        bool another = number_of(db, &connection_id, DB_NO_ARGS) != mine;
        db_close(db);
        _exit(another ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);

    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(number_of(db, &connection_id, DB_NO_ARGS), mine);
}

TEST(a_pinned_connection_is_not_replaced)
{
    must_work(db_pin(db, a));
    int64_t pinned = number_of(db, &connection_id, DB_NO_ARGS);
    kill_connection(pinned);

    ck_assert_ptr_nonnull(db_execute(db, a, &count_counter, DB_ARGS(db_integer(1)), NULL));
    ck_assert_ptr_nonnull(db_execute(db, a, &count_counter, DB_ARGS(db_integer(1)), NULL));
    ck_assert_ptr_nonnull(db_ping(db, a));
    db_unpin(db);
    ck_assert_int_eq(counter(1), 0);
    must_work(db_execute(db, a, &count_counter, DB_ARGS(db_integer(1)), NULL));
}

TEST(a_lost_connection_counts_as_a_retry_and_a_reconnect)
{
    int64_t mine = number_of(db, &connection_id, DB_NO_ARGS);
    (void)db_take_counts(db);
    kill_connection(mine);

    ck_assert_int_ne(number_of(db, &connection_id, DB_NO_ARGS), mine);

    struct db_counts counts = db_take_counts(db);
    ck_assert_uint_eq(counts.retries, 1);
    ck_assert_uint_eq(counts.reconnects, 1);
    ck_assert_uint_eq(counts.failed_connects, 0);
}

TEST(every_host_that_lets_nobody_in_is_counted)
{
    struct db *nowhere;
    must_work(db_open(a, "mysql://u:p@127.0.0.1:1,127.0.0.1:2/n", &nowhere));

    ck_assert_ptr_nonnull(db_ping(nowhere, a));

    struct db_counts counts = db_take_counts(nowhere);
    ck_assert_uint_eq(counts.failed_connects, 2);
    ck_assert_uint_eq(counts.reconnects, 0);
    ck_assert_uint_eq(counts.statements, 0);
    db_close(nowhere);
}

/* ---- hosts ---- */

TEST(user_password_and_socket_are_percent_decoded)
{
    control_sql("CREATE USER 'o@dd/us:er'@localhost IDENTIFIED BY 'p@:/?%,#\xc3\x9f';"
                "GRANT ALL ON postern.* TO 'o@dd/us:er'@localhost;");
    const char *path = strstr(database_url(), "socket=/") + strlen("socket=/");
    struct db *odd = NULL;
    must_work(db_open(a,
                      arena_printf(a,
                                   "mysql://o%%40dd%%2fus%%3Aer:p%%40%%3a%%2F%%3f%%25,%%23%%c3%%9f"
                                   "@/poster%%6e?socket=%%2F%s",
                                   path),
                      &odd));

    must_work(db_ping(odd, a));
    db_close(odd);
    control_sql("DROP USER 'o@dd/us:er'@localhost;");
}

TEST(the_next_host_is_tried_when_one_does_not_answer)
{
    const char *at = strstr(database_url(), "@localhost");
    struct db *several = NULL;
    must_work(db_open(
        a,
        arena_printf(a, "%.*s@127.0.0.1:1,%s", (int)(at - database_url()), database_url(), at + 1),
        &several));

    must_work(db_ping(several, a));
    db_close(several);
}

/* On a port of its own, which takes connections and never says a word. */
static int listen_in_silence(unsigned *ret_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(fd, 5), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *ret_port = ntohs(at.sin_port);
    return fd;
}

TEST(a_host_that_costs_a_time_out_is_not_asked_for_each_statement)
{
    const char *at = strstr(database_url(), "@localhost");
    unsigned port;
    int silent = listen_in_silence(&port);
    struct db *several = NULL;
    must_work(db_open(a,
                      arena_printf(a, "%.*s@127.0.0.1:%u,%s", (int)(at - database_url()),
                                   database_url(), port, at + 1),
                      &several));
    control_sql("SET GLOBAL read_only = 1;"); /* so that the other host is not what we look for */
    must_work(db_ping(several, a));
    ck_assert_uint_eq(db_take_counts(several).failed_connects, 1);

    must_work(db_ping(several, a));

    ck_assert_uint_eq(db_take_counts(several).failed_connects, 0);
    control_sql("SET GLOBAL read_only = 0;");
    db_close(several);
    (void)close(silent);
}

/* A server that is overloaded: it takes its time to say that it is full. */
static void *refuse_late(void *context)
{
    static const char full[] = "\x0b\0\0\0\xff\x10\x04too busy"; /* 1040 */
    int client = accept((int)(intptr_t)context, NULL, NULL);
    usleep(700000);
    (void)!write(client, full, sizeof full - 1);
    (void)close(client);
    return NULL;
}

TEST(a_server_that_refuses_late_is_not_taken_for_one_that_hangs)
{
    unsigned port;
    int late = listen_in_silence(&port);
    struct db_hosts hosts = {0};
    struct db *full = NULL;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, refuse_late, (void *)(intptr_t)late), 0);
    must_work(db_open(a, arena_printf(a, "mysql://u:p@127.0.0.1:%u/d", port), &full));
    db_share(full, &hosts);

    struct problem *p = db_ping(full, a);

    ck_assert_ptr_nonnull(p);
    ck_assert_uint_eq(p->db_error, 1040);
    ck_assert_int_eq(hosts.pause[0], 0); /* or all who have a connection would leave it */
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    db_close(full);
    (void)close(late);
}

TEST(a_wrong_password_is_unavailable_and_not_told)
{
    struct db *wrong = NULL;
    const char *path = strstr(database_url(), "socket=");
    must_work(
        db_open(a, arena_printf(a, "mysql://postern:s3cret@localhost/postern?%s", path), &wrong));

    struct problem *p = db_ping(wrong, a);

    ck_assert_ptr_nonnull(p);
    ck_assert_msg(p->type == &problem_unavailable, "%s", p->cause);
    ck_assert_ptr_null(strstr(p->cause, "s3cret"));
    db_close(wrong);
}
