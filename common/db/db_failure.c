#include "common/db/db_failure.h"

#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/problem.h"
#include "common/db/db_internal.h"
#include "common/db/db_limits.h"

/* Ours, in no release of MariaDB: DB_ATOMIC_UNLESS_NONE has it. */
#define ER_ATOMIC_NONE 30001

enum failure {
    FAILURE_SURROUNDINGS, /* the server's settings, rights, schema or load, or what an operator did
                           */
    FAILURE_LOST,         /* with the answer; whether the statement was carried out is not known */
    FAILURE_NOT_SENT,     /* the connection was gone before the statement went out */
    FAILURE_CONFLICT,     /* with another transaction */
    FAILURE_ELSEWHERE,    /* this server does not take writes; another one may */
    FAILURE_OURS,         /* a statement or a value that no server would take */
    FAILURE_DUPLICATE,
    FAILURE_REFERENCE,
};

/*
 * What only our own statements, and the values that we let through to them, can cause. That is a
 * bug of ours, a 500. There are a thousand more numbers, and more with each release, which say that
 * something around us is not as it should be: a 503. Missing tables and columns are among those,
 * for an operator brings the schema up to date.
 */
static bool is_ours(unsigned number)
{
    switch (number) {
    /* what is written */
    case ER_PARSE_ERROR:
    case ER_SYNTAX_ERROR:
    case ER_EMPTY_QUERY:
    case ER_NON_UNIQ_ERROR:
    case ER_NONUNIQ_TABLE:
    case ER_UNKNOWN_TABLE:
    case ER_FIELD_SPECIFIED_TWICE:
    case ER_WRONG_FIELD_WITH_GROUP:
    case ER_WRONG_GROUP_FIELD:
    case ER_INVALID_GROUP_FUNC_USE:
    case ER_MIX_OF_GROUP_FUNC_AND_FIELDS:
    case ER_UPDATE_TABLE_USED:
    case ER_DERIVED_MUST_HAVE_ALIAS:
    case ER_ILLEGAL_REFERENCE:
    case ER_OPERAND_COLUMNS:
    case ER_SUBQUERY_NO_1_ROW:
    case ER_WRONG_VALUE_COUNT:
    case ER_WRONG_VALUE_COUNT_ON_ROW:
    case ER_WRONG_NUMBER_OF_COLUMNS_IN_SELECT:
    case ER_WRONG_PARAMCOUNT_TO_NATIVE_FCT:
    case ER_WRONG_PARAMETERS_TO_NATIVE_FCT:
    case ER_WRONG_ARGUMENTS:
    case ER_WRONG_USAGE:
    case ER_UNSUPPORTED_PS:
    case ER_SP_DOES_NOT_EXIST: /* of a function as well */
    case ER_UNKNOWN_CHARACTER_SET:
    case ER_COLLATION_CHARSET_MISMATCH:
    case ER_CANT_AGGREGATE_2COLLATIONS:
    case ER_CANT_AGGREGATE_3COLLATIONS:
    case ER_CANT_AGGREGATE_NCOLLATIONS:
    case ER_REGEXP_ERROR:
    /* what is sent */
    case ER_BAD_NULL_ERROR:
    case ER_NO_DEFAULT_FOR_FIELD:
    case ER_WARN_DATA_OUT_OF_RANGE:
    case ER_DATA_OUT_OF_RANGE:
    case ER_DATA_TOO_LONG:
    case WARN_DATA_TRUNCATED:
    case ER_TRUNCATED_WRONG_VALUE:
    case ER_TRUNCATED_WRONG_VALUE_FOR_FIELD:
    case ER_WRONG_VALUE:
    case ER_WRONG_VALUE_FOR_TYPE:
    case ER_DIVISION_BY_ZERO:
    case ER_CONSTRAINT_FAILED:
    /* in which order */
    case ER_UNKNOWN_STMT_HANDLER:
    case ER_CANT_CHANGE_TX_CHARACTERISTICS:
    case CR_COMMANDS_OUT_OF_SYNC:
    case CR_NO_PREPARE_STMT:
    case CR_PARAMS_NOT_BOUND:
    case CR_INVALID_PARAMETER_NO:
    case CR_UNSUPPORTED_PARAM_TYPE:
    case CR_INVALID_BUFFER_USE:
    case CR_NO_DATA:
    case CR_NO_STMT_METADATA:
        return true;
    default:
        return false;
    }
}

/*
 * CR_SERVER_GONE_ERROR means that Connector/C could not hand the whole packet to the kernel (it
 * says CR_SERVER_LOST when the answer does not come), and a server does not act on part of a
 * packet. On a unix socket that the server has closed, for idleness or a restart, send() fails with
 * EPIPE at once, so nothing is in doubt. Over TCP the first send() succeeds even so, which gives
 * CR_SERVER_LOST, or with TLS CR_SSL_CONNECTION_ERROR: then only what is repeatable is tried again.
 */
