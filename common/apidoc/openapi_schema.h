/* openapi_schema.h -- the OpenAPI document while it is written, and its JSON Schemas: of fields, of
 * records, of problems. For openapi.c and openapi_reply.c alone. */
#pragma once

#include <stddef.h>

#include "common/apidoc/api.h"
#include "common/apidoc/schema.h"

#define FORMS_MAX 256
#define FAILURES_MAX 256
#define CODE_SCHEMA "ErrorCode"

/* A record in one form, as a schema of the document. */
struct schema {
    enum form form;
    const struct record *record;
};

/* Failures of one status that come together, as a component. */
struct failure {
    const char *name; /* "Error404NotFoundPostNotFound" */
    struct answers *answers;
};

struct document {
    struct buf *b;
    struct arena *a;
    const struct api *api;
    struct schema schemas[FORMS_MAX]; /* those that something refers to */
    size_t schema_count;
    struct failure failures[FAILURES_MAX]; /* likewise, of responses */
    size_t failure_count;
    const char *path; /* whose operations are written */
};

/** Write a reference to a component, or a key and one as its value. */
void document_ref(struct document *d, const char *kind, const char *name);
void document_key_ref(struct document *d, const char *key, const char *kind, const char *name);

/** A reference to the record's schema, which document_schemas() then writes. */
void document_record_ref(struct document *d, enum form form, const struct record *r);

/** The members of a field's schema, in the object that is open. */
void document_field(struct document *d, enum form form, const struct field *f);

/** The same for a parameter of a query, which has its description beside the schema; with the
 *  default. A member's is in its description only: generators of clients take the keyword for a
 *  promise that the member is there, and would want it in every body. */
void document_parameter(struct document *d, const struct field *f);

/** The key `examples` with one string. */
void document_example(struct document *d, const char *text);

/** The key `schema` with that of a string. `pattern` may be NULL, `min` and `max` 0. */
void document_string_schema(struct document *d, const char *pattern, int64_t min, int64_t max,
                            const char *example);

/** The schema of an object with required members only; what is inside comes in between. */
void document_object(struct document *d, const char *const *keys);
void document_object_end(struct document *d);

/** Write the schemas that something refers to, in the object that is open. */
void document_schemas(struct document *d);
