/* reload.c -- reloads, new programs and dead workers, and nobody notices. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/e2e/http.h"
#include "tests/e2e/load.h"
#include "tests/e2e/own.h"

#define RATE 200 /* requests a second */
#define REPLACED_MS 200

/* Until no worker is one of these. */
static void await_others(const pid_t *before, size_t count)
{
    for (size_t i = 0; i < count; i++)
        backend_await_workers(&own, count, before[i]);
}

NGINX_CASE("reloads");

TEST(ten_reloads_of_nginx_and_five_of_the_pool_lose_nothing)
{
    pid_t before[WORKERS_MAX];
    backend_start(&own, LIST("WORKERS=4", "HASH_WORKERS=1"));
    start_own_front();
    struct load *load = load_start_paced(&own_front, new_user(NULL), RATE);
    load_be_strict(load);

    for (unsigned i = 0; i < 10; i++) {
        load_await_served(load, 30);
        ck_assert_uint_eq(backend_workers(&own, before), 5);
        if (i % 2 == 0)
            ck_assert_int_eq(kill(own.pid, SIGHUP), 0);
        front_reload(&own_front);
        if (i % 2 == 0)
            await_others(before, 5);
    }
    load_await_served(load, RATE);
    load_finish(load);

    ck_assert_uint_eq(load_tally(load).refused, 0);
    load_verify(load, false);
    ck_assert(!backend_logged(&own, "\"worker_died\""));
    load_free(load);
    stop_own();
}

#define KEPT 8 /* connections */
#define KEPT_ROUNDS 40

static int connect_kept(void)
{
    const struct sockaddr_in its = {.sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                    .sin_port = htons((uint16_t)own_front.port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&its, sizeof its), 0);
    return fd;
}

/* The whole head of an answer and some of its body, or nothing. */
static size_t read_kept(int fd, char *answer, size_t size)
{
    size_t len = 0;
    do {
        ssize_t got = recv(fd, answer + len, size - 1 - len, 0);
        if (got <= 0)
            break;
        len += (size_t)got;
        answer[len] = '\0';
    } while (!strstr(answer, "\r\n\r\n") || !strchr(strstr(answer, "\r\n\r\n"), '}'));
    return len;
}

/* A client that keeps its connection may send while nginx, on its way out, closes it: such a
 * request is not read, and never answered by halves. */
TEST(what_a_reload_of_nginx_leaves_unanswered_is_not_written)
{
    long before, answered = 0, broken = 0;
    int fds[KEPT];
    backend_start(&own, LIST("WORKERS=2", "HASH_WORKERS=1"));
    start_own_front();
    const char *body = say("{\"title\":\"kept %ld\",\"content\":\"x\"}", now_ms());
    const char *request = say("POST /api/posts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                              "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                              new_user(NULL), strlen(body), body);
    before = database_number("SELECT COUNT(*) FROM posts");
    for (int i = 0; i < KEPT; i++)
        fds[i] = connect_kept();

    for (int round = 0; round < KEPT_ROUNDS; round++) {
        if (round % 4 == 0)
            ck_assert_int_eq(kill(own_front.pid, SIGHUP), 0);
        for (int i = 0; i < KEPT; i++)
            (void)send(fds[i], request, strlen(request), MSG_NOSIGNAL);
        for (int i = 0; i < KEPT; i++) {
            char answer[4096] = "";
            size_t len = read_kept(fds[i], answer, sizeof answer);
            bool whole = strncmp(answer, "HTTP/1.1 201 ", 13) == 0;
            ck_assert_msg(whole || len == 0, "%s", answer);
            answered += whole;
            broken += !whole;
            if (whole && !strstr(answer, "Connection: close"))
                continue;
            (void)close(fds[i]);
            fds[i] = connect_kept();
        }
    }

    printf("%ld of %d requests on kept connections were not read\n", broken, KEPT * KEPT_ROUNDS);
    ck_assert_int_eq(database_number("SELECT COUNT(*) FROM posts") - before, answered);
    for (int i = 0; i < KEPT; i++)
        (void)close(fds[i]);
    stop_own();
}

/* On a busy machine it may live on until it has taken what comes next along. */
static void kill_wholly(pid_t pid)
{
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    for (long end = now_ms() + PATIENCE_MS; kill(pid, 0) == 0; pause_ms(1))
        ck_assert_msg(now_ms() < end, "process %d does not die", (int)pid);
}

/* From the death of the only worker of each kind to an answer of its successor. A busy machine may
 * take longer now and then, but not each time. */
TEST(a_dead_worker_is_soon_replaced)
{
    long took_ms = PATIENCE_MS;
    backend_start(&own, LIST("WORKERS=1", "HASH_WORKERS=1"));
    start_own_front();

    for (int tries = 0; tries < 20 && took_ms > REPLACED_MS; tries++) {
        pid_t pids[WORKERS_MAX];
        pause_ms(tries ? 1100 : 0); /* who dies young waits longer the next time */
        ck_assert_uint_eq(backend_workers(&own, pids), 2);
        long died = now_ms();
        kill_wholly(pids[0]);
        kill_wholly(pids[1]);
        ck_status(fetch(.path = "/api/health"), 200); /* waits in the socket's queue */
        ck_status(fetch(.path = "/api/auth/login", .body = "{}"), 400);
        took_ms = now_ms() - died;
        await_others(pids, 2);
    }

    ck_assert_int_le(took_ms, REPLACED_MS);
    stop_own();
}

