#include "tests/e2e/proxy.h"

#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int listen_fd;
static struct sockaddr_un server_address;
static atomic_uint cut_every, commits, cuts;

struct pipe_pair {
    int client, server;
};

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    ck_assert_uint_lt(strlen(path), sizeof address.sun_path);
    strcpy(address.sun_path, path);
    return address;
}

/* Three bytes of length, one of the number, then the command: 3 is COM_QUERY. A packet of a client
 * that waits for each answer comes in one piece. */
static bool is_commit(const char *packet, size_t len)
{
    static const char text[] = "COMMIT";
    return len == 5 + strlen(text) && packet[4] == 3 && memcmp(packet + 5, text, strlen(text)) == 0;
}

static bool must_cut(const char *packet, size_t len)
{
    unsigned every = atomic_load(&cut_every);
    return is_commit(packet, len) && every && atomic_fetch_add(&commits, 1) % every == every - 1;
}

static bool send_whole(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        data += sent;
        len -= (size_t)sent;
    }
    return true;
}

/* What the client sends; false when the connection must end. */
static bool pass_question(const struct pipe_pair *p, char *chunk, size_t room)
{
    ssize_t got = read(p->client, chunk, room);
    if (got <= 0 || !send_whole(p->server, chunk, (size_t)got))
        return false;
    if (!must_cut(chunk, (size_t)got))
        return true;
    atomic_fetch_add(&cuts, read(p->server, chunk, room) > 0); /* it is carried out */
    return false;
}

static bool pass_answer(const struct pipe_pair *p, char *chunk, size_t room)
{
    ssize_t got = read(p->server, chunk, room);
    return got > 0 && send_whole(p->client, chunk, (size_t)got);
}

static void *pass_on(void *context)
{
    struct pipe_pair *p = context;
    char chunk[65536];
    bool goes_on = true;
    while (goes_on) {
        struct pollfd ready[] = {{p->client, POLLIN, 0}, {p->server, POLLIN, 0}};
        goes_on = poll(ready, 2, -1) > 0;
        if (goes_on && ready[1].revents)
            goes_on = pass_answer(p, chunk, sizeof chunk);
        if (goes_on && ready[0].revents)
            goes_on = pass_question(p, chunk, sizeof chunk);
    }
    (void)close(p->client);
    (void)close(p->server);
    free(p);
    return NULL;
}

static void serve(int client)
{
    pthread_t thread;
    struct pipe_pair *p = malloc(sizeof *p);
    p->client = client;
    p->server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool there = connect(p->server, (struct sockaddr *)&server_address, sizeof server_address) == 0;
    if (there && pthread_create(&thread, NULL, pass_on, p) == 0) {
        (void)pthread_detach(thread);
        return;
    }
    (void)close(p->client);
    (void)close(p->server);
    free(p);
}

static void *accept_all(void *context)
{
    (void)context;
    for (int fd; (fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0;)
        serve(fd);
    return NULL;
}

void proxy_start(const char *path, const char *server)
{
    struct sockaddr_un address = address_of(path);
    pthread_t thread;
    server_address = address_of(server);
    listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listen_fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(chmod(path, 0777), 0);
    ck_assert_int_eq(listen(listen_fd, 64), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, accept_all, NULL), 0);
    (void)pthread_detach(thread);
}

void proxy_cut(unsigned every)
{
    atomic_store(&cut_every, every);
}

unsigned proxy_cuts(void)
{
    return atomic_load(&cuts);
}
