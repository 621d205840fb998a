/* http_problems.h -- problems in HTTP: the types that belong to it alone, and the JSON body that
 * every problem has. */
#pragma once

#include <stddef.h>

#include "common/base/problem.h"

struct arena;
struct buf;
struct record;

#define PROBLEM_MEDIA_TYPE "application/problem+json"

/* What a request can be refused for before its handler runs, or because of its headers. */
extern const struct problem_type problem_no_token, problem_forbidden, problem_admin_required,
    problem_not_found, problem_method_not_allowed, problem_too_large, problem_not_json,
    problem_precondition_failed, problem_idempotency_mismatch, problem_idempotency_busy,
    problem_rate_limited;

/* What only the server in front answers, described here with the rest. */
extern const struct problem_type problem_bad_request, problem_uri_too_long, problem_bad_gateway,
    problem_gateway_timeout;

/* The body of a failure: the members of problem_record, or of RFC 9457's problem_details_record,
 * and where they apply a list of names and one of fault_record. */
extern const struct record problem_record, problem_details_record, fault_record;
#define PROBLEM_CODE_KEY "code"                              /* one of both records' */
#define PROBLEM_SAMPLE_ID "0123456789abcdef0123456789abcdef" /* a request id, for examples */
#define PROBLEM_STATUS_KEY "status"
#define PROBLEM_MISSING_KEY "missing_fields"
#define PROBLEM_DETAILS_KEY "details"

/** Write the body of `p` as an object; with `types`, which comes before the code in its `type`,
 *  in RFC 9457's form, for which alone `a` is needed. */
void problem_to_json(struct arena *a, struct buf *b, const struct problem *p,
                     const char *request_id, const char *types);
