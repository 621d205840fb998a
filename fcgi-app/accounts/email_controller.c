/* Addresses: change one's own, show that it is one's own, undo a change. */
#include "fcgi-app/accounts/account.h"
#include "fcgi-app/accounts/current_password.h"
#include "fcgi-app/accounts/mailing.h"
#include "fcgi-app/accounts/purge.h"
#include "fcgi-app/accounts/registration_model.h"
#include "fcgi-app/accounts/throttle.h"
#include "fcgi-app/app.h"
#include "fcgi-app/routes.h"

#include "common/base/fold.h"
#include "common/base/problem.h"
#include "common/crypto/password.h"

/* The bodies of this file; each table takes its part. The e-mail's rules are the user's. */
struct asked {
    struct text email;
    struct text current_password;
    struct text token;
    struct text password;
};

#define TOKEN(doc_)                                                                                \
    FIELD(struct asked, token, .use = FIELD_REQUIRED, .min = 1, .max = 100,                        \
          .example = "the token of the mail", .doc = (doc_))

static const struct field email_fields[] = {
    FIELD(struct asked, email, .use = FIELD_REQUIRED, .max = EMAIL_MAX, .format = &email_format,
          .example = "countess@example.org", .doc = "The new address."),
    CURRENT_PASSWORD(struct asked, "engine of numbers"),
};
static const struct field verify_fields[] = {
    TOKEN("What came by mail; good once, for 24 hours, or for one where an address changes."),
    FIELD(struct asked, password, .use = FIELD_CREATE | FIELD_NULLABLE | FIELD_BYTES, .max = 1024,
          .example = "engine of numbers",
          .doc = "The password of the account; required without an access token of it."),
};
static const struct field undo_fields[] = {TOKEN("What came by mail; good once, for 72 hours.")};

static const struct record email_record =
    RECORD("EmailChange", struct asked, email_fields, .rule = NULL);
static const struct record verify_record =
    RECORD("EmailVerification", struct asked, verify_fields, .rule = NULL);
static const struct record undo_record =
    RECORD("EmailUndo", struct asked, undo_fields, .rule = NULL);

struct pending {
    struct text pending_email;
};

static const struct field pending_fields[] = {
    FIELD(struct pending, pending_email, .use = FIELD_SHOWN, .example = "countess@example.org",
          .doc = "What the address changes to when the token that is mailed to it is used."),
};
static const struct record pending_record =
    RECORD("PendingEmail", struct pending, pending_fields, .rule = NULL);

/* What is read and made before the transaction. */
struct prepared {
    struct user user; /* as it was, with its hash; or a registration */
    struct mailed_token token;
    bool by_password;    /* what lets the token count, and not a session */
    struct text hash;    /* of a password that nobody knows */
    struct user written; /* as the transaction left it */
};

static bool has_mail(const struct app *app)
{
    return mailing_is_on(app);
}

static struct prepared *prepare(struct request *rq)
{
    return rq->prepared = arena_alloc(rq->arena, sizeof(struct prepared));
}

/* ---- a commit in doubt ---- */

/* Not where it is: of a run that fails later the router forgets what rq->prepared is, and goes on
 * with that of the run whose commit is in doubt. */
static void keep_written(struct request *rq, const struct user *user)
{
    struct prepared *prepared = arena_alloc(rq->arena, sizeof *prepared);
    *prepared = *(const struct prepared *)rq->prepared;
    prepared->written = *user;
    rq->prepared = prepared;
}

/* That a token is not there any more would not tell: another may have voided it. */
static struct problem *is_written(struct app *app, struct request *rq, bool *ret_yes)
{
    const struct prepared *prepared = rq->prepared;
    return account_is_changed(app->db, rq->arena, &prepared->written, ret_yes);
}

/* ---- another address of one's own ---- */

static struct problem *check_current(struct app *app, struct request *rq)
{
    const struct asked *in = rq->body;
    return current_password_check(app, rq, in->current_password, &prepare(rq)->user);
}

static void take_address(struct user *user, struct text email, struct instant now)
{
    user->email = email;
    user->pending_email = (struct text){0};
    user->pending_until = (struct instant){0};
    user->updated_at = now;
    user->version++;
}

static struct problem *change_at_once(struct actor by, const struct user *before,
                                      struct response *rs)
{
    const struct asked *in = by.rq->body;
    struct user after = *before;
    take_address(&after, in->email, by.now);
    struct problem *p = account_move(by, before, &after);
    if (!p)
        p = account_end(by.app->db, by.arena, after.id, EVENT_ADDRESS_CHANGED, (struct uuid){{0}});
    if (p)
        return p;
    account_answer_whole(by.rq, rs, &after);
    keep_written(by.rq, &after);
    return NULL;
}

