#include "common/base/problem.h"

#include <string.h>

#include "common/base/arena.h"

const struct problem_type problem_internal = {500, "Internal Server Error", "internal",
                                              "Something went wrong on the server."};
const struct problem_type problem_bad_json = {400, "Bad Request", "bad_json",
                                              "The body is not a JSON object."};
const struct problem_type problem_invalid = {400, "Bad Request", "invalid",
                                             "A value is not valid; see details."};
const struct problem_type problem_missing_fields = {
    400, "Missing required fields", "missing_fields", "A required field is missing."};
const struct problem_type problem_invalid_token = {401, "Invalid token", "invalid_token",
                                                   "The token is not valid, or has expired.",
                                                   .of_token = true};
const struct problem_type problem_token_expired = {401, "Invalid token", "token_expired",
                                                   "The access token has expired; refresh it.",
                                                   .of_token = true};
const struct problem_type problem_unavailable = {503, PROBLEM_UNAVAILABLE_WORDS,
                                                 .retry_after_s = 1};

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
    p->retry_after_s = type->retry_after_s;
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

struct problem *problem_with_fault(struct arena *a, struct problem *p, const char *field,
                                   enum fault_code code, const char *message)
{
    struct problem *with = p ? p : problem(a, &problem_invalid, NULL);
    problem_add_fault(a, with, field, code, message);
    return with;
}

struct problem *problem_of_field(struct arena *a, const char *field, enum fault_code code,
                                 const char *message)
{
    return problem_with_fault(a, NULL, field, code, message);
}

const char *fault_word(enum fault_code code)
{
    return fault_words[code];
}
