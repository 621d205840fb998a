/* records.h -- ask a worker as a web server does: FastCGI (Specification 1.0), without one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"

enum record_type {
    BEGIN = 1,
    ABORT = 2,
    END = 3,
    PARAMS = 4,
    STDIN = 5,
    STDOUT = 6,
    DATA = 8,
    GET_VALUES = 9
};
enum { RESPONDER = 1, FILTER = 3 };

/** Add one of request `id`, with `pad` bytes after it. */
void put_record_of(struct buf *b, unsigned id, unsigned char type, const void *data, size_t len,
                   size_t pad);

/** The same of request 1. */
void put_record(struct buf *b, unsigned char type, const void *data, size_t len, size_t pad);

void put_begin(struct buf *b, unsigned char role);

/** Add a parameter to what records of PARAMS hold. */
void put_pair(struct buf *pairs, struct text name, struct text value);

struct call {
    const char *method, *uri, *query;
    const char *body;
    size_t body_len, announced; /* announced 0: as long as the body */
    bool no_length;             /* no CONTENT_LENGTH at all */
    size_t piece;               /* of body in one record; 0: 16,000 */
};

/** Add its parameters, or all of it. */
void put_params(struct buf *b, const struct call *call);
void put_call(struct buf *b, const struct call *call);

/** Until the peer has had enough. */
void send_bytes(int fd, const char *data, size_t len);

/** Read to the end of the connection; false when it does not end in time. */
bool read_all(int fd, struct buf *into, int timeout_ms);

struct reply {
    char *text; /* of all STDOUT records, with a NUL after them; in the arena of the test */
    size_t len;
    bool ended;       /* END_REQUEST came, and nothing after it */
    unsigned records; /* of STDOUT with content */
};

/** Read all there, which must end, and close it. */
struct reply reply_on(int fd);

/** Connect to the socket of that path, and send a call. */
int begin_call(const char *where, const struct call *call);

/** Ask at `path` of sockets.h: ask(.method = "GET", .uri = "/api/x"). */
struct reply answer_to(const struct call *call);
#define ask(...) answer_to(&(const struct call){__VA_ARGS__})

/** After the head. */
const char *content(struct reply reply);

/** Assert that the text is in it. */
void ck_says(struct reply reply, const char *text);
