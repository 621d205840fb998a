/* needs: mariadb */
/* Runs as `with-mariadb check_db`: everything here talks to a real server. */
#include <check.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/db/db.h"
#include "common/db/db_limits.h"
#include "common/field/field.h"
#include "common/base/problem.h"
#include "common/base/uuid.h"
#include "tests/support/suite.h"

static struct arena *a;
static struct db *db, *other;

/* ---- what the tables hold ---- */

enum { RED, GREEN };
static const char *const colours[] = {"red", "green", NULL};

struct thing {
    struct uuid id;
    struct text title;
    struct text content;
    int64_t n;
    bool flag;
    unsigned colour;
    struct instant at;
};

static const struct field thing_fields[] = {
    FIELD(struct thing, id, .doc = "The key."),
    FIELD(struct thing, title, .doc = "Unique."),
    FIELD(struct thing, content, .doc = "Long text."),
    FIELD(struct thing, n, .doc = "A number."),
    FIELD(struct thing, flag, .doc = "Yes or no."),
    FIELD(struct thing, colour, .choices = colours, .doc = "A choice."),
    FIELD(struct thing, at, .doc = "A time."),
};
static const struct record thing_record = RECORD("Thing", struct thing, thing_fields, .rule = NULL);

struct number {
    int64_t n;
};

static const struct field number_fields[] = {FIELD(struct number, n, .doc = "A number.")};
static const struct record number_record =
    RECORD("Number", struct number, number_fields, .rule = NULL);

static const struct sql insert_thing = {
    "INSERT INTO things (id, title, content, n, flag, colour, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
    NULL};
static const struct sql find_thing = {
    "SELECT id, title, content, n, flag, colour, at FROM things WHERE id = ?", &thing_record};
static const struct sql insert_part = {"INSERT INTO parts (id, thing_id) VALUES (?, ?)", NULL};
static const struct sql delete_thing = {"DELETE FROM things WHERE id = ?", NULL};
static const struct sql count_counter = {"UPDATE counters SET n = n + 1 WHERE id = ?", NULL};
static const struct sql read_counter = {"SELECT n FROM counters WHERE id = ?", &number_record};
static const struct sql connection_id = {"SELECT CONNECTION_ID() AS n", &number_record};
static const struct sql count_connection = {
    "SELECT COUNT(*) AS n FROM information_schema.processlist WHERE id = ?", &number_record};
static const struct sql count_prepared = {
    "SELECT CAST(variable_value AS INTEGER) AS n FROM information_schema.global_status"
    " WHERE variable_name = 'PREPARED_STMT_COUNT'",
    &number_record};
static const struct sql count_prepares = {
    "SELECT CAST(variable_value AS INTEGER) AS n FROM information_schema.session_status"
    " WHERE variable_name = 'COM_STMT_PREPARE'",
    &number_record};

/* ---- helpers ---- */

static void must_work(const struct problem *p)
{
    if (p)
        ck_abort_msg("%s", p->cause ? p->cause : p->message);
}

static int64_t number_of(struct db *on, const struct sql *sql, struct db_args args)
{
    struct number row = {-1};
    bool found = false;
    must_work(db_find(on, a, sql, args, &row, &found));
    ck_assert(found);
    return row.n;
}

static int64_t counter(int id)
{
    return number_of(other, &read_counter, DB_ARGS(db_integer(id)));
}

static const char *database_url(void)
{
    const char *url = getenv("DATABASE_URL");
    if (!url) {
        fputs("run me under tests/support/with-mariadb\n", stderr);
        exit(EXIT_FAILURE);
    }
    return url;
}

static void control(const char *command)
{
    ck_assert_int_eq(system(arena_printf(a, "\"$DATABASE_CONTROL\" %s", command)), 0);
}

static void control_sql(const char *text)
{
    FILE *sql = popen("\"$DATABASE_CONTROL\" sql", "w");
    ck_assert_ptr_nonnull(sql);
    fputs(text, sql);
    ck_assert_int_eq(pclose(sql), 0);
}

