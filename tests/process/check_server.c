#include "common/process/server.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/base/instant.h"
#include "common/base/problem.h"
#include "common/process/accept_queue.h"
#include "common/process/reexec.h"
#include "tests/support/child.h"
#include "tests/support/clock.h"
#include "tests/support/records.h"
#include "tests/support/scratch.h"
#include "tests/support/sockets.h"
#include "tests/support/suite.h"

#define BODY_MAX 100000
#define LONG_ANSWER (200 * 1024)

static int begun[2]; /* a handler that takes its time tells through this that it runs */

static void set_up(void)
{
    scratch_open();
    ck_assert_int_eq(pipe2(begun, O_CLOEXEC), 0);
    (void)unlink(path);
    (void)signal(SIGTERM, SIG_DFL); /* Check's own would pass a server's end on to the test */
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGUSR1, SIG_DFL);
}

static void tear_down(void)
{
    (void)close(begun[0]);
    (void)close(begun[1]);
    scratch_close();
}

static void sleep_us(long us)
{
    const struct timespec ts = {us / 1000000, us % 1000000 * 1000};
    (void)nanosleep(&ts, NULL);
}

/* ---- the server, in a process of its own ---- */

static void answer_long(struct response *rs)
{
    for (int i = 0; i < LONG_ANSWER; i++)
        buf_add(&rs->body, &(char){(char)('a' + i % 26)}, 1);
}

static void answer_slowly(struct response *rs)
{
    ck_assert_int_eq(write(begun[1], "b", 1), 1);
    sleep_us(300000);
    buf_puts(&rs->body, "slow");
}

static void answer_never(void)
{
    ck_assert_int_eq(write(begun[1], "b", 1), 1);
    for (;;)
        sleep_us(1000000);
}

static void describe(const struct request *rq, struct response *rs)
{
    static int count;
    buf_printf(&rs->body, "n=%d method=%s path=%s query=%s length=%zu body=%zu large=%d", ++count,
               rq->param[PARAM_METHOD], rq->path, rq->raw_query, rq->content_length,
               rq->raw_body.len, rq->too_large);
}

static void note_release(void *object)
{
    (void)object;
    ck_assert_int_eq(write(begun[1], "r", 1), 1);
}

/* Others come first, until the test says so. */
static int lets_in[2];
static bool is_let_in;

static unsigned wait_ms(void *context, enum postponed kind, int64_t came)
{
    char byte;
    ck_assert_str_eq(context, "context");
    ck_assert_int_eq(kind, POSTPONED_HASH);
    ck_assert_int_le(came, monotonic_ns());
    is_let_in = is_let_in || read(lets_in[0], &byte, 1) == 1;
    return is_let_in ? 0 : 1;
}

static void answer_late(const struct request *rq, struct response *rs)
{
    static int64_t came;
    if (came)
        ck_assert_int_eq(rq->came, came);
    came = rq->came;
    if (is_let_in || !rq->may_wait) {
        buf_puts(&rs->body, rq->may_wait ? "late" : "refused");
        return;
    }
    buf_puts(&rs->body, "of no use");
    rs->postponed = POSTPONED_HASH;
    ck_assert_int_eq(write(begun[1], "b", 1), 1);
}

/* Postponed, and told to end meanwhile. */
static void answer_signalled(struct response *rs)
{
    static bool is_again;
    sigset_t waiting;
    if (!is_again) {
        is_again = true;
        rs->postponed = POSTPONED_HASH;
        ck_assert_int_eq(kill(getpid(), SIGTERM), 0);
        return;
    }
    ck_assert_int_eq(sigpending(&waiting), 0);
    buf_puts(&rs->body, sigismember(&waiting, SIGTERM) ? "deaf" : "heard");
}

static void handle(void *context, struct request *rq, struct response *rs)
{
    ck_assert_str_eq(context, "context");
    response_reset(rs);
    rs->status = rq->too_large ? 413 : 200;
    if (!rq->path)
        rs->status = 404;
    else if (strcmp(rq->path, "/late") == 0)
        answer_late(rq, rs);
    else if (strcmp(rq->path, "/signalled") == 0)
        answer_signalled(rs);
    else if (strcmp(rq->path, "/echo") == 0)
        buf_add(&rs->body, rq->raw_body.data, rq->raw_body.len);
    else if (strcmp(rq->path, "/long") == 0)
        answer_long(rs);
    else if (strcmp(rq->path, "/slow") == 0)
        answer_slowly(rs);
    else if (strcmp(rq->path, "/forever") == 0)
        answer_never();
    else if (strcmp(rq->path, "/uptime") == 0)
        buf_printf(&rs->body, "%" PRId64, rq->uptime_ms);
    else if (strcmp(rq->path, "/hungry") == 0)
        (void)arena_alloc(rq->arena, (size_t)1 << 40);
    else if (strcmp(rq->path, "/empty") == 0)
        rs->status = 204;
    else
        describe(rq, rs);
    if (rq->path && strcmp(rq->path, "/deferred") == 0)
        arena_defer(rq->arena, note_release, NULL);
}

