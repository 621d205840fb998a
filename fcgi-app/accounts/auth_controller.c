/* Register, log in. */
#include "fcgi-app/accounts/account.h"
#include "fcgi-app/accounts/mailing.h"
#include "fcgi-app/accounts/purge.h"
#include "fcgi-app/accounts/registration_model.h"
#include "fcgi-app/app.h"
#include "fcgi-app/accounts/throttle.h"
#include "fcgi-app/routes.h"
#include "fcgi-app/accounts/tokens.h"

#include <string.h>

#include "common/base/fold.h"
#include "common/base/problem.h"
#include "common/base/utf8.h"
#include "common/crypto/keyring.h"
#include "common/crypto/password.h"
#include "common/field/json_write.h"
#include "fcgi-app/accounts/session_model.h"

#define USER_AGENT_MAX 255

static const struct problem_type problem_missing_credentials = {
    400, "Missing credentials", "missing_fields", "Both email and password are needed."};
static const struct problem_type problem_invalid_credentials = {
    401, "Invalid credentials", "invalid_credentials", "The e-mail or the password is wrong."};

/* ---- registering ---- */

static struct problem *prepare(struct app *app, struct request *rq)
{
    struct user user = *(const struct user *)rq->body;
    user.role = ROLE_USER;
    user.is_active = true;
    return account_prepare(app, rq, &user);
}

static bool must_wait(const struct app *app)
{
    return app->settings->verify_email == VERIFY_EMAIL_REQUIRED;
}

/* Nothing here depends on whether the address is free, taken or kept but to whom it is written, and
 * whether that leads anywhere: the answer is the same, in the same time. */
static struct problem *make_wait(struct app *app, struct request *rq)
{
    const struct user *user = rq->prepared;
    const struct actor by = actor_of(app, rq);
    struct mailing mailing = {
        .letter = LETTER_VERIFY, .to = user->email, .token = MAILED_REGISTER, .user_id = user->id};
    struct problem *p = mailing_judge_claim(by, &mailing);
    if (!p)
        p = registration_insert(app->db, rq->arena, user,
                                instant_plus_s(rq->now, mailed_rules[MAILED_REGISTER].ttl_s));
    return p ? p : mailing_add(by, &mailing);
}

static struct problem *enter(struct app *app, struct request *rq, struct response *rs)
{
    const struct user *user = rq->prepared;
    if (!must_wait(app))
        return account_create(app, rq, rs);
    struct problem *p = make_wait(app, rq);
    if (p)
        return p;
    app_location(rq, rs, "users", &user->id);
    account_answer_whole(rq, rs, user);
    rs->after = purge_expired;
    return NULL;
}

static struct problem *has_entered(struct app *app, struct request *rq, bool *ret_yes)
{
    const struct user *user = rq->prepared;
    struct user row;
    return must_wait(app)
               ? registration_find(app->db, rq->arena, user->id, rq->now, true, &row, ret_yes)
               : account_is_created(app, rq, ret_yes);
}

/* ---- logging in ---- */

/* What is read and made before the transaction. */
struct prepared {
    struct user user;     /* as it was, with its hash */
    struct text new_hash; /* of the current form, where the stored one is older; else null */
    struct session session;
    struct refresh_token refresh;
};

/* Whose hash an address is tried with that nobody has: the first one's from here on. A hash that
 * was imported takes its own time, and if only who exists had one, a wrong password would tell
 * that. So it is that of another user: of the same one each time, and over many addresses of as
 * many with an imported one as there are. */
static struct text decoy_from(struct app *app, struct arena *a, struct text email)
{
    unsigned char mac[KEYRING_MAC_SIZE];
    struct text folded = fold(a, email);
    char start[8];
    keyring_mac(app->keys, 0, "decoy", folded.data, folded.len, mac);
    for (size_t i = 0; i < sizeof start; i++)
        start[i] = (char)('a' + mac[i] % 26);
    return (struct text){arena_copy(a, start, sizeof start), sizeof start};
}

/* An unknown e-mail, a wrong password and a disabled account get the same answer at the cost of one
 * hash. */
static struct problem *try_credentials(struct app *app, struct request *rq,
                                       struct prepared *prepared)
{
    const struct user *in = rq->body;
    struct arena *a = rq->arena;
    struct user *user = &prepared->user;
    bool found, match, outdated;
    const char *hash;
    struct problem *p =
        user_find_for_login(app->db, a, in->email, decoy_from(app, a, in->email), user, &found);
    hash = found ? user->password_hash.data : user->decoy_hash.data;
    if (!p)
        p = password_verify(a, in->password, hash, &match, &outdated);
    if (p)
        return p;
    if (!found || !match || !user->is_active)
        return problem(a, &problem_invalid_credentials, NULL);
    if (!outdated)
        return NULL;
    p = password_hash(a, in->password, &hash);
    if (!p)
        prepared->new_hash = text_of(hash);
    return p;
}

static struct problem *check_credentials(struct app *app, struct request *rq,
                                         struct prepared *prepared)
{
    const struct user *in = rq->body;
    struct throttle throttle;
    struct problem *p = throttle_login(app, rq, in->email, &throttle);
    if (p)
        return p;
    p = try_credentials(app, rq, prepared);
    if (!p || p->type != &problem_invalid_credentials)
        throttle_take_back(app, &throttle);
    return p;
}

