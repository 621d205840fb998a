/* Change one's password with the current one; reset a forgotten one by mail. */
#include "fcgi-app/accounts/account.h"
#include "fcgi-app/accounts/current_password.h"
#include "fcgi-app/accounts/mailing.h"
#include "fcgi-app/accounts/purge.h"
#include "fcgi-app/app.h"
#include "fcgi-app/routes.h"

#include "common/base/problem.h"
#include "common/crypto/password.h"

/* The bodies of this file; each table takes its part. The e-mail's rules are the user's. */
struct change {
    struct text current_password;
    struct text new_password;
    struct text token;
    struct text email;
};

/* The examples follow one another: the address changes, then the password, then she leaves. */
#define NEW_PASSWORD                                                                               \
    FIELD(struct change, new_password, .use = FIELD_REQUIRED, .min_at = &new_password_min,         \
          .max = 128, .format = &new_password_format, .example = "weaver of patterns",             \
          .doc = "Not among the commonest, not the e-mail.")

static const struct field password_fields[] = {CURRENT_PASSWORD(struct change, "engine of numbers"),
                                               NEW_PASSWORD};
static const struct field forgot_fields[] = {
    FIELD(struct change, email, .use = FIELD_REQUIRED, .max = EMAIL_MAX, .format = &email_format,
          .example = "countess@example.org", .doc = "The address of the account."),
};
static const struct field reset_fields[] = {
    FIELD(struct change, token, .use = FIELD_REQUIRED, .min = 1, .max = 100,
          .example = "the token of the mail", .doc = "What came by mail; good once, for an hour."),
    NEW_PASSWORD,
};

static const struct record password_record =
    RECORD("PasswordChange", struct change, password_fields, .rule = NULL);
static const struct record forgot_record =
    RECORD("ForgottenPassword", struct change, forgot_fields, .rule = NULL);
static const struct record reset_record =
    RECORD("PasswordReset", struct change, reset_fields, .rule = NULL);

/* What is read and made before the transaction. */
struct prepared {
    struct user user; /* as it was, with its hash */
    struct text hash; /* of the new password */
    struct mailed_token token;
};

/* ---- with the current password ---- */

static struct problem *check_current(struct app *app, struct request *rq)
{
    const struct change *in = rq->body;
    struct prepared *prepared = arena_alloc(rq->arena, sizeof *prepared);
    rq->prepared = prepared;
    return current_password_check(app, rq, in->current_password, &prepared->user);
}

/* The new password, for who has this address. */
static struct problem *judge_new(const struct request *rq, struct text email, struct problem *p)
{
    const struct change *in = rq->body;
    const struct user with_new = {.email = email, .password = in->new_password};
    if (!new_password_rule.broken(&with_new))
        return p;
    return problem_with_fault(rq->arena, p, "new_password", new_password_rule.code,
                              new_password_rule.message);
}

static struct problem *judge_password(struct app *app, const struct request *rq, struct problem *p)
{
    (void)app;
    return judge_new(rq, ((const struct user *)rq->caller.row)->email, p);
}

/* The address that the token is of may have been another one until now. */
static struct problem *hash_new(struct request *rq)
{
    const struct change *in = rq->body;
    struct prepared *prepared = rq->prepared;
    const char *hash;
    struct problem *p = judge_new(rq, prepared->user.email, NULL);
    if (!p)
        p = password_hash(rq->arena, in->new_password, &hash);
    if (!p)
        prepared->hash = text_of(hash);
    return p;
}

static struct problem *prepare_password(struct app *app, struct request *rq)
{
    struct problem *p = check_current(app, rq);
    return p ? p : hash_new(rq);
}

static struct problem *change_password(struct app *app, struct request *rq, struct response *rs)
{
    const struct prepared *prepared = rq->prepared;
    struct actor by = actor_of(app, rq);
    struct user user = {0};
    bool done;
    (void)rs;
    struct problem *p = account_lock(by, rq->caller.id, &user);
    if (!p)
        p = user_replace_hash(app->db, rq->arena, user.id, prepared->user.password_hash,
                              prepared->hash, &done);
    if (!p && !done)
        return app_stale(rq); /* another change was faster */
    if (!p)
        p = account_end(app->db, rq->arena, user.id, EVENT_PASSWORD_CHANGED, rq->caller.session);
    return p ? p : mailing_notice(by, LETTER_PASSWORD_CHANGED, user.email, (struct text){0});
}

static struct problem *is_changed(struct app *app, struct request *rq, bool *ret_yes)
{
    const struct prepared *prepared = rq->prepared;
    return account_has_hash(app->db, rq->arena, prepared->user.id, prepared->hash, ret_yes);
}

/* ---- with a token from a mail ---- */

static bool has_mail(const struct app *app)
{
    return mailing_is_on(app);
}

