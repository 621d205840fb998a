/* Doctor's look at the sockets: what the file system says, and a request as nginx would send it. */
#include "fcgi-app/cli/doctor.h"

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/http/address.h"
#include "common/base/buf.h"

#define PATIENCE_S 5 /* for each step of a request */
#define ANSWER_MAX ((size_t)64 * 1024)

/* ---- a request (the FastCGI specification, version 1, section 3.3) ---- */

enum record_type { RECORD_BEGIN = 1, RECORD_PARAMS = 4, RECORD_STDIN = 5 };

static void put_head(struct buf *b, enum record_type type, size_t len)
{
    const unsigned char head[8] = {
        1, (unsigned char)type, 0, 1, (unsigned char)(len >> 8), (unsigned char)len, 0, 0};
    buf_add(b, head, sizeof head);
}

/* Both shorter than 128 bytes, whose length is one byte. */
static void put_param(struct buf *b, const char *name, const char *value)
{
    const unsigned char lengths[2] = {(unsigned char)strlen(name), (unsigned char)strlen(value)};
    buf_add(b, lengths, sizeof lengths);
    buf_puts(b, name);
    buf_puts(b, value);
}

static void write_request(struct buf *b, const char *path)
{
    static const unsigned char begin[8] = {0, 1}; /* a responder, and one request only */
    struct buf params;
    buf_init(&params, ANSWER_MAX);
    put_param(&params, "REQUEST_METHOD", "GET");
    put_param(&params, "DOCUMENT_URI", path);
    put_param(&params, "SERVER_PROTOCOL", "HTTP/1.1");
    put_param(&params, "REMOTE_ADDR", "127.0.0.1");
    put_param(&params, "HTTP_USER_AGENT", "postern doctor");
    put_head(b, RECORD_BEGIN, sizeof begin);
    buf_add(b, begin, sizeof begin);
    put_head(b, RECORD_PARAMS, params.len);
    buf_add(b, params.data, params.len);
    put_head(b, RECORD_PARAMS, 0);
    put_head(b, RECORD_STDIN, 0);
    buf_release(&params);
}

static int connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int error = errno;
    if (fd >= 0)
        (void)close(fd);
    errno = error;
    return -1;
}

static int connect_tcp(struct arena *a, const char *address)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    const char *host, *port;
    struct addrinfo *found = NULL;
    int fd = -1;
    if (!address_split(a, address, &host, &port) || getaddrinfo(host, port, &hints, &found) != 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next) {
        fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) != 0) {
            (void)close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    return fd;
}

/* Does a worker say over `fd` that it is alive? */
static bool answers(int fd, const char *path)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    struct buf b;
    char part[4096];
    ssize_t got;
    buf_init(&b, ANSWER_MAX);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    write_request(&b, path);
    bool sent = send(fd, b.data, b.len, MSG_NOSIGNAL) == (ssize_t)b.len;
    buf_reset(&b);
    while (sent && (got = recv(fd, part, sizeof part, 0)) > 0)
        buf_add(&b, part, (size_t)got);
    static const char alive[] = "{\"status\":\"ok\"}";
    bool yes = b.len && memmem(b.data, b.len, alive, sizeof alive - 1);
    buf_release(&b);
    return yes;
}

/* ---- files ---- */

static const char *group_name(struct arena *a, gid_t gid)
{
    const struct group *group = getgrgid(gid);
    return group ? arena_strdup(a, group->gr_name) : arena_printf(a, "%u", (unsigned)gid);
}

/* Whoever may write to the folder may replace the socket with their own. */
static void check_folder(struct doctor *doctor, const char *name, const char *path)
{
    struct stat st;
    const char *folder = doctor_folder(doctor->arena, path);
    if (stat(folder, &st) != 0)
        doctor_tell(doctor, VERDICT_FAIL, name, "%s: %s; make the folder, for the server's user",
                    folder, strerror(errno));
    else if ((st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX))
        doctor_tell(doctor, VERDICT_FAIL, name, "everybody may write to %s; chmod o-w %s", folder,
                    folder);
}

static void check_mode(struct doctor *doctor, const char *name, const char *path,
                       const struct stat *st)
{
    unsigned mode = st->st_mode & 07777;
    const char *group = group_name(doctor->arena, st->st_gid);
    const char *wanted = doctor->settings->socket_group.data;
    if (mode & S_IWOTH)
        doctor_tell(doctor, VERDICT_FAIL, name, "everybody may connect; chmod 660 %s", path);
    else if (wanted && *wanted && strcmp(wanted, group) != 0)
        doctor_tell(doctor, VERDICT_FAIL, name,
                    "belongs to group %s and not to SOCKET_GROUP %s; "
                    "restart the server",
                    group, wanted);
    else
        doctor_ok(doctor, "%s: mode %04o, so user %u and group %s may connect", name, mode,
                  (unsigned)st->st_uid, group);
}

static void ask_worker(struct doctor *doctor, const char *name, const char *address)
{
    const char *path = arena_printf(doctor->arena, "%s/health", doctor->settings->base_path.data);
    int fd = strchr(address, '/') ? connect_unix(address) : connect_tcp(doctor->arena, address);
    if (fd < 0 && errno == EACCES)
        doctor_tell(doctor, VERDICT_WARN, name,
                    "this user may not connect; ask as the server's or the web server's");
    else if (fd < 0)
        doctor_tell(doctor, VERDICT_FAIL, name, "%s; start the server", strerror(errno));
    else if (!answers(fd, path))
        doctor_tell(doctor, VERDICT_FAIL, name, "no worker answers; look into the server's log");
    else
        doctor_ok(doctor, "%s: a worker answers", name);
    if (fd >= 0)
        (void)close(fd);
}

static void check_socket(struct doctor *doctor, const char *name, struct text address)
{
    struct stat st;
    if (!address.len)
        return;
    if (!strchr(address.data, '/')) {
        if (strchr(address.data, ':'))
            ask_worker(doctor, name, address.data);
        return;
    }
    check_folder(doctor, name, address.data);
    if (stat(address.data, &st) != 0) {
        doctor_tell(doctor, VERDICT_FAIL, name, "%s: %s; start the server", address.data,
                    strerror(errno));
        return;
    }
    if (!S_ISSOCK(st.st_mode)) {
        doctor_tell(doctor, VERDICT_FAIL, name, "%s is no socket; take it away", address.data);
        return;
    }
    check_mode(doctor, name, address.data, &st);
    ask_worker(doctor, name, address.data);
}

void doctor_sockets(struct doctor *doctor)
{
    if (!doctor->settings->listen.len)
        doctor_ok(doctor,
                  "LISTEN is not set, so the sockets are made by others, such as systemd or a "
                  "web server, and were not looked at; LISTEN says where, --url asks through "
                  "them");
    check_socket(doctor, "LISTEN", doctor->settings->listen);
    check_socket(doctor, "HASH_LISTEN", doctor->settings->hash_listen);
}
