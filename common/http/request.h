/* request.h -- a request as it came and what is found out about it: CGI variables, path, caller,
 * media type, conditions. Apart from any socket. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/instant.h"
#include "common/base/text.h"
#include "common/base/uuid.h"
#include "common/field/field.h"
#include "common/http/address.h"

struct problem;
struct route;

#define JSON_MEDIA_TYPE "application/json"
#define MERGE_PATCH_MEDIA_TYPE "application/merge-patch+json"

#define BASE_SIZE 601 /* bytes of the longest base, with its NUL */

/* One bit each, so that a set of them is a number. */
enum method {
    METHOD_GET = 1 << 0,
    METHOD_HEAD = 1 << 1,
    METHOD_POST = 1 << 2,
    METHOD_PUT = 1 << 3,
    METHOD_PATCH = 1 << 4,
    METHOD_DELETE = 1 << 5,
    METHOD_OPTIONS = 1 << 6,
    METHOD_OTHER = 1 << 7,
};

/* The CGI variables that we read, found in one scan. X(name of the slot, variable). */
#define REQUEST_PARAMS(X)                                                                          \
    X(METHOD, "REQUEST_METHOD")                                                                    \
    X(DOCUMENT_URI, "DOCUMENT_URI")                                                                \
    X(SCRIPT_NAME, "SCRIPT_NAME")                                                                  \
    X(PATH_INFO, "PATH_INFO")                                                                      \
    X(REQUEST_URI, "REQUEST_URI")                                                                  \
    X(QUERY, "QUERY_STRING")                                                                       \
    X(CONTENT_TYPE, "CONTENT_TYPE")                                                                \
    X(CONTENT_ENCODING, "HTTP_CONTENT_ENCODING")                                                   \
    X(CONTENT_LENGTH, "CONTENT_LENGTH")                                                            \
    X(REMOTE_ADDR, "REMOTE_ADDR")                                                                  \
    X(FORWARDED_FOR, "HTTP_X_FORWARDED_FOR")                                                       \
    X(AUTHORIZATION, "HTTP_AUTHORIZATION")                                                         \
    X(REDIRECTED_AUTHORIZATION, "REDIRECT_HTTP_AUTHORIZATION")                                     \
    X(COOKIE, "HTTP_COOKIE")                                                                       \
    X(ACCEPT, "HTTP_ACCEPT")                                                                       \
    X(IF_MATCH, "HTTP_IF_MATCH")                                                                   \
    X(IF_NONE_MATCH, "HTTP_IF_NONE_MATCH")                                                         \
    X(IDEMPOTENCY_KEY, "HTTP_IDEMPOTENCY_KEY")                                                     \
    X(REQUEST_ID, "HTTP_X_REQUEST_ID")                                                             \
    X(USER_AGENT, "HTTP_USER_AGENT")

enum request_param {
#define X(slot, variable) PARAM_##slot,
    REQUEST_PARAMS(X)
#undef X
        PARAM_COUNT
};

/* Who calls. All zero without a token. */
struct caller {
    struct uuid id;
    struct uuid session;
    bool named; /* by a valid token; they may have been deleted since */
    bool known; /* they were looked up, and are there */
    bool admin;
    /* How a caller who is no admin is refused, if the request needs one; else NULL. */
    const struct problem_type *refusal_unless_admin;
    const void *row; /* what the program read of them; in the request's arena */
};

#define PATH_IDS_MAX 4

struct request {
    struct arena *arena;            /* everything below lives here or is borrowed by it */
    const char *param[PARAM_COUNT]; /* NULL when absent */
    char *const *params;            /* all of them as `NAME=value`, NULL at the end */
    enum method method;             /* HEAD shows as such here */
    const char *base;               /* what clients write before the path, percent-encoded */
    const char *path;               /* after the base path, "/" first; NULL outside it. Segments
                                       are decoded, but for %2F, %25 and %00, which stay */
    const char *raw_query;          /* as it was sent; never NULL */
    const char *id;                 /* X-Request-Id */
    struct text raw_body;           /* at most the server's bound */
    size_t content_length;          /* as announced, bytes */
    bool too_large;                 /* the body was larger than the bound and is not here */
    struct instant now;             /* when it began, on a clock that can be set */
    int64_t uptime_ms;              /* when its handling began, on the one that cannot */
    int64_t came;                   /* when all of it was here, by monotonic_ns(); 0: now */
    bool may_wait;                  /* who serves it handles it again later, if others come first */
    struct address client;          /* where it comes from; see request_trust() */
    bool forwarded;                 /* a trusted proxy has told that */

