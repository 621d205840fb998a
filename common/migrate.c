#include "migrate.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "db.h"
#include "field.h"
#include "jwt.h"
#include "problem.h"

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

struct locked {
    bool locked;
};

static const struct field locked_fields[] = {
    FIELD(struct locked, locked, .doc = "Whether it is ours."),
};
static const struct record locked_record =
    RECORD("Lock", struct locked, locked_fields, .rule = NULL);

/* Locks are named for the whole server; the name of a database may be longer than theirs. */
static const struct sql lock = {
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

static const struct sql list_all = {
    "SELECT number, checksum, statements_done, complete FROM schema_migrations ORDER BY number",
    &progress_record,
};

static const struct sql note = {
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

static struct problem *survey(struct db *db, struct arena *a, const struct migration *list,
                              size_t count, struct survey *ret)
{
    *ret = (struct survey){list, count, arena_array(a, count, sizeof *ret->states),
                           arena_array(a, count, sizeof *ret->done), 0};
    for (size_t i = 0; i < count; i++)
        if (list[i].number != (int)i + 1)
            abort(); /* the program was built with a gap in its list */
    struct problem *p = db_each(db, a, &list_all, DB_NO_ARGS, survey_row, ret);
    return db_is_missing_table(p) ? NULL : p; /* all are pending then */
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

/* The line at `s` without its comment or the space around it; `*ret_next` is behind it. */
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

/* Copy the text without comment lines into one stretch, with a NUL for each ending `;`. */
static struct problem *split(struct arena *a, const struct migration *m, struct statements *ret)
{
    size_t room = strlen(m->text) + 1;
    char *begin = arena_alloc(a, room + 1);
    char *to = begin;
    struct statements found = {arena_array(a, room / 2 + 1, sizeof *found.list), 0};
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

/* ---- up ---- */

static struct problem *set_progress(struct db *db, struct arena *a, const struct migration *m,
                                    size_t done, size_t count)
{
    char checksum[CHECKSUM_SIZE];
    checksum_of(m, checksum);
    return db_execute(db, a, &note,
                      DB_ARGS(db_integer(m->number), db_text(text_of(m->name)),
                              db_text(text_of(checksum)), db_integer((int64_t)done),
                              db_integer(done == count)),
                      NULL);
}

/* The note is made ahead of the first statement too: a file that failed there was begun. */
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
    struct problem *p = db_find(db, a, &lock, DB_NO_ARGS, &row, &found);
    if (p || (found && row.locked))
        return p;
    return problem_because(a, &problem_unavailable, "another program is migrating the schema");
}

static struct problem *refuse(struct arena *a, const struct survey *s)
{
    if (s->unknown)
        return problem_because(a, &problem_internal,
                               "the schema has %zu migrations that this program does not know",
                               s->unknown);
    for (size_t i = 0; i < s->count; i++)
        if (s->states[i] == MIGRATION_CHANGED)
            return problem_because(a, &problem_internal, "%s was changed after it was applied",
                                   s->list[i].name);
    return NULL;
}

static struct problem *up_locked(struct db *db, struct arena *a, const struct migration *list,
                                 size_t count,
                                 void (*applied)(void *context, const struct migration *m),
                                 void *context)
{
    struct survey s;
    struct problem *p = take_lock(db, a);
    if (!p)
        p = db_run(db, a, create_table);
    if (!p)
        p = survey(db, a, list, count, &s);
    if (!p)
        p = refuse(a, &s);
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

struct problem *migrate_check(struct db *db, struct arena *a, const struct migration *list,
                              size_t count)
{
    struct survey s;
    struct problem *p = survey(db, a, list, count, &s);
    if (p)
        return p;
    p = refuse(a, &s);
    if (p)
        return problem_because(a, &problem_unavailable, "%s", p->cause);
    size_t at = 0;
    for (size_t i = 0; i < count; i++)
        at += s.states[i] == MIGRATION_APPLIED;
    if (at == count)
        return NULL;
    return problem_because(a, &problem_unavailable,
                           "schema is at %zu of %zu; run `postern migrate`", at, count);
}
