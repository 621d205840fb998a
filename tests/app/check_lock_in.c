/* needs: mariadb */
/* A worker that has locked itself in serves, and reaches its database again. */
#include "fcgi-app/lock_in.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/process/lockdown_internal.h"
#include "fcgi-app/system/database_model.h"
#include "tests/support/child.h"
#include "tests/support/people.h"
#include "tests/support/refusals.h"
#include "tests/support/tls_server.h"

#define FINE 0

static struct lockdown_state can;

static void set_up(void)
{
    lockdown_probe(&can);
    loopback_open();
    unsetenv("POOL_LOCKED");
}

/* The exit status of a process that locks itself in with these settings and does something. */
static int locked(const char *const *settings, enum worker_kind kind, int (*something)(void))
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        loopback_settings(settings);
        lock_in(the_arena, the_app->settings, kind);
        _exit(something());
    }
    return end_of(pid);
}

#define LOCKED(kind_, something_, ...)                                                             \
    locked((const char *const[]){__VA_ARGS__, NULL}, (kind_), (something_))

/* Much of what is served, with a connection that is opened here. Assertions would fork no more, and
 * write to a file: the line of the first call that fails is the status. */
#define need(status_, answer_)                                                                     \
    do {                                                                                           \
        if ((answer_).status != (status_))                                                         \
            return __LINE__ % 100 + 1;                                                             \
    } while (0)

static int serve(void)
{
    app_rest(the_app);
    need(201, api_post(NULL, "/auth/register",
                       object("{'email':'eve@example.org','password':'" PASSWORD "'}")));
    struct answer in = api_post(NULL, "/auth/login",
                                object("{'email':'eve@example.org','password':'" PASSWORD "'}"));
    need(200, in);
    const char *token = login_of(in).access;
    need(200, api_get(token, "/auth/profile"));
    need(201, api_post(token, "/posts", object("{'title':'A title','content':'And words.'}")));
    app_rest(the_app);
    need(200, api_get(token, "/posts?q=words&limit=5"));
    need(200, api_get(token, "/users?q=eve"));
    need(404, api_get(NULL, "/metrics"));
    need(200, api_get(NULL, "/openapi.json"));
    need(200, api_get(NULL, "/ready"));
    return FINE;
}

/* That it is by TCP indeed, and encrypted. */
static int look_by_tcp(void)
{
    struct encryption e;
    app_rest(the_app);
    if (db_ping(the_app->db, the_arena) || strchr(db_where(the_app->db, the_arena), '/'))
        return 1;
    return database_ask_encryption(the_app->db, the_arena, &e) || !e.cipher.len ? 2 : FINE;
}

CASE("lock in", set_up, loopback_close);

static const enum worker_kind kinds[] = {WORKER_OF_POOL, WORKER_ALONE, WORKER_SCRIPT};

/* In the mode that ends a process which is refused something. */
TEST_EACH(a_worker_that_is_locked_in_serves, kinds)
{
    ck_assert_int_eq(LOCKED(kinds[_i], serve, "LOCKDOWN=kill"), FINE);
}

/* The database by TCP, with TLS that is verified, and by its name: connections are opened after. */
static void begin_tls(void)
{
    tls_server_begin(TLS_SERVER);
}

CASE("lock in by TCP", set_up, loopback_close);
CASE_AROUND(begin_tls, tls_server_end);

static const char *const hosts[] = {"127.0.0.1", "localhost"};

/* All that a URL can name is to be read again when a connection is opened. */
TEST(a_worker_reaches_its_database_with_a_certificate_of_its_own)
{
    const char *ca = arena_strdup(the_arena, tls_file(TLS_CA)),
               *cert = arena_strdup(the_arena, tls_file(TLS_CLIENT));
    char *url = tls_url(
        "localhost", say("ssl-ca=%s&ssl-cert=%s&ssl-key=%s", ca, cert, tls_file(TLS_CLIENT_KEY)));
    const char *setting = say("DATABASE_URL=%s", url);
    free(url);

    ck_assert_int_eq(LOCKED(WORKER_OF_POOL, look_by_tcp, "LOCKDOWN=kill", setting), FINE);
}

TEST_EACH(a_worker_reaches_its_database_by_tcp_and_tls, hosts)
{
    char *url = tls_url(hosts[_i], say("ssl-ca=%s", tls_file(TLS_CA)));
    const char *setting = say("DATABASE_URL=%s", url);
    free(url);

    ck_assert_int_eq(LOCKED(WORKER_OF_POOL, serve, "LOCKDOWN=kill", setting), FINE);
    ck_assert_int_eq(LOCKED(WORKER_OF_POOL, look_by_tcp, "LOCKDOWN=kill", setting), FINE);
}

CASE("lock in", set_up, loopback_close);

static int try_exec(void)
{
    (void)execl("/bin/true", "true", (char *)NULL);
    return errno;
}

static int try_shadow(void)
{
    int fd = open("/etc/shadow", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? errno : FINE;
}

static int try_write(void)
{
    int fd = open("/tmp/postern-lock-in-test", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 ? errno : unlink("/tmp/postern-lock-in-test");
}

static int try_trace(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 ? errno : FINE;
}

TEST(what_a_worker_is_refused_depends_on_who_starts_programs)
{
    int no_call = can.calls ? ENOSYS : FINE, no_file = can.landlock ? EACCES : FINE;
    int no_write = COUNTS ? no_file : no_call;

    ck_assert_int_eq(LOCKED(WORKER_OF_POOL, try_exec, "LOCKDOWN=on"), no_call);
    ck_assert_int_eq(LOCKED(WORKER_ALONE, try_exec, "LOCKDOWN=on"), FINE);
    ck_assert_int_eq(LOCKED(WORKER_OF_POOL, try_trace, "LOCKDOWN=on"), no_call);
    ck_assert_int_eq(LOCKED(WORKER_ALONE, try_trace, "LOCKDOWN=on"), no_call);
    ck_assert_int_eq(LOCKED(WORKER_OF_POOL, try_write, "LOCKDOWN=on"), no_write);
    ck_assert_int_eq(LOCKED(WORKER_ALONE, try_write, "LOCKDOWN=on"), no_file);
    ck_assert_int_eq(LOCKED(WORKER_SCRIPT, try_write, "LOCKDOWN=on"), FINE);
    ck_assert_int_eq(LOCKED(WORKER_SCRIPT, try_trace, "LOCKDOWN=on"), no_call);
    if (geteuid() == 0)
        ck_assert_int_eq(LOCKED(WORKER_OF_POOL, try_shadow, "LOCKDOWN=on"), no_file);
}

TEST(a_setting_leaves_all_open)
{
    ck_assert_int_eq(LOCKED(WORKER_OF_POOL, try_exec, "LOCKDOWN=off"), FINE);
    ck_assert_int_eq(LOCKED(WORKER_OF_POOL, try_trace, "LOCKDOWN=off"), FINE);
}

TEST(who_starts_a_mail_program_is_not_locked_in)
{
    ck_assert_int_eq(LOCKED(WORKER_ALONE, try_exec, "MAIL_COMMAND=/bin/true"), FINE);
}
