#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/problem.h"
#include "common/process/systemd.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

#define MANY 4 /* descriptors that are passed at most in these tests */

static const char *const names[] = {"fast", "hash"};

/* Be as a process that a manager has just started: 3 and on are there, as it leaves them. */
static void pass(const char *fds, const char *called)
{
    for (int fd = 3; fd < 3 + MANY; fd++) {
        int made = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        ck_assert_int_ge(made, 0);
        if (made == fd)
            continue;
        ck_assert_int_eq(dup2(made, fd), fd);
        ck_assert_int_eq(close(made), 0);
    }
    (void)setenv("LISTEN_PID", arena_printf(a, "%d", (int)getpid()), 1);
    (void)setenv("LISTEN_FDS", fds, 1);
    if (called)
        (void)setenv("LISTEN_FDNAMES", called, 1);
    else
        (void)unsetenv("LISTEN_FDNAMES");
}

static struct problem *take(int fds[2])
{
    return systemd_take_sockets(a, names, 2, fds);
}

static const struct {
    const char *fds, *called;
    int fast, hash;
} good[] = {
    {"0", NULL, -1, -1},
    {"1", NULL, 3, -1},
    {"2", NULL, 3, 4},
    {"1", "fast", 3, -1},
    {"1", "hash", -1, 3},
    {"2", "fast:hash", 3, 4},
    {"2", "hash:fast", 4, 3},
    {"2", "postern.socket:postern-hash.socket", 3, 4},
    {"2", "unknown:unknown", 3, 4},
    {"2", "", 3, 4},
};

CASE("sockets", scratch_open, scratch_close);

TEST_EACH(sockets_are_known_by_name_or_else_by_their_order, good)
{
    int fds[2] = {99, 99};
    pass(good[_i].fds, good[_i].called);

    must(take(fds));

    ck_assert_int_eq(fds[0], good[_i].fast);
    ck_assert_int_eq(fds[1], good[_i].hash);
}

static const struct {
    const char *fds, *called, *says;
} bad[] = {
    {"3", NULL, "LISTEN_FDS is 3: at most 2"},
    {"3", "fast:hash:metrics", "LISTEN_FDS is 3: at most 2"},
    {"2", "fast:other", "LISTEN_FDNAMES is fast:other"},
    {"2", "fast:fast", "LISTEN_FDNAMES is fast:fast"},
    {"2", "hash", "LISTEN_FDNAMES is hash"},
    {"1", "fast:hash", "LISTEN_FDNAMES is fast:hash"},
    {"", NULL, "LISTEN_FDS is "},
    {"-1", NULL, "LISTEN_FDS is -1"},
    {"two", NULL, "LISTEN_FDS is two"},
    {"1 ", NULL, "LISTEN_FDS is 1 "},
    {"99999999999999999999", NULL, "LISTEN_FDS is 99999999999999999999"},
};

TEST_EACH(what_cannot_be_meant_is_refused_with_the_reason, bad)
{
    int fds[2] = {99, 99};
    pass(bad[_i].fds, bad[_i].called);

    struct problem *p = take(fds);

    ck_assert_ptr_nonnull(p);
    ck_assert_msg(strstr(p->cause, bad[_i].says) != NULL, "%s", p->cause);
    ck_assert_int_eq(fds[0], 99);
    ck_assert_int_eq(fds[1], 99);
}

TEST(a_descriptor_that_is_not_there_is_refused)
{
    int fds[2];
    pass("1", NULL);
    ck_assert_int_eq(close(3), 0);

    struct problem *p = take(fds);

    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_nonnull(strstr(p->cause, "descriptor 3"));
}

static const char *const others[] = {"1", "0", "", "x", "-5", NULL};

TEST_EACH(what_is_for_another_process_is_left_alone, others)
{
    int fds[2] = {99, 99};
    pass("2", "fast:hash");
    if (others[_i])
        (void)setenv("LISTEN_PID", others[_i], 1);
    else
        (void)unsetenv("LISTEN_PID");

    struct problem *p = take(fds);

    ck_assert_ptr_null(p);
    ck_assert_int_eq(fds[0], -1);
    ck_assert_int_eq(fds[1], -1);
    ck_assert_int_eq(fcntl(3, F_GETFD) & FD_CLOEXEC, 0);
}

TEST(nobody_takes_them_twice)
{
    static const char *const variables[] = {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"};
    int fds[2];
    pass("2", "fast:hash");

    ck_assert_ptr_null(take(fds));

    for (int i = 0; i < COUNT(variables); i++)
        ck_assert_ptr_null(getenv(variables[i]));
    ck_assert_ptr_null(take(fds));
    ck_assert_int_eq(fds[0], -1);
}

TEST(programs_that_we_start_do_not_get_them_and_accept_waits)
{
    int fds[2];
    pass("2", NULL);

    ck_assert_ptr_null(take(fds));

    for (int i = 0; i < 2; i++) {
        ck_assert_int_ne(fcntl(fds[i], F_GETFD) & FD_CLOEXEC, 0);
        ck_assert_int_eq(fcntl(fds[i], F_GETFL) & O_NONBLOCK, 0);
    }
}
