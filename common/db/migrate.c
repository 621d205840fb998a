#include "common/db/migrate.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/buf.h"
#include "common/base/problem.h"
#include "common/crypto/digest.h"
#include "common/db/db.h"
#include "common/db/shape.h"
#include "common/field/field.h"

#define QUESTION_MAX ((size_t)256 * 1024) /* bytes that name all columns there are */
#define CHECKSUM_SIZE sizeof "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct progress {
    int64_t number;
    struct text checksum;
    int64_t statements_done;
    bool complete;
};

static const struct field progress_fields[] = {
    FIELD(struct progress, number, .doc = "Which migration."),
    FIELD(struct progress, checksum, .doc = "SHA-256 of its file when it was begun, in hex."),
    FIELD(struct progress, statements_done, .doc = "How many of its statements have run."),
    FIELD(struct progress, complete, .doc = "Whether that is all of them."),
};
static const struct record progress_record =
    RECORD("Migration", struct progress, progress_fields, .rule = NULL);

/* The message about a table that somebody else has made. */
#define NOT_OURS                                                                                   \
    "the database has a table %s that this program has not made; name a database in DATABASE_URL " \
    "that is its own"

struct locked {
    bool locked;
};

static const struct field locked_fields[] = {
    FIELD(struct locked, locked, .doc = "Whether it is ours."),
};
static const struct record locked_record =
    RECORD("Lock", struct locked, locked_fields, .rule = NULL);

/* Locks are named for the whole server; the name of a database may be longer than theirs. */
static const struct sql sql_lock = {
    "SELECT GET_LOCK(CONCAT('schema_migrations.', MD5(DATABASE())), 60) AS locked",
    &locked_record,
};

static const char create_table[] = "CREATE TABLE IF NOT EXISTS schema_migrations ("
                                   " number INT NOT NULL PRIMARY KEY,"
                                   " name VARCHAR(255) NOT NULL,"
                                   " checksum CHAR(64) CHARACTER SET ascii NOT NULL,"
                                   " statements_done INT NOT NULL,"
                                   " complete BOOLEAN NOT NULL,"
                                   " applied_at DATETIME(6) NOT NULL"
                                   ") ENGINE = InnoDB ROW_FORMAT = DYNAMIC"
                                   " DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci";

static const struct sql sql_list_all = {
    "SELECT number, checksum, statements_done, complete FROM schema_migrations ORDER BY number",
    &progress_record,
};

static const struct sql sql_note = {
    "INSERT INTO schema_migrations"
    " (number, name, checksum, statements_done, complete, applied_at)"
    " VALUES (?, ?, ?, ?, ?, UTC_TIMESTAMP(6))"
    " ON DUPLICATE KEY UPDATE statements_done = VALUES(statements_done),"
    " complete = VALUES(complete), applied_at = VALUES(applied_at)",
    NULL,
};

/* What the table says of `list`. */
struct survey {
    const struct migration *list;
    size_t count;
    enum migration_state *states;
    int64_t *done; /* statements of each */
    size_t unknown;
    bool has_table; /* schema_migrations is there */
};

