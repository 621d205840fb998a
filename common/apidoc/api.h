/* api.h -- an API beyond its tables: which failures a route may answer and which headers it takes,
 * as follows from its columns. */
#pragma once

#include "common/http/router.h"

struct arena;
struct buf;

/* An API, beyond its tables. */
struct api {
    const char *title, *version;
    const char *license;                     /* as SPDX calls it */
    const char *description;                 /* a paragraph */
    const char *base_path;                   /* "/api" */
    const char *public_url;                  /* what comes before it, or NULL */
    const char *contact;                     /* an e-mail address or a URL, or NULL */
    const struct resource *const *resources; /* NULL at the end */
    const struct app *app;                   /* what the column `enabled` is asked with */
    /* What router.authenticate and find_caller answer beyond problem_invalid_token, NULL at the
     * end. */
    const struct problem_type *const *token_problems;
    /* What router.limit lets pass, in sentences with a blank before each; NULL: nothing is told. */
    const char *(*limits)(const struct app *app, struct arena *a, const struct route *route);
};

#define ANSWERS_MAX 128

/* Kinds of failure, by status. */
struct answers {
    const struct problem_type *types[ANSWERS_MAX];
    size_t count;
};

/** Does the API have this route with its settings? */
bool api_offers(const struct api *api, const struct route *route);

/** What its column `limits` says, in sentences with a blank before each; or "". */
const char *api_limits(const struct api *api, struct arena *a, const struct route *route);

/** All failures that the route may answer, by its columns. */
void api_answers(const struct api *api, const struct route *route, struct answers *ret);

/** All failures of the API: those of its routes, and for what is no route. */
void api_all_answers(const struct api *api, struct answers *ret);

/** Does only the server in front answer it, which knows one form of failures? */
bool api_is_of_front(const struct problem_type *type);

/** What such an id is, in words: "The post's id. A UUID, in upper or lower case." */
const char *api_id_words(struct arena *a, const struct api *api, const char *path, const char *at);

/** The record that the id in `path` at `at` ("{id}") names, as the reading of one or the list of
 * all tells; NULL where neither does. Its field `id` says it in words. */
const struct record *api_record_of_id(const struct api *api, const char *path, const char *at);

/** The route that reads one thing of this record by its id and nothing else, or NULL. */
const struct route *api_reading(const struct api *api, const char *record);

/* What a request may carry beside path, query and body. */
struct request_header {
    const char *name;
    const char *pattern; /* or NULL */
    const char *doc;
    int64_t min, max;                         /* in characters; 0: no bound */
    bool (*taken)(const struct route *route); /* NULL: by all */
    const char *example;
};

extern const struct request_header request_headers[];
extern const size_t request_header_count;

/** Does the route take it, unlike others? */
bool api_takes(const struct route *route, const struct request_header *h);

/** Does the route look at If-None-Match, and so has a 304? At If-Match, and so has a 412? */
bool api_may_be_known(const struct route *route);
bool api_checks_match(const struct route *route);

/** May every route answer it, whatever its columns say? */
bool api_is_everywhere(const struct problem_type *type);
