#include "fcgi-app/accounts/reset_model.h"

static const struct sql sql_insert = {
    "INSERT INTO password_resets (token_hash, user_id, expires_at) VALUES (?, ?, ?)", NULL};
/* At a time, and when the latest that was made then expires. */
#define GOOD "expires_at > ? AND expires_at <= ?"
#define GOOD_ARGS(now_) db_time(now_), db_time(instant_plus_s((now_), RESET_TTL_S + CLOCK_LEEWAY_S))
#define EXPIRED "(expires_at <= ? OR expires_at > ?)"
static const struct sql sql_find = {"SELECT users.id, users.email FROM password_resets JOIN users "
                                    "ON users.id = password_resets.user_id "
                                    "WHERE token_hash = ? AND " GOOD " AND users.is_active = 1",
                                    &user_record};
static const struct sql sql_use = {"DELETE FROM password_resets WHERE token_hash = ? AND " GOOD,
                                   NULL};
static const struct sql sql_delete_all = {"DELETE FROM password_resets WHERE user_id = ?", NULL};
static const struct sql sql_delete_some = {"DELETE FROM password_resets WHERE user_id = ? LIMIT ?",
                                           NULL};
static const struct sql sql_purge = {
    "DELETE FROM password_resets WHERE " EXPIRED " ORDER BY expires_at LIMIT 5", NULL};

struct problem *reset_insert(struct db *db, struct arena *a, const unsigned char token_hash[32],
                             struct uuid user_id, struct instant expires_at)
{
    struct problem *p =
        db_execute(db, a, &sql_insert,
                   DB_ARGS(db_bytes(token_hash, 32), db_uuid(user_id), db_time(expires_at)), NULL);
    return p ? p : user_take_turn(db, a, user_id);
}

struct problem *reset_find(struct db *db, struct arena *a, const unsigned char token_hash[32],
                           struct instant now, struct user *ret, bool *ret_found)
{
    return db_find(db, a, &sql_find, DB_ARGS(db_bytes(token_hash, 32), GOOD_ARGS(now)), ret,
                   ret_found);
}

struct problem *reset_use(struct db *db, struct arena *a, const unsigned char token_hash[32],
                          struct instant now, bool *ret_used)
{
    uint64_t matched = 0;
    struct problem *p =
        db_execute(db, a, &sql_use, DB_ARGS(db_bytes(token_hash, 32), GOOD_ARGS(now)), &matched);
    if (!p)
        *ret_used = matched > 0;
    return p;
}

struct problem *reset_delete_all(struct db *db, struct arena *a, struct uuid user_id)
{
    struct problem *p = db_execute(db, a, &sql_delete_all, DB_ARGS(db_uuid(user_id)), NULL);
    return p ? p : user_take_turn(db, a, user_id);
}

struct problem *reset_delete_some(struct db *db, struct arena *a, struct uuid user_id,
                                  int64_t limit, uint64_t *ret_deleted)
{
    return db_execute(db, a, &sql_delete_some, DB_ARGS(db_uuid(user_id), db_integer(limit)),
                      ret_deleted);
}

struct problem *reset_purge(struct db *db, struct arena *a, struct instant now)
{
    return db_execute(db, a, &sql_purge, DB_ARGS(GOOD_ARGS(now)), NULL);
}
