#include "fcgi-app/accounts/account.h"

#include <string.h>

#include "common/base/encode.h"
#include "common/base/fold.h"
#include "common/base/problem.h"
#include "common/crypto/digest.h"
#include "common/crypto/password.h"
#include "fcgi-app/accounts/departure.h"
#include "fcgi-app/accounts/mailed_tokens.h"
#include "fcgi-app/accounts/mailing.h"
#include "fcgi-app/accounts/purge.h"
#include "fcgi-app/accounts/session_model.h"

/* ---- making one ---- */

struct problem *account_hash_unknown(struct arena *a, const char **ret)
{
    unsigned char secret[32];
    random_bytes(secret, sizeof secret);
    const char *password = base64url(a, secret, sizeof secret);
    wipe(secret, sizeof secret);
    return password_hash(a, text_of(password), ret);
}

struct problem *account_make(struct arena *a, struct instant now, const struct user *user,
                             struct user **ret)
{
    const char *hash;
    struct problem *p = user->password.data ? password_hash(a, user->password, &hash)
                                            : account_hash_unknown(a, &hash);
    if (p)
        return p;
    struct user *made = arena_alloc(a, sizeof *made);
    *made = *user;
    made->id = uuid_make(now);
    made->password_hash = text_of(hash);
    made->created_at = made->updated_at = now;
    made->version = 1;
    *ret = made;
    return NULL;
}

struct problem *account_prepare(struct app *app, struct request *rq, const struct user *user)
{
    struct user *made = NULL;
    struct problem *p = account_make(rq->arena, rq->now, user, &made);
    if (!p)
        made->email_verified = app->settings->verify_email == VERIFY_EMAIL_OFF;
    rq->prepared = made;
    return p;
}

struct problem *account_check_address(struct actor by, struct uuid id, struct text email)
{
    bool kept;
    struct problem *p = mailed_keeps(by.app->db, by.arena, email, id, by.now, &kept);
    return p || !kept ? p : problem(by.arena, &problem_email_exists, NULL);
}

struct problem *account_insert(struct actor by, const struct user *user)
{
    struct problem *p = user_insert(by.app->db, by.arena, user);
    return p ? p : account_check_address(by, user->id, user->email);
}

/* An invitation proves the address, too. */
static struct problem *mail_token(struct actor by, const struct user *user)
{
    const struct mailing mailing = {.letter = user->invite ? LETTER_INVITE : LETTER_VERIFY,
                                    .token = user->invite ? MAILED_INVITE : MAILED_VERIFY,
                                    .to = user->email,
                                    .user_id = user->id};
    return user->invite || !user->email_verified ? mailing_add(by, &mailing) : NULL;
}

void account_answer(struct request *rq, struct response *rs, const struct user *user)
{
    const struct viewer by = {rq->caller.id, rq->caller.admin, rq->now};
    struct user seen;
    const struct record *as = user_view(&by, user, &seen);
    response_etag(rs, seen.version);
    if (request_knows(rq, seen.version))
        rs->status = 304;
    else
        response_record(rs, rq->route->reply.key, as, &seen);
}

void account_answer_whole(struct request *rq, struct response *rs, const struct user *user)
{
    const struct viewer themselves = {.id = user->id, .now = rq->now};
    struct user seen;
    const struct record *as = user_view(&themselves, user, &seen);
    response_etag(rs, seen.version);
    response_record(rs, rq->route->reply.key, as, &seen);
}

struct problem *account_create(struct app *app, struct request *rq, struct response *rs)
{
    const struct user *user = rq->prepared;
    struct actor by = actor_of(app, rq);
    struct problem *p = app_confirm(app, rq);
    if (!p)
        p = account_insert(by, user);
    if (!p)
        p = mail_token(by, user);
    if (p)
        return p;
    app_location(rq, rs, "users", &user->id);
    account_answer_whole(rq, rs, user);
    rs->subject = user->id;
    rs->after = purge_expired;
    return NULL;
}

struct problem *account_is_created(struct app *app, struct request *rq, bool *ret_yes)
{
    const struct user *user = rq->prepared;
    return user_exists_locked(app->db, rq->arena, user->id, ret_yes);
}

/* ---- locking one ---- */

/* An operator at the command line needs no confirmation, and has no If-Match. */
static struct problem *confirm(struct actor by)
{
    return by.rq ? app_confirm(by.app, by.rq) : NULL;
}

static struct problem *check_match(struct actor by, const struct user *user)
{
    return by.rq ? request_check_match(by.rq, user_seen_version(user, by.now)) : NULL;
}

