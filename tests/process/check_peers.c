#include "common/process/peers.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/base/instant.h"
#include "tests/support/clock.h"
#include "tests/support/records.h"
#include "tests/support/scratch.h"
#include "tests/support/sockets.h"
#include "tests/support/suite.h"

#define BODY_MAX 100000

static struct peers all;
static int listen_fd;
static const struct call half = {.method = "POST", .uri = "/half", .body = "12345", .body_len = 5};
static const struct call whole = {.method = "GET", .uri = "/whole"};

static void set_up_with(unsigned request_s)
{
    scratch_open();
    (void)unlink(path);
    listen_fd = listen_at(path);
    peers_open(&all, listen_fd, BODY_MAX, request_s);
    put_call(&scratch, &half);
}

static void set_up(void)
{
    set_up_with(0);
}

/* Once a peer has been dropped, accept(2) waits for another, but not here. */
static void set_up_brief(void)
{
    const struct timeval wait = {.tv_usec = 1000};
    set_up_with(1);
    ck_assert_int_eq(setsockopt(listen_fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait), 0);
}

static void tear_down(void)
{
    peers_close(&all);
    (void)close(listen_fd);
    scratch_close();
}

/* In place of the C library's: another worker may have been faster. */
static bool other_is_faster;

int accept4(int fd, __SOCKADDR_ARG address, socklen_t *restrict len, int flags)
{
    if (other_is_faster)
        (void)close((int)syscall(SYS_accept4, fd, NULL, NULL, 0));
    other_is_faster = false;
    return (int)syscall(SYS_accept4, fd, address.__sockaddr__, len, flags);
}

/* ---- those who connect, in the same process: nothing here depends on who is faster ---- */

/* The beginning of `half`, which is in the scratch buffer. */
static int begin(size_t len)
{
    int fd = connect_to(path);
    ck_assert_int_ge(fd, 0);
    send_bytes(fd, scratch.data, len);
    return fd;
}

static void finish(int fd, size_t from)
{
    send_bytes(fd, scratch.data + from, scratch.len - from);
}

static bool is_closed(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    char byte;
    return poll(&ready, 1, 0) == 1 && recv(fd, &byte, 1, MSG_DONTWAIT) <= 0;
}

static void ck_nobody_is_whole(void)
{
    ck_assert_ptr_null(peers_next(&all, 0));
    ck_assert_int_eq(errno, EAGAIN);
}

/* It is the next one's turn who asked for that. */
static void ck_next(const char *uri)
{
    struct peer *peer = peers_next(&all, PATIENCE_MS);
    ck_assert_ptr_nonnull(peer);
    struct text at = fastcgi_param(&peer->request, "DOCUMENT_URI");
    ck_assert_msg(text_equal(at, text_of(uri)), "%.*s", (int)at.len, at.data);
    peers_drop(&all, peer);
}

static void ck_serves_others(void)
{
    int fd = begin_call(path, &whole);
    ck_next("/whole");
    ck_assert(is_closed(fd));
    (void)close(fd);
}

CASE("peers", set_up, tear_down);
CASE_AROUND(sockets_open, sockets_close);

TEST(who_sends_all_at_once_is_next)
{
    ck_serves_others();
    ck_assert_uint_eq(all.count, 0);
}

TEST(half_a_request_holds_only_itself_wherever_it_is_cut)
{
    for (size_t cut = 0; cut < scratch.len; cut++) {
        int fd = begin(cut);
        ck_nobody_is_whole();
        ck_serves_others();
        ck_assert_uint_eq(all.count, 1);

        finish(fd, cut);

        ck_next("/half");
        ck_assert_uint_eq(all.count, 0);
        (void)close(fd);
    }
}

TEST(who_waits_does_so_no_longer_where_another_worker_takes_the_next)
{
    const struct timeval wait = {.tv_sec = 1}; /* as long as it would be */
    int fd = begin(20), other;
    ck_nobody_is_whole();
    other = begin_call(path, &whole);
    ck_assert_int_eq(setsockopt(listen_fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait), 0);
    other_is_faster = true;

    ck_assert_ptr_null(peers_next(&all, -1));

    ck_assert(!other_is_faster);
    ck_assert_int_eq(errno, EINTR);
    finish(fd, 20);
    ck_next("/half");
    (void)close(fd);
    (void)close(other);
}

