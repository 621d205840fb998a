#include "common/process/server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/base/exhausted.h"
#include "common/base/instant.h"
#include "common/base/log.h"
#include "common/base/problem.h"
#include "common/base/uuid.h"
#include "common/process/fastcgi.h"
#include "common/process/reexec.h"

#define PEER_TIMEOUT_S 10
#define SHORT_PAUSE_MS 20
#define LINGER_MS 1000
#define LOOK_EVERY_S 1 /* at the files of a re-exec */
#define ARENA_MAX ((size_t)256 * 1024 * 1024)
#define REQUEST_MAX_S 30 /* from the first byte to the last; a web server has it whole before */
#define CHUNK 65536
#define SPARE_MS 500 /* of a CGI program, after its answer */

/* What a worker keeps from one request to the next. */
struct worker {
    const struct server *server;
    struct arena *arena;
    struct response rs;
    struct fastcgi peer;
    struct buf head, out;
    char chunk[CHUNK];   /* as it is received */
    int64_t idle_since;  /* monotonic, ns; 0: it has rested since, or never does */
    int64_t quiet_since; /* the same for work that can wait */
};

/* ---- ending ---- */

static volatile sig_atomic_t stopping, reexec_asked;
static int stop_listen_fd, stop_null_fd;
static unsigned stop_grace_s;

/* The signal may come just before accept(2) blocks. So it is not enough to set a flag: the
 * listening descriptor becomes one on which accept fails at once. dup2 and alarm are
 * async-signal-safe. */
static void stop(int signal)
{
    (void)signal;
    int saved = errno;
    stopping = 1;
    (void)dup2(stop_null_fd, stop_listen_fd);
    (void)alarm(stop_grace_s);
    errno = saved;
}

/* What the request has not committed is rolled back by the database when our connection closes. */
_Noreturn static void give_up(int signal)
{
    (void)signal;
    _exit(EX_OK);
}

static void ask_for_reexec(int signal)
{
    (void)signal;
    reexec_asked = 1;
}

static void stop_signals(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGUSR1);
}

static void handle_signal(int signal, void (*handler)(int signal))
{
    /* SA_RESTART, for what a signal interrupts must go on: accept, which must not, has lost its
     * socket by then, or has a time-out. */
    const struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    (void)sigaction(signal, &action, NULL);
}

static bool is_alone(const struct server *server)
{
    return server->grace_s || server->reexec;
}

/* Signals that are let in only while we wait, so that no request is cut. In a program that serves
 * alone those that end us are let in always, to set the alarm; then a request that is only half-way
 * in may be lost. */
static void let_in(const struct server *server, int how)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    if (!is_alone(server))
        stop_signals(&signals);
    if (server->reexec)
        (void)sigaddset(&signals, SIGHUP);
    (void)sigprocmask(how, &signals, NULL);
}

/* False where we could not be ended. */
static bool watch_signals(const struct server *server)
{
    sigset_t signals;
    stop_listen_fd = server->listen_fd;
    stop_null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (stop_null_fd < 0) {
        LOG(LOG_LEVEL_ERROR, log_event("cannot_start"), log_text("cause", "/dev/null"));
        return false;
    }
    stop_grace_s = server->grace_s;
    stopping = reexec_asked = 0;
    handle_signal(SIGTERM, stop);
    handle_signal(SIGINT, stop);
    handle_signal(SIGUSR1, stop); /* of FastCGI's managers, such as multiwatch */
    handle_signal(SIGALRM, give_up);
    if (server->reexec)
        handle_signal(SIGHUP, ask_for_reexec);
    (void)signal(SIGPIPE, SIG_IGN);
    let_in(server, SIG_BLOCK);
    stop_signals(&signals); /* held back since before the re-exec */
    if (is_alone(server))
        (void)sigprocmask(SIG_UNBLOCK, &signals, NULL);
    return true;
}

/* ---- waiting ---- */

/* A time-out of the socket itself: of those who wait in accept(2) the kernel wakes one for each
 * connection, of those who poll it wakes all. */
