/* openapi_reply.h -- what routes answer, in the OpenAPI document: headers, success, failures. For
 * openapi.c alone. */
#pragma once

#include "common/apidoc/openapi_schema.h"

/** The key `responses` of an operation with all that it may answer. */
void document_responses(struct document *d, const struct route *route);

/** The component `headers`: all that an answer may have. */
void document_reply_headers(struct document *d);

/** The component `responses`: one for each set of failures that document_responses() has referred
 *  to. */
void document_failures(struct document *d);

/** The schema CODE_SCHEMA: all words that `code` may be. */
void document_code_schema(struct document *d, const struct answers *all);
