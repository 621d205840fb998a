#include "common/process/last_answer.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/instant.h"
#include "common/base/problem.h"
#include "common/base/uuid.h"
#include "common/http/request.h"
#include "common/process/fastcgi.h"
#include "common/process/peers.h"

#define LINGER_MS 1000

static struct {
    int fd;
    const struct fastcgi *coming; /* NULL: nobody */
    const struct request *rq;     /* NULL: has not come whole */
} waiting;

void last_answer_is_for(int fd, const struct fastcgi *coming, const struct request *rq)
{
    waiting.fd = fd;
    waiting.coming = coming;
    waiting.rq = rq;
}

void last_answer_is_for_nobody(void)
{
    waiting.coming = NULL;
}

/* Until the peer has closed: what it has sent and nobody has read would take the answer along. */
static void read_away(int fd)
{
    char chunk[4096];
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    (void)shutdown(fd, SHUT_WR);
    while (poll(&wait, 1, LINGER_MS) == 1 && read(fd, chunk, sizeof chunk) > 0)
        continue;
}

/* Of a request that has not come whole: what the web server calls it, or an id of its own. */
static const char *id_of_coming(char ret[REQUEST_ID_SIZE])
{
    struct text told = fastcgi_param(waiting.coming, "HTTP_X_REQUEST_ID");
    struct uuid id = uuid_make(instant_now());
    if (told.len < REQUEST_ID_SIZE)
        snprintf(ret, REQUEST_ID_SIZE, "%.*s", (int)told.len, told.data ? told.data : "");
    if (told.len >= REQUEST_ID_SIZE || !request_is_id(ret))
        uuid_format(&id, ret);
    return ret;
}

void last_answer_give(void)
{
    static const char words[] = "{\"error\":\"%s\",\"code\":\"%s\",\"message\":\"%s\","
                                "\"request_id\":\"%s\"}";
    char body[512], text[1024], out[2048], made[REQUEST_ID_SIZE];
    if (!waiting.coming || !waiting.coming->id)
        return;
    const char *id = waiting.rq ? waiting.rq->id : id_of_coming(made);
    bool is_head = waiting.rq && waiting.rq->method == METHOD_HEAD; /* which has no body to come */
    int body_len = snprintf(body, sizeof body, words, PROBLEM_UNAVAILABLE_WORDS, id);
    int len = snprintf(text, sizeof text,
                       "Status: 503 Service Unavailable\r\nContent-Type: " JSON_MEDIA_TYPE
                       "\r\nContent-Length: %d\r\nX-Request-Id: %s\r\n"
                       "X-Content-Type-Options: nosniff\r\nRetry-After: 1\r\n"
                       "Cache-Control: no-store\r\n\r\n%s",
                       body_len, id, is_head ? "" : body);
    peer_send(waiting.fd, out,
              fastcgi_write(out, sizeof out, waiting.coming->id, text, (size_t)len));
    read_away(waiting.fd);
}