/* Whether somebody has the address shows neither in the answer nor in its time: what is written is
 * the same, but for nobody. The user is locked until it is; a later change of the address, or a
 * deletion, deletes the token too. */
static struct problem *forgot(struct app *app, struct request *rq, struct response *rs)
{
    const struct change *in = rq->body;
    struct user user = {0};
    bool found;
    struct problem *p = user_share_by_email(app->db, rq->arena, in->email, &user, &found);
    const struct mailing mailing = {.letter = LETTER_RESET,
                                    .to = user.email.data ? user.email : in->email,
                                    .token = MAILED_RESET,
                                    .user_id = user.id,
                                    .for_nobody = !user.is_active};
    rs->after = purge_expired;
    return p ? p : mailing_add(actor_of(app, rq), &mailing);
}

static struct problem *prepare_reset(struct app *app, struct request *rq)
{
    const struct change *in = rq->body;
    struct prepared *prepared = arena_alloc(rq->arena, sizeof *prepared);
    bool found;
    rq->prepared = prepared;
    struct problem *p = mailed_find(app->db, rq->arena, in->token, MAILED(RESET) | MAILED(INVITE),
                                    rq->now, &prepared->token, &found);
    if (!p && found)
        p = user_find(app->db, rq->arena, prepared->token.user_id, &prepared->user);
    if (p && p->type != &problem_user_not_found)
        return p;
    if (p || !found || !mailed_suits(rq->arena, &prepared->token, &prepared->user, rq->now))
        return mailed_refusal(rq->arena);
    return hash_new(rq);
}

/* Whoever made an account with somebody else's address has no part in it any more: the mailbox is
 * what counts. */
static struct problem *verify_by_reset(struct actor by, const struct user *before)
{
    struct user after = *before;
    if (before->email_verified)
        return NULL;
    after.email_verified = true;
    after.updated_at = by.now;
    after.version++;
    return user_update(by.app->db, by.arena, before, &after);
}

static struct problem *reset(struct app *app, struct request *rq, struct response *rs)
{
    const struct prepared *prepared = rq->prepared;
    struct actor by = actor_of(app, rq);
    struct user user = {0};
    bool used;
    /* Users are locked before their rows in other tables. */
    struct problem *p = user_lock(app->db, rq->arena, prepared->token.user_id, &user);
    if ((p && p->type == &problem_user_not_found) ||
        (!p && !mailed_suits(rq->arena, &prepared->token, &user, rq->now)))
        return mailed_refusal(rq->arena);
    if (!p)
        p = mailed_use(app->db, rq->arena, &prepared->token, &used);
    if (!p && !used)
        return mailed_refusal(rq->arena);
    if (!p)
        p = verify_by_reset(by, &user);
    if (!p)
        p = account_set_hash(app->db, rq->arena, user.id, prepared->hash);
    rs->after = purge_expired;
    return p ? p : mailing_notice(by, LETTER_PASSWORD_RESET, user.email, (struct text){0});
}

static const struct problem_type *const forgot_problems[] = {&problem_invalid_email, NULL};

static const struct route routes[] = {
    {
        .method = METHOD_POST,
        .path = "/auth/password",
        .handle = change_password,
        .auth = AUTH_USER,
        .body = &password_record,
        .judge_body = judge_password,
        .prepare = prepare_password,
        .in_doubt = is_changed,
        .flags = ROUTE_RATE_LIMITED | ROUTE_PASSWORD_LIMITED | ROUTE_HASH_POOL | ROUTE_TRANSACTION |
                 ROUTE_NO_UNDO,
        .operation_id = "changePassword",
        .summary = "Change one's password, which ends all other sessions.",
    },
    {
        .method = METHOD_POST,
        .path = "/auth/password/forgot",
        .handle = forgot,
        .auth = AUTH_NONE,
        .body = &forgot_record,
        .in_doubt = in_doubt_repeat,
        .status = 202,
        .flags = ROUTE_RATE_LIMITED | ROUTE_TRANSACTION,
        .limits = LIMITED_BY(MAIL),
        .problems = forgot_problems,
        .enabled = has_mail,
        .operation_id = "forgotPassword",
        .summary = "Have a token for a new password sent by mail.",
    },
    {
        .method = METHOD_POST,
        .path = "/auth/password/reset",
        .handle = reset,
        .auth = AUTH_NONE,
        .body = &reset_record,
        .prepare = prepare_reset,
        .in_doubt = is_changed,
        .flags = ROUTE_RATE_LIMITED | ROUTE_HASH_POOL | ROUTE_TRANSACTION | ROUTE_NO_UNDO,
        .enabled = has_mail,
        .operation_id = "resetPassword",
        .summary = "Choose a new password with a token, which ends all sessions.",
    },
};

const struct resource password_resource =
    RESOURCE("password", "A password: changed, or forgotten.", routes);
