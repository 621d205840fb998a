#include "common/db/db.h"

#include <ctype.h>
#include <errmsg.h>
#include <errno.h>
#include <fcntl.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/db/db_limits.h"
#include "common/db/db_url.h"
#include "common/field/field.h"
#include "common/base/problem.h"

#define WRITE_LIMIT_S DB_ANSWER_LIMIT_S
#define PROBE_EVERY_MS 2000 /* after the first time */
#define HANGS_FROM_MS 1900  /* of DB_CONNECT_LIMIT_S; less, and it was a request's own limit */
#define PAUSE_MAX_MS 10000  /* longer ones do not count: memory may be from another boot */
#define BACK_OFF_NS                                                                                \
    INT64_C(5000000000)  /* a host that did not answer is left alone for so long,                  \
                          */
#define BACK_OFF_TIMES 5 /* and so many times as long as it kept us waiting */
#define READ_ONLY_HOST_NS INT64_C(5000000000) /* one without writes is kept for so long */
#define PAUSE_US 4000                         /* the longest before the second try; doubles */
#define PAUSE_UNKNOWN_US                                                                           \
    50000                    /* the same while asking how a commit ended: a restart takes as long */
#define STATEMENTS_MAX 64    /* of one connection */
#define TEXT_ROOM_FIRST 1024 /* bytes of a text column, until a longer one comes */
#define TEXT_ROOM_KEPT (1024 * 1024)
#define DEFAULT_PORT 3306

#define NUMBER(n) NUMBER_OF(n)
#define NUMBER_OF(n) #n

/*
 * Whatever the server's configuration or its init_connect says, a statement means the same. Set
 * here is each session variable (MariaDB's "Server System Variables", 10.11 to 11.8) that changes
 *   - where a transaction begins and ends, and what it sees: READ COMMITTED because REPEATABLE READ
 *     locks gaps, and so more than we ask for. Setting autocommit from 0 to 1 also ends a
 *     transaction that init_connect has left open;
 *   - how text is read and compared, also in messages, which the names of keys are taken from;
 *   - which rows are checked, found, sorted or changed;
 *   - what DDL makes.
 * Not set is what the server's operator decides: limits of time (but for two that our own stand in
 * an order with) and memory, logging, replication, plans, caches, and `timestamp`, since it is the
 * server's clock to us, which `doctor` compares. Numbers stand in the place of '', which is NULL to
 * an sql_mode of EMPTY_STRING_IS_NULL.
 */
#define SESSION                                                                                    \
    "SET completion_type = 0, autocommit = 0, autocommit = 1, tx_read_only = 0,"                   \
    " tx_isolation = 'READ-COMMITTED',"                                                            \
    " sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION',"           \
    " old_mode = 0, time_zone = '+00:00', lc_messages = 'en_US', lc_time_names = 'en_US',"         \
    " character_set_client = utf8mb4, character_set_results = utf8mb4,"                            \
    " collation_connection = utf8mb4_unicode_ci,"                                                  \
    " foreign_key_checks = 1, unique_checks = 1, check_constraint_checks = 1,"                     \
    " sql_safe_updates = 0, sql_select_limit = 18446744073709551615,"                              \
    " max_join_size = 18446744073709551615, sql_big_selects = 1, sql_auto_is_null = 0,"            \
    " group_concat_max_len = 1048576, div_precision_increment = 4, max_sort_length = 1024,"        \
    " default_week_format = 0, default_regex_flags = 0,"                                           \
    " sql_if_exists = 0, default_storage_engine = 'InnoDB', alter_algorithm = 'DEFAULT',"          \
    " innodb_strict_mode = 1, explicit_defaults_for_timestamp = 1,"                                \
    " innodb_ft_enable_stopword = 0,"                                                              \
    " innodb_lock_wait_timeout = " NUMBER(DB_LOCK_LIMIT_S) ", max_statement_time = "

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
    bool grown; /* a column has more than TEXT_ROOM_KEPT */
    void *row;  /* one struct of `record` */
};

/* A host that did not answer, by monotonic_ns(); all zero for one that did not fail yet. Until
 * `until` the others come first. */
struct backed_off {
    int64_t since, until;
};

/* One call to the library. It asks await() to wait. */
struct wait {
    const struct db *db;
    int64_t end;      /* by monotonic_ns() */
    int64_t probe_at; /* when to look whether the host is frozen; FOREVER: never */
    enum {
        WAIT_GOES_ON,
        WAIT_TOO_LONG, /* by our limit; the host is alive, as far as we know */
        WAIT_FROZEN,   /* the host does not answer others either */
    } outcome;
};
#define FOREVER INT64_MAX

