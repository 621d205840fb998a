/* openapi.h -- the tables as an OpenAPI document (version 3.1.1). */
#pragma once

#include "common/apidoc/api.h"

/**
 * Write the document: every route that is offered, with all that it takes and may answer.
 *
 * A new column of the tables gets its place here: what a request may carry is a row of
 * `request_headers` (api.c), what an answer carries a row of `reply_headers` (openapi_reply.c), and
 * another failure a line of api_answers().
 */
void openapi_write(struct buf *b, const struct api *api);
