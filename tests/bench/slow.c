/* slow.c -- clients of a web server that take all their time: PORT CONNECTIONS BODY-TOKEN. Of each
 * three one sends its headers byte by byte, one its body, and one reads a long list so.
 *
 * Whoever is hung up on, or has come to an end, begins again. Runs until SIGTERM, and then prints
 * how many were open, and how often one began. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define STEP_MS 1000 /* between two bytes of one client */
#define BODY_MAX 4000
#define READ_MAX 64 /* bytes in a step */

enum kind { HEADERS, BODY, READER, KINDS };

struct client {
    int fd; /* -1: to be opened */
    enum kind kind;
    size_t sent;
};

static volatile sig_atomic_t ended;
static char request[KINDS][BODY_MAX + 1000];
static size_t at_once[KINDS]; /* of the request, before it becomes slow */
static struct sockaddr_in server;
static unsigned long begun;

static void end(int signal)
{
    (void)signal;
    ended = 1;
}

static void make_requests(const char *token)
{
    char body[BODY_MAX + 1];
    int len =
        snprintf(body, sizeof body, "{\"title\":\"slow\",\"content\":\"%0*d\"}", BODY_MAX - 100, 0);
    (void)snprintf(request[HEADERS], sizeof request[0],
                   "GET /api/posts HTTP/1.1\r\nHost: localhost\r\nX-Slow: %0*d\r\n\r\n", BODY_MAX,
                   0);
    at_once[HEADERS] = 1;
    at_once[BODY] =
        (size_t)snprintf(request[BODY], sizeof request[0],
                         "POST /api/posts HTTP/1.1\r\nHost: localhost\r\n"
                         "Authorization: Bearer %s\r\nContent-Type: application/json\r\n"
                         "Content-Length: %d\r\n\r\n",
                         token, len);
    (void)snprintf(request[BODY] + at_once[BODY], sizeof request[0] - at_once[BODY], "%s", body);
    at_once[READER] =
        (size_t)snprintf(request[READER], sizeof request[0],
                         "GET /api/posts?limit=100 HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

static void begin(struct client *c)
{
    int small = 2048;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (connect(c->fd, (struct sockaddr *)&server, sizeof server) != 0 ||
        send(c->fd, request[c->kind], at_once[c->kind], MSG_NOSIGNAL) < 0) {
        (void)close(c->fd);
        c->fd = -1;
        return;
    }
    c->sent = at_once[c->kind];
    begun++;
}

/* A byte more; false at the end, whatever that is. */
static bool go_on(struct client *c)
{
    char some[READ_MAX];
    bool is_sent = !request[c->kind][c->sent];
    ssize_t got = recv(c->fd, some, sizeof some, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN))
        return false;
    if (got > 0 && c->kind != READER)
        return false; /* it was answered: refused, or at the end */
    if (is_sent)
        return true;
    return send(c->fd, request[c->kind] + c->sent++, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

/* All have had their turn after STEP_MS. */
static unsigned step(struct client *clients, size_t count)
{
    unsigned open = 0;
    for (size_t i = 0; i < count && !ended; i++) {
        if (i % 50 == 0)
            (void)poll(NULL, 0, (int)(STEP_MS * 50 / count));
        if (clients[i].fd < 0)
            begin(&clients[i]);
        if (clients[i].fd >= 0 && !go_on(&clients[i])) {
            (void)close(clients[i].fd);
            clients[i].fd = -1;
        }
        open += clients[i].fd >= 0;
    }
    return open;
}

int main(int argc, char **argv)
{
    size_t count = argc == 4 ? (size_t)atoi(argv[2]) : 0;
    struct client *clients = calloc(count + 1, sizeof *clients);
    struct rlimit limit = {count + 100, count + 100};
    unsigned open = 0, most = 0;
    if (!count || !clients)
        return EXIT_FAILURE;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    server = (struct sockaddr_in){.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(argv[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    make_requests(argv[3]);
    (void)signal(SIGTERM, end);
    for (size_t i = 0; i < count; i++)
        clients[i] = (struct client){.fd = -1, .kind = (enum kind)(i % KINDS)};
    while (!ended) {
        open = step(clients, count);
        most = open > most ? open : most;
    }
    printf("slow %u %lu\n", most, begun);
    free(clients);
    return EXIT_SUCCESS;
}
