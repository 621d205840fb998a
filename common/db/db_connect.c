#include "common/db/db_connect.h"

#include <errmsg.h>
#include <errno.h>
#include <fcntl.h>
#include <mysql.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/instant.h"
#include "common/base/problem.h"
#include "common/crypto/certificates.h"
#include "common/db/db_failure.h"
#include "common/db/db_internal.h"
#include "common/db/db_limits.h"
#include "common/db/db_url.h"

#define WRITE_LIMIT_S DB_ANSWER_LIMIT_S
#define PROBE_EVERY_MS 2000 /* after the first time */
#define HANGS_FROM_MS 1900  /* nearly DB_CONNECT_LIMIT_S; less was a request's own limit */
#define PAUSE_MAX_MS 10000  /* longer ones are ignored: the memory may be from another boot */
/* A host that did not answer is left alone for so long, and so many times as long as it kept us
 * waiting. */
#define BACK_OFF_NS INT64_C(5000000000)
#define BACK_OFF_TIMES 5
#define HANGING_HOST_NS INT64_C(1000000000)   /* one that hangs is asked again after so long */
#define READ_ONLY_HOST_NS INT64_C(5000000000) /* one without writes is kept for so long */
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
 * Not set is what the server's operator decides: time limits (except two that must fit our own) and
 * memory, logging, replication, plans, caches, and `timestamp`, since it is the server's clock to
 * us, which `doctor` compares. Numbers are used in place of '', which is NULL under an sql_mode of
 * EMPTY_STRING_IS_NULL.
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

/* ---- forks ---- */

/* Counts the forks between the first process and this one: a child must not use what its parent
 * has connected, and getpid() would be a system call for each statement. */
static unsigned generation;

static void note_fork(void)
{
    generation++;
}

void db_count_forks(void)
{
    static bool watching;
    if (!watching && pthread_atfork(NULL, NULL, note_fork) != 0)
        db_must(NULL);
    watching = true;
}

/* A child's copy of its parent's connection: closing it must not send COM_QUIT to the server, which
 * would end the parent's session, so what is sent goes to /dev/null. */
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
        statement_release(&db->statements[i]);
    db->statement_count = 0;
    db->mysql = NULL;
}

/* ---- waiting ---- */

/* The call that the library is in; NULL: one that takes no time, such as COM_QUIT. */
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

/* How the library waits, as poll(2) does. Its own limits are whole seconds, begin again
 * with each packet, and do not tell a long statement from a server that is frozen. */
static int await(my_socket fd, my_bool is_read, int timeout_ms)
{
    struct wait *w = waiting;
    short events = is_read ? POLLIN : POLLOUT;
    /* With TLS the library also says that it reads when it could not write. */
    if (is_read && w && w->db->is_encrypted && poll_until(fd, POLLOUT, 0) == 0)
        events |= POLLOUT;
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
            rc = poll_until(fd, events, 0); /* has the answer come meanwhile? */
            w->outcome = rc ? WAIT_GOES_ON : WAIT_FROZEN;
            return rc;
        }
        w->probe_at = in_ms(PROBE_EVERY_MS);
    }
}

int64_t db_wait_begin(struct db *db)
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

void db_wait_end(struct db *db, int64_t began)
{
    db->heard_at = monotonic_ns(); /* or it will not be asked again */
    db->counts.waited_ns += db->heard_at - began;
    waiting = NULL;
}

void db_limit(struct db *db, unsigned limit_ms)
{
    db->deadline = limit_ms ? in_ms(limit_ms) : FOREVER;
}

/* ---- one host ---- */

/* All of it, whatever the library's version defaults to. Connector/C 3.4 verifies wherever it has a
 * CA, and where it has none takes a certificate that nobody signed from who knows the password; 3.3
 * does neither. */
static void set_tls(MYSQL *mysql, const struct db_tls *tls, bool by_tcp)
{
    my_bool encrypt = by_tcp, verify = by_tcp && tls->need == DB_TLS_VERIFIED;
    mysql_optionsv(mysql, MYSQL_OPT_SSL_ENFORCE, &encrypt);
    mysql_optionsv(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
    if (verify && tls->ca)
        mysql_optionsv(mysql, MYSQL_OPT_SSL_CA, tls->ca);
    else if (verify)
        mysql_optionsv(mysql, MYSQL_OPT_SSL_CAPATH, certificates_trusted());
    if (by_tcp && tls->cert) {
        mysql_optionsv(mysql, MYSQL_OPT_SSL_CERT, tls->cert);
        mysql_optionsv(mysql, MYSQL_OPT_SSL_KEY, tls->key);
    }
}

static void set_options(MYSQL *mysql, const struct db *db, const struct db_host *host)
{
    unsigned connect_s = DB_CONNECT_LIMIT_S;
    unsigned read_s = db->pinned ? 0 : DB_ANSWER_LIMIT_S;
    unsigned write_s = WRITE_LIMIT_S;
    unsigned local_infile = 0; /* no server must ask for our files */
    unsigned tcp = MYSQL_PROTOCOL_TCP;
    my_bool reconnect = 0; /* it would lose transactions silently */
    bool is_local = db_url_is_local(&db->url, host);
    mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
    mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &read_s);
    mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &write_s);
    mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &local_infile);
    mysql_options(mysql, MYSQL_OPT_RECONNECT, &reconnect);
    mysql_optionsv(mysql, MARIADB_OPT_IO_WAIT, await);
    mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    set_tls(mysql, &db->url.tls, !is_local);
    if (!is_local) /* else `localhost` would mean the library's default socket */
        mysql_options(mysql, MYSQL_OPT_PROTOCOL, &tcp);
}

