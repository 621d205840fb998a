#include "common/db/db.h"

#include <ctype.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/base/exhausted.h"
#include "common/base/problem.h"
#include "common/db/db_connect.h"
#include "common/db/db_failure.h"
#include "common/db/db_internal.h"
#include "common/db/db_limits.h"
#include "common/db/db_statement.h"
#include "common/db/db_url.h"
#include "common/field/field.h"

/* The longest pause before the second try; doubles with each. While an in-doubt commit is resolved
 * it is longer, for a restart takes as long. */
#define PAUSE_US 4000
#define PAUSE_IN_DOUBT_US 50000

/* One call of db_execute(), db_find() or db_each(), and what it must do with the answer. */
struct question {
    const struct sql *sql;
    struct db_args args;
    bool repeatable; /* may be asked again when the connection is lost */
    struct problem *(*take)(struct db *, struct arena *, struct statement *, struct question *);
    uint64_t matched;
    void *ret_row;
    bool found;
    void (*each)(void *context, const void *row);
    void *context;
};

void *db_must(void *p)
{
    if (!p)
        exhausted("out of memory: db");
    return p;
}

struct problem *db_open(struct arena *a, const char *url, struct db **ret)
{
    struct db_url parts;
    struct problem *p = db_url_read(a, url, &parts);
    if (p)
        return p;
    db_count_forks();
    struct db *db = db_must(calloc(1, sizeof *db));
    db->url = parts;
    db->deadline = FOREVER;
    db->hosts = &db->own_hosts;
    db->backed_off = db_must(calloc(parts.host_count, sizeof *db->backed_off));
    *ret = db;
    return NULL;
}

void db_close(struct db *db)
{
    if (!db)
        return;
    db_disconnect(db);
    db_url_release(&db->url);
    free(db->backed_off);
    free(db);
}

struct db_counts db_take_counts(struct db *db)
{
    struct db_counts counts = db->counts;
    db->counts = (struct db_counts){0};
    return counts;
}

/* ---- values ---- */

struct db_arg db_text(struct text t)
{
    return (struct db_arg){.type = t.data ? DB_TEXT : DB_NULL, .text = t};
}

struct db_arg db_bytes(const void *data, size_t len)
{
    return (struct db_arg){.type = data ? DB_BYTES : DB_NULL, .text = {data, len}};
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

/* ---- tries ---- */

/* Sleep a random time, so that transactions that were in conflict are not again: up to
 * `longest_us`, and twice as long with each try. */
static void pause_before_try(struct db *db, unsigned tries, unsigned longest_us)
{
    if (!db->random)
        db->random = monotonic_ns() | 1; /* not zero, which would stay so */
    db->random ^= db->random << 13;      /* Marsaglia's xorshift64 */
    db->random ^= db->random >> 7;
    db->random ^= db->random << 17;
    unsigned us = (unsigned)(db->random >> 32) % (longest_us << (tries - 1));
    struct timespec t = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&t, NULL); /* cut short by a signal, it is just as good */
}

/* After try number `tries` of what came to `p`: must there be another? Sleeps before it. */
static bool must_try_again(struct db *db, const struct problem *p, unsigned tries)
{
    if (!p || p->retry != RETRY_AGAIN || tries == DB_TRIES)
        return false;
    if (db->pinned && !db->mysql)
        return false; /* nothing takes its place: `p` tells more than that it is gone */
    db->counts.retries++;
    if (db->mysql) /* a lost connection is replaced at once */
        pause_before_try(db, tries, PAUSE_US);
    return true;
}

/* ---- asking ---- */

static struct problem *take_count(struct db *db, struct arena *a, struct statement *s,
                                  struct question *q)
{
    (void)db;
    if (s->column_count)
        return problem_because(a, &problem_internal, "rows where none are taken: %s", s->text);
    q->matched = mysql_stmt_affected_rows(s->handle);
    return NULL;
}