/* Have the server close the connection with this number, and wait until it has. */
static void kill_connection(int64_t id)
{
    must_work(db_run(other, a, arena_printf(a, "KILL %lld", (long long)id)));
    while (number_of(other, &count_connection, DB_ARGS(db_integer(id))))
        usleep(1000);
}

static struct uuid new_id(void)
{
    return uuid_make(instant_now());
}

static void insert_titled(struct uuid id, const char *title)
{
    must_work(
        db_execute(db, a, &insert_thing,
                   DB_ARGS(db_uuid(id), db_text(text_of(title)), db_text(TEXT("")), db_integer(0),
                           db_integer(0), db_text(TEXT("red")), db_time(instant_now())),
                   NULL));
}

static int64_t now_ms(void)
{
    return instant_now().us / 1000;
}

static void create_tables(void)
{
    a = arena_open(1u << 20);
    must_work(db_open(a, database_url(), &db));
    must_work(
        db_run(db, a,
               "CREATE TABLE things (id UUID PRIMARY KEY, title VARCHAR(200) NULL,"
               " content MEDIUMTEXT NULL, n BIGINT NULL, flag BOOLEAN NULL,"
               " colour VARCHAR(20) NULL, at DATETIME(6) NULL,"
               " CONSTRAINT uq_things_title UNIQUE (title)) ENGINE = InnoDB ROW_FORMAT = DYNAMIC"
               " DEFAULT CHARACTER SET utf8mb4"));
    must_work(db_run(db, a,
                     "CREATE TABLE parts (id INT PRIMARY KEY, thing_id UUID NOT NULL,"
                     " CONSTRAINT fk_parts_thing FOREIGN KEY (thing_id) REFERENCES things (id))"
                     " ENGINE = InnoDB"));
    must_work(db_run(db, a, "CREATE TABLE counters (id INT PRIMARY KEY, n BIGINT NOT NULL)"));
    must_work(db_run(db, a, "INSERT INTO counters VALUES (1, 0), (2, 0)"));
    db_close(db);
    arena_close(a);
}

static void set_up(void)
{
    a = arena_open(64u << 20);
    must_work(db_open(a, database_url(), &db));
    must_work(db_open(a, database_url(), &other));
    must_work(db_run(other, a, "DELETE FROM parts"));
    must_work(db_run(other, a, "DELETE FROM things"));
    must_work(db_run(other, a, "UPDATE counters SET n = 0"));
}

static void tear_down(void)
{
    db_close(db);
    db_close(other);
    arena_close(a);
}

/* ---- a proxy that loses connections at the worst moment ---- */