struct db {
    struct db_url url;
    size_t host; /* of url.hosts: the one to begin with, and then the one in use */
    struct backed_off *backed_off; /* for each */
    struct db_hosts *hosts;        /* db_share(), or our own */
    struct db_hosts own_hosts;
    int64_t leave_at; /* when to look for a better host than the one in use; 0: it is good */

    MYSQL *mysql;   /* NULL: not connected */
    unsigned owner; /* `generation` when it was connected */
    bool pinned, in_transaction;
    int64_t deadline;           /* db_limit(); FOREVER: none */
    struct wait wait;           /* the latest one */
    bool busy;                  /* rows are being handed out */
    struct problem *txn_failed; /* why the transaction under way cannot be committed any more */

    struct statement statements[STATEMENTS_MAX];
    size_t statement_count;
    uint64_t uses;

    struct db_counts counts;
    bool was_connected;
    uint64_t random;
};

/* One call of db_execute(), db_find() or db_each(), and what it must do with the answer. */
struct question {
    const struct sql *sql;
    struct db_args args;
    bool harmless; /* may be asked again when the connection is lost */
    struct problem *(*take)(struct db *, struct arena *, struct statement *, struct question *);
    uint64_t matched;
    void *ret_row;
    bool found;
    void (*each)(void *context, const void *row);
    void *context;
};

/* Counts the forks between the first process and this one: a child must not use what its parent
 * has connected, and getpid() would be a system call for each statement. */
static unsigned generation;

static void note_fork(void)
{
    generation++;
}

static void *must(void *p)
{
    if (!p) {
        fputs("postern: out of memory: db\n", stderr);
        exit(EX_SOFTWARE);
    }
    return p;
}

struct problem *db_open(struct arena *a, const char *url, struct db **ret)
{
    struct db_url parts;
    struct problem *p = db_url_read(a, url, &parts);
    if (p)
        return p;
    static bool watching;
    if (!watching && pthread_atfork(NULL, NULL, note_fork) != 0)
        must(NULL);
    watching = true;
    struct db *db = must(calloc(1, sizeof *db));
    db->url = parts;
    db->deadline = FOREVER;
    db->hosts = &db->own_hosts;
    db->backed_off = must(calloc(parts.host_count, sizeof *db->backed_off));
    *ret = db;
    return NULL;
}

void db_share(struct db *db, struct db_hosts *hosts)
{
    db->hosts = hosts;
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

/* ---- the connection ---- */

static void release_statement(struct statement *s)
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

/* A child's copy of its parent's connection: closing it must not say good-bye to the server in
 * the parent's name, so the farewell goes nowhere. */
static void drop_forked_socket(MYSQL *mysql)
{
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nowhere < 0 || dup2(nowhere, (int)mysql_get_socket(mysql)) < 0)
        abort();
    close(nowhere);
}

void db_disconnect(struct db *db)
{
    if (!db->mysql)
        return;
    if (db->owner != generation)
        drop_forked_socket(db->mysql);
    mysql_close(db->mysql); /* first: then the statements are closed without a message for each */
    for (size_t i = 0; i < db->statement_count; i++)
        release_statement(&db->statements[i]);
    db->statement_count = 0;
    db->mysql = NULL;
}

/* ---- waiting ---- */

/* What the library waits for; NULL: something that takes no time, such as a farewell. */
static _Thread_local struct wait *waiting;