/* Oneself is locked for writing first: two who share a lock would wait for each other. */
static struct problem *lock_and_confirm(struct actor by, struct uuid id, struct user *ret)
{
    struct problem *p = user_lock(by.app->db, by.arena, id, ret);
    if (p && p->type != &problem_user_not_found)
        return p;
    struct problem *refused = confirm(by);
    return refused ? refused : p;
}

/* Admins are locked in the order of their ids, as user_lock_other_admins() does, and before all
 * others. Is this one that comes before the caller? It is not locked yet; should the answer be
 * wrong when it is, two may wait for each other, and one begins again. */
static struct problem *comes_first(struct actor by, struct uuid id, bool *ret_yes)
{
    struct user user = {0};
    struct problem *p = user_find(by.app->db, by.arena, id, &user);
    *ret_yes = !p && user_is_active_admin(&user) &&
               memcmp(&user.id, &by.rq->caller.id, sizeof user.id) < 0;
    return p && p->type == &problem_user_not_found ? NULL : p;
}

struct problem *account_lock(struct actor by, struct uuid id, struct user *ret)
{
    bool first = true;
    struct problem *p = NULL;
    if (by.rq && by.rq->caller.known && !uuid_equal(&by.rq->caller.id, &id))
        p = comes_first(by, id, &first);
    if (!p && first)
        return lock_and_confirm(by, id, ret);
    if (!p)
        p = confirm(by);
    return p ? p : user_lock(by.app->db, by.arena, id, ret);
}

/* Lock the user, and where an active admin's rank may go also the other admins, who come first: no
 * other change may keep them waiting. */
static struct problem *lock_user(struct actor by, struct uuid id, bool rank, struct user *ret,
                                 bool *ret_other_admins)
{
    struct user user = {0};
    bool others_too = false;
    struct problem *p = rank ? user_find(by.app->db, by.arena, id, &user) : NULL;
    if (p && p->type == &problem_user_not_found)
        p = NULL; /* account_lock() reports it, after it has confirmed the caller */
    if (!p && rank && user_is_active_admin(&user)) {
        others_too = true;
        p = user_lock_other_admins(by.app->db, by.arena, id, ret_other_admins);
    }
    if (!p)
        p = account_lock(by, id, &user);
    /* Made an admin between the two: then they are locked in the wrong order for once; should that
     * be a deadlock, the database detects it, and the transaction runs again. */
    if (!p && rank && !others_too && user_is_active_admin(&user))
        p = user_lock_other_admins(by.app->db, by.arena, id, ret_other_admins);
    if (!p)
        *ret = user;
    return p;
}

/* May the rank of one who had `before` go, if there are other active admins or not? */
static struct problem *give_up_rank(struct actor by, const struct user *before, bool other_admins)
{
    if (!user_is_active_admin(before))
        return NULL;
    if (!other_admins)
        return problem(by.arena, &problem_last_admin, NULL);
    return user_take_rank_turn(by.app->db, by.arena);
}

/* ---- what ends ---- */

/* What more there will be that lets somebody in has its column here. */
static const struct {
    bool tokens; /* that were mailed, with the address that one may have confirmed */
    bool sessions;
} endings[EVENT_COUNT] = {
    [EVENT_PASSWORD_CHANGED] = {.tokens = true, .sessions = true},
    [EVENT_PASSWORD_RESET] = {.tokens = true, .sessions = true},
    [EVENT_ADDRESS_CHANGED] = {.tokens = true},
    [EVENT_ADDRESS_SET] = {.tokens = true, .sessions = true},
    [EVENT_DISABLED] = {.tokens = true, .sessions = true},
    [EVENT_UNDONE] = {.tokens = true, .sessions = true},
};

struct problem *account_end(struct db *db, struct arena *a, struct uuid id,
                            enum account_event event, struct uuid keep)
{
    struct problem *p = NULL;
    if (endings[event].tokens)
        p = user_clear_pending(db, a, id);
    if (!p && endings[event].sessions)
        p = session_delete_all(db, a, id, keep);
    if (!p && endings[event].tokens)
        p = mailed_void(db, a, id);
    return p;
}

/* ---- changing one ---- */

struct problem *account_move(struct actor by, const struct user *before, const struct user *after)
{
    struct problem *p = user_update(by.app->db, by.arena, before, after);
    return p ? p : account_check_address(by, after->id, after->email);
}