static void set_wait(const struct server *server)
{
    unsigned idle_s = server->idle ? server->idle_s : 0;
    unsigned quiet_s = server->spare ? server->quiet_s : 0;
    unsigned first_s = idle_s && (!quiet_s || idle_s < quiet_s) ? idle_s : quiet_s;
    const struct timeval wait = {.tv_sec = server->reexec ? LOOK_EVERY_S : (time_t)first_s};
    (void)setsockopt(server->listen_fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
}

static void note_idle(struct worker *w)
{
    if (w->server->idle && w->server->idle_s)
        w->idle_since = monotonic_ns();
}

static void note_quiet(struct worker *w)
{
    if (w->server->spare && w->server->quiet_s)
        w->quiet_since = monotonic_ns();
}

static bool has_passed(int64_t since, unsigned s)
{
    return since && monotonic_ns() - since >= s * INT64_C(1000000000);
}

/* No request for a while? Give back what others could use. */
static void rest(struct worker *w)
{
    const struct server *server = w->server;
    if (!has_passed(w->idle_since, server->idle_s))
        return;
    server->idle(server->context);
    w->idle_since = 0;
}

static void reexec_if_due(struct worker *w)
{
    const struct server *server = w->server;
    bool due = reexec_is_due(server->reexec);
    if (!due && !reexec_asked)
        return;
    reexec_asked = 0;
    if (server->idle)
        server->idle(server->context);
    if (reexec_try(server->reexec) && !stopping)
        reexec_become(server->reexec->argv);
}

/* Before a connection is taken from the queue, so that it waits there for the new program. */
static bool look_before_accept(struct worker *w)
{
    const struct server *server = w->server;
    struct pollfd wait = {.fd = server->listen_fd, .events = POLLIN};
    bool is_there = true;
    if (!server->reexec)
        return true;
    if (reexec_watches(server->reexec))
        is_there = poll(&wait, 1, LOOK_EVERY_S * 1000) == 1;
    if (!stopping)
        reexec_if_due(w);
    return is_there && !stopping;
}

static int accept_peer(const struct server *server)
{
    const struct timeval timeout = {.tv_sec = PEER_TIMEOUT_S};
    int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    return fd;
}

/* ---- writing ---- */

/* Wait until the peer has read some; false when it does not for too long, or is gone. */
static bool wait_for_room(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    int ready;
    do
        ready = poll(&wait, 1, PEER_TIMEOUT_S * 1000);
    while (ready < 0 && errno == EINTR);
    return ready == 1 && !(wait.revents & (POLLERR | POLLHUP));
}

static void send_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && (errno != EAGAIN || !wait_for_room(fd)))
            return; /* nobody to tell */
        if (sent > 0) {
            data += sent;
            len -= (size_t)sent;
        }
    }
}

/* What is being answered, by a process that may find itself without memory. */
static struct {
    const struct request *rq;     /* NULL: none is known, or the answer is on its way */
    const struct fastcgi *coming; /* NULL: no request is being read */
    unsigned id;
    int fd;
} asked;

/* All records in one buffer are one write. */
static void answer(struct worker *w, int fd, const struct request *rq)
{
    unsigned id = w->peer.id;
    response_head(&w->rs, rq, &w->head);
    fastcgi_put(&w->out, id, w->head.data, w->head.len);
    if (rq->method != METHOD_HEAD && status_has_content(w->rs.status))
        fastcgi_put(&w->out, id, w->rs.body.data, w->rs.body.len);
    fastcgi_put_end(&w->out, id);
    asked.rq = NULL; /* half of one answer and another after it would be neither */
    if (!w->out.full)
        send_all(fd, w->out.data, w->out.len);
}

/* ---- reading ---- */

/* A receive that has a time-out is never begun again after a signal. */
static ssize_t receive(int fd, char *chunk)
{
    ssize_t got;
    do
        got = recv(fd, chunk, CHUNK, 0);
    while (got < 0 && errno == EINTR);
    return got;
}

