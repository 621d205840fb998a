#include "common/http/http_problems.h"

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/field/field.h"
#include "common/field/json_write.h"

/* ---- types ---- */

const struct problem_type problem_no_token = {
    401, "Unauthenticated", "no_token",
    "This needs an access token; send it as Authorization: Bearer TOKEN."};
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
    "The first request with this Idempotency-Key is still under way; try again soon.",
    .retry_after_s = 1};
const struct problem_type problem_rate_limited = {429, "Too Many Requests", "rate_limited",
                                                  "Too many attempts; try again soon."};

const struct problem_type problem_bad_request = {400, "Bad Request", "bad_request",
                                                 "This is not a well-formed HTTP request."};
const struct problem_type problem_uri_too_long = {414, "URI Too Long", "uri_too_long",
                                                  "The URI is longer than this server takes."};
const struct problem_type problem_bad_gateway = {502, PROBLEM_UNAVAILABLE_WORDS};
const struct problem_type problem_gateway_timeout = {504, PROBLEM_UNAVAILABLE_WORDS};

/* ---- bodies ---- */

struct problem_view {
    struct text error;
    struct text code;
    struct text message;
    struct text request_id;
};

static const struct field problem_fields[] = {
    FIELD(struct problem_view, error, .use = FIELD_SHOWN, .example = "Not Found",
          .doc = "Short words for people."),
    FIELD(struct problem_view, code, .use = FIELD_SHOWN,
          .doc = "The machine's word; it never changes its meaning."),
    FIELD(struct problem_view, message, .use = FIELD_SHOWN, .example = "Resource does not exist",
          .doc = "One sentence."),
    FIELD(struct problem_view, request_id, .use = FIELD_SHOWN, .example = PROBLEM_SAMPLE_ID,
          .doc = "The X-Request-Id of the answer, for whoever looks into the log."),
};

const struct record problem_record =
    RECORD("Problem", struct problem_view, problem_fields, .rule = NULL);

struct problem_details {
    struct text type;
    struct text title;
    int64_t status;
    struct text detail;
    struct text code;
    struct text request_id;
};

static const struct field problem_details_fields[] = {
    FIELD(struct problem_details, type, .use = FIELD_SHOWN, .example = "/api/docs#not_found",
          .doc = "Where the code is described; a path."),
    FIELD(struct problem_details, title, .use = FIELD_SHOWN, .example = "Not Found",
          .doc = "Short words for people."),
    FIELD(struct problem_details, status, .use = FIELD_SHOWN, .example = "404",
          .doc = "The status of HTTP."),
    FIELD(struct problem_details, detail, .use = FIELD_SHOWN, .example = "Resource does not exist",
          .doc = "One sentence."),
    FIELD(struct problem_details, code, .use = FIELD_SHOWN,
          .doc = "The machine's word; it never changes its meaning."),
    FIELD(struct problem_details, request_id, .use = FIELD_SHOWN, .example = PROBLEM_SAMPLE_ID,
          .doc = "The X-Request-Id of the answer, for whoever looks into the log."),
};

const struct record problem_details_record =
    RECORD("ProblemDetails", struct problem_details, problem_details_fields, .rule = NULL);

struct fault_view {
    struct text field;
    unsigned code; /* enum fault_code, less FAULT_REQUIRED */
    struct text message;
};

static const struct field fault_fields[] = {
    FIELD(struct fault_view, field, .use = FIELD_SHOWN, .example = "title",
          .doc = "The field that is at fault."),
    FIELD(struct fault_view, code, .use = FIELD_SHOWN, .choices = fault_words + FAULT_REQUIRED,
          .doc = "What is wrong with it."),
    FIELD(struct fault_view, message, .use = FIELD_SHOWN, .example = "Is required.",
          .doc = "One sentence."),
};

const struct record fault_record = RECORD("Fault", struct fault_view, fault_fields, .rule = NULL);

static void put_missing(struct buf *b, const struct problem *p)
{
    json_key(b, PROBLEM_MISSING_KEY);
    json_array(b);
    for (size_t i = 0; i < p->fault_count; i++)
        if (p->faults[i].code == FAULT_REQUIRED)
            json_string(b, p->faults[i].field);
    json_array_end(b);
}

static void put_details(struct buf *b, const struct problem *p)
{
    json_key(b, PROBLEM_DETAILS_KEY);
    json_array(b);
    for (size_t i = 0; i < p->fault_count; i++) {
        const struct fault *fault = &p->faults[i];
        const struct fault_view view = {text_of(fault->field), fault->code - FAULT_REQUIRED,
                                        text_of(fault->message)};
        record_to_json(b, &fault_record, &view);
    }
    json_array_end(b);
}

static bool has_missing(const struct problem *p)
{
    for (size_t i = 0; i < p->fault_count; i++)
        if (p->faults[i].code == FAULT_REQUIRED)
            return true;
    return false;
}

static void put_words(struct buf *b, const struct problem *p, const char *request_id)
{
    const struct problem_view view = {text_of(p->type->error), text_of(p->type->code),
                                      text_of(p->message), text_of(request_id)};
    record_members_to_json(b, &problem_record, &view);
}

static void put_rfc9457(struct arena *a, struct buf *b, const struct problem *p,
                        const char *request_id, const char *types)
{
    const struct problem_details details = {
        .type = text_of(arena_printf(a, "%s%s", types, p->type->code)),
        .title = text_of(p->type->error),
        .status = p->type->status,
        .detail = text_of(p->message),
        .code = text_of(p->type->code),
        .request_id = text_of(request_id)};
    record_members_to_json(b, &problem_details_record, &details);
}

void problem_to_json(struct arena *a, struct buf *b, const struct problem *p,
                     const char *request_id, const char *types)
{
    json_object(b);
    if (types)
        put_rfc9457(a, b, p, request_id, types);
    else
        put_words(b, p, request_id);
    if (has_missing(p))
        put_missing(b, p);
    if (p->fault_count)
        put_details(b, p);
    json_object_end(b);
}