/* What a test wants of the server besides. */
static struct server wanted;

static pid_t start_on(int listen_fd)
{
    struct server server = wanted;
    server.listen_fd = listen_fd;
    server.base_path = "/api";
    server.body_max = BODY_MAX;
    server.handle = handle;
    server.context = (char[]){"context"};
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        server_run(&server);
        arena_close(a);
        exit(EXIT_SUCCESS); /* with the last word of a sanitizer */
    }
    return pid;
}

static pid_t start(void)
{
    int fd = listen_at(path);
    pid_t pid = start_on(fd);
    (void)close(fd);
    return pid;
}

static void stop(pid_t pid)
{
    ck_assert_int_eq(kill(pid, SIGTERM), 0);
    ck_assert_int_eq(end_of(pid), EXIT_SUCCESS);
}

static void assert_alive(void)
{
    struct reply reply = ask(.method = "GET", .uri = "/api/alive");
    ck_assert(reply.ended);
    ck_says(reply, "path=/alive");
}

/* ---- requests and answers ---- */

/* Of the test. */
static pid_t running;

static void set_up_running(void)
{
    set_up();
    running = start();
}

static void tear_down_running(void)
{
    stop(running);
    tear_down();
}

CASE("answers", set_up_running, tear_down_running);
CASE_AROUND(sockets_open, sockets_close);
CASE_LIMIT_S(120);

TEST(a_get_is_answered_with_head_and_body)
{
    struct reply reply = ask(.method = "GET", .uri = "/api/x", .query = "a=b");

    ck_assert(reply.ended);
    ck_assert_str_eq(reply.text,
                     "Status: 200 OK\r\nContent-Type: application/json\r\nContent-Length: 56\r\n"
                     "X-Request-Id: request-1\r\nX-Content-Type-Options: nosniff\r\n\r\n"
                     "n=1 method=GET path=/x query=a=b length=0 body=0 large=0");
}

static const struct {
    size_t len, piece;
    bool no_length;
} bodies[] = {
    {1, 0, false},        {10, 1, false},           {16383, 0, false},
    {16384, 0, false},    {16385, 0, false},        {32768, 32768, false},
    {BODY_MAX, 0, false}, {BODY_MAX, 65535, false}, {5000, 0, true},
};

TEST_EACH(a_body_arrives_whole_however_it_is_cut, bodies)
{
    char *body = arena_alloc(a, BODY_MAX);
    for (size_t i = 0; i < BODY_MAX; i++)
        body[i] = (char)(i * 31 % 251);

    struct reply reply =
        ask(.method = "POST", .uri = "/api/echo", .body = body, .body_len = bodies[_i].len,
            .piece = bodies[_i].piece, .no_length = bodies[_i].no_length);

    const char *text = content(reply);
    ck_assert(reply.ended);
    ck_assert_uint_eq(reply.len - (size_t)(text - reply.text), bodies[_i].len);
    ck_assert_mem_eq(text, body, bodies[_i].len);
}

TEST(a_body_without_an_announced_length_counts_by_its_bytes)
{
    struct reply reply =
        ask(.method = "POST", .uri = "/api/x", .body = "12345", .body_len = 5, .no_length = true);

    ck_says(reply, "length=5 body=5 large=0");
}

TEST(a_body_that_ended_early_shows_by_its_length)
{
    struct reply reply =
        ask(.method = "POST", .uri = "/api/x", .body = "12345", .body_len = 5, .announced = 9);

    ck_says(reply, "length=9 body=5 large=0");
}

static const struct {
    size_t len, announced;
} large_bodies[] = {{BODY_MAX + 1, 0},
                    {BODY_MAX * 3 / 2, 0},
                    {BODY_MAX * 20, 0},
                    {BODY_MAX * 20, 5},
                    {5, BODY_MAX + 1}};

TEST_EACH(a_body_over_the_bound_is_told_to_the_handler_and_not_kept, large_bodies)
{
    char *body = arena_alloc(a, BODY_MAX * 20);

    struct reply reply =
        ask(.method = "POST", .uri = "/api/x", .body = body, .body_len = large_bodies[_i].len,
            .announced = large_bodies[_i].announced);

    ck_assert(reply.ended);
    ck_assert_mem_eq(reply.text, "Status: 413 ", 12);
    ck_says(reply, " body=0 large=1");
    assert_alive();
}

TEST(the_next_body_has_nothing_of_the_one_before)
{
    char *body = arena_alloc(a, BODY_MAX + 1);
    (void)ask(.method = "POST", .uri = "/api/x", .body = body, .body_len = BODY_MAX + 1);

    struct reply small = ask(.method = "POST", .uri = "/api/echo", .body = "abc", .body_len = 3);
    struct reply none = ask(.method = "GET", .uri = "/api/echo");

    ck_assert_str_eq(content(small), "abc");
    ck_assert_str_eq(content(none), "");
}

