/* user_model.h -- users in the database. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/db/counter.h"
#include "common/db/db.h"
#include "common/list/list.h"
#include "common/field/field.h"
#include "common/search/index.h"
#include "fcgi-app/accounts/session_model.h"

enum role { ROLE_USER, ROLE_ADMIN };

struct user {
    struct uuid id;
    struct text email;
    struct text password;      /* as it was sent; never stored, never shown */
    struct text password_hash; /* a PHC string; only where it is asked for */
    struct text decoy_hash;    /* another user's; likewise */
    struct text first_name;
    struct text last_name;
    unsigned role; /* enum role */
    bool is_active;
    bool email_verified; /* the mailbox has shown that it is theirs */
    /* What the address changes to when a token is used until then; null, and zero, without. */
    struct text pending_email;
    struct instant pending_until;
    bool invite; /* in place of a password, when a user is made; never stored */
    struct instant created_at;
    struct instant updated_at;
    int64_t version;        /* rises with every change; see user_seen_version() */
    struct uuid session_id; /* of the caller's token; only where it is asked for */
};

struct user_query {
    struct list_query list;
    unsigned role; /* enum role */
};

/* The filters of user_list. */
enum { USER_ROLE };

extern const struct list user_list;
extern const char *const user_role_words[]; /* of enum role, NULL at the end */

#define EMAIL_MAX 254 /* characters */

extern const struct format email_format, new_password_format;
extern const struct rule new_password_rule;
extern int64_t new_password_min; /* characters; what PASSWORD_MIN says, once an app is open */
extern const struct record user_record;         /* as an admin makes and anyone reads them */
extern const struct record public_user_record;  /* as others than admins read another */
extern const struct record registration_record; /* a struct user, as one makes oneself */
extern const struct record credentials_record;  /* a struct user, as one logs in */
extern const struct record user_query_record;
extern const struct counter user_counter;    /* by role; nobody owns a user */
extern const struct search_index user_index; /* by parts; its filter is the list's */
extern const struct problem_type problem_user_not_found, problem_email_exists,
    problem_invalid_email, problem_last_admin;

bool user_is_active_admin(const struct user *user);

/** Does the user wait for the token of a new address at `now`? */
bool user_has_pending(const struct user *user, struct instant now);

/**
 * The version that ETags are made of. Each is of one content: that a pending address lapses by
 * itself is a change that nobody writes, so the version that is stored with one has it counted in
 * already, and until then the one before is seen.
 */
int64_t user_seen_version(const struct user *user, struct instant now);

/** What somebody sees of a user: `ret` is a struct user, and written as the record that is
 * returned. Views that differ have versions that differ. For list.view. */
const struct record *user_view(const struct viewer *by, const void *user, void *ret);

/** Store `user` and count it. problem_email_exists when somebody has the address. In a transaction.
 */
struct problem *user_insert(struct db *db, struct arena *a, const struct user *user) MUST_USE;

/** problem_user_not_found when there is none. */
struct problem *user_find(struct db *db, struct arena *a, struct uuid id,
                          struct user *ret) MUST_USE;

/** Is there one? A locking read, which waits for whoever writes it. */
struct problem *user_exists_locked(struct db *db, struct arena *a, struct uuid id,
                                   bool *ret_yes) MUST_USE;

/** As user_find(), and keep others from writing the row until the transaction ends. */
struct problem *user_lock(struct db *db, struct arena *a, struct uuid id,
                          struct user *ret) MUST_USE;

/** By e-mail in any case, with the password's hash. */
struct problem *user_find_by_email(struct db *db, struct arena *a, struct text email,
                                   struct user *ret, bool *ret_found) MUST_USE;

/** As user_find_by_email(), in the same time whether there is one, and with the hash of whoever has
 * the first address from `from` on, in lower case: `decoy_hash`, null where nobody has. */
struct problem *user_find_for_login(struct db *db, struct arena *a, struct text email,
                                    struct text from, struct user *ret, bool *ret_found) MUST_USE;

