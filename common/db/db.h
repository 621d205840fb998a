/* db.h -- one MariaDB connection: prepared statements, rows into structs, transactions, retries. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/instant.h"
#include "common/base/uuid.h"

struct db;
struct problem;
struct record; /* field.h */

/* One question to the database. `text` holds SQL made of constants only; `row` says into
 * which struct its result goes, matched by column name, and is NULL where there is none. */
struct sql {
    const char *text;
    const struct record *row;
    bool fresh; /* prepared each time: a plan is made that is better than that of later runs */
};

/* A value for a `?`. Make these with the functions below. */
struct db_arg {
    enum { DB_NULL, DB_TEXT, DB_BYTES, DB_INTEGER, DB_TIME, DB_UUID } type;
    union {
        struct text text; /* DB_TEXT, DB_BYTES: borrowed for the call */
        int64_t integer;
        struct instant time;
        struct uuid uuid;
    };
};

struct db_args {
    const struct db_arg *list;
    size_t count;
};

#define DB_ARGS(...)                                                                               \
    ((struct db_args){(const struct db_arg[]){__VA_ARGS__},                                        \
                      sizeof((const struct db_arg[]){__VA_ARGS__}) / sizeof(struct db_arg)})
#define DB_NO_ARGS ((struct db_args){NULL, 0})

struct db_arg db_text(struct text t); /* null data: NULL */
struct db_arg db_bytes(const void *data, size_t len);
struct db_arg db_integer(int64_t n);
struct db_arg db_time(struct instant t);
struct db_arg db_uuid(struct uuid id);

/* What it took to get answers. */
struct db_counts {
    uint64_t waited_ns;       /* for the server */
    uint64_t statements;      /* sent; those that begin and commit transactions are some */
    uint64_t retries;         /* of a statement, or of a whole transaction */
    uint64_t reconnects;      /* a connection was opened in the place of an earlier one */
    uint64_t failed_connects; /* a host did not let us in */
};

/**
 * Take note of where the database is; the connection is opened at the first use, and again
 * after it was lost.
 *
 * `url` is `mysql://user:password@host:port/name?socket=/path` with percent-encoding (RFC
 * 3986); host and port may be left out when a socket is given; db_url.h has the parameters of TLS,
 * without which a TCP connection is encrypted where the server offers it; several hosts are
 * separated by commas (`a:3306,b:3306`) and tried in that order; one that is read-only only when no
 * other answers, and then for some seconds until the others are tried again. problem_internal with
 * the fault in `cause`, never the password, for anything else. The parts are copied.
 */
struct problem *db_open(struct arena *a, const char *url, struct db **ret) MUST_USE;

/* What processes that use the same hosts tell each other; zeroed it says nothing. For the first
 * hosts of a list: when one that did not answer is asked again, by monotonic_ns(); 0: it answers.
 */
#define DB_SHARED_HOSTS 8
struct db_hosts {
    _Atomic int64_t pause[DB_SHARED_HOSTS];
};

/** From now on, share with other processes that have `hosts` in their memory; it must outlive `db`.
 *  So one process finds out that a host hangs, and one at a time asks it again. */
void db_share(struct db *db, struct db_hosts *hosts);

/** Close the connection and free everything. NULL does nothing. */
void db_close(struct db *db);

/**
 * Let no wait for the database go on for longer than `limit_ms` from now, whatever is asked; what
 * is asked after that is problem_unavailable at once. 0: no such limit. Holds until the next call.
 * db_limits.h has the limits that hold anyway.
 */
void db_limit(struct db *db, unsigned limit_ms);

/** Close the connection only; the next use opens it again. For idle times and after a fork. */
void db_disconnect(struct db *db);

/**
 * Hold on to one connection, opened now: for work that a lock of its session guards.
 *
 * Until db_unpin() no limit is set on how long a statement takes, and once the connection is lost
 * every statement is refused instead of going to another one.
 */
struct problem *db_pin(struct db *db, struct arena *a) MUST_USE;

/** Close the pinned connection, and with it what its session held. */
void db_unpin(struct db *db);

/** Which host it is connected to: "db1:3306", or "localhost" with the socket. Lives as long as `a`.
 */
const char *db_where(const struct db *db, struct arena *a);

/** Is it connected to another machine, as far as its host's name tells? localhost, 127.* and ::1
 * are this one. */
bool db_is_remote(const struct db *db);

/** Was its certificate verified before it was told who we are? */
bool db_is_verified(const struct db *db);

/**
 * Does any of the hosts refuse us, or we its certificate: the password, the account, or a database
 * of this name? Then problem_unavailable with its words. One that is down, or full, refuses nobody.
 */
struct problem *db_check_access(struct db *db, struct arena *a) MUST_USE;

/** Make sure that the server answers. */
struct problem *db_ping(struct db *db, struct arena *a) MUST_USE;

/** Run a statement that returns no rows. `ret_matched`, unless NULL, is the number of rows
 *  that it inserted, deleted, or found to update (changed or not). */
