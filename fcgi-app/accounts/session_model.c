#include "fcgi-app/accounts/session_model.h"

#include "common/base/problem.h"
#include "common/db/counter.h"
#include "common/list/list.h"
#include "fcgi-app/accounts/user_model.h"

#define DELETED_AT_ONCE 500 /* rows */

const struct problem_type problem_session_not_found = {
    404, "Session not found", "session_not_found", "There is no such session of this user."};

static const struct field session_fields[] = {
    FIELD(struct session, id, .use = FIELD_SHOWN, .doc = "The session's id."),
    FIELD(struct session, user_id, .doc = "Whose it is."),
    FIELD(struct session, refresh_hash, .doc = "SHA-256 of the refresh token."),
    FIELD(struct session, created_at, .use = FIELD_SHOWN, .doc = "When the login was."),
    FIELD(struct session, last_used_at, .use = FIELD_SHOWN,
          .doc = "When the last login or refresh was."),
    FIELD(struct session, expires_at, .doc = "When it ends unless it is used."),
    FIELD(struct session, ip, .use = FIELD_SHOWN | FIELD_NULLABLE, .example = "192.0.2.1",
          .doc = "The address that logged in."),
    FIELD(struct session, user_agent, .use = FIELD_SHOWN | FIELD_NULLABLE, .example = "curl/7.88.1",
          .doc = "The program that logged in."),
    FIELD(struct session, email, .doc = "The address of its user."),
    FIELD(struct session, current, .use = FIELD_SHOWN, .example = "true",
          .doc = "Whether it is the one that asks."),
};

const struct record session_record =
    RECORD("Session", struct session, session_fields, .rule = NULL);

static const struct sql sql_insert = {
    "INSERT INTO sessions (id, user_id, refresh_hash, created_at, last_used_at, expires_at, ip, "
    "user_agent) SELECT ?, id, ?, ?, ?, ?, ?, ? FROM users WHERE id = ? AND left_at IS NULL "
    "LOCK IN SHARE MODE",
    NULL};
/* At a time, and SESSION_AHEAD_S later: see LIVES_ARGS. */
#define LIVES "expires_at > ? AND last_used_at <= ?"
#define LIVES_ARGS(now_) db_time(now_), db_time(instant_plus_s((now_), SESSION_AHEAD_S))
static const struct sql sql_lock = {
    "SELECT id, user_id, refresh_hash, created_at, last_used_at, expires_at FROM sessions "
    "WHERE id = ? AND " LIVES
    " AND NOT EXISTS (SELECT 1 FROM user_departures WHERE user_departures.user_id = "
    "sessions.user_id) FOR UPDATE",
    &session_record};
static const struct sql sql_note_use = {
    "INSERT INTO session_refreshes (hash, session_id, used_at) VALUES (?, ?, ?)", NULL};
static const struct sql sql_forget_uses = {
    "DELETE FROM session_refreshes WHERE session_id = ? AND (used_at < ? OR used_at > ?)", NULL};
static const struct sql sql_rotate = {
    "UPDATE sessions SET refresh_hash = ?, last_used_at = ?, expires_at = ? WHERE id = ?", NULL};
static const struct sql sql_find_use = {
    "SELECT COUNT(*) AS n FROM session_refreshes "
    "WHERE hash = ? AND session_id = ? AND used_at BETWEEN ? AND ?",
    &counted_record};
static const struct sql sql_delete = {
    "DELETE FROM sessions WHERE id = ? AND user_id = ? AND " LIVES, NULL};
/* The newest of a user. Used tokens come first: they would go with their session, however many they
 * are. The indexes are forced, for there may be many. */
#define NEWEST                                                                                     \
    "(SELECT id FROM sessions FORCE INDEX (ix_sessions_user) WHERE user_id = ? AND id <> ? "       \
    "ORDER BY created_at DESC, id DESC LIMIT ?) AS newest"
static const struct sql sql_delete_newest_uses = {
    "DELETE session_refreshes FROM (SELECT hash FROM " NEWEST " STRAIGHT_JOIN session_refreshes "
    "FORCE INDEX (ix_session_refreshes_session) ON session_id = newest.id LIMIT ?) AS used "
    "STRAIGHT_JOIN session_refreshes ON session_refreshes.hash = used.hash",
    NULL};
static const struct sql sql_delete_newest = {
    "DELETE sessions FROM " NEWEST " STRAIGHT_JOIN sessions ON sessions.id = newest.id", NULL};
#define WALK_COLUMNS                                                                               \
    "sessions.id, sessions.user_id, users.email, sessions.created_at, sessions.last_used_at, "     \
    "sessions.expires_at, sessions.ip, sessions.user_agent"
