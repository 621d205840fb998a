#include "common/db/db_statement.h"

#include <errmsg.h>
#include <mysqld_error.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/instant.h"
#include "common/base/problem.h"
#include "common/db/db_connect.h"
#include "common/db/db_failure.h"
#include "common/db/db_internal.h"
#include "common/field/field.h"

#define TEXT_ROOM_FIRST 1024 /* bytes of a text column, until a longer one comes */
#define TEXT_ROOM_KEPT (1024 * 1024)

/* A call of the library that asks the server nothing. */
static struct problem *failed_here(struct arena *a, const struct statement *s)
{
    bool lacks_memory = mysql_stmt_errno(s->handle) == CR_OUT_OF_MEMORY;
    return problem_because(a, lacks_memory ? &problem_unavailable : &problem_internal, "%s",
                           mysql_stmt_error(s->handle));
}

/* ---- preparing statements, and binding their columns ---- */

static bool is_one_of(enum enum_field_types type, const enum enum_field_types *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == type)
            return true;
    return false;
}
#define IS_ONE_OF(type, ...)                                                                       \
    is_one_of(type, (const enum enum_field_types[]){__VA_ARGS__},                                  \
              sizeof((const enum enum_field_types[]){__VA_ARGS__}) /                               \
                  sizeof(enum enum_field_types))

/* Does a column of this kind fit such a field? A sum of integers is a decimal without digits
 * after the point. */
static bool fits(enum field_type type, const MYSQL_FIELD *meta)
{
    switch (type) {
    case FIELD_TEXT:
    case FIELD_ENUM:
    case FIELD_UUID:
        return IS_ONE_OF(meta->type, MYSQL_TYPE_VARCHAR, MYSQL_TYPE_VAR_STRING, MYSQL_TYPE_STRING,
                         MYSQL_TYPE_TINY_BLOB, MYSQL_TYPE_BLOB, MYSQL_TYPE_MEDIUM_BLOB,
                         MYSQL_TYPE_LONG_BLOB, MYSQL_TYPE_ENUM, MYSQL_TYPE_JSON);
    case FIELD_INTEGER:
    case FIELD_BOOLEAN:
        return IS_ONE_OF(meta->type, MYSQL_TYPE_TINY, MYSQL_TYPE_SHORT, MYSQL_TYPE_INT24,
                         MYSQL_TYPE_LONG, MYSQL_TYPE_LONGLONG, MYSQL_TYPE_YEAR) ||
               (meta->type == MYSQL_TYPE_NEWDECIMAL && meta->decimals == 0);
    case FIELD_TIME:
        return IS_ONE_OF(meta->type, MYSQL_TYPE_DATETIME, MYSQL_TYPE_TIMESTAMP);
    }
    return false;
}

static void set_text_room(struct column *c, MYSQL_BIND *bind, size_t room)
{
    c->text = db_must(realloc(c->text, room + 1));
    c->room = room;
    bind->buffer = c->text;
    bind->buffer_length = room;
}

static void bind_column(struct column *c, MYSQL_BIND *bind, const MYSQL_FIELD *meta)
{
    bind->length = &c->len;
    bind->is_null = &c->is_null;
    bind->error = &c->error;
    switch (c->field->type) {
    case FIELD_TEXT:
    case FIELD_ENUM:
    case FIELD_UUID:
        bind->buffer_type = MYSQL_TYPE_STRING;
        set_text_room(c, bind, meta->length < TEXT_ROOM_FIRST ? meta->length : TEXT_ROOM_FIRST);
        break;
    case FIELD_INTEGER:
    case FIELD_BOOLEAN:
        bind->buffer_type = MYSQL_TYPE_LONGLONG;
        bind->buffer = &c->integer;
        break;
    case FIELD_TIME:
        bind->buffer_type = MYSQL_TYPE_DATETIME;
        bind->buffer = &c->time;
        break;
    }
}

