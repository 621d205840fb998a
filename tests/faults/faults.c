#include "tests/faults/faults.h"

#include <argon2.h>
#include <cJSON.h>
#include <crypt.h>
#include <errmsg.h>
#include <errno.h>
#include <fcntl.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "tests/support/suite.h"

/* What becomes of the call beside the error that it returns. */
enum deed {
    NOT_DONE, /* it did nothing */
    UNDONE,   /* the server has rolled the transaction back */
    CUT,      /* it did nothing, and the connection is gone */
    DONE_CUT, /* it was carried out, and the connection went before the answer came */
    DONE,     /* it was carried out */
    HALF,     /* the first half of it */
};

struct way {
    const char *name;
    int number; /* of the error: errno, or the database's */
    enum deed deed;
    bool passes;
};

struct call {
    const char *name;
    const struct way *ways;
    size_t way_count;
    unsigned count;
};

static struct call *calls[FAULT_CALLS_MAX];
static size_t call_count;

static struct {
    bool inside, met;
    const struct call *call; /* NULL: none is to fail */
    unsigned at;
    size_t way;
} plan;

static void add(struct call *call)
{
    if (call_count == FAULT_CALLS_MAX)
        abort();
    calls[call_count++] = call;
}

size_t fault_names(void)
{
    return call_count;
}

const char *fault_name(size_t name)
{
    return calls[name]->name;
}

size_t fault_ways(size_t name)
{
    return calls[name]->way_count + 1;
}

const char *fault_way(size_t name, size_t way)
{
    return fault_kills(name, way) ? "killed" : calls[name]->ways[way].name;
}

bool fault_kills(size_t name, size_t way)
{
    return way == calls[name]->way_count;
}

bool fault_passes(size_t name, size_t way)
{
    return !fault_kills(name, way) && calls[name]->ways[way].passes;
}

bool fault_is_refusal(size_t name)
{
    return strcmp(calls[name]->name, "mysql_real_connect") == 0;
}

void fault_plan(size_t name, unsigned at, size_t way)
{
    plan.met = false;
    plan.call = calls[name];
    plan.at = at;
    plan.way = way;
    for (size_t i = 0; i < call_count; i++)
        calls[i]->count = 0;
}

void fault_begin(void)
{
    plan.inside = true;
}

void fault_end(void)
{
    plan.inside = false;
}

unsigned fault_count(size_t name)
{
    return calls[name]->count;
}

bool fault_was_met(void)
{
    return plan.met;
}

/* The way in which this call must fail; NULL: it must not. */
static const struct way *meet(struct call *call)
{
    if (!plan.inside)
        return NULL;
    unsigned at = call->count++;
    if (plan.call != call || at != plan.at || plan.met)
        return NULL;
    plan.met = true;
    if (plan.way == call->way_count)
        (void)raise(SIGKILL);
    errno = call->ways[plan.way].number;
    return &call->ways[plan.way];
}

/* ---- what each call is ---- */

