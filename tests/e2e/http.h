/* http.h -- calls to a front over real sockets, and what every answer must look like. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"
#include "tests/e2e/world.h"
#include "tests/support/loopback.h"
#include "tests/support/suite.h"

/* One call. Members that are left out are absent in the request. */
struct http_call {
    const struct front *at; /* NULL: the_front */
    const char *method;     /* NULL: GET, or POST where there is a body */
    const char *path;       /* the whole, with its query string */
    const char *token;
    const char *body;
    const char *type;       /* of the body; NULL: application/json, "": none */
    const char *from;       /* our own address; NULL: 127.0.0.1 */
    const char *headers[6]; /* more of them, `Name: value` */
    bool astray;            /* the path is none of the document's, though we are answered as if */
    bool chunked;           /* the body goes without a length */
    bool gzip;              /* take it compressed, and undo that */
};

/* What came back, until the next call of the same client. */
struct http_answer {
    int status;          /* 0: nothing came, and `error` says why */
    const char *headers; /* all lines, CR LF at the ends */
    const char *body;    /* followed by a NUL */
    size_t body_len;
    long connects; /* how many connections were made for it */
    char error[300];
};

/* A client keeps its connection. One thread, one client. */
struct client;
struct client *client_open(void);
void client_close(struct client *c);
void client_ask(struct client *c, const struct http_call *call, struct http_answer *ret);

/** Open the world, run all tests in it, close it, and return what main() must return. */
int http_main(void);

/* A case whose tests may fetch(), and one that is for nginx only; tests that are, in a case
 * that otherwise is. */
#define HTTP_CASE(name_) CASE(name_, http_set_up, http_tear_down)
#define NGINX_CASE(name_)                                                                          \
    SUITE_DO((suite_case((name_), http_set_up, http_tear_down), suite_case_if(world_at("nginx"))))
#define NGINX_TEST(name_) TEST_TIMES(name_, world_at("nginx") ? 1 : 0)
#define NGINX_TEST_EACH(name_, table_) TEST_TIMES(name_, world_at("nginx") ? COUNT(table_) : 0)

/** Before and after each test of a case that has more to do then: with them a test may fetch(). */
void http_set_up(void);
void http_tear_down(void);

extern const struct front *the_front;

/**
 * Call from the test itself, whose answer must have the form of all answers: one request id and
 * one nosniff, JSON or nothing, errors whole with the headers that belong to them, and what is
 * below auth kept by nobody. It must also be one that the API's own document describes.
 * `struct answer` is that of the loop-back. `fetch(.path = "/api/posts", .token = t)`.
 */
#define fetch(...) http_fetch(&(const struct http_call){__VA_ARGS__})
struct answer http_fetch(const struct http_call *call);

/** Ask until the answer has this status, for `limit_ms` at most; returns how long it took. */
long http_await(const struct http_call *call, int status, long limit_ms);

/** From here on, hold answers against the document of a program with these settings; until then
 *  it is one that can send mail. */
void http_document(const char *const *names);

/** How many connections the last fetch() made. */
long http_connects(void);

/** Send bytes as they are, and read one answer until the server closes. */
struct answer http_raw(const struct front *at, const char *bytes, size_t len);

/* A call under way in a thread of its own. */
struct flight;
struct flight *http_send(const struct http_call *call); /* which must live until it has landed */
bool http_has_landed(struct flight *f);                 /* is its answer there? */
struct answer http_land(struct flight *f);

/** How often a header is there. */
unsigned header_count(const char *headers, const char *name);

/** Is `word` one of the values, separated by commas, of any header of this name? */
bool header_lists(const char *headers, const char *name, const char *word);

/** Assert that a header is there with this value, or is not there. */
#define ck_header(reply, name, value)                                                              \
    do {                                                                                           \
        const char *got_ = answer_header((reply), name);                                           \
        ck_assert_msg(got_ != NULL, "no " name ": %s", (reply).headers);                           \
        ck_assert_str_eq(got_, value);                                                             \
    } while (0)

#define ck_no_header(reply, name)                                                                  \
    ck_assert_msg(header_count((reply).headers, name) == 0, "has " name ": %s", (reply).headers)

/** An address that nobody has; that of a new user, whose password is PASSWORD, and whose token.
 *  `ret_id` may be NULL. */
const char *new_email(void);
const char *email_prefix(void); /* of all those of this test, which are numbered from 1 */
const char *new_account(const char **ret_id);
const char *new_user(const char **ret_id);
const char *token_of(const char *email);

/** Write a post and return its id. */
const char *new_post(const char *token, const char *title, bool published);

/** The whole of a file, which must be there, in the_arena; a NUL in it becomes a newline. */
char *file_text(const char *path);

/** Run a command with world_run() or world_run_as_worker(): what it printed, in the_arena. */
char *output_of(const char *const *words, const char *const *names, int *ret_status);
char *output_as_worker(const char *const *words, int *ret_status);

/** Note something that must not be in any log. */
void http_keep_secret(const char *secret);
