#include "common/process/accept_queue.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/suite.h"

/* A listening socket of either kind; the kernel chooses its name. */
static int listen_on(sa_family_t family, struct sockaddr_storage *ret, socklen_t *ret_len)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in inet = {.sin_family = AF_INET,
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr_un local = {.sun_family = AF_UNIX};
    const void *address = family == AF_UNIX ? (const void *)&local : &inet;
    ck_assert_int_eq(
        bind(fd, address, family == AF_UNIX ? (socklen_t)sizeof(sa_family_t) : sizeof inet), 0);
    ck_assert_int_eq(listen(fd, 10), 0);
    *ret_len = sizeof *ret;
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)ret, ret_len), 0);
    return fd;
}

/* Containers may forbid netlink; TCP does without it. */
static bool can_tell(sa_family_t family)
{
    int fd = family == AF_UNIX ? socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG) : 0;
    if (fd < 0)
        printf("accept queue: not tried, for there is no netlink here: %s\n", strerror(errno));
    if (fd > 0)
        (void)close(fd);
    return fd >= 0;
}

static void ck_waiting(int fd, unsigned expected)
{
    unsigned waiting = 4711;
    ck_assert(accept_queue_read(fd, &waiting));
    ck_assert_uint_eq(waiting, expected);
}

static const sa_family_t families[] = {AF_UNIX, AF_INET};

CASE("accept queue", NULL, NULL);

TEST_EACH(those_that_nobody_accepted_are_counted, families)
{
    struct sockaddr_storage address;
    socklen_t len;
    int listening = listen_on(families[_i], &address, &len);
    if (!can_tell(families[_i]))
        return;
    ck_waiting(listening, 0);

    for (unsigned i = 1; i <= 3; i++) {
        int peer = socket(families[_i], SOCK_STREAM | SOCK_CLOEXEC, 0);
        ck_assert_int_eq(connect(peer, (const struct sockaddr *)&address, len), 0);
        ck_waiting(listening, i);
    }
    for (unsigned i = 3; i-- > 0;) {
        ck_assert_int_ge(accept(listening, NULL, NULL), 0);
        ck_waiting(listening, i);
    }
}

TEST_EACH(two_sockets_have_queues_of_their_own, families)
{
    struct sockaddr_storage address, other_address;
    socklen_t len, other_len;
    int one = listen_on(families[_i], &address, &len);
    int other = listen_on(families[_i], &other_address, &other_len);
    int peer = socket(families[_i], SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!can_tell(families[_i]))
        return;

    ck_assert_int_eq(connect(peer, (const struct sockaddr *)&other_address, other_len), 0);

    ck_waiting(one, 0);
    ck_waiting(other, 1);
}

TEST(what_does_not_listen_has_no_queue)
{
    unsigned waiting = 4711;
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);

    ck_assert(!accept_queue_read(pair[0], &waiting));
    ck_assert(!accept_queue_read(open("/dev/null", O_RDONLY | O_CLOEXEC), &waiting));
    ck_assert(!accept_queue_read(-1, &waiting));

    ck_assert_uint_eq(waiting, 4711);
}

TEST(without_netlink_nothing_is_told)
{
    struct sockaddr_storage address;
    socklen_t len;
    unsigned waiting = 4711;
    int listening = listen_on(AF_UNIX, &address, &len);
    struct rlimit usual;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &usual), 0);
    const struct rlimit none = {0, usual.rlim_max}; /* no descriptor more, and so no netlink */

    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    bool told = accept_queue_read(listening, &waiting);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &usual), 0);

    ck_assert(!told);
    ck_assert_uint_eq(waiting, 4711);
}