static enum failure failure_of(unsigned number)
{
    switch (number) {
    case CR_SERVER_GONE_ERROR:
        return FAILURE_NOT_SENT;
    case CR_SERVER_LOST:
    case CR_SERVER_LOST_EXTENDED:
    case CR_SSL_CONNECTION_ERROR: /* an encrypted one's end */
    case ER_SERVER_SHUTDOWN:
    case ER_ABORTING_CONNECTION:
    case ER_CONNECTION_KILLED:
    case ER_ERROR_DURING_COMMIT: /* a Galera node that has lost the others meanwhile */
        return FAILURE_LOST;
    case ER_LOCK_DEADLOCK:
    case ER_LOCK_WAIT_TIMEOUT:
    case ER_CHECKREAD:
        return FAILURE_CONFLICT;
    case ER_UNKNOWN_COM_ERROR: /* a Galera node that is not ready */
    case ER_OPTION_PREVENTS_STATEMENT:
    case ER_OPEN_AS_READONLY: /* innodb_read_only */
    case ER_READ_ONLY_MODE:
    case ER_INNODB_READ_ONLY:
        return FAILURE_ELSEWHERE;
    case ER_DUP_ENTRY:
        return FAILURE_DUPLICATE;
    case ER_ROW_IS_REFERENCED_2:
    case ER_NO_REFERENCED_ROW_2:
        return FAILURE_REFERENCE;
    default:
        return is_ours(number) ? FAILURE_OURS : FAILURE_SURROUNDINGS;
    }
}

bool db_is_refusal(unsigned number)
{
    switch (number) {
    case ER_DBACCESS_DENIED_ERROR:
    case ER_ACCESS_DENIED_ERROR:
    case ER_ACCESS_DENIED_NO_PASSWORD_ERROR:
    case ER_BAD_DB_ERROR:
    case ER_HOST_NOT_PRIVILEGED:
    case ER_NOT_SUPPORTED_AUTH_MODE:
    case ER_SERVER_IS_IN_SECURE_AUTH_MODE:
    case ER_PLUGIN_IS_NOT_LOADED:
    case ER_MUST_CHANGE_PASSWORD:
    case ER_MUST_CHANGE_PASSWORD_LOGIN:
    case ER_ACCOUNT_HAS_BEEN_LOCKED:
    case CR_SSL_CONNECTION_ERROR: /* of its certificate, or it has none */
    case CR_SECURE_AUTH:
    case CR_AUTH_PLUGIN_CANNOT_LOAD:
    case CR_AUTH_PLUGIN_ERR:
        return true;
    default:
        return false;
    }
}

/* ---- what the caller is told ---- */

/* The text between the last `before` and the next `quote`: the name of a key in a message. */
static const char *quoted(struct arena *a, const char *message, const char *before, char quote)
{
    const char *name = NULL;
    for (const char *at = message; (at = strstr(at, before)); at++)
        name = at + strlen(before);
    const char *end = name ? strchr(name, quote) : NULL;
    return end ? arena_copy(a, name, (size_t)(end - name)) : NULL;
}

/* A duplicate's message holds the value, which is not for the log; its key is called
 * `uq_users_email` by MariaDB, and `users.uq_users_email` by others. */
static struct problem *duplicate(struct arena *a, unsigned number, const char *message)
{
    const char *key = quoted(a, message, "for key '", '\'');
    const char *dot = key ? strrchr(key, '.') : NULL;
    struct problem *p = problem_because(a, &problem_internal, "%u: duplicate entry for key %s",
                                        number, key ? key : "unknown");
    p->constraint = dot ? dot + 1 : key;
    return p;
}

static struct problem *describe(struct arena *a, enum failure failure, unsigned number,
                                const char *message)
{
    if (failure == FAILURE_DUPLICATE)
        return duplicate(a, number, message);
    bool internal = failure == FAILURE_OURS || failure == FAILURE_REFERENCE;
    struct problem *p = problem_because(a, internal ? &problem_internal : &problem_unavailable,
                                        "%u: %s", number, message);
    if (failure == FAILURE_REFERENCE)
        p->constraint = quoted(a, message, "CONSTRAINT `", '`');
    return p;
}

/* We broke off ourselves: the library's message does not tell the reason. */
static struct problem *describe_wait(struct db *db, struct arena *a)
{
    const char *why = db->wait.outcome == WAIT_FROZEN ? "does not answer, and greets nobody"
                                                      : "took longer than we wait for an answer";
    return problem_because(a, &problem_unavailable, "database at %s %s", db_where(db, a), why);
}

