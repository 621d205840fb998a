/* session_model.h -- logins in the database. */
#pragma once

#include "common/db/db.h"
#include "common/list/list.h"
#include "common/field/field.h"

struct session {
    struct uuid id;
    struct uuid user_id;
    struct text refresh_hash; /* 32 bytes; only where it is asked for */
    struct instant created_at;
    struct instant last_used_at;
    struct instant expires_at;
    struct text ip;
    struct text user_agent;
    struct text email; /* of its user; only where it is asked for */
    bool current;      /* the caller's own; only in lists */
};

extern const struct record session_record;
extern const struct problem_type problem_session_not_found;

/** Store `session` with the SHA-256 of its refresh token. A violation of fk_sessions_user
 *  (db_is_violation) when its user has gone meanwhile. */
struct problem *session_insert(struct db *db, struct arena *a, const struct session *session,
                               const unsigned char refresh_hash[32]) MUST_USE;

/* A session lives until it expires. One that was last used more than this after now comes from a
 * clock that was wrong, and would live longer by as much, so it does not live. */
#define SESSION_AHEAD_S (24 * 60 * 60)

/** Find a session that lives at `now`, with the hash of its token, and lock it. */
struct problem *session_lock(struct db *db, struct arena *a, struct uuid id, struct instant now,
                             struct session *ret, bool *ret_found) MUST_USE;

/** Put `new_hash` in the place of the token in `session`, which is kept as used at `now`; tokens
 *  that were not used within `keep` are dropped. In a transaction that holds the session locked. */
struct problem *session_rotate(struct db *db, struct arena *a, const struct session *session,
                               const unsigned char new_hash[32], struct instant now,
                               struct instant expires_at, struct span keep) MUST_USE;

/** Was a token of this session with this hash used within `when`? */
struct problem *session_was_refreshed(struct db *db, struct arena *a, struct uuid id,
                                      const unsigned char hash[32], struct span when,
                                      bool *ret_yes) MUST_USE;

/** Call `each(context, session)` for up to `limit` sessions that live at `now`, of one user or with
 *  NULL of all, in the order of their ids after `after`; with their users' e-mails. */
struct problem *session_walk(struct db *db, struct arena *a, const struct uuid *user_id,
                             struct instant now, struct uuid after, int64_t limit,
                             void (*each)(void *context, const void *session),
                             void *context) MUST_USE;

/** Call `each(context, session)` for the newest sessions by their ids, `limit` at most, with their
 *  ids and addresses. */
struct problem *session_newest(struct db *db, struct arena *a, int64_t limit,
                               void (*each)(void *context, const void *session),
                               void *context) MUST_USE;

/** End one session of a user. problem_session_not_found when there is none that lives at `now`. */
struct problem *session_delete(struct db *db, struct arena *a, struct uuid user_id, struct uuid id,
                               struct instant now) MUST_USE;

/** End all sessions of a user, but `keep` if it is not nil. */
struct problem *session_delete_all(struct db *db, struct arena *a, struct uuid user_id,
                                   struct uuid keep) MUST_USE;

/** Delete up to `limit` sessions and used tokens of a user, the newest first; fewer are deleted
 * only where no more were left. In a transaction. */
struct problem *session_delete_newest(struct db *db, struct arena *a, struct uuid user_id,
                                      int64_t limit, uint64_t *ret_deleted) MUST_USE;

/**
 * Of a user's sessions that live at `now`, end those beyond `max`, which are those that were used
 * longest ago; `keep` counts, and is none of them. In a transaction that holds the user's row for
 * writing, so that no other login comes between.
 *
 * It looks at the newest SESSIONS_LOOKED_AT and ends SESSIONS_ENDED at most, so that a login costs
 * no more where very many are there from before there was a bound; the next logins go on.
 */
struct problem *session_end_excess(struct db *db, struct arena *a, struct uuid user_id,
                                   struct uuid keep, int64_t max, struct instant now) MUST_USE;
#define SESSIONS_LOOKED_AT 1000
#define SESSIONS_ENDED 100

/* The filter of session_list. */
enum { SESSION_USER };

extern const struct list session_list;

/** A user's sessions that live at `now`, with `current` set for the one that is. */
struct list_scope session_scope(struct uuid user_id, struct uuid current, struct instant now);

/** Delete a few sessions that have expired. */
struct problem *session_purge(struct db *db, struct arena *a, struct instant now) MUST_USE;
