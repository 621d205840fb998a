#include "fcgi-app/accounts/user_model.h"

#include <ctype.h>
#include <regex.h>
#include <string.h>
#include <strings.h>

#include "common/base/exhausted.h"
#include "common/base/fold.h"
#include "common/base/problem.h"
#include "common/db/counter.h"
#include "common/db/turn.h"
#include "common/list/list.h"
#include "fcgi-app/accounts/common_passwords.h"

const struct problem_type problem_user_not_found = {404, "User not found", "user_not_found",
                                                    "There is no user with this id."};
const struct problem_type problem_email_exists = {409, "Email already exists", "email_exists",
                                                  "Somebody has registered this e-mail address."};
const struct problem_type problem_invalid_email = {400, "Invalid email format", "invalid_email",
                                                   "The e-mail address is not of a valid form."};
const struct problem_type problem_last_admin = {
    409, "Last active admin", "last_admin",
    "There must be one active admin; make another one first."};

/* ---- fields ---- */

/* The HTML standard's pattern for <input type=email>, with at least one dot in the domain. */
#define EMAIL_LABEL "[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
#define EMAIL_PATTERN "^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@" EMAIL_LABEL "(\\." EMAIL_LABEL ")+$"

static bool is_email(struct text t)
{
    static regex_t pattern;
    static bool compiled;
    if (!compiled && regcomp(&pattern, EMAIL_PATTERN, REG_EXTENDED | REG_NOSUB) != 0)
        exhausted("out of memory: regcomp");
    compiled = true;
    int rc = t.len <= EMAIL_MAX ? regexec(&pattern, t.data, 0, NULL, 0) : REG_NOMATCH;
    if (rc != 0 && rc != REG_NOMATCH) /* an address that is right must not be called wrong */
        exhausted("out of memory: regexec");
    return rc == 0;
}

const struct format email_format = {
    .name = "email",
    .pattern = EMAIL_PATTERN,
    .valid = is_email,
    .code = FAULT_FORMAT,
    .message = "Must be an e-mail address.",
    .problem = &problem_invalid_email,
};

int64_t new_password_min = 8;

static bool same_letters(const char *word, struct text t)
{
    return strlen(word) == t.len && strncasecmp(word, t.data, t.len) == 0;
}

static bool is_uncommon(struct text t)
{
    if (strspn(t.data, (const char[]){*t.data, '\0'}) == t.len)
        return false; /* one character, repeated */
    for (size_t i = 0; i < sizeof common_passwords / sizeof *common_passwords; i++)
        if (same_letters(common_passwords[i], t))
            return false;
    return true;
}

const struct format new_password_format = {
    .name = "password",
    .valid = is_uncommon,
    .code = FAULT_COMMON,
    .message = "Is among the commonest passwords.",
};

static bool password_is_email(const void *row)
{
    const struct user *user = row;
    return user->password.data && user->email.data &&
           same_letters(user->email.data, user->password);
}

const struct rule new_password_rule = {
    .field = "password",
    .broken = password_is_email,
    .code = FAULT_COMMON,
    .message = "Must not be the e-mail address.",
};

const char *const user_role_words[] = {"user", "admin", NULL};

/* These fields are in more than one table, with a different `use` in each. The examples tell one
 * story: Ada registers, an admin makes Grace. */
#define EMAIL(use_, ...)                                                                           \
    FIELD(struct user, email, .use = (use_), .max = EMAIL_MAX, .format = &email_format,            \
          .example = "ada@example.org", .doc = "Unique, compared without regard to case.",         \
          __VA_ARGS__)
#define NEW_PASSWORD(use_, ...)                                                                    \
    FIELD(struct user, password, .use = (use_), .min_at = &new_password_min, .max = 128,           \
          .format = &new_password_format, .example = "engine of numbers",                          \
          .doc = "Not among the commonest, not the e-mail.", __VA_ARGS__)
#define FIRST_NAME(use_, ...)                                                                      \
    FIELD(struct user, first_name, .use = (use_) | FIELD_NULLABLE, .min = 1, .max = 100,           \
          .example = "Ada", .doc = "The given name.", __VA_ARGS__)
#define LAST_NAME(use_, ...)                                                                       \
    FIELD(struct user, last_name, .use = (use_) | FIELD_NULLABLE, .min = 1, .max = 100,            \
          .example = "Lovelace", .doc = "The family name.", __VA_ARGS__)

