#include "common/process/socket.h"

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/problem.h"
#include "common/http/address.h"

static struct problem *failed_at(struct arena *a, const char *what, const char *address)
{
    return problem_because(a, &problem_internal, "%s %s: %s", what, address, strerror(errno));
}

/* Does a server answer on the socket? On a file that a dead one has left none does. */
static bool is_in_use(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool yes = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0;
    (void)close(fd);
    return yes;
}

static struct problem *give_to_group(struct arena *a, const char *path, const char *group)
{
    if (!group || !*group)
        return NULL;
    const struct group *entry = getgrnam(group);
    if (!entry)
        return problem_because(a, &problem_internal, "no group %s for %s", group, path);
    if (chown(path, (uid_t)-1, entry->gr_gid) != 0)
        return failed_at(a, "cannot give the group to", path);
    return NULL;
}

static struct problem *bind_unix(struct arena *a, int fd, const char *path, const char *group)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return problem_because(a, &problem_internal, "%s is too long for a socket (107 bytes)",
                               path);
    memcpy(address.sun_path, path, strlen(path));
    struct stat there;
    if (lstat(path, &there) == 0 && !S_ISSOCK(there.st_mode))
        return problem_because(a, &problem_internal, "%s is there, and is no socket", path);
    if (is_in_use(&address))
        return problem_because(a, &problem_internal, "%s is in use by another server", path);
    (void)unlink(path); /* if it fails where there is one, bind tells */
    mode_t saved = umask(0117);
    int failed = bind(fd, (const struct sockaddr *)&address, sizeof address);
    (void)umask(saved);
    if (failed)
        return failed_at(a, "cannot bind", path);
    return give_to_group(a, path, group);
}

static struct problem *listen_with(struct arena *a, int fd, const char *address, int backlog)
{
    return listen(fd, backlog) == 0 ? NULL : failed_at(a, "cannot listen on", address);
}

static struct problem *bind_tcp(struct arena *a, const char *address, int *ret_fd)
{
    const char *host, *port;
    if (!address_split(a, address, &host, &port))
        return problem_because(a, &problem_internal,
                               "%s is neither a path with a slash nor host:port", address);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found;
    int failed = getaddrinfo(host, port, &hints, &found);
    if (failed)
        return problem_because(a, &problem_internal, "%s: %s", address, gai_strerror(failed));
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    failed = fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) != 0;
    struct problem *p = failed ? failed_at(a, "cannot bind", address) : NULL;
    freeaddrinfo(found);
    if (failed && fd >= 0)
        (void)close(fd);
    if (!failed)
        *ret_fd = fd;
    return p;
}

struct problem *socket_listen(struct arena *a, const char *address, int backlog, const char *group,
                              int *ret_fd)
{
    struct problem *p;
    int fd = -1;
    if (strchr(address, '/')) {
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        p = fd < 0 ? failed_at(a, "no socket for", address) : bind_unix(a, fd, address, group);
    } else {
        p = bind_tcp(a, address, &fd);
    }
    if (!p)
        p = listen_with(a, fd, address, backlog);
    if (p) {
        if (fd >= 0)
            (void)close(fd);
        return p;
    }
    *ret_fd = fd;
    return NULL;
}

struct problem *socket_listen_on(struct arena *a, int fd, const char *address, int backlog,
                                 const char *group)
{
    struct problem *p = strchr(address, '/') ? give_to_group(a, address, group) : NULL;
    return p ? p : listen_with(a, fd, address, backlog); /* a second one takes the new number */
}
