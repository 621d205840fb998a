#include "common/process/peers.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/instant.h"
#include "common/process/last_answer.h"

#define PLACES (PEERS_MAX + PEERS_POSTPONED_MAX + 1)
#define LISTENING PLACES /* where poll(2) finds the socket, after the places */
#define SECOND INT64_C(1000000000)
#define ACCEPT_MS 5 /* how long accept(2) may keep those waiting who are here */
#define SOON_MS 2   /* how long one who has just come may */

/* ---- life ---- */

static void ignore(int signal)
{
    (void)signal;
}

/* Its signal has a number that nobody else takes. Where there is no timer, all works but for the
 * case that accept_soon() is about. */
static bool make_timer(timer_t *ret)
{
    const struct sigaction action = {.sa_handler = ignore}; /* interrupts: no SA_RESTART */
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGRTMIN);
    return sigaction(SIGRTMIN, &action, NULL) == 0 && sigprocmask(SIG_UNBLOCK, &set, NULL) == 0 &&
           timer_create(CLOCK_MONOTONIC, &event, ret) == 0;
}

void peers_open(struct peers *all, int listen_fd, size_t body_max, unsigned request_s)
{
    all->listen_fd = listen_fd;
    all->count = all->postponed = 0;
    all->bytes_max = 2 * (body_max + FASTCGI_PARAMS_MAX);
    all->limit_ns = (request_s ? request_s : PEERS_REQUEST_S) * SECOND;
    all->ending_ns = PEERS_ENDING_S * SECOND;
    all->ends_at = 0;
    all->is_narrow = false;
    all->has_timer = make_timer(&all->timer);
    for (size_t i = 0; i < PLACES; i++) {
        all->at[i] = (struct peer){.fd = -1};
        fastcgi_init(&all->at[i].request, body_max);
    }
}

void peers_close(struct peers *all)
{
    for (size_t i = 0; i < PLACES; i++) {
        peer_hang_up(&all->at[i]);
        fastcgi_release(&all->at[i].request);
    }
    if (all->has_timer)
        (void)timer_delete(all->timer);
}

void peer_hang_up(struct peer *peer)
{
    if (peer->fd >= 0)
        (void)close(peer->fd);
    peer->fd = -1;
}

void peers_drop(struct peers *all, struct peer *peer)
{
    peer_hang_up(peer);
    all->count--;
    all->postponed -= peer->postponed != 0;
    fastcgi_reset(&peer->request);
    if (peer != all->at)
        fastcgi_release(&peer->request);
}

void peers_end(struct peers *all, bool is_end)
{
    if (!is_end)
        all->ends_at = 0;
    else if (!all->ends_at)
        all->ends_at = monotonic_ns() + all->ending_ns;
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

void peer_send(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && (errno != EAGAIN || !wait_for_room(fd)))
            return;
        if (sent > 0) {
            data += sent;
            len -= (size_t)sent;
        }
    }
}

/* What a peer has asked that has no request yet; false where it does not read that: others wait. */
static bool tell(struct peer *peer)
{
    struct buf *told = &peer->request.answer;
    bool went = !told->len || send(peer->fd, told->data, told->len, MSG_NOSIGNAL | MSG_DONTWAIT) ==
                                  (ssize_t)told->len;
    buf_reset(told);
    return went;
}

/* ---- who stays, and who goes ---- */

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When a peer that waits is dropped, if nothing comes; or answered, if it is postponed. */
static int64_t end_of(const struct peers *all, const struct peer *peer)
{
    int64_t end = least(peer->heard + PEER_TIMEOUT_S * SECOND, peer->since + all->limit_ns);
    if (peer->postponed)
        end = peer->postponed + PEERS_POSTPONED_S * SECOND;
    return all->ends_at ? least(end, all->ends_at) : end;
}

/* Its request has not come whole. */
static bool is_coming(const struct peer *peer)
{
    return peer->fd >= 0 && !peer->postponed;
}

static void drop_expired(struct peers *all)
{
    int64_t now = monotonic_ns();
    for (size_t i = 0; i < PLACES; i++)
        if (is_coming(&all->at[i]) && end_of(all, &all->at[i]) <= now)
            peers_drop(all, &all->at[i]);
}