/* Columns are matched to fields by name, once. */
static struct problem *bind_columns(struct arena *a, struct statement *s)
{
    size_t count = mysql_stmt_field_count(s->handle);
    const MYSQL_FIELD *meta = mariadb_stmt_fetch_fields(s->handle);
    if (!count)
        return NULL;
    if (!s->record)
        return problem_because(a, &problem_internal, "rows without a record: %s", s->text);
    s->columns = db_must(calloc(count, sizeof *s->columns));
    s->results = db_must(calloc(count, sizeof *s->results));
    s->row = db_must(calloc(1, s->record->size));
    s->column_count = count;
    for (size_t i = 0; i < count; i++) {
        struct column *c = &s->columns[i];
        c->field = record_find(s->record, meta[i].name);
        if (!c->field || !fits(c->field->type, &meta[i]))
            return problem_because(a, &problem_internal, "column %s %s %s: %s", meta[i].name,
                                   c->field ? "does not fit its field in" : "has no field in",
                                   s->record->name, s->text);
        bind_column(c, &s->results[i], &meta[i]);
    }
    if (mysql_stmt_bind_result(s->handle, s->results))
        return failed_here(a, s);
    return NULL;
}

static struct problem *prepare(struct db *db, struct arena *a, struct statement *s)
{
    s->handle = db_must(mysql_stmt_init(db->mysql));
    int64_t began = db_wait_begin(db);
    int rc = mysql_stmt_prepare(s->handle, s->text, s->len);
    db_wait_end(db, began);
    if (rc)
        return db_statement_failed(db, a, true, s);
    s->param_count = mysql_stmt_param_count(s->handle);
    s->slots = db_must(calloc(s->param_count + 1, sizeof *s->slots)); /* never 0 bytes */
    s->params = db_must(calloc(s->param_count + 1, sizeof *s->params));
    for (size_t i = 0; i < s->param_count; i++) {
        s->params[i].buffer_type = MYSQL_TYPE_STRING;
        s->params[i].length = &s->slots[i].len;
        s->params[i].is_null = &s->slots[i].is_null;
    }
    return bind_columns(a, s);
}

void statement_release(struct statement *s)
{
    if (s->handle)
        mysql_stmt_close(s->handle);
    for (size_t i = 0; i < s->column_count; i++)
        free(s->columns[i].text);
    free(s->columns);
    free(s->results);
    free(s->slots);
    free(s->params);
    free(s->row);
    free(s->text);
    *s = (struct statement){0};
}

static struct statement *forget_statement(struct db *db, struct statement *s)
{
    if (s) {
        statement_release(s);
        *s = db->statements[--db->statement_count]; /* what is bound is on the heap, and stays */
    }
    return NULL;
}

/* Close the least recently used one, to make room for another. */
static void release_oldest(struct db *db)
{
    struct statement *oldest = db->statements;
    for (size_t i = 1; i < db->statement_count; i++)
        if (db->statements[i].last_used < oldest->last_used)
            oldest = &db->statements[i];
    (void)forget_statement(db, oldest);
}

/* Statements are told apart by what they say: a text may be composed again in some arena each
 * time, or be at the address of an earlier one. */
static struct statement *find_statement(struct db *db, const struct sql *sql, size_t len)
{
    for (size_t i = 0; i < db->statement_count; i++) {
        struct statement *s = &db->statements[i];
        if (s->len == len && s->record == sql->row && memcmp(s->text, sql->text, len) == 0)
            return s;
    }
    return NULL;
}

/* The server has one limit for the statements of all its clients. Where that is reached, we go on
 * with fewer than we had. */
static struct problem *prepare_new(struct db *db, struct arena *a, const struct sql *sql,
                                   struct statement *ret)
{
    for (;;) {
        *ret = (struct statement){.len = strlen(sql->text), .record = sql->row};
        ret->text = db_must(strdup(sql->text));
        struct problem *p = prepare(db, a, ret);
        if (!p)
            return NULL;
        statement_release(ret);
        if (p->db_error != ER_MAX_PREPARED_STMT_COUNT_REACHED || !db->statement_count)
            return p;
        release_oldest(db);
    }
}