static int64_t in_ms(int64_t ms)
{
    return monotonic_ns() + ms * 1000000;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* As poll(2) for one descriptor, to a moment. */
static int poll_until(int fd, short events, int64_t end)
{
    struct pollfd on = {.fd = fd, .events = events};
    for (;;) {
        int64_t left = end - monotonic_ns();
        const struct timespec limit = {left > 0 ? left / 1000000000 : 0,
                                       left > 0 ? left % 1000000000 : 0};
        int rc = ppoll(&on, 1, end == FOREVER ? NULL : &limit, NULL);
        if (rc >= 0 || errno != EINTR)
            return rc;
    }
}

static bool host_greets(const struct db *db);

/* How the library waits: so long as poll(2) says. Its own limits are whole seconds, begin again
 * with each packet, and do not tell a long statement from a server that is frozen. */
static int await(my_socket fd, my_bool is_read, int timeout_ms)
{
    struct wait *w = waiting;
    short events = is_read ? POLLIN : POLLOUT;
    if (!w)
        return poll_until(fd, events, timeout_ms < 0 ? FOREVER : in_ms(timeout_ms));
    for (;;) {
        int rc = poll_until(fd, events, earlier(w->end, w->probe_at));
        if (rc)
            return rc;
        if (monotonic_ns() >= w->end) {
            w->outcome = WAIT_TOO_LONG;
            return 0;
        }
        if (!host_greets(w->db)) {
            rc = poll_until(fd, events, 0); /* did it come meanwhile? */
            w->outcome = rc ? WAIT_GOES_ON : WAIT_FROZEN;
            return rc;
        }
        w->probe_at = in_ms(PROBE_EVERY_MS);
    }
}

/* Around each call that may wait for the server. Returns when it began. */
static int64_t wait_begin(struct db *db)
{
    int64_t began = monotonic_ns();
    db->wait = (struct wait){.db = db, .end = FOREVER, .probe_at = FOREVER};
    if (!db->pinned) {
        db->wait.end = earlier(in_ms(DB_ANSWER_LIMIT_S * 1000), db->deadline);
        db->wait.probe_at = in_ms(DB_PROBE_AFTER_S * 1000);
    }
    waiting = &db->wait;
    return began;
}

static void wait_end(struct db *db, int64_t began)
{
    db->counts.waited_ns += monotonic_ns() - began;
    waiting = NULL;
}

void db_limit(struct db *db, unsigned limit_ms)
{
    db->deadline = limit_ms ? in_ms(limit_ms) : FOREVER;
}

static void set_options(MYSQL *mysql, const struct db_host *host, bool by_socket, bool unlimited)
{
    unsigned connect_s = DB_CONNECT_LIMIT_S;
    unsigned read_s = unlimited ? 0 : DB_ANSWER_LIMIT_S;
    unsigned write_s = WRITE_LIMIT_S;
    unsigned local_infile = 0; /* no server must ask for our files */
    unsigned tcp = MYSQL_PROTOCOL_TCP;
    my_bool reconnect = 0; /* it would lose transactions without a word */
    mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
    mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &read_s);
    mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &write_s);
    mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &local_infile);
    mysql_options(mysql, MYSQL_OPT_RECONNECT, &reconnect);
    mysql_optionsv(mysql, MARIADB_OPT_IO_WAIT, await);
    mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    if (!by_socket && host->port) /* else `localhost` would mean the library's default socket */
        mysql_options(mysql, MYSQL_OPT_PROTOCOL, &tcp);
}

static bool is_by_socket(const struct db *db, const struct db_host *host)
{
    return db->url.socket && strcmp(host->name, "localhost") == 0;
}

static bool open_mysql(const struct db *db, const struct db_host *host, MYSQL *mysql)
{
    bool by_socket = is_by_socket(db, host);
    unsigned port = host->port ? host->port : DEFAULT_PORT;
    set_options(mysql, host, by_socket, db->pinned);
    return mysql_real_connect(mysql, host->name, db->url.user, db->url.password, db->url.name, port,
                              by_socket ? db->url.socket : NULL, CLIENT_FOUND_ROWS) != NULL;
}

/* Does the host that keeps us waiting let a newcomer in, or send one away? A server at a long
 * statement does, and so does one that is full. It is a whole login, for a server counts
 * connections that break off and shuts their host out in the end. */
static bool host_greets(const struct db *db)
{
    struct wait own = {.db = db,
                       .end = earlier(in_ms(DB_CONNECT_LIMIT_S * 1000), db->deadline),
                       .probe_at = FOREVER};
    struct wait *outer = waiting;
    MYSQL *mysql = must(mysql_init(NULL));
    waiting = &own;
    bool greets = open_mysql(db, &db->url.hosts[db->host], mysql) ||
                  !IS_MYSQL_ERROR(mysql_errno(mysql)) || monotonic_ns() >= db->deadline;
    mysql_close(mysql);
    waiting = outer;
    return greets;
}

static struct problem *connect_to(struct db *db, struct arena *a, const struct db_host *host)
{
    /* Who is stopped within a transaction keeps nobody waiting for its rows for long. */
    const char *session =
        db->pinned ? SESSION "0"
                   : SESSION NUMBER(DB_STATEMENT_LIMIT_S) ", idle_transaction_timeout = " NUMBER(
                         DB_STATEMENT_LIMIT_S);
    MYSQL *mysql = must(mysql_init(NULL));
    db->wait = (struct wait){.db = db,
                             .end = earlier(in_ms(DB_CONNECT_LIMIT_S * 1000), db->deadline),
                             .probe_at = FOREVER};
    waiting = &db->wait;
    struct problem *p = NULL;
    if (!open_mysql(db, host, mysql) || mysql_real_query(mysql, session, strlen(session))) {
        p = problem_because(a, &problem_unavailable, "database at %s: %u: %s", host->name,
                            mysql_errno(mysql), mysql_error(mysql));
        p->db_error = mysql_errno(mysql);
        mysql_close(mysql);
    }
    waiting = NULL;
    if (p)
        return p;
    db->mysql = mysql;
    db->owner = generation;
    return NULL;
}

