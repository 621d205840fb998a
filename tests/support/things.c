#include "tests/support/things.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/problem.h"

struct db *db, *other;

/* ---- what the tables hold ---- */

const char *const colours[] = {"red", "green", NULL};

static const struct field thing_fields[] = {
    FIELD(struct thing, id, .doc = "The key."),
    FIELD(struct thing, title, .doc = "Unique."),
    FIELD(struct thing, content, .doc = "Long text."),
    FIELD(struct thing, n, .doc = "A number."),
    FIELD(struct thing, flag, .doc = "Yes or no."),
    FIELD(struct thing, colour, .choices = colours, .doc = "A choice."),
    FIELD(struct thing, at, .doc = "A time."),
};
const struct record thing_record = RECORD("Thing", struct thing, thing_fields, .rule = NULL);

static const struct field number_fields[] = {FIELD(struct number, n, .doc = "A number.")};
const struct record number_record = RECORD("Number", struct number, number_fields, .rule = NULL);

const struct sql insert_thing = {
    "INSERT INTO things (id, title, content, n, flag, colour, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
    NULL};
const struct sql find_thing = {
    "SELECT id, title, content, n, flag, colour, at FROM things WHERE id = ?", &thing_record};
const struct sql insert_part = {"INSERT INTO parts (id, thing_id) VALUES (?, ?)", NULL};
const struct sql delete_thing = {"DELETE FROM things WHERE id = ?", NULL};
const struct sql count_counter = {"UPDATE counters SET n = n + 1 WHERE id = ?", NULL};
const struct sql read_counter = {"SELECT n FROM counters WHERE id = ?", &number_record};
const struct sql connection_id = {"SELECT CONNECTION_ID() AS n", &number_record};
const struct sql count_connection = {
    "SELECT COUNT(*) AS n FROM information_schema.processlist WHERE id = ?", &number_record};

/* ---- helpers ---- */

void must_work(const struct problem *p)
{
    if (p)
        ck_abort_msg("%s", p->cause ? p->cause : p->message);
}

int64_t number_of(struct db *on, const struct sql *sql, struct db_args args)
{
    struct number row = {-1};
    bool found = false;
    must_work(db_find(on, a, sql, args, &row, &found));
    ck_assert(found);
    return row.n;
}

int64_t counter(int id)
{
    return number_of(other, &read_counter, DB_ARGS(db_integer(id)));
}

const char *database_url(void)
{
    const char *url = getenv("DATABASE_URL");
    if (!url) {
        fputs("run me under tests/support/with-mariadb\n", stderr);
        exit(EXIT_FAILURE);
    }
    return url;
}

void control(const char *command)
{
    ck_assert_int_eq(system(arena_printf(a, "\"$DATABASE_CONTROL\" %s", command)), 0);
}

void control_sql(const char *text)
{
    FILE *sql = popen("\"$DATABASE_CONTROL\" sql", "w");
    ck_assert_ptr_nonnull(sql);
    fputs(text, sql);
    ck_assert_int_eq(pclose(sql), 0);
}

void kill_connection(int64_t id)
{
    must_work(db_run(other, a, arena_printf(a, "KILL %lld", (long long)id)));
    while (number_of(other, &count_connection, DB_ARGS(db_integer(id))))
        usleep(1000);
}

struct uuid new_id(void)
{
    return uuid_make(instant_now());
}

void insert_titled(struct uuid id, const char *title)
{
    must_work(
        db_execute(db, a, &insert_thing,
                   DB_ARGS(db_uuid(id), db_text(text_of(title)), db_text(TEXT("")), db_integer(0),
                           db_integer(0), db_text(TEXT("red")), db_time(instant_now())),
                   NULL));
}

int64_t time_ms(void)
{
    return instant_now().us / 1000;
}

void create_tables(void)
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

void set_up(void)
{
    a = arena_open(64u << 20);
    must_work(db_open(a, database_url(), &db));
    must_work(db_open(a, database_url(), &other));
    must_work(db_run(other, a, "DELETE FROM parts"));
    must_work(db_run(other, a, "DELETE FROM things"));
    must_work(db_run(other, a, "UPDATE counters SET n = 0"));
}

void tear_down(void)
{
    db_close(db);
    db_close(other);
    arena_close(a);
}

struct text long_text(size_t len)
{
    char *data = arena_alloc(a, len + 1);
    for (size_t i = 0; i < len; i++)
        data[i] = (char)('a' + i * 7 % 26);
    return (struct text){data, len};
}

void insert_content(struct uuid id, struct text content, int64_t n)
{
    struct db_arg null = db_text((struct text){NULL, 0});
    must_work(db_execute(
        db, a, &insert_thing,
        DB_ARGS(db_uuid(id), null, db_text(content), db_integer(n), null, null, null), NULL));
}

void see(void *context, const void *row)
{
    struct seen *seen = context;
    const struct thing *thing = row;
    struct text expected = long_text((size_t)thing->n);
    seen->rows++;
    seen->sum += thing->n;
    seen->wrong |= !text_equal(thing->content, expected) || thing->content.data[thing->n];
}