TEST(many_come_byte_by_byte_at_once)
{
    int fds[PEERS_MAX];
    for (int i = 0; i < PEERS_MAX; i++)
        fds[i] = begin(0);
    for (int i = 0; i < PEERS_MAX; i++)
        ck_nobody_is_whole();
    for (size_t at = 0; at < scratch.len - 1; at++) {
        for (int i = 0; i < PEERS_MAX; i++)
            send_bytes(fds[i], scratch.data + at, 1);
        ck_nobody_is_whole();
    }
    ck_serves_others();

    for (int i = PEERS_MAX - 1; i >= 0; i--) {
        finish(fds[i], scratch.len - 1);
        ck_next("/half");
        ck_assert(is_closed(fds[i]));
        (void)close(fds[i]);
    }
    ck_assert_uint_eq(all.count, 0);
}

TEST(who_leaves_leaves_nothing)
{
    int fd = begin(20);
    ck_nobody_is_whole();
    ck_assert_uint_eq(all.count, 1);

    (void)close(fd);

    ck_nobody_is_whole();
    ck_assert_uint_eq(all.count, 0);
}

TEST(who_aborts_is_dropped_and_the_others_stay)
{
    int other = begin(20), fd = begin(16);
    ck_nobody_is_whole();
    ck_nobody_is_whole();
    struct buf abort;
    buf_init(&abort, 100);
    put_record(&abort, ABORT, NULL, 0, 0);

    send_bytes(fd, abort.data, abort.len);

    ck_nobody_is_whole();
    ck_assert(is_closed(fd));
    finish(other, 20);
    ck_next("/half");
    buf_release(&abort);
    (void)close(fd);
    (void)close(other);
}

TEST(who_is_silent_longest_makes_room)
{
    int fds[PEERS_MAX];
    for (int i = 0; i < PEERS_MAX; i++) {
        fds[i] = begin(20);
        ck_nobody_is_whole();
    }
    send_bytes(fds[0], scratch.data + 20, 1);
    ck_nobody_is_whole();

    int late = begin(20);
    ck_nobody_is_whole();

    ck_assert_uint_eq(all.count, PEERS_MAX);
    ck_assert(is_closed(fds[1]));
    finish(fds[0], 21);
    ck_next("/half");
    finish(late, 20);
    ck_next("/half");
    for (int i = 0; i < PEERS_MAX; i++)
        (void)close(fds[i]);
    (void)close(late);
}

static void allow_descriptors(rlim_t count)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur >= count)
        return;
    limit.rlim_cur = count < limit.rlim_max ? count : limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* They say nothing, half a record's head, or all but the last byte; and they come again. */
TEST(a_thousand_with_half_a_request_keep_nobody_out)
{
    enum { MANY = 1000 };
    const size_t parts[] = {0, 4, scratch.len - 1};
    int *fds = arena_array(a, MANY, sizeof *fds);
    allow_descriptors(MANY + 100);
    for (int i = 0; i < MANY; i++) {
        fds[i] = begin(parts[i % 3]);
        ck_nobody_is_whole();
        ck_assert_uint_le(all.count, PEERS_MAX);
        if (i % 50 == 0)
            ck_serves_others();
    }
    ck_serves_others();

    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(is_closed(fds[i]), i < MANY - PEERS_MAX);
        (void)close(fds[i]);
    }
}

