/* docs_call.h -- how to call a route, on the page of docs.h: by a command line, and by a form. */
#pragma once

struct api;
struct arena;
struct buf;
struct route;

/* Of a body as an example, bytes. */
#define SCRATCH_MAX ((size_t)1024 * 1024)

/** An example for the command line. */
void docs_curl(struct buf *b, struct arena *a, const struct api *api, const struct route *route);

/** A form whose button sends the request; the page's script does it. */
void docs_form(struct buf *b, struct arena *a, const struct api *api, const struct route *route);
