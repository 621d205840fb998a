/* docs_table.h -- the tables of the page of docs.h: fields, headers, failures. */
#pragma once

#include "common/apidoc/schema.h"

struct api;
struct arena;
struct buf;
struct problem_type;
struct record;
struct route;

/** Begin a table: a caption, which for readers who hear it goes on with "of" and `of`, or NULL. */
void docs_begin_table(struct buf *b, const char *kind, const char *caption, const char *of);
void docs_end_table(struct buf *b);

/** The fields that the form of the record has; those of a query are all read. */
void docs_fields(struct buf *b, struct arena *a, enum form form, const struct record *r);
void docs_query(struct buf *b, struct arena *a, const struct record *r);

/** The ids in the path of a route; nothing where it has none. */
void docs_path(struct buf *b, struct arena *a, const struct api *api, const struct route *route,
               const char *of);

/** The headers that a route takes, unlike others; nothing where there are none. */
void docs_headers(struct buf *b, struct arena *a, const struct route *route, const char *of);

/** One row; `id` where it is the place that a problem's `type` leads to, else NULL. */
void docs_failure(struct buf *b, struct arena *a, const struct problem_type *type, const char *id);