/* The whole request; false where it does not come. */
static bool read_request(struct worker *w, int fd)
{
    unsigned limit_s = w->server->request_s ? w->server->request_s : REQUEST_MAX_S;
    size_t most = 0;
    enum fastcgi_step step = FASTCGI_MORE;
    int64_t end = monotonic_ns() + limit_s * INT64_C(1000000000);
    for (ssize_t got; step == FASTCGI_MORE && monotonic_ns() < end;) {
        if ((got = receive(fd, w->chunk)) <= 0)
            break;
        most = (size_t)got > most ? (size_t)got : most;
        step = fastcgi_take(&w->peer, w->chunk, (size_t)got);
        send_all(fd, w->peer.answer.data, w->peer.answer.len);
        buf_reset(&w->peer.answer);
    }
    wipe(w->chunk, most);
    return step == FASTCGI_WHOLE;
}

static void set_body(const struct fastcgi *peer, size_t body_max, struct request *rq)
{
    rq->too_large = peer->body.full || rq->content_length > body_max;
    if (!rq->too_large)
        rq->raw_body = (struct text){peer->body.data, peer->body.len};
    if (peer->body_len > rq->content_length)
        rq->content_length = peer->body_len; /* some servers pass a chunked body without a length */
}

/* ---- the last answer ---- */

/* Until the peer has closed: what it has sent and nobody has read would take the answer along. */
static void read_away(int fd)
{
    char chunk[4096];
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    (void)shutdown(fd, SHUT_WR);
    while (poll(&wait, 1, LINGER_MS) == 1 && read(fd, chunk, sizeof chunk) > 0)
        continue;
}

/* Of a request that has not come whole: what the web server calls it, or an id of its own. */
static const char *id_of_coming(char ret[REQUEST_ID_SIZE])
{
    struct text told = fastcgi_param(asked.coming, "HTTP_X_REQUEST_ID");
    struct uuid id = uuid_make(instant_now());
    if (told.len < REQUEST_ID_SIZE)
        snprintf(ret, REQUEST_ID_SIZE, "%.*s", (int)told.len, told.data ? told.data : "");
    if (told.len >= REQUEST_ID_SIZE || !request_is_id(ret))
        uuid_format(&id, ret);
    return ret;
}

/* Without a buffer that would have to grow: a client is told to try again, in the form that it
 * knows, whatever web server is before us. */
static void answer_exhausted(void)
{
    static const char words[] = "{\"error\":\"%s\",\"code\":\"%s\",\"message\":\"%s\","
                                "\"request_id\":\"%s\"}";
    char body[512], text[1024], out[2048], made[REQUEST_ID_SIZE];
    unsigned number = asked.coming ? asked.coming->id : asked.rq ? asked.id : 0;
    if (!number)
        return;
    const char *id = asked.rq ? asked.rq->id : id_of_coming(made);
    bool is_head = asked.rq && asked.rq->method == METHOD_HEAD; /* which has no body to come */
    int body_len = snprintf(body, sizeof body, words, PROBLEM_UNAVAILABLE_WORDS, id);
    int len = snprintf(text, sizeof text,
                       "Status: 503 Service Unavailable\r\nContent-Type: " JSON_MEDIA_TYPE
                       "\r\nContent-Length: %d\r\nX-Request-Id: %s\r\n"
                       "X-Content-Type-Options: nosniff\r\nRetry-After: 1\r\n"
                       "Cache-Control: no-store\r\n\r\n%s",
                       body_len, id, is_head ? "" : body);
    send_all(asked.fd, out, fastcgi_write(out, sizeof out, number, text, (size_t)len));
    read_away(asked.fd);
}

/* ---- the loop ---- */

/* From the request, as it came, to the answer, which is not sent yet. */
static void handle(struct worker *w, char *const *params, struct request *rq)
{
    const struct server *server = w->server;
    request_from_params(rq, w->arena, params, server->base_path, instant_now());
    if (server->is_script)
        request_follow_script(rq, server->finds_base);
    set_body(&w->peer, server->body_max, rq);
    rq->uptime_ms = uptime_ms();
    asked.rq = rq;
    server->handle(server->context, rq, &w->rs);
}

