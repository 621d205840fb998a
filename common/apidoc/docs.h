/* docs.h -- the tables as one HTML page to read, and to call the API from. */
#pragma once

#include "common/apidoc/api.h"

/* The files that the page is made of, as C strings. */
struct docs_assets {
    const char *page; /* HTML, in which `{{name}}` stands for a part */
    const char *style;
    const char *script;
    const char *changes; /* versions, each with what changed in the API: "  - " begins an entry */
};

/**
 * Write the page: every route that is offered, its fields, its failures, an example for the
 * command line, and a form to try it.
 *
 * The first route that answers with an access_token (RFC 6749 section 5.1) is the one by which
 * the page logs in, the first that does so for a refresh_token the one by which it goes on. An
 * unknown part in the template aborts.
 */
void docs_write(struct buf *b, const struct api *api, const struct docs_assets *assets);

/** The Content-Security-Policy of the page: its own style and script by their hashes, calls to
 *  its own host, and nothing else. */
const char *docs_policy(struct arena *a, const struct docs_assets *assets);