/* The row is handed out when the server has said that all went well. */
static struct problem *take_one(struct db *db, struct arena *a, struct statement *s,
                                struct question *q)
{
    bool more;
    struct problem *p = statement_next_row(db, a, s, q->repeatable, &more);
    if (p || !more)
        return p;
    void *row = arena_copy(a, s->row, s->record->size);
    statement_own_texts(a, s, row);
    p = statement_next_row(db, a, s, q->repeatable, &more);
    if (p)
        return p;
    memcpy(q->ret_row, row, s->record->size);
    q->found = true;
    return NULL;
}

static struct problem *take_each(struct db *db, struct arena *a, struct statement *s,
                                 struct question *q)
{
    for (;;) {
        bool more;
        struct problem *p = statement_next_row(db, a, s, q->repeatable, &more);
        if (p || !more)
            return p;
        q->found = true;
        db->busy = true;
        q->each(q->context, s->row);
        db->busy = false;
    }
}

/* A cluster may end a transaction in favour of another node's. It says so, mostly; what came after,
 * if nobody knew, would be committed statement by statement. */
static struct problem *check_transaction(struct db *db, struct arena *a)
{
    unsigned status = SERVER_STATUS_IN_TRANS;
    if (db->in_transaction && db->mysql)
        (void)mariadb_get_infov(db->mysql, MARIADB_CONNECTION_SERVER_STATUS, &status);
    return status & SERVER_STATUS_IN_TRANS ? NULL : db_conflict(db, a);
}

static struct problem *ask_once(struct db *db, struct arena *a, struct question *q)
{
    struct statement *s = NULL;
    struct problem *p = db_ready(db, a);
    if (!p)
        p = statement_get(db, a, q->sql, &s);
    if (!p)
        p = statement_bind_args(a, s, q->args);
    if (p)
        return p;
    int64_t began = db_wait_begin(db);
    db->counts.statements++;
    int rc = mysql_stmt_execute(s->handle);
    db_wait_end(db, began);
    if (rc)
        return db_statement_failed(db, a, q->repeatable, s);
    p = q->take(db, a, s, q);
    if (db->mysql && s->column_count) /* else the statement went with the connection */
        statement_finish(db, s);
    return p ? p : check_transaction(db, a);
}

static bool begins_with(const char *text, const char *words)
{
    while (isspace((unsigned char)*text))
        text++;
    return strncasecmp(text, words, strlen(words)) == 0;
}

/* Running it twice leaves no trace of the first time. */
static bool is_read(const char *text)
{
    const char *statement = begins_with(text, "SET STATEMENT ") ? strstr(text, " FOR ") : NULL;
    return begins_with(statement ? statement + strlen(" FOR ") : text, "SELECT");
}

/* In a transaction nothing is tried again here: db_transaction() repeats the whole. Nor is it once
 * rows were handed out. */
static struct problem *ask(struct db *db, struct arena *a, struct question *q)
{
    q->repeatable = is_read(q->sql->text);
    for (unsigned tries = 1;; tries++) {
        struct problem *p = ask_once(db, a, q);
        if (db->in_transaction || q->found || !must_try_again(db, p, tries))
            return p;
    }
}

struct problem *db_execute(struct db *db, struct arena *a, const struct sql *sql,
                           struct db_args args, uint64_t *ret_matched)
{
    struct question q = {.sql = sql, .args = args, .take = take_count};
    struct problem *p = ask(db, a, &q);
    if (!p && ret_matched)
        *ret_matched = q.matched;
    return p;
}

struct problem *db_find(struct db *db, struct arena *a, const struct sql *sql, struct db_args args,
                        void *ret_row, bool *ret_found)
{
    struct question q = {.sql = sql, .args = args, .take = take_one, .ret_row = ret_row};
    struct problem *p = ask(db, a, &q);
    if (!p)
        *ret_found = q.found;
    return p;
}

struct problem *db_each(struct db *db, struct arena *a, const struct sql *sql, struct db_args args,
                        void (*each)(void *context, const void *row), void *context)
{
    struct question q = {
        .sql = sql, .args = args, .take = take_each, .each = each, .context = context};
    return ask(db, a, &q);
}