const char *db_where(const struct db *db, struct arena *a)
{
    const struct db_host *host = &db->url.hosts[db->host];
    if (is_by_socket(db, host))
        return arena_printf(a, "%s, %s", host->name, db->url.socket);
    return arena_printf(a, "%s:%u", host->name, host->port ? host->port : DEFAULT_PORT);
}

/* Does the server that we are connected to take writes? A replica does not, nor does a demoted
 * primary that came back as the manual of failovers wants it. */
static bool takes_writes(struct db *db)
{
    /* The first became a word in later versions; the second makes the tables of every host
     * read-only that begins so, and says nothing in the first. */
    static const char question[] =
        "SELECT @@global.read_only IN ('0', 'OFF') AND NOT @@global.innodb_read_only";
    MYSQL_RES *answer = NULL;
    int64_t began = wait_begin(db);
    if (mysql_real_query(db->mysql, question, strlen(question)) == 0)
        answer = mysql_store_result(db->mysql);
    wait_end(db, began);
    MYSQL_ROW row = answer ? mysql_fetch_row(answer) : NULL;
    bool yes = row && row[0] && strcmp(row[0], "1") == 0;
    mysql_free_result(answer);
    return yes;
}

/* ---- hosts that hang ---- */

/* A host that let us wait in vain is not asked for a while, even where there is no other: or all
 * workers would hang in it, one request after another. Hosts beyond those that are shared have none
 * to tell of it. */
static _Atomic int64_t *pause_of(struct db *db, size_t host)
{
    return host < DB_SHARED_HOSTS ? &db->hosts->pause[host] : NULL;
}

static bool is_paused(struct db *db, size_t host)
{
    _Atomic int64_t *at = pause_of(db, host);
    int64_t pause = at ? atomic_load(at) : 0;
    int64_t left = pause ? pause - monotonic_ns() : 0;
    return left > 0 && left <= PAUSE_MAX_MS * INT64_C(1000000);
}

/* When a pause is over, the first who comes is the one to try; the others see another pause. */
static bool may_try(struct db *db, size_t host)
{
    _Atomic int64_t *at = pause_of(db, host);
    int64_t pause = at ? atomic_load(at) : 0;
    if (!pause)
        return true;
    return !is_paused(db, host) &&
           atomic_compare_exchange_strong(at, &pause, in_ms(DB_CONNECT_LIMIT_S * 1000));
}

static void set_pause(struct db *db, size_t host, int64_t ns)
{
    _Atomic int64_t *at = pause_of(db, host);
    if (at)
        atomic_store(at, ns ? monotonic_ns() + ns : 0);
}

/* It failed to answer, and kept us waiting for `cost` ns. `hangs`: it said nothing at all. */
static void shun(struct db *db, size_t host, int64_t cost, bool hangs)
{
    int64_t now = monotonic_ns();
    db->backed_off[host] = (struct backed_off){now, now + BACK_OFF_NS + BACK_OFF_TIMES * cost};
    set_pause(db, host, hangs ? cost : 0);
}

/* Connect to a host and stay, unless it takes no writes while there are others: such a one is
 * only noted, the first of them in `lesser`. */
static struct problem *try_host(struct db *db, struct arena *a, size_t host, size_t *read_only_host)
{
    int64_t began = monotonic_ns();
    struct problem *p = connect_to(db, a, &db->url.hosts[host]);
    if (p) {
        int64_t cost = monotonic_ns() - began;
        shun(db, host, cost,
             IS_MYSQL_ERROR(p->db_error) && cost >= HANGS_FROM_MS * INT64_C(1000000));
        db->counts.failed_connects++;
        return p;
    }
    set_pause(db, host, 0);
    db->host = host;
    if (db->url.host_count == 1 || takes_writes(db))
        return NULL;
    db_disconnect(db);
    if (*read_only_host == db->url.host_count)
        *read_only_host = host;
    return NULL;
}

/* Did it fail to answer a moment ago, before this search `began`? One that drops packets costs the
 * whole time-out, so it is asked again only when nobody else answers. */
static bool is_backed_off(const struct db *db, size_t host, int64_t began)
{
    return db->backed_off[host].since < began && began < db->backed_off[host].until;
}

/* Try the hosts in order, beginning with `db->host`, and in a second round those that are shunned.
 * The first that takes writes is it, else the first that answers. */