/* Until the token is used. The version has it counted in that this may lapse. */
static struct problem *store_pending(struct actor by, const struct user *before, struct user *after)
{
    const struct asked *in = by.rq->body;
    *after = *before;
    after->pending_email = in->email;
    after->pending_until = instant_plus_s(by.now, mailed_rules[MAILED_CHANGE].ttl_s);
    after->updated_at = by.now;
    after->version += 2;
    return user_update(by.app->db, by.arena, before, after);
}

/* Whether somebody has the address, or may have it again, is told to nobody but who reads the
 * mail. */
static struct problem *mail_change(struct actor by, const struct user *user)
{
    const struct asked *in = by.rq->body;
    struct mailing mailing = {.letter = LETTER_CHANGE,
                              .to = in->email,
                              .other = user->email,
                              .token = MAILED_CHANGE,
                              .user_id = user->id};
    struct problem *p = mailing_judge_claim(by, &mailing);
    return p ? p : mailing_add(by, &mailing);
}

static struct problem *change_later(struct actor by, const struct user *user, struct response *rs)
{
    const struct asked *in = by.rq->body;
    const struct pending pending = {in->email};
    struct user after;
    struct problem *p = store_pending(by, user, &after);
    if (!p)
        p = mail_change(by, user);
    if (p)
        return p;
    rs->status = 202;
    record_to_json(&rs->body, &pending_record, &pending);
    keep_written(by.rq, &after);
    rs->after = purge_expired;
    return NULL;
}

static struct problem *change_email(struct app *app, struct request *rq, struct response *rs)
{
    const struct asked *in = rq->body;
    struct actor by = actor_of(app, rq);
    struct user user = {0};
    struct problem *p = account_lock(by, rq->caller.id, &user);
    if (p)
        return p;
    bool same = text_equal(fold(rq->arena, in->email), fold(rq->arena, user.email));
    return same || !mailing_is_on(app) ? change_at_once(by, &user, rs)
                                       : change_later(by, &user, rs);
}

/* ---- by a token: what is read before ---- */

static struct problem *or_refusal(struct arena *a, struct problem *p)
{
    return p && p->type == &problem_user_not_found ? mailed_refusal(a) : p;
}

/* The account that a token is of, as it is now, or the registration. */
static struct problem *find_owner(struct app *app, struct request *rq, struct prepared *prepared)
{
    const struct mailed_token *token = &prepared->token;
    bool found = true;
    struct problem *p =
        token->kind == MAILED_REGISTER
            ? registration_find(app->db, rq->arena, token->user_id, rq->now, false, &prepared->user,
                                &found)
            : user_find_with_hash(app->db, rq->arena, token->user_id, &prepared->user);
    if (p)
        return or_refusal(rq->arena, p);
    bool suits =
        token->kind == MAILED_REGISTER || mailed_suits(rq->arena, token, &prepared->user, rq->now);
    return found && suits ? NULL : mailed_refusal(rq->arena);
}

static struct problem *find_token(struct app *app, struct request *rq, unsigned kinds)
{
    const struct asked *in = rq->body;
    struct prepared *prepared = prepare(rq);
    bool found;
    struct problem *p =
        mailed_find(app->db, rq->arena, in->token, kinds, rq->now, &prepared->token, &found);
    if (p)
        return p;
    return found ? find_owner(app, rq, prepared) : mailed_refusal(rq->arena);
}

/* ---- verifying ---- */

static struct problem *password_missing(struct arena *a)
{
    struct problem *p = problem(a, &problem_missing_fields, NULL);
    problem_add_fault(a, p, "password", FAULT_REQUIRED,
                      "Is required without an access token of the account.");
    return p;
}

/* A mailbox does not prove who chose the password: else who registered with somebody else's address
 * would have it verified for them. */
static struct problem *check_password(struct app *app, struct request *rq, const struct user *user)
{
    const struct asked *in = rq->body;
    struct throttle throttle;
    bool match = false, outdated;
    if (!in->password.data)
        return password_missing(rq->arena);
    struct problem *p = throttle_login(app, rq, user->email, &throttle);
    if (p)
        return p;
    p = password_verify(rq->arena, in->password, user->password_hash.data, &match, &outdated);
    if (p || match)
        throttle_take_back(app, &throttle);
    if (p || match)
        return p;
    return problem_of_field(rq->arena, "password", FAULT_WRONG,
                            "Is not the password of this account.");
}

