#include "session_model.h"

static const struct sql insert = {
    "INSERT INTO sessions (id, user_id, refresh_hash, created_at, last_used_at, expires_at, ip, "
    "user_agent) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    NULL};
static const struct sql delete_all = {"DELETE FROM sessions WHERE user_id = ?", NULL};

struct problem *session_insert(struct db *db, struct arena *a, const struct session *session,
                               const unsigned char refresh_hash[32])
{
    return db_execute(db, a, &insert,
                      DB_ARGS(db_uuid(session->id), db_uuid(session->user_id),
                              db_bytes(refresh_hash, 32), db_time(session->created_at),
                              db_time(session->last_used_at), db_time(session->expires_at),
                              db_text(session->ip), db_text(session->user_agent)),
                      NULL);
}

struct problem *session_delete_all(struct db *db, struct arena *a, struct uuid user_id)
{
    return db_execute(db, a, &delete_all, DB_ARGS(db_uuid(user_id)), NULL);
}
