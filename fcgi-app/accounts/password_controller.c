/* Change one's password or e-mail with the current password; reset a password by mail. */
#include "fcgi-app/accounts/account.h"
#include "fcgi-app/accounts/current_password.h"
#include "fcgi-app/accounts/purge.h"
#include "fcgi-app/app.h"
#include "fcgi-app/routes.h"

#include <string.h>

#include "common/base/encode.h"
#include "common/base/log.h"
#include "common/base/problem.h"
#include "common/crypto/digest.h"
#include "common/crypto/password.h"
#include "common/process/mail.h"
#include "fcgi-app/accounts/reset_model.h"
#include "fcgi-app/accounts/session_model.h"

#define RESET_BYTES 32

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
static const struct field email_fields[] = {
    FIELD(struct change, email, .use = FIELD_REQUIRED, .max = EMAIL_MAX, .format = &email_format,
          .example = "countess@example.org", .doc = "The new address."),
    CURRENT_PASSWORD(struct change, "engine of numbers"),
};
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
static const struct record email_record =
    RECORD("EmailChange", struct change, email_fields, .rule = NULL);
static const struct record forgot_record =
    RECORD("ForgottenPassword", struct change, forgot_fields, .rule = NULL);
static const struct record reset_record =
    RECORD("PasswordReset", struct change, reset_fields, .rule = NULL);

/* What is read and made before the transaction. */
struct prepared {
    struct user user;        /* as it was, with its hash */
    struct text hash;        /* of the new password */
    unsigned char token[32]; /* the SHA-256 of a token */
};

static struct problem *bad_token(struct request *rq)
{
    return problem_of_field(rq->arena, "token", FAULT_WRONG,
                            "Is not one that is good; ask for another.");
}

/* ---- with the current password ---- */

static struct problem *check_current(struct app *app, struct request *rq)
{
    const struct change *in = rq->body;
    struct prepared *prepared = arena_alloc(rq->arena, sizeof *prepared);
    rq->prepared = prepared;
    return current_password_check(app, rq, in->current_password, &prepared->user);
}

static struct problem *hash_new(struct request *rq)
{
    const struct change *in = rq->body;
    struct prepared *prepared = rq->prepared;
    const char *hash;
    const struct user with_new = {.email = prepared->user.email, .password = in->new_password};
    if (new_password_rule.broken(&with_new))
        return problem_of_field(rq->arena, "new_password", new_password_rule.code,
                                new_password_rule.message);
    struct problem *p = password_hash(rq->arena, in->new_password, &hash);
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
    const struct user *user = &prepared->user;
    bool done;
    (void)rs;
    struct problem *p =
        user_replace_hash(app->db, rq->arena, user->id, user->password_hash, prepared->hash, &done);
    if (!p && !done)
        return app_stale(rq); /* another change was faster */
    rq->verified_hash = prepared->hash;
    if (!p)
        p = reset_delete_all(app->db, rq->arena, user->id);
    return p ? p : session_delete_all(app->db, rq->arena, user->id, rq->caller.session);
}

static struct problem *is_changed(struct app *app, struct request *rq, bool *ret_yes)
{
    const struct prepared *prepared = rq->prepared;
    return account_has_hash(app->db, rq->arena, prepared->user.id, prepared->hash, ret_yes);
}

static struct problem *change_email(struct app *app, struct request *rq, struct response *rs)
{
    const struct change *in = rq->body;
    struct user before = {0};
    struct problem *p = account_lock(actor_of(app, rq), rq->caller.id, &before);
    if (p)
        return p;
    struct user after = before;
    after.email = in->email;
    after.updated_at = rq->now;
    after.version++;
    p = user_update(app->db, rq->arena, &before, &after);
    if (!p)
        p = reset_delete_all(app->db, rq->arena, after.id); /* mailed to the old address */
    if (p)
        return p;
    response_etag(rs, after.version);
    response_record(rs, "user", &user_record, &after);
    return NULL;
}

/* ---- with a token from a mail ---- */

static bool has_mail(const struct app *app)
{
    return app->settings->mail_command.len > 0;
}

static const char *write_message(const struct app *app, struct arena *a, const struct user *user,
                                 const char *token)
{
    return arena_printf(
        a,
        "From: %s\nTo: %s\nSubject: Your password\nMIME-Version: 1.0\n"
        "Content-Type: text/plain; charset=utf-8\nAuto-Submitted: auto-generated\n\n"
        "Somebody, probably you, asked for a new password.\n"
        "To choose one, use this within an hour:\n\n%s%s\n\n"
        "If it was not you, there is nothing to do: your password stays.\n",
        app->settings->mail_from.data, user->email.data, app->settings->reset_url.data, token);
}