/* Without TLS the library reads and writes without blocking, and asks await() to wait; with it, it
 * does so when the socket has blocked for its limits, which are short therefore. Not none: then it
 * would begin to read where it must write on. */
static void shorten_blocking(const struct db *db, MYSQL *mysql)
{
    static const struct timeval read_limit = {0, 1000}, write_limit = {1, 0};
    int fd = (int)mysql_get_socket(mysql);
    if (db->is_encrypted &&
        (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &read_limit, sizeof read_limit) ||
         setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &write_limit, sizeof write_limit)))
        abort();
}

static bool open_mysql(const struct db *db, const struct db_host *host, MYSQL *mysql)
{
    bool is_local = db_url_is_local(&db->url, host);
    unsigned port = host->port ? host->port : DEFAULT_PORT;
    set_options(mysql, db, host);
    return mysql_real_connect(mysql, host->name, db->url.user, db->url.password, db->url.name, port,
                              is_local ? db->url.socket : NULL, CLIENT_FOUND_ROWS) != NULL;
}

/* Where the server offers no TLS and nobody is to be verified, the library does without. */
static bool lacks_tls(const struct db *db, const struct db_host *host, MYSQL *mysql)
{
    return db->url.tls.need != DB_TLS_OFFERED && !db_url_is_local(&db->url, host) &&
           !mysql_get_ssl_cipher(mysql);
}

/* What the server says before TLS begins, such as that it is full, comes as the library's own error
 * with the number in its words, for anybody may have said it. It makes us wait at the most. */
static unsigned number_of_failure(MYSQL *mysql)
{
    static const char before[] = "cannot be verified: ";
    const char *at = strstr(mysql_error(mysql), before);
    unsigned long number = at ? strtoul(at + strlen(before), NULL, 10) : 0;
    return number && mysql_errno(mysql) == CR_CONNECTION_ERROR ? (unsigned)number
                                                               : mysql_errno(mysql);
}

static struct problem *refused(struct arena *a, const struct db_host *host, unsigned number,
                               const char *why)
{
    struct problem *p =
        problem_because(a, &problem_unavailable, "database at %s: %u: %s", host->name, number, why);
    p->db_error = number;
    return p;
}

static struct problem *begin_session(struct db *db, struct arena *a, const struct db_host *host,
                                     MYSQL *mysql)
{
    /* A process that is stopped in a transaction must not hold its locks for long. */
    const char *session =
        db->pinned ? SESSION "0"
                   : SESSION NUMBER(DB_STATEMENT_LIMIT_S) ", idle_transaction_timeout = " NUMBER(
                         DB_REQUEST_LIMIT_S);
    if (open_mysql(db, host, mysql)) {
        if (lacks_tls(db, host, mysql))
            return refused(a, host, CR_SSL_CONNECTION_ERROR,
                           "it offers no TLS, which DATABASE_URL asks for");
        db->is_encrypted = mysql_get_ssl_cipher(mysql) != NULL;
        shorten_blocking(db, mysql);
        if (mysql_real_query(mysql, session, strlen(session)) == 0)
            return NULL;
    }
    return refused(a, host, number_of_failure(mysql), mysql_error(mysql));
}

/* Does the host that keeps us waiting let a new connection in, or refuse it? A server at a long
 * statement does, and so does one that is full. It is a whole login, for a server counts
 * connections that break off, and blocks their host in the end (max_connect_errors). */
static bool host_greets(const struct db *db)
{
    struct wait own = {.db = db,
                       .end = earlier(in_ms(DB_CONNECT_LIMIT_S * 1000), db->deadline),
                       .probe_at = FOREVER};
    struct wait *outer = waiting;
    MYSQL *mysql = db_must(mysql_init(NULL));
    waiting = &own;
    bool greets = open_mysql(db, &db->url.hosts[db->host], mysql) ||
                  !IS_MYSQL_ERROR(number_of_failure(mysql)) || monotonic_ns() >= db->deadline;
    mysql_close(mysql);
    waiting = outer;
    return greets;
}