/** As user_find_by_email() in a transaction, until the end of which nobody else writes the row. */
struct problem *user_share_by_email(struct db *db, struct arena *a, struct text email,
                                    struct user *ret, bool *ret_found) MUST_USE;

/** As user_find(), with the password's hash. */
struct problem *user_find_with_hash(struct db *db, struct arena *a, struct uuid id,
                                    struct user *ret) MUST_USE;

/** As user_find_with_hash(), and keep others from writing the row until the transaction ends. */
struct problem *user_lock_with_hash(struct db *db, struct arena *a, struct uuid id,
                                    struct user *ret) MUST_USE;

/** Find the user, and whether `session` is one of theirs that lives at `now`, in one statement.
 *  With `locked` nobody else writes either row until the transaction ends, and the hash of the
 *  password is read too. */
struct problem *user_find_with_session(struct db *db, struct arena *a, struct uuid id,
                                       struct uuid session, struct instant now, bool locked,
                                       struct user *ret, bool *ret_found,
                                       bool *ret_session_lives) MUST_USE;

/* The user and the session that a token names, for a statement: what it joins them by, and the
 * values. */
#define USER_SESSION                                                                               \
    "sessions ON sessions.id = ? AND sessions.user_id = users.id AND sessions.expires_at > ? "     \
    "AND sessions.last_used_at <= ? WHERE users.id = ? AND users.left_at IS NULL"
#define USER_SESSION_ARGS(user_, session_, now_)                                                   \
    db_uuid(session_), db_time(now_), db_time(instant_plus_s((now_), SESSION_AHEAD_S)),            \
        db_uuid(user_)

/* One row for a caller who may call, as caller_find() judges it; for writes that do so
 * themselves. */
#define USER_WHO_CALLS "users JOIN " USER_SESSION " AND users.is_active = 1"

/** Store the e-mail, whether it is verified, what it waits to change to, the names, role and
 *  activity of `user`, whose row is `before`. In a transaction. */
struct problem *user_update(struct db *db, struct arena *a, const struct user *before,
                            const struct user *user) MUST_USE;

/** Replace the hash `before` with another; `*ret_done` is false when it is no longer stored. What
 *  is shown of the user stays as it is. */
struct problem *user_replace_hash(struct db *db, struct arena *a, struct uuid id,
                                  struct text before, struct text hash, bool *ret_done) MUST_USE;

/** Let the user wait for no other address any more. */
struct problem *user_clear_pending(struct db *db, struct arena *a, struct uuid id) MUST_USE;

/* Of a user who is deleted, see departure.h; all in a transaction that holds it locked. */

/** Take it out of the totals. */
struct problem *user_uncount(struct db *db, struct arena *a, const struct user *user) MUST_USE;

/** Leave nothing of the row but its id, which no function here finds from then on. */
struct problem *user_hide(struct db *db, struct arena *a, struct uuid id,
                          struct instant now) MUST_USE;

/** Delete the row, to which no other may refer any more. */
struct problem *user_delete(struct db *db, struct arena *a, struct uuid id) MUST_USE;

/**
 * Meet, in a transaction, who on another node of a cluster stores what a user's password or address
 * has earned (a session, a token) or ends all of it: one of the two begins again. See turn.h.
 */
struct problem *user_take_turn(struct db *db, struct arena *a, struct uuid id) MUST_USE;

/** The same for who takes an active admin's rank away. */
struct problem *user_take_rank_turn(struct db *db, struct arena *a) MUST_USE;

/**
 * Is there an active admin other than `id`?
 *
 * To be called before `id` is locked, in the transaction that takes the rank of one away: it locks
 * all admins in one order, so that of two who would remove each other one waits, and is refused.
 */
struct problem *user_lock_other_admins(struct db *db, struct arena *a, struct uuid id,
                                       bool *ret_any) MUST_USE;
