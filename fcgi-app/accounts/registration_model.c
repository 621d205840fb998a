#include "fcgi-app/accounts/registration_model.h"

#include "common/field/field.h"

static const struct sql sql_insert = {
    "INSERT INTO registrations (id, email, password_hash, first_name, last_name, created_at, "
    "expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
    NULL};
#define FIND                                                                                       \
    "SELECT id, email, password_hash, first_name, last_name FROM registrations "                   \
    "WHERE id = ? AND expires_at > ?"
static const struct sql sql_find = {FIND, &user_record};
static const struct sql sql_lock = {FIND " FOR UPDATE", &user_record};
static const struct sql sql_delete = {"DELETE FROM registrations WHERE id = ?", NULL};

struct problem *registration_insert(struct db *db, struct arena *a, const struct user *user,
                                    struct instant expires_at)
{
    return db_execute(db, a, &sql_insert,
                      DB_ARGS(db_uuid(user->id), db_text(user->email), db_text(user->password_hash),
                              db_text(user->first_name), db_text(user->last_name),
                              db_time(user->created_at), db_time(expires_at)),
                      NULL);
}

struct problem *registration_find(struct db *db, struct arena *a, struct uuid id,
                                  struct instant now, bool lock, struct user *ret, bool *ret_found)
{
    return db_find(db, a, lock ? &sql_lock : &sql_find, DB_ARGS(db_uuid(id), db_time(now)), ret,
                   ret_found);
}

struct problem *registration_delete(struct db *db, struct arena *a, struct uuid id)
{
    return db_execute(db, a, &sql_delete, DB_ARGS(db_uuid(id)), NULL);
}