static struct problem *tell_both(struct actor by, struct text former, struct text present)
{
    struct problem *p = mailing_notice(by, LETTER_EMAIL_CHANGED_BY_ADMIN, former, present);
    return p ? p : mailing_notice(by, LETTER_EMAIL_CHANGED_BY_ADMIN, present, former);
}

/* Another address, and not the same in another case. */
static bool is_moved(struct arena *a, const struct user *before, const struct user *after)
{
    return !text_equal(fold(a, before->email), fold(a, after->email));
}

static void drop_pending(struct user *user)
{
    user->pending_email = (struct text){0};
    user->pending_until = (struct instant){0};
}

static struct problem *store_change(struct actor by, const struct user *before, struct user *after)
{
    static const struct uuid none;
    bool moved = is_moved(by.arena, before, after);
    bool disabled = before->is_active && !after->is_active;
    after->updated_at = by.now;
    after->version++;
    if (moved)
        after->email_verified = false;
    if (moved || disabled)
        drop_pending(after);
    struct problem *p =
        moved ? account_move(by, before, after) : user_update(by.app->db, by.arena, before, after);
    if (!p && disabled)
        p = account_end(by.app->db, by.arena, after->id, EVENT_DISABLED, none);
    if (!p && moved)
        p = account_end(by.app->db, by.arena, after->id, EVENT_ADDRESS_SET, none);
    if (!p && moved)
        p = tell_both(by, before->email, after->email);
    return p;
}

struct problem *account_change(struct actor by, struct uuid id, const struct user *in,
                               field_set given, struct user *ret)
{
    const field_set rank =
        FIELD_AT(&user_record, struct user, role) | FIELD_AT(&user_record, struct user, is_active);
    struct user before = {0}, after;
    bool other_admins = true;
    struct problem *p = lock_user(by, id, given & rank, &before, &other_admins);
    if (!p)
        p = check_match(by, &before);
    if (p)
        return p;
    after = before;
    record_overlay(&user_record, given, in, &after);
    if (!user_is_active_admin(&after))
        p = give_up_rank(by, &before, other_admins);
    if (!p && given)
        p = store_change(by, &before, &after);
    if (!p)
        *ret = after;
    return p;
}

struct problem *account_is_changed(struct db *db, struct arena *a, const struct user *after,
                                   bool *ret_yes)
{
    struct user now = {0};
    struct problem *p = user_lock(db, a, after->id, &now);
    bool gone = p && p->type == &problem_user_not_found;
    if (p && !gone)
        return p;
    /* The version alone could be that of a concurrent change. */
    *ret_yes = !gone && now.version == after->version && now.updated_at.us == after->updated_at.us;
    return NULL;
}

/* ---- its password ---- */

struct problem *account_set_hash(struct db *db, struct arena *a, struct uuid id, struct text hash)
{
    struct user user = {0};
    bool done;
    /* Locked, so that no login renews the form of the old hash meanwhile. */
    struct problem *p = user_lock(db, a, id, &user);
    if (!p)
        p = user_find_with_hash(db, a, id, &user);
    if (!p)
        p = user_replace_hash(db, a, id, user.password_hash, hash, &done);
    if (!p)
        p = account_end(db, a, id, EVENT_PASSWORD_RESET, (struct uuid){{0}});
    return p;
}

struct problem *account_has_hash(struct db *db, struct arena *a, struct uuid id, struct text hash,
                                 bool *ret_yes)
{
    struct user user = {0};
    bool there = false;
    struct problem *p = user_exists_locked(db, a, id, &there);
    if (!p && there)
        p = user_find_with_hash(db, a, id, &user);
    if (!p)
        *ret_yes = there && text_equal(user.password_hash, hash);
    return p;
}

/* ---- deleting one ---- */

struct problem *account_delete(struct actor by, struct uuid id)
{
    struct user user = {0};
    bool other_admins = true;
    struct problem *p = lock_user(by, id, true, &user, &other_admins);
    if (!p)
        p = check_match(by, &user);
    if (!p)
        p = give_up_rank(by, &user, other_admins);
    if (!p)
        p = departure_begin(by.app->db, by.arena, &user, by.now);
    if (p)
        return p;
    by.app->unswept = SWEEP_WRITES; /* the journal names what went along */
    return mailing_notice(by, LETTER_ACCOUNT_DELETED, user.email, (struct text){0});
}

struct problem *account_is_deleted(struct db *db, struct arena *a, struct uuid id, bool *ret_yes)
{
    bool there;
    struct problem *p = user_exists_locked(db, a, id, &there);
    if (!p)
        *ret_yes = !there;
    return p;
}