/* A message on its way. */
struct letter {
    struct app *app;
    struct request *rq;
    struct user user;
    const char *token;   /* NULL: there is nobody to write to, or the mailbox has had enough */
    bool asked, counted; /* by the mailbox's limit, once, however often the transaction runs */
};

static bool mailbox_has_room(struct letter *letter)
{
    if (!letter->asked)
        letter->counted = limits_take_mailbox(letter->app, letter->rq, letter->user.email);
    letter->asked = true;
    return letter->counted;
}

/* The user is locked until the token is stored; a later change of the address, or a deletion,
 * deletes the token too. */
static struct problem *store_token(void *context)
{
    struct letter *letter = context;
    struct request *rq = letter->rq;
    const struct change *in = rq->body;
    unsigned char secret[RESET_BYTES], hash[32];
    bool found;
    letter->token = NULL;
    struct problem *p =
        user_share_by_email(letter->app->db, rq->arena, in->email, &letter->user, &found);
    if (p || !found || !letter->user.is_active || !mailbox_has_room(letter))
        return p;
    random_bytes(secret, sizeof secret);
    letter->token = base64url(rq->arena, secret, sizeof secret);
    sha256(letter->token, strlen(letter->token), hash);
    return reset_insert(letter->app->db, rq->arena, hash, letter->user.id,
                        instant_plus_s(rq->now, RESET_TTL_S));
}

/* After the answer was sent, so that its time does not reveal whether the address is known. */
static void look_up_and_send(void *context, struct request *rq)
{
    struct app *app = context;
    struct letter letter = {.app = app, .rq = rq};
    struct problem *p = db_transaction(app->db, rq->arena, store_token, NULL, &letter);
    if (!p && letter.token)
        p = mail_send(rq->arena, app->settings->mail_command.data,
                      write_message(app, rq->arena, &letter.user, letter.token));
    if (p && letter.counted)
        limits_return_mailbox(app, rq, letter.user.email);
    if (p)
        LOG(LOG_LEVEL_ERROR, log_event("mail_failed"), log_text("request_id", rq->id),
            log_text("cause", p->cause));
    purge_expired(app, rq);
}

static struct problem *forgot(struct app *app, struct request *rq, struct response *rs)
{
    (void)app, (void)rq;
    rs->after = look_up_and_send;
    return NULL;
}

static struct problem *prepare_reset(struct app *app, struct request *rq)
{
    const struct change *in = rq->body;
    struct prepared *prepared = arena_alloc(rq->arena, sizeof *prepared);
    bool found;
    sha256(in->token.data, in->token.len, prepared->token);
    rq->prepared = prepared;
    struct problem *p =
        reset_find(app->db, rq->arena, prepared->token, rq->now, &prepared->user, &found);
    if (p)
        return p;
    return found ? hash_new(rq) : bad_token(rq);
}

static struct problem *reset(struct app *app, struct request *rq, struct response *rs)
{
    const struct prepared *prepared = rq->prepared;
    struct user user = {0};
    bool used;
    (void)rs;
    /* Users are locked before their rows in other tables. */
    struct problem *p = user_lock(app->db, rq->arena, prepared->user.id, &user);
    if ((p && p->type == &problem_user_not_found) || (!p && !user.is_active))
        return bad_token(rq);
    if (!p)
        p = reset_use(app->db, rq->arena, prepared->token, rq->now, &used);
    if (!p && !used)
        return bad_token(rq);
    return p ? p : account_set_hash(app->db, rq->arena, prepared->user.id, prepared->hash);
}

static const struct problem_type *const email_problems[] = {&problem_invalid_email,
                                                            &problem_email_exists, NULL};
static const struct problem_type *const forgot_problems[] = {&problem_invalid_email, NULL};

static const struct route routes[] = {
    {
        .method = METHOD_POST,
        .path = "/auth/email",
        .handle = change_email,
        .auth = AUTH_USER,
        .body = &email_record,
        .prepare = check_current,
        .in_doubt = in_doubt_repeat,
        .reply = ONE("user", &user_record),
        .flags = ROUTE_RATE_LIMITED | ROUTE_PASSWORD_LIMITED | ROUTE_HASH_POOL | ROUTE_TRANSACTION,
        .problems = email_problems,
        .operation_id = "changeEmail",
        .summary = "Change one's e-mail address.",
    },
    {
        .method = METHOD_POST,
        .path = "/auth/password",
        .handle = change_password,
        .auth = AUTH_USER,
        .body = &password_record,
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
        .status = 202,
        .flags = ROUTE_RATE_LIMITED,
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
    RESOURCE("password", "What only the owner of an account may do to it.", routes);