TEST(a_long_answer_arrives_whole_in_several_records)
{
    struct reply reply = ask(.method = "GET", .uri = "/api/long");

    const char *text = content(reply);
    ck_assert(reply.ended);
    ck_assert_uint_ge(reply.records, 4);
    ck_assert_uint_eq(reply.len - (size_t)(text - reply.text), LONG_ANSWER);
    for (int i = 0; i < LONG_ANSWER; i++)
        ck_assert_int_eq(text[i], 'a' + i % 26);
    ck_assert_ptr_nonnull(
        strstr(reply.text, arena_printf(a, "Content-Length: %d\r\n", LONG_ANSWER)));
}

TEST(head_has_the_head_of_get_without_content)
{
    struct reply reply = ask(.method = "HEAD", .uri = "/api/long");

    ck_assert(reply.ended);
    ck_assert_str_eq(content(reply), "");
    ck_assert_ptr_nonnull(
        strstr(reply.text, arena_printf(a, "Content-Length: %d\r\n", LONG_ANSWER)));
}

TEST(a_status_without_content_has_none)
{
    struct reply reply = ask(.method = "DELETE", .uri = "/api/empty");

    ck_assert(reply.ended);
    ck_assert_mem_eq(reply.text, "Status: 204 ", 12);
    ck_assert_ptr_null(strstr(reply.text, "\r\nContent-"));
    ck_assert_str_eq(content(reply), "");
}

TEST(one_worker_answers_one_request_after_another)
{
    for (int i = 1; i <= 300; i++) {
        struct reply reply = ask(.method = "GET", .uri = "/api/x");
        ck_assert(reply.ended);
        ck_assert_mem_eq(content(reply), arena_printf(a, "n=%d ", i), 4);
    }
}

TEST(a_request_has_the_time_that_nobody_sets)
{
    int64_t before = uptime_ms();

    struct reply reply = ask(.method = "GET", .uri = "/api/uptime");

    int64_t seen = strtoll(content(reply), NULL, 10);
    ck_assert_int_ge(seen, before);
    ck_assert_int_le(seen, uptime_ms());
}

TEST(the_arena_of_a_request_ends_with_it)
{
    char released;
    struct pollfd ready = {.fd = begun[0], .events = POLLIN};

    (void)ask(.method = "GET", .uri = "/api/deferred");

    ck_assert_int_eq(poll(&ready, 1, PATIENCE_MS), 1);
    ck_assert_int_eq(read(begun[0], &released, 1), 1);
    ck_assert_int_eq(released, 'r');
}

TEST(a_peer_that_does_not_wait_for_its_answer_is_no_danger)
{
    for (int i = 0; i < 20; i++)
        (void)close(begin_call(path, &(const struct call){.method = "GET", .uri = "/api/long"}));

    assert_alive();
}

/* ---- peers that do not keep to the protocol ---- */

CASE("server", set_up, tear_down);
CASE_AROUND(sockets_open, sockets_close);
CASE_LIMIT_S(120);