static struct problem *run_once(struct db *db, struct arena *a, const char *text, bool repeatable)
{
    struct problem *p = db_ready(db, a);
    if (p)
        return p;
    int64_t began = db_wait_begin(db);
    db->counts.statements++;
    int rc = mysql_real_query(db->mysql, text, strlen(text));
    if (!rc)
        mysql_free_result(mysql_store_result(db->mysql)); /* mostly NULL, which does nothing */
    db_wait_end(db, began);
    return rc ? db_failed(db, a, repeatable, mysql_errno(db->mysql), mysql_error(db->mysql)) : NULL;
}

static struct problem *run(struct db *db, struct arena *a, const char *text, bool repeatable)
{
    for (unsigned tries = 1;; tries++) {
        struct problem *p = run_once(db, a, text, repeatable);
        if (db->in_transaction || !must_try_again(db, p, tries))
            return p;
    }
}

struct problem *db_run(struct db *db, struct arena *a, const char *text)
{
    return run(db, a, text, is_read(text));
}

struct problem *db_ping(struct db *db, struct arena *a)
{
    return run(db, a, "DO 0", true);
}

/* ---- transactions ---- */

/* When it fails, closing the connection has the same effect. */
static void run_or_disconnect(struct db *db, const char *text)
{
    if (!db->mysql)
        return;
    int64_t began = db_wait_begin(db);
    int rc = mysql_real_query(db->mysql, text, strlen(text));
    db_wait_end(db, began);
    if (rc)
        db_disconnect(db);
}

static void roll_back(struct db *db)
{
    run_or_disconnect(db, "ROLLBACK");
}

/* ---- guarded transactions ---- */

/* Without autocommit, what comes after an end that we have not noticed is another transaction; the
 * savepoint went with the first one. */
struct problem *db_guard(struct db *db, struct arena *a)
{
    static const char text[] = "BEGIN NOT ATOMIC SET autocommit = 0; SAVEPOINT guarded; END";
    if (!db->in_transaction)
        abort(); /* it would be the beginning of one that nobody ends */
    if (db->guarded)
        return NULL;
    db->guarded = true;
    return run_once(db, a, text, false);
}

static struct problem *check_guard(struct db *db, struct arena *a)
{
    struct problem *p = run_once(db, a, "RELEASE SAVEPOINT guarded", false);
    return p && p->db_error == ER_SP_DOES_NOT_EXIST ? db_conflict(db, a) : p;
}

/* After the transaction has ended, for this would commit it. */
static void end_guard(struct db *db)
{
    db->guarded = false;
    run_or_disconnect(db, "SET autocommit = 1");
}

/* ---- transactions ---- */

/* `in_transaction` ends before the COMMIT, since from here on a lost connection leaves the outcome
 * in doubt. It is sent once only, for on another connection it would succeed and commit nothing. */
static struct problem *transaction_once(struct db *db, struct arena *a,
                                        struct problem *(*body)(void *context), void *context)
{
    struct problem *p = run(db, a, "START TRANSACTION", true);
    if (p)
        return p;
    db->in_transaction = true;
    p = body(context);
    if (!p)
        p = db_ready(db, a); /* a body that overlooks its failures commits nothing */
    if (!p && db->guarded)
        p = check_guard(db, a);
    db->txn_failed = NULL;
    db->in_transaction = false;
    if (!p)
        p = run_once(db, a, "COMMIT", false);
    if (p)
        roll_back(db);
    if (db->guarded)
        end_guard(db);
    return p;
}

/* Was an in-doubt commit carried out? NULL when it was; `lost` for trying again when it was not;
 * `lost` as it is when that cannot be found out. */
static struct problem *resolve_in_doubt(struct db *db, struct problem *lost,
                                        struct problem *(*in_doubt)(void *context, bool *ret_yes),
                                        void *context)
{
    for (unsigned tries = 1;; tries++) {
        bool yes = false;
        struct problem *p = in_doubt(context, &yes);
        if (!p && yes)
            return NULL;
        if (!p)
            lost->retry = RETRY_AGAIN;
        if (!p || tries == DB_TRIES)
            return lost;
        pause_before_try(db, tries, PAUSE_IN_DOUBT_US);
    }
}