static const struct field user_fields[] = {
    FIELD(struct user, id, .use = FIELD_SHOWN, .doc = "The user's id."),
    EMAIL(FIELD_SHOWN | FIELD_REQUIRED | FIELD_ADMIN_CHANGE | FIELD_NOT_OWN,
          .new_example = "grace@example.org"),
    NEW_PASSWORD(FIELD_REQUIRED, .new_example = "nanoseconds of wire", .unless = "invite"),
    FIELD(struct user, password_hash, .doc = "What is stored of the password."),
    FIELD(struct user, decoy_hash, .doc = "What is stored of another user's."),
    FIRST_NAME(FIELD_SHOWN | FIELD_REQUIRED | FIELD_CHANGE, .new_example = "Grace"),
    LAST_NAME(FIELD_SHOWN | FIELD_CREATE | FIELD_CHANGE, .new_example = "Hopper"),
    FIELD(struct user, role, .use = FIELD_SHOWN | FIELD_CREATE | FIELD_ADMIN_CHANGE,
          .choices = user_role_words, .default_value = "user", .example = "user",
          .doc = "What the user may do."),
    FIELD(struct user, is_active,
          .use = FIELD_SHOWN | FIELD_PRIVATE | FIELD_CREATE | FIELD_ADMIN_CHANGE,
          .default_value = "true", .example = "true", .doc = "Whether the user may log in."),
    FIELD(struct user, email_verified, .use = FIELD_SHOWN | FIELD_PRIVATE, .example = "true",
          .doc = "Whether the mailbox has shown that it is theirs."),
    FIELD(struct user, pending_email, .use = FIELD_SHOWN | FIELD_PRIVATE | FIELD_NULLABLE,
          .doc = "The address that a token was mailed to, and that becomes theirs by it."),
    FIELD(struct user, pending_until, .doc = "Until when that token is good."),
    FIELD(struct user, invite, .use = FIELD_CREATE, .default_value = "false",
          .doc = "In place of a password: mail a token to choose one with, good for 7 days."),
    FIELD(struct user, created_at, .use = FIELD_SHOWN, .doc = "When the account was made."),
    FIELD(struct user, updated_at, .use = FIELD_SHOWN, .doc = "When it was changed last."),
    FIELD(struct user, version, .use = FIELD_VERSION, .doc = "Rises with every change."),
    FIELD(struct user, session_id, .doc = "The session that the caller's token names."),
};

static const struct field registration_fields[] = {
    EMAIL(FIELD_REQUIRED, .new_example = NULL),
    NEW_PASSWORD(FIELD_REQUIRED, .new_example = NULL),
    FIRST_NAME(FIELD_CREATE, .new_example = NULL),
    LAST_NAME(FIELD_CREATE, .new_example = NULL),
};

static const struct field credentials_fields[] = {
    FIELD(struct user, email, .use = FIELD_REQUIRED | FIELD_NOT_EMPTY, .example = "ada@example.org",
          .doc = "The address of the account."),
    FIELD(struct user, password, .use = FIELD_REQUIRED | FIELD_NOT_EMPTY | FIELD_BYTES, .max = 1024,
          .example = "engine of numbers", .doc = "The password of the account."),
};

static const char *const user_sorts[] = {"created_at", "-created_at", "email", "-email", NULL};

static const struct field user_query_fields[] = {
    LIST_FIELDS,
    LIST_RANGE_FIELDS,
    FIELD(struct list_query, q, .max = 200,
          .doc = "Only users with this in the e-mail or the first name, in any case."),
    FIELD(struct user_query, role, .choices = user_role_words, .doc = "Only users of this role."),
    FIELD(struct list_query, sort, .choices = user_sorts, .default_value = "created_at",
          .doc = "The order; a leading minus reverses it."),
};

const struct record user_record =
    RECORD("User", struct user, user_fields, .rule = &new_password_rule);
const struct record public_user_record =
    RECORD("User", struct user, user_fields, .rule = &new_password_rule, .hidden = FIELD_PRIVATE);
const struct record registration_record =
    RECORD("Registration", struct user, registration_fields, .rule = &new_password_rule);
const struct record credentials_record =
    RECORD("Credentials", struct user, credentials_fields, .rule = NULL);
const struct record user_query_record =
    RECORD("UserQuery", struct user_query, user_query_fields, .rule = NULL);

/* ---- statements ---- */

#define COLUMNS                                                                                    \
    "users.id, users.email, users.first_name, users.last_name, users.role, users.is_active, "      \
    "users.email_verified, users.pending_email, users.pending_until, users.created_at, "           \
    "users.updated_at, users.version"