static void do_after(struct worker *w, struct request *rq)
{
    if (w->rs.after) /* set only by a handler, and reset before the next one */
        w->rs.after(w->server->context, rq);
    w->rs.after = NULL;
}

/* What was secret in a request does not wait in memory for the next one. */
static void forget(struct worker *w)
{
    fastcgi_reset(&w->peer);
    response_reset(&w->rs);
    buf_reset(&w->head);
    buf_reset(&w->out);
}

static void serve(struct worker *w, int fd)
{
    struct request rq;
    char *const *params = NULL;
    asked.fd = fd;
    asked.coming = &w->peer;
    if (read_request(w, fd))
        params = fastcgi_params(&w->peer, w->arena);
    asked.coming = NULL;
    asked.id = w->peer.id;
    if (params) {
        handle(w, params, &rq);
        answer(w, fd, &rq);
    }
    asked.rq = NULL;
    (void)close(fd);
    if (params)
        do_after(w, &rq);
    arena_reset(w->arena);
    forget(w);
}

/* Let the parent see for how long the request has run. */
static void note_busy(const struct server *server, bool busy)
{
    if (server->busy_since)
        atomic_store_explicit(server->busy_since, busy ? monotonic_ns() : 0, memory_order_relaxed);
}

static void worker_open(struct worker *w, const struct server *server)
{
    w->server = server;
    w->arena = arena_open(ARENA_MAX);
    w->idle_since = w->quiet_since = 0;
    note_idle(w);
    note_quiet(w);
    response_init(&w->rs);
    fastcgi_init(&w->peer, server->body_max);
    buf_init(&w->head, (size_t)32 * 1024);
    buf_init(&w->out, (size_t)80 * 1024 * 1024);
}

static void worker_close(struct worker *w)
{
    buf_release(&w->out);
    buf_release(&w->head);
    fastcgi_release(&w->peer);
    response_release(&w->rs);
    arena_close(w->arena);
}

