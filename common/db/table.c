#include "common/db/table.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/problem.h"
#include "common/db/counter.h"

/* ---- from the fields ---- */

static bool is_changeable(const struct field *f)
{
    return f->use & (FIELD_CHANGE | FIELD_ADMIN_CHANGE | FIELD_VERSION) ||
           strcmp(f->name, "updated_at") == 0;
}

static bool is_any(const struct field *f)
{
    (void)f;
    return true;
}

/* "title = ?, content = ?" for the fields that `has`, each with `after` it. */
static const char *list_fields(struct arena *a, const struct record *r,
                               bool (*has)(const struct field *f), const char *after)
{
    const char *text = "";
    for (size_t i = 0; i < r->count; i++)
        if (has(&r->fields[i]))
            text = arena_printf(a, "%s%s%s%s", text, *text ? ", " : "", r->fields[i].name, after);
    return text;
}

const char *table_columns(struct arena *a, const struct record *r)
{
    return list_fields(a, r, is_any, "");
}

static struct db_arg value_of(const struct field *f, const void *row)
{
    const void *at = (const char *)row + f->offset;
    switch (f->type) {
    case FIELD_TEXT:
        return db_text(*(const struct text *)at);
    case FIELD_INTEGER:
        return db_integer(*(const int64_t *)at);
    case FIELD_BOOLEAN:
        return db_integer(*(const bool *)at);
    case FIELD_ENUM:
        return db_text(text_of(f->choices[*(const unsigned *)at]));
    case FIELD_TIME:
        return db_time(*(const struct instant *)at);
    case FIELD_UUID:
        return db_uuid(*(const struct uuid *)at);
    }
    abort();
}

/* The values of the fields that `has`, and room for one more. */
static struct db_arg *values_of(struct arena *a, const struct record *r, const void *row,
                                bool (*has)(const struct field *f), size_t *ret_count)
{
    struct db_arg *args = arena_array(a, r->count + 1, sizeof *args);
    *ret_count = 0;
    for (size_t i = 0; i < r->count; i++)
        if (has(&r->fields[i]))
            args[(*ret_count)++] = value_of(&r->fields[i], row);
    return args;
}

static struct uuid id_of(const struct table *table, const void *row)
{
    return *(const struct uuid *)record_value(table->row, "id", row);
}

/* ---- counting ---- */

static struct uuid owner_of(const struct table *table, const struct counter *c, const void *row)
{
    if (!c->owner)
        return (struct uuid){{0}};
    return *(const struct uuid *)record_value(table->row, c->owner, row);
}

static unsigned kind_of(const struct table *table, const struct counter *c, const void *row)
{
    const struct field *f = c->kind ? record_find(table->row, c->kind) : NULL;
    if (!f)
        return 0;
    if (f->type == FIELD_BOOLEAN)
        return *(const bool *)record_value(table->row, f->name, row);
    return *(const unsigned *)record_value(table->row, f->name, row);
}

static const struct counter *const *counters_of(const struct table *table)
{
    static const struct counter *const none[] = {NULL};
    return table->counters ? table->counters : none;
}

static struct problem *count(struct db *db, struct arena *a, const struct table *table,
                             const void *row, int64_t by)
{
    struct problem *p = NULL;
    for (const struct counter *const *c = counters_of(table); !p && *c; c++)
        p = counter_add(db, a, *c, owner_of(table, *c, row), kind_of(table, *c, row), by,
                        id_of(table, row));
    return p;
}

/* ---- one row ---- */

static struct problem *read_one(struct db *db, struct arena *a, const struct table *table,
                                const char *lock, struct uuid id, void *ret, bool *ret_found)
{
    const struct db_args args = DB_ARGS(db_uuid(id));
    if (table->find && !*lock)
        return db_find(db, a, table->find, args, ret, ret_found);
    const struct sql sql = {arena_printf(a, "SELECT %s FROM %s WHERE id = ?%s%s%s",
                                         table_columns(a, table->row), table->name,
                                         table->shown ? " AND " : "",
                                         table->shown ? table->shown : "", lock),
                            table->row};
    return db_find(db, a, &sql, args, ret, ret_found);
}

static struct problem *must_read(struct db *db, struct arena *a, const struct table *table,
                                 const char *lock, struct uuid id, void *ret)
{
    bool found;
    struct problem *p = read_one(db, a, table, lock, id, ret, &found);
    return p || found ? p : problem(a, table->missing, NULL);
}

struct problem *table_find(struct db *db, struct arena *a, const struct table *table,
                           struct uuid id, void *ret)
{
    return must_read(db, a, table, "", id, ret);
}

