#include "fcgi-app/accounts/mailed_tokens.h"

#include "common/base/fold.h"
#include "common/base/problem.h"
#include "common/crypto/digest.h"
#include "common/field/field.h"
#include "fcgi-app/accounts/registration_model.h"

#define HOUR_S (60 * 60)
#define DAY_S (24 * HOUR_S)
#define LONGEST_S (7 * DAY_S) /* of all below */
#define PURGED 5

const struct mailed_rule mailed_rules[MAILED_KINDS] = {
    [MAILED_NOBODY] = {.ttl_s = HOUR_S},
    [MAILED_RESET] = {.ttl_s = HOUR_S, .bond = BOND_ADDRESS, .needs_active = true},
    [MAILED_INVITE] = {.ttl_s = 7 * DAY_S, .bond = BOND_ADDRESS, .needs_active = true},
    [MAILED_VERIFY] = {.ttl_s = DAY_S, .bond = BOND_ADDRESS, .needs_active = true},
    [MAILED_REGISTER] = {.ttl_s = DAY_S, .is_awaited = true},
    [MAILED_CHANGE] = {.ttl_s = HOUR_S,
                       .bond = BOND_PENDING,
                       .needs_active = true,
                       .is_replaced = true,
                       .is_awaited = true},
    [MAILED_UNDO] = {.ttl_s = 3 * DAY_S, .outlives_others = true},
};

static const char *const kind_words[] = {"nobody",   "reset",  "invite", "verify",
                                         "register", "change", "undo",   NULL};

static const struct field token_fields[] = {
    FIELD(struct mailed_token, id, .doc = "The message's id."),
    FIELD(struct mailed_token, kind, .choices = kind_words, .doc = "What it is for."),
    FIELD(struct mailed_token, user_id, .doc = "Whose it is."),
    FIELD(struct mailed_token, address, .doc = "What it is bound to."),
    FIELD(struct mailed_token, sequence, .doc = "Which change it undoes."),
    FIELD(struct mailed_token, expires_at, .doc = "Until when it is good."),
};
static const struct record token_record =
    RECORD("MailedToken", struct mailed_token, token_fields, .rule = NULL);

#define COLUMNS "id, kind, user_id, address, sequence, expires_at"

static const struct sql sql_insert = {
    "INSERT INTO mailed_tokens (id, hash, kind, user_id, address, sequence, expires_at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)",
    NULL};
static const struct sql sql_find = {"SELECT " COLUMNS " FROM mailed_tokens WHERE hash = ?",
                                    &token_record};
static const struct sql sql_delete = {"DELETE FROM mailed_tokens WHERE id = ?", NULL};
static const struct sql sql_void_kind = {"DELETE FROM mailed_tokens WHERE user_id = ? AND kind = ?",
                                         NULL};
/* All but what outlives others. */
#define VOIDABLE                                                                                   \
    "user_id = ? AND kind IN ('nobody', 'reset', 'invite', 'verify', 'register', 'change')"
static const struct sql sql_void = {"DELETE FROM mailed_tokens WHERE " VOIDABLE, NULL};
static const struct sql sql_void_later = {
    "DELETE FROM mailed_tokens WHERE user_id = ? AND kind = 'undo' AND sequence > ?", NULL};
static const struct sql sql_keeps = {
    "SELECT " COLUMNS " FROM mailed_tokens FORCE INDEX (ix_mailed_tokens_address) "
    "WHERE kind = 'undo' AND address_folded = ? AND user_id <> ? AND expires_at > ? "
    "ORDER BY id LIMIT 1 LOCK IN SHARE MODE",
    &token_record};
static const struct sql sql_delete_some = {"DELETE FROM mailed_tokens WHERE " VOIDABLE " LIMIT ?",
                                           NULL};
static const struct sql sql_expired = {
    "SELECT " COLUMNS " FROM mailed_tokens FORCE INDEX (ix_mailed_tokens_expires) "
    "WHERE expires_at <= ? OR expires_at > ? ORDER BY expires_at LIMIT ?",
    &token_record};
static const struct sql sql_take_back = {
    "UPDATE users SET pending_email = NULL, pending_until = NULL WHERE id = ? AND pending_until <= "
    "?",
    NULL};

/* ---- making them ---- */

struct problem *mailed_insert(struct db *db, struct arena *a, const struct mailed_token *token,
                              const unsigned char hash[32])
{
    struct problem *p = db_execute(db, a, &sql_insert,
                                   DB_ARGS(db_uuid(token->id), db_bytes(hash, 32),
                                           db_text(text_of(kind_words[token->kind])),
                                           db_uuid(token->user_id), db_text(token->address),
                                           db_integer(token->sequence), db_time(token->expires_at)),
                                   NULL);
    return p ? p : user_take_turn(db, a, token->user_id);
}

/* ---- using them ---- */