/* Something that is used up, and not by us alone. */
static bool is_short(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* Or it was of the connection, and not of our socket (accept(2), "Error handling"). */
static bool passes_by(int error)
{
    static const int errors[] = {EINTR,       EAGAIN,    ECONNABORTED, EPROTO,       ENETDOWN,
                                 ENOPROTOOPT, EHOSTDOWN, ENONET,       EHOSTUNREACH, ENETUNREACH};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (error == errors[i])
            return true;
    return is_short(error);
}

/* The connection is still in the queue: without a pause it would be asked for as fast as a
 * processor can. */
static void await_better_times(void)
{
    const struct timespec moment = {.tv_nsec = SHORT_PAUSE_MS * 1000000L};
    (void)nanosleep(&moment, NULL);
}

/* Is there time before the next request? A signal that ends us waits too. */
static bool has_time(const struct server *server)
{
    struct pollfd wait = {.fd = server->listen_fd, .events = POLLIN};
    let_in(server, SIG_UNBLOCK);
    int waiting = poll(&wait, 1, 0);
    let_in(server, SIG_BLOCK);
    return !stopping && !reexec_asked && waiting == 0;
}

/* Some of the work that can wait; true when there is more. */
static bool do_spare(struct worker *w)
{
    const struct server *server = w->server;
    if (!server->spare)
        return false;
    bool more = server->spare(server->context, w->arena);
    arena_reset(w->arena);
    return more;
}

static void do_all_spare(struct worker *w)
{
    while (do_spare(w) && has_time(w->server))
        note_busy(w->server, true); /* again: this is not one long request */
    note_busy(w->server, false);
}

/* No request for a while, between which it would have been done? What it opens, it rests from. */
static void do_spare_if_quiet(struct worker *w)
{
    if (!has_passed(w->quiet_since, w->server->quiet_s))
        return;
    note_busy(w->server, true);
    do_all_spare(w);
    w->quiet_since = 0;
    if (!w->idle_since)
        note_idle(w);
}

/* One request, if one comes in time; false when the socket fails. */
static bool serve_next(struct worker *w)
{
    int fd = -1, failed = EAGAIN;
    let_in(w->server, SIG_UNBLOCK);
    if (look_before_accept(w)) {
        fd = accept_peer(w->server);
        failed = errno;
    }
    let_in(w->server, SIG_BLOCK);
    if (fd >= 0) {
        note_busy(w->server, true);
        serve(w, fd);
        do_all_spare(w);
        note_idle(w);
        note_quiet(w);
        return true;
    }
    if (!stopping)
        do_spare_if_quiet(w);
    rest(w);
    if (!stopping && is_short(failed))
        await_better_times();
    if (stopping || passes_by(failed))
        return true;
    LOG(LOG_LEVEL_ERROR, log_event("accept_failed"), log_text("cause", strerror(failed)));
    return false;
}

void server_run(const struct server *server)
{
    struct worker w;
    if (!watch_signals(server))
        return;
    worker_open(&w, server);
    on_exhausted(answer_exhausted);
    set_wait(server);
    if (server->begin)
        server->begin(server->context);
    if (server->ready)
        server->ready();
    while (!stopping && serve_next(&w))
        continue;
    on_exhausted(NULL);
    worker_close(&w);
    (void)close(stop_null_fd);
}

/* ---- as a CGI program ---- */

/* No more than we are told (RFC 3875 section 4.2); a body in chunks ends where the server says. */
static bool read_input(struct worker *w, size_t len)
{
    char chunk[16384];
    ssize_t got = 0;
    while (w->peer.body_len < len && w->peer.body_len < w->server->body_max + FASTCGI_DRAIN_MAX) {
        size_t rest = len - w->peer.body_len;
        got = read(STDIN_FILENO, chunk, rest < sizeof chunk ? rest : sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        buf_add(&w->peer.body, chunk, (size_t)got);
        w->peer.body_len += (size_t)got;
    }
    wipe(chunk, sizeof chunk);
    return got >= 0 && (w->peer.body_len == len || len == SIZE_MAX);
}

static size_t input_length(void)
{
    const char *length = getenv("CONTENT_LENGTH"), *coding = getenv("HTTP_TRANSFER_ENCODING");
    if (length && *length)
        return (size_t)strtoull(length, NULL, 10);
    return coding && *coding ? SIZE_MAX : 0;
}

static void write_all(const struct buf *b)
{
    for (size_t sent = 0; !b->full && sent < b->len;) {
        ssize_t wrote = write(STDOUT_FILENO, b->data + sent, b->len - sent);
        if (wrote < 0 && errno != EINTR)
            return; /* nobody to tell */
        sent += wrote > 0 ? (size_t)wrote : 0;
    }
}

/* The web server answers its client when our output has ended. */
static void end_output(void)
{
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)dup2(nowhere, STDIN_FILENO);
    (void)dup2(nowhere, STDOUT_FILENO);
    (void)close(nowhere);
}

/* Nobody waits for it any more, but the processor is shared. */
static void do_spare_for(struct worker *w, int64_t limit_ms)
{
    int64_t end = monotonic_ns() + limit_ms * 1000000;
    while (do_spare(w) && monotonic_ns() < end)
        continue;
}

void server_run_once(const struct server *server, char *const *env)
{
    struct worker w;
    struct request rq;
    (void)signal(SIGPIPE, SIG_IGN);
    worker_open(&w, server);
    if (server->begin)
        server->begin(server->context);
    if (read_input(&w, input_length())) {
        handle(&w, env, &rq);
        response_head(&w.rs, &rq, &w.out);
        if (rq.method != METHOD_HEAD && status_has_content(w.rs.status))
            buf_add(&w.out, w.rs.body.data, w.rs.body.len);
        write_all(&w.out);
        end_output();
        do_after(&w, &rq);
        arena_reset(w.arena);
        do_spare_for(&w, SPARE_MS);
    }
    worker_close(&w);
}