static struct problem *connect_to(struct db *db, struct arena *a, const struct db_host *host)
{
    MYSQL *mysql = db_must(mysql_init(NULL));
    db->wait = (struct wait){.db = db,
                             .end = earlier(in_ms(DB_CONNECT_LIMIT_S * 1000), db->deadline),
                             .probe_at = FOREVER};
    waiting = &db->wait;
    struct problem *p = begin_session(db, a, host, mysql);
    if (p)
        mysql_close(mysql);
    waiting = NULL;
    if (p)
        return p;
    db->mysql = mysql;
    db->owner = generation;
    db->heard_at = monotonic_ns();
    return NULL;
}

const char *db_where(const struct db *db, struct arena *a)
{
    const struct db_host *host = &db->url.hosts[db->host];
    if (db_url_is_local(&db->url, host))
        return arena_printf(a, "%s, %s", host->name,
                            db->url.socket ? db->url.socket : "the default socket");
    return arena_printf(a, "%s:%u", host->name, host->port ? host->port : DEFAULT_PORT);
}

bool db_is_remote(const struct db *db)
{
    const char *name = db->url.hosts[db->host].name;
    return strcmp(name, "localhost") != 0 && strncmp(name, "127.", 4) != 0 &&
           strcmp(name, "::1") != 0;
}

bool db_is_verified(const struct db *db)
{
    return db->url.tls.need == DB_TLS_VERIFIED &&
           !db_url_is_local(&db->url, &db->url.hosts[db->host]);
}

/* Does the server that we are connected to take writes? A replica does not, nor does a demoted
 * primary that came back read-only, as it should. */
static bool takes_writes(struct db *db)
{
    /* read_only is a word in later versions. innodb_read_only makes all tables read-only without
     * setting it. */
    static const char question[] =
        "SELECT @@global.read_only IN ('0', 'OFF') AND NOT @@global.innodb_read_only";
    MYSQL_RES *answer = NULL;
    int64_t began = db_wait_begin(db);
    if (mysql_real_query(db->mysql, question, strlen(question)) == 0)
        answer = mysql_store_result(db->mysql);
    db_wait_end(db, began);
    MYSQL_ROW row = answer ? mysql_fetch_row(answer) : NULL;
    bool yes = row && row[0] && strcmp(row[0], "1") == 0;
    mysql_free_result(answer);
    return yes;
}

/* ---- hosts that hang ---- */

void db_share(struct db *db, struct db_hosts *hosts)
{
    db->hosts = hosts;
}

/* A host that did not answer at all is not asked for a while, even where there is no other: else
 * all workers would wait for it, one request after another. Of the first DB_SHARED_HOSTS all
 * processes know; of a later one each finds out by itself. NULL for such a host. */
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

/* When a pause has ended, the first process to come tries the host; the others see a new pause. */
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

void db_back_off(struct db *db, size_t host, int64_t cost, bool hangs)
{
    int64_t now = monotonic_ns();
    db->backed_off[host] = (struct backed_off){now, now + BACK_OFF_NS + BACK_OFF_TIMES * cost};
    set_pause(db, host, hangs ? HANGING_HOST_NS : 0);
}

/* ---- the host to use ---- */

/* Connect to a host and stay, unless it takes no writes while there are others: such a one is
 * only noted, the first of them in `read_only_host`. */
static struct problem *try_host(struct db *db, struct arena *a, size_t host, size_t *read_only_host)
{
    int64_t began = monotonic_ns();
    struct problem *p = connect_to(db, a, &db->url.hosts[host]);
    if (p) {
        int64_t cost = monotonic_ns() - began;
        db_back_off(db, host, cost,
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

/* Try the hosts in order, beginning with `db->host`, and in a second round those that are backed
 * off. The first that takes writes is used, else the first that answers. */
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

/* To look for a host that takes writes; or since some process has found that this one hangs. */
static bool must_leave(struct db *db)
{
    return (db->leave_at && monotonic_ns() > db->leave_at) || is_paused(db, db->host);
}

struct problem *db_ready(struct db *db, struct arena *a)
{
    if (db->busy)
        abort(); /* `each` uses the connection that its row comes from */
    if (db->txn_failed)
        return db->txn_failed;
    if (db->mysql && db->owner != generation)
        db_disconnect(db);
    if (db->mysql && !db->in_transaction && !db->pinned && must_leave(db))
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

struct problem *db_check_access(struct db *db, struct arena *a)
{
    for (size_t i = 0; i < db->url.host_count; i++) {
        db_disconnect(db);
        struct problem *p = connect_to(db, a, &db->url.hosts[i]);
        if (p && db_is_refusal(p->db_error))
            return p;
    }
    db_disconnect(db);
    return NULL;
}
