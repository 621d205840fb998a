/* no_database.h -- for one program: functions of db.h that ask no server. The next byte of
 * `answers`, over and over, decides what comes of a statement, and what is in a row. They stand
 * before those of common/db/db.c and common/db/budget.c. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "common/base/problem.h"
#include "common/db/budget.h"
#include "common/db/db_internal.h"
#include "common/field/field.h"
#include "tests/support/fuzz.h"

static struct {
    const uint8_t *bytes;
    size_t count, at;
} answers;

static unsigned next_answer(void)
{
    return answers.count ? answers.bytes[answers.at++ % answers.count] : 0;
}

/* The account, the session and the post that everything is about, as often as not. */
#define THE_ID "01890a5d-ac96-774b-bcce-b302099a8057"
/* Of "engine of numbers", as cheap_hashes.h makes it. */
#define THE_HASH                                                                                   \
    "$argon2id$v=19$m=19456,t=2,p=1$cG9zdGVybiB0ZXN0cyAxNg$"                                       \
    "bm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm4"

static const char *const stored_texts[] = {
    "Ada",    "ada@example.org", THE_HASH, "", "\xc3\xa9\n\"<\\\xf0\x9f\xa6\x89",
    "active", "a b c d e"};

static unsigned count_choices(const char *const *choices)
{
    unsigned count = 0;
    while (choices[count])
        count++;
    return count ? count : 1;
}

static void fill_field(const struct field *f, void *row)
{
    void *at = (char *)row + f->offset;
    unsigned n = next_answer();
    struct uuid id = {{0}};
    switch (f->type) {
    case FIELD_TEXT:
        *(struct text *)at =
            text_of(stored_texts[n % (sizeof stored_texts / sizeof *stored_texts)]);
        break;
    case FIELD_INTEGER:
        *(int64_t *)at = n % 4 ? n : n * INT64_C(1000000007);
        break;
    case FIELD_BOOLEAN:
        *(bool *)at = n % 4;
        break;
    case FIELD_ENUM:
        *(unsigned *)at = f->choices ? n % count_choices(f->choices) : 0;
        break;
    case FIELD_TIME:
        *(struct instant *)at = (struct instant){INT64_C(1767225600000000) + n * 1000000};
        break;
    case FIELD_UUID:
        need(uuid_parse(THE_ID, sizeof THE_ID - 1, &id));
        id.bytes[15] = (unsigned char)(id.bytes[15] + (n % 4 == 3));
        *(struct uuid *)at = id;
        break;
    }
}

static void fill_row(const struct sql *sql, void *row)
{
    for (size_t i = 0; sql->row && i < sql->row->count; i++)
        fill_field(&sql->row->fields[i], row);
}

/* NULL for three of four. */
static struct problem *outcome_of(struct arena *a)
{
    unsigned n = next_answer();
    if (n % 16 != 7)
        return NULL;
    struct problem *p = problem_because(a, &problem_unavailable, "made up");
    if (n & 0x10)
        p->constraint = "uq_users_email";
    if (n & 0x40)
        p->db_error = n & 0x80 ? 1205 : 1062;
    return p;
}

/* ---- db.c ---- */

void *db_must(void *p)
{
    need(p != NULL);
    return p;
}

struct problem *db_open(struct arena *a, const char *url, struct db **ret)
{
    struct db_url parts;
    struct problem *p = db_url_read(a, url, &parts);
    if (p)
        return p;
    struct db *db = db_must(calloc(1, sizeof *db));
    db->url = parts;
    db->hosts = &db->own_hosts;
    *ret = db;
    return NULL;
}

void db_close(struct db *db)
{
    if (db)
        db_url_release(&db->url);
    free(db);
}

struct db_counts db_take_counts(struct db *db)
{
    return db->counts;
}

struct db_arg db_text(struct text t)
{
    return (struct db_arg){.type = t.data ? DB_TEXT : DB_NULL, .text = t};
}

struct db_arg db_bytes(const void *data, size_t len)
{
    return (struct db_arg){.type = DB_BYTES, .text = {data, len}};
}

struct db_arg db_integer(int64_t n)
{
    return (struct db_arg){.type = DB_INTEGER, .integer = n};
}

struct db_arg db_time(struct instant t)
{
    return (struct db_arg){.type = DB_TIME, .time = t};
}

struct db_arg db_uuid(struct uuid id)
{
    return (struct db_arg){.type = DB_UUID, .uuid = id};
}

struct problem *db_ping(struct db *db, struct arena *a)
{
    (void)db;
    return outcome_of(a);
}