static struct problem *prepare_verify(struct app *app, struct request *rq)
{
    struct problem *p = find_token(app, rq, MAILED(VERIFY) | MAILED(REGISTER) | MAILED(CHANGE));
    struct prepared *prepared = rq->prepared;
    if (p)
        return p;
    prepared->by_password =
        !rq->caller.known || !uuid_equal(&rq->caller.id, &prepared->token.user_id);
    return prepared->by_password ? check_password(app, rq, &prepared->user) : NULL;
}

static struct problem *use(struct actor by, const struct mailed_token *token)
{
    bool used = false;
    struct problem *p = mailed_use(by.app->db, by.arena, token, &used);
    return p || used ? p : mailed_refusal(by.arena);
}

/* Lock the account, and judge it again. */
static struct problem *lock_owner(struct actor by, struct user *ret)
{
    const struct prepared *prepared = by.rq->prepared;
    struct problem *p = account_lock(by, prepared->token.user_id, ret);
    if (!p)
        p = user_lock_with_hash(by.app->db, by.arena, prepared->token.user_id, ret);
    if (p)
        return or_refusal(by.arena, p);
    if (!mailed_suits(by.arena, &prepared->token, ret, by.now))
        return mailed_refusal(by.arena);
    if (prepared->by_password && !text_equal(ret->password_hash, prepared->user.password_hash))
        return app_stale(by.rq);
    return NULL;
}

static struct problem *verify_address(struct actor by, const struct user *before, struct user *ret)
{
    *ret = *before;
    ret->email_verified = true;
    ret->updated_at = by.now;
    ret->version++;
    return user_update(by.app->db, by.arena, before, ret);
}

/* The former mailbox can take it back. */
static struct problem *move(struct actor by, const struct user *before, struct text email,
                            struct user *ret)
{
    *ret = *before;
    take_address(ret, email, by.now);
    ret->email_verified = true;
    struct problem *p = account_move(by, before, ret);
    const struct mailing mailing = {.letter = LETTER_EMAIL_CHANGED,
                                    .to = before->email,
                                    .other = email,
                                    .token = MAILED_UNDO,
                                    .user_id = ret->id,
                                    .sequence = ret->version};
    if (!p)
        p = account_end(by.app->db, by.arena, ret->id, EVENT_ADDRESS_CHANGED, (struct uuid){{0}});
    return p ? p : mailing_add(by, &mailing);
}

/* A registration that waits becomes a user. Its first version was what registering answered. */
static struct problem *make_user(struct actor by, struct user *ret)
{
    const struct prepared *prepared = by.rq->prepared;
    bool found;
    struct problem *p =
        registration_find(by.app->db, by.arena, prepared->token.user_id, by.now, true, ret, &found);
    if (!p)
        p = found ? use(by, &prepared->token) : mailed_refusal(by.arena);
    if (p)
        return p;
    ret->role = ROLE_USER;
    ret->is_active = ret->email_verified = true;
    ret->created_at = ret->updated_at = by.now;
    ret->version = 2;
    p = account_insert(by, ret);
    return p ? p : registration_delete(by.app->db, by.arena, ret->id);
}

static struct problem *verify_user(struct actor by, struct user *ret)
{
    const struct mailed_token *token = &((const struct prepared *)by.rq->prepared)->token;
    struct user before = {0};
    struct problem *p = lock_owner(by, &before);
    if (!p)
        p = use(by, token);
    if (p)
        return p;
    return token->kind == MAILED_CHANGE ? move(by, &before, token->address, ret)
                                        : verify_address(by, &before, ret);
}

static struct problem *verify(struct app *app, struct request *rq, struct response *rs)
{
    const struct prepared *prepared = rq->prepared;
    struct actor by = actor_of(app, rq);
    struct user user = {0};
    struct problem *p =
        prepared->token.kind == MAILED_REGISTER ? make_user(by, &user) : verify_user(by, &user);
    if (p)
        return p;
    account_answer_whole(rq, rs, &user);
    keep_written(rq, &user);
    rs->after = purge_expired;
    return NULL;
}

static struct problem *send_token(struct app *app, struct request *rq, struct response *rs)
{
    struct actor by = actor_of(app, rq);
    struct user user = {0};
    struct problem *p = account_lock(by, rq->caller.id, &user);
    const struct mailing mailing = {.letter = LETTER_VERIFY,
                                    .to = user.email,
                                    .token = MAILED_VERIFY,
                                    .user_id = user.id,
                                    .for_nobody = user.email_verified,
                                    .uncounted = user.email_verified};
    rs->after = purge_expired;
    return p ? p : mailing_add(by, &mailing);
}

/* ---- undoing ---- */

static struct problem *prepare_undo(struct app *app, struct request *rq)
{
    const char *hash;
    struct problem *p = find_token(app, rq, MAILED(UNDO));
    if (!p)
        p = account_hash_unknown(rq->arena, &hash);
    if (!p)
        ((struct prepared *)rq->prepared)->hash = text_of(hash);
    return p;
}

