/* problem.h -- why something failed: one value that goes up from SQL, JSON or a token, for HTTP to
 * answer with (after RFC 9457). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/compiler.h"

struct arena;

/* A kind of failure, described once. Clients tell failures apart by `code`, which never
 * changes its meaning. Programs add kinds of their own as constants of this type. */
struct problem_type {
    int status;             /* of HTTP */
    const char *error;      /* short words, the title */
    const char *code;       /* the machine's word */
    const char *message;    /* one sentence for the caller, unless the problem brings its own */
    bool of_token;          /* the token that was sent is not valid (RFC 6750) */
    unsigned retry_after_s; /* of its problems, seconds; 0: no Retry-After */
};

/* What can be wrong with one field. */
enum fault_code {
    FAULT_NONE = 0,
    FAULT_REQUIRED,
    FAULT_TYPE,
    FAULT_FORMAT,
    FAULT_TOO_SHORT,
    FAULT_TOO_LONG,
    FAULT_RANGE,
    FAULT_COMMON,
    FAULT_WRONG, /* a password or a token that is not right */
};

struct fault {
    const char *field;
    enum fault_code code;
    const char *message; /* one sentence for the caller */
};

/* May the same be tried again after a failure of the database or the network? */
enum retry {
    RETRY_NO = 0,
    RETRY_AGAIN,   /* nothing was done: the whole transaction may run again */
    RETRY_LATER,   /* nothing was done, for others come first: the request may be handled again */
    RETRY_UNKNOWN, /* in doubt: the connection was lost during a write, which may have taken effect
                    */
};

struct problem {
    const struct problem_type *type;
    const char *message;    /* for the caller: a sentence without internals */
    const char *cause;      /* for the log only; NULL where there is nothing to add */
    const char *constraint; /* the key that a write would have broken, else NULL */
    unsigned db_error;      /* the database's number for it; 0: it is not from there */
    enum retry retry;
    unsigned retry_after_s; /* seconds; 0: no Retry-After */
    const char *header;     /* one more of the answer, with `value`; or NULL */
    const char *value;
    struct fault *faults;
    size_t fault_count, fault_room;
};

/* What every floor may run into, and what a token can be refused for. HTTP's own are in
 * common/http/http_problems.h. */
extern const struct problem_type problem_internal, problem_bad_json, problem_invalid,
    problem_missing_fields, problem_invalid_token, problem_token_expired, problem_unavailable;

/* Of problem_unavailable, and of all that means the same under another status. */
#define PROBLEM_UNAVAILABLE_WORDS                                                                  \
    "Service Unavailable", "unavailable", "The service cannot answer right now; try again soon."

/* The words of enum fault_code on the wire, NULL at the end. */
extern const char *const fault_words[];

/** A problem of this type; `message` may be NULL for the type's own. Lives as long as `a`. */
struct problem *problem(struct arena *a, const struct problem_type *type, const char *message);

/** The same with a `cause` for the operator, printed into `a`; never shown to the caller. */
struct problem *problem_because(struct arena *a, const struct problem_type *type, const char *cause,
                                ...) PRINTF_LIKE(3, 4);

/** Note one more field that is at fault. `field` and `message` are borrowed. */
void problem_add_fault(struct arena *a, struct problem *p, const char *field, enum fault_code code,
                       const char *message);

/** The same, of a problem that may be NULL: then a problem_invalid, with a `field`. */
struct problem *problem_with_fault(struct arena *a, struct problem *p, const char *field,
                                   enum fault_code code, const char *message);

/** The whole of a problem_invalid with one field that is at fault. */
struct problem *problem_of_field(struct arena *a, const char *field, enum fault_code code,
                                 const char *message);

/** The word of a fault code on the wire: "required", "type", … */
const char *fault_word(enum fault_code code);