static size_t bytes_of(const struct peers *all)
{
    size_t bytes = 0;
    for (size_t i = 0; i < PLACES; i++)
        bytes += is_coming(&all->at[i]) ? fastcgi_size(&all->at[i].request) : 0;
    return bytes;
}

static struct peer *most_silent_but(struct peers *all, const struct peer *but)
{
    struct peer *found = NULL;
    for (struct peer *at = all->at; at < all->at + PLACES; at++)
        if (is_coming(at) && at != but && (!found || at->heard < found->heard))
            found = at;
    return found;
}

/* Of those whose request has not come whole, too many or too much. */
static bool is_too_much(const struct peers *all)
{
    size_t count = all->count - all->postponed;
    return count > PEERS_MAX || (count > 1 && bytes_of(all) > all->bytes_max);
}

/* Its own bounds are below ours, so that it stays itself. */
static void keep(struct peers *all, struct peer *peer)
{
    struct peer *other;
    peer->heard = monotonic_ns();
    if (!peer->since)
        peer->since = peer->heard;
    while (is_too_much(all) && (other = most_silent_but(all, peer)))
        peers_drop(all, other);
}

bool peers_may_postpone(const struct peers *all, const struct peer *peer)
{
    if (peer->postponed)
        return monotonic_ns() < end_of(all, peer);
    return all->postponed < PEERS_POSTPONED_MAX &&
           fastcgi_size(&peer->request) <= PEER_POSTPONED_MAX;
}

void peers_postpone(struct peers *all, struct peer *peer, int queue, int64_t came)
{
    peer->queue = queue;
    all->postponed += !peer->postponed;
    peer->postponed = came;
}

/* A web server does so when its client has. */
static bool has_hung_up(const struct peer *peer)
{
    struct pollfd look = {.fd = peer->fd};
    return poll(&look, 1, 0) == 1;
}

static struct peer *first_of(struct peers *all, int queue)
{
    struct peer *first = NULL;
    for (struct peer *at = all->at; at < all->at + PLACES; at++)
        if (at->fd >= 0 && at->postponed && at->queue == queue &&
            (!first || at->postponed < first->postponed))
            first = at;
    return first;
}

struct peer *peers_first_postponed(struct peers *all, int queue)
{
    struct peer *first;
    while (all->postponed && (first = first_of(all, queue))) {
        if (!has_hung_up(first))
            return first;
        peers_drop(all, first);
    }
    return NULL;
}

/* ---- reading ---- */

/* A web server writes when it has connected, and accept(2) is often faster than that. Then to look
 * at all the others would cost more than this one. */
static bool comes_soon(const struct peer *peer)
{
    struct pollfd wait = {.fd = peer->fd, .events = POLLIN};
    return poll(&wait, 1, SOON_MS) == 1;
}

/* All that has come by now. */
static enum fastcgi_step receive(struct peers *all, struct peer *peer)
{
    enum fastcgi_step step = FASTCGI_MORE;
    bool is_new = !peer->since;
    while (step == FASTCGI_MORE) {
        ssize_t got = recv(peer->fd, all->chunk, sizeof all->chunk, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN && is_new && comes_soon(peer))
            continue;
        if (got < 0 && errno == EAGAIN)
            return FASTCGI_MORE;
        if (got <= 0)
            return FASTCGI_BROKEN;
        is_new = false;
        step = fastcgi_take(&peer->request, all->chunk, (size_t)got);
        wipe(all->chunk, (size_t)got);
        if (!tell(peer))
            return FASTCGI_BROKEN;
    }
    return step;
}

/* The peer, if its request is whole now. */
static struct peer *hear(struct peers *all, struct peer *peer)
{
    last_answer_is_for(peer->fd, &peer->request, NULL);
    enum fastcgi_step step = receive(all, peer);
    if (step == FASTCGI_WHOLE)
        return peer;
    last_answer_is_for_nobody();
    if (step == FASTCGI_MORE)
        keep(all, peer);
    else
        peers_drop(all, peer);
    errno = EAGAIN;
    return NULL;
}

