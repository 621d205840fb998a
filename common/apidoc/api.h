/* api.h -- what the tables say of the API as a whole, for whoever describes it. */
#pragma once

#include "common/http/router.h"

struct buf;

/* An API, beyond its tables. */
struct api {
    const char *title, *version;
    const char *license;                     /* as SPDX calls it */
    const char *description;                 /* a paragraph */
    const char *base_path;                   /* "/api" */
    const struct resource *const *resources; /* NULL at the end */
    const struct app *app;                   /* what the column `offered` is asked with */
    /* What router.authenticate and find_caller answer beyond problem_invalid_token, NULL at the
     * end. */
    const struct problem_type *const *token_problems;
};

#define ANSWERS_MAX 128

/* Kinds of failure, by status. */
struct answers {
    const struct problem_type *types[ANSWERS_MAX];
    size_t count;
};

/** Does the API have this route with its settings? */
bool api_offers(const struct api *api, const struct route *route);

/** All failures that the route may answer, by its columns. */
void api_answers(const struct api *api, const struct route *route, struct answers *ret);

/** All failures of the API: those of its routes, and for what is no route. */
void api_all_answers(const struct api *api, struct answers *ret);

/** Does only the server in front answer it, which knows one form of failures? */
bool api_is_of_front(const struct problem_type *type);

/* What a request may carry beside path, query and body. */
struct request_header {
    const char *name;
    const char *pattern; /* or NULL */
    const char *doc;
    bool (*taken)(const struct route *route); /* NULL: by all */
};

extern const struct request_header request_headers[];
extern const size_t request_header_count;

/** Has the route an If-None-Match and so a 304, or an If-Match and so a 412? */
bool api_may_be_known(const struct route *route);
bool api_checks_match(const struct route *route);

/** May every route answer it, whatever its columns say? */
bool api_is_everywhere(const struct problem_type *type);

/* A record has up to three forms on the wire. */
enum form { FORM_REPLY, FORM_CREATE, FORM_CHANGE };

/** The form in which the route reads its body. */
enum form api_body_form(const struct route *route);

/** Has the form this field? */
bool form_has(enum form form, const struct field *f);

/** Is it always there, in replies, or must it be given? */
bool form_requires(enum form form, const struct field *f);

bool form_may_be_null(enum form form, const struct field *f);

/** The form's name: "Post", "NewPost", "PostChange". A record that is never shown has no "New". */
const char *form_name(struct arena *a, enum form form, const struct record *r);

/** Write an object as an example; in bodies what has no example and need not be there is not. */
void form_sample(struct buf *b, enum form form, const struct record *r);

/** Write the members of such an object into the one that is open in `b`. */
void form_sample_members(struct buf *b, enum form form, const struct record *r);

/** Write `text` as a value of the field's type. */
void field_text_to_json(struct buf *b, const struct field *f, const char *text);

/** Write an example of what the route answers when all is well; nothing where that is no JSON. */
void api_sample_reply(struct buf *b, const struct route *route);

/** Write an example of the failure's body. */
void api_sample_problem(struct buf *b, const struct problem_type *type);