static bool ends_connection(enum failure failure, unsigned number)
{
    return failure == FAILURE_LOST || failure == FAILURE_NOT_SENT || failure == FAILURE_ELSEWHERE ||
           IS_MYSQL_ERROR(number); /* the library and the server are out of step */
}

static enum retry retry_of(const struct db *db, enum failure failure, bool repeatable)
{
    if (failure == FAILURE_NOT_SENT || failure == FAILURE_CONFLICT || failure == FAILURE_ELSEWHERE)
        return RETRY_AGAIN;
    if (failure != FAILURE_LOST)
        return RETRY_NO;
    if (!repeatable && !db->in_transaction)
        return RETRY_UNKNOWN;
    /* What took too long would take too long again. */
    return db->wait.outcome == WAIT_TOO_LONG ? RETRY_NO : RETRY_AGAIN;
}

struct problem *db_failed(struct db *db, struct arena *a, bool repeatable, unsigned number,
                          const char *message)
{
    bool gave_up = db->wait.outcome != WAIT_GOES_ON;
    enum failure failure = gave_up ? FAILURE_LOST : failure_of(number);
    struct problem *p = gave_up ? describe_wait(db, a)
                                : describe(a, failure, number, message); /* before it is freed */
    p->db_error = number;
    p->retry = retry_of(db, failure, repeatable);
    bool ends = ends_connection(failure, number);
    if (ends)
        db_disconnect(db);
    if (db->wait.outcome == WAIT_FROZEN)
        db_back_off(db, db->host, DB_CONNECT_LIMIT_S * INT64_C(1000000000), true);
    if (failure == FAILURE_ELSEWHERE)
        db->host = (db->host + 1) % db->url.host_count;
    else if (ends)
        db->host = 0;
    if (db->in_transaction && (ends || failure == FAILURE_CONFLICT))
        db->txn_failed = p;
    return p;
}

struct problem *db_conflict(struct db *db, struct arena *a)
{
    return db_failed(db, a, false, ER_LOCK_DEADLOCK, "another transaction was in the way");
}

/* The library notes an error between rows at the connection only. */
struct problem *db_statement_failed(struct db *db, struct arena *a, bool repeatable,
                                    const struct statement *s)
{
    unsigned number = mysql_stmt_errno(s->handle);
    if (number)
        return db_failed(db, a, repeatable, number, mysql_stmt_error(s->handle));
    return db_failed(db, a, repeatable, mysql_errno(db->mysql), mysql_error(db->mysql));
}

bool db_is_violation(const struct problem *p, const char *constraint)
{
    return p && p->constraint && strcmp(p->constraint, constraint) == 0;
}

bool db_is_missing_table(const struct problem *p)
{
    return p && p->db_error == ER_NO_SUCH_TABLE;
}

bool db_is_missing_column(const struct problem *p)
{
    return p && p->db_error == ER_BAD_FIELD_ERROR;
}

bool db_is_denied(const struct problem *p)
{
    return p && (p->db_error == ER_TABLEACCESS_DENIED_ERROR ||
                 p->db_error == ER_COLUMNACCESS_DENIED_ERROR);
}

bool db_is_conflict(const struct problem *p)
{
    return p && p->db_error == ER_LOCK_DEADLOCK;
}

bool db_is_out_of_range(const struct problem *p)
{
    return p && p->db_error == ER_WARN_DATA_OUT_OF_RANGE;
}

bool db_is_lock_timeout(const struct problem *p)
{
    return p && p->db_error == ER_LOCK_WAIT_TIMEOUT;
}

/* HA_ERR_ABORTED_BY_USER, with "Unknown error 188" for its message: what comes of a statement whose
 * time runs out in InnoDB's word index. */
#define INTERRUPTED_IN_WORD_INDEX 188

bool db_is_statement_timeout(const struct problem *p)
{
    return p && (p->db_error == ER_STATEMENT_TIMEOUT || p->db_error == INTERRUPTED_IN_WORD_INDEX);
}

struct problem *db_statement_timeout(struct arena *a)
{
    struct problem *p = problem_because(a, &problem_unavailable, "a statement took its whole time");
    p->db_error = ER_STATEMENT_TIMEOUT;
    return p;
}

bool db_is_none(const struct problem *p)
{
    return p && p->db_error == ER_ATOMIC_NONE;
}

bool db_is_interrupted(const struct problem *p)
{
    return p && (p->db_error == ER_QUERY_INTERRUPTED || p->db_error == ER_STATEMENT_TIMEOUT);
}

bool db_is_duplicate(const struct problem *p)
{
    return p && p->db_error == ER_DUP_ENTRY;
}