enum cut {
    CUT_NOTHING,
    CUT_COMMIT,       /* it never reaches the server */
    CUT_COMMIT_REPLY, /* the server commits, nobody hears of it */
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
        ssize_t len = read(from, data, sizeof data);
        if (len <= 0)
            break;
        if (from == client) {
            bool commit = is_command(data, len, COMMAND_QUERY, "COMMIT");
            if (commit && take_cut(CUT_COMMIT))
                break;
            lose_reply =
                (commit && take_cut(CUT_COMMIT_REPLY)) ||
                (is_command(data, len, COMMAND_EXECUTE, "") && take_cut(CUT_EXECUTE_REPLY));
            replied = 0;
        } else if (lose_reply) {
            break;
        } else {
            replied += len;
        }
        bool last = replied > long_reply && take_cut(CUT_LONG_REPLY);
        if (last)
            len -= replied - long_reply;
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

static void set_up_thawed(void), tear_down_thawed(void);

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

static struct text long_text(size_t len)
{
    char *data = arena_alloc(a, len + 1);
    for (size_t i = 0; i < len; i++)
        data[i] = (char)('a' + i * 7 % 26);
    return (struct text){data, len};
}

static void insert_content(struct uuid id, struct text content, int64_t n)
{
    struct db_arg null = db_text((struct text){NULL, 0});
    must_work(db_execute(
        db, a, &insert_thing,
        DB_ARGS(db_uuid(id), null, db_text(content), db_integer(n), null, null, null), NULL));
}

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

struct seen {
    int64_t rows, sum;
    bool wrong;
};

static void see(void *context, const void *row)
{
    struct seen *seen = context;
    const struct thing *thing = row;
    struct text expected = long_text((size_t)thing->n);
    seen->rows++;
    seen->sum += thing->n;
    seen->wrong |= !text_equal(thing->content, expected) || thing->content.data[thing->n];
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

/* What a server or its init_connect may default, so that our statements would mean something else.
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

#define PRESETS (sizeof defaults / sizeof *defaults)

/* By SET GLOBAL, and again by init_connect, which also leaves a transaction open. */
static void preset_all(void)
{
    const char *global = "", *session = "";
    for (size_t i = 0; i < PRESETS; i++) {
        global = arena_printf(a, "%sSET GLOBAL %s;\n", global, defaults[i]);
        session = arena_printf(a, "%sSET %s;", session, defaults[i]);
    }
    control_sql(arena_printf(a,
                             "SET GLOBAL init_connect = \"START TRANSACTION; "
                             "SELECT n FROM postern.counters WHERE id = 1; %s\";\n%s",
                             session, global));
}

TEST(a_statement_means_the_same_whatever_the_server_presets)
{
    const char *before[PRESETS];
    for (size_t i = 0; i < PRESETS; i++)
        before[i] = session_value(defaults[i]);
    db_disconnect(db);
    preset_all();

    for (size_t i = 0; i < PRESETS; i++)
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

TEST(what_was_acknowledged_stands_whatever_the_server_presets)
{
    struct uuid id = new_id();
    preset_all();
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

TEST(where_the_server_takes_no_more_statements_own_ones_are_given_back)
{
    for (int i = 0; i < 3; i++) {
        const struct sql one = {arena_printf(a, "SELECT %d AS n", i), &number_record};
        ck_assert_int_eq(number_of(db, &one, DB_NO_ARGS), i);
    }
    int64_t before = number_of(other, &count_prepared, DB_NO_ARGS);
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
    int64_t began = now_ms();

    struct problem *p = db_find(db, a, &nap, DB_NO_ARGS, &row, &found);

    ck_assert_ptr_nonnull(p);
    ck_assert_msg(p->type == &problem_unavailable, "%s", p->cause);
    ck_assert_int_eq(p->retry, RETRY_NO);
    ck_assert_uint_eq(p->retry_after_s, 1);
    ck_assert_int_lt(now_ms() - began, 1000);
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
    {1180, &problem_unavailable, RETRY_NO},
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

static struct problem *nest(void *context)
{
    return db_transaction(db, a, nest, NULL, context); /* does not come back */
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

TEST(a_server_that_is_down_is_unavailable_at_once_and_used_when_back)
{
    struct number row;
    bool found;
    must_work(db_ping(db, a));
    control("stop");
    int64_t began = now_ms();

    struct problem *p = db_find(db, a, &read_counter, DB_ARGS(db_integer(1)), &row, &found);

    ck_assert_int_lt(now_ms() - began, 500);
    ck_assert_ptr_nonnull(p);
    ck_assert_msg(p->type == &problem_unavailable, "%s", p->cause);
    ck_assert_uint_eq(p->retry_after_s, 1);
    control("start");
    must_work(db_ping(db, a));
}

/* ---- a server that is frozen, and one that is slow ---- */

#define SECONDS_TO_NOTICE 8 /* generous: it takes three */

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
    int64_t began = now_ms();

    struct problem *first = db_ping(db, a);
    int64_t noticed = now_ms();
    struct problem *second = db_ping(db, a);
    int64_t done = now_ms();

    control("thaw");
    ck_assert_ptr_nonnull(first);
    ck_assert_msg(first->type == &problem_unavailable, "%s", first->cause);
    ck_assert_int_lt(noticed - began, SECONDS_TO_NOTICE * 1000);
    ck_assert_ptr_nonnull(second); /* without asking it again */
    ck_assert_msg(second->type == &problem_unavailable, "%s", second->cause);
    ck_assert_int_lt(done - noticed, 500);
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
    int64_t began = now_ms();

    struct problem *p = db_ping(other, a);

    ck_assert_ptr_nonnull(p);
    ck_assert_msg(p->type == &problem_unavailable, "%s", p->cause);
    ck_assert_int_lt(now_ms() - began, 500);
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
    int64_t began = now_ms();

    struct problem *p = db_ping(db, a);

    ck_assert_ptr_nonnull(p);
    ck_assert_msg(p->type == &problem_unavailable, "%s", p->cause);
    ck_assert_int_lt(now_ms() - began, SECONDS_TO_NOTICE * 1000);
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
    int64_t began = now_ms();

    db_limit(db, 300);
    struct problem *p = db_ping(db, a);

    ck_assert_ptr_nonnull(p);
    ck_assert_msg(p->type == &problem_unavailable, "%s", p->cause);
    ck_assert_int_ge(now_ms() - began, 300);
    ck_assert_int_lt(now_ms() - began, 1000); /* before it would have been noticed */
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

/* ---- the URL ---- */

static const char *const bad_urls[] = {
    "",
    "postgres://u:s3cret@h/n",
    "mysql:/u:s3cret@h/n",
    "mysql://h/n",
    "mysql://:s3cret@h/n",
    "mysql://u:s3cret@h",
    "mysql://u:s3cret@h/",
    "mysql://u:s3cret@/n",
    "mysql://u:s3cret@h:0/n",
    "mysql://u:s3cret@h:65536/n",
    "mysql://u:s3cret@h:-1/n",
    "mysql://u:s3cret@h:33x/n",
    "mysql://u:s3cret@h:/n",
    "mysql://u:s3cret@h,,g/n",
    "mysql://u:s3cret@[::1/n",
    "mysql://u:s3cret@[::1]3306/n",
    "mysql://u:s3cret%@h/n",
    "mysql://u:s3cret%4@h/n",
    "mysql://u:s3cret%zz@h/n",
    "mysql://u:s3cret%00@h/n",
    "mysql://u:s3cret@h/n?socket=",
    "mysql://u:s3cret@h/n?socket",
    "mysql://u:s3cret@h/n?ssl=1",
    "mysql://u:s3cret@h/n?",
    "mysql://u:p@s3cret@h/n",
    "mysql://o@dd:s3cret@h/n",
    "mysql://u:p/s3cret@h/n",
    "mysql://u:s3cret@x/red@h/n",
    "mysql://u:s3cret@h/n/m",
};

TEST_EACH(a_bad_url_is_refused_without_telling_the_password, bad_urls)
{
    struct db *none = NULL;

    struct problem *p = db_open(a, bad_urls[_i], &none);

    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_eq(p->type, &problem_internal);
    ck_assert_ptr_null(strstr(p->cause, "s3cret"));
    ck_assert_ptr_null(none);
}

static const char *const good_urls[] = {
    "mysql://u:p@h:3306/n",     "mysql://u@h/n",
    "mysql://u:@h:1,g:2,f/n",   "mysql://u:p@[::1]:3306,[fe80::1]/n",
    "mysql://u:p@/n?socket=/s", "mysql://%75:%70@h/%6e?socket=%2Fs",
};

TEST_EACH(a_good_url_is_taken_without_connecting, good_urls)
{
    struct db *open = NULL;

    must_work(db_open(a, good_urls[_i], &open));

    ck_assert_ptr_nonnull(open);
    db_close(open);
}

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

TEST(closing_nothing_does_nothing)
{
    db_close(NULL);
}
