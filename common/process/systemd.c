#include "common/process/systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/problem.h"

/* ---- sockets that are passed ---- */

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */

static const char *const variables[] = {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"};

/* A number as the protocol writes it, or -1. */
static long number(const char *text)
{
    char *end;
    if (!text || *text < '0' || *text > '9')
        return -1;
    long value = strtol(text, &end, 10);
    return *end || value > INT_MAX ? -1 : value;
}

/* The variables are inherited further than the sockets, so they say for whom they are. */
static struct problem *claim(struct arena *a, int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0 &&
        fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
        return NULL;
    return problem_because(a, &problem_internal, "descriptor %d, of LISTEN_FDS, is no good: %s", fd,
                           strerror(errno));
}

/* Which of `names` a descriptor is called by; `count` for none. */
static size_t find_name(const char *const *names, size_t count, const char *called)
{
    size_t i = 0;
    while (i < count && strcmp(names[i], called) != 0)
        i++;
    return i;
}

/* Put descriptors where their names are; returns how many had one. */
static size_t place_by_name(const char *const *names, size_t count, char *list, int *fds)
{
    size_t known = 0;
    for (int fd = FIRST_FD; list; fd++) {
        size_t at = find_name(names, count, strsep(&list, ":"));
        if (at == count || fds[at] >= 0)
            continue;
        fds[at] = fd;
        known++;
    }
    return known;
}

static const char *join(struct arena *a, const char *const *names, size_t count)
{
    const char *all = "";
    for (size_t i = 0; i < count; i++)
        all = arena_printf(a, "%s %s", all, names[i]);
    return all;
}

static struct problem *place(struct arena *a, const char *const *names, size_t count,
                             const char *list, size_t passed, int *ret_fds)
{
    int *fds = arena_array(a, count, sizeof *fds);
    for (size_t i = 0; i < count; i++)
        fds[i] = -1;
    size_t known = 0;
    if (passed && list)
        known = place_by_name(names, count, arena_strdup(a, list), fds);
    if (known > 0 && known != passed)
        return problem_because(a, &problem_internal,
                               "LISTEN_FDNAMES is %s, for %zu sockets: each of them must have "
                               "another one of the names%s",
                               list, passed, join(a, names, count));
    for (size_t i = 0; known == 0 && i < passed; i++)
        fds[i] = FIRST_FD + (int)i;
    memcpy(ret_fds, fds, count * sizeof *fds);
    return NULL;
}

static struct problem *take(struct arena *a, const char *const *names, size_t count, int *ret_fds)
{
    const char *text = getenv("LISTEN_FDS");
    long passed = number(getenv("LISTEN_PID")) == getpid() ? number(text) : 0;
    struct problem *p = NULL;
    if (passed < 0 || passed > (long)count)
        return problem_because(a, &problem_internal,
                               "LISTEN_FDS is %s: at most %zu sockets are taken",
                               text ? text : "not set", count);
    for (int i = 0; !p && i < passed; i++)
        p = claim(a, FIRST_FD + i);
    return p ? p : place(a, names, count, getenv("LISTEN_FDNAMES"), (size_t)passed, ret_fds);
}

struct problem *systemd_take_sockets(struct arena *a, const char *const *names, size_t count,
                                     int *ret_fds)
{
    struct problem *p = take(a, names, count, ret_fds);
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        (void)unsetenv(variables[i]);
    return p;
}

/* ---- our state ---- */

void systemd_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = path ? strlen(path) : 0;
    if (len == 0 || len >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, path, len);
    if (*path == '@') /* an abstract socket */
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address, size);
    (void)close(fd); /* a manager that does not listen is no reason to stop */
}

int64_t systemd_watchdog_ns(void)
{
    const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (!us || (pid && strtol(pid, NULL, 10) != getpid()))
        return 0;
    return strtoll(us, NULL, 10) * 1000 / 2;
}
