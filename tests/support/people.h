/* people.h -- who is there when a test begins: users, their sessions and tokens; and how many. */
#pragma once

#include "fcgi-app/posts/post_model.h"
#include "tests/support/loopback.h"

#define NIL_ID "00000000-0000-0000-0000-000000000000" /* of totals of all owners */

/* What a login gives: two tokens. */
struct login {
    const char *access, *refresh;
    const char *session; /* its id; NULL after login_of(), for the answer does not tell it */
};

/** The id that `text` is; fails the test where it is none. */
struct uuid id_of(const char *text);

/** Make a user as make_user() does, who is disabled then. */
const char *make_disabled_user(const char *email, unsigned role);

/** Begin a session of a user of make_user(), a little later than the one before: what a login
 *  does, without the time that a password takes. */
struct login enter(const char *email);

/** Make a user and enter(). */
struct login enter_new(const char *email, unsigned role);

/** The access tokens of enter() and enter_new(). */
const char *bearer_of(const char *email);
const char *bearer_of_new(const char *email, unsigned role);

/** The tokens in the answer to a login or a refresh, which must be 200. */
struct login login_of(struct answer answer);

/** Ask for new tokens. */
struct answer refresh(const char *token);

/** Assert that this access token is good, or that neither token is any more. */
void ck_alive(const char *access);
void ck_ended(const struct login *login);

/** Let so much time pass. */
void pass_s(int64_t seconds);

/** How many rows "TABLE WHERE …" has. */
int64_t rows_in(const char *from);
#define ck_rows(from_, n_) ck_assert_int_eq(rows_in(from_), (n_))

/** How many are kept as the total of an owner, or of all with NULL, of the kinds from `lowest`. */
int64_t total_kept(const struct counter *counter, const char *owner, unsigned lowest,
                   unsigned highest);

/** Assert that every total is what counting gives, of each owner and of all. */
void ck_kept(void);

/** Count all again, as `postern reindex` does. */
void count_again(void);

/** The total that a list tells. */
int64_t answer_total(struct answer answer);

/** Run a function in a transaction of the test's database; fails the test if there is a problem. */
void in_transaction(struct problem *(*body)(void *context), void *context);
