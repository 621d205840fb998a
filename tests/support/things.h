/* things.h -- for the tests of db: two connections, some tables, and how to disturb the server. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/uuid.h"
#include "common/db/db.h"
#include "common/field/field.h"
#include "tests/support/scratch.h"

extern struct db *db, *other;

/* ---- what the tables hold ---- */

enum { RED, GREEN };
extern const char *const colours[];

struct thing {
    struct uuid id;
    struct text title;
    struct text content;
    int64_t n;
    bool flag;
    unsigned colour;
    struct instant at;
};

struct number {
    int64_t n;
};

extern const struct record thing_record, number_record;
extern const struct sql insert_thing, find_thing, insert_part, delete_thing, count_counter,
    read_counter, connection_id, count_connection;

/* ---- around a test ---- */

void create_tables(void); /* once, before the first */
void set_up(void);
void tear_down(void);

/* ---- what tests do ---- */

void must_work(const struct problem *p);
int64_t number_of(struct db *on, const struct sql *sql, struct db_args args);
int64_t counter(int id);
struct uuid new_id(void);
void insert_titled(struct uuid id, const char *title);
struct text long_text(size_t len);
void insert_content(struct uuid id, struct text content, int64_t n);
int64_t time_ms(void);

/* Rows of things whose content is long_text() of `n`. */
struct seen {
    int64_t rows, sum;
    bool wrong;
};

void see(void *context, const void *row); /* for db_each(); context: struct seen */

/* ---- the server ---- */

const char *database_url(void);
/** Do a thing to the server; with-mariadb lists what DATABASE_CONTROL takes. */
void control(const char *command);
void control_sql(const char *text);

/** Have the server close the connection with this number, and wait until it has. */
void kill_connection(int64_t id);