struct problem *db_in_doubt_repeat(void *context, bool *ret_yes)
{
    (void)context;
    *ret_yes = false;
    return NULL;
}

/* Another node of a cluster may learn of a commit after we have asked it: then the next try is in
 * conflict with that, or refused for what is written already, and we ask again. */
struct problem *db_transaction(struct db *db, struct arena *a,
                               struct problem *(*body)(void *context),
                               struct problem *(*in_doubt)(void *context, bool *ret_yes),
                               void *context)
{
    bool doubted = false;
    if (db->in_transaction)
        abort(); /* there is no transaction within a transaction */
    for (unsigned tries = 1;; tries++) {
        struct problem *p = transaction_once(db, a, body, context);
        enum retry retry = p ? p->retry : RETRY_NO;
        doubted = doubted || retry == RETRY_UNKNOWN;
        if (p && doubted && in_doubt)
            p = resolve_in_doubt(db, p, in_doubt, context);
        if (p && retry != RETRY_UNKNOWN)
            p->retry = retry;
        if (!must_try_again(db, p, tries))
            return p;
    }
}

/* ---- a transaction in one statement ---- */

/* Is a server that has not been asked for some time still there? That one hangs, or that nobody
 * knows of a connection any more, is better found out by a question of which nothing is in doubt.
 */
static struct problem *probe_idle(struct db *db, struct arena *a)
{
    static const char text[] = "DO 0";
    struct problem *p = db_ready(db, a);
    if (p || monotonic_ns() - db->heard_at < DB_PROBE_AFTER_S * INT64_C(1000000000))
        return p;
    int64_t began = db_wait_begin(db);
    int rc = mysql_real_query(db->mysql, text, strlen(text));
    db_wait_end(db, began);
    return rc ? db_failed(db, a, true, mysql_errno(db->mysql), mysql_error(db->mysql)) : NULL;
}

static struct problem *atomic_once(struct db *db, struct arena *a, const struct sql *sql,
                                   struct db_args args, bool *ret_done)
{
    struct question q = {.sql = sql, .args = args, .take = take_count};
    struct problem *p = probe_idle(db, a);
    if (!p)
        p = ask_once(db, a, &q);
    *ret_done = !p; /* and so false where there was nothing to do */
    if (p)          /* it has stopped in the middle of its transaction */
        roll_back(db);
    return db_is_none(p) ? NULL : p;
}

/* May it have been committed, though it failed? The connection was lost; it was interrupted, maybe
 * after its COMMIT; or an earlier try has come to its end on a connection that we have lost. */
static bool may_stand(const struct problem *p, bool doubted)
{
    return p &&
           (p->retry == RETRY_UNKNOWN || db_is_interrupted(p) || (doubted && db_is_duplicate(p)));
}

/* What was interrupted is not tried again: its limit or an operator would end it again. */
static struct problem *resolve_atomic(struct db *db, struct problem *p,
                                      struct problem *(*in_doubt)(void *context, bool *ret_yes),
                                      void *context)
{
    bool interrupted = db_is_interrupted(p);
    p = resolve_in_doubt(db, p, in_doubt, context);
    if (p && interrupted)
        p->retry = RETRY_NO;
    return p;
}

struct problem *db_execute_atomic(struct db *db, struct arena *a, const struct sql *sql,
                                  struct db_args args,
                                  struct problem *(*in_doubt)(void *context, bool *ret_yes),
                                  void *context, bool *ret_done)
{
    bool done, doubted = false;
    if (db->in_transaction)
        abort(); /* it would commit that one */
    for (unsigned tries = 1;; tries++) {
        struct problem *p = atomic_once(db, a, sql, args, &done);
        if (may_stand(p, doubted)) {
            p = resolve_atomic(db, p, in_doubt, context);
            done = doubted = true;
        }
        if (must_try_again(db, p, tries))
            continue;
        if (!p)
            *ret_done = done;
        return p;
    }
}