static void checksum_of(const struct migration *m, char ret_text[CHECKSUM_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char hash[32];
    sha256(m->text, strlen(m->text), hash);
    for (size_t i = 0; i < sizeof hash; i++) {
        ret_text[2 * i] = digits[hash[i] >> 4];
        ret_text[2 * i + 1] = digits[hash[i] & 15];
    }
    ret_text[2 * sizeof hash] = '\0';
}

static bool is_checksum_of(const struct migration *m, struct text checksum)
{
    char now[CHECKSUM_SIZE];
    checksum_of(m, now);
    bool known = text_equal(checksum, text_of(now));
    for (size_t i = 0; !known && m->former && m->former[i]; i++)
        known = text_equal(checksum, text_of(m->former[i]));
    return known;
}

static void survey_row(void *context, const void *row)
{
    struct survey *s = context;
    const struct progress *progress = row;
    if (progress->number < 1 || (uint64_t)progress->number > s->count) {
        s->unknown++;
        return;
    }
    size_t i = (size_t)progress->number - 1;
    s->done[i] = progress->statements_done;
    if (!is_checksum_of(&s->list[i], progress->checksum))
        s->states[i] = MIGRATION_CHANGED;
    else
        s->states[i] = progress->complete ? MIGRATION_APPLIED : MIGRATION_PARTIAL;
}

static struct problem *survey_by(struct db *db, struct arena *a, const struct sql *sql,
                                 const struct migration *list, size_t count, struct survey *ret)
{
    *ret = (struct survey){.list = list,
                           .count = count,
                           .states = arena_array(a, count, sizeof *ret->states),
                           .done = arena_array(a, count, sizeof *ret->done)};
    for (size_t i = 0; i < count; i++)
        if (list[i].number != (int)i + 1)
            abort(); /* the program was built with a gap in its list */
    struct problem *p = db_each(db, a, sql, DB_NO_ARGS, survey_row, ret);
    ret->has_table = !p;
    return p;
}

/* Without the table, all are pending. Other programs have a table of that name, too. */
static struct problem *survey(struct db *db, struct arena *a, const struct migration *list,
                              size_t count, struct survey *ret)
{
    struct problem *p = survey_by(db, a, &sql_list_all, list, count, ret);
    if (db_is_missing_column(p))
        return problem_because(a, &problem_internal, NOT_OURS, "schema_migrations");
    return db_is_missing_table(p) ? NULL : p;
}

/* ---- the statements of a file ---- */

struct statements {
    const char **list;
    size_t count;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The line at `s` without its comment or the space around it; `*ret_next` is after it. */
static struct text take_line(const char *s, const char **ret_next)
{
    const char *end = strchrnul(s, '\n');
    *ret_next = *end ? end + 1 : end;
    while (s < end && is_space(*s))
        s++;
    while (end > s && is_space(end[-1]))
        end--;
    bool comment = end - s >= 2 && s[0] == '-' && s[1] == '-';
    return (struct text){s, comment ? 0 : (size_t)(end - s)};
}

/* Copy the text without comment lines into one buffer, with a NUL for each `;` that ends a line. */
static struct problem *split(struct arena *a, const struct migration *m, struct statements *ret)
{
    char *begin = arena_alloc(a, strlen(m->text) + 2);
    char *to = begin;
    size_t most = 0;
    for (const char *s = strchr(m->text, ';'); s; s = strchr(s + 1, ';'))
        most++;
    struct statements found = {arena_array(a, most + 1, sizeof *found.list), 0};
    for (const char *s = m->text; *s;) {
        struct text line = take_line(s, &s);
        if (!line.len)
            continue;
        to = (char *)mempcpy(to, line.data, line.len);
        if (to[-1] != ';') {
            *to++ = '\n';
            continue;
        }
        to[-1] = '\0';
        found.list[found.count++] = begin;
        begin = to;
    }
    if (to != begin)
        return problem_because(a, &problem_internal, "%s does not end with a semicolon", m->name);
    *ret = found;
    return NULL;
}

/* ---- the tables that they make ---- */

struct found {
    struct text table_name, column_name, data_type;
};

static const struct field found_fields[] = {
    FIELD(struct found, table_name, .doc = "In small letters on some systems."),
    FIELD(struct found, column_name, .doc = "As it was declared."),
    FIELD(struct found, data_type, .doc = "Without its length."),
};
static const struct record found_record =
    RECORD("Column", struct found, found_fields, .rule = NULL);

static const struct sql sql_list_columns = {
    "SELECT table_name, column_name, data_type"
    " FROM information_schema.columns WHERE table_schema = DATABASE()",
    &found_record,
};

static const char *text_as_string(struct arena *a, struct text t)
{
    return arena_text(a, t).data; /* with a NUL */
}

/* What is there of `shape`. */
struct comparison {
    struct arena *arena;
    struct shape shape;
    bool *table_is_there; /* for each table */
    struct text *types;   /* for each column: its type in the database; null: it is not there */
};

static struct problem *read_shape(struct arena *a, const struct migration *list, size_t count,
                                  struct shape *ret)
{
    size_t total = 0;
    struct statements *files = arena_array(a, count, sizeof *files);
    for (size_t i = 0; i < count; i++) {
        struct problem *p = split(a, &list[i], &files[i]);
        if (p)
            return p;
        total += files[i].count;
    }
    const char **all = arena_array(a, total + 1, sizeof *all);
    size_t *origins = arena_array(a, total + 1, sizeof *origins), n = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < files[i].count; k++, n++) {
            all[n] = files[i].list[k];
            origins[n] = i;
        }
    *ret = shape_read(a, all, origins, total);
    return NULL;
}

/* Names of columns have no case; those of tables lose it where files have none. */
static bool same_name(struct text a, struct text b)
{
    return a.len == b.len && strncasecmp(a.data, b.data, a.len) == 0;
}

static void note_found(void *context, const void *row)
{
    struct comparison *c = context;
    const struct found *found = row;
    for (size_t i = 0; i < c->shape.table_count; i++)
        c->table_is_there[i] |= same_name(c->shape.tables[i].name, found->table_name);
    for (size_t i = 0; i < c->shape.column_count; i++)
        if (same_name(c->shape.columns[i].table, found->table_name) &&
            same_name(c->shape.columns[i].name, found->column_name))
            c->types[i] = arena_text(c->arena, found->data_type);
}

static bool is_there(const struct comparison *c, struct text table)
{
    for (size_t i = 0; i < c->shape.table_count; i++)
        if (text_equal(c->shape.tables[i].name, table))
            return c->table_is_there[i];
    return false;
}

static struct problem *compare_table(struct arena *a, const struct survey *s,
                                     const struct shape_table *t, bool there)
{
    const char *name = text_as_string(a, t->name);
    if (there && !s->has_table)
        return problem_because(a, &problem_internal,
                               NOT_OURS ", or restore the table schema_migrations too", name);
    if (!there && s->states[t->origin] == MIGRATION_APPLIED)
        return problem_because(a, &problem_internal,
                               "the table %s is gone, which %s had made; restore it", name,
                               s->list[t->origin].name);
    return NULL;
}

/* What ALTER TABLE adds may be missing as long as its file is not applied. */
static struct problem *compare_column(struct arena *a, const struct survey *s,
                                      const struct shape_column *c, struct text type)
{
    if (s->states[c->origin] != MIGRATION_APPLIED && !c->is_from_the_start)
        return NULL;
    if (type.data && shape_is_type(c->type, type))
        return NULL;
    const char *table = text_as_string(a, c->table), *name = text_as_string(a, c->name);
    const char *fault = type.data ? arena_printf(a, "%s there is %s and not %s", name, type.data,
                                                 text_as_string(a, c->type))
                                  : arena_printf(a, "%s is missing in it", name);
    if (s->states[c->origin] == MIGRATION_APPLIED)
        return problem_because(a, &problem_internal,
                               "the table %s is not as %s makes it (%s); restore it, or name a "
                               "database in DATABASE_URL that is its own",
                               table, s->list[c->origin].name, fault);
    return problem_because(a, &problem_internal, NOT_OURS " (%s)", table, fault);
}

static struct problem *compare(struct db *db, struct arena *a, const struct survey *s)
{
    struct comparison c = {.arena = a};
    struct problem *p = read_shape(a, s->list, s->count, &c.shape);
    if (p)
        return p;
    c.table_is_there = arena_array(a, c.shape.table_count + 1, sizeof *c.table_is_there);
    c.types = arena_array(a, c.shape.column_count + 1, sizeof *c.types);
    p = db_each(db, a, &sql_list_columns, DB_NO_ARGS, note_found, &c);
    for (size_t i = 0; !p && i < c.shape.table_count; i++)
        p = compare_table(a, s, &c.shape.tables[i], c.table_is_there[i]);
    for (size_t i = 0; !p && i < c.shape.column_count; i++)
        if (is_there(&c, c.shape.columns[i].table))
            p = compare_column(a, s, &c.shape.columns[i], c.types[i]);
    return p;
}

/* ---- up ---- */

static struct problem *set_progress(struct db *db, struct arena *a, const struct migration *m,
                                    size_t done, size_t count)
{
    char checksum[CHECKSUM_SIZE];
    checksum_of(m, checksum);
    return db_execute(db, a, &sql_note,
                      DB_ARGS(db_integer(m->number), db_text(text_of(m->name)),
                              db_text(text_of(checksum)), db_integer((int64_t)done),
                              db_integer(done == count)),
                      NULL);
}

/* Progress is stored before the first statement too: a file that failed there has begun. */
static struct problem *apply(struct db *db, struct arena *a, const struct migration *m, size_t done)
{
    struct statements statements = {NULL, 0};
    struct problem *p = split(a, m, &statements);
    if (p)
        return p;
    p = set_progress(db, a, m, done, statements.count);
    for (; !p && done < statements.count; done++) {
        p = db_run(db, a, statements.list[done]);
        if (p)
            p->cause = arena_printf(a, "%s, statement %zu: %s", m->name, done + 1, p->cause);
        else
            p = set_progress(db, a, m, done + 1, statements.count);
    }
    return p;
}

static struct problem *take_lock(struct db *db, struct arena *a)
{
    struct locked row = {false};
    bool found = false;
    struct problem *p = db_find(db, a, &sql_lock, DB_NO_ARGS, &row, &found);
    if (p || (found && row.locked))
        return p;
    return problem_because(a, &problem_unavailable, "another program is migrating the schema");
}

static struct problem *refuse_changed(struct arena *a, const struct survey *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->states[i] == MIGRATION_CHANGED)
            return problem_because(a, &problem_internal, "%s was changed after it was applied",
                                   s->list[i].name);
    return NULL;
}