struct problem *db_execute(struct db *db, struct arena *a, const struct sql *sql,
                           struct db_args args, uint64_t *ret_matched) MUST_USE;

/** Read at most one row into `ret_row` (the struct that `sql->row` describes; text lives as
 *  long as `a`). `*ret_found` says whether there was one; `ret_row` is untouched if not. */
struct problem *db_find(struct db *db, struct arena *a, const struct sql *sql, struct db_args args,
                        void *ret_row, bool *ret_found) MUST_USE;

/** Call `each(context, row)` for every row, in order. The row and its texts are borrowed for that
 * call only; `each` must not use `db`. */
struct problem *db_each(struct db *db, struct arena *a, const struct sql *sql, struct db_args args,
                        void (*each)(void *context, const void *row), void *context) MUST_USE;

/** Run text as it stands, unprepared, for DDL and session settings. Never with input in it. */
struct problem *db_run(struct db *db, struct arena *a, const char *text) MUST_USE;

/**
 * Run `body(context)` in a transaction: commit when it returns NULL, else roll back.
 *
 * When the failure is one that a new try may fix (deadlock, lock wait, a host that
 * takes no writes, a connection lost before the commit was sent) the whole body runs again, at most
 * four times in all, with a growing random pause of some milliseconds; so it must be able to. When
 * the connection is lost during COMMIT and the outcome is in doubt, `in_doubt(context, &yes)`
 * resolves it on a new connection, with a locking read of what was written: yes ends in success, no
 * runs the body again; should that fail, the question is asked once more, and a yes means the last
 * run that returned NULL. With NULL for `in_doubt` the caller gets problem_unavailable with
 * RETRY_UNKNOWN.
 */
struct problem *db_transaction(struct db *db, struct arena *a,
                               struct problem *(*body)(void *context),
                               struct problem *(*in_doubt)(void *context, bool *ret_yes),
                               void *context) MUST_USE;

/* The text of a transaction in one statement, for db_execute_atomic(): of several with "; " between
 * them, and DB_ATOMIC_UNLESS_NONE after the first: if that wrote no row, nothing is done at all. */
#define DB_ATOMIC(statements) "BEGIN NOT ATOMIC START TRANSACTION; " statements "; COMMIT; END"
#define DB_ATOMIC_UNLESS_NONE                                                                      \
    "IF ROW_COUNT() = 0 THEN SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30001; END IF; "

/**
 * Run `sql`, whose text is a DB_ATOMIC(), as db_transaction() runs a body: in one round trip it is
 * carried out and committed, or leaves nothing, and it runs again for the same reasons. After
 * a second without an answer of the server a question comes first.
 *
 * `*ret_done` is false when DB_ATOMIC_UNLESS_NONE has found nothing to do. `in_doubt(context,
 * &yes)` is asked when the connection was lost meanwhile. The server may not have noticed the loss,
 * and may carry the lost statement out after the question: so the statement must insert a row under
 * a key of its own, which only one of two runs can do. When a later run finds the key taken
 * `in_doubt` is asked once more.
 */
struct problem *db_execute_atomic(struct db *db, struct arena *a, const struct sql *sql,
                                  struct db_args args,
                                  struct problem *(*in_doubt)(void *context, bool *ret_yes),
                                  void *context, bool *ret_done) MUST_USE;

/**
 * From here on, let nothing of the transaction be committed unless all of it is, even where the
 * server ends it in the middle and does not tell. For bodies whose statements would do harm one by
 * one, before the first that writes; costs three round trips. Twice does nothing.
 */
struct problem *db_guard(struct db *db, struct arena *a) MUST_USE;

/** For a body that finds that another transaction was in its way, though the server did not say so:
 *  return what this returns, and it runs again. */
struct problem *db_conflict(struct db *db, struct arena *a) MUST_USE;

/** For `in_doubt` of bodies that leave the same when they run twice: they run again. */
struct problem *db_in_doubt_repeat(void *context, bool *ret_yes) MUST_USE;

/** Is `p` the refusal of a write that would have broken the unique or foreign key `constraint`? */
bool db_is_violation(const struct problem *p, const char *constraint);

/** Is `p` the complaint that a table is not there? */
bool db_is_missing_table(const struct problem *p);

/** Or that a column is not? */
bool db_is_missing_column(const struct problem *p);

/** Did the account lack the right to do that to a table or one of its columns? */
bool db_is_denied(const struct problem *p);

/** Was another transaction in the way, however often it was tried? */
bool db_is_conflict(const struct problem *p);

/** Did a number not fit into its column? */
bool db_is_out_of_range(const struct problem *p);

/** Did a statement wait too long for a lock of another transaction? */
bool db_is_lock_timeout(const struct problem *p);

/** Did a statement take longer than its max_statement_time? */
bool db_is_statement_timeout(const struct problem *p);

/** What was counted since the last call. */
struct db_counts db_take_counts(struct db *db);
