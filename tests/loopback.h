/* loopback.h -- ask the application as nginx would, without a socket, and read its answers. */
#pragma once

#include <check.h>

#include "common/json.h"
#include "fcgi-app/app.h"

#define PASSWORD "a long enough one"

/* What came back for the last call. */
struct reply {
    int status;
    const char *headers;       /* all lines, CR LF at the ends */
    const char *text;          /* the body */
    const struct json *body;   /* parsed, NULL when it is no JSON object */
};

/* One call. Members that are left out are absent in the request. */
struct call {
    const char *method; /* NULL: GET */
    const char *path;   /* behind /api, with its query string */
    const char *token;  /* for Authorization: Bearer */
    const char *body;
    const char *type;   /* of the body; NULL: application/json where there is a body */
    const char *param;  /* one more CGI variable, NAME=value */
};

/** Migrate the database of $DATABASE_URL and empty its tables; open an app on it. To be used
 *  as a checked fixture. */
void loopback_open(void);
void loopback_close(void);

/** The app under test, and an arena that lives until loopback_close(). */
extern struct app *the_app;
extern struct arena *the_arena;

/** The time that requests begin; moves only by hand. */
extern struct instant the_time;

/** Send one call: `ask(.path = "/posts", .token = t)`. The reply lives until loopback_close(). */
#define ask(...) loopback_ask(&(const struct call){__VA_ARGS__})
struct reply loopback_ask(const struct call *call);

/** The value of a response header, or NULL. */
const char *reply_header(struct reply reply, const char *name);

/** Follow `a.b.0.c` into the body; fails the test when there is nothing. */
const struct json *reply_node(struct reply reply, const char *path);
const char *reply_text(struct reply reply, const char *path);
int64_t reply_integer(struct reply reply, const char *path);
bool reply_has(struct reply reply, const char *path);

/** Make a user straight in the database; the password is PASSWORD. Returns the id's text. */
const char *make_user(const char *email, unsigned role);

/** Log in with PASSWORD and return the access token. */
const char *log_in(const char *email);

/** Write a post by API and return its id's text. */
const char *write_post(const char *token, const char *title, const char *content, bool published);

/** Run constant SQL on the test's database. */
void run_sql(const char *text);

/** The number that a query answers with, in a column called n. */
int64_t ask_number(const char *text);

/** Assert status, the words `error` and `code`, and that the form of a problem is whole. */
#define ck_problem(reply, status_, error_, code_)                                                  \
    do {                                                                                           \
        struct reply seen_ = (reply);                                                              \
        ck_assert_msg(seen_.status == (status_), "status %d instead of %d: %s", seen_.status,      \
                      (status_), seen_.text);                                                      \
        ck_assert_str_eq(reply_text(seen_, "error"), error_);                                      \
        ck_assert_str_eq(reply_text(seen_, "code"), code_);                                        \
        ck_assert_int_gt((int)strlen(reply_text(seen_, "message")), 0);                            \
        ck_assert_str_eq(reply_text(seen_, "request_id"), reply_header(seen_, "X-Request-Id"));    \
    } while (0)

/** Assert the status of a reply, showing its body. */
#define ck_status(reply, status_)                                                                  \
    do {                                                                                           \
        struct reply seen_ = (reply);                                                              \
        ck_assert_msg(seen_.status == (status_), "status %d instead of %d: %s", seen_.status,      \
                      (status_), seen_.text);                                                      \
    } while (0)