struct problem *statement_get(struct db *db, struct arena *a, const struct sql *sql,
                              struct statement **ret)
{
    struct statement *s = find_statement(db, sql, strlen(sql->text));
    if (sql->fresh)
        s = forget_statement(db, s);
    if (!s) {
        struct statement new;
        struct problem *p = prepare_new(db, a, sql, &new);
        if (p)
            return p;
        if (db->statement_count == STATEMENTS_MAX)
            release_oldest(db);
        s = &db->statements[db->statement_count++];
        *s = new;
    }
    s->last_used = ++db->uses;
    *ret = s;
    return NULL;
}

/* ---- values out ---- */

static MYSQL_TIME time_out(struct instant t)
{
    struct civil c = instant_to_civil(t);
    return (MYSQL_TIME){
        .year = (unsigned)c.year,
        .month = (unsigned)c.month,
        .day = (unsigned)c.day,
        .hour = (unsigned)c.hour,
        .minute = (unsigned)c.minute,
        .second = (unsigned)c.second,
        .second_part = (unsigned)c.us,
        .time_type = MYSQL_TIMESTAMP_DATETIME,
    };
}

static void set_param(MYSQL_BIND *bind, struct slot *slot, const struct db_arg *arg)
{
    slot->is_null = arg->type == DB_NULL;
    switch (arg->type) {
    case DB_NULL: /* keeps the type of the call before */
        break;
    case DB_TEXT:
    case DB_BYTES:
        bind->buffer_type = arg->type == DB_TEXT ? MYSQL_TYPE_STRING : MYSQL_TYPE_BLOB;
        bind->buffer = (void *)(uintptr_t)arg->text.data; /* only read, whatever its type says */
        slot->len = arg->text.len;
        break;
    case DB_INTEGER:
        bind->buffer_type = MYSQL_TYPE_LONGLONG;
        bind->buffer = &slot->integer;
        slot->integer = arg->integer;
        break;
    case DB_TIME:
        bind->buffer_type = MYSQL_TYPE_DATETIME;
        bind->buffer = &slot->time;
        slot->time = time_out(arg->time);
        break;
    case DB_UUID:
        bind->buffer_type = MYSQL_TYPE_STRING;
        bind->buffer = slot->uuid;
        slot->len = UUID_TEXT_SIZE - 1;
        uuid_format(&arg->uuid, slot->uuid);
        break;
    }
}

struct problem *statement_bind_args(struct arena *a, struct statement *s, struct db_args args)
{
    if (args.count != s->param_count)
        return problem_because(a, &problem_internal, "%zu values for %zu question marks: %s",
                               args.count, s->param_count, s->text);
    for (size_t i = 0; i < args.count; i++)
        set_param(&s->params[i], &s->slots[i], &args.list[i]);
    /* Each time, for texts are at another address each time: it copies the array and costs two
     * bytes per value on the wire. */
    if (args.count && mysql_stmt_bind_param(s->handle, s->params))
        return failed_here(a, s);
    return NULL;
}

/* ---- rows in ---- */

static struct problem *unfit(struct arena *a, const struct column *c)
{
    return problem_because(a, &problem_internal, "column %s holds what its field cannot",
                           c->field->name);
}

static struct instant time_in(const MYSQL_TIME *t)
{
    return instant_from_civil((struct civil){
        .year = (int)t->year,
        .month = (int)t->month,
        .day = (int)t->day,
        .hour = (int)t->hour,
        .minute = (int)t->minute,
        .second = (int)t->second,
        .us = (int)t->second_part,
    });
}

static struct problem *choice_in(struct arena *a, const struct column *c, unsigned *ret)
{
    for (unsigned i = 0; c->field->choices[i]; i++) {
        if (strcmp(c->field->choices[i], c->text) == 0) {
            *ret = i;
            return NULL;
        }
    }
    return unfit(a, c);
}