static void put_garbage(struct buf *b, int kind)
{
    static const unsigned char bad_version[] = {9, BEGIN, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    static const unsigned char unknown_type[] = {1, 77, 0, 0, 0, 0, 0, 0};
    const struct call call = {.method = "POST", .uri = "/api/x", .body = "12345", .body_len = 5};
    switch (kind) {
    case 0: /* nothing at all */
        return;
    case 1:
        buf_puts(b, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        return;
    case 2:
        buf_add(b, bad_version, sizeof bad_version);
        return;
    case 3:
        buf_add(b, unknown_type, sizeof unknown_type);
        return;
    case 4: /* half a head */
        buf_add(b, "\1\1\0\1", 4);
        return;
    case 5: /* a request that stops after its beginning */
        put_begin(b, RESPONDER);
        return;
    case 6: /* in the middle of its parameters */
        put_call(b, &call);
        b->len = 40;
        return;
    case 7: /* in the middle of its body */
        put_call(b, &call);
        b->len -= 12;
        return;
    case 8: /* parameters of no request */
        put_params(b, &call);
        return;
    case 9: /* a role that we do not play */
        put_begin(b, FILTER);
        put_params(b, &call);
        return;
    case 10: /* an abort before and after the parameters */
        put_begin(b, RESPONDER);
        put_record(b, ABORT, NULL, 0, 0);
        return;
    case 11:
        put_begin(b, RESPONDER);
        put_params(b, &call);
        put_record(b, ABORT, NULL, 0, 0);
        return;
    case 12: /* parameters of a length that there is not */
        put_begin(b, RESPONDER);
        put_record(b, PARAMS, "\xBF\xFF\xFF\xFF\xBF\xFF\xFF\xFFxy", 10, 0);
        put_record(b, PARAMS, NULL, 0, 0);
        put_record(b, STDIN, NULL, 0, 0);
        return;
    default: /* noise */
        for (unsigned i = 0, seed = (unsigned)kind; i < 300; i++)
            buf_add(b, &(char){(char)rand_r(&seed)}, 1);
    }
}

/* A question about ourselves is no request; libraries have fallen over a name that came often. */
TEST(who_asks_what_we_can_is_told)
{
    static const unsigned char head[] = {1, GET_VALUES, 0, 0, 0, 80, 0, 0};
    struct buf out, in;
    pid_t pid = start();
    buf_init(&out, 1024);
    buf_init(&in, 1024);
    buf_add(&out, head, sizeof head);
    for (int i = 0; i < 5; i++)
        buf_add(&out,
                "\x0E\0"
                "FCGI_MAX_CONNS",
                16);
    int fd = connect_to(path);
    send_bytes(fd, out.data, out.len);
    (void)shutdown(fd, SHUT_WR);

    ck_assert(read_all(fd, &in, PATIENCE_MS));

    ck_assert_uint_eq(in.len, 8 + 5 * 17);
    ck_assert_mem_eq(in.data, "\1\12\0\0\0\125\0\0\x0E\1FCGI_MAX_CONNS1\x0E\1", 27);
    (void)close(fd);
    buf_release(&out);
    buf_release(&in);
    assert_alive();
    stop(pid);
}

TEST_TIMES(a_peer_that_speaks_otherwise_and_leaves_is_no_danger, 16)
{
    pid_t pid = start();
    struct buf out, in;
    buf_init(&out, 65536);
    buf_init(&in, 65536);
    put_garbage(&out, _i);
    int fd = connect_to(path);
    send_bytes(fd, out.data, out.len);
    (void)shutdown(fd, SHUT_WR);

    ck_assert(read_all(fd, &in, PATIENCE_MS));

    (void)close(fd);
    buf_release(&out);
    buf_release(&in);
    assert_alive();
    stop(pid);
}

TEST(no_descriptor_is_lost_over_bad_peers)
{
    pid_t pid = start();
    struct buf out;
    buf_init(&out, 65536);
    for (int i = 0; i < 300; i++) {
        buf_reset(&out);
        put_garbage(&out, i % 14);
        int fd = connect_to(path);
        send_bytes(fd, out.data, out.len);
        (void)close(fd);
    }
    buf_release(&out);
    assert_alive();

    int open_ones = 0;
    DIR *listing = opendir(arena_printf(a, "/proc/%d/fd", pid));
    while (readdir(listing))
        open_ones++;
    (void)closedir(listing);

    ck_assert_int_lt(open_ones, 40);
    stop(pid);
}

/* Two workers, so that both silences are waited for at once: in a record's head, in a body. */
TEST(silence_half_way_frees_the_worker_after_ten_seconds)
{
    pid_t first = start();
    const char *other_path = arena_printf(a, "%s/other", folder);
    int listen_fd = listen_at(other_path);
    pid_t second = start_on(listen_fd);
    (void)close(listen_fd);
    struct buf out, in;
    buf_init(&out, 65536);
    buf_init(&in, 65536);
    int64_t began = now_ms();

    int half_head = connect_to(path);
    send_bytes(half_head, "\1\1\0\1", 4);
    put_call(&out, &(const struct call){
                       .method = "POST", .uri = "/api/x", .body = "12345", .body_len = 5});
    int half_body = connect_to(other_path);
    send_bytes(half_body, out.data, out.len - 12);

    ck_assert(read_all(half_head, &in, PATIENCE_MS));
    ck_assert(read_all(half_body, &in, PATIENCE_MS));
    ck_assert_int_ge(now_ms() - began, 9000);
    ck_assert_uint_eq(in.len, 0); /* half a request is not handled */
    assert_alive();

    (void)close(half_head);
    (void)close(half_body);
    buf_release(&out);
    buf_release(&in);
    stop(first);
    stop(second);
}

/* Each byte comes in time, but the request never: it keeps the worker no longer than its limit. */
TEST(a_request_that_comes_bit_by_bit_has_a_limit)
{
    struct buf out, in;
    wanted = (struct server){.request_s = 1};
    pid_t pid = start();
    buf_init(&out, 65536);
    buf_init(&in, 65536);
    put_call(&out, &(const struct call){
                       .method = "POST", .uri = "/api/x", .body = "12345", .body_len = 5});
    int fd = connect_to(path);
    struct pollfd closed = {.fd = fd, .events = POLLIN};

    for (size_t at = 0; at < out.len - 1 && poll(&closed, 1, 50) == 0; at++)
        send_bytes(fd, out.data + at, 1);

    ck_assert_int_eq(poll(&closed, 1, 0), 1);
    ck_assert(read_all(fd, &in, PATIENCE_MS));
    ck_assert_uint_eq(in.len, 0);
    wanted = (struct server){0};
    assert_alive();
    (void)close(fd);
    buf_release(&out);
    buf_release(&in);
    stop(pid);
}

/* ---- ending ---- */

static const int end_signals[] = {SIGTERM, SIGINT, SIGUSR1};

TEST_EACH(an_idle_worker_ends_at_once, end_signals)
{
    pid_t pid = start();
    assert_alive();

    ck_assert_int_eq(kill(pid, end_signals[_i]), 0);

    ck_assert_int_eq(end_of(pid), EXIT_SUCCESS);
}

/* The handler of this request has begun. */
static int begin_told(const char *uri)
{
    char byte;
    int fd = begin_call(path, &(const struct call){.method = "GET", .uri = uri});
    ck_assert_int_eq(read(begun[0], &byte, 1), 1);
    return fd;
}

static void ck_answers_before_the_end(pid_t pid, int signal, int fd, const char *what)
{
    ck_assert_int_eq(kill(pid, signal), 0);

    struct reply reply = reply_on(fd);
    ck_assert(reply.ended);
    ck_assert_str_eq(content(reply), what);
    ck_assert_int_eq(end_of(pid), EXIT_SUCCESS);
}

/* A request begins, the signal comes, and the request is answered before the end. */
static void ck_finishes_what_runs(int signal)
{
    pid_t pid = start();
    int fd = begin_told("/api/slow");

    ck_answers_before_the_end(pid, signal, fd, "slow");
}

TEST_EACH(the_request_that_runs_is_finished_first, end_signals)
{
    ck_finishes_what_runs(end_signals[_i]);
}

TEST(no_moment_is_wrong_for_an_end)
{
    for (int i = 0; i < 200; i++) {
        pid_t pid = start();
        assert_alive(); /* from here on its handlers are there, and it goes back to accept */
        sleep_us(i % 20 * 10);

        ck_assert_int_eq(kill(pid, SIGTERM), 0);

        ck_assert_msg(end_of(pid) == EXIT_SUCCESS, "round %d", i);
    }
}

/* Whatever web server is before it, for that would have its own words only. */
TEST(who_asks_for_more_than_there_is_memory_is_told_before_the_worker_ends)
{
    static const char *const methods[] = {"GET", "HEAD"};
    const char *body = unquote("{'error':'Service Unavailable','code':'unavailable','message':'The "
                               "service cannot answer right now; try again soon.','request_id':"
                               "'request-1'}");
    for (int i = 0; i < COUNT(methods); i++) {
        pid_t pid = start();
        struct reply reply = ask(.method = methods[i], .uri = "/api/hungry");

        ck_assert(reply.ended);
        ck_says(reply, "Status: 503 Service Unavailable\r\n");
        ck_says(reply, "Content-Type: application/json\r\n");
        ck_says(reply, arena_printf(a, "Content-Length: %zu\r\n", strlen(body)));
        ck_says(reply, "X-Request-Id: request-1\r\n");
        ck_says(reply, "Retry-After: 1\r\n");
        ck_assert_str_eq(content(reply), i == 0 ? body : "");
        ck_assert_int_eq(end_of(pid), EX_SOFTWARE);
    }
}
END_TEST

TEST(an_end_before_the_beginning_is_an_end)
{
    for (int i = 0; i < 100; i++) {
        pid_t pid = start();
        sleep_us(i * 30);

        ck_assert_int_eq(kill(pid, SIGTERM), 0);

        int end = end_of(pid);
        ck_assert_msg(end == EXIT_SUCCESS || end == 128 + SIGTERM, "%d in round %d", end, i);
    }
}

TEST(a_socket_that_fails_ends_the_worker_at_once)
{
    pid_t pid = start_on(open("/dev/null", O_RDONLY | O_CLOEXEC));

    ck_assert_int_eq(end_of(pid), EXIT_SUCCESS);
}

/* ---- requests that come in parts: see check_peers.c ---- */

static const struct call in_parts = {
    .method = "POST", .uri = "/api/echo", .body = "12345", .body_len = 5};

/* Send all but the last bytes of a call; returns the connection. */
static int begin_half(struct buf *out)
{
    buf_init(out, 65536);
    put_call(out, &in_parts);
    int fd = connect_to(path);
    send_bytes(fd, out->data, out->len - 12);
    return fd;
}

/* Send these, and it is served. */
static void ck_finishes(int fd, struct buf *out)
{
    send_bytes(fd, out->data + out->len - 12, 12);
    struct reply reply = reply_on(fd);
    ck_assert(reply.ended);
    ck_assert_str_eq(content(reply), "12345");
    buf_release(out);
}

TEST(half_a_request_holds_only_itself)
{
    struct buf out;
    pid_t pid = start();
    int fd = begin_half(&out);

    for (int i = 0; i < 50; i++)
        assert_alive();

    ck_finishes(fd, &out);
    stop(pid);
}

TEST(half_a_request_is_not_forgotten_beside_another_worker)
{
    struct buf out;
    int listening = listen_at(path);
    pid_t first = start_on(listening), second = start_on(listening);
    (void)close(listening);
    for (int round = 0; round < 50; round++) {
        int fd = begin_half(&out);
        assert_alive();
        assert_alive();
        ck_finishes(fd, &out);
    }
    stop(first);
    stop(second);
}

TEST_EACH(half_a_request_is_finished_before_the_end, end_signals)
{
    struct buf out;
    pid_t pid = start();
    int fd = begin_half(&out);
    assert_alive(); /* so that the half was taken from the queue */

    ck_assert_int_eq(kill(pid, end_signals[_i]), 0);

    ck_finishes(fd, &out);
    ck_assert_int_eq(end_of(pid), EXIT_SUCCESS);
}

/* It would have ten seconds otherwise. */
TEST(half_a_request_does_not_keep_from_ending)
{
    struct buf out;
    pid_t pid = start();
    int fd = begin_half(&out);
    assert_alive();
    int64_t began = now_ms();

    stop(pid);

    ck_assert_int_lt(now_ms() - began, 9000);
    ck_assert(!reply_on(fd).ended);
    buf_release(&out);
}

/* ---- requests whose turn it is not ---- */

/* What the worker has told within so many milliseconds. */
static size_t told_within(int ms)
{
    char bytes[64];
    struct pollfd ready = {.fd = begun[0], .events = POLLIN};
    sleep_us(ms * 1000L);
    return poll(&ready, 1, 0) == 1 ? (size_t)read(begun[0], bytes, sizeof bytes) : 0;
}

/* Of a server that is like this besides. */
static void want_turns(struct server like)
{
    ck_assert_int_eq(pipe2(lets_in, O_CLOEXEC | O_NONBLOCK), 0);
    wanted = like;
    wanted.wait_ms = wait_ms;
}

static pid_t start_with_turns(struct server like)
{
    want_turns(like);
    return start();
}

static void let_in(void)
{
    ck_assert_int_eq(write(lets_in[1], "g", 1), 1);
}

TEST(a_request_whose_turn_it_is_not_is_handled_again_and_others_first)
{
    pid_t pid = start_with_turns((struct server){0});
    int fd = begin_told("/api/late");

    for (int i = 0; i < 50; i++)
        assert_alive();
    let_in();

    struct reply reply = reply_on(fd);
    ck_assert(reply.ended);
    ck_assert_str_eq(content(reply), "late");
    stop(pid);
}

TEST(where_all_wait_for_the_same_the_others_stay_in_the_queue)
{
    unsigned waiting = 0;
    want_turns((struct server){.is_for_one_kind = true});
    int listening = listen_at(path);
    pid_t pid = start_on(listening);
    int fd = begin_told("/api/late");
    int next = begin_call(path, &(struct call){.method = "GET", .uri = "/api"});

    ck_assert(!told_within(300));
    ck_assert(accept_queue_read(listening, &waiting));
    ck_assert_uint_eq(waiting, 1);
    let_in();

    ck_assert_str_eq(content(reply_on(fd)), "late");
    ck_assert(reply_on(next).ended);
    (void)close(listening);
    stop(pid);
}

TEST_EACH(it_is_answered_before_the_end, end_signals)
{
    pid_t pid = start_with_turns((struct server){0});
    int fd = begin_told("/api/late");

    ck_answers_before_the_end(pid, end_signals[_i], fd, "refused"); /* after five seconds */
}

/* As a script: the web server kills it soon after. */
TEST(or_before_a_short_grace_has_passed)
{
    pid_t pid = start_with_turns((struct server){.grace_s = 2});
    int fd = begin_told("/api/late");

    ck_answers_before_the_end(pid, SIGTERM, fd, "refused");
}

static unsigned now(void *context, enum postponed kind, int64_t came)
{
    (void)context, (void)kind, (void)came;
    return 0;
}

TEST(those_whose_turn_comes_one_after_another_hold_up_no_signal)
{
    wanted = (struct server){.wait_ms = now};
    pid_t pid = start();

    ck_assert_str_eq(content(ask(.method = "GET", .uri = "/api/signalled")), "heard");

    ck_assert_int_eq(end_of(pid), EXIT_SUCCESS);
}

TEST(where_there_are_no_turns_no_request_waits)
{
    pid_t pid = start();

    ck_assert_str_eq(content(ask(.method = "GET", .uri = "/api/late")), "refused");

    stop(pid);
}

/* A CGI program, which is to answer /late; what it writes. */
static const char *answer_once(unsigned (*wait)(void *, enum postponed, int64_t))
{
    char method[] = "REQUEST_METHOD=GET", uri[] = "REQUEST_URI=/api/late";
    char *const env[] = {method, uri, NULL};
    const struct server server = {.base_path = "/api",
                                  .body_max = BODY_MAX,
                                  .handle = handle,
                                  .wait_ms = wait,
                                  .context = (char[]){"context"}};
    int out[2];
    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        ck_assert_int_ge(dup2(out[1], STDOUT_FILENO), 0);
        server_run_once(&server, env);
        _exit(EXIT_SUCCESS);
    }
    (void)close(out[1]);
    buf_reset(&scratch);
    ck_assert(read_all(out[0], &scratch, PATIENCE_MS));
    (void)close(out[0]);
    ck_assert_int_eq(end_of(pid), EXIT_SUCCESS);
    return strstr(arena_copy(a, scratch.data, scratch.len), "\r\n\r\n") + 4;
}

TEST(a_cgi_program_waits_for_its_turn)
{
    ck_assert_int_eq(pipe2(lets_in, O_CLOEXEC), 0); /* in which it waits for us */
    let_in();
    ck_assert_str_eq(answer_once(wait_ms), "late");
}

static unsigned never(void *context, enum postponed kind, int64_t came)
{
    (void)context, (void)kind, (void)came;
    return 50;
}

TEST(or_is_told_that_it_does_not_come)
{
    ck_assert_str_eq(answer_once(never), "refused");
    ck_assert_str_eq(answer_once(NULL), "refused");
}

/* ---- without a parent ---- */

static void note_rest(void *context)
{
    (void)context;
    ck_assert_int_eq(write(begun[1], "i", 1), 1);
}

static void await_parts(size_t count)
{
    char byte;
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(read(begun[0], &byte, 1), 1);
}

TEST(who_waits_long_rests_once)
{
    wanted = (struct server){.idle_s = 1, .idle = note_rest};
    pid_t pid = start();
    assert_alive();

    await_parts(1);
    ck_assert_uint_eq(told_within(2500), 0);

    assert_alive();
    await_parts(1);
    ck_assert_uint_eq(told_within(2500), 0);
    stop(pid);
}

/* Work in ten parts; the fifth is still under way when somebody asks. */
static bool do_part(void *context, struct arena *arena)
{
    static int parts;
    (void)context, (void)arena;
    ck_assert_int_eq(write(begun[1], "s", 1), 1);
    if (++parts == 5)
        sleep_us(200000);
    return parts % 10 != 0;
}

TEST(work_that_can_wait_is_done_between_requests)
{
    wanted = (struct server){.spare = do_part};
    pid_t pid = start();
    ck_assert_uint_eq(told_within(10), 0); /* not before there was a request */

    assert_alive();
    await_parts(5);
    assert_alive(); /* which is let in before the rest */
    await_parts(5);
    ck_assert_uint_eq(told_within(10), 0);

    assert_alive(); /* and so on */
    await_parts(10);
    stop(pid);
}

/* At the start nobody knows what an earlier worker has left. */
TEST(work_that_can_wait_is_done_once_when_it_is_quiet)
{
    wanted = (struct server){.spare = do_part, .quiet_s = 1};
    pid_t pid = start();
    await_parts(10);
    ck_assert_uint_eq(told_within(2500), 0);

    assert_alive();
    await_parts(10); /* right after the request, */
    await_parts(10); /* and when no other came */
    ck_assert_uint_eq(told_within(2500), 0);
    stop(pid);
}

static bool do_nothing(void *context, struct arena *arena)
{
    (void)context, (void)arena;
    ck_assert_int_eq(write(begun[1], "s", 1), 1);
    return false;
}

/* What work that can wait has opened is closed again, though it was closed before. */
TEST(who_worked_when_it_was_quiet_rests_again)
{
    wanted = (struct server){.spare = do_nothing, .quiet_s = 2, .idle_s = 1, .idle = note_rest};
    pid_t pid = start();

    await_parts(3); /* rest, work, rest */
    ck_assert_uint_eq(told_within(2500), 0);
    stop(pid);
}

static bool do_parts_for_ever(void *context, struct arena *arena)
{
    (void)context, (void)arena;
    ck_assert_int_eq(write(begun[1], "s", 1), 1);
    sleep_us(1000);
    return true;
}

TEST(work_that_can_wait_does_not_keep_from_ending)
{
    wanted = (struct server){.spare = do_parts_for_ever};
    pid_t pid = start();
    assert_alive();
    await_parts(3);

    stop(pid);
}

TEST(nor_from_serving_who_waits_for_their_turn)
{
    pid_t pid = start_with_turns((struct server){.spare = do_parts_for_ever});
    int fd = begin_told("/api/late");

    let_in();

    ck_assert_str_eq(content(reply_on(fd)), "late");
    stop(pid);
}

TEST(nor_from_letting_in_who_stayed_in_the_queue)
{
    pid_t pid =
        start_with_turns((struct server){.spare = do_parts_for_ever, .is_for_one_kind = true});
    int fd = begin_told("/api/late");
    int next = begin_call(path, &(struct call){.method = "GET", .uri = "/api"});

    let_in();

    ck_assert_str_eq(content(reply_on(fd)), "late");
    ck_assert(reply_on(next).ended);
    stop(pid);
}

TEST_EACH(a_request_that_outlives_its_grace_ends_with_the_process, end_signals)
{
    char byte;
    wanted = (struct server){.grace_s = 1};
    pid_t pid = start();
    int fd = begin_call(path, &(const struct call){.method = "GET", .uri = "/api/forever"});
    ck_assert_int_eq(read(begun[0], &byte, 1), 1);
    int64_t began = now_ms();

    ck_assert_int_eq(kill(pid, end_signals[_i]), 0);

    ck_assert_int_eq(end_of(pid), EXIT_SUCCESS);
    ck_assert_int_ge(now_ms() - began, 900);
    ck_assert(!reply_on(fd).ended);
}

TEST_EACH(a_request_within_its_grace_is_finished, end_signals)
{
    wanted = (struct server){.grace_s = 5};
    ck_finishes_what_runs(end_signals[_i]);
}

/* The program that comes after says so by how it exits. */
TEST_TIMES(a_changed_file_or_sighup_leads_to_a_trial_and_a_new_program, 2)
{
    char *argv[] = {(char[]){"/bin/sh"}, (char[]){"-c"},
                    (char[]){"test \"$POOL_TRIAL\" && exit $REFUSE; exit 7"}, NULL};
    const char *file = arena_printf(a, "%s.conf", path), *aside = arena_printf(a, "%s.old", path);
    struct reexec reexec;
    int made = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    reexec_init(&reexec, argv, file, NULL);
    wanted = (struct server){.reexec = &reexec};

    ck_assert_int_eq(setenv("REFUSE", "1", 1), 0);
    pid_t pid = start();
    assert_alive();
    ck_assert_int_eq(write(made, "x", 1), 1);
    assert_alive(); /* the trial has ended by now, and was refused */
    ck_assert_int_eq(rename(file, aside), 0);
    sleep_us(1500000);
    assert_alive(); /* no file is no change */
    ck_assert_int_eq(rename(aside, file), 0);
    ck_assert_int_eq(kill(pid, SIGHUP), 0);
    sleep_us(1500000);
    assert_alive();
    stop(pid);

    ck_assert_int_eq(setenv("REFUSE", "0", 1), 0);
    reexec_init(&reexec, argv, file, NULL);
    pid = start();
    assert_alive();
    if (_i == 0)
        ck_assert_int_eq(write(made, "x", 1), 1);
    else
        ck_assert_int_eq(kill(pid, SIGHUP), 0);
    ck_assert_int_eq(end_of(pid), 7);
    (void)close(made);
    (void)unlink(file);
}

/* Until a program that was started has made the file. */
static void await_file(const char *file)
{
    for (int64_t end = now_ms() + PATIENCE_MS; access(file, F_OK) != 0; sleep_us(1000))
        ck_assert_msg(now_ms() < end, "%s is not made", file);
}

TEST_EACH(an_end_during_the_trial_is_an_end, end_signals)
{
    const char *file = arena_printf(a, "%s.trial", path);
    char *argv[] = {(char[]){"/bin/sh"}, (char[]){"-c"},
                    arena_printf(a, "test \"$POOL_TRIAL\" && >%s && sleep 1 && exit; exit 7", file),
                    NULL};
    struct reexec reexec;
    reexec_init(&reexec, argv, NULL, NULL);
    wanted = (struct server){.reexec = &reexec};
    pid_t pid = start();
    assert_alive();
    ck_assert_int_eq(kill(pid, SIGHUP), 0);
    await_file(file);

    ck_assert_int_eq(kill(pid, end_signals[_i]), 0);

    ck_assert_int_eq(end_of(pid), EXIT_SUCCESS);
    (void)unlink(file);
}

/* Rest is for who has no request; half of one is none. */
TEST(who_has_half_a_request_rests_and_works_as_others_do)
{
    struct buf out;
    wanted = (struct server){.spare = do_nothing, .quiet_s = 2, .idle_s = 1, .idle = note_rest};
    pid_t pid = start();
    int fd = begin_half(&out);

    await_parts(3); /* rest, work, rest */

    ck_finishes(fd, &out);
    await_parts(1); /* work, after a request */
    stop(pid);
}

/* Who looks at files as well waits in another place. */
TEST(half_a_request_has_its_limit_also_where_files_are_watched)
{
    char *argv[] = {(char[]){"/bin/false"}, NULL};
    struct reexec reexec;
    struct buf out, in;
    reexec_init(&reexec, argv, "/bin/sh", NULL);
    wanted = (struct server){.reexec = &reexec, .request_s = 1};
    pid_t pid = start();
    int fd = begin_half(&out);
    buf_init(&in, 65536);

    ck_assert(read_all(fd, &in, PATIENCE_MS));

    ck_assert_uint_eq(in.len, 0);
    assert_alive();
    (void)close(fd);
    buf_release(&in);
    buf_release(&out);
    stop(pid);
}

TEST(a_reexec_cuts_no_request_that_is_half_way_in)
{
    char *argv[] = {(char[]){"/bin/false"}, NULL};
    const struct call call = {.method = "GET", .uri = "/api/alive"};
    struct reexec reexec;
    struct buf out;
    reexec_init(&reexec, argv, NULL, NULL);
    wanted = (struct server){.reexec = &reexec};
    pid_t pid = start();
    assert_alive();
    buf_init(&out, 4096);
    put_call(&out, &call);
    int fd = connect_to(path);
    send_bytes(fd, out.data, out.len / 2);
    sleep_us(200000); /* so that it waits for the other half */

    ck_assert_int_eq(kill(pid, SIGHUP), 0);
    sleep_us(200000);
    send_bytes(fd, out.data + out.len / 2, out.len - out.len / 2);

    ck_assert(reply_on(fd).ended);
    buf_release(&out);
    stop(pid);
}