    /* What the dispatcher found out before it calls the handler. */
    const struct route *route;
    struct uuid path_ids[PATH_IDS_MAX]; /* the `{id}`s of the path, in order */
    struct caller caller;
    bool expired; /* there is a token, ours and intact, but too old: on routes that go on then */
    const void *body; /* the struct of route->body */
    field_set body_given;
    const void *query; /* the struct of route->query */
    field_set query_given;
    void *prepared; /* what route->prepare left for the handler */
    /* The hash that the caller's password was found to match, which must be theirs still when the
     * write is made; null where no password counts. */
    struct text verified_hash;

    bool counted;        /* by router.limit, which has let it pass */
    struct text mailbox; /* to which a message was counted, in vain if not `mailbox_has_room`; or
                            null */
    bool mailbox_has_room;
    bool confirmed; /* the caller is locked as they were judged, until the transaction ends */
    /* Set with a problem: what `prepare` found out has changed since, so begin again. */
    bool stale;
};

/**
 * Fill `rq` from CGI variables (`NAME=value`, NULL at the end), which it borrows.
 *
 * The path is that of REQUEST_URI, split into segments before these are decoded (RFC 3986 section
 * 2.2), less `base_path`, which is borrowed; one trailing slash is dropped. `.` and `..` are
 * segments like any other, so no route has them. A server that does not send REQUEST_URI has
 * decoded the path itself: then it is DOCUMENT_URI, or SCRIPT_NAME and PATH_INFO in one. `now`
 * becomes rq->now; the request id is the client's if it has 8 to 64 characters of [A-Za-z0-9._-],
 * else a new one.
 */
void request_from_params(struct request *rq, struct arena *a, char *const *params,
                         const char *base_path, struct instant now);

/** Let `proxies` tell whom they were asked by; see address_behind() and address_is_told(). Until
 *  then, rq->client is the server's peer. */
void request_trust(struct request *rq, const struct address_list *proxies);

/**
 * For a program that the web server runs as a script, wherever that lies: make PATH_INFO the path;
 * or NULL where segments of REQUEST_URI are others once they are decoded, even twice (`%2F`,
 * `%252e%252e`), for the server has decoded PATH_INFO.
 *
 * With `find_base`, the base is what the client wrote before it: REQUEST_URI less PATH_INFO, so
 * that a rewrite does not show; or SCRIPT_NAME, where these two do not fit or a `//`, a `.` or a
 * `..` in them could lead a client elsewhere. Nothing changes unless both SCRIPT_NAME and PATH_INFO
 * are there.
 */
void request_follow_script(struct request *rq, bool find_base);

#define REQUEST_ID_SIZE 65 /* with the NUL */

/** May a client name its request so? */
bool request_is_id(const char *s);

/** Any CGI variable by its name, such as "HTTP_ACCEPT_LANGUAGE"; NULL when absent. */
const char *request_param(const struct request *rq, const char *name);

/** The token of `Authorization: Bearer …` (RFC 6750 section 2.1), or NULL. */
const char *request_bearer(const struct request *rq);

/** Has it an Authorization or a Cookie, whatever they say? Then no cache that is shared may keep
 *  the answer. */
bool request_is_private(const struct request *rq);

/** Is the body's media type one of the two that mean JSON? Parameters are not looked at. */
bool request_is_json(const struct request *rq);

/** Does the body have a Content-Encoding, such as gzip? We undo none. */
bool request_is_encoded(const struct request *rq);

/** "GET", "HEAD", …, or "other". */
const char *method_name(enum method method);

/** The words for the bits of `methods`, for Allow: "GET, HEAD, OPTIONS". */
const char *method_list(struct arena *a, unsigned methods);

/* The ETag of a version, for printf() and its int64_t: strong (RFC 9110 section 8.8.3). */
#define ETAG_FORMAT "\"%" PRId64 "\""
#define ETAG_SIZE 24 /* bytes of the longest, with its NUL */

/** Does If-None-Match of a GET or HEAD have the ETag of `version`? Then the answer is 304 (RFC 9110
 *  section 13.1.2). */
bool request_knows(const struct request *rq, int64_t version);

/** The same for an ETag as it is sent, with its quotes. */
bool request_knows_tag(const struct request *rq, const char *tag);

/** For a request that writes: problem_precondition_failed, with the ETag of `version`, when there
 * is an If-Match that does not name it (section 13.1.1) or an If-None-Match that does (13.1.2). */
struct problem *request_check_match(const struct request *rq, int64_t version) MUST_USE;