/* Of parameters without end. A peer that does not take all is heard meanwhile. */
static void send_much(int fd, size_t len)
{
    struct buf out;
    buf_init(&out, len * 2);
    put_begin(&out, RESPONDER);
    for (size_t at = 0; at < len; at += 50000)
        put_record(&out, PARAMS, arena_alloc(a, 50000), 50000, 0);
    for (size_t at = 0; at < out.len;) {
        ssize_t sent = send(fd, out.data + at, out.len - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        ck_assert(sent > 0 || errno == EAGAIN);
        at += sent > 0 ? (size_t)sent : 0;
        ck_nobody_is_whole();
    }
    buf_release(&out);
}

TEST(what_waits_has_a_bound_of_bytes_too)
{
    int first = begin(0), second = begin(0), third = begin(0);
    send_much(first, 1000000);
    send_much(second, 1000000);
    ck_assert_uint_eq(all.count, 3);

    send_much(third, 1000000);

    ck_assert(is_closed(first));
    ck_assert(!is_closed(second));
    ck_assert(!is_closed(third));
    ck_serves_others();
    (void)close(first);
    (void)close(second);
    (void)close(third);
}

TEST(at_the_end_nobody_is_let_in_and_who_is_here_is_finished)
{
    int fd = begin(20), late;
    ck_nobody_is_whole();

    peers_end(&all, true);

    late = begin_call(path, &whole);
    ck_assert(!peers_wait(&all, 0));
    ck_nobody_is_whole();
    finish(fd, 20);
    ck_assert(peers_wait(&all, PATIENCE_MS));
    ck_next("/half");
    ck_assert(!peers_wait(&all, PATIENCE_MS)); /* for whom? */
    ck_nobody_is_whole();

    peers_end(&all, false); /* it was none */

    ck_next("/whole");
    (void)close(fd);
    (void)close(late);
}

TEST(who_is_not_whole_at_the_end_is_dropped)
{
    int fd = begin(20);
    ck_nobody_is_whole();
    peers_end(&all, true);
    ck_nobody_is_whole();
    ck_assert_uint_eq(all.count, 1);

    all.ends_at = monotonic_ns(); /* five seconds later */

    ck_nobody_is_whole();
    ck_assert_uint_eq(all.count, 0);
    ck_assert(is_closed(fd));
    (void)close(fd);
}

/* ---- those whose request is whole, but whose turn it is not ---- */

enum { LISTS = 1, LOGINS };

/* One who is whole, and is postponed as if they had come at `came`. */
static int postpone(int queue, int64_t came)
{
    int fd = begin_call(path, &whole);
    struct peer *peer = peers_next(&all, PATIENCE_MS);
    ck_assert_ptr_nonnull(peer);
    ck_assert(peers_may_postpone(&all, peer));
    peers_postpone(&all, peer, queue, came);
    return fd;
}

TEST(who_is_postponed_keeps_nobody_from_being_served)
{
    int fd = postpone(LISTS, monotonic_ns());

    for (int i = 0; i < 3; i++)
        ck_serves_others();

    ck_assert(!is_closed(fd));
    peers_drop(&all, peers_first_postponed(&all, LISTS));
    ck_assert(is_closed(fd));
    ck_assert_uint_eq(all.count, 0);
    ck_assert_uint_eq(all.postponed, 0);
    (void)close(fd);
}

TEST(who_came_first_is_the_first_of_its_queue)
{
    const int64_t now = monotonic_ns();
    int fds[] = {postpone(LISTS, now + 2), postpone(LISTS, now + 1), postpone(LOGINS, now)};

    ck_assert_int_eq(peers_first_postponed(&all, LISTS)->postponed, now + 1);
    ck_assert_int_eq(peers_first_postponed(&all, LOGINS)->postponed, now);
    peers_drop(&all, peers_first_postponed(&all, LISTS));
    ck_assert_int_eq(peers_first_postponed(&all, LISTS)->postponed, now + 2);
    peers_drop(&all, peers_first_postponed(&all, LOGINS));
    ck_assert_ptr_null(peers_first_postponed(&all, LOGINS));
    for (int i = 0; i < 3; i++)
        (void)close(fds[i]);
}

TEST(who_is_postponed_again_stays_where_they_were)
{
    const int64_t now = monotonic_ns();
    int fd = postpone(LISTS, now);
    struct peer *peer = peers_first_postponed(&all, LISTS);

    ck_assert(peers_may_postpone(&all, peer));
    peers_postpone(&all, peer, LISTS, now);

    ck_assert_uint_eq(all.postponed, 1);
    ck_assert_ptr_eq(peers_first_postponed(&all, LISTS), peer);
    (void)close(fd);
}

TEST(who_hangs_up_meanwhile_is_forgotten)
{
    const int64_t now = monotonic_ns();
    int gone = postpone(LISTS, now), fd = postpone(LISTS, now + 1);

    (void)close(gone);

    ck_assert_int_eq(peers_first_postponed(&all, LISTS)->postponed, now + 1);
    ck_assert_uint_eq(all.count, 1);
    (void)close(fd);
    ck_assert_ptr_null(peers_first_postponed(&all, LISTS));
    ck_assert_uint_eq(all.postponed, 0);
}

/* Who has come half waits in poll(2), which must not come back for nothing again and again. */
TEST(who_hangs_up_before_it_is_the_first_wakes_nobody)
{
    const int64_t now = monotonic_ns();
    int fd = postpone(LISTS, now), gone = postpone(LISTS, now + 1);

    (void)close(gone);

    ck_assert(!peers_wait(&all, 0));
    peers_drop(&all, peers_first_postponed(&all, LISTS));
    ck_assert_ptr_null(peers_first_postponed(&all, LISTS));
    ck_assert_uint_eq(all.count, 0);
    (void)close(fd);
}

TEST(nobody_waits_for_their_turn_without_end)
{
    int fd = postpone(LISTS, monotonic_ns() - PEERS_POSTPONED_S * INT64_C(1000000000));
    struct peer *peer = peers_first_postponed(&all, LISTS);

    ck_assert(!peers_may_postpone(&all, peer));

    ck_serves_others(); /* and it is not dropped: it is answered, one way or another */
    ck_assert(!is_closed(fd));
    (void)close(fd);
}

TEST(at_the_end_who_is_postponed_is_to_be_answered)
{
    int fd = postpone(LISTS, monotonic_ns());
    peers_end(&all, true);
    ck_assert(peers_may_postpone(&all, peers_first_postponed(&all, LISTS)));
    ck_nobody_is_whole();

    all.ends_at = monotonic_ns(); /* five seconds later */

    ck_nobody_is_whole();
    ck_assert(!peers_may_postpone(&all, peers_first_postponed(&all, LISTS)));
    ck_assert(!is_closed(fd));
    (void)close(fd);
}

TEST(there_is_room_for_so_many_and_for_halves_besides)
{
    int fds[PEERS_POSTPONED_MAX], halves[PEERS_MAX];
    for (int i = 0; i < PEERS_POSTPONED_MAX; i++)
        fds[i] = postpone(i % 2 ? LISTS : LOGINS, monotonic_ns());

    int fd = begin_call(path, &whole);
    struct peer *peer = peers_next(&all, PATIENCE_MS);
    ck_assert_ptr_nonnull(peer);
    ck_assert(!peers_may_postpone(&all, peer));

    peers_drop(&all, peer);
    for (int i = 0; i < PEERS_MAX; i++) {
        halves[i] = begin(20);
        ck_nobody_is_whole();
    }
    ck_assert_uint_eq(all.count, PEERS_POSTPONED_MAX + PEERS_MAX);
    ck_serves_others();
    int late = begin(20);
    ck_nobody_is_whole();
    ck_assert(is_closed(halves[0])); /* it is one of their own that makes room */
    for (int i = 0; i < PEERS_POSTPONED_MAX; i++)
        ck_assert(!is_closed(fds[i]));
    finish(late, 20);
    ck_next("/half");
    for (int i = 0; i < PEERS_POSTPONED_MAX; i++)
        (void)close(fds[i]);
    for (int i = 0; i < PEERS_MAX; i++)
        (void)close(halves[i]);
    (void)close(late);
    (void)close(fd);
}

TEST(a_large_request_does_not_wait)
{
    static char body[PEER_POSTPONED_MAX];
    const struct call large = {
        .method = "POST", .uri = "/large", .body = body, .body_len = sizeof body};
    int fd = begin_call(path, &large);
    struct peer *peer;
    while (!(peer = peers_next(&all, PATIENCE_MS)))
        ck_assert_int_eq(errno, EAGAIN);

    ck_assert(!peers_may_postpone(&all, peer));
    (void)close(fd);
}

/* However nobody comes, it is time to ask again whose turn it is. */
TEST(who_is_postponed_ends_the_wait_for_others)
{
    const struct timeval wait = {.tv_sec = 600};
    int fd = postpone(LISTS, monotonic_ns());
    ck_assert_int_eq(setsockopt(listen_fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait), 0);

    ck_assert_ptr_null(peers_next(&all, -1));
    ck_assert_int_eq(errno, EINTR);
    ck_assert_ptr_null(peers_next(&all, 1));
    ck_assert_int_eq(errno, EINTR);
    ck_nobody_is_whole();
    (void)close(fd);
}

CASE("limits", set_up_brief, tear_down);
CASE_AROUND(sockets_open, sockets_close);

/* Bytes come, and others are served, but the request never comes to its end. */
TEST(the_limit_of_a_request_holds_while_others_are_served)
{
    long began = now_ms();
    size_t at = 20;
    int fd = begin(at);
    ck_nobody_is_whole();

    while (!is_closed(fd) && at < scratch.len - 1) {
        send_bytes(fd, scratch.data + at++, 1);
        ck_nobody_is_whole();
        ck_serves_others();
        pause_ms(20);
    }

    ck_assert(is_closed(fd));
    ck_assert_int_ge(now_ms() - began, 1000);
    ck_assert_uint_eq(all.count, 0);
    (void)close(fd);
}

TEST(a_limit_ends_the_wait)
{
    int fd = begin(20);
    ck_nobody_is_whole();

    ck_assert_ptr_null(peers_next(&all, -1));
    ck_nobody_is_whole();

    ck_assert(is_closed(fd));
    (void)close(fd);
}