/* The address comes back, and all that whoever changed it knows or holds is worth nothing. */
static struct problem *put_back(struct actor by, const struct user *before)
{
    const struct prepared *prepared = by.rq->prepared;
    struct user after = *before;
    bool done;
    take_address(&after, prepared->token.address, by.now);
    after.email_verified = true;
    struct problem *p = account_move(by, before, &after);
    if (!p)
        p = user_replace_hash(by.app->db, by.arena, after.id, before->password_hash, prepared->hash,
                              &done);
    if (!p)
        p = account_end(by.app->db, by.arena, after.id, EVENT_UNDONE, (struct uuid){{0}});
    return p ? p : mailed_void_later(by.app->db, by.arena, &prepared->token);
}

static struct problem *undo(struct app *app, struct request *rq, struct response *rs)
{
    const struct prepared *prepared = rq->prepared;
    struct actor by = actor_of(app, rq);
    struct user user = {0};
    struct problem *p = user_lock_with_hash(app->db, rq->arena, prepared->token.user_id, &user);
    if (p)
        return or_refusal(rq->arena, p);
    p = use(by, &prepared->token);
    if (!p)
        p = put_back(by, &user);
    const struct mailing mailing = {.letter = LETTER_UNDONE_RESET,
                                    .to = prepared->token.address,
                                    .token = MAILED_RESET,
                                    .user_id = user.id,
                                    .for_nobody = !user.is_active};
    rs->after = purge_expired;
    return p ? p : mailing_add(by, &mailing);
}

static struct problem *is_undone(struct app *app, struct request *rq, bool *ret_yes)
{
    const struct prepared *prepared = rq->prepared;
    return account_has_hash(app->db, rq->arena, prepared->token.user_id, prepared->hash, ret_yes);
}

static const struct problem_type *const change_problems[] = {&problem_invalid_email,
                                                             &problem_email_exists, NULL};
static const struct problem_type *const token_problems[] = {&problem_missing_fields,
                                                            &problem_email_exists, NULL};

static const struct route routes[] = {
    {
        .method = METHOD_POST,
        .path = "/auth/email",
        .handle = change_email,
        .auth = AUTH_USER,
        .body = &email_record,
        .prepare = check_current,
        .in_doubt = is_written,
        .reply = ONE("user", &user_record),
        .accepted = &pending_record,
        .flags = ROUTE_ETAG | ROUTE_RATE_LIMITED | ROUTE_PASSWORD_LIMITED | ROUTE_HASH_POOL |
                 ROUTE_TRANSACTION,
        .limits = LIMITED_BY(MAIL),
        .problems = change_problems,
        .operation_id = "changeEmail",
        .summary = "Change one's e-mail address; where mail is set up, by a token mailed to it.",
    },
    {
        .method = METHOD_POST,
        .path = "/auth/email/verify",
        .handle = verify,
        .auth = AUTH_OPTIONAL,
        .body = &verify_record,
        .prepare = prepare_verify,
        .in_doubt = is_written,
        .reply = ONE("user", &user_record),
        .flags = ROUTE_ETAG | ROUTE_RATE_LIMITED | ROUTE_PASSWORD_LIMITED | ROUTE_HASH_POOL |
                 ROUTE_TRANSACTION | ROUTE_BAD_TOKEN_IS_NONE,
        .problems = token_problems,
        .enabled = has_mail,
        .operation_id = "verifyEmail",
        .summary = "Show with a token that an address is one's own, which makes or changes it.",
    },
    {
        .method = METHOD_POST,
        .path = "/auth/email/verify/send",
        .handle = send_token,
        .auth = AUTH_USER,
        .in_doubt = in_doubt_repeat,
        .status = 202,
        .flags = ROUTE_RATE_LIMITED | ROUTE_TRANSACTION,
        .enabled = has_mail,
        .operation_id = "sendVerification",
        .summary = "Have another token mailed to verify one's address with.",
    },
    {
        .method = METHOD_POST,
        .path = "/auth/email/undo",
        .handle = undo,
        .auth = AUTH_NONE,
        .body = &undo_record,
        .prepare = prepare_undo,
        .in_doubt = is_undone,
        .flags = ROUTE_RATE_LIMITED | ROUTE_HASH_POOL | ROUTE_TRANSACTION | ROUTE_NO_UNDO,
        .problems = change_problems + 1,
        .enabled = has_mail,
        .operation_id = "undoEmailChange",
        .summary = "Put the former address back with a token, which voids the password.",
    },
};

const struct resource email_resource =
    RESOURCE("email", "The address of an account, and whose it is.", routes);