/* ---- a program of its own, that can be replaced ---- */

static char program[WORLD_PATH + 16];

static void start_copy(void)
{
    backend_make(&own);
    snprintf(program, sizeof program, "%s/postern", own.folder);
    ck_assert_int_eq(world_run(LIST("cp", "./postern", program), NULL, NULL, NULL), 0);
    own.pid = world_start(LIST(program, "serve"),
                          LIST("WORKERS=3", "HASH_WORKERS=1", say("LISTEN=%s", own.fast),
                               say("HASH_LISTEN=%s", own.hash)),
                          own.folder, own.log);
    start_own_front();
    file_await(own.log, "\"started\"", 1, PATIENCE_MS);
    backend_await_workers(&own, 4, 0);
}

/* Put what `make` writes in the place of the program, all at once. */
static void replace_program(const char *make)
{
    const char *command = say("cd %s && %s && chmod 755 new && mv new postern", own.folder, make);
    ck_assert_int_eq(world_run(LIST("sh", "-c", command), NULL, NULL, NULL), 0);
}

static bool runs_the_file(pid_t pid)
{
    struct stat file, running;
    ck_assert_int_eq(stat(program, &file), 0);
    ck_assert_int_eq(stat(say("/proc/%d/exe", (int)pid), &running), 0);
    return file.st_dev == running.st_dev && file.st_ino == running.st_ino;
}

static unsigned workers_that_run_the_file(void)
{
    pid_t pids[WORKERS_MAX];
    unsigned n = 0;
    size_t count = backend_workers(&own, pids);
    for (size_t i = 0; i < count; i++)
        n += runs_the_file(pids[i]);
    return n;
}

TEST(a_new_program_takes_over_and_loses_nothing)
{
    pid_t before[WORKERS_MAX];
    start_copy();
    struct load *load = load_start_paced(&own_front, new_user(NULL), RATE);
    load_be_strict(load);
    load_await_served(load, 40);
    ck_assert_uint_eq(backend_workers(&own, before), 4);
    ck_assert_uint_eq(workers_that_run_the_file(), 4);

    replace_program("{ cat postern; echo; } >new");
    ck_assert_uint_eq(workers_that_run_the_file(), 0);
    ck_assert_int_eq(kill(own.pid, SIGHUP), 0);
    await_others(before, 4);
    load_await_served(load, RATE / 2);
    load_finish(load);

    ck_assert(runs_the_file(own.pid));
    ck_assert_uint_eq(workers_that_run_the_file(), 4);
    ck_assert_uint_eq(load_tally(load).refused, 0);
    load_verify(load, false);
    load_free(load);
    stop_own();
}

static const char *const bad_programs[] = {
    "head -c 5000 postern >new",           /* cut short on its way */
    "printf '#!/bin/sh\\nexit 1\\n' >new", /* refuses to start */
};

TEST_EACH(a_program_that_does_not_start_replaces_nothing, bad_programs)
{
    pid_t before[WORKERS_MAX], after[WORKERS_MAX];
    start_copy();
    ck_assert_uint_eq(backend_workers(&own, before), 4);

    replace_program(bad_programs[_i]);
    ck_assert_int_eq(kill(own.pid, SIGHUP), 0);
    file_await(own.log, "\"reload_refused\"", 1, PATIENCE_MS);

    ck_assert_uint_eq(backend_workers(&own, after), 4);
    ck_assert_mem_eq(after, before, 4 * sizeof *before);
    ck_status(fetch(.path = "/api/ready"), 200);
    stop_own();
}

/* ---- a log that nobody reads any more ---- */

static bool is_there(const char *name)
{
    struct stat s;
    return stat(say("%s/%s", own.folder, name), &s) == 0;
}

/* The reader takes the first line, as a logger that crashes soon, and then is no more. */
TEST(a_log_whose_reader_is_gone_ends_nobody)
{
    static const char start[] =
        "exec \"$0\" serve 2> >(read -r line; echo \"$line\" >first; exec <&-; >gone)";
    pid_t before[WORKERS_MAX], now[WORKERS_MAX];
    backend_make(&own);
    ck_assert_int_eq(
        world_run(LIST("cp", "./postern", say("%s/postern", own.folder)), NULL, NULL, NULL), 0);
    own.pid = world_start(LIST("bash", "-c", start, say("%s/postern", own.folder)),
                          LIST("WORKERS=2", "HASH_WORKERS=1", say("LISTEN=%s", own.fast),
                               say("HASH_LISTEN=%s", own.hash)),
                          own.folder, own.log);
    for (long end = now_ms() + PATIENCE_MS; !is_there("gone"); pause_ms(5))
        ck_assert_msg(now_ms() < end, "the pool does not start, see %s", own.folder);
    backend_await_workers(&own, 3, 0);
    start_own_front();

    ck_assert_uint_eq(backend_workers(&own, before), 3);
    kill_wholly(before[0]); /* "worker_died" */
    backend_await_workers(&own, 3, before[0]);
    ck_assert_uint_eq(backend_workers(&own, before), 3);
    ck_assert_int_eq(kill(own.pid, SIGHUP), 0); /* "reloading", "started" */
    await_others(before, 3);
    ck_status(fetch(.path = "/api/ready"), 200); /* "request" */
    ck_assert_uint_eq(backend_workers(&own, now), 3);

    stop_own(); /* "stopped"; its status is 0 */
    ck_assert_ptr_nonnull(strstr(file_text(say("%s/first", own.folder)), "\"started\""));
}
