/* db_statement.h -- inside db: statements that are prepared once, their values and their rows. */
#pragma once

#include <mysql.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/uuid.h"
#include "common/db/db.h"

struct arena;
struct field;
struct problem;
struct record;

/* Where one column of a result goes. */
struct column {
    const struct field *field;
    MYSQL_TIME time;
    long long integer;
    char *text; /* `room` bytes and one for a NUL */
    size_t room;
    unsigned long len;
    my_bool is_null, error;
};

/* Where the value of one `?` stands while it is sent, unless it is borrowed. */
struct slot {
    MYSQL_TIME time;
    long long integer;
    char uuid[UUID_TEXT_SIZE];
    unsigned long len;
    my_bool is_null;
};

/* A statement that was prepared on this connection, bound to buffers of its own. */
struct statement {
    char *text;
    size_t len;
    const struct record *record;
    MYSQL_STMT *handle;
    uint64_t last_used;
    struct slot *slots;
    MYSQL_BIND *params;
    size_t param_count;
    struct column *columns;
    MYSQL_BIND *results;
    size_t column_count;
    bool grown; /* a column has more room than is kept */
    void *row;  /* one struct of `record` */
};

/** The statement that says what `sql` does, prepared now unless it is already. Borrowed from `db`
 *  until the next call. */
struct problem *statement_get(struct db *db, struct arena *a, const struct sql *sql,
                              struct statement **ret) MUST_USE;

/** Set its values, which are borrowed until it was executed. */
struct problem *statement_bind_args(struct arena *a, struct statement *s,
                                    struct db_args args) MUST_USE;

/** Read the next row into `s->row`; `*ret_more` is false when there is none. */
struct problem *statement_next_row(struct db *db, struct arena *a, struct statement *s,
                                   bool repeatable, bool *ret_more) MUST_USE;

/** Copy the texts of `row`, a struct of its record, into `a`: those of `s->row` are buffers. */
void statement_own_texts(struct arena *a, const struct statement *s, void *row);

/** Skip what is left of the result, and give back buffers that grew out of proportion. */
void statement_finish(struct db *db, struct statement *s);

/** Close it and free what is its own; it is zeroed then. */
void statement_release(struct statement *s);
