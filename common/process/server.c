#include "common/process/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
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
#include "common/process/fastcgi.h"
#include "common/process/last_answer.h"
#include "common/process/peers.h"
#include "common/process/reexec.h"

#define SHORT_PAUSE_MS 20
#define LOOK_EVERY_S 1 /* at the files of a re-exec */
#define ARENA_MAX ((size_t)256 * 1024 * 1024)
#define SPARE_MS 500 /* of a CGI program, after its answer */

/* What a worker keeps from one request to the next. */
struct worker {
    const struct server *server;
    struct arena *arena;
    struct response rs;
    struct peers peers;
    struct buf head, out;
    int wait_ms;         /* for a request, before something else is looked at; -1: without end */
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
static void set_wait(struct worker *w)
{
    const struct server *server = w->server;
    unsigned idle_s = server->idle ? server->idle_s : 0;
    unsigned quiet_s = server->spare ? server->quiet_s : 0;
    unsigned first_s = idle_s && (!quiet_s || idle_s < quiet_s) ? idle_s : quiet_s;
    const struct timeval wait = {.tv_sec = server->reexec ? LOOK_EVERY_S : (time_t)first_s};
    (void)setsockopt(server->listen_fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    w->wait_ms = wait.tv_sec ? (int)wait.tv_sec * 1000 : -1;
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

/* Requests that have begun are finished first. */
static void reexec_if_due(struct worker *w)
{
    const struct server *server = w->server;
    if (reexec_is_due(server->reexec))
        reexec_asked = 1;
    peers_end(&w->peers, reexec_asked);
    if (!reexec_asked || w->peers.count)
        return;
    reexec_asked = 0;
    if (server->idle)
        server->idle(server->context);
    if (reexec_try(server->reexec) && !stopping)
        reexec_become(server->reexec->argv);
    peers_end(&w->peers, false);
}

/* Before a connection is taken from the queue, so that it waits there for the new program. */
static bool look_before_accept(struct worker *w, int wait_ms)
{
    const struct server *server = w->server;
    bool is_there = true;
    if (!server->reexec || stopping)
        return true;
    if (reexec_watches(server->reexec) && !reexec_asked)
        is_there = peers_wait(&w->peers, wait_ms);
    if (!stopping)
        reexec_if_due(w);
    return is_there;
}

/* ---- one request ---- */

/* All records in one buffer are one write. */
static void answer(struct worker *w, int fd, unsigned id, const struct request *rq)
{
    response_head(&w->rs, rq, &w->head);
    fastcgi_put(&w->out, id, w->head.data, w->head.len);
    if (rq->method != METHOD_HEAD && status_has_content(w->rs.status))
        fastcgi_put(&w->out, id, w->rs.body.data, w->rs.body.len);
    fastcgi_put_end(&w->out, id);
    last_answer_is_for_nobody();
    if (!w->out.full)
        peer_send(fd, w->out.data, w->out.len);
}

static void set_body(const struct fastcgi *f, size_t body_max, struct request *rq)
{
    rq->too_large = f->body.full || rq->content_length > body_max;
    if (!rq->too_large)
        rq->raw_body = (struct text){f->body.data, f->body.len};
    if (f->body_len > rq->content_length)
        rq->content_length = f->body_len; /* some servers pass a chunked body without a length */
}

/* From the request to the answer, which is not sent yet. */
static void handle(struct worker *w, const struct peer *peer, bool may_wait, char *const *params,
                   struct request *rq)
{
    const struct server *server = w->server;
    request_from_params(rq, w->arena, params, server->base_path, instant_now());
    if (server->is_script)
        request_follow_script(rq, server->finds_base);
    set_body(&peer->request, server->body_max, rq);
    rq->uptime_ms = uptime_ms();
    rq->came = peer->postponed ? peer->postponed : monotonic_ns();
    rq->may_wait = may_wait;
    last_answer_is_for(peer->fd, &peer->request, rq);
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
    arena_reset(w->arena);
    response_reset(&w->rs);
    buf_reset(&w->head);
    buf_reset(&w->out);
}

static bool may_wait(const struct worker *w, const struct peer *peer)
{
    return w->server->wait_ms && peers_may_postpone(&w->peers, peer);
}

/* NULL: there is nothing to answer. */
static void finish(struct worker *w, struct peer *peer, struct request *rq)
{
    if (rq)
        answer(w, peer->fd, peer->request.id, rq);
    last_answer_is_for_nobody();
    peer_hang_up(peer);
    if (rq)
        do_after(w, rq);
    peers_drop(&w->peers, peer);
}

static void serve(struct worker *w, struct peer *peer)
{
    struct request rq;
    char *const *params = fastcgi_params(&peer->request, w->arena);
    if (params)
        handle(w, peer, may_wait(w, peer), params, &rq);
    if (params && w->rs.postponed) {
        last_answer_is_for_nobody();
        peers_postpone(&w->peers, peer, (int)w->rs.postponed, rq.came);
    } else {
        finish(w, peer, params ? &rq : NULL);
    }
    forget(w);
}

/* ---- the loop ---- */

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
    buf_init(&w->head, (size_t)32 * 1024);
    buf_init(&w->out, (size_t)80 * 1024 * 1024);
}

static void worker_close(struct worker *w)
{
    buf_release(&w->out);
    buf_release(&w->head);
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

static void pause_for(unsigned ms)
{
    const struct timespec moment = {.tv_nsec = ms * 1000000L};
    (void)nanosleep(&moment, NULL);
}

/* Is there time before the next request? Who was postponed waits as well, and so does a signal that
 * ends us. */
static bool has_time(struct worker *w)
{
    let_in(w->server, SIG_UNBLOCK);
    bool waits = peers_wait(&w->peers, 0);
    let_in(w->server, SIG_BLOCK);
    return !stopping && !reexec_asked && !waits && !w->peers.postponed;
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
    while (do_spare(w) && has_time(w))
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

/* The turns of many may come one after another, without a wait between them. */
static void hear_signals(const struct server *server)
{
    let_in(server, SIG_UNBLOCK);
    let_in(server, SIG_BLOCK);
}

/* Who was postponed and is not to wait any longer; else NULL, and it may be after `wait_ms`. */
static struct peer *next_postponed(struct worker *w, int *wait_ms)
{
    const struct server *server = w->server;
    if (w->peers.postponed)
        hear_signals(server);
    for (int kind = POSTPONED_NO + 1; kind < POSTPONED_KINDS; kind++) {
        struct peer *peer = peers_first_postponed(&w->peers, kind);
        if (!peer)
            continue;
        int ms = (int)server->wait_ms(server->context, (enum postponed)kind, peer->postponed);
        if (!ms || !peers_may_postpone(&w->peers, peer))
            return peer;
        if (*wait_ms < 0 || ms < *wait_ms)
            *wait_ms = ms;
    }
    return NULL;
}

/* Who has come in time; else NULL and `errno`. */
static struct peer *next_heard(struct worker *w, int wait_ms)
{
    struct peer *peer = NULL;
    int failed = EAGAIN;
    let_in(w->server, SIG_UNBLOCK);
    bool is_there = look_before_accept(w, wait_ms);
    if (is_there || w->peers.count) {
        peer = peers_next(&w->peers, is_there ? wait_ms : 0); /* which drops who is too slow */
        failed = errno;
    }
    let_in(w->server, SIG_BLOCK);
    errno = failed;
    return peer;
}

/* One request, if one comes in time; false when the socket fails. */
static bool serve_next(struct worker *w)
{
    int wait_ms = w->wait_ms, failed = 0;
    struct peer *peer = next_postponed(w, &wait_ms);
    if (!peer) {
        peer = next_heard(w, wait_ms);
        failed = errno;
    }
    if (peer) {
        note_busy(w->server, true);
        serve(w, peer);
        do_all_spare(w);
        note_idle(w);
        note_quiet(w);
        return true;
    }
    if (!stopping)
        do_spare_if_quiet(w);
    rest(w);
    /* The connection is still in the queue, and would be asked for as fast as a processor can. */
    if (!stopping && is_short(failed))
        pause_for(SHORT_PAUSE_MS);
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
    peers_open(&w.peers, server->listen_fd, server->body_max, server->request_s);
    w.peers.is_narrow = server->is_for_one_kind;
    if (server->grace_s && server->grace_s < 2 * PEERS_ENDING_S) /* half of it is for the answers */
        w.peers.ending_ns = server->grace_s * INT64_C(500000000);
    on_exhausted(last_answer_give);
    set_wait(&w);
    if (server->begin)
        server->begin(server->context);
    if (server->ready)
        server->ready();
    while (!stopping && serve_next(&w))
        continue;
    stopping = 1; /* also where the socket has failed */
    for (peers_end(&w.peers, true); w.peers.count;)
        (void)serve_next(&w);
    on_exhausted(NULL);
    peers_close(&w.peers);
    worker_close(&w);
    (void)close(stop_null_fd);
}

/* ---- as a CGI program ---- */

/* No more than we are told (RFC 3875 section 4.2); a body in chunks ends where the server says. */
static bool read_input(struct fastcgi *f, size_t len)
{
    char chunk[16384];
    ssize_t got = 0;
    while (f->body_len < len && f->body_len < f->body.max + FASTCGI_DRAIN_MAX) {
        size_t rest = len - f->body_len;
        got = read(STDIN_FILENO, chunk, rest < sizeof chunk ? rest : sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        buf_add(&f->body, chunk, (size_t)got);
        f->body_len += (size_t)got;
    }
    wipe(chunk, sizeof chunk);
    return got >= 0 && (f->body_len == len || len == SIZE_MAX);
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

/* Who else waits does so in a process of their own. */
static void handle_in_turn(struct worker *w, struct peer *peer, char *const *env,
                           struct request *rq)
{
    const struct server *server = w->server;
    const int64_t end = peer->postponed + PEERS_POSTPONED_S * INT64_C(1000000000);
    handle(w, peer, server->wait_ms != NULL, env, rq);
    while (w->rs.postponed) {
        bool may_wait = server->wait_ms && monotonic_ns() < end;
        unsigned ms =
            may_wait ? server->wait_ms(server->context, w->rs.postponed, peer->postponed) : 0;
        if (ms) {
            pause_for(ms);
            continue;
        }
        arena_reset(w->arena);
        handle(w, peer, may_wait, env, rq);
    }
}

void server_run_once(const struct server *server, char *const *env)
{
    struct worker w;
    struct request rq;
    struct peer peer = {.fd = -1}; /* of whose request only the body comes */
    (void)signal(SIGPIPE, SIG_IGN);
    worker_open(&w, server);
    fastcgi_init(&peer.request, server->body_max);
    if (server->begin)
        server->begin(server->context);
    if (read_input(&peer.request, input_length())) {
        peer.postponed = monotonic_ns();
        handle_in_turn(&w, &peer, env, &rq);
        response_head(&w.rs, &rq, &w.out);
        if (rq.method != METHOD_HEAD && status_has_content(w.rs.status))
            buf_add(&w.out, w.rs.body.data, w.rs.body.len);
        write_all(&w.out);
        end_output();
        do_after(&w, &rq);
        arena_reset(w.arena);
        do_spare_for(&w, SPARE_MS);
    }
    fastcgi_release(&peer.request);
    worker_close(&w);
}
