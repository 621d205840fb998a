#include "tests/faults/serving.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "tests/support/clock.h"
#include "tests/support/records.h"
#include "tests/support/suite.h"

/* FastCGI Specification 1.0, section 3.3. */
#define HEAD 8

/* ---- the socket ---- */

static struct sockaddr_un address;
static socklen_t address_len;

/* The kernel chooses a name, which is in no file system (unix(7), "Autobind feature"). */
int serving_listen(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sa_family_t family = AF_UNIX;
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&family, sizeof family), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    address_len = sizeof address;
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &address_len), 0);
    return fd;
}

/* ---- sending ---- */

static void put_all_params(struct buf *out, const char *const *params)
{
    struct buf pairs;
    buf_init(&pairs, 65535);
    for (; *params; params++) {
        size_t name = strcspn(*params, "=");
        put_pair(&pairs, (struct text){*params, name}, text_of(*params + name + 1));
    }
    put_record(out, PARAMS, pairs.data, pairs.len, 0);
    put_record(out, PARAMS, "", 0, 0);
    buf_release(&pairs);
}

/* As far as it is taken: the rest shows in the answer. */
static void send_request(int fd, const char *const *params, const char *body)
{
    struct buf out;
    buf_init(&out, (size_t)1024 * 1024);
    put_begin(&out, RESPONDER);
    put_all_params(&out, params);
    if (body)
        put_record(&out, STDIN, body, strlen(body), 0);
    put_record(&out, STDIN, "", 0, 0);
    (void)!send(fd, out.data, out.len, MSG_NOSIGNAL);
    buf_release(&out);
}

/* ---- receiving ---- */

/* What the records say, put together; true when they come to their end. */
static bool unpack(const struct buf *raw, struct buf *ret)
{
    const unsigned char *at = (const unsigned char *)raw->data;
    for (size_t left = raw->len, len; left >= HEAD; left -= len, at += len) {
        size_t content = (size_t)at[4] << 8 | at[5];
        len = HEAD + content + at[6];
        if (len > left)
            return false;
        if (at[1] == STDOUT)
            buf_add(ret, at + HEAD, content);
        if (at[1] == END)
            return true;
    }
    return false;
}

/* The status, after `Status: `. */
static int take_answer(int fd, char *ret, size_t size)
{
    static const char name[] = "Status: ";
    struct buf raw, answer;
    buf_init(&raw, (size_t)8 * 1024 * 1024);
    buf_init(&answer, (size_t)8 * 1024 * 1024);
    ck_assert_msg(read_all(fd, &raw, PATIENCE_MS), "the worker leaves a connection open");
    bool whole = unpack(&raw, &answer);
    buf_add(&answer, "", 1);
    const char *body = strstr(answer.data, "\r\n\r\n"), *status = strstr(answer.data, name);
    int number = whole && body && status ? atoi(status + strlen(name)) : 0;
    (void)snprintf(ret, size, "%s", body ? body + 4 : "");
    buf_release(&raw);
    buf_release(&answer);
    return number;
}

int serving_ask(const char *const *params, const char *body, char *ret, size_t size)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), status = 0;
    ck_assert_int_ge(fd, 0);
    *ret = '\0';
    if (connect(fd, (const struct sockaddr *)&address, address_len) == 0) {
        send_request(fd, params, body);
        status = take_answer(fd, ret, size);
    }
    (void)close(fd);
    return status;
}