static struct problem *connect_any(struct db *db, struct arena *a)
{
    struct problem *p = NULL;
    size_t count = db->url.host_count, first = db->host, read_only_host = count;
    int64_t began = monotonic_ns();
    for (size_t i = 0; i < 2 * count && !db->mysql && (i < count || read_only_host == count); i++) {
        size_t host = (first + i) % count;
        if (is_backed_off(db, host, began) == (i >= count) && may_try(db, host))
            p = try_host(db, a, host, &read_only_host);
    }
    db->leave_at = 0;
    if (!db->mysql && read_only_host < count) {
        db->leave_at = monotonic_ns() + READ_ONLY_HOST_NS;
        db->host = read_only_host;
        p = connect_to(db, a, &db->url.hosts[read_only_host]);
    } else if (!db->mysql && !p) {
        p = problem_because(a, &problem_unavailable,
                            "database at %s did not answer a moment ago; it is asked again soon",
                            db->url.hosts[first].name);
    }
    if (p)
        db->host = 0;
    db->counts.reconnects += !p && db->was_connected;
    db->was_connected |= !p;
    db->counts.waited_ns += monotonic_ns() - began;
    return p;
}

/* For a better host; or since somebody has found out that this one hangs. */
static bool shall_leave(struct db *db)
{
    return (db->leave_at && monotonic_ns() > db->leave_at) || is_paused(db, db->host);
}

/* Be connected, or say why no statement may run now. */
static struct problem *ready(struct db *db, struct arena *a)
{
    if (db->busy)
        abort(); /* `each` uses the connection that its row comes from */
    if (db->txn_failed)
        return db->txn_failed;
    if (db->mysql && db->owner != generation)
        db_disconnect(db);
    if (db->mysql && !db->in_transaction && !db->pinned && shall_leave(db))
        db_disconnect(db);
    if (monotonic_ns() >= db->deadline)
        return problem_because(a, &problem_unavailable, "the time for this request is used up");
    if (db->mysql)
        return NULL;
    if (!db->in_transaction && !db->pinned)
        return connect_any(db, a);
    struct problem *p = problem_because(
        a, &problem_unavailable, "the connection is gone, and with it what its session held");
    if (db->in_transaction) {
        p->retry = RETRY_AGAIN;
        db->txn_failed = p;
    }
    return p;
}

struct problem *db_pin(struct db *db, struct arena *a)
{
    db_disconnect(db);
    db->pinned = true;
    struct problem *p = connect_any(db, a);
    if (p)
        db->pinned = false;
    return p;
}

void db_unpin(struct db *db)
{
    db_disconnect(db);
    db->pinned = false;
}

/* Who is away may be there the next moment; who refuses us will do so until somebody changes the
 * configuration, or the account. */
static bool is_refusal(unsigned number)
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
    case CR_SECURE_AUTH:
    case CR_AUTH_PLUGIN_CANNOT_LOAD:
    case CR_AUTH_PLUGIN_ERR:
        return true;
    default:
        return false;
    }
}

struct problem *db_check_access(struct db *db, struct arena *a)
{
    for (size_t i = 0; i < db->url.host_count; i++) {
        db_disconnect(db);
        struct problem *p = connect_to(db, a, &db->url.hosts[i]);
        if (p && is_refusal(p->db_error))
            return p;
    }
    db_disconnect(db);
    return NULL;
}

/* ---- failures ---- */

