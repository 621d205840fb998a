#include "common/process/socket.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/problem.h"
#include "tests/support/scratch.h"
#include "tests/support/sockets.h"
#include "tests/support/suite.h"

static void set_up(void)
{
    scratch_open();
    (void)unlink(path);
}

/* Who connects to `path` comes to `listen_fd`. */
static void assert_reached(int listen_fd)
{
    int fd = connect_to(path);
    ck_assert_int_ge(fd, 0);
    int peer = accept(listen_fd, NULL, NULL);
    ck_assert_int_ge(peer, 0);
    (void)close(peer);
    (void)close(fd);
}

static void assert_refused(const char *address, const char *group, const char *cause)
{
    int fd = 42;
    struct problem *p = socket_listen(a, address, 5, group, &fd);
    ck_assert_msg(p != NULL, "%s was taken", address);
    ck_assert_ptr_eq(p->type, &problem_internal);
    ck_assert_msg(strstr(p->cause, cause) != NULL, "no \"%s\" in: %s", cause, p->cause);
    ck_assert_int_eq(fd, 42);
}

CASE("socket", set_up, scratch_close);
CASE_AROUND(sockets_open, sockets_close);

TEST(a_socket_file_is_for_owner_and_group)
{
    struct stat st;
    mode_t before = umask(0);
    (void)umask(before);

    int fd = listen_at(path);

    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert(S_ISSOCK(st.st_mode));
    ck_assert_uint_eq(st.st_mode & 07777, 0660);
    ck_assert_uint_eq(umask(before), before); /* the mask of the process is as it was */
    ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    (void)close(fd);
}

TEST(a_socket_may_be_given_to_a_group)
{
    struct stat st;
    int fd;
    if (geteuid() == 0) { /* only root may give to a group that it is not in */
        ck_assert_ptr_null(socket_listen(a, path, 5, "daemon", &fd));
        ck_assert_int_eq(stat(path, &st), 0);
        ck_assert_uint_ne(st.st_gid, getegid());
        ck_assert_uint_eq(st.st_mode & 07777, 0660);
        (void)close(fd);
    }
    ck_assert_ptr_null(socket_listen(a, path, 5, "", &fd));
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_gid, getegid());
    (void)close(fd);
}

/* How many may wait until the next one is refused. */
static int count_waiting(int most)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int count = 0;
    memcpy(address.sun_path, path, strlen(path));
    while (count < most) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
            break;
        count++; /* they stay until the process ends */
    }
    return count;
}

TEST(a_socket_goes_on_with_another_backlog_and_group)
{
    struct stat st;
    const char *group = geteuid() == 0 ? "daemon" : "";
    int fd;
    ck_assert_ptr_null(socket_listen(a, path, 2, "", &fd));
    ck_assert_int_eq(count_waiting(20), 3);

    ck_assert_ptr_null(socket_listen_on(a, fd, path, 9, group));

    ck_assert_int_eq(count_waiting(20), 7);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_gid == getegid(), geteuid() != 0);
    ck_assert_ptr_nonnull(socket_listen_on(a, fd, path, 9, "nosuchgroup"));
    (void)close(fd);
}

TEST(an_unknown_group_is_refused)
{
    assert_refused(path, "no-such-group", "no-such-group");
}

TEST(a_socket_file_that_was_left_behind_is_replaced)
{
    (void)close(listen_at(path)); /* the file stays */
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);

    int fd = listen_at(path);

    assert_reached(fd);
    (void)close(fd);
}

TEST(a_socket_that_is_in_use_is_left_alone)
{
    int fd = listen_at(path);

    assert_refused(path, NULL, "in use");

    assert_reached(fd);
    (void)close(fd);
}

TEST(a_file_that_is_no_socket_is_left_alone)
{
    struct stat st;
    FILE *file = fopen(path, "we");
    (void)fputs("precious", file);
    (void)fclose(file);

    assert_refused(path, NULL, path);

    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert(S_ISREG(st.st_mode));
    ck_assert_int_eq(st.st_size, 8);
}

TEST(a_path_longer_than_sockets_allow_is_refused)
{
    char *longest = arena_alloc(a, 109);
    memset(longest, 'x', 108);
    memcpy(longest, folder, strlen(folder));
    longest[strlen(folder)] = '/';
    assert_refused(longest, NULL, "too long");

    longest[107] = '\0';
    (void)close(listen_at(longest));
    ck_assert_int_eq(access(longest, F_OK), 0);
}

static const struct {
    const char *address, *cause;
} bad_addresses[] = {
    {"no/such/folder/socket", "no/such/folder/socket: No such file"},
    {"socket", "neither a path with a slash nor host:port"},
    {"", "neither a path"},
    {"127.0.0.1:http", "127.0.0.1:http"},
    {"192.0.2.1:1", "192.0.2.1:1"}, /* RFC 5737: nobody's address */
    {"not a host:80", "not a host:80"},
};

TEST_EACH(an_address_that_does_not_work_is_told_by_name, bad_addresses)
{
    assert_refused(bad_addresses[_i].address, NULL, bad_addresses[_i].cause);
}

TEST(host_and_port_work_too)
{
    int on = 0;
    socklen_t len = sizeof on;

    int fd = listen_at("127.0.0.1:0");

    ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len), 0);
    ck_assert_int_eq(on, 1);
    ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    (void)close(fd);
}

TEST_TIMES(no_descriptor_is_lost_over_a_refusal, 3)
{
    static const char *const addresses[] = {"no/such/folder/socket", "192.0.2.1:1", "socket"};
    int before = dup(STDIN_FILENO);
    (void)close(before);

    assert_refused(addresses[_i], NULL, addresses[_i]);

    int after = dup(STDIN_FILENO);
    (void)close(after);
    ck_assert_int_eq(after, before);
}
