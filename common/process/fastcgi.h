/* fastcgi.h -- the records of one request and of its answer (FastCGI Specification 1.0). Touches no
 * socket: the bytes are given and taken. */
#pragma once

#include "common/base/buf.h"

/* A web server has a bound for all headers together; Apache's largest is below this. */
#define FASTCGI_PARAMS_MAX ((size_t)1024 * 1024)
/* Of a body that is too large anyway so much more is taken: to close a connection with unread bytes
 * would take the answer with it. */
#define FASTCGI_DRAIN_MAX ((size_t)16 * 1024 * 1024)

enum fastcgi_step {
    FASTCGI_MORE,  /* there is more to come */
    FASTCGI_WHOLE, /* the request is whole; bytes after it are ignored */
    FASTCGI_BROKEN /* it will never be one: aborted, or not by the specification */
};

/* A request as far as it has come. */
struct fastcgi {
    unsigned id;       /* of the request */
    struct buf body;   /* as much of it as its bound allows, or less and `full` */
    size_t body_len;   /* bytes of the body that have come, whether they were kept or not */
    struct buf answer; /* what the peer must be told, be the step what it may: send it, reset it */

    /* Inside. */
    struct buf params;
    enum { FASTCGI_IDLE, FASTCGI_PARAMS, FASTCGI_BODY, FASTCGI_END } awaits;
    enum { FASTCGI_SKIP, FASTCGI_BEGIN, FASTCGI_VALUES, FASTCGI_PARAM, FASTCGI_STDIN } record;
    unsigned char head[8];
    size_t head_len, content_left, padding_left;
    struct buf content; /* of a record that is looked at as a whole */
    size_t skipped;     /* bytes of records that are of no use */
};

/** On the caller's storage. A body is kept up to `body_max` bytes. */
void fastcgi_init(struct fastcgi *f, size_t body_max);

/** Wipe and free. */
void fastcgi_release(struct fastcgi *f);

/** Wipe what came, and be ready for another connection. */
void fastcgi_reset(struct fastcgi *f);

/** How many bytes of the request are kept. */
size_t fastcgi_size(const struct fastcgi *f);

/**
 * Take the next bytes of a connection. To be called until it is not FASTCGI_MORE any more.
 *
 * One request a connection, as a responder; another that begins meanwhile, another role, and what
 * we are asked about ourselves is told in `answer`. Without end comes nothing: what is too much is
 * broken.
 */
enum fastcgi_step fastcgi_take(struct fastcgi *f, const char *data, size_t len) MUST_USE;

/** The parameters of a whole request, each as `NAME=value`, NULL at the end; NULL where their
 *  lengths are wrong. They live in `a`. */
char *const *fastcgi_params(const struct fastcgi *f, struct arena *a) MUST_USE;

/** One of those that have come so far, in `f`; empty where it has not. Allocates nothing. */
struct text fastcgi_param(const struct fastcgi *f, const char *wanted) MUST_USE;

/** Add `data` to `out` as part of a request's answer, in as many records as it takes. */
void fastcgi_put(struct buf *out, unsigned id, const char *data, size_t len);

/** The end of the answer. */
void fastcgi_put_end(struct buf *out, unsigned id);

/** A whole answer of one record, written to `to` for who has no memory for a buffer. Returns how
 *  many bytes that are; 0 when `room` is less. */
size_t fastcgi_write(char *to, size_t room, unsigned id, const char *data, size_t len);