enum failure {
    FAILURE_SURROUNDINGS, /* the server's settings, rights, schema, load, or an operator's deed */
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
 * bug of ours, a 500; there are a thousand more numbers, and more with each release, which say
 * that something around us is not as it should be: a 503. Tables and columns that are not there are
 * among those, for the schema is an operator's to bring up to date.
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
 * CR_SERVER_LOST: then only what is harmless is tried again.
 */
static enum failure failure_of(unsigned number)
{
    switch (number) {
    case CR_SERVER_GONE_ERROR:
        return FAILURE_NOT_SENT;
    case CR_SERVER_LOST:
    case CR_SERVER_LOST_EXTENDED:
    case ER_SERVER_SHUTDOWN:
    case ER_ABORTING_CONNECTION:
    case ER_CONNECTION_KILLED:
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

/* It is we who broke off: the library's words for that are not the reason. */
static struct problem *describe_wait(struct db *db, struct arena *a)
{
    const char *why = db->wait.outcome == WAIT_FROZEN ? "does not answer, and greets nobody"
                                                      : "took longer than we wait for an answer";
    return problem_because(a, &problem_unavailable, "database at %s %s", db_where(db, a), why);
}

static bool ends_connection(enum failure failure, unsigned number)
{
    return failure == FAILURE_LOST || failure == FAILURE_NOT_SENT || failure == FAILURE_ELSEWHERE ||
           IS_MYSQL_ERROR(number); /* the library has lost its way */
}

static enum retry retry_of(const struct db *db, enum failure failure, bool harmless)
{
    if (failure == FAILURE_NOT_SENT || failure == FAILURE_CONFLICT || failure == FAILURE_ELSEWHERE)
        return RETRY_AGAIN;
    if (failure != FAILURE_LOST)
        return RETRY_NO;
    if (!harmless && !db->in_transaction)
        return RETRY_UNKNOWN;
    /* What took too long would again. */
    return db->wait.outcome == WAIT_TOO_LONG ? RETRY_NO : RETRY_AGAIN;
}

/* Turn an error into a problem, and leave `db` as the error demands. `harmless`: the statement
 * changes nothing, or was only prepared. */
static struct problem *failed(struct db *db, struct arena *a, bool harmless, unsigned number,
                              const char *message)
{
    bool gave_up = db->wait.outcome != WAIT_GOES_ON;
    enum failure failure = gave_up ? FAILURE_LOST : failure_of(number);
    struct problem *p = gave_up ? describe_wait(db, a)
                                : describe(a, failure, number, message); /* before it is freed */
    p->db_error = number;
    p->retry = retry_of(db, failure, harmless);
    bool ends = ends_connection(failure, number);
    if (ends)
        db_disconnect(db);
    if (db->wait.outcome == WAIT_FROZEN)
        shun(db, db->host, DB_CONNECT_LIMIT_S * INT64_C(1000000000), true);
    if (failure == FAILURE_ELSEWHERE)
        db->host = (db->host + 1) % db->url.host_count;
    else if (ends)
        db->host = 0;
    if (db->in_transaction && (ends || failure == FAILURE_CONFLICT))
        db->txn_failed = p;
    return p;
}

/* An error that comes amid rows is noted at the connection only. */
static struct problem *statement_failed(struct db *db, struct arena *a, bool harmless,
                                        const struct statement *s)
{
    unsigned number = mysql_stmt_errno(s->handle);
    if (number)
        return failed(db, a, harmless, number, mysql_stmt_error(s->handle));
    return failed(db, a, harmless, mysql_errno(db->mysql), mysql_error(db->mysql));
}

/* Sleep a random time, so that those who ran into each other do not meet again: up to
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
static bool shall_try_again(struct db *db, const struct problem *p, unsigned tries)
{
    if (!p || p->retry != RETRY_AGAIN || tries == DB_TRIES)
        return false;
    db->counts.retries++;
    if (db->mysql) /* a lost connection is replaced at once */
        pause_before_try(db, tries, PAUSE_US);
    return true;
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

bool db_is_lock_timeout(const struct problem *p)
{
    return p && p->db_error == ER_LOCK_WAIT_TIMEOUT;
}

struct db_counts db_take_counts(struct db *db)
{
    struct db_counts counts = db->counts;
    db->counts = (struct db_counts){0};
    return counts;
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
 * behind the point. */
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
    c->text = must(realloc(c->text, room + 1));
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

/* Columns meet fields by name, once. */
static struct problem *bind_columns(struct arena *a, struct statement *s)
{
    size_t count = mysql_stmt_field_count(s->handle);
    const MYSQL_FIELD *meta = mariadb_stmt_fetch_fields(s->handle);
    if (!count)
        return NULL;
    if (!s->record)
        return problem_because(a, &problem_internal, "rows without a record: %s", s->text);
    s->columns = must(calloc(count, sizeof *s->columns));
    s->results = must(calloc(count, sizeof *s->results));
    s->row = must(calloc(1, s->record->size));
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
        return problem_because(a, &problem_internal, "%s", mysql_stmt_error(s->handle));
    return NULL;
}

static struct problem *prepare(struct db *db, struct arena *a, struct statement *s)
{
    s->handle = must(mysql_stmt_init(db->mysql));
    int64_t began = wait_begin(db);
    int rc = mysql_stmt_prepare(s->handle, s->text, s->len);
    wait_end(db, began);
    if (rc)
        return statement_failed(db, a, true, s);
    s->param_count = mysql_stmt_param_count(s->handle);
    s->slots = must(calloc(s->param_count + 1, sizeof *s->slots)); /* never of no bytes */
    s->params = must(calloc(s->param_count + 1, sizeof *s->params));
    for (size_t i = 0; i < s->param_count; i++) {
        s->params[i].buffer_type = MYSQL_TYPE_STRING;
        s->params[i].length = &s->slots[i].len;
        s->params[i].is_null = &s->slots[i].is_null;
    }
    return bind_columns(a, s);
}

/* Give back the one that was not used for longest, for this or for others. */
static void release_oldest(struct db *db)
{
    struct statement *oldest = db->statements;
    for (size_t i = 1; i < db->statement_count; i++)
        if (db->statements[i].last_used < oldest->last_used)
            oldest = &db->statements[i];
    release_statement(oldest);
    *oldest = db->statements[--db->statement_count]; /* bound are arrays of its own, which stay */
}

/* Statements are told apart by what they say: a text may be composed again in some arena each
 * time, or another one stand in its place. */
static struct statement *find_statement(struct db *db, const struct sql *sql, size_t len)
{
    for (size_t i = 0; i < db->statement_count; i++) {
        struct statement *s = &db->statements[i];
        if (s->len == len && s->record == sql->row && memcmp(s->text, sql->text, len) == 0)
            return s;
    }
    return NULL;
}

/* The server has one number for the statements of all that use it, others too. Where that is
 * reached, we go on with fewer than we had. */
static struct problem *prepare_new(struct db *db, struct arena *a, const struct sql *sql,
                                   struct statement *ret)
{
    for (;;) {
        *ret = (struct statement){.len = strlen(sql->text), .record = sql->row};
        ret->text = must(strdup(sql->text));
        struct problem *p = prepare(db, a, ret);
        if (!p)
            return NULL;
        release_statement(ret);
        if (p->db_error != ER_MAX_PREPARED_STMT_COUNT_REACHED || !db->statement_count)
            return p;
        release_oldest(db);
    }
}

static struct problem *get_statement(struct db *db, struct arena *a, const struct sql *sql,
                                     struct statement **ret)
{
    struct statement *s = find_statement(db, sql, strlen(sql->text));
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

static struct problem *bind_args(struct arena *a, struct statement *s, struct db_args args)
{
    if (args.count != s->param_count)
        return problem_because(a, &problem_internal, "%zu values for %zu question marks: %s",
                               args.count, s->param_count, s->text);
    for (size_t i = 0; i < args.count; i++)
        set_param(&s->params[i], &s->slots[i], &args.list[i]);
    /* Each time, since texts lie elsewhere each time: it copies the array and costs two bytes
     * per value on the wire. */
    if (args.count && mysql_stmt_bind_param(s->handle, s->params))
        return problem_because(a, &problem_internal, "%s", mysql_stmt_error(s->handle));
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
            return problem_because(a, &problem_internal, "%s", mysql_stmt_error(s->handle));
    }
    if (mysql_stmt_bind_result(s->handle, s->results))
        return problem_because(a, &problem_internal, "%s", mysql_stmt_error(s->handle));
    return NULL;
}

/* Read the next row into `s->row`; `*ret_more` is false when there is none. */
static struct problem *next_row(struct db *db, struct arena *a, struct statement *s, bool harmless,
                                bool *ret_more)
{
    int64_t began = wait_begin(db);
    int rc = mysql_stmt_fetch(s->handle);
    wait_end(db, began);
    struct problem *p = NULL;
    *ret_more = rc == 0 || rc == MYSQL_DATA_TRUNCATED;
    if (rc == MYSQL_NO_DATA)
        return NULL;
    if (!*ret_more)
        return statement_failed(db, a, harmless, s);
    if (rc == MYSQL_DATA_TRUNCATED)
        p = fetch_rest(a, s);
    for (size_t i = 0; i < s->column_count && !p; i++) {
        struct column *c = &s->columns[i];
        if (c->text && !c->is_null)
            c->text[c->len] = '\0';
        p = store(a, s, c);
    }
    return p;
}

/* Skip what is left of the result, and give back buffers that grew out of proportion. */
static void finish(struct db *db, struct statement *s)
{
    int64_t began = wait_begin(db);
    mysql_stmt_free_result(s->handle);
    wait_end(db, began);
    if (!s->grown)
        return;
    for (size_t i = 0; i < s->column_count; i++)
        if (s->columns[i].room > TEXT_ROOM_KEPT)
            set_text_room(&s->columns[i], &s->results[i], TEXT_ROOM_FIRST);
    s->grown = mysql_stmt_bind_result(s->handle, s->results) != 0;
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

static void own_texts(struct arena *a, const struct statement *s, void *row)
{
    for (size_t i = 0; i < s->column_count; i++) {
        const struct field *f = s->columns[i].field;
        if (f->type == FIELD_TEXT) {
            struct text *t = (void *)((char *)row + f->offset);
            *t = arena_text(a, *t);
        }
    }
}

/* The row is handed out when the server has said that all went well. */
static struct problem *take_one(struct db *db, struct arena *a, struct statement *s,
                                struct question *q)
{
    bool more;
    struct problem *p = next_row(db, a, s, q->harmless, &more);
    if (p || !more)
        return p;
    void *row = arena_copy(a, s->row, s->record->size);
    own_texts(a, s, row);
    p = next_row(db, a, s, q->harmless, &more);
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
        struct problem *p = next_row(db, a, s, q->harmless, &more);
        if (p || !more)
            return p;
        q->found = true;
        db->busy = true;
        q->each(q->context, s->row);
        db->busy = false;
    }
}

static struct problem *ask_once(struct db *db, struct arena *a, struct question *q)
{
    struct statement *s = NULL;
    struct problem *p = ready(db, a);
    if (!p)
        p = get_statement(db, a, q->sql, &s);
    if (!p)
        p = bind_args(a, s, q->args);
    if (p)
        return p;
    int64_t began = wait_begin(db);
    db->counts.statements++;
    int rc = mysql_stmt_execute(s->handle);
    wait_end(db, began);
    if (rc)
        return statement_failed(db, a, q->harmless, s);
    p = q->take(db, a, s, q);
    if (db->mysql && s->column_count) /* else the statement went with the connection */
        finish(db, s);
    return p;
}

/* Running it twice leaves no trace of the first time. */
static bool is_read(const char *text)
{
    static const char select[] = "SELECT";
    while (isspace((unsigned char)*text))
        text++;
    return strncasecmp(text, select, strlen(select)) == 0;
}

/* In a transaction nothing is tried again here: db_transaction() does so with the whole. Nor is
 * it when rows have gone out already. */
static struct problem *ask(struct db *db, struct arena *a, struct question *q)
{
    q->harmless = is_read(q->sql->text);
    for (unsigned tries = 1;; tries++) {
        struct problem *p = ask_once(db, a, q);
        if (db->in_transaction || q->found || !shall_try_again(db, p, tries))
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

static struct problem *run_once(struct db *db, struct arena *a, const char *text, bool harmless)
{
    struct problem *p = ready(db, a);
    if (p)
        return p;
    int64_t began = wait_begin(db);
    db->counts.statements++;
    int rc = mysql_real_query(db->mysql, text, strlen(text));
    if (!rc)
        mysql_free_result(mysql_store_result(db->mysql)); /* mostly NULL, which does nothing */
    wait_end(db, began);
    return rc ? failed(db, a, harmless, mysql_errno(db->mysql), mysql_error(db->mysql)) : NULL;
}

static struct problem *run(struct db *db, struct arena *a, const char *text, bool harmless)
{
    for (unsigned tries = 1;; tries++) {
        struct problem *p = run_once(db, a, text, harmless);
        if (db->in_transaction || !shall_try_again(db, p, tries))
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
static void roll_back(struct db *db)
{
    static const char text[] = "ROLLBACK";
    if (!db->mysql)
        return;
    int64_t began = wait_begin(db);
    int rc = mysql_real_query(db->mysql, text, strlen(text));
    wait_end(db, began);
    if (rc)
        db_disconnect(db);
}

/* `in_transaction` ends before the COMMIT, since what is lost from here on may stand; and it is
 * sent once only, since on another connection it would succeed for nothing. */
static struct problem *transact_once(struct db *db, struct arena *a,
                                     struct problem *(*body)(void *context), void *context)
{
    struct problem *p = run(db, a, "START TRANSACTION", true);
    if (p)
        return p;
    db->in_transaction = true;
    p = body(context);
    if (!p)
        p = ready(db, a); /* a body that overlooks its failures commits nothing */
    db->txn_failed = NULL;
    db->in_transaction = false;
    if (!p)
        p = run_once(db, a, "COMMIT", false);
    if (p)
        roll_back(db);
    return p;
}

/* The commit may or may not stand. NULL when it does; `lost` for trying again when it does not;
 * `lost` as it is when that cannot be found out. */
static struct problem *find_out(struct db *db, struct problem *lost,
                                struct problem *(*committed)(void *context, bool *ret_yes),
                                void *context)
{
    for (unsigned tries = 1;; tries++) {
        bool yes = false;
        struct problem *p = committed(context, &yes);
        if (!p && yes)
            return NULL;
        if (!p)
            lost->retry = RETRY_AGAIN;
        if (!p || tries == DB_TRIES)
            return lost;
        pause_before_try(db, tries, PAUSE_UNKNOWN_US);
    }
}

struct problem *db_transaction(struct db *db, struct arena *a,
                               struct problem *(*body)(void *context),
                               struct problem *(*committed)(void *context, bool *ret_yes),
                               void *context)
{
    if (db->in_transaction)
        abort(); /* there is no transaction within a transaction */
    for (unsigned tries = 1;; tries++) {
        struct problem *p = transact_once(db, a, body, context);
        if (p && p->retry == RETRY_UNKNOWN && committed)
            p = find_out(db, p, committed, context);
        if (!shall_try_again(db, p, tries))
            return p;
    }
}