static volatile unsigned bytes_seen;

/* As many values as marks, and texts that are whole: a sanitizer looks at each byte. */
static void judge_statement(const struct sql *sql, struct db_args args)
{
    size_t marks = 0;
    unsigned sum = 0;
    for (const char *at = sql->text; *at; at++)
        marks += *at == '?';
    need(marks == args.count);
    for (size_t i = 0; i < args.count; i++)
        if (args.list[i].type == DB_TEXT || args.list[i].type == DB_BYTES)
            for (size_t j = 0; j < args.list[i].text.len; j++)
                sum += (unsigned char)args.list[i].text.data[j];
    bytes_seen = sum;
}

struct problem *db_execute(struct db *db, struct arena *a, const struct sql *sql,
                           struct db_args args, uint64_t *ret_matched)
{
    (void)db;
    judge_statement(sql, args);
    struct problem *p = outcome_of(a);
    if (!p && ret_matched) /* what is inserted is a row of someone who is locked, and so there */
        *ret_matched = strncmp(sql->text, "INSERT", 6) == 0 ? 1 : next_answer() % 3;
    return p;
}

struct problem *db_find(struct db *db, struct arena *a, const struct sql *sql, struct db_args args,
                        void *ret_row, bool *ret_found)
{
    (void)db;
    judge_statement(sql, args);
    struct problem *p = outcome_of(a);
    if (p)
        return p;
    *ret_found = next_answer() % 4;
    if (*ret_found)
        fill_row(sql, ret_row);
    return NULL;
}

struct problem *db_each(struct db *db, struct arena *a, const struct sql *sql, struct db_args args,
                        void (*each)(void *context, const void *row), void *context)
{
    (void)db;
    judge_statement(sql, args);
    for (unsigned n = next_answer() % 4; n > 0; n--) {
        void *row = arena_alloc(a, sql->row->size);
        fill_row(sql, row);
        each(context, row);
    }
    return outcome_of(a);
}

struct problem *db_run(struct db *db, struct arena *a, const char *text)
{
    (void)db, (void)text;
    return outcome_of(a);
}

struct problem *db_transaction(struct db *db, struct arena *a,
                               struct problem *(*body)(void *context),
                               struct problem *(*in_doubt)(void *context, bool *ret_yes),
                               void *context)
{
    bool yes = false, doubted = false;
    struct problem *p = NULL;
    db->in_transaction = true;
    for (int try = 0; try < 4 && !yes && !p; try++) {
        p = body(context);
        yes = !p && next_answer() % 8;
        doubted = doubted || (!p && !yes);
        if (!yes && doubted && in_doubt)
            (void)in_doubt(context, &yes); /* a question that fails is a no */
        if (yes)
            p = NULL;
    }
    db->in_transaction = false;
    return p ? p : outcome_of(a);
}

struct problem *db_execute_atomic(struct db *db, struct arena *a, const struct sql *sql,
                                  struct db_args args,
                                  struct problem *(*in_doubt)(void *context, bool *ret_yes),
                                  void *context, bool *ret_done)
{
    struct problem *p = NULL;
    (void)db;
    judge_statement(sql, args);
    *ret_done = next_answer() % 2;
    if (next_answer() % 8 == 0)
        p = in_doubt(context, ret_done);
    return p ? p : outcome_of(a);
}

struct problem *db_guard(struct db *db, struct arena *a)
{
    (void)db;
    return outcome_of(a);
}

struct problem *db_in_doubt_repeat(void *context, bool *ret_yes)
{
    (void)context;
    *ret_yes = false;
    return NULL;
}

/* ---- budget.c ---- */

void budget_set(struct db *db, struct budget_limits allowed, struct budget_shared *shared)
{
    (void)db, (void)allowed, (void)shared;
}

void budget_begin(struct db *db, int64_t came)
{
    (void)db, (void)came;
}

unsigned budget_wait_ms(struct db *db, int64_t came)
{
    (void)db, (void)came;
    return 0;
}

struct problem *budget_each(struct db *db, struct arena *a, const struct sql *sql,
                            struct db_args args, void (*restart)(void *context),
                            void (*each)(void *context, const void *row), void *context)
{
    (void)restart;
    return db_each(db, a, sql, args, each, context);
}

struct problem *budget_find(struct db *db, struct arena *a, const struct sql *sql,
                            struct db_args args, void *ret_row, bool *ret_found)
{
    return db_find(db, a, sql, args, ret_row, ret_found);
}

void budget_end(struct db *db)
{
    (void)db;
}
