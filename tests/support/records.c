#include "tests/support/records.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/clock.h"
#include "tests/support/scratch.h"
#include "tests/support/sockets.h"
#include "tests/support/suite.h"

void put_record_of(struct buf *b, unsigned id, unsigned char type, const void *data, size_t len,
                   size_t pad)
{
    const unsigned char head[] = {1,
                                  type,
                                  (unsigned char)(id >> 8),
                                  (unsigned char)id,
                                  (unsigned char)(len >> 8),
                                  (unsigned char)len,
                                  (unsigned char)pad,
                                  0};
    buf_add(b, head, sizeof head);
    buf_add(b, data, len);
    for (size_t i = 0; i < pad; i++)
        buf_add(b, "p", 1);
}

void put_record(struct buf *b, unsigned char type, const void *data, size_t len, size_t pad)
{
    put_record_of(b, 1, type, data, len, pad);
}

void put_begin(struct buf *b, unsigned char role)
{
    const unsigned char body[8] = {0, role};
    put_record(b, BEGIN, body, sizeof body, 0);
}

static void put_length(struct buf *b, size_t len)
{
    const unsigned char four[] = {(unsigned char)(0x80 | len >> 24), (unsigned char)(len >> 16),
                                  (unsigned char)(len >> 8), (unsigned char)len};
    if (len < 128)
        buf_add(b, four + 3, 1);
    else
        buf_add(b, four, 4);
}

void put_pair(struct buf *pairs, struct text name, struct text value)
{
    put_length(pairs, name.len);
    put_length(pairs, value.len);
    buf_add(pairs, name.data, name.len);
    buf_add(pairs, value.data, value.len);
}

static void put_named(struct buf *pairs, const char *name, const char *value)
{
    put_pair(pairs, text_of(name), text_of(value));
}

void put_params(struct buf *b, const struct call *call)
{
    struct buf pairs;
    buf_init(&pairs, 65536);
    put_named(&pairs, "REQUEST_METHOD", call->method);
    put_named(&pairs, "DOCUMENT_URI", call->uri);
    put_named(&pairs, "QUERY_STRING", call->query ? call->query : "");
    put_named(&pairs, "HTTP_X_REQUEST_ID", "request-1");
    if (call->body && !call->no_length)
        put_named(&pairs, "CONTENT_LENGTH",
                  arena_printf(a, "%zu", call->announced ? call->announced : call->body_len));
    put_record(b, PARAMS, pairs.data, pairs.len, 5);
    put_record(b, PARAMS, NULL, 0, 0);
    buf_release(&pairs);
}

void put_call(struct buf *b, const struct call *call)
{
    size_t piece = call->piece ? call->piece : 16000, left = call->body_len;
    put_begin(b, RESPONDER);
    put_params(b, call);
    for (const char *at = call->body; left; left -= piece < left ? piece : left, at += piece)
        put_record(b, STDIN, at, piece < left ? piece : left, 3);
    put_record(b, STDIN, NULL, 0, 0);
}

void send_bytes(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the peer has had enough */
        data += sent;
        len -= (size_t)sent;
    }
}

bool read_all(int fd, struct buf *into, int timeout_ms)
{
    char chunk[65536];
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    while (poll(&ready, 1, timeout_ms) > 0) {
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got <= 0)
            return true;
        buf_add(into, chunk, (size_t)got);
    }
    return false;
}

static struct reply parse(const struct buf *raw)
{
    struct reply reply = {.text = arena_alloc(a, raw->len + 1)};
    const unsigned char *at = (const unsigned char *)raw->data;
    size_t left = raw->len;
    while (left >= 8 && !reply.ended) {
        size_t len = (size_t)at[4] << 8 | at[5], whole = 8 + len + at[6];
        ck_assert_uint_eq(at[0], 1);
        ck_assert_uint_eq(at[3], 1); /* our request's id */
        ck_assert_uint_le(whole, left);
        if (at[1] == STDOUT) {
            memcpy(reply.text + reply.len, at + 8, len);
            reply.len += len;
            reply.records += len > 0;
        }
        reply.ended = at[1] == END && len == 8 && memcmp(at + 8, "\0\0\0\0\0", 5) == 0;
        at += whole;
        left -= whole;
    }
    reply.ended = reply.ended && left == 0;
    return reply;
}

struct reply reply_on(int fd)
{
    struct buf raw;
    buf_init(&raw, (size_t)8 * 1024 * 1024);
    ck_assert_msg(read_all(fd, &raw, PATIENCE_MS), "the connection stays open");
    (void)close(fd);
    struct reply reply = parse(&raw);
    buf_release(&raw);
    return reply;
}

int begin_call(const char *where, const struct call *call)
{
    struct buf out;
    int fd = connect_to(where);
    ck_assert_int_ge(fd, 0);
    buf_init(&out, (size_t)32 * 1024 * 1024);
    put_call(&out, call);
    send_bytes(fd, out.data, out.len);
    buf_release(&out);
    return fd;
}

struct reply answer_to(const struct call *call)
{
    return reply_on(begin_call(path, call));
}

const char *content(struct reply reply)
{
    const char *gap = strstr(reply.text, "\r\n\r\n");
    ck_assert_msg(gap != NULL, "no end of the head: %s", reply.text);
    return gap + 4;
}

void ck_says(struct reply reply, const char *text)
{
    ck_assert_msg(strstr(reply.text, text) != NULL, "no %s in: %s", text, reply.text);
}