static const struct sql sql_walk_all = {
    "SELECT " WALK_COLUMNS " FROM sessions FORCE INDEX (PRIMARY) STRAIGHT_JOIN users "
    "ON users.id = sessions.user_id WHERE sessions.id > ? AND " LIVES
    " AND users.left_at IS NULL ORDER BY sessions.id LIMIT ?",
    &session_record};
static const struct sql sql_walk_one = {
    "SELECT " WALK_COLUMNS " FROM sessions FORCE INDEX (ix_sessions_user) STRAIGHT_JOIN users "
    "ON users.id = sessions.user_id WHERE sessions.user_id = ? AND sessions.id > ? AND " LIVES
    " AND users.left_at IS NULL "
    "ORDER BY sessions.id LIMIT ?",
    &session_record};
static const struct sql sql_newest = {"SELECT id, ip FROM sessions ORDER BY id DESC LIMIT ?",
                                      &session_record};
#define DIGITS_OF(number_) #number_
#define DIGITS(number_) DIGITS_OF(number_)
/* No index has them by their last use, which each refresh changes; of a user there are few. */
static const struct sql sql_find_excess = {
    "SELECT id FROM (SELECT id, last_used_at, expires_at FROM sessions "
    "FORCE INDEX (ix_sessions_user) WHERE user_id = ? ORDER BY created_at DESC, id DESC "
    "LIMIT " DIGITS(SESSIONS_LOOKED_AT) ") AS newest WHERE id <> ? AND " LIVES
                                        " ORDER BY last_used_at DESC, id DESC LIMIT ?, " DIGITS(
                                            SESSIONS_ENDED),
    &session_record};
static const struct sql sql_end = {"DELETE FROM sessions WHERE id = ?", NULL};
static const struct sql sql_purge = {
    "DELETE FROM sessions WHERE expires_at <= ? ORDER BY expires_at LIMIT 5", NULL};

struct problem *session_insert(struct db *db, struct arena *a, const struct session *session,
                               const unsigned char refresh_hash[32])
{
    uint64_t inserted = 0;
    struct problem *p = db_execute(
        db, a, &sql_insert,
        DB_ARGS(db_uuid(session->id), db_bytes(refresh_hash, 32), db_time(session->created_at),
                db_time(session->last_used_at), db_time(session->expires_at), db_text(session->ip),
                db_text(session->user_agent), db_uuid(session->user_id)),
        &inserted);
    if (!p && !inserted) { /* as if the row of the user were gone already */
        p = problem_because(a, &problem_internal, "the user of a new session is gone");
        p->constraint = "fk_sessions_user";
    }
    return p ? p : user_take_turn(db, a, session->user_id);
}

struct problem *session_lock(struct db *db, struct arena *a, struct uuid id, struct instant now,
                             struct session *ret, bool *ret_found)
{
    return db_find(db, a, &sql_lock, DB_ARGS(db_uuid(id), LIVES_ARGS(now)), ret, ret_found);
}

struct problem *session_rotate(struct db *db, struct arena *a, const struct session *session,
                               const unsigned char new_hash[32], struct instant now,
                               struct instant expires_at, struct span keep)
{
    struct problem *p =
        db_execute(db, a, &sql_forget_uses,
                   DB_ARGS(db_uuid(session->id), db_time(keep.from), db_time(keep.to)), NULL);
    if (!p)
        p = db_execute(db, a, &sql_note_use,
                       DB_ARGS(db_bytes(session->refresh_hash.data, session->refresh_hash.len),
                               db_uuid(session->id), db_time(now)),
                       NULL);
    if (!p)
        p = db_execute(db, a, &sql_rotate,
                       DB_ARGS(db_bytes(new_hash, 32), db_time(now), db_time(expires_at),
                               db_uuid(session->id)),
                       NULL);
    return p;
}

struct problem *session_was_refreshed(struct db *db, struct arena *a, struct uuid id,
                                      const unsigned char hash[32], struct span when, bool *ret_yes)
{
    int64_t n = 0;
    struct problem *p = count_read(
        db, a, &sql_find_use,
        DB_ARGS(db_bytes(hash, 32), db_uuid(id), db_time(when.from), db_time(when.to)), &n);
    if (!p)
        *ret_yes = n > 0;
    return p;
}

struct problem *session_delete(struct db *db, struct arena *a, struct uuid user_id, struct uuid id,
                               struct instant now)
{
    uint64_t matched = 0;
    struct problem *p = db_execute(
        db, a, &sql_delete, DB_ARGS(db_uuid(id), db_uuid(user_id), LIVES_ARGS(now)), &matched);
    if (!p && !matched)
        p = problem(a, &problem_session_not_found, NULL);
    return p;
}