static struct text short_or_null(struct arena *a, const char *s, size_t max)
{
    size_t len = s ? strlen(s) : 0, end = 0;
    if (len == 0 || !utf8_is_clean(s, len))
        return (struct text){0};
    while (end < len && end + utf8_sequence(s + end, len - end) <= max)
        end += utf8_sequence(s + end, len - end);
    return (struct text){arena_copy(a, s, end), end};
}

static struct problem *prepare_login(struct app *app, struct request *rq)
{
    struct prepared *prepared = arena_alloc(rq->arena, sizeof *prepared);
    struct problem *p = check_credentials(app, rq, prepared);
    if (p)
        return p;
    prepared->session = (struct session){
        .id = uuid_make(rq->now),
        .user_id = prepared->user.id,
        .created_at = rq->now,
        .last_used_at = rq->now,
        .expires_at = instant_plus_s(rq->now, app->settings->refresh_ttl_s),
        .ip = text_of(address_to_text(rq->arena, &rq->client)),
        .user_agent = short_or_null(rq->arena, rq->param[PARAM_USER_AGENT], USER_AGENT_MAX)};
    prepared->refresh = refresh_make(rq->arena, app->keys, prepared->session.id);
    rq->prepared = prepared;
    return NULL;
}

/* Is the account still as it was when the password was verified? From here on it is locked until
 * the session is stored; a later change ends that session too, and another login comes after it,
 * so that both count the sessions. */
static struct problem *check_again(struct app *app, struct request *rq,
                                   const struct prepared *prepared, struct user *ret)
{
    const struct user *was = &prepared->user;
    struct problem *p = user_lock_with_hash(app->db, rq->arena, was->id, ret);
    if ((p && p->type == &problem_user_not_found) || (!p && !ret->is_active))
        return problem(rq->arena, &problem_invalid_credentials, NULL);
    if (!p &&
        !(text_equal(ret->password_hash, was->password_hash) && text_equal(ret->email, was->email)))
        return app_stale(rq);
    return p;
}

static struct problem *renew_hash(struct app *app, struct request *rq,
                                  const struct prepared *prepared)
{
    const struct user *user = &prepared->user;
    bool done;
    struct problem *p = user_replace_hash(app->db, rq->arena, user->id, user->password_hash,
                                          prepared->new_hash, &done);
    return p || done ? p : app_stale(rq);
}

static struct problem *login(struct app *app, struct request *rq, struct response *rs)
{
    const struct prepared *prepared = rq->prepared;
    const struct session *session = &prepared->session;
    struct user user = {0};
    struct problem *p = check_again(app, rq, prepared, &user);
    if (!p && prepared->new_hash.data)
        p = renew_hash(app, rq, prepared);
    if (!p)
        p = session_insert(app->db, rq->arena, session, prepared->refresh.hash);
    if (!p)
        p = session_end_excess(app->db, rq->arena, session->user_id, session->id,
                               app->settings->sessions_max, rq->now);
    if (p)
        return p;
    const struct tokens tokens =
        tokens_make(app, rq->arena, rq->now, session, prepared->refresh.text);
    json_object(&rs->body);
    record_members_to_json(&rs->body, &tokens_record, &tokens);
    json_key(&rs->body, "user");
    const struct viewer themselves = {.id = user.id, .now = rq->now};
    struct user seen;
    const struct record *as = user_view(&themselves, &user, &seen);
    record_to_json(&rs->body, as, &seen);
    json_object_end(&rs->body);
    rs->after = purge_expired;
    return NULL;
}

static struct problem *is_logged_in(struct app *app, struct request *rq, bool *ret_yes)
{
    const struct prepared *prepared = rq->prepared;
    struct session session;
    return session_lock(app->db, rq->arena, prepared->session.id, rq->now, &session, ret_yes);
}

static const struct problem_type *const register_problems[] = {&problem_invalid_email,
                                                               &problem_email_exists, NULL};
static const struct problem_type *const login_problems[] = {&problem_invalid_credentials, NULL};

static const struct route routes[] = {
    {
        .method = METHOD_POST,
        .path = "/auth/register",
        .handle = enter,
        .auth = AUTH_NONE,
        .body = &registration_record,
        .prepare = prepare,
        .in_doubt = has_entered,
        .reply = ONE("user", &user_record),
        .status = 201,
        .flags = ROUTE_RATE_LIMITED | ROUTE_ETAG | ROUTE_HASH_POOL | ROUTE_TRANSACTION,
        .limits = LIMITED_BY(REGISTER) | LIMITED_BY(MAIL),
        .problems = register_problems,
        .operation_id = "register",
        .summary = "Make an account of one's own.",
    },
    {
        .method = METHOD_POST,
        .path = "/auth/login",
        .handle = login,
        .auth = AUTH_NONE,
        .body = &credentials_record,
        .missing_problem = &problem_missing_credentials,
        .prepare = prepare_login,
        .in_doubt = is_logged_in,
        .reply = {.members = &tokens_record, .key = "user", .record = &user_record},
        .flags = ROUTE_RATE_LIMITED | ROUTE_PASSWORD_LIMITED | ROUTE_HASH_POOL | ROUTE_TRANSACTION,
        .problems = login_problems,
        .operation_id = "login",
        .summary = "Get an access token for e-mail and password.",
    },
};

const struct resource auth_resource =
    RESOURCE("auth", "Accounts of one's own, and the tokens that the rest wants.", routes);