/* ---- waiting ---- */

/* poll(2) wakes each worker that holds peers, and another may be faster: then accept(2) would wait
 * for the next to come while ours wait. Whether it may wait belongs to the socket, which all
 * workers share; the timer, which interrupts it, is our own. It comes again and again, for the
 * first time may be before accept(2) has begun. */
static int accept_soon(const struct peers *all, int wait_ms)
{
    const int ms = wait_ms > 0 && wait_ms < ACCEPT_MS ? wait_ms : ACCEPT_MS;
    const struct timespec each = {.tv_nsec = ms * 1000000L};
    const struct itimerspec soon = {each, each}, never = {0};
    if (all->has_timer)
        (void)timer_settime(all->timer, 0, &soon, NULL);
    int fd = accept4(all->listen_fd, NULL, NULL, SOCK_CLOEXEC), failed = errno;
    if (all->has_timer)
        (void)timer_settime(all->timer, 0, &never, NULL);
    errno = failed;
    return fd;
}

/* Who has just come. There is a free place: who stays leaves one. */
static struct peer *let_in(struct peers *all, int wait_ms)
{
    struct peer *peer = all->at;
    int fd =
        all->count ? accept_soon(all, wait_ms) : accept4(all->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return NULL;
    while (peer->fd >= 0)
        peer++;
    peer->fd = fd;
    peer->since = peer->postponed = 0;
    all->count++;
    return hear(all, peer);
}

static bool lets_in(const struct peers *all)
{
    return !all->ends_at && !(all->is_narrow && all->postponed);
}

/* Of places that are free poll(2) takes no notice; nor of who is postponed, for one that has hung
 * up would wake us without end until it is the first of its queue. */
static bool wait_for_any(const struct peers *all, int wait_ms, struct pollfd ret[PLACES + 1])
{
    for (size_t i = 0; i < PLACES; i++)
        ret[i] =
            (struct pollfd){.fd = is_coming(&all->at[i]) ? all->at[i].fd : -1, .events = POLLIN};
    ret[LISTENING] = (struct pollfd){.fd = lets_in(all) ? all->listen_fd : -1, .events = POLLIN};
    return poll(ret, PLACES + 1, wait_ms) > 0;
}

bool peers_wait(struct peers *all, int wait_ms)
{
    struct pollfd ready[PLACES + 1];
    return (all->count || lets_in(all)) && wait_for_any(all, wait_ms, ready);
}

/* Until the first of those who are here would be dropped, or less. */
static int ms_to_wait(const struct peers *all, int wait_ms)
{
    int64_t end = INT64_MAX, now = monotonic_ns();
    for (size_t i = 0; i < PLACES; i++)
        if (all->at[i].fd >= 0)
            end = least(end, end_of(all, &all->at[i]));
    int64_t ms = end > now ? (end - now) / 1000000 + 1 : 0;
    return (int)(wait_ms < 0 ? ms : least(ms, wait_ms));
}

/* Those who are here come before one more. One may take the place of another among them. */
static struct peer *next_of_all(struct peers *all, int wait_ms)
{
    struct pollfd ready[PLACES + 1];
    if (!wait_for_any(all, ms_to_wait(all, wait_ms), ready)) {
        errno = EAGAIN;
        return NULL;
    }
    for (size_t i = 0; i < PLACES; i++)
        if (ready[i].revents && all->at[i].fd >= 0 && hear(all, &all->at[i]))
            return &all->at[i];
    errno = EAGAIN;
    return ready[LISTENING].revents ? let_in(all, wait_ms) : NULL;
}

/* Of all who are here nothing is expected, and accept(2) comes back in time. */
static bool may_accept(const struct peers *all, int wait_ms)
{
    return all->count == all->postponed && lets_in(all) && all->has_timer && wait_ms;
}

struct peer *peers_next(struct peers *all, int wait_ms)
{
    if (all->count)
        drop_expired(all);
    if (all->count && !may_accept(all, wait_ms))
        return next_of_all(all, wait_ms);
    errno = EAGAIN;
    return lets_in(all) ? let_in(all, wait_ms) : NULL;
}
