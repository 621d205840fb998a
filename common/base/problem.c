#include "common/base/problem.h"
#include "common/base/arena.h"

#include <string.h>

/* One meaning, whatever status the server in front found. */
#define UNAVAILABLE                                                                                \
    "Service Unavailable", "unavailable", "The service cannot answer right now; try again soon."

const struct problem_type problem_internal = {500, "Internal Server Error", "internal",
                                              "Something went wrong on the server."};
const struct problem_type problem_bad_json = {400, "Bad Request", "bad_json",
                                              "The body is not a JSON object."};
const struct problem_type problem_invalid = {400, "Bad Request", "invalid",
                                             "A value is not valid; see details."};
const struct problem_type problem_missing_fields = {
    400, "Missing required fields", "missing_fields", "A required field is missing."};
const struct problem_type problem_no_token = {401, "Unauthenticated", "no_token",
                                              "This needs an access token."};
const struct problem_type problem_invalid_token = {
    401, "Invalid token", "invalid_token", "The token is not valid or is over.", .of_token = true};
const struct problem_type problem_token_expired = {401, "Invalid token", "token_expired",
                                                   "The access token has expired; refresh it.",
                                                   .of_token = true};
const struct problem_type problem_forbidden = {403, "Unauthorized", "forbidden",
                                               "You may not do this."};
const struct problem_type problem_admin_required = {403, "Admin access required", "admin_required",
                                                    "Only an admin may do this."};
const struct problem_type problem_not_found = {404, "Not Found", "not_found",
                                               "Resource does not exist"};
const struct problem_type problem_method_not_allowed = {
    405, "Method Not Allowed", "method_not_allowed", "This method does not work here; see Allow."};
const struct problem_type problem_too_large = {413, "Payload Too Large", "too_large",
                                               "The body is larger than this server takes."};
const struct problem_type problem_not_json = {
    415, "Request body must be JSON", "not_json",
    "Send the body as application/json or application/merge-patch+json, and not encoded."};
const struct problem_type problem_precondition_failed = {
    412, "Precondition Failed", "precondition_failed",
    "It has been changed since; If-Match names another version."};
const struct problem_type problem_idempotency_mismatch = {
    422, "Idempotency key reused", "idempotency_mismatch",
    "This Idempotency-Key was used with another body."};
const struct problem_type problem_idempotency_busy = {
    409, "Idempotency key busy", "idempotency_busy",
    "The first request with this Idempotency-Key is still under way; try again soon."};
const struct problem_type problem_unavailable = {503, UNAVAILABLE};

const struct problem_type problem_bad_request = {400, "Bad Request", "bad_request",
                                                 "This is not a well-formed HTTP request."};
const struct problem_type problem_uri_too_long = {414, "URI Too Long", "uri_too_long",
                                                  "The URI is longer than this server takes."};
const struct problem_type problem_rate_limited = {429, "Too Many Requests", "rate_limited",
                                                  "Too many attempts; try again soon."};
const struct problem_type problem_bad_gateway = {502, UNAVAILABLE};
const struct problem_type problem_gateway_timeout = {504, UNAVAILABLE};

const char *const fault_words[] = {
    [FAULT_NONE] = "none",           [FAULT_REQUIRED] = "required",
    [FAULT_TYPE] = "type",           [FAULT_FORMAT] = "format",
    [FAULT_TOO_SHORT] = "too_short", [FAULT_TOO_LONG] = "too_long",
    [FAULT_RANGE] = "range",         [FAULT_COMMON] = "common",
    [FAULT_WRONG] = "wrong",         NULL,
};

struct problem *problem(struct arena *a, const struct problem_type *type, const char *message)
{
    struct problem *p = arena_alloc(a, sizeof *p);
    p->type = type;
    p->message = message ? message : type->message;
    p->retry_after_s = type->status == 503 || type == &problem_idempotency_busy ? 1 : 0;
    return p;
}

struct problem *problem_because(struct arena *a, const struct problem_type *type, const char *cause,
                                ...)
{
    struct problem *p = problem(a, type, NULL);
    va_list args;
    va_start(args, cause);
    p->cause = arena_vprintf(a, cause, args);
    va_end(args);
    return p;
}

void problem_add_fault(struct arena *a, struct problem *p, const char *field, enum fault_code code,
                       const char *message)
{
    if (p->fault_count == p->fault_room) {
        size_t room = p->fault_room ? 2 * p->fault_room : 8;
        struct fault *more = arena_array(a, room, sizeof *more);
        if (p->fault_count)
            memcpy(more, p->faults, p->fault_count * sizeof *more);
        p->faults = more;
        p->fault_room = room;
    }
    p->faults[p->fault_count++] = (struct fault){field, code, message};
}

struct problem *problem_of_field(struct arena *a, const char *field, enum fault_code code,
                                 const char *message)
{
    struct problem *p = problem(a, &problem_invalid, NULL);
    problem_add_fault(a, p, field, code, message);
    return p;
}

const char *fault_word(enum fault_code code)
{
    return fault_words[code];
}
