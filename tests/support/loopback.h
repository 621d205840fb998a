/* loopback.h -- ask the application as nginx would, without a socket, and read its answers. */
#pragma once

#include <sys/types.h>

#include "common/field/json.h"
#include "fcgi-app/accounts/user_model.h"
#include "fcgi-app/worker.h"
#include "tests/support/suite.h"

#define PASSWORD "a long enough one"
#define SECRET_KEY "kQ3vT8mZr1Yx6Lw9Pc2Nd5Hb7Jg4Fs0A"
#define NOBODY_ID "01890a5d-ac96-774b-bcce-b302099a8057" /* which nothing has */

/* What came back for the last call. */
struct answer {
    int status;
    const char *headers;     /* all lines, CR LF at the ends */
    const char *text;        /* the body */
    const struct json *body; /* parsed, NULL when it is no JSON object */
};

/* One call. Members that are left out are absent in the request. */
struct call {
    const char *method; /* NULL: GET */
    const char *path;   /* after /api, with its query string */
    const char *token;  /* for Authorization: Bearer */
    const char *body;
    const char *type;  /* of the body; NULL: application/json where there is a body */
    const char *param; /* one more CGI variable, NAME=value */
    const char *from;  /* REMOTE_ADDR; NULL: 192.0.2.1 */
    int64_t waited_s;  /* since it came, as for a database that stalls */
};

/** Migrate the database of $DATABASE_URL and empty its tables; open an app on it. To be used
 *  as a checked fixture. */
void loopback_open(void);
void loopback_close(void);

/** Open the app again on other settings, `loopback_set("NAME=value", …)`; those that are not named
 *  are as loopback_open() has them. */
#define loopback_set(...) loopback_settings((const char *const[]){__VA_ARGS__, NULL})
void loopback_settings(const char *const *settings);

/** The app under test, and an arena that lives until loopback_close(). */
extern struct app *the_app;
extern struct arena *the_arena;

/** The time that requests begin; moves only by hand, and so much time passes then. */
extern struct instant the_time;

/** Set the clock so many seconds forward, or back, while no time passes. */
void set_clock(int64_t seconds);

/** Send one call: `api_ask(.path = "/posts", .token = t)`. The answer lives until loopback_close().
 *  What the program does when its answer is out is done when this returns. */
#define api_ask(...) loopback_ask(&(const struct call){__VA_ARGS__})
struct answer loopback_ask(const struct call *call);

/** Called before the program gets a call, and after all that it does for it. */
extern void (*loopback_around)(bool begins);

/** The common calls; paths are format strings, and NULL for a token leaves it out. */
struct answer api_get(const char *token, const char *path, ...) PRINTF_LIKE(2, 3);
struct answer api_delete(const char *token, const char *path, ...) PRINTF_LIKE(2, 3);
struct answer api_post(const char *token, const char *path, const char *body);
struct answer api_patch(const char *token, const char *path, const char *body);

/** Print into the_arena. */
#define say(...) arena_printf(the_arena, __VA_ARGS__)

/** The same, for JSON: every ' becomes a ". */
const char *object(const char *format, ...) PRINTF_LIKE(1, 2);

/** `what`, so many times. */
const char *repeat(const char *what, size_t times);

/** The value of a response header, or NULL. */
const char *answer_header(struct answer answer, const char *name);

/** Where Link leads, such as to "next"; NULL where it does not. */
const char *answer_link(struct answer answer, const char *relation);

/** Follow `a.b.0.c` into the body; fails the test when there is nothing. */
const struct json *answer_node(struct answer answer, const char *path);
const char *answer_text(struct answer answer, const char *path);
int64_t answer_integer(struct answer answer, const char *path);
bool answer_boolean(struct answer answer, const char *path);
bool answer_is_null(struct answer answer, const char *path);
bool answer_has(struct answer answer, const char *path);

/** Of a list: how many rows, and the text that each has at `key`, in order, with spaces between. */
size_t answer_count(struct answer answer);
const char *answer_column(struct answer answer, const char *key);

/** `details` as "email format, password too_short", and `missing_fields` as "email password". */
const char *answer_faults(struct answer answer);
const char *answer_missing(struct answer answer);

/** Fail the test when an answer tells the tests' password, this key, or the hash of a password. */
void check_discretion(struct answer answer, const char *key);

/** Make a user straight in the database; the password is PASSWORD. Returns the id's text. */
const char *make_user(const char *email, unsigned role);

/** Try to log in. */
struct answer try_login(const char *email, const char *password);

/** Log in with PASSWORD and return the access token. */
const char *log_in(const char *email);

/** Write a post by API and return its id's text. */
const char *write_post(const char *token, const char *title, const char *content, bool published);

/** Run `body` in a process and with a connection of its own; wait_for() asserts that it ended
 *  well. */
pid_t run_aside(void (*body)(void *context), void *context);
void wait_for(pid_t pid);

/** Give the_app another connection, for a process that was forked. */
void loopback_again(void);

/** Run SQL on the test's database. */
void run_sql(const char *text);

/** The number that a query answers with, in a column called n. */
int64_t ask_number(const char *text);

/** Assert status, the words `error` and `code`, and that the form of a problem is whole. */
#define ck_problem(...) ck_problem_of(__VA_ARGS__) /* the three may be one name of refusals.h */
#define ck_problem_of(got_, status_, error_, code_)                                                \
    do {                                                                                           \
        struct answer seen_ = (got_);                                                              \
        ck_assert_msg(seen_.status == (status_), "status %d instead of %d: %s", seen_.status,      \
                      (status_), seen_.text);                                                      \
        ck_assert_str_eq(answer_text(seen_, "error"), error_);                                     \
        ck_assert_str_eq(answer_text(seen_, "code"), code_);                                       \
        ck_assert_int_gt((int)strlen(answer_text(seen_, "message")), 0);                           \
        ck_assert_str_eq(answer_text(seen_, "request_id"), answer_header(seen_, "X-Request-Id"));  \
    } while (0)

/** Assert the status of an answer, showing its body. */
#define ck_status(got_, status_)                                                                   \
    do {                                                                                           \
        struct answer seen_ = (got_);                                                              \
        ck_assert_msg(seen_.status == (status_), "status %d instead of %d: %s", seen_.status,      \
                      (status_), seen_.text);                                                      \
    } while (0)
