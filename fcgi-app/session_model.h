/* session_model.h -- logins in the database. */
#pragma once

#include "common/db.h"
#include "common/field.h"

struct session {
    struct uuid id;
    struct uuid user_id;
    struct instant created_at;
    struct instant last_used_at;
    struct instant expires_at;
    struct text ip;
    struct text user_agent;
};

/** Store `session` with the SHA-256 of its refresh token. A violation of fk_sessions_user
 *  (db_is_violation) when its user has gone meanwhile. */
struct problem *session_insert(struct db *db, struct arena *a, const struct session *session,
                               const unsigned char refresh_hash[32]) MUST_USE;

/** End all sessions of a user. */
struct problem *session_delete_all(struct db *db, struct arena *a, struct uuid user_id) MUST_USE;