#define CALL(name_, ...)                                                                           \
    static const struct way ways_of_##name_[] = {__VA_ARGS__};                                     \
    static struct call call_##name_ = {#name_, ways_of_##name_, COUNT(ways_of_##name_), 0};        \
    __attribute__((constructor)) static void add_##name_(void)                                     \
    {                                                                                              \
        add(&call_##name_);                                                                        \
    }

/* `__real_` is what the linker calls the original, `__wrap_` is called in its place. */
#define DECLARE(type_, name_, params_)                                                             \
    type_ __real_##name_ params_;                                                                  \
    type_ __wrap_##name_ params_;                                                                  \
    type_ __wrap_##name_ params_

/* One that returns `failed_` when it fails, and has done nothing then. */
#define PLAIN(type_, name_, params_, args_, failed_, ...)                                          \
    CALL(name_, __VA_ARGS__)                                                                       \
    DECLARE(type_, name_, params_)                                                                 \
    {                                                                                              \
        return meet(&call_##name_) ? (failed_) : __real_##name_ args_;                             \
    }

#define MEMORY                                                                                     \
    {                                                                                              \
        "no memory", ENOMEM                                                                        \
    }

/* ---- memory ---- */

PLAIN(void *, malloc, (size_t size), (size), NULL, MEMORY)
PLAIN(void *, calloc, (size_t n, size_t size), (n, size), NULL, MEMORY)
PLAIN(void *, realloc, (void *at, size_t size), (at, size), NULL, MEMORY)
PLAIN(char *, strdup, (const char *s), (s), NULL, MEMORY)
PLAIN(void *, mmap, (void *at, size_t len, int prot, int flags, int fd, off_t offset),
      (at, len, prot, flags, fd, offset), MAP_FAILED, MEMORY)
PLAIN(int, madvise, (void *at, size_t len, int advice), (at, len, advice), -1,
      {"no huge pages", EINVAL})
PLAIN(int, regcomp, (regex_t * re, const char *pattern, int flags), (re, pattern, flags),
      REG_ESPACE, MEMORY)
PLAIN(int, regexec, (const regex_t *re, const char *s, size_t n, regmatch_t *matches, int flags),
      (re, s, n, matches, flags), REG_ESPACE, MEMORY)
PLAIN(cJSON *, cJSON_ParseWithLengthOpts,
      (const char *text, size_t len, const char **end, cJSON_bool ends), (text, len, end, ends),
      NULL, MEMORY)

/* ---- the system ---- */

#define INTERRUPTED                                                                                \
    {                                                                                              \
        "interrupted", EINTR                                                                       \
    }
#define DESCRIPTORS                                                                                \
    {"no descriptors", EMFILE},                                                                    \
    {                                                                                              \
        "no descriptors in the system", ENFILE                                                     \
    }

PLAIN(int, access, (const char *path, int mode), (path, mode), -1, {"not allowed", EACCES})
PLAIN(FILE *, fopen, (const char *path, const char *mode), (path, mode), NULL, DESCRIPTORS)
PLAIN(int, poll, (struct pollfd * list, nfds_t n, int limit_ms), (list, n, limit_ms), -1,
      INTERRUPTED, MEMORY)
PLAIN(int, pipe2, (int ends[2], int flags), (ends, flags), -1, DESCRIPTORS)
PLAIN(int, pidfd_open, (pid_t pid, unsigned flags), (pid, flags), -1, DESCRIPTORS,
      {"not there", ENOSYS})
PLAIN(ssize_t, read, (int fd, void *to, size_t len), (fd, to, len), -1, INTERRUPTED,
      {"broken", EIO})
PLAIN(pid_t, waitpid, (pid_t pid, int *status, int options), (pid, status, options), -1,
      INTERRUPTED, {"no child", ECHILD})
PLAIN(ssize_t, getrandom, (void *to, size_t len, unsigned flags), (to, len, flags), -1, INTERRUPTED,
      {"not there", ENOSYS})
PLAIN(int, ppoll,
      (struct pollfd * list, nfds_t n, const struct timespec *limit, const sigset_t *set),
      (list, n, limit, set), -1, INTERRUPTED, MEMORY)
PLAIN(int, shutdown, (int fd, int how), (fd, how), -1, {"not connected", ENOTCONN})
PLAIN(int, socketpair, (int domain, int type, int protocol, int ends[2]),
      (domain, type, protocol, ends), -1, DESCRIPTORS, MEMORY)

/* Somebody else's, or passing by: the connection is still in the queue, or it was none of ours. */
PLAIN(int, accept4, (int fd, struct sockaddr *address, socklen_t *len, int flags),
      (fd, address, len, flags), -1, {"interrupted", EINTR, NOT_DONE, true},
      {"no descriptors", EMFILE, NOT_DONE, true},
      {"no descriptors in the system", ENFILE, NOT_DONE, true},
      {"no memory", ENOMEM, NOT_DONE, true}, {"no buffers", ENOBUFS, NOT_DONE, true},
      {"gone before", ECONNABORTED, NOT_DONE, true}, {"broken before", EPROTO, NOT_DONE, true},
      {"no network", ENETDOWN, NOT_DONE, true})
PLAIN(ssize_t, recv, (int fd, void *to, size_t len, int flags), (fd, to, len, flags), -1,
      {"interrupted", EINTR, NOT_DONE, true}, {"broken", ECONNRESET})

CALL(open, DESCRIPTORS, {"not there", ENOENT})
DECLARE(int, open, (const char *path, int flags, ...))
{
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return meet(&call_open) ? -1 : __real_open(path, flags, mode);
}

CALL(write, {"disk full", ENOSPC}, {"half", 0, HALF}, INTERRUPTED)
DECLARE(ssize_t, write, (int fd, const void *data, size_t len))
{
    const struct way *way = meet(&call_write);
    if (way && way->deed != HALF)
        return -1;
    return __real_write(fd, data, way ? len / 2 : len);
}

CALL(send, {"gone", EPIPE}, {"no room", EAGAIN}, {"half", 0, HALF})
DECLARE(ssize_t, send, (int fd, const void *data, size_t len, int flags))
{
    const struct way *way = meet(&call_send);
    if (way && way->deed != HALF)
        return -1;
    return __real_send(fd, data, way ? len / 2 : len, flags);
}

/* These return the error. */
PLAIN(int, posix_spawn_file_actions_init, (posix_spawn_file_actions_t * actions), (actions), errno,
      MEMORY)
PLAIN(int, posix_spawn_file_actions_adddup2, (posix_spawn_file_actions_t * actions, int fd, int as),
      (actions, fd, as), errno, MEMORY)
PLAIN(int, posix_spawn_file_actions_addclosefrom_np,
      (posix_spawn_file_actions_t * actions, int from), (actions, from), errno, MEMORY)
PLAIN(int, posix_spawnattr_init, (posix_spawnattr_t * attributes), (attributes), errno, MEMORY)
PLAIN(int, posix_spawnp,
      (pid_t * pid, const char *file, const posix_spawn_file_actions_t *actions,
       const posix_spawnattr_t *attributes, char *const *words, char *const *environment),
      (pid, file, actions, attributes, words, environment), errno, {"no processes", EAGAIN},
      {"not there", ENOENT}, {"busy", ETXTBSY}, MEMORY)

/* ---- secrets ---- */

PLAIN(EVP_MAC *, EVP_MAC_fetch, (OSSL_LIB_CTX * of, const char *name, const char *properties),
      (of, name, properties), NULL, MEMORY)
PLAIN(EVP_MAC_CTX *, EVP_MAC_CTX_new, (EVP_MAC * mac), (mac), NULL, MEMORY)
PLAIN(int, EVP_MAC_init,
      (EVP_MAC_CTX * mac, const unsigned char *key, size_t len, const OSSL_PARAM *with),
      (mac, key, len, with), 0, MEMORY)
PLAIN(int, EVP_MAC_update, (EVP_MAC_CTX * mac, const unsigned char *data, size_t len),
      (mac, data, len), 0, MEMORY)
PLAIN(int, EVP_MAC_final, (EVP_MAC_CTX * mac, unsigned char *to, size_t *len, size_t room),
      (mac, to, len, room), 0, MEMORY)
PLAIN(unsigned char *, EVP_Q_mac,
      (OSSL_LIB_CTX * of, const char *name, const char *properties, const char *digest,
       const OSSL_PARAM *with, const void *key, size_t key_len, const unsigned char *data,
       size_t data_len, unsigned char *to, size_t room, size_t *len),
      (of, name, properties, digest, with, key, key_len, data, data_len, to, room, len), NULL,
      MEMORY)
PLAIN(unsigned char *, SHA256, (const unsigned char *data, size_t len, unsigned char *to),
      (data, len, to), NULL, MEMORY)
PLAIN(int, RAND_bytes, (unsigned char *to, int len), (to, len), 0, {"no entropy", 0})
PLAIN(int, EVP_PBE_scrypt,
      (const char *word, size_t word_len, const unsigned char *salt, size_t salt_len, uint64_t n,
       uint64_t r, uint64_t p, uint64_t memory, unsigned char *key, size_t key_len),
      (word, word_len, salt, salt_len, n, r, p, memory, key, key_len), 0, MEMORY)
PLAIN(int, PKCS5_PBKDF2_HMAC,
      (const char *word, int word_len, const unsigned char *salt, int salt_len, int rounds,
       const EVP_MD *digest, int key_len, unsigned char *key),
      (word, word_len, salt, salt_len, rounds, digest, key_len, key), 0, MEMORY)
PLAIN(char *, crypt_r, (const char *word, const char *setting, struct crypt_data *data),
      (word, setting, data), NULL, MEMORY)

/* Each password takes a hundred of them here: the same work, in less memory. */
#define MEMORY_KIB 64

CALL(argon2_ctx, {"no memory", ARGON2_MEMORY_ALLOCATION_ERROR}, {"no thread", ARGON2_THREAD_FAIL})
DECLARE(int, argon2_ctx, (argon2_context * context, argon2_type type))
{
    const struct way *way = meet(&call_argon2_ctx);
    context->m_cost = MEMORY_KIB;
    return way ? way->number : __real_argon2_ctx(context, type);
}

/* ---- the database ---- */

#define GONE                                                                                       \
    {                                                                                              \
        "gone away", CR_SERVER_GONE_ERROR, CUT, true                                               \
    }
#define LOST                                                                                       \
    {"lost before", CR_SERVER_LOST, CUT}, {"lost after", CR_SERVER_LOST, DONE_CUT},                \
        {"killed before", ER_CONNECTION_KILLED, CUT},                                              \
    {                                                                                              \
        "shut down", ER_SERVER_SHUTDOWN, CUT                                                       \
    }
#define CONFLICTS                                                                                  \
    {"deadlock", ER_LOCK_DEADLOCK, UNDONE, true},                                                  \
        {"lock wait", ER_LOCK_WAIT_TIMEOUT, NOT_DONE, true},                                       \
    {                                                                                              \
        "changed", ER_CHECKREAD, UNDONE, true                                                      \
    }
#define ELSEWHERE                                                                                  \
    {"read-only", ER_OPTION_PREVENTS_STATEMENT, NOT_DONE, true},                                   \
        {"read-only InnoDB", ER_INNODB_READ_ONLY, NOT_DONE, true},                                 \
        {"read-only mode", ER_READ_ONLY_MODE, NOT_DONE, true},                                     \
    {                                                                                              \
        "not in the cluster", ER_UNKNOWN_COM_ERROR, NOT_DONE, true                                 \
    }
#define SURROUNDINGS                                                                               \
    {"read-only transaction", ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION},                           \
        {"disk full", ER_DISK_FULL}, {"table full", ER_RECORD_FILE_FULL},                          \
        {"write error", ER_ERROR_ON_WRITE}, {"engine error", ER_GET_ERRNO},                        \
        {"statement time-out", ER_STATEMENT_TIMEOUT}, {"killed query", ER_QUERY_INTERRUPTED},      \
        {"time-out at the end", ER_STATEMENT_TIMEOUT, DONE}, {"server memory", ER_OUTOFMEMORY},    \
        {"sort memory", ER_OUT_OF_SORTMEMORY}, {"no such table", ER_NO_SUCH_TABLE},                \
        {"no such column", ER_BAD_FIELD_ERROR}, {"table denied", ER_TABLEACCESS_DENIED_ERROR},     \
        {"database denied", ER_DBACCESS_DENIED_ERROR}, {"no database", ER_BAD_DB_ERROR},           \
        {"quota", ER_USER_LIMIT_REACHED}, {"our memory", CR_OUT_OF_MEMORY, CUT},                   \
        {"table crashed", ER_CRASHED_ON_USAGE},                                                    \
    {                                                                                              \
        "locks full", ER_LOCK_TABLE_FULL                                                           \
    }
#define ALL_ERRORS GONE, LOST, CONFLICTS, ELSEWHERE, SURROUNDINGS

static int wrap_query(MYSQL *mysql, const char *text, unsigned long len);
int __real_mysql_real_query(MYSQL *mysql, const char *text, unsigned long len);
my_bool __real_mysql_stmt_free_result(MYSQL_STMT *stmt);

/* Do to the connection what the server, or the wire, would have done. */
static void act(MYSQL *mysql, const struct way *way)
{
    static const char roll_back[] = "ROLLBACK";
    fault_end();
    if (way->deed == UNDONE)
        (void)__real_mysql_real_query(mysql, roll_back, sizeof roll_back - 1);
    if (way->deed == CUT || way->deed == DONE_CUT)
        (void)shutdown((int)mysql_get_socket(mysql), SHUT_RDWR);
    fault_begin();
}

static void set_error(MYSQL *mysql, const struct way *way)
{
    mysql->net.last_errno = (unsigned)way->number;
    (void)snprintf(mysql->net.last_error, sizeof mysql->net.last_error, "made to fail: %s",
                   way->name);
    (void)snprintf(mysql->net.sqlstate, sizeof mysql->net.sqlstate, "HY000");
}

static void set_statement_error(MYSQL_STMT *stmt, const struct way *way)
{
    stmt->last_errno = (unsigned)way->number;
    (void)snprintf(stmt->last_error, sizeof stmt->last_error, "made to fail: %s", way->name);
    (void)snprintf(stmt->sqlstate, sizeof stmt->sqlstate, "HY000");
}

static int fail_query(MYSQL *mysql, const struct way *way)
{
    act(mysql, way);
    set_error(mysql, way);
    return 1;
}

static int fail_statement(MYSQL_STMT *stmt, const struct way *way)
{
    act(stmt->mysql, way);
    set_statement_error(stmt, way);
    return 1;
}

static bool is_done(const struct way *way)
{
    return way->deed == DONE || way->deed == DONE_CUT;
}

PLAIN(MYSQL *, mysql_init, (MYSQL * mysql), (mysql), NULL, MEMORY)
PLAIN(MYSQL_STMT *, mysql_stmt_init, (MYSQL * mysql), (mysql), NULL, MEMORY)
PLAIN(int, mysql_options, (MYSQL * mysql, enum mysql_option option, const void *value),
      (mysql, option, value), 1, MEMORY)
PLAIN(int, mariadb_get_infov, (MYSQL * mysql, enum mariadb_value value, void *to),
      (mysql, value, to), -1, {"unknown", 0})
PLAIN(MYSQL_ROW, mysql_fetch_row, (MYSQL_RES * result), (result), NULL, {"no row", 0})

CALL(mysql_optionsv, MEMORY)
DECLARE(int, mysql_optionsv, (MYSQL * mysql, enum mysql_option option, ...))
{
    va_list args;
    va_start(args, option);
    void *value = va_arg(args, void *);
    va_end(args);
    return meet(&call_mysql_optionsv) ? 1 : __real_mysql_optionsv(mysql, option, value);
}

CALL(mysql_real_connect, {"no socket", CR_CONNECTION_ERROR}, {"no host", CR_CONN_HOST_ERROR},
     {"lost", CR_SERVER_LOST}, {"too many connections", ER_CON_COUNT_ERROR},
     {"too many of the user", ER_TOO_MANY_USER_CONNECTIONS}, {"quota", ER_USER_LIMIT_REACHED},
     {"access denied", ER_ACCESS_DENIED_ERROR}, {"no database", ER_BAD_DB_ERROR},
     {"blocked", ER_HOST_IS_BLOCKED}, {"no TLS", CR_SSL_CONNECTION_ERROR},
     {"no plugin", CR_AUTH_PLUGIN_CANNOT_LOAD}, {"locked", ER_ACCOUNT_HAS_BEEN_LOCKED},
     {"our memory", CR_OUT_OF_MEMORY})
DECLARE(MYSQL *, mysql_real_connect,
        (MYSQL * mysql, const char *host, const char *user, const char *password, const char *name,
         unsigned port, const char *socket, unsigned long flags))
{
    const struct way *way = meet(&call_mysql_real_connect);
    if (!way)
        return __real_mysql_real_connect(mysql, host, user, password, name, port, socket, flags);
    set_error(mysql, way);
    return NULL;
}

CALL(mysql_real_query, ALL_ERRORS)
DECLARE(int, mysql_real_query, (MYSQL * mysql, const char *text, unsigned long len))
{
    return wrap_query(mysql, text, len);
}

static int wrap_query(MYSQL *mysql, const char *text, unsigned long len)
{
    const struct way *way = meet(&call_mysql_real_query);
    if (!way)
        return __real_mysql_real_query(mysql, text, len);
    fault_end();
    if (is_done(way) && __real_mysql_real_query(mysql, text, len) == 0)
        mysql_free_result(mysql_store_result(mysql));
    fault_begin();
    return fail_query(mysql, way);
}

CALL(mysql_store_result, {"lost", CR_SERVER_LOST, CUT}, {"our memory", CR_OUT_OF_MEMORY, CUT})
DECLARE(MYSQL_RES *, mysql_store_result, (MYSQL * mysql))
{
    const struct way *way = meet(&call_mysql_store_result);
    if (!way)
        return __real_mysql_store_result(mysql);
    (void)fail_query(mysql, way);
    return NULL;
}

CALL(mysql_stmt_prepare, ALL_ERRORS, {"too many prepared", ER_MAX_PREPARED_STMT_COUNT_REACHED})
DECLARE(int, mysql_stmt_prepare, (MYSQL_STMT * stmt, const char *text, unsigned long len))
{
    const struct way *way = meet(&call_mysql_stmt_prepare);
    return way ? fail_statement(stmt, way) : __real_mysql_stmt_prepare(stmt, text, len);
}

CALL(mysql_stmt_execute, ALL_ERRORS, {"must be prepared again", ER_NEED_REPREPARE})
DECLARE(int, mysql_stmt_execute, (MYSQL_STMT * stmt))
{
    const struct way *way = meet(&call_mysql_stmt_execute);
    if (!way)
        return __real_mysql_stmt_execute(stmt);
    fault_end();
    if (is_done(way) && __real_mysql_stmt_execute(stmt) == 0)
        (void)__real_mysql_stmt_free_result(stmt);
    fault_begin();
    return fail_statement(stmt, way);
}

/* An error between two rows; none come after it. */
CALL(mysql_stmt_fetch, {"gone away", CR_SERVER_GONE_ERROR, CUT}, {"lost", CR_SERVER_LOST, CUT},
     {"deadlock", ER_LOCK_DEADLOCK, UNDONE}, {"lock wait", ER_LOCK_WAIT_TIMEOUT},
     {"statement time-out", ER_STATEMENT_TIMEOUT}, {"killed query", ER_QUERY_INTERRUPTED},
     {"killed", ER_CONNECTION_KILLED, CUT}, {"disk full", ER_DISK_FULL},
     {"engine error", ER_GET_ERRNO}, {"our memory", CR_OUT_OF_MEMORY, CUT})
DECLARE(int, mysql_stmt_fetch, (MYSQL_STMT * stmt))
{
    const struct way *way = meet(&call_mysql_stmt_fetch);
    if (!way)
        return __real_mysql_stmt_fetch(stmt);
    fault_end();
    (void)__real_mysql_stmt_free_result(stmt);
    fault_begin();
    return fail_statement(stmt, way);
}

#define OF_STATEMENT(name_, params_, args_)                                                        \
    CALL(name_, {"our memory", CR_OUT_OF_MEMORY})                                                  \
    DECLARE(my_bool, name_, params_)                                                               \
    {                                                                                              \
        const struct way *way = meet(&call_##name_);                                               \
        return way ? (my_bool)fail_statement(stmt, way) : __real_##name_ args_;                    \
    }

OF_STATEMENT(mysql_stmt_bind_param, (MYSQL_STMT * stmt, MYSQL_BIND *bind), (stmt, bind))
OF_STATEMENT(mysql_stmt_bind_result, (MYSQL_STMT * stmt, MYSQL_BIND *bind), (stmt, bind))

CALL(mysql_stmt_fetch_column, {"our memory", CR_OUT_OF_MEMORY})
DECLARE(int, mysql_stmt_fetch_column,
        (MYSQL_STMT * stmt, MYSQL_BIND *bind, unsigned column, unsigned long offset))
{
    const struct way *way = meet(&call_mysql_stmt_fetch_column);
    return way ? fail_statement(stmt, way)
               : __real_mysql_stmt_fetch_column(stmt, bind, column, offset);
}

CALL(mysql_stmt_free_result, {"lost", CR_SERVER_LOST, CUT})
DECLARE(my_bool, mysql_stmt_free_result, (MYSQL_STMT * stmt))
{
    const struct way *way = meet(&call_mysql_stmt_free_result);
    if (!way)
        return __real_mysql_stmt_free_result(stmt);
    (void)fail_statement(stmt, way);
    return 1;
}
