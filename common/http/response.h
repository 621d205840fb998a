/* response.h -- an answer before it is sent: status, headers, body; a problem, a record or an ETag
 * written into it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/base/uuid.h"

struct problem;
struct record;
struct request;

#define HEADER_VALUE_MAX ((size_t)12 * 1024) /* bytes; four links that repeat a long search */

/* The member that things have in lists. */
#define ITEM_ETAG_KEY "etag"

/* What a request waits for that is handled again later. */
enum postponed { POSTPONED_NO = 0, POSTPONED_READ, POSTPONED_HASH, POSTPONED_KINDS };

struct response {
    int status; /* 0: the route's own */
    const char *media_type;
    struct buf headers; /* whole lines, each with its CR LF */
    struct buf body;
    /* A refusal whose transaction is committed nevertheless, because what it wrote must stay. */
    struct problem *refusal;
    enum postponed postponed; /* there is no answer yet, for others come first */
    bool replayed;            /* it is that of an earlier request, and this one has done nothing */
    struct uuid
        subject; /* whom the answer is about: it must not be stored longer than them; nil: nobody */
    /* Work for when the answer is out, which must not show in its time. */
    void (*after)(void *context, struct request *rq);
};

/* What the text of problems needs to know of the server. */
struct problem_form {
    const char *realm; /* of WWW-Authenticate */
    const char *types; /* what comes before a code in the `type` of RFC 9457, below the base */
};

void response_init(struct response *rs);
void response_release(struct response *rs);

/** Empty, for the next request or the next try. */
void response_reset(struct response *rs);

/** Add one header line; none at all for a value of HEADER_VALUE_MAX bytes or with an end of line
 *  in it. Values come from us, never straight from the request. */
void response_header(struct response *rs, const char *name, const char *format, ...)
    PRINTF_LIKE(3, 4);

/** Make the whole response the description of `p` in JSON, of RFC 9457's form where Accept
 *  names it and does not prefer plain JSON; what was written before is gone. */
void response_problem(struct response *rs, const struct request *rq, const struct problem *p,
                      struct problem_form form);

/** Add the ETag of `version` (strong, RFC 9110 section 8.8.3). */
void response_etag(struct response *rs, int64_t version);

/** Write `{"key": {…}}`, the form in which single things are answered. */
void response_record(struct response *rs, const char *key, const struct record *r, const void *row);

/** Write one thing of a list: an object with its members and, where the record has a version,
 *  `etag`: what response_etag() sends with the thing alone, and so what If-Match takes. */
void response_item(struct response *rs, const struct record *r, const void *row);

/** The head as CGI wants it (RFC 3875 section 6.3), written into `head`. */
void response_head(const struct response *rs, const struct request *rq, struct buf *head);

/** May this status have content, and so a type and a length (RFC 9110 section 6.4.1)? */
bool status_has_content(int status);

/** The words that HTTP gives a status: "Not Found". */
const char *status_phrase(int status);
