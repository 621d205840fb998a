/* described.h -- hold replies against the API's own description, so that none goes undescribed. */
#pragma once

#include <stddef.h>

#include "common/base/compiler.h"

struct arena;

struct described; /* a parsed OpenAPI document */

/* What came back for a call. */
struct seen {
    const char *method;
    const char *path; /* below the base path; a query string is not looked at */
    int status;
    const char *headers; /* lines `Name: value`, CR LF or LF at their ends */
    const char *body;
};

/** Read a document; it lives as long as `a`. NULL when it is no JSON. */
struct described *described_open(struct arena *a, const char *document);

/**
 * NULL when the document describes the reply, else a sentence that tells what it does not.
 *
 * Status, required headers, media type and body are looked at. Stricter than JSON Schema: a
 * member that no schema names is a fault unless the object is free (no `properties`, or
 * `additionalProperties: true`), and so is a keyword of a schema that is not known here.
 * A call that is no operation may answer 404 not_found, 405 method_not_allowed, 204 to OPTIONS,
 * and what every operation may answer.
 */
const char *described_fault(const struct described *d, struct arena *a, const struct seen *seen);