static struct problem *refuse(struct arena *a, const struct survey *s)
{
    if (s->unknown)
        return problem_because(a, &problem_internal,
                               "the schema has %zu migrations that this program does not know",
                               s->unknown);
    return refuse_changed(a, s);
}

static struct problem *up_locked(struct db *db, struct arena *a, const struct migration *list,
                                 size_t count,
                                 void (*applied)(void *context, const struct migration *m),
                                 void *context)
{
    struct survey s;
    struct problem *p = take_lock(db, a);
    if (!p)
        p = survey(db, a, list, count, &s);
    if (!p)
        p = refuse(a, &s);
    if (!p)
        p = compare(db, a, &s);
    if (!p)
        p = db_run(db, a, create_table);
    for (size_t i = 0; !p && i < count; i++) {
        if (s.states[i] == MIGRATION_APPLIED)
            continue;
        p = apply(db, a, &list[i], (size_t)s.done[i]);
        if (!p && applied)
            applied(context, &list[i]);
    }
    return p;
}

/* The lock belongs to the session, so the connection is pinned, and unpinning gives it back. */
struct problem *migrate_up(struct db *db, struct arena *a, const struct migration *list,
                           size_t count, void (*applied)(void *context, const struct migration *m),
                           void *context)
{
    struct problem *p = db_pin(db, a);
    if (p)
        return p;
    p = up_locked(db, a, list, count, applied, context);
    db_unpin(db);
    return p;
}