/* A deleted user exists for nobody, though the row may stay for a while; see departure.h. The row
 * itself says so, so that a locking read sees it too. */
#define IS_THERE "users.left_at IS NULL"

static const struct sql sql_insert = {
    "INSERT INTO users (id, email, password_hash, first_name, last_name, role, is_active, "
    "email_verified, created_at, updated_at, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    NULL};
static const struct sql sql_find = {"SELECT " COLUMNS " FROM users WHERE id = ? AND " IS_THERE,
                                    &user_record};
static const struct sql sql_lock = {
    "SELECT " COLUMNS " FROM users WHERE id = ? AND " IS_THERE " FOR UPDATE", &user_record};
static const struct sql sql_find_by_email = {
    "SELECT " COLUMNS ", password_hash FROM users WHERE email_folded = ? AND " IS_THERE,
    &user_record};
static const struct sql sql_share_by_email = {
    "SELECT " COLUMNS ", password_hash FROM users WHERE email_folded = ? AND " IS_THERE
    " LOCK IN SHARE MODE",
    &user_record};
static const struct sql sql_update = {
    "UPDATE users SET email = ?, first_name = ?, last_name = ?, role = ?, is_active = ?, "
    "email_verified = ?, pending_email = ?, pending_until = ?, updated_at = ?, version = ? "
    "WHERE id = ?",
    NULL};
static const struct sql sql_clear_pending = {
    "UPDATE users SET pending_email = NULL, pending_until = NULL, version = version + 1 "
    "WHERE id = ? AND pending_email IS NOT NULL",
    NULL};
static const struct sql sql_find_with_hash = {
    "SELECT " COLUMNS ", password_hash FROM users WHERE id = ? AND " IS_THERE, &user_record};
/* One row, whether there is the user or not, nor another. */
static const struct sql sql_find_for_login = {
    "SELECT " COLUMNS ", password_hash, decoy_hash FROM (SELECT (SELECT password_hash FROM users "
    "WHERE email_folded >= ? AND " IS_THERE " ORDER BY email_folded LIMIT 1) AS decoy_hash) "
    "AS others LEFT JOIN users ON email_folded = ? AND " IS_THERE,
    &user_record};
static const struct sql sql_replace_hash = {
    "UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?", NULL};
static const struct sql sql_delete = {"DELETE FROM users WHERE id = ?", NULL};
static const struct sql sql_lock_with_hash = {
    "SELECT " COLUMNS ", password_hash FROM users WHERE id = ? AND " IS_THERE " FOR UPDATE",
    &user_record};
/* An id is no address, so it collides with nobody's. */
static const struct sql sql_hide = {
    "UPDATE users SET email = CAST(id AS CHAR), password_hash = '', first_name = NULL, "
    "last_name = NULL, role = 'user', is_active = 0, pending_email = NULL, pending_until = NULL, "
    "updated_at = ?, version = version + 1, left_at = ? WHERE id = ?",
    NULL};
#define WITH_SESSION "sessions.id AS session_id FROM users LEFT JOIN " USER_SESSION
static const struct sql sql_find_with_session = {"SELECT " COLUMNS ", " WITH_SESSION, &user_record};
static const struct sql sql_share_with_session = {
    "SELECT " COLUMNS ", password_hash, " WITH_SESSION " LOCK IN SHARE MODE", &user_record};
/* In the order of the index, so that all who lock the admins do so in one order. */
static const struct sql sql_lock_admins = {
    "SELECT " COLUMNS " FROM users FORCE INDEX (ix_users_role_active) "
    "WHERE role = 'admin' AND is_active = 1 ORDER BY id FOR UPDATE",
    &user_record};
/* A list's totals are those of the roles; see counter.h. */
const struct counter user_counter = {
    .number = 1, .table = "users", .kind = "role + 0 - 1", .where = IS_THERE};

/* ---- one user ---- */

static const struct uuid nobody; /* users are nobody's */

bool user_is_active_admin(const struct user *user)
{
    return user->is_active && user->role == ROLE_ADMIN;
}

bool user_has_pending(const struct user *user, struct instant now)
{
    return user->pending_email.data && user->pending_until.us > now.us;
}

int64_t user_seen_version(const struct user *user, struct instant now)
{
    return user->version - user_has_pending(user, now);
}

/* Others count downwards, so that no ETag of theirs is one of the user's. */
const struct record *user_view(const struct viewer *by, const void *user, void *ret)
{
    struct user *seen = ret;
    *seen = *(const struct user *)user;
    seen->version = user_seen_version(user, by->now);
    if (!user_has_pending(user, by->now))
        seen->pending_email = (struct text){0};
    if (by->admin || uuid_equal(&by->id, &seen->id))
        return &user_record;
    seen->version = -seen->version;
    return &public_user_record;
}

static struct problem *or_email_exists(struct arena *a, struct problem *p)
{
    return db_is_violation(p, "uq_users_email") ? problem(a, &problem_email_exists, NULL) : p;
}

struct problem *user_insert(struct db *db, struct arena *a, const struct user *user)
{
    struct problem *p = db_execute(
        db, a, &sql_insert,
        DB_ARGS(db_uuid(user->id), db_text(user->email), db_text(user->password_hash),
                db_text(user->first_name), db_text(user->last_name),
                db_text(text_of(user_role_words[user->role])), db_integer(user->is_active),
                db_integer(user->email_verified), db_time(user->created_at),
                db_time(user->updated_at), db_integer(user->version)),
        NULL);
    if (p)
        return or_email_exists(a, p);
    return counter_add(db, a, &user_counter, nobody, user->role, 1, user->id);
}

static struct problem *find_one(struct db *db, struct arena *a, const struct sql *sql,
                                struct uuid id, struct user *ret)
{
    bool found;
    struct problem *p = db_find(db, a, sql, DB_ARGS(db_uuid(id)), ret, &found);
    if (!p && !found)
        p = problem(a, &problem_user_not_found, NULL);
    return p;
}

struct problem *user_find(struct db *db, struct arena *a, struct uuid id, struct user *ret)
{
    return find_one(db, a, &sql_find, id, ret);
}

struct problem *user_find_with_hash(struct db *db, struct arena *a, struct uuid id,
                                    struct user *ret)
{
    return find_one(db, a, &sql_find_with_hash, id, ret);
}

struct problem *user_lock_with_hash(struct db *db, struct arena *a, struct uuid id,
                                    struct user *ret)
{
    return find_one(db, a, &sql_lock_with_hash, id, ret);
}

struct problem *user_lock(struct db *db, struct arena *a, struct uuid id, struct user *ret)
{
    return find_one(db, a, &sql_lock, id, ret);
}

static bool is_ascii(struct text t)
{
    for (size_t i = 0; i < t.len; i++)
        if ((unsigned char)t.data[i] >= 0x80)
            return false;
    return true;
}

/* What is refused here is no address in any row, so nothing need be asked. */
static bool may_be_email(struct text email)
{
    return email.len <= EMAIL_MAX && is_ascii(email);
}

static struct problem *find_email(struct db *db, struct arena *a, const struct sql *sql,
                                  struct text email, struct user *ret, bool *ret_found)
{
    if (!may_be_email(email)) {
        *ret_found = false;
        return NULL;
    }
    return db_find(db, a, sql, DB_ARGS(db_text(fold(a, email))), ret, ret_found);
}

struct problem *user_find_by_email(struct db *db, struct arena *a, struct text email,
                                   struct user *ret, bool *ret_found)
{
    return find_email(db, a, &sql_find_by_email, email, ret, ret_found);
}

struct problem *user_find_for_login(struct db *db, struct arena *a, struct text email,
                                    struct text from, struct user *ret, bool *ret_found)
{
    *ret = (struct user){0};
    *ret_found = false;
    if (!may_be_email(email))
        return NULL;
    struct problem *p = db_find(db, a, &sql_find_for_login,
                                DB_ARGS(db_text(from), db_text(fold(a, email))), ret, ret_found);
    *ret_found = *ret_found && !uuid_is_nil(&ret->id);
    return p;
}

struct problem *user_share_by_email(struct db *db, struct arena *a, struct text email,
                                    struct user *ret, bool *ret_found)
{
    return find_email(db, a, &sql_share_by_email, email, ret, ret_found);
}

struct problem *user_find_with_session(struct db *db, struct arena *a, struct uuid id,
                                       struct uuid session, struct instant now, bool locked,
                                       struct user *ret, bool *ret_found, bool *ret_session_lives)
{
    struct problem *p = db_find(db, a, locked ? &sql_share_with_session : &sql_find_with_session,
                                DB_ARGS(USER_SESSION_ARGS(id, session, now)), ret, ret_found);
    if (!p)
        *ret_session_lives = *ret_found && uuid_equal(&ret->session_id, &session);
    return p;
}

struct problem *user_exists_locked(struct db *db, struct arena *a, struct uuid id, bool *ret_yes)
{
    struct user row;
    return db_find(db, a, &sql_lock, DB_ARGS(db_uuid(id)), &row, ret_yes);
}

struct problem *user_update(struct db *db, struct arena *a, const struct user *before,
                            const struct user *user)
{
    struct problem *p = db_execute(
        db, a, &sql_update,
        DB_ARGS(db_text(user->email), db_text(user->first_name), db_text(user->last_name),
                db_text(text_of(user_role_words[user->role])), db_integer(user->is_active),
                db_integer(user->email_verified), db_text(user->pending_email),
                user->pending_email.data ? db_time(user->pending_until) : db_text((struct text){0}),
                db_time(user->updated_at), db_integer(user->version), db_uuid(user->id)),
        NULL);
    if (p)
        return or_email_exists(a, p);
    return counter_change(db, a, &user_counter, nobody, before->role, user->role, user->id);
}

struct problem *user_replace_hash(struct db *db, struct arena *a, struct uuid id,
                                  struct text before, struct text hash, bool *ret_done)
{
    uint64_t matched = 0;
    struct problem *p = db_execute(db, a, &sql_replace_hash,
                                   DB_ARGS(db_text(hash), db_uuid(id), db_text(before)), &matched);
    if (!p)
        *ret_done = matched > 0;
    return p;
}

struct problem *user_clear_pending(struct db *db, struct arena *a, struct uuid id)
{
    return db_execute(db, a, &sql_clear_pending, DB_ARGS(db_uuid(id)), NULL);
}

struct problem *user_uncount(struct db *db, struct arena *a, const struct user *user)
{
    return counter_add(db, a, &user_counter, nobody, user->role, -1, user->id);
}

struct problem *user_hide(struct db *db, struct arena *a, struct uuid id, struct instant now)
{
    return db_execute(db, a, &sql_hide, DB_ARGS(db_time(now), db_time(now), db_uuid(id)), NULL);
}

struct problem *user_delete(struct db *db, struct arena *a, struct uuid id)
{
    return db_execute(db, a, &sql_delete, DB_ARGS(db_uuid(id)), NULL);
}

struct others {
    struct uuid id;
    bool any;
};

static void note_other(void *context, const void *row)
{
    struct others *others = context;
    if (!uuid_equal(&((const struct user *)row)->id, &others->id))
        others->any = true;
}

struct problem *user_lock_other_admins(struct db *db, struct arena *a, struct uuid id,
                                       bool *ret_any)
{
    struct others others = {.id = id};
    struct problem *p = db_each(db, a, &sql_lock_admins, DB_NO_ARGS, note_other, &others);
    if (!p)
        *ret_any = others.any;
    return p;
}

/* ---- turns ---- */

/* Many users share one, which costs only those something who write at the same moment. */
#define TURN_RANK 1
#define TURN_USERS 64 /* and as many from there on */

struct problem *user_take_turn(struct db *db, struct arena *a, struct uuid id)
{
    return turn_take(db, a, TURN_USERS + id.bytes[sizeof id.bytes - 1] % TURN_USERS);
}

struct problem *user_take_rank_turn(struct db *db, struct arena *a)
{
    return turn_take(db, a, TURN_RANK);
}

/* ---- many users ---- */

#define ROLE (1U << USER_ROLE)

static const struct list_key user_keys[] = {
    {.name = "created_at"},
    {.name = "email",
     .column = "email_folded",
     .value = "LOWER(?)",
     .unique = true,
     .generated = true},
};
static const struct list_path user_paths[] = {
    {0, 0, "ix_users_created"},
    {0, ROLE, "ix_users_role_created"},
    {1, 0, "uq_users_email"},
    {1, ROLE, "ix_users_role_email"},
    {0},
};
static const struct list_counter user_counters[] = {
    {.counter = &user_counter, .kind = ROLE, .kinds = 2},
    {0},
};

const struct list user_list = {
    .table = "users",
    .columns = COLUMNS,
    .row = &user_record,
    .view = user_view,
    .sorts = user_sorts,
    .filters = {[USER_ROLE] = {.column = "role", .words = user_role_words}},
    .keys = user_keys,
    .paths = user_paths,
    .counters = user_counters,
    .shown = {.condition = IS_THERE,
              .columns = "left_at",
              .unless = "NOT EXISTS (SELECT 1 FROM user_departures)"},
    .search = &user_index,
};

const struct search_index user_index = {
    .counter = &user_counter,
    .kind = SEARCH_PART,
    .texts = {"email", "first_name"},
    .filters = {[USER_ROLE] = {.column = "role", .value = "role + 0 - 1"}},
    .slices = {{"1", "ix_users_created"}},
};