struct problem *table_lock(struct db *db, struct arena *a, const struct table *table,
                           struct uuid id, void *ret)
{
    return must_read(db, a, table, " FOR UPDATE", id, ret);
}

struct problem *table_exists_locked(struct db *db, struct arena *a, const struct table *table,
                                    struct uuid id, bool *ret_yes)
{
    return read_one(db, a, table, " FOR UPDATE", id, arena_alloc(a, table->row->size), ret_yes);
}

struct problem *table_insert(struct db *db, struct arena *a, const struct table *table,
                             const void *row)
{
    size_t n;
    const struct db_arg *args = values_of(a, table->row, row, is_any, &n);
    const char *marks = "?";
    for (size_t i = 1; i < n; i++)
        marks = arena_printf(a, "%s, ?", marks);
    const struct sql sql = {arena_printf(a, "INSERT INTO %s (%s) VALUES (%s)", table->name,
                                         table_columns(a, table->row), marks),
                            NULL};
    struct problem *p = db_execute(db, a, &sql, (struct db_args){args, n}, NULL);
    return p ? p : count(db, a, table, row, 1);
}

struct problem *table_update(struct db *db, struct arena *a, const struct table *table,
                             const void *before, const void *after)
{
    size_t n;
    struct db_arg *args = values_of(a, table->row, after, is_changeable, &n);
    const struct sql sql = {arena_printf(a, "UPDATE %s SET %s WHERE id = ?", table->name,
                                         list_fields(a, table->row, is_changeable, " = ?")),
                            NULL};
    args[n] = db_uuid(id_of(table, after));
    struct problem *p = db_execute(db, a, &sql, (struct db_args){args, n + 1}, NULL);
    for (const struct counter *const *c = counters_of(table); !p && *c; c++) {
        unsigned was = kind_of(table, *c, before), is = kind_of(table, *c, after);
        if (was != is || table->noted)
            p = counter_change(db, a, *c, owner_of(table, *c, after), was, is, id_of(table, after));
    }
    return p;
}

struct problem *table_delete(struct db *db, struct arena *a, const struct table *table,
                             const void *row)
{
    const struct sql sql = {arena_printf(a, "DELETE FROM %s WHERE id = ?", table->name), NULL};
    struct problem *p = db_execute(db, a, &sql, DB_ARGS(db_uuid(id_of(table, row))), NULL);
    return p ? p : count(db, a, table, row, -1);
}

/* ---- many rows ---- */

/* Together, or each by its name. */
static struct problem *count_out(struct db *db, struct arena *a, const struct table *table,
                                 const struct counter *c, const char *going, struct db_args rows)
{
    struct db_arg *args = arena_array(a, rows.count + 1, sizeof *args);
    const char *n = "-COUNT(*), NULL", *group = " GROUP BY 2, 3";
    if (table->noted) {
        n = arena_printf(a, "-1, %s.id", table->name);
        group = "";
    }
    const struct sql sql = {arena_printf(a,
                                         "INSERT INTO list_journal (total, owner, kind, n, row_id) "
                                         "SELECT ?, %s, %s, %s FROM %s%s",
                                         c->owner, c->kind ? c->kind : "0", n, going, group),
                            NULL};
    args[0] = db_integer(c->number);
    memcpy(&args[1], rows.list, rows.count * sizeof *args);
    return db_execute(db, a, &sql, (struct db_args){args, rows.count + 1}, NULL);
}

/* They are locked first: then each statement finds the same. */
struct problem *table_delete_rows(struct db *db, struct arena *a, const struct table *table,
                                  const char *rows, struct db_args args, uint64_t *ret_deleted)
{
    const char *name = table->name;
    const char *going =
        arena_printf(a, "(SELECT %s.id FROM %s) AS going STRAIGHT_JOIN %s ON %s.id = going.id",
                     name, rows, name, name);
    const struct sql lock = {
        arena_printf(a, "SELECT COUNT(*) AS n FROM (SELECT %s.id FROM %s FOR UPDATE) AS going",
                     name, rows),
        &counted_record};
    const struct sql delete = {arena_printf(a, "DELETE %s FROM %s", name, going), NULL};
    int64_t n = 0;
    struct problem *p = count_read(db, a, &lock, args, &n);
    *ret_deleted = 0;
    if (p || !n)
        return p;
    for (const struct counter *const *c = counters_of(table); !p && *c; c++)
        p = count_out(db, a, table, *c, going, args);
    return p ? p : db_execute(db, a, &delete, args, ret_deleted);
}