struct problem *migrate_status(struct db *db, struct arena *a, const struct migration *list,
                               size_t count, enum migration_state *ret_states, size_t *ret_unknown)
{
    struct survey s;
    struct problem *p = survey(db, a, list, count, &s);
    if (p)
        return p;
    memcpy(ret_states, s.states, count * sizeof *ret_states);
    *ret_unknown = s.unknown;
    return NULL;
}

struct problem *migrate_compare(struct db *db, struct arena *a, const struct migration *list,
                                size_t count)
{
    struct survey s;
    struct problem *p = survey(db, a, list, count, &s);
    return p ? p : compare(db, a, &s);
}

static void name_columns(struct buf *text, const struct shape *shape, struct text table)
{
    buf_puts(text, " OR EXISTS (SELECT 1");
    for (size_t i = 0; i < shape->column_count; i++) {
        const struct shape_column *c = &shape->columns[i];
        if (text_equal(c->table, table))
            buf_printf(text, ", `%.*s`", (int)c->name.len, c->name.data);
    }
    buf_printf(text, " FROM `%.*s`)", (int)table.len, table.data);
}

/* Names all tables and columns to the server, which reads none: where one is missing, the statement
 * fails. */
static struct problem *check_quickly(struct db *db, struct arena *a, const struct migration *list,
                                     size_t count, struct survey *ret)
{
    struct shape shape;
    struct problem *p = read_shape(a, list, count, &shape);
    if (p)
        return p;
    struct buf text;
    buf_init(&text, QUESTION_MAX);
    buf_puts(&text, "SELECT number, checksum, statements_done, complete FROM schema_migrations"
                    " WHERE TRUE");
    for (size_t i = 0; i < shape.table_count; i++)
        name_columns(&text, &shape, shape.tables[i].name);
    buf_add(&text, "", 1);
    if (!text.full)
        p = survey_by(db, a, &(const struct sql){text.data, &progress_record}, list, count, ret);
    else
        p = problem_because(a, &problem_internal, "the schema has too many columns");
    buf_release(&text);
    return p;
}

static struct problem *check_thoroughly(struct db *db, struct arena *a, const struct survey *s)
{
    struct problem *p = refuse_changed(a, s);
    size_t at = 0;
    if (!p)
        p = compare(db, a, s);
    for (size_t i = 0; i < s->count; i++)
        at += s->states[i] == MIGRATION_APPLIED;
    if (!p && at < s->count)
        p = problem_because(a, &problem_unavailable,
                            "schema is at %zu of %zu; run `postern migrate`", at, s->count);
    return p;
}

struct problem *migrate_check(struct db *db, struct arena *a, const struct migration *list,
                              size_t count)
{
    struct survey s;
    struct problem *p = check_quickly(db, a, list, count, &s);
    bool is_complete = !p;
    for (size_t i = 0; is_complete && i < count; i++)
        is_complete = s.states[i] == MIGRATION_APPLIED;
    if (is_complete || (p && !db_is_missing_table(p) && !db_is_missing_column(p)))
        return p;
    p = survey(db, a, list, count, &s);
    if (!p)
        p = check_thoroughly(db, a, &s);
    return p ? problem_because(a, &problem_unavailable, "%s", p->cause) : NULL;
}