static struct problem *delete_some(struct db *db, struct arena *a, struct uuid user_id,
                                   struct uuid keep, int64_t limit, uint64_t *ret_deleted)
{
    const struct db_arg user = db_uuid(user_id), but = db_uuid(keep), most = db_integer(limit);
    uint64_t uses = 0, sessions = 0;
    struct problem *p =
        db_execute(db, a, &sql_delete_newest_uses, DB_ARGS(user, but, most, most), &uses);
    if (!p && (int64_t)uses < limit)
        p = db_execute(db, a, &sql_delete_newest,
                       DB_ARGS(user, but, db_integer(limit - (int64_t)uses)), &sessions);
    if (!p)
        *ret_deleted = uses + sessions;
    return p;
}

/* In batches, so that no statement takes longer the more there are. */
struct problem *session_delete_all(struct db *db, struct arena *a, struct uuid user_id,
                                   struct uuid keep)
{
    uint64_t deleted = DELETED_AT_ONCE;
    struct problem *p = NULL;
    while (!p && deleted == DELETED_AT_ONCE)
        p = delete_some(db, a, user_id, keep, DELETED_AT_ONCE, &deleted);
    return p ? p : user_take_turn(db, a, user_id);
}

struct problem *session_delete_newest(struct db *db, struct arena *a, struct uuid user_id,
                                      int64_t limit, uint64_t *ret_deleted)
{
    return delete_some(db, a, user_id, (struct uuid){{0}}, limit, ret_deleted);
}

struct excess {
    struct uuid ids[SESSIONS_ENDED];
    size_t count;
};

static void note_excess(void *context, const void *session)
{
    struct excess *excess = context;
    excess->ids[excess->count++] = ((const struct session *)session)->id;
}

struct problem *session_end_excess(struct db *db, struct arena *a, struct uuid user_id,
                                   struct uuid keep, int64_t max, struct instant now)
{
    struct excess excess = {.count = 0};
    struct problem *p =
        db_each(db, a, &sql_find_excess,
                DB_ARGS(db_uuid(user_id), db_uuid(keep), LIVES_ARGS(now), db_integer(max - 1)),
                note_excess, &excess);
    for (size_t i = 0; !p && i < excess.count; i++)
        p = db_execute(db, a, &sql_end, DB_ARGS(db_uuid(excess.ids[i])), NULL);
    return p;
}

static const char *const session_sorts[] = {"-created_at", NULL};
static const struct list_key session_keys[] = {{.name = "created_at"}};
static const struct list_path session_paths[] = {{0, 1U << SESSION_USER, "ix_sessions_user"}, {0}};

const struct list session_list = {
    .table = "sessions",
    .columns = "id, created_at, last_used_at, ip, user_agent, id = ? AS current",
    .row = &session_record,
    .sorts = session_sorts,
    .filters = {[SESSION_USER] = {.column = "user_id"}},
    .keys = session_keys,
    .paths = session_paths,
    .shown = {.condition = LIVES, .columns = "expires_at, last_used_at"},
};

struct list_scope session_scope(struct uuid user_id, struct uuid current, struct instant now)
{
    struct list_scope scope = {.column_args = {db_uuid(current)},
                               .column_arg_count = 1,
                               .shown_args = {LIVES_ARGS(now)},
                               .shown_arg_count = 2};
    list_filter_by(&scope, SESSION_USER, db_uuid(user_id));
    return scope;
}

struct problem *session_walk(struct db *db, struct arena *a, const struct uuid *user_id,
                             struct instant now, struct uuid after, int64_t limit,
                             void (*each)(void *context, const void *session), void *context)
{
    const struct db_arg from = db_uuid(after), rows = db_integer(limit);
    if (!user_id)
        return db_each(db, a, &sql_walk_all, DB_ARGS(from, LIVES_ARGS(now), rows), each, context);
    return db_each(db, a, &sql_walk_one, DB_ARGS(db_uuid(*user_id), from, LIVES_ARGS(now), rows),
                   each, context);
}

struct problem *session_newest(struct db *db, struct arena *a, int64_t limit,
                               void (*each)(void *context, const void *session), void *context)
{
    return db_each(db, a, &sql_newest, DB_ARGS(db_integer(limit)), each, context);
}

struct problem *session_purge(struct db *db, struct arena *a, struct instant now)
{
    return db_execute(db, a, &sql_purge, DB_ARGS(db_time(now)), NULL);
}
