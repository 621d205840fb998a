/* refusals.h -- how the API refuses: what it answers, by name, and tables of what it must refuse.
 */
#pragma once

#include "tests/support/loopback.h"

/* Status, `error` and `code`, for ck_problem() and for the rows of tables. */
#define BAD_JSON 400, "Bad Request", "bad_json"
#define BAD_REQUEST 400, "Bad Request", "bad_request"
#define INVALID 400, "Bad Request", "invalid"
#define INVALID_EMAIL 400, "Invalid email format", "invalid_email"
#define MISSING_FIELDS 400, "Missing required fields", "missing_fields"
#define MISSING_CREDENTIALS 400, "Missing credentials", "missing_fields"
#define NO_TOKEN 401, "Unauthenticated", "no_token"
#define INVALID_TOKEN 401, "Invalid token", "invalid_token"
#define TOKEN_EXPIRED 401, "Invalid token", "token_expired"
#define USER_INACTIVE 401, "User not found or inactive", "user_inactive"
#define INVALID_CREDENTIALS 401, "Invalid credentials", "invalid_credentials"
#define FORBIDDEN 403, "Unauthorized", "forbidden"
#define ADMIN_REQUIRED 403, "Admin access required", "admin_required"
#define NOT_FOUND 404, "Not Found", "not_found"
#define USER_NOT_FOUND 404, "User not found", "user_not_found"
#define POST_NOT_FOUND 404, "Post not found", "post_not_found"
#define SESSION_NOT_FOUND 404, "Session not found", "session_not_found"
#define METHOD_NOT_ALLOWED 405, "Method Not Allowed", "method_not_allowed"
#define EMAIL_EXISTS 409, "Email already exists", "email_exists"
#define LAST_ADMIN 409, "Last active admin", "last_admin"
#define PRECONDITION_FAILED 412, "Precondition Failed", "precondition_failed"
#define TOO_LARGE 413, "Payload Too Large", "too_large"
#define URI_TOO_LONG 414, "URI Too Long", "uri_too_long"
#define NOT_JSON 415, "Request body must be JSON", "not_json"
#define KEY_REUSED 422, "Idempotency key reused", "idempotency_mismatch"
#define RATE_LIMITED 429, "Too Many Requests", "rate_limited"
#define INTERNAL 500, "Internal Server Error", "internal"
#define BAD_GATEWAY 502, "Service Unavailable", "unavailable"
#define UNAVAILABLE 503, "Service Unavailable", "unavailable"
#define GATEWAY_TIMEOUT 504, "Service Unavailable", "unavailable"

/* A body, in which every ' stands for a ", and the answer that it gets. */
struct refusal {
    const char *body;
    int status;
    const char *error, *code;
    const char *faults; /* as answer_faults() tells them; none: NULL */
};

/** Send the body of `want` and assert its answer, with all faults, of which those that are
 *  "required" are the missing fields. */
void ck_refusal(const char *method, const char *token, const char *path,
                const struct refusal *want);

/** Assert that a request is INVALID for just these faults. */
void ck_invalid(struct answer answer, const char *faults);

/** Assert that nobody does this without a token, or with one that is none. */
void ck_token_needed(const char *method, const char *path, const char *body);

/** Assert that a path has these methods, as OPTIONS and a refusal tell them, and not PUT. */
void ck_methods(const char *path, const char *allow);