static bool is_good(const struct mailed_token *token, unsigned kinds, struct instant now)
{
    int64_t latest = instant_plus_s(now, mailed_rules[token->kind].ttl_s + CLOCK_LEEWAY_S).us;
    return (kinds & (1U << token->kind)) && token->expires_at.us > now.us &&
           token->expires_at.us <= latest;
}

struct problem *mailed_find(struct db *db, struct arena *a, struct text text, unsigned kinds,
                            struct instant now, struct mailed_token *ret, bool *ret_found)
{
    struct mailed_token token = {0};
    unsigned char hash[32];
    bool found;
    sha256(text.data, text.len, hash);
    struct problem *p =
        db_find(db, a, &sql_find, DB_ARGS(db_bytes(hash, sizeof hash)), &token, &found);
    if (p)
        return p;
    *ret_found = found && is_good(&token, kinds, now);
    if (*ret_found)
        *ret = token;
    return NULL;
}

struct problem *mailed_refusal(struct arena *a)
{
    return problem_of_field(a, "token", FAULT_WRONG, "Is not one that is good; ask for another.");
}

bool mailed_suits(struct arena *a, const struct mailed_token *token, const struct user *user,
                  struct instant now)
{
    const struct mailed_rule *rule = &mailed_rules[token->kind];
    struct text bound = rule->bond == BOND_PENDING ? user->pending_email : user->email;
    if (rule->needs_active && !user->is_active)
        return false;
    if (rule->bond == BOND_PENDING && user->pending_until.us <= now.us)
        return false;
    return rule->bond == BOND_NONE || text_equal(fold(a, token->address), fold(a, bound));
}

struct problem *mailed_use(struct db *db, struct arena *a, const struct mailed_token *token,
                           bool *ret_used)
{
    uint64_t matched = 0;
    struct problem *p = db_execute(db, a, &sql_delete, DB_ARGS(db_uuid(token->id)), &matched);
    if (!p && matched && !mailed_rules[token->kind].outlives_others)
        p = mailed_void_kind(db, a, token->user_id, token->kind);
    if (!p)
        *ret_used = matched > 0;
    return p;
}

/* ---- voiding them ---- */

struct problem *mailed_void_kind(struct db *db, struct arena *a, struct uuid user_id,
                                 enum mailed_kind kind)
{
    return db_execute(db, a, &sql_void_kind,
                      DB_ARGS(db_uuid(user_id), db_text(text_of(kind_words[kind]))), NULL);
}

struct problem *mailed_void(struct db *db, struct arena *a, struct uuid user_id)
{
    struct problem *p = db_execute(db, a, &sql_void, DB_ARGS(db_uuid(user_id)), NULL);
    return p ? p : user_take_turn(db, a, user_id);
}

struct problem *mailed_void_later(struct db *db, struct arena *a, const struct mailed_token *token)
{
    return db_execute(db, a, &sql_void_later,
                      DB_ARGS(db_uuid(token->user_id), db_integer(token->sequence)), NULL);
}

struct problem *mailed_keeps(struct db *db, struct arena *a, struct text address,
                             struct uuid user_id, struct instant now, bool *ret_yes)
{
    struct mailed_token row;
    return db_find(db, a, &sql_keeps,
                   DB_ARGS(db_text(fold(a, address)), db_uuid(user_id), db_time(now)), &row,
                   ret_yes);
}

/* ---- deleting them ---- */

struct problem *mailed_delete_some(struct db *db, struct arena *a, struct uuid user_id,
                                   int64_t limit, uint64_t *ret_deleted)
{
    return db_execute(db, a, &sql_delete_some, DB_ARGS(db_uuid(user_id), db_integer(limit)),
                      ret_deleted);
}

struct expired {
    struct mailed_token list[PURGED];
    size_t count;
};

static void note_expired(void *context, const void *row)
{
    struct expired *expired = context;
    expired->list[expired->count++] = *(const struct mailed_token *)row;
}

/* Users come before their tokens, each in a statement of its own: nobody waits in a circle. */
static struct problem *purge_one(struct db *db, struct arena *a, const struct mailed_token *token,
                                 struct instant now)
{
    struct problem *p = NULL;
    if (token->kind == MAILED_CHANGE)
        p = db_execute(db, a, &sql_take_back, DB_ARGS(db_uuid(token->user_id), db_time(now)), NULL);
    if (token->kind == MAILED_REGISTER)
        p = registration_delete(db, a, token->user_id);
    return p ? p : db_execute(db, a, &sql_delete, DB_ARGS(db_uuid(token->id)), NULL);
}

struct problem *mailed_purge(struct db *db, struct arena *a, struct instant now)
{
    struct expired expired = {.count = 0};
    struct problem *p =
        db_each(db, a, &sql_expired,
                DB_ARGS(db_time(now), db_time(instant_plus_s(now, LONGEST_S + CLOCK_LEEWAY_S)),
                        db_integer(PURGED)),
                note_expired, &expired);
    for (size_t i = 0; !p && i < expired.count; i++)
        p = purge_one(db, a, &expired.list[i], now);
    return p;
}