/* Put a column's value into its member of the statement's row; NULL is the zero value. */
static struct problem *store(struct arena *a, const struct statement *s, struct column *c)
{
    void *member = (char *)s->row + c->field->offset;
    switch (c->field->type) {
    case FIELD_TEXT:
        *(struct text *)member = c->is_null ? (struct text){0} : (struct text){c->text, c->len};
        return NULL;
    case FIELD_INTEGER:
        *(int64_t *)member = c->is_null ? 0 : c->integer;
        return NULL;
    case FIELD_BOOLEAN:
        *(bool *)member = !c->is_null && c->integer != 0;
        return NULL;
    case FIELD_TIME:
        *(struct instant *)member = c->is_null ? (struct instant){0} : time_in(&c->time);
        return NULL;
    case FIELD_ENUM:
        *(unsigned *)member = 0;
        return c->is_null ? NULL : choice_in(a, c, member);
    case FIELD_UUID:
        *(struct uuid *)member = (struct uuid){0};
        if (c->is_null || uuid_parse(c->text, c->len, member))
            return NULL;
        return unfit(a, c);
    }
    return unfit(a, c);
}

/* A row had texts longer than their buffers: let these grow, and read what was cut off. The larger
 * buffers stay, so that a list pays once. */
static struct problem *fetch_rest(struct arena *a, struct statement *s)
{
    for (size_t i = 0; i < s->column_count; i++) {
        struct column *c = &s->columns[i];
        MYSQL_BIND *bind = &s->results[i];
        if (c->is_null || !c->error)
            continue;
        if (bind->buffer_type != MYSQL_TYPE_STRING)
            return unfit(a, c);
        set_text_room(c, bind, c->len + c->len / 4);
        s->grown |= c->room > TEXT_ROOM_KEPT;
        if (mysql_stmt_fetch_column(s->handle, bind, (unsigned)i, 0))
            return failed_here(a, s);
    }
    return NULL;
}

static struct problem *store_row(struct arena *a, const struct statement *s)
{
    struct problem *p = NULL;
    for (size_t i = 0; i < s->column_count && !p; i++) {
        struct column *c = &s->columns[i];
        if (c->text && !c->is_null)
            c->text[c->len] = '\0';
        p = store(a, s, c);
    }
    return p;
}

struct problem *statement_next_row(struct db *db, struct arena *a, struct statement *s,
                                   bool repeatable, bool *ret_more)
{
    int64_t began = db_wait_begin(db);
    int rc = mysql_stmt_fetch(s->handle);
    db_wait_end(db, began);
    struct problem *p = NULL;
    *ret_more = rc == 0 || rc == MYSQL_DATA_TRUNCATED;
    if (rc == MYSQL_NO_DATA)
        return NULL;
    if (!*ret_more)
        return db_statement_failed(db, a, repeatable, s);
    if (rc == MYSQL_DATA_TRUNCATED)
        p = fetch_rest(a, s);
    if (!p)
        p = store_row(a, s);
    /* For the next row, whose texts would go to where the smaller buffers were. Not before this one
     * is stored: Connector/C 3.3.19 sets each length to 0. */
    if (rc == MYSQL_DATA_TRUNCATED && mysql_stmt_bind_result(s->handle, s->results) && !p)
        p = failed_here(a, s);
    return p;
}

void statement_own_texts(struct arena *a, const struct statement *s, void *row)
{
    for (size_t i = 0; i < s->column_count; i++) {
        const struct field *f = s->columns[i].field;
        if (f->type == FIELD_TEXT) {
            struct text *t = (void *)((char *)row + f->offset);
            *t = arena_text(a, *t);
        }
    }
}

void statement_finish(struct db *db, struct statement *s)
{
    int64_t began = db_wait_begin(db);
    mysql_stmt_free_result(s->handle);
    db_wait_end(db, began);
    if (!s->grown)
        return;
    for (size_t i = 0; i < s->column_count; i++)
        if (s->columns[i].room > TEXT_ROOM_KEPT)
            set_text_room(&s->columns[i], &s->results[i], TEXT_ROOM_FIRST);
    s->grown = mysql_stmt_bind_result(s->handle, s->results) != 0;
}
